"""Run the notebooks as other processors would: `make test-kernels`.

    python -m tools.kernels [--only NAME ...] [--training] [--spread] [NOTEBOOK ...]

Libraries choose the code of a product by the processor, and each choice rounds in its own way. The
sets below ask for such choices; `rounding` moves the weights that training starts from by their
last digit, which stands for processors that are not here. In each set all notebooks must run, and
print what is stored. With --spread the claims are measured: how far each is from failing, beside
how much that differs between the sets.
"""

import argparse
import ast
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tools import course

ROOT = Path(__file__).parent.parent
STARTUP = ROOT / "tests" / "ipython" / "profile_default" / "startup"

AS_SSE = {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "MKL_CBWR": "COMPATIBLE",
          "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}  # fmt: skip
AS_AVX2 = {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
           "ATEN_CPU_CAPABILITY": "avx2"}  # fmt: skip
AS_AVX512 = {"MKL_ENABLE_INSTRUCTIONS": "AVX512", "MKL_CBWR": "AVX512",
             "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512"}  # fmt: skip
SETS = {
    "as-it-is": {},
    "two-threads": {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    "sse": AS_SSE | {"OPENBLAS_CORETYPE": "Nehalem"},
    "sandybridge": AS_AVX2 | {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Sandybridge"},
    "haswell": AS_AVX2 | {"OPENBLAS_CORETYPE": "Haswell"},
    "zen": AS_AVX2 | {"MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Zen"},
    "skylakex": AS_AVX512 | {"OPENBLAS_CORETYPE": "SkylakeX"},
    **{f"rounding-{seed}": {"LFM_ROUNDING": str(seed)} for seed in range(1, 5)},
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def environment(name: str) -> dict[str, str]:
    """Return the environment of one of `SETS`."""
    return os.environ | ONE_THREAD | {"LFM_PROGRESS": "0"} | SETS[name]


def trains(path: Path) -> bool:
    """Tell whether a chapter trains networks for hundreds of steps, which makes rounding grow."""
    return "training.train(" in path.read_text(encoding="utf-8")


# What a set computes, in numpy and in torch, to the bit; it dies where the processor lacks it.
PROBE = """
import hashlib, runpy, sys
import numpy as np
from lfm import training, vae
runpy.run_path(sys.argv[1])
rng = np.random.default_rng(0)
x = rng.random((500, 64))
found = [x.T @ x, np.linalg.svd(x)[1], np.exp(x)]
dense = vae.VAE.dense(64, 4, (64,), rng=0)
conv = vae.VAE(vae.DiagonalGaussian(vae.conv_encoder(8, 8, rng=0)),
               vae.BernoulliPixels(vae.conv_decoder(4, 8, rng=0)), 4)
for model in (dense, conv):
    training.train(model, x, epochs=1, rng=0, device="cpu", progress=False)
    found += [w.detach().numpy() for w in model.parameters()]
print(hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in found)).hexdigest()[:8])
"""


def fingerprint(name: str) -> str | None:
    """Return eight letters for the bits that a set computes, or None where it cannot run."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(STARTUP / "rounding.py")],
        cwd=ROOT, env=environment(name), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else None


def run(name: str, notebooks: list[Path]) -> dict[str, str]:
    """Return for each notebook what nbval says of it: "ok", or the cell that failed first."""
    workers = "1" if name == "two-threads" else "2"  # of a machine with two cores
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env",
             "--nbval-cell-timeout", "600", "--nbval-sanitize-with", "tests/sanitize.cfg",
             "-n", workers, "--dist", "loadfile", "-q", f"--junitxml={report}",
             *map(str, notebooks)],
            cwd=ROOT, env=environment(name), stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return verdicts(report, notebooks)


def verdicts(report: Path, notebooks: list[Path]) -> dict[str, str]:
    """Return what a report of pytest says of each notebook."""
    found = {label(path): "missing" for path in notebooks}
    for case in ElementTree.parse(report).iter("testcase"):
        notebook = label(Path(case.get("classname").removesuffix(".ipynb").replace(".", "/")))
        failed = case.find("failure") is not None or case.find("error") is not None
        if failed and found[notebook] in ("missing", "ok"):
            found[notebook] = f"{case.get('name')} failed"
        elif found[notebook] == "missing":
            found[notebook] = "ok"
    return found


def label(path: Path) -> str:
    """Return "09" for a chapter and "09s" for its solutions."""
    return path.stem[:2] + ("s" if path.parent.name == "solutions" else "")


# ------------------------------------------------------------------ how far claims are from failing


def slack(claim: ast.expr, names: dict) -> float | None:
    """Return by how much the comparisons of a claim hold, the least of them; None for no such."""
    if isinstance(claim, ast.BoolOp) and isinstance(claim.op, ast.And):
        parts = [slack(value, names) for value in claim.values]
        return min((p for p in parts if p is not None), default=None)
    if isinstance(claim, ast.Call) and isinstance(claim.func, ast.Attribute):
        return slack(claim.func.value, names) if claim.func.attr == "all" else None
    if isinstance(claim, ast.Call) and getattr(claim.func, "id", "") == "all":
        return _of_generator(claim.args[0], names)
    if not isinstance(claim, ast.Compare):
        return None
    sides = [_value(side, names) for side in (claim.left, *claim.comparators)]
    found = []
    for op, low, high in zip(claim.ops, sides, sides[1:], strict=False):
        if isinstance(op, ast.Gt | ast.GtE):
            low, high = high, low
        elif not isinstance(op, ast.Lt | ast.LtE):
            return None
        found.append(float(np.min(_numbers(high) - _numbers(low))))
    return min(found)


def _of_generator(generator, names: dict) -> float | None:
    """Return the least slack over what a generator with one `for` goes through."""
    if not isinstance(generator, ast.GeneratorExp) or len(generator.generators) != 1:
        return None
    loop, found = generator.generators[0], []
    for item in _value(loop.iter, names):
        inner = dict(names) | {"_item": item}
        assign = ast.Assign([loop.target], ast.Name("_item", ast.Load()))
        exec(compile(_module(assign), "<claim>", "exec"), inner)
        found.append(slack(generator.elt, inner))
    return min((f for f in found if f is not None), default=None)


def _numbers(a) -> np.ndarray:
    return np.asarray(a.detach() if hasattr(a, "detach") else a, dtype=float)


def _value(expression: ast.expr, names: dict):
    tree = ast.fix_missing_locations(ast.Expression(expression))
    return eval(compile(tree, "<claim>", "eval"), names)


def _module(statement: ast.stmt) -> ast.Module:
    return ast.fix_missing_locations(ast.Module([statement], []))


class _Measured(ast.NodeTransformer):
    """The same code, with `_claim(text, names)` in place of each assertion."""

    def visit_Assert(self, node):
        call = ast.parse(f"_claim({ast.unparse(node.test)!r}, {{**globals(), **locals()}})").body[0]
        return ast.copy_location(call, node)


def measure(path: Path) -> dict[str, list[float]]:
    """Run a notebook's code here; return for each claim its slack, once for each time it is met."""
    found: dict[str, list[float]] = {}

    def claim(text: str, names: dict) -> None:
        value = slack(ast.parse(text, mode="eval").body, names)
        if value is None:
            value = 0.0 if _value(ast.parse(text, mode="eval").body, names) else -np.inf
        found.setdefault(text, []).append(value)

    names = {"__name__": "__main__", "_claim": claim}
    for cell in course.read(path).cells:
        if cell.cell_type == "code" and "widget" not in course.tags(cell):
            tree = _Measured().visit(ast.parse(cell.source))
            exec(compile(ast.fix_missing_locations(tree), path.name, "exec"), names)
    return found


def spread(names: list[str], path: Path) -> list[str]:
    """Return a line for each claim of a notebook that is not the same in all of the sets."""
    runs = []
    for name in names:
        done = subprocess.run(
            [sys.executable, "-m", "tools.kernels", "--measure", str(path)],
            cwd=ROOT, env=environment(name) | {"MPLBACKEND": "agg"}, stdout=subprocess.PIPE,
            text=True, check=True,
        )  # fmt: skip
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    lines = []
    for claim in runs[0]:
        least = np.array([min(found[claim]) for found in runs])
        sd = least.std(ddof=1)
        if sd > 1e-6 * max(1e-6, abs(least).max()):
            mark = "" if least.min() > 0 and least.mean() > 3 * sd else "  <- narrow"
            lines.append(f"{least.mean():10.4g} {sd:10.3g} {least.min():10.4g}  {claim}{mark}")
    return lines


# ------------------------------------------------------------------ from the shell


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.kernels")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all")
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="NAME")
    parser.add_argument("--training", action="store_true", help="chapters that train networks")
    parser.add_argument("--spread", action="store_true", help="measure the claims")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        runpy.run_path(str(STARTUP / "rounding.py"))
        print(json.dumps(measure(options.measure)))
        return
    chapters = course.chapters()
    if options.training:
        chapters = [path for path in chapters if trains(path)]
    notebooks = options.notebooks or [*chapters, *map(course.solutions, chapters)]
    prints = {name: fingerprint(name) for name in options.only}
    here = [name for name, bits in prints.items() if bits is not None]
    for name, bits in prints.items():
        print(f"{name:14s} {bits or 'this processor does not have it'}", flush=True)
    if options.spread:
        for path in notebooks:
            print(f"\n{path.stem}\n      mean   sd of sets      least  claim", flush=True)
            print(*spread(here, path), sep="\n", flush=True)
        return
    failed = False
    for name in here:
        found = run(name, notebooks)
        failed |= set(found.values()) != {"ok"}
        print(f"{name:14s}", *(f"{n}: {v} " for n, v in found.items()), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
