"""The table of `make gpu`: what was tried or measured, a row each, and the page made of it."""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import aim, figure

COLUMNS = ("part", "what", "found", "goal", "verdict", "remark")
# A row's verdict, where it has one.
FINE, FAILED, REACHED, MISSED, UNTRIED = "fine", "**failed**", "reached", "**missed**", "not tried"
REMARK = 160  # signs at most


class Rows:
    """Rows as they come; each is printed and kept in a file: a run cut short says something too.

    Checks are judged wherever they are run, goals only where there is a GPU.
    """

    def __init__(self, path: Path, device: str):
        self.path, self.on_gpu = path, device == "cuda"
        self.part, self.rows = "", []

    def check(self, what: str, fine: bool, found: str = "", remark: str = "") -> None:
        """Note something that has to hold."""
        self._add(what, found, "", FINE if fine else FAILED, remark)

    def measure(self, what: str, value: float, unit: str = "", *, least=None, most=None, remark=""):
        """Note a figure and whether it reaches its goal, if it has one."""
        goal = aim(least, most)
        met = (least is None or value >= least) and (most is None or value <= most)
        verdict = (REACHED if met else MISSED) if self.on_gpu else "no GPU"
        self._add(what, figure(value, unit), goal, verdict if goal else "", remark)

    def say(self, what: str, found: str, remark: str = "") -> None:
        """Note a fact."""
        self._add(what, found, "", "", remark)

    def cannot(self, what: str, why: str) -> None:
        """Note what was not tried."""
        self._add(what, "", "", UNTRIED, why)

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Whatever goes wrong within becomes a row, and the rest goes on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.check(what, False, "raised", f"{type(error).__name__}: {error}")

    def count(self, verdict: str) -> int:
        return sum(row["verdict"] == verdict for row in self.rows)

    def _add(self, *values: str) -> None:
        row = dict(zip(COLUMNS, (self.part, *map(one_line, values)), strict=True))
        self.rows.append(row)
        print(" · ".join(value for value in row.values() if value), flush=True)
        self.path.write_text(json.dumps(self.rows, indent=1), encoding="utf-8")


def one_line(text: str) -> str:
    """Return a text as a cell of a table: one line, no bars, no longer than a remark may be."""
    text = " ".join(str(text).split()).replace("|", "/")
    return text if len(text) <= REMARK else text[: REMARK - 1] + "…"


def table(rows: list[dict]) -> str:
    """Return rows as a Markdown table whose columns, but the last, are as wide as their cells."""
    lines = [COLUMNS, *(tuple(row[name] for name in COLUMNS) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS) - 1)] + [6]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        f"| {' | '.join(f'{cell:<{width}}' for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )
