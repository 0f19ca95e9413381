"""The loop of inference and learning. It knows no model: whatever has the methods will run.

    q ← argmax_q L(q, θ)      inference, the E-step
    θ ← argmax_θ L(q, θ)      learning, the M-step

Both steps raise the same lower bound L, so the loop checks at every half-step that it did rise.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np

from lfm.engine import validate
from lfm.engine.progress import bar as progress_bar

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Stats:
    """Expected sufficient statistics of (x, z) under q, summed over data, and H[q] in nats.

    Eq. sufficient-statistics. `+` joins two batches, field by field. A model whose statistics are
    taken about an origin brings both to the same one first.
    """

    n: int  # N
    entropy: float  # H[q]

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        names = (f.name for f in fields(self))
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __radd__(self, other) -> Self:
        """Return self for 0 + self, so that `sum` adds up batches."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __mul__(self, weight: float) -> Self:
        """Return the statistics of data of which each counts `weight` times."""
        weight = validate.scalar(weight, "weight", 0.0)
        return replace(self, **{name: weight * value for name, value in self.sums().items()})

    def sums(self) -> dict[str, Any]:
        """Return the fields that are sums over data: all but an origin."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "origin"}


class Model(Protocol):
    """What the loop asks of a model: a frozen value that holds θ, and nothing else."""

    def infer(self, x: Array, q: Any = None) -> Any:
        """Return q(Z), the exact posterior or the best of its family, warm-started from `q`.

        Eq. inference-step.
        """

    def expect(self, x: Array, q: Any) -> Stats:
        """Return the expected sufficient statistics of (x, z) under `q`, summed over data."""

    def learn(self, stats: Stats) -> Self:
        """Return the model whose θ maximises L(q, θ) for the q of these statistics.

        Eq. learning-step.
        """

    def lower_bound(self, stats: Stats) -> float:
        """Return L(q, θ) in nats, summed over data, no constant dropped.

        A model whose bound can lose digits to ill-conditioned data also has `rounding(stats)`: how
        much of the bound, in nats, may be rounding. A model that needs no more of x than some sums
        has `summarise(x)`: the loop then reads x once and hands what it returned to both methods
        above in place of x. It returns unchanged what it returned before, and `+` joins batches.
        A model whose `infer` has no use for the old q says so by `needs_q = False`: of data in
        batches then nothing is kept.
        """


class Step(NamedTuple):
    """The state after one half-step."""

    half: Literal["inference", "learning"]
    model: Any  # θ
    q: Any  # q(Z)
    stats: Stats
    bound: float  # L(q, θ) in nats


class Fit(NamedTuple):
    """The end of a run: `q` is the inference of the `model` beside it."""

    model: Any
    q: Any  # a list of one q for each batch, where batch_size was given; of batches see `steps`
    bounds: Array  # L after each inference step, in nats; one more than learning steps made
    converged: bool


class BoundDecreased(ArithmeticError):
    """A half-step lowered the bound beyond rounding: a bug in the model, never bad luck.

    Eq. ascent promises that the bound never falls, and with exact inference nor does ln p(X).
    """


def steps(
    model: Model,
    x,
    q=None,
    *,
    batch_size: int | None = None,
    total: Callable[[Any], Any] | None = None,
) -> Iterator[Step]:
    """Yield a `Step` after every half-step, inference first, without end.

    The loop starts from `model` as it is and, where given, from `q`. x is an array (N, D). With
    `batch_size`, it passes through inference that many rows at a time and q is a list, one for
    each batch. Or x is itself batches that can be read again and again, a list of arrays or
    `data.Shards`, of which one at a time is held. q is then None, and memory does not grow with N,
    where the model infers without the old q: to have the q of a batch, infer it. (Factor analysis
    has one q for all data, and keeps it.) A model that goes on from the old q (`variational_em`)
    needs a list of them, which takes memory for N × K.

    Where this process holds only a part of the data, `total` returns the statistics of all data
    from those of the part, as `distributed.total` does.
    Raises `BoundDecreased`, and what the model raises for its input.
    """
    _check(model)
    batches, keep = _batches(model, x, batch_size)
    if total is not None and not callable(total):
        raise TypeError(f"total is {total!r}; wanted a function of statistics, or None")
    if batch_size is None and hasattr(model, "summarise"):
        x = model.summarise(x) if batches is None else _join(validate.over(x, model.summarise))
        x, total, batches = _totalled(x, total), None, None
    elif batches is None:
        x = validate.matrix(x)
    bound, n = -np.inf, None
    while True:
        if batches is None:
            q = model.infer(x, q)
            stats = model.expect(x, q)
        else:
            q, stats = _infer(model, batches, q, keep)
        if n not in (None, stats.n):
            raise ValueError(f"x gave {n} rows at first and {stats.n} now; wanted the same batches")
        n = stats.n
        stats = _totalled(stats, total)
        bound = _risen(bound, model, stats, "inference")
        yield Step("inference", model, q, stats, bound)
        model = model.learn(stats)
        bound = _risen(bound, model, stats, "learning")
        yield Step("learning", model, q, stats, bound)


def fit(
    model: Model,
    x,
    q=None,
    *,
    max_iter: int = 1000,
    tol: float = 1e-6,
    batch_size: int | None = None,
    total: Callable[[Any], Any] | None = None,
    progress: bool | None = None,
) -> Fit:
    """Alternate inference and learning until the bound rises by less than `tol` nats per datum.

    x (N, D), or batches of it; `batch_size` and `total` as in `steps`. Makes at most `max_iter`
    learning steps and ends with inference, so that the model and q belong together; `progress` as
    in `progress.bar`. Eq. ascent: `bounds` never falls. Raises what `steps` raises.
    """
    max_iter = validate.count(max_iter, "max_iter", 0)
    tol = validate.scalar(tol, "tol", 0.0)
    bounds, converged = [], False
    all_steps = steps(model, x, q, batch_size=batch_size, total=total)
    inferences = (s for s in all_steps if s.half == "inference")
    with progress_bar(max_iter, progress, desc="EM", unit="step") as bar:
        for step in itertools.islice(inferences, max_iter + 1):
            bounds.append(step.bound)
            if len(bounds) > 1:
                converged = bounds[-1] - bounds[-2] < tol * step.stats.n
                bar.update(f"{step.bound / step.stats.n:.6f} nats per datum")
            if converged:
                break
    return Fit(step.model, step.q, np.array(bounds), converged)


class Update(NamedTuple):
    """The state after one batch of a stream."""

    model: Any  # θ
    bound: float  # L(q, θ) of the batch for the θ that met it, nats per datum
    seen: int  # data so far


def online(model: Model, x, *, power: float = 0.6, delay: int = 10) -> Iterator[Update]:
    """Yield an `Update` after each batch of x, having learned from it: EM in one pass.

    x is any iterable of arrays (n, D) in random order, and may be one that can be read only once.
    The statistics of a datum, s, are an average that forgets: s ← (1 - ρ_t) s + ρ_t s(batch t)
    with ρ_t = t^-power. A power above ½ makes noise die out (Σ ρ_t² is finite), and one up to 1
    lets the start be forgotten (Σ ρ_t is not). The first `delay` batches are averaged with equal
    weight before anything is learned, so that no component learns from a handful of data. What a
    pass achieves is counted in steps, so small batches get further; but noise is left that costs
    about P ρ_t / 4n nats per datum for P parameters, so they are not to be too small. A prior
    weighs as it would beside all data seen so far. Each bound is of data not yet learned from.

    The bound is noisy and may fall. Raises `ValueError` where x ends before the first learning
    step, and what the model raises. Source: Cappé and Moulines 2009, Journal of the Royal
    Statistical Society B 71, 593-613.
    """
    _check(model)
    power, delay = validate.scalar(power, "power"), validate.count(delay, "delay")
    if not 0.5 < power <= 1:
        raise ValueError(f"power is {power}; wanted a number above 0.5 and at most 1")
    if not (hasattr(x, "__next__") or validate.is_stream(x)):
        validate.matrix(x)
        raise TypeError("x is one array; wanted batches of it, as np.array_split(x, 100) makes")

    def work(batch: Array) -> Stats:
        return model.expect(batch, model.infer(batch))

    average, seen, t = None, 0, 0
    for stats in validate.over(x, work):
        n, seen, t = stats.n, seen + stats.n, t + 1
        bound = model.lower_bound(stats * (seen / n)) / seen
        rate = n / seen if t <= delay else t**-power
        batch = stats * (rate / n)
        average = batch if average is None else average * (1 - rate) + batch
        if t >= delay:
            model = model.learn(average * seen)
        yield Update(model, bound, seen)
    if t < delay:
        raise ValueError(f"x gave {t} batches; wanted at least {delay}, the delay, to learn from")


def _check(model) -> None:
    needed = ("infer", "expect", "learn", "lower_bound")
    if isinstance(model, type) or not all(callable(getattr(model, m, None)) for m in needed):
        found = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"model is {found}; wanted a model, with its {', '.join(needed)}")


def _batches(model: Model, x, batch_size: int | None) -> tuple[Any, bool]:
    """Return the batches that x is or is cut into, or None, and whether to keep their q's."""
    if hasattr(x, "__next__"):
        raise TypeError(
            "x is an iterator, which can be read only once, and EM reads its data in every "
            "iteration; wanted an array, or batches that can be read again: a list of arrays, or "
            "data.Shards(folder). For one pass there is em.online"
        )
    if validate.is_stream(x):
        if batch_size is not None:
            raise ValueError(f"batch_size is {batch_size}; wanted None, for x is in batches")
        return x, getattr(model, "needs_q", True)
    if batch_size is None:
        return None, True
    x, size = validate.matrix(x), validate.count(batch_size, "batch_size")
    return [x[i : i + size] for i in range(0, len(x), size)], True


