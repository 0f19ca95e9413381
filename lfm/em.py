"""The loop of inference and learning. It knows no model: whatever has the methods will run.

    q ← argmax_q L(q, θ)      inference, the E-step
    θ ← argmax_θ L(q, θ)      learning, the M-step

Both steps raise the same lower bound L, so the loop checks at every half-step that it did rise.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol, Self

import numpy as np

from lfm.engine import constants, passes
from lfm.engine.progress import bar as progress_bar
from lfm.engine.signatures import Amount, Whole, checked
from lfm.engine.values import Late

Array = np.ndarray
Total = Callable[[Any], Any]  # the sums of all data from those of the part that is here


@dataclass(frozen=True, eq=False)
class Stats:
    """Expected sufficient statistics of (x, z) under q, summed over data, and H[q] in nats.

    Eq. sufficient-statistics. `+` joins two batches, field by field.
    """

    n: int  # N
    entropy: float  # H[q]

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.sums(), other.sums()
        for name, value in mine.items():
            if np.shape(value) != np.shape(theirs[name]):
                shapes = f"{np.shape(theirs[name])} and {np.shape(value)}"
                raise ValueError(f"statistics with {name} of shape {shapes} do not add")
        return replace(self, **{name: value + theirs[name] for name, value in mine.items()})

    def __radd__(self, other) -> Self:
        """Return self for 0 + self, so that `sum` adds up batches."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    @checked
    def __mul__(self, weight: Amount) -> Self:
        """Return the statistics of data of which each counts `weight` times."""
        return replace(self, **{name: weight * value for name, value in self.sums().items()})

    __rmul__ = __mul__

    def sums(self) -> dict[str, Any]:
        """Return the fields that are sums over data."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, eq=False)
class CentredStats(Stats):
    """Statistics of y = x - origin, which serves accuracy alone. `+` keeps the first's origin."""

    origin: Any

    def __add__(self, other: Self) -> Self:
        same = type(other) is type(self) and np.shape(other.origin) == np.shape(self.origin)
        return super().__add__(other.about(self.origin) if same else other)

    def about(self, origin) -> Self:
        """Return the same statistics about another origin."""
        raise NotImplementedError

    def sums(self) -> dict[str, Any]:
        """Return the fields that are sums over data: all but the origin."""
        return {name: value for name, value in super().sums().items() if name != "origin"}


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

        Where the model has a prior on θ, ln p(θ) is added: that sum is what must not fall.
        """


class OptionalParts(Protocol):
    """What a model may have besides; the loop uses the methods and `needs_q` where it has them."""

    needs_q: bool  # whether `infer` goes on from the old q (True where a model does not say)
    # Whether `infer` returns the posterior itself (False where not said). For `checks.contract`.
    exact_inference: bool

    def infer_and_expect(self, x: Array) -> Stats:
        """Return `expect(x, infer(x))` in one pass over x that never holds q whole.

        Where a model has it and does not need q, the loop runs it, and `infer` when q is read.
        """

    def summarise(self, x: Array) -> Any:
        """Return sums that say all of x that the model asks for; `+` joins those of batches.

        The loop then reads x once (but not with a `batch_size`), and hands the sums to `infer` and
        `expect` in place of x. Sums that it returned before are returned as they are.
        """

    def rounding(self, stats: Stats) -> float:
        """Return how much of the bound, in nats, may be rounding: more for ill-conditioned data."""


@dataclass(frozen=True, eq=False)
class Step:
    """The state after one half-step."""

    half: Literal["inference", "learning"]
    model: Any  # θ
    q: Any = Late()  # q(Z), computed when it is read if the model has `infer_and_expect`
    stats: Stats
    bound: float  # L(q, θ) in nats


@dataclass(frozen=True, eq=False)
class Fit:
    """The end of a run: `q` is the inference of the `model` beside it."""

    model: Any
    q: Any = Late()  # as in `Step`; of batches see `steps`
    bounds: Array  # `lower_bound` after each inference step; one more than learning steps made
    converged: bool


class BoundDecreased(ArithmeticError):
    """A half-step lowered the bound beyond rounding, or made it NaN or ∞: a bug in the model.

    It is never bad luck: Eq. ascent promises that the bound never falls, and with exact inference
    nor does ln p(X).
    """


def steps(
    model: Model, x, q=None, *, batch_size: int | None = None, total: Total | None = None
) -> Iterator[Step]:
    """Return an iterator over a `Step` after every half-step, inference first, without end.

    The loop starts from `model` as it is and, if its inference goes on from an old q, from `q`. x
    is an array (N, D). With `batch_size`, it passes through inference that many rows at a time and
    q is a list, one for each batch. Or x is itself batches that can be read again and again, a list
    of arrays or `data.Shards`, of which one at a time is held. q is then None, and memory does not
    grow with N, where the model infers without the old q: call `model.infer(batch)` when you need
    the q of a batch. (Factor analysis has one q for all data, and keeps it.) A model that goes on
    from the old q (`variational_em`) needs a list of them, which takes memory for N × K.

    Where this process holds only a part of the data, `total` returns the sums of all data from
    those of the part, as `distributed.total` does: statistics, or what `summarise` returned.
    Arguments are checked at the call. A step raises `BoundDecreased`, and what the model raises.
    """
    return _half_steps(model, passes.over(model, x, batch_size, total), q)


def _half_steps(model: Model, data: "passes.Whole | passes.Batches", q) -> Iterator[Step]:
    bound = -np.inf
    while True:
        q = data.infer(model, q)  # q ← argmax_q L(q, θ)
        stats = data.expect(model, q)
        bound = _risen(bound, model, stats, "inference")
        yield Step("inference", model, q, stats, bound)
        model = model.learn(stats)  # θ ← argmax_θ L(q, θ)
        bound = _risen(bound, model, stats, "learning")
        yield Step("learning", model, q, stats, bound)


@checked
def fit(
    model: Model,
    x,
    q=None,
    *,
    max_iter: Whole = 1000,
    tol: Amount = 1e-6,
    batch_size: int | None = None,
    total: Total | None = None,
    progress: bool | None = None,
) -> Fit:
    """Alternate inference and learning until the bound rises by less than `tol` nats per datum.

    x (N, D), or batches of it; `batch_size` and `total` as in `steps`. Makes at most `max_iter`
    learning steps and ends with inference, so that the model and q belong together; `converged`
    says whether it stopped before. `progress` as in `progress.bar`. Eq. ascent: `bounds` never
    falls. Near a maximum with one parameter each iteration leaves the fraction R of the error,
    Eq. rate. Raises what `steps` raises.
    """
    bounds = []
    all_steps = steps(model, x, q, batch_size=batch_size, total=total)
    inferences = (s for s in all_steps if s.half == "inference")
    with progress_bar(max_iter, progress, desc="EM", unit="step") as bar:
        for step in itertools.islice(inferences, max_iter + 1):
            bounds.append(step.bound)
            if len(bounds) > 1:
                bar.update(f"{step.bound / step.stats.n:.6f} nats per datum")
            if converged := settled(bounds, step.stats.n, tol):
                break
    return Fit(step.model, vars(step)["q"], np.array(bounds), converged)  # q is not read here


def settled(bounds: list[float], n: float, tol: float) -> bool:
    """Tell whether the last rise of the bound was less than `tol` nats for each of n data."""
    return len(bounds) > 1 and bounds[-1] - bounds[-2] < tol * n


def _risen(old: float, model: Model, stats: Stats, half: str) -> float:
    """Return the bound, having checked that it is a number and not below `old` beyond rounding."""
    new = model.lower_bound(stats)
    if np.isnan(new) or new == np.inf:
        raise BoundDecreased(f"after the {half} step the bound is {new}; wanted a number of nats")
    rounding = constants.ROUNDING * (abs(new) + stats.n)
    if hasattr(model, "rounding"):
        rounding += model.rounding(stats)
    if new < old - rounding or new == -np.inf < old:
        raise BoundDecreased(
            f"the {half} step lowered the bound from {old:.10g} to {new:.10g} nats; the update or "
            "the bound of this model is wrong"
        )
    return new
