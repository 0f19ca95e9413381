"""Take what moves out of stored notebooks: a slider needs a kernel, and stored ones break pages.

Cells tagged `widget` keep their code and lose their outputs; the figure beside each carries the
argument. `make refresh` calls this after it has executed the notebooks.
"""

import nbformat

from tools import course


def still(notebook) -> None:
    """Remove widgets from a notebook, in place."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "widget" in course.tags(cell):
            cell.outputs = []


if __name__ == "__main__":
    chapters = course.chapters()
    for path in [*chapters, *map(course.solutions, chapters)]:
        notebook = course.read(path)
        still(notebook)
        nbformat.write(notebook, path)
