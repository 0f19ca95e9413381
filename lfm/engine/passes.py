"""How data pass through the two halves of inference: whole, as sums, or batch by batch.

`over` chooses. What it returns has `infer(model, q)`, which returns q(Z), and `expect(model, q)`,
which returns the statistics of all data.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from lfm.engine import validate
from lfm.engine.values import Deferred

Total = Callable[[Any], Any] | None


def over(model, x, batch_size: int | None = None, total: Total = None) -> "Whole | Batches":
    """Return the way in which this model passes over these data; see `em.steps`.

    Raises `TypeError` for what is no model, or for data that can be read only once.
    """
    check_model(model)
    batches = _batches(x, batch_size)
    if total is not None and not callable(total):
        raise TypeError(f"total is {total!r}; wanted a function of statistics, or None")
    if batch_size is None and hasattr(model, "summarise"):
        parts = [model.summarise(x)] if batches is None else validate.over(x, model.summarise)
        return Whole(_totalled(_added(parts), total))
    if batches is None:
        return Whole(validate.matrix(x), total)
    return Batches(batches, batch_size is not None or getattr(model, "needs_q", True), total)


class Whole:
    """All data at once: an array (N, D), or sums that stand for it."""

    def __init__(self, x, total: Total = None):
        self.x, self.total = x, total

    def infer(self, model, q):
        """Return q(Z)."""
        return _inferred(model, self.x, q)

    def expect(self, model, q):
        """Return the statistics of all data."""
        return _totalled(_expected(model, self.x, q), self.total)


class Batches:
    """Batches (n, D), of which one at a time is held; q is a list, or None where none is kept."""

    def __init__(self, batches: Iterable, keep: bool, total: Total):
        self.batches, self.keep, self.total = batches, keep, total
        self.n = None  # how many data there are: as many each time they are read
        self.qs = None  # what `infer` returned last

    def infer(self, model, q) -> list | None:
        """Return the q of each batch, each going on from its old one."""
        if q is not self.qs:
            self._check(q)
        if self.keep:
            old = itertools.repeat(None) if q is None else iter(q)
            parts = validate.over(self.batches, lambda x: _inferred(model, x, _next(old)))
            self.qs = list(parts)
        return self.qs

    def expect(self, model, q):
        """Return the statistics of all data, those of the batches added up."""
        known = iter(q) if self.keep else None

        def work(x):
            return _expected(model, x, _next(known) if self.keep else _inferred(model, x, None))

        stats = _added(validate.over(self.batches, work))
        if self.n not in (None, stats.n):
            raise ValueError(
                f"x gave {self.n} rows at first and {stats.n} now; wanted the same batches"
            )
        self.n = stats.n
        return _totalled(stats, self.total)

    def _check(self, q) -> None:
        n = sum(1 for _ in validate.over(self.batches, len))
        if not (isinstance(q, list) and len(q) == n):
            raise ValueError(f"q must be a list of {n}, one for each batch of x")


def check_model(model) -> None:
    """Raise `TypeError` for what does not have the methods of a model."""
    needed = ("infer", "expect", "learn", "lower_bound")
    if isinstance(model, type) or not all(callable(getattr(model, m, None)) for m in needed):
        found = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"model is {found}; wanted a model, with its {', '.join(needed)}")


def _in_one_pass(model) -> bool:
    """Tell whether the model has an `infer_and_expect` that goes with its `infer` and `expect`.

    A subclass that has its own `infer`, or `log_joint`, inherits one that does not. A model that
    goes on from the old q could not be given it.
    """

    def depth(name: str) -> float:
        classes = type(model).__mro__
        return next((i for i, c in enumerate(classes) if name in vars(c)), np.inf)

    both = depth("infer_and_expect")
    halves = min(depth(name) for name in ("infer", "expect", "log_joint"))
    return both < np.inf and both <= halves and not getattr(model, "needs_q", True)


def _inferred(model, x, q):
    """Return q(Z), not computed yet where the model can do without."""
    return Deferred(model, x) if _in_one_pass(model) else model.infer(x, q)


def _expected(model, x, q):
    return model.infer_and_expect(x) if _in_one_pass(model) else model.expect(x, q)


def _next(qs: Iterator):
    """Return the old q of the next batch."""
    for q in qs:
        return q
    raise ValueError("x gave more batches than at first; wanted the same batches")


def _batches(x, batch_size: int | None):
    """Return the batches that x is or is cut into, or None for one array."""
    if hasattr(x, "__next__"):
        raise TypeError(
            "x is an iterator, which can be read only once, and EM reads its data in every "
            "iteration; wanted an array, or batches that can be read again: a list of arrays, or "
            "data.Shards(folder). For one pass there is lfm.scale.online"
        )
    if validate.is_stream(x):
        if batch_size is not None:
            raise ValueError(f"batch_size is {batch_size}; wanted None, for x is in batches")
        return x
    if batch_size is None:
        return None
    x, size = validate.matrix(x), validate.count(batch_size, "batch_size")
    return [x[i : i + size] for i in range(0, len(x), size)]


def _totalled(part, total: Total):
    """Return what `total` makes of a part of the sums: the same kind of sums."""
    return part if total is None else validate.kind(total(part), "what total returned", type(part))


def _added(parts: Iterable) -> Any:
    return functools.reduce(operator.add, parts)
