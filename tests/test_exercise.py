"""Exercises: what the decorators fill in, and where those of a chapter stand."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from lfm import checks
from lfm.checks import exercise
from lfm.checks.exercise import Exercise

FILES = sorted(p.stem for p in Path(checks.__file__).parent.glob("chapter_*.py"))


def found_in(file):
    members = vars(importlib.import_module(f"lfm.checks.{file}"))
    return {name: e for name, e in members.items() if isinstance(e, exercise.Exercise)}


@pytest.mark.parametrize("file", FILES)
def test_the_exercises_in_a_chapters_file_carry_its_number(file):
    found, chapter = found_in(file), file.split("_")[1]
    assert found
    assert {e.chapter for e in found.values()} == {chapter}
    assert [name.replace("_", "-") for name in found] == [e.name for e in found.values()]
    all_files = [f for f in FILES if f.split("_")[1] == chapter]
    assert [e.name for f in all_files for e in found_in(f).values()] == checks.exercises(chapter)


def test_decorators_fill_in_the_exercise_and_leave_the_functions_as_they_are():
    story = Exercise("story", chapter="03", hint="look", praise="yes")

    @story.draw
    def numbers(rng):
        return (rng.random(),)

    @story.reference
    def square(x):
        return x * x

    @story.mistake("that is the double")
    def twice(x):
        return 2 * x

    @story.mistake("that is the number")
    def itself(x):
        return x

    assert (story.name, story.chapter, story.hint, story.praise) == ("story", "03", "look", "yes")
    assert story.inputs is numbers
    assert story.right is square
    assert (square(3), twice(3), itself(3)) == (9, 6, 3)
    assert story.mistakes == [(twice, "that is the double"), (itself, "that is the number")]
    assert story.mistakes[0].function is twice
    assert story.mistakes[1].message == "that is the number"
    assert Exercise("other", chapter="03", hint="", praise="").mistakes == []


def test_the_exercises_stand_in_the_order_of_the_course():
    found = exercise.registered()
    assert found is exercise.registered()
    chapters = [e.chapter for e in found.values()]
    assert chapters == sorted(chapters)
    assert {*chapters} == {f"{n:02d}" for n in range(13)}
    assert [e.name for e in found.values()] == list(found)
    for e in found.values():
        assert e.hint
        assert e.praise
        assert isinstance(e.inputs(np.random.default_rng(0)), tuple)
