"""Numbers of the exam questions on chapter 10, closing the gap."""

from functools import partial

import numpy as np

from lfm import bound, figures
from lfm.checks.questions.drawing import Numbers, pick
from lfm.factor_analysis import FactorAnalysis


def what_a_product_loses(rng) -> Numbers | None:
    W, var = pick(rng, -2, 3, 1, (2, 2)), float(pick(rng, 0.5, 2, 0.5))
    if W[:, 0] @ W[:, 1] == 0 or abs(np.linalg.det(W)) < 1:
        return None
    q = FactorAnalysis(W, np.zeros(2), np.full(2, var), isotropic=True).infer(np.zeros((1, 2)))
    precision = np.linalg.inv(q.cov)
    inner = np.diag(1 / np.diag(precision))
    return Numbers(
        bound.gaussian_kl(np.zeros(2), inner, np.zeros(2), q.cov),
        q.cov[0, 0],
        W=W,
        var=var,
        precision=np.round(precision, 4),
        log_diagonal=np.log(np.diag(precision)).sum(),
        log_det=np.log(np.linalg.det(precision)),
    )


def average_inside_the_log(rng) -> Numbers | None:
    w = pick(rng, 0.01, 0.6, 0.01, 3)
    if len(set(w)) < 3 or w.max() < 3 * w.min():
        return None
    logs = np.log(w)
    one = bound.expected_log_joint(np.full(3, 1 / 3), logs)
    three = bound.log_marginal(logs) - np.log(3)
    return Numbers(one, three, w=w, logs=logs, average=w.mean())


def which_columns_die(rng) -> Numbers | None:
    lam, var = np.sort(pick(rng, 0.5, 9, 0.5, 4))[::-1], float(pick(rng, 1, 6, 0.5))
    close = (np.abs(np.log(lam / var)) < 0.2).any()
    if len(set(lam)) < 4 or close or lam[0] < 1.5 * var or lam[-1] > var:
        return None
    alive = sum(_gain(lam, var, i, 0.1 * var) > 0 for i in range(4))
    gain = _gain(lam, var, 0, lam[0] - var)
    return Numbers(int(alive), gain, lam=lam, var=var, ratio=lam[0] / var)


def _gain(lam, var: float, direction: int, square: float) -> float:
    """Return how much a column of that squared length raises ln p, in nats per datum."""
    corners = np.diag(np.sqrt(4 * lam))
    x, noise = np.vstack([corners, -corners]), np.full(4, var)
    W = np.zeros((4, 1))
    without = FactorAnalysis(W, np.zeros(4), noise).log_prob(x).mean()
    W[direction] = np.sqrt(square)
    return FactorAnalysis(W, np.zeros(4), noise).log_prob(x).mean() - without


def two_gaps_of_two_encoders(rng) -> Numbers | None:
    log_p = float(pick(rng, -95, -85, 1))
    approximation, amortisation = pick(rng, 0.2, 2, 0.2, (2, 2))
    if approximation[0] == approximation[1] or amortisation[0] <= approximation[0]:
        return None
    best = np.round(log_p - approximation, 6)
    network = np.round(best - amortisation, 6)
    if network[0] == network[1]:
        return None
    return Numbers(
        approximation[0],
        amortisation[1],
        "AB"[int(approximation.argmin())],
        log_p=log_p,
        best=best,
        network=network,
        approximation=approximation,
        amortisation=amortisation,
        picture=partial(_gaps, network, best, log_p),
    )


def _gaps(network, best, log_p: float):
    fig, ax = figures.new(width=7.5, height=3)
    for y, (low, high) in enumerate(zip(network, best, strict=True)):
        ax.plot([low, log_p], [y, y], color="0.7", lw=1)
        ax.plot(low, y, "ko", ms=9, label="bound of the encoder" if y == 0 else None)
        ax.plot(high, y, "ks", ms=9, mfc="white", label="best q of its family" if y == 0 else None)
    ax.axvline(log_p, color="black", label="ln p(x)")
    ticks = np.arange(round(network.min() * 5) - 1, round(log_p * 5) + 2) / 5
    ax.set_xticks(ticks, [f"{tick:.1f}" if i % 2 else "" for i, tick in enumerate(ticks)])
    ax.set_yticks([0, 1], ["A", "B"])
    ax.tick_params(axis="x", labelrotation=90)
    ax.grid(axis="x", color="0.85", lw=0.6)
    ax.set(xlabel="nats", ylabel="encoder", ylim=(1.5, -0.5))
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    return fig
