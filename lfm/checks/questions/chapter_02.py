"""Numbers of the exam questions on chapter 02, expectation maximization."""

from itertools import islice

import numpy as np

from lfm import bound, em
from lfm.checks.questions.drawing import Numbers, pick
from lfm.toy import TwoBells


def iteration_of_two_bells(rng) -> Numbers | None:
    x, theta = pick(rng, -1.5, 4.5, 0.5, 3), float(pick(rng, 1, 3, 0.5))
    # A variant asks which bell is nearer: no datum lies halfway, and the moving bell has one.
    if len(set(x)) < 3 or theta / 2 in x or max(x) < theta / 2:
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


def log_of_em(rng) -> Numbers | None:
    x, theta = pick(rng, -2, 5, 0.5, 6)[:, None], float(pick(rng, 0.5, 2.5, 0.5))
    steps = list(islice(em.steps(TwoBells(theta), x), 5))
    L = np.array([step.bound for step in steps])
    log_p = np.array([step.model.log_prob(x).sum() for step in steps])
    if np.diff(L[:4]).min() < 0.02:  # every rise can be seen
        return None
    off = rng.uniform(0.1, 0.5, 2)
    return Numbers(
        theta=np.array([step.model.theta for step in steps]),
        L=L,
        log_p=log_p,
        loose=(L[1] + L[2]) / 2,
        above=log_p[3] + off[0],
        fallen=L[0] - off[1],
    )
