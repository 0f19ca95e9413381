"""Numbers of the exam questions on chapter 01, the lower bound."""

from functools import partial

import numpy as np

from lfm import bound, figures
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
    one, other = bound.kl(q, p), bound.kl(p, q)
    if abs(q[0] - p[0]) < 0.2 or abs(one - other) < 0.05:  # exchanging them must not pay
        return None
    return Numbers(one, other, q=q, p=p)


def bars_of_the_bound(rng) -> Numbers:
    log_p = float(pick(rng, -5, -3, 0.2))
    losses = rng.permutation([0, *rng.choice(np.arange(1, 11), 3, replace=False) / 5])
    bounds = np.round(log_p - losses, 6)
    *others, best = np.argsort(-losses)
    one, (low, high) = others[rng.integers(3)], others[:2] if rng.integers(2) else others[1:]
    return Numbers(
        losses[one],
        losses[low] - losses[high],
        "ABCD"[best],
        one="ABCD"[one],
        low="ABCD"[low],
        high="ABCD"[high],
        bounds=bounds,
        log_p=log_p,
        picture=partial(_bars, bounds, log_p),
    )


def _bars(bounds, log_p: float):
    fig, ax = figures.new(width=6, height=4.2)
    foot = bounds.min() - 0.4
    ax.bar(list("ABCD"), bounds - foot, 0.5, bottom=foot, color="0.6", label="bound L(q)")
    ax.bar(
        list("ABCD"), log_p - bounds, 0.5, bottom=bounds, color="white", ec="black", hatch="///",
        label="from L(q) to ln p(x)",
    )  # fmt: skip
    ax.axhline(log_p, color="black", label="ln p(x)")
    ax.set_yticks(np.arange(round(foot * 5), round(log_p * 5) + 2) / 5)
    ax.grid(axis="y", color="0.8", lw=0.6)
    ax.set(ylabel="nats", axisbelow=True)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