def _infer(model: Model, batches, q, keep: bool) -> tuple[list | None, Stats]:
    """Return the q of each batch, where they are kept, and the statistics of all."""
    old = itertools.chain(q if isinstance(q, list) else [], itertools.repeat(None))
    qs, count = [], 0

    def work(batch: Array) -> Stats:
        nonlocal count
        q_batch, count = model.infer(batch, next(old)), count + 1
        if keep:
            qs.append(q_batch)
        return model.expect(batch, q_batch)

    stats = _join(validate.over(batches, work))
    if q is not None and not (isinstance(q, list) and len(q) == count):
        raise ValueError(f"q must be a list of {count}, one for each batch of x")
    return (qs if keep else None), stats


def _totalled(part, total):
    """Return what `total` makes of a part of the sums: the same kind of sums."""
    return part if total is None else validate.kind(total(part), "what total returned", type(part))


def _join(parts: Iterator[Any]) -> Any:
    return functools.reduce(operator.add, parts)


def _risen(old: float, model: Model, stats: Stats, half: str) -> float:
    """Return the bound, having checked that it is a number and not below `old` beyond rounding."""
    new = model.lower_bound(stats)
    # Rounding in a sum over data: relative to its size, and to the N terms where they cancel.
    rounding = 1e-10 * (abs(new) + stats.n)
    if hasattr(model, "rounding"):
        rounding += model.rounding(stats)
    if not new >= old - rounding:  # also where new is NaN
        raise BoundDecreased(
            f"the {half} step lowered the bound from {old:.10g} to {new:.10g} nats; the update or "
            "the bound of this model is wrong"
        )
    return new
