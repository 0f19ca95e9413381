"""What questions draw: small numbers without rounding noise."""

from collections.abc import Callable

import numpy as np

Array = np.ndarray


class Numbers:
    """The answers to what a question asks, in order, and what its words show, by name.

    An answer is an int where it counts something, a str where it is a letter; a float is rounded in
    the key. `picture()` draws the figure that belongs to the question.
    """

    def __init__(self, *answers: float | str, picture: Callable | None = None, **shown) -> None:
        self.answers, self.picture, self.shown = answers, picture, shown


def tenths(rng, k: int) -> Array:
    """Return k probabilities in tenths, none of them 0."""
    cuts = np.sort(rng.choice(np.arange(1, 10), k - 1, replace=False))
    return np.diff([0, *cuts, 10]) / 10


def pick(rng, low: float, high: float, step: float, size=None):
    """Return multiples of a step, from low to high, free of rounding noise."""
    steps = rng.integers(round(low / step), round(high / step) + 1, size=size)
    return np.round(steps * step, 6)
