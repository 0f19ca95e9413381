"""Copy the README's pictures out of the executed notebooks: `make refresh` runs it.

A picture is named after the cell that drew it, such as `02-12.png`; the README decides which.
"""

import re

from tools import course

FOLDER = course.ROOT / "notebooks" / "pictures"


def wanted() -> list[str]:
    """Return the cells whose pictures the README shows."""
    text = (course.ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"\(notebooks/pictures/([\w-]+)\.png\)", text)


def drawn() -> dict[str, bytes]:
    """Return {cell: PNG} of every figure in the chapters."""
    return {figure.cell: figure.png for figure in course.figures()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    pictures = drawn()
    for cell in wanted():
        (FOLDER / f"{cell}.png").write_bytes(pictures[cell])
