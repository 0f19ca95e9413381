"""Expectation maximization in one pass over a stream."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lfm.em import Model, Stats
from lfm.engine import passes, validate

Array = np.ndarray


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
    passes.check_model(model)
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
