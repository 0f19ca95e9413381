"""Numbers of the exam questions on chapter 11, scaling out."""

import numpy as np

from lfm.checks.chapter_11 import as_in_the_chapter, merged
from lfm.checks.questions.drawing import Numbers, pick


def what_an_iteration_costs(rng) -> Numbers | None:
    K, D, doublings = (
        int(rng.choice(some)) for some in ([4, 8, 16, 32], range(3, 13), range(2, 6))
    )
    N, P = float(pick(rng, 2, 40, 2)), 2**doublings  # millions of data
    v, band, trip = (float(rng.choice(some)) for some in ([100, 200, 400], [1, 10, 20], [1, 2, 5]))
    numbers = as_in_the_chapter(K, D)
    rounds, piece = 2 * (P - 1), 8 * numbers / (P * band * 1e6) * 1000  # milliseconds
    exchange, work = rounds * (trip + piece), N * 1e6 / (P * v * 1e3)
    if piece < 0.01:
        return None
    cluster = {"P": P, "v": v, "band": band, "trip": trip, "rounds": rounds}
    parts = {"numbers": numbers, "piece": piece, "work": work}
    return Numbers(numbers, exchange, work + exchange / 1000, K=K, D=D, N=N, **cluster, **parts)


def scatter_of_two_parts(rng) -> Numbers | None:
    n, mean = pick(rng, 4, 30, 1, 2).astype(int), pick(rng, 1, 9, 0.5, 2)
    scatter = pick(rng, 5, 60, 1, 2)
    if n[0] == n[1] or abs(mean[0] - mean[1]) < 1:
        return None
    one, two = ((n[i], mean[[i]], scatter[[i]]) for i in (0, 1))
    together = float(merged(*one, *two)[0, 0])
    between = together - scatter.sum()
    return Numbers(n @ mean / n.sum(), together, between=between, n=n, mean=mean, S=scatter)


def one_step_of_online_em(rng) -> Numbers | None:
    power, t, n = float(pick(rng, 0.6, 0.9, 0.1)), *map(int, rng.integers([3, 10], [40, 60]))
    r, mean = float(pick(rng, 0.2, 0.6, 0.05)), float(pick(rng, 1, 5, 0.5))
    sum_r, other = float(pick(rng, 0.2, 0.7, 0.05)) * n, float(pick(rng, 1, 5, 0.5))
    if abs(mean - other) < 1 or 1 in (mean, other):  # with a mean of 1 Σ r and Σ r x are the same
        return None
    rx, sum_rx, rate = round(r * mean, 6), round(sum_r * other, 6), t**-power
    new_r, new_rx = ((1 - rate) * s + rate * batch / n for s, batch in ((r, sum_r), (rx, sum_rx)))
    batch = {"sum_r": sum_r, "sum_rx": sum_rx, "batch_r": sum_r / n, "batch_rx": sum_rx / n}
    shown = {"power": power, "t": t, "n": n, "r": r, "rx": rx, "rate": rate, **batch}
    return Numbers(new_r, new_rx, new_rx / new_r, **shown)


def fit_on_two_machines(rng) -> Numbers | None:
    N = np.array([pick(rng, 60, 200, 10), pick(rng, 10, 50, 10)])
    shares, means = pick(rng, 0.2, 0.8, 0.1, 2), pick(rng, 1, 9, 0.5, 2)
    r = np.round(N * shares, 6)
    rx = np.round(r * means, 6)
    weight, mean = r.sum() / N.sum(), rx.sum() / r.sum()
    if abs(shares.mean() - weight) < 0.03 or abs(means.mean() - mean) < 0.3:
        return None
    sums = {"sum_r": r.sum(), "sum_rx": rx.sum(), "total": N.sum(), "weight": weight, "mean": mean}
    wrong = {"mean_of_means": means.mean(), "mean_of_shares": shares.mean()}
    return Numbers(N=N, r=r, rx=rx, shares=shares, means=means, **sums, **wrong)
