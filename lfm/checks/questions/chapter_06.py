"""Numbers of the exam questions on chapter 06, variational EM."""

from functools import partial

import numpy as np

from lfm import figures
from lfm.checks.questions.drawing import Numbers, pick
from lfm.distributions import Bernoulli
from lfm.variational_em import BinaryFactors


def one_sweep(rng) -> Numbers | None:
    W, x = pick(rng, 0, 2, 1, (2, 2)), pick(rng, 0, 2, 0.5, 2)
    pi, var = pick(rng, 0.2, 0.4, 0.1, 2), float(pick(rng, 0.5, 1.5, 0.5))
    m_2 = pick(rng, 0.1, 0.9, 0.1)
    m = BinaryFactors(W, np.zeros(2), var, pi).infer(x[None], Bernoulli([[0.5, m_2]])).probs[0]
    if not W.any(0).all() or W[:, 0] @ W[:, 1] == 0 or m.min() < 0.02 or m.max() > 0.98:
        return None
    a = np.log(m / (1 - m))
    return Numbers(m[0], m[1], w_1=W[:, 0], w_2=W[:, 1], var=var, pi=pi, x=x, m_2=m_2, a=a)


def all_four_states(rng) -> Numbers | None:
    w, pi = pick(rng, 1, 3, 1, 2), pick(rng, 0.1, 0.5, 0.1, 2)
    x, var = float(pick(rng, 0.5, 4, 0.5)), float(pick(rng, 0.5, 2, 0.5))
    model = BinaryFactors(w[None], np.zeros(1), var, pi, exact=True)
    probs, log_p = model.infer([[x]]).probs[0], model.log_prob([[x]])[0]
    if probs.min() < 0.02 or probs.max() > 0.98:
        return None
    states = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    prior = np.prod(np.where(states, pi, 1 - pi), axis=1)
    joint = prior * np.exp(-((x - states @ w) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var)
    return Numbers(log_p, probs[0], probs[1], pi=pi, w=w, var=var, x=x, joint=joint)


def bound_and_likelihood(rng) -> Numbers | None:
    rises = rng.integers(1, 4, 8)  # of the bound, at inference and learning in turn
    moves, falls, at = rng.integers(1, 4, 4), int(rng.integers(4)), int(rng.integers(4))
    moves[falls] *= -1  # of ln p, at each learning step
    bounds = -60 + np.cumsum(rises)
    log_p = bounds[0] + rng.integers(3, 8) + np.cumsum(np.column_stack([[0] * 4, moves]).ravel())
    gaps = log_p - bounds
    if gaps.min() < 1 or at == falls:
        return None
    rise, fall = int(rises[2 * falls + 1]), -int(moves[falls])
    return Numbers(
        int(gaps[2 * at]),
        falls + 1,
        rise + fall,
        at=at + 1,
        falls=falls + 1,
        rise=rise,
        fall=fall,
        bounds=bounds,
        log_p=log_p,
        gaps=gaps,
        picture=partial(_two_curves, bounds, log_p),
    )


def _two_curves(bounds, log_p):
    fig, ax = figures.new(width=7.5, height=5)
    figures.curve(ax, np.arange(8), log_p, style="o-", label="ln p(X | θ)")
    figures.curve(ax, np.arange(8), bounds, color="0.4", style="s--", label="bound L")
    ax.set_xticks(range(8), [f"{half} {i}" for i in range(1, 5) for half in ("inf.", "learn.")])
    ax.set_yticks(range(bounds.min() - 1, log_p.max() + 2))
    ax.grid(color="0.85", lw=0.6)
    ax.set(ylabel="nats", xlabel="after inference or learning of iteration 1 to 4")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return fig
