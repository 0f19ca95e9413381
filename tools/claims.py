"""By how much the assertions of a notebook hold, measured while it runs.

A kernel of the tests with LFM_CLAIMS=FOLDER in its environment (`tests/ipython`) replaces each
assertion by a call that checks it, measures its slack, and notes that in a file of the folder.
"""

import ast
import json
import operator
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from tools import course

OPERATORS = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
SIGNS = {ast.Lt: 1, ast.LtE: 1, ast.Gt: -1, ast.GtE: -1}


def slack(claim: ast.expr, names: dict) -> float:
    """Return by how much the comparisons of a claim hold, the least of them; negative: it fails.

    What is no comparison of sizes counts infinity where it is true and minus infinity elsewhere.
    """
    if isinstance(claim, ast.BoolOp) and isinstance(claim.op, ast.And):
        return _least(slack(part, names) for part in claim.values)
    if isinstance(claim, ast.Compare):
        return _of_comparison(claim, names)
    match claim:
        case ast.Call(ast.Attribute(ast.Compare() as inner, "all"), []):
            return slack(inner, names)
        case ast.Call(ast.Name("all"), [ast.GeneratorExp(part, [loop])]) if not loop.ifs:
            return _least(slack(part, inner) for inner in _rounds(loop, names))
    return np.inf if _value(claim, names) else -np.inf


def _of_comparison(claim: ast.Compare, names: dict) -> float:
    found, left = np.inf, _value(claim.left, names)
    for op, side in zip(claim.ops, claim.comparators, strict=True):
        right = _value(side, names)
        holds = np.asarray(OPERATORS[type(op)](left, right)).all()
        gap = np.inf if holds else -np.inf
        if type(op) in SIGNS and not isinstance(left, set | str | tuple | list):
            size = float(np.min(SIGNS[type(op)] * (_numbers(right) - _numbers(left))))
            gap = size if holds == (size >= 0) and not np.isnan(size) else gap
        found, left = min(found, gap), right
    return found


def _least(found: Iterable[float]) -> float:
    """Return the least number, or the first that fails, for `and` stops there."""
    least = np.inf
    for value in found:
        least = min(least, value)
        if not least >= 0:
            break
    return least


def _rounds(loop: ast.comprehension, names: dict) -> Iterator[dict]:
    """Yield the names that a generator's element sees in each round."""
    assign = ast.Assign([loop.target], ast.Name("_item", ast.Load()))
    code = compile(ast.fix_missing_locations(ast.Module([assign], [])), "<claim>", "exec")
    for item in _value(loop.iter, names):
        inner = names | {"_item": item}
        exec(code, inner)
        yield inner


def _numbers(a) -> np.ndarray:
    return np.asarray(a.detach() if hasattr(a, "detach") else a, dtype=float)


def _value(expression: ast.expr, names: dict):
    tree = ast.fix_missing_locations(ast.Expression(expression))
    return eval(compile(tree, "<claim>", "eval"), names)


# ------------------------------------------------------------------ in the kernel


class Measured(ast.NodeTransformer):
    """The same code, with `_claim(text, names)` in place of each assertion."""

    def visit_Assert(self, node):
        call = ast.parse(f"_claim({ast.unparse(node.test)!r}, {{**globals(), **locals()}})").body[0]
        return ast.fix_missing_locations(ast.copy_location(call, node))


def check(claim: str, names: dict) -> None:
    """Do what `assert claim` does, and add its slack to this process's file in LFM_CLAIMS."""
    value = slack(ast.parse(claim, mode="eval").body, names)
    with open(Path(os.environ["LFM_CLAIMS"]) / str(os.getpid()), "a", encoding="utf-8") as notes:
        print(json.dumps([claim, value]), file=notes)
    if not value >= 0:
        raise AssertionError(claim)


# ------------------------------------------------------------------ afterwards


def of(path: Path) -> list[str]:
    """Return the claims of a notebook in their order, written as `check` writes them."""
    found = []
    for cell in course.read(path).cells:
        if cell.cell_type == "code":
            nodes = ast.walk(ast.parse(cell.source))
            found += [ast.unparse(n.test) for n in nodes if isinstance(n, ast.Assert)]
    return list(dict.fromkeys(found))


def noted(folder: Path) -> dict[str, float]:
    """Return the least slack of each claim in the notes of all kernels."""
    least: dict[str, float] = {}
    for notes in folder.iterdir():
        for line in notes.read_text(encoding="utf-8").splitlines():
            claim, value = json.loads(line)
            least[claim] = min(least.get(claim, np.inf), value)
    return least
