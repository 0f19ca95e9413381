"""Handouts: no solution in the student's copy, and the solutions fill it in."""

import ast
import io
from contextlib import redirect_stdout

import nbformat
import pytest
from nbclient import NotebookClient

from lfm import checks
from tools import course, handout

CHAPTERS = course.chapters()
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def pair(path):
    return course.read(path), course.read(course.solutions(path))


def verdicts(cells) -> list[str]:
    """Return the printed lines of the checks."""
    return [c.outputs[0].text for c in cells if "check" in course.tags(c)]


@every_chapter
def test_the_students_copy_holds_no_solution_and_no_answer(path):
    chapter, solutions = pair(path)
    made = handout.student(chapter)
    text = "\n".join(c.source for c in made.cells)
    assert "solutions/" not in text
    assert not any("solution" in course.tags(c) for c in made.cells)
    answers = handout.answers(solutions)
    assert set(answers) >= set(checks.exercises(path.stem[:2]))
    for why, code, _ in answers.values():
        assert not why or why not in text
        body = handout.split(code)[0]
        assert body not in text
    for cell in made.cells:
        if course.tags(cell) & {"exercise", "quiz", "check"}:
            assert cell.outputs == []
            assert cell.execution_count is None


@every_chapter
def test_nothing_else_of_the_chapter_is_lost(path):
    chapter = course.read(path)
    made = handout.student(chapter)
    kept = {c.id for c in made.cells}
    assert kept >= {c.id for c in chapter.cells}
    nbformat.validate(made)


@every_chapter
def test_the_teachers_copy_has_each_solution_behind_its_check(path):
    chapter, solutions = pair(path)
    made = handout.teacher(chapter, solutions)
    nbformat.validate(made)
    cells, answers = made.cells, handout.answers(solutions)
    names = []
    for check, why, code in zip(cells, cells[1:], cells[2:], strict=False):
        if "check" in course.tags(check):
            name = check.metadata.nbgrader.grade_id.removeprefix("check-")
            names.append(name)
            assert course.tags(why) == course.tags(code) == {"solution"}
            assert answers[name][0] in why.source
            assert code.source.endswith(answers[name][1])
    assert sorted(names) == sorted(answers)


@every_chapter
def test_the_teachers_solutions_pass_as_they_stand(path):
    scope, verdicts = {}, []
    for cell in handout.teacher(*pair(path)).cells:
        if cell.cell_type == "code" and "solution" in course.tags(cell):
            *before, last = ast.parse(cell.source).body
            exec(compile(ast.Module(before, []), cell.id, "exec"), scope)
            verdicts.append(eval(compile(ast.Expression(last.value), cell.id, "eval"), scope))
    assert len(verdicts) == len(handout.answers(course.read(course.solutions(path))))
    assert all(verdicts), verdicts


@every_chapter
def test_nbgrader_finds_what_it_needs(path):
    made = handout.student(course.read(path))
    marks = [c.metadata["nbgrader"] for c in made.cells if "nbgrader" in c.metadata]
    assert len({m["grade_id"] for m in marks}) == len(marks) >= 6
    keys = {"schema_version", "grade", "solution", "locked", "task", "grade_id"}
    for mark in marks:
        assert set(mark) - {"points"} == keys
        assert mark["schema_version"] == 3
        assert mark["grade"] == mark["locked"] == ("points" in mark) != mark["solution"]
        assert mark.get("points", 1) in (1, 2, 3)


@every_chapter
def test_solutions_pass_and_empty_cells_do_not(path):
    """The cells of the tasks alone, in this process: a fast look at all chapters."""
    chapter, solutions = pair(path)
    empty = handout.student(chapter)
    for made, wanted in ((empty, "Not yet: "), (handout.filled_in(empty, solutions), "Passed: ")):
        scope, said = {}, []
        for cell in made.cells:
            if course.tags(cell) & {"exercise", "quiz", "check"}:
                with redirect_stdout(io.StringIO()) as out:
                    exec(compile(cell.source, cell.id, "exec"), scope)
                said += [out.getvalue()] if "check" in course.tags(cell) else []
        assert len(said) >= 3
        assert all(s.startswith(wanted) for s in said), said


@pytest.mark.parametrize("path", CHAPTERS[:1], ids=lambda p: p.stem)
def test_a_copy_runs_whole_before_and_after_it_is_filled_in(path):
    chapter, solutions = pair(path)
    empty = handout.student(chapter)
    full = handout.filled_in(empty, solutions)
    for made, wanted in ((empty, "Not yet: "), (full, "Passed: ")):
        NotebookClient(made, timeout=120, kernel_name="python3").execute()
        said = verdicts(made.cells)
        assert len(said) == len(handout.answers(solutions))
        assert all(s.startswith(wanted) for s in said), said
        points = next(c for c in made.cells if "check" in course.tags(c)).outputs[-1]
        assert (points.data["text/plain"] == "0") == (wanted == "Not yet: ")


def test_a_quiz_is_a_cell_to_write_in_and_one_that_checks():
    source = '# a, b or c?\nfrom lfm.checks import check\n\ncheck("which-term", ...)'
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["quiz"]})
    write, check = handout.task_cells(cell, 1)
    assert write.source == "# a, b or c?\n\nanswer = ..."
    assert 'verdict = check("which-term", answer)' in check.source
    solved = nbformat.v4.new_code_cell('check("which-term", "b")', metadata={"tags": ["quiz"]})
    text = nbformat.v4.new_markdown_cell("**Why.** Because of the sum.")
    known = nbformat.v4.new_notebook(cells=[text, solved])
    full = handout.filled_in(nbformat.v4.new_notebook(cells=[write, check]), known)
    assert full.cells[0].source.endswith("answer = 'b'")
    assert handout.answers(known)["which-term"][0] == "**Why.** Because of the sum."


def test_a_cell_without_a_check_is_refused():
    with pytest.raises(ValueError, match="the cell ends in 'x = 1'; wanted check"):
        handout.split("x = 1")
