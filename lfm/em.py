"""The loop of inference and learning. It knows no model: whatever has the methods will run.

    q ← argmax_q L(q, θ)      inference, the E-step
    θ ← argmax_θ L(q, θ)      learning, the M-step

Both steps raise the same lower bound L, so the loop checks at every half-step that it did rise.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
from tqdm.auto import tqdm

from lfm import _validate as validate

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
        above in place of x. It returns unchanged what it returned before.
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
    q: Any  # a list of one q for each batch, where batch_size was given
    bounds: Array  # L after each inference step, in nats; one more than learning steps made
    converged: bool


class BoundDecreased(ArithmeticError):
    """A half-step lowered the bound beyond rounding: a bug in the model, never bad luck.

    Eq. ascent promises that the bound never falls, and with exact inference nor does ln p(X).
    """


def steps(model: Model, x, q=None, *, batch_size: int | None = None) -> Iterator[Step]:
    """Yield a `Step` after every half-step, inference first, without end.

    The loop starts from `model` as it is and, where given, from `q`. With `batch_size`, data pass
    through inference that many rows at a time and q is a list, one for each batch.
    Raises `BoundDecreased`, and what the model raises for its input.
    """
    if batch_size is None and hasattr(model, "summarise"):
        x = model.summarise(x)
    else:
        x = validate.matrix(x)
    if batch_size is not None:
        batch_size = validate.count(batch_size, "batch_size")
    bound = -np.inf
    while True:
        q, stats = _infer(model, x, q, batch_size)
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
    progress: bool = False,
) -> Fit:
    """Alternate inference and learning until the bound rises by less than `tol` nats per datum.

    x (N, D). Makes at most `max_iter` learning steps and ends with inference, so that the model
    and q belong together. Eq. ascent: `bounds` never falls. Raises what `steps` raises.
    """
    max_iter = validate.count(max_iter, "max_iter", 0)
    tol = validate.scalar(tol, "tol", 0.0)
    bounds, converged = [], False
    inferences = (s for s in steps(model, x, q, batch_size=batch_size) if s.half == "inference")
    with tqdm(total=max_iter, disable=not progress, desc="EM", unit="step") as bar:
        for step in itertools.islice(inferences, max_iter + 1):
            bounds.append(step.bound)
            if len(bounds) > 1:
                converged = bounds[-1] - bounds[-2] < tol * step.stats.n
                bar.update()
                bar.set_postfix_str(f"{step.bound / step.stats.n:.6f} nats per datum")
            if converged:
                break
    return Fit(step.model, step.q, np.array(bounds), converged)


def _infer(model: Model, x: Array, q, batch_size: int | None) -> tuple[Any, Stats]:
    if batch_size is None:
        q = model.infer(x, q)
        return q, model.expect(x, q)
    batches = [x[i : i + batch_size] for i in range(0, len(x), batch_size)]
    old = [None] * len(batches) if q is None else q
    if not isinstance(old, list) or len(old) != len(batches):
        raise ValueError(f"q must be a list of {len(batches)}, one for each batch of x")
    qs, total = [], None
    for batch, q_batch in zip(batches, old, strict=True):
        qs.append(model.infer(batch, q_batch))
        stats = model.expect(batch, qs[-1])
        total = stats if total is None else total + stats
    return qs, total


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
