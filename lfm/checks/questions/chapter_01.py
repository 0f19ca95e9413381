"""Numbers of the exam questions on chapter 01, the lower bound."""

import numpy as np

from lfm import bound
from lfm.checks.questions.drawing import Numbers, pick, tenths


def bound_of_a_table(rng) -> Numbers:
    joint, q = rng.choice(np.arange(2, 31), 3, replace=False) / 100, tenths(rng, 3)
    parts = bound.decompose(q, np.log(joint))
    return Numbers(
        parts.log_marginal,
        parts.bound,
        parts.divergence,
        joint=joint,
        q=q,
        p_x=joint.sum(),
        expected=bound.expected_log_joint(q, np.log(joint)),
        entropy=bound.entropy(q),
        posterior=np.round(bound.posterior(np.log(joint)), 4),
    )


def divergence_both_ways(rng) -> Numbers | None:
    q, p = (np.array([a, round(1 - a, 2)]) for a in pick(rng, 0.05, 0.95, 0.05, 2))
    if abs(q[0] - p[0]) < 0.2:
        return None
    return Numbers(bound.kl(q, p), bound.kl(p, q), q=q, p=p)
