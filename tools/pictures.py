"""Copy the README's pictures out of the executed notebooks: `make refresh` runs it.

A picture is named after the cell that drew it, such as `02-12.png`; the README decides which.
"""

import base64
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks" / "pictures"


def wanted() -> list[str]:
    """Return the cells whose pictures the README shows."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"\(notebooks/pictures/([\w-]+)\.png\)", text)


def drawn() -> dict[str, bytes]:
    """Return {cell: PNG} of every figure in the chapters."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    found[cell.id] = base64.b64decode(output.data["image/png"])
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    pictures = drawn()
    for cell in wanted():
        (FOLDER / f"{cell}.png").write_bytes(pictures[cell])
