"""An exercise: what is drawn, what is right, and which mistakes are known.

A chapter's file names each exercise once, and its functions after it:

    story = Exercise("ancestral-sample", chapter="00", hint="...", praise="...")

    @story.draw
    def parameters_and_noise(rng): ...  # the inputs, as a tuple

    @story.reference
    def sample(W, mean, var, z, eps): ...  # the right answer

    @story.mistake("the noise is multiplied by its variance; ...")
    def variance_for_deviation(W, mean, var, z, eps): ...  # an answer that is often given
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Mistake(NamedTuple):
    """A wrong answer that is often given, and what to say to it."""

    function: Callable
    message: str


class Exercise:
    """One exercise, filled in by its decorators; each returns the function as it was.

    `inputs(rng)` returns a tuple of inputs, `right(*inputs)` the right answer. Of the `mistakes`
    the first that fits an answer is named; where none does, the `hint` is given.
    """

    inputs: Callable
    right: Callable

    def __init__(self, name: str, *, chapter: str, hint: str, praise: str) -> None:
        self.name, self.chapter, self.hint, self.praise = name, chapter, hint, praise
        self.mistakes: list[Mistake] = []

    def draw(self, function: Callable) -> Callable:
        """Take a function of `rng` that draws the inputs."""
        self.inputs = function
        return function

    def reference(self, function: Callable) -> Callable:
        """Take the function that is right. Its arguments are called as in the notebook."""
        self.right = function
        return function

    def mistake(self, message: str) -> Callable[[Callable], Callable]:
        """Take a function that is wrong in a known way, and the message for whoever writes it."""

        def add(function: Callable) -> Callable:
            self.mistakes.append(Mistake(function, message))
            return function

        return add


@cache
def registered() -> dict[str, Exercise]:
    """Return the exercises of all chapters by name, in the order of the course."""
    files = sorted(Path(__file__).parent.glob("chapter_*.py"))
    modules = [import_module(f"lfm.checks.{path.stem}") for path in files]
    found = [v for module in modules for v in vars(module).values() if isinstance(v, Exercise)]
    return {exercise.name: exercise for exercise in found}
