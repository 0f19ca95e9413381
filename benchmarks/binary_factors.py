"""An iteration of the binary factors against the matrix products that it cannot do without.

Run it with `make bench`: one thread, interleaved, medians. Mean field needs Wᵀy, one product of a
row with the K switches for each of its K updates, y mᵀ and m mᵀ; they are timed on the same chunks.
Goals: no more than 3 times the products at 100k × 64 with K = 16; exact inference for K = 12 and
10k data without the (N, 2^K) table.
"""

import numpy as np
from common import extra_memory, note, note_times, seconds
from threadpoolctl import threadpool_limits

from lfm import em
from lfm.variational_em import BinaryFactors

ROUNDS, CHUNK = 7, 3000


def problem(n, d, k, rng):
    loadings = rng.standard_normal((d, k))
    truth = BinaryFactors(loadings, np.zeros(d), 1.0, rng.uniform(0.1, 0.5, k))
    return truth, truth.sample(n, rng=rng)[0]


def ours(model, x, q):
    """One iteration as `em.fit` makes it, both bounds included."""
    stats = model.expect(x, model.infer(x, q))
    model.lower_bound(stats)
    model.learn(stats).lower_bound(stats)


def products(model, x, probs):
    gram = model.loadings.T @ model.loadings
    for i in range(0, len(x), CHUNK):
        y, m = x[i : i + CHUNK], np.ascontiguousarray(probs[i : i + CHUNK].T)  # (K, n)
        model.loadings.T @ y.T
        for row in gram:
            row @ m
        y.T @ probs[i : i + CHUNK]
        m @ m.T


def mean_field(n, d, k):
    _, x = problem(n, d, k, np.random.default_rng(0))
    fit = em.fit(BinaryFactors.init(x, k, rng=0), x, max_iter=10, tol=0)
    times = {"lfm": [], "its products": []}
    for _ in range(ROUNDS):
        times["lfm"].append(seconds(lambda: ours(fit.model, x, fit.q)))
        times["its products"].append(seconds(lambda: products(fit.model, x, fit.q.probs)))
    memory = extra_memory(lambda: ours(fit.model, x, fit.q)) - n * k * 8 / 2**20
    case = f"binary factors, mean field, {n:,} × {d}, K = {k}"
    note_times(case, times, its_products=1 / 3)
    note(case, "extra memory beside the new q", memory, "MiB")


def exact(n, d, k):
    truth, x = problem(n, d, k, np.random.default_rng(0))
    model = BinaryFactors(truth.loadings, truth.mean, truth.noise, truth.probs, exact=True)
    gap = model.lower_bound(model.expect(x, model.infer(x))) - model.log_prob(x).sum()
    time = seconds(lambda: model.expect(x, model.infer(x)))
    memory = extra_memory(lambda: model.expect(x, model.infer(x)))
    case = f"binary factors, exact, {n:,} × {d}, K = {k}"
    note(case, "lfm", time, "s")
    table = n * 2**k * 8 / 2**20
    note(case, f"extra memory (the table of states: {table:.0f} MiB)", memory, "MiB", most=16)
    note(case, "bound less log likelihood", abs(gap) / n, "nats per datum", most=1e-9)


if __name__ == "__main__":
    with threadpool_limits(1):
        mean_field(100_000, 64, 16)
        exact(10_000, 64, 12)
