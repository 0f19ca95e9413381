"""Numbers of the exam questions on chapter 02, expectation maximization."""

import numpy as np

from lfm import bound
from lfm.checks.questions.drawing import Numbers, pick
from lfm.toy import TwoBells


def iteration_of_two_bells(rng) -> Numbers | None:
    x, theta = pick(rng, -1.5, 4.5, 0.5, 3), float(pick(rng, 1, 3, 0.5))
    if len(set(x)) < 3:
        return None
    model, column = TwoBells(theta), x[:, None]
    q = model.infer(column)
    stats = model.expect(column, q)
    r, new = q.probs[:, 1], model.learn(stats)
    return Numbers(r[0], r[1], new.theta, x=x, theta=theta, r=r, rx=stats.rx, sum_r=stats.r)


def slope_by_fisher(rng) -> Numbers | None:
    x, theta = pick(rng, -1, 4, 0.5, 3), float(pick(rng, 0.5, 3, 0.5))
    if len(set(x)) < 3 or theta in x:
        return None
    r = TwoBells(theta).infer(x[:, None]).probs
    slopes = np.column_stack([np.zeros(3), x - theta])
    return Numbers(bound.gradient(r, slopes).sum(), x=x, theta=theta, r=r[:, 1])
