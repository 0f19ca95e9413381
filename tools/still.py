"""Take what moves out of stored notebooks: a slider needs a kernel, and stored ones break pages.

Cells tagged `widget` keep their code and lose their outputs; the figure beside each carries the
argument. `make refresh` calls this after it has executed the notebooks.
"""

from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def still(notebook) -> None:
    """Remove widgets from a notebook, in place."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "widget" in cell.metadata.get("tags", []):
            cell.outputs = []


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("**/[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        still(notebook)
        nbformat.write(notebook, path)
