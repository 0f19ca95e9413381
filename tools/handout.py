"""Make handouts from the notebooks: `make handout`.

- `build/handout/student`: the chapters without a solution; exercises and quizzes are empty, and so
  are their outputs.
- `build/handout/teacher`: the same, each solution with its reason behind its exercise.

An exercise becomes two cells: one to write in, one that checks. Both carry the metadata by which
nbgrader tells them apart (its schema 3); the check is locked, and its last value is the points.
"""

import ast
import copy
import itertools
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from tools import course

OUT = course.BUILD / "handout"
POINTS = {"easy": 1, "medium": 2, "hard": 3}
TASKS = {"exercise", "quiz"}


def split(source: str) -> tuple[str, str, str]:
    """Return (what the student writes, the name of the exercise, the name of the answer).

    The cell of an exercise or a quiz ends in `check("name", answer)`.
    """
    *before, last = ast.parse(source).body
    call = getattr(last, "value", None)
    if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "check"):
        raise ValueError(f"the cell ends in {ast.unparse(last)!r}; wanted check(name, answer)")
    name, answer = call.args
    lines = source.splitlines()[: last.lineno - 1]
    for node in reversed(before):
        if ast.unparse(node) == "from lfm.checks import check":
            del lines[node.lineno - 1 : node.end_lineno]
    if isinstance(answer, ast.Name):
        return "\n".join(lines).strip("\n"), ast.literal_eval(name), answer.id
    written = "\n".join([*lines, f"answer = {ast.unparse(answer)}"]).strip("\n")
    return written, ast.literal_eval(name), "answer"


def graded(**keys) -> dict:
    """Return nbgrader's metadata of a cell."""
    return {
        "schema_version": 3,
        "grade": False,
        "solution": False,
        "locked": False,
        "task": False,
    } | keys


def task_cells(cell: NotebookNode, points: int) -> list[NotebookNode]:
    """Return the cell to write in and the cell that checks."""
    written, name, answer = split(cell.source)
    kind = sorted(course.tags(cell) & TASKS)
    write = new_code_cell(written, id=cell.id, metadata={"tags": kind})
    write.metadata["nbgrader"] = graded(solution=True, grade_id=name)
    lines = [
        "from lfm.checks import check",
        "",
        f'verdict = check("{name}", {answer})',
        "print(verdict)",
        f"{points} * verdict.passed  # points",
    ]
    check = new_code_cell("\n".join(lines), id=f"{cell.id}-check", metadata={"tags": ["check"]})
    check.metadata["nbgrader"] = graded(
        grade=True, locked=True, points=points, grade_id=f"check-{name}"
    )
    return [write, check]


def student(chapter: NotebookNode) -> NotebookNode:
    """Return a chapter as it is handed to students."""
    made = copy.deepcopy(chapter)
    made.cells = []
    points = 1
    for cell in copy.deepcopy(chapter.cells):
        level = re.match(r"### Exercise \d+ \((\w+)\)", cell.source)
        if level:
            points = POINTS[level[1]]
        if course.tags(cell) & TASKS:
            made.cells += task_cells(cell, points if "exercise" in course.tags(cell) else 1)
        else:
            cell.source = re.sub(r"\s*Solutions are in the \[[^\]]*\]\([^)]*\)\.", "", cell.source)
            made.cells.append(cell)
    return made


def answers(solutions: NotebookNode) -> dict[str, tuple[str, str, list]]:
    """Return {exercise: (why, code, outputs)} of a notebook of solutions."""
    found, text = {}, ""
    for cell in solutions.cells:
        if cell.cell_type == "markdown":
            text = cell.source
        elif course.tags(cell) & {"solution", "quiz"}:
            why = text[text.index("**Why.**") :] if "**Why.**" in text else ""
            found[split(cell.source)[1]] = (why, cell.source, cell.outputs)
    return found


def setup(solutions: NotebookNode) -> str:
    """Return what the solutions import: the code before the first of them."""
    code = [c for c in solutions.cells if c.cell_type == "code"]
    first = itertools.takewhile(lambda cell: "solution" not in course.tags(cell), code)
    return "\n".join(cell.source for cell in first if not course.tags(cell))


def teacher(chapter: NotebookNode, solutions: NotebookNode) -> NotebookNode:
    """Return the students' chapter with each solution behind its exercise."""
    made = student(chapter)
    known, cells = answers(solutions), made.cells
    imports = setup(solutions)
    made.cells = []
    for cell in cells:
        made.cells.append(cell)
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name.startswith("check-"):
            why, code, outputs = known[name.removeprefix("check-")]
            mark = {"tags": ["solution"]}
            if imports:
                code, imports = f"{imports}\n\n\n{code}", ""
            text = f"**Solution.** {why}".strip()
            made.cells += [
                new_markdown_cell(text, id=f"{cell.id}-why", metadata=copy.deepcopy(mark)),
                new_code_cell(code, id=f"{cell.id}-answer", metadata=mark, outputs=outputs),
            ]
    return made


def filled_in(handout: NotebookNode, solutions: NotebookNode) -> NotebookNode:
    """Return a student's copy as one who knows everything would return it."""
    made = copy.deepcopy(handout)
    known, imports = answers(solutions), setup(solutions)
    for cell in made.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name in known:
            cell.source = f"{imports}\n\n\n{split(known[name][1])[0]}"
    return made


def write(folder: Path) -> None:
    """Write the handouts of all chapters, into `student` and `teacher`."""
    for name in ("student", "teacher"):
        (folder / name).mkdir(parents=True)
    for path in course.chapters():
        chapter, solutions = course.read(path), course.read(course.solutions(path))
        nbformat.write(student(chapter), folder / "student" / path.name)
        nbformat.write(teacher(chapter, solutions), folder / "teacher" / path.name)


def main() -> None:
    """Write build/handout."""
    shutil.rmtree(OUT, ignore_errors=True)
    write(OUT)
    print(
        f"{len(course.chapters())} chapters in {OUT.relative_to(course.ROOT)}/student and /teacher"
    )


if __name__ == "__main__":
    main()
