"""Numbers of the exam questions on chapter 12, a model of your own."""

import numpy as np

from lfm import bound
from lfm.checks.chapter_12 import smoothed
from lfm.checks.questions.drawing import Numbers, pick, tenths


def which_template(rng) -> Numbers | None:
    pi, x = tenths(rng, 2), rng.integers(2, size=3)
    p, q = pick(rng, 0.1, 0.9, 0.1, (2, 3))
    log_joint = np.log(pi) + np.log(np.where(x, [p, q], [1 - p, 1 - q])).sum(axis=1)
    r, log_p = bound.posterior(log_joint), bound.log_marginal(log_joint)
    if len(set(x)) < 2 or r.min() < 0.05 or (p == q).any():
        return None
    return Numbers(log_joint[0], log_p, r[0], pi=pi, p=p, q=q, x=x, joint=np.exp(log_joint))


def templates_with_a_prior(rng) -> Numbers:
    K, N = int(rng.integers(3, 9)), int(pick(rng, 40, 200, 10))
    c = float(rng.choice([0.2, 0.5, 1, 2]))
    N_1 = float(pick(rng, 5, 30, 0.5))
    s = round(N_1 * float(pick(rng, 0.1, 0.9, 0.1)), 1)
    claimed, shares = np.array([[N_1]]), (s / N_1, 0.0)  # as if in one picture of that weight
    ink, none = (float(smoothed(np.array([[x]]), claimed, c)[0, 0]) for x in shares)
    return Numbers((N_1 + c) / (N + K * c), ink, none, K=K, N=N, N_1=N_1, s=s, c=c)
