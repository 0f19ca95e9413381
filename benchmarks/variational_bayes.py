"""An iteration of the Bayesian mixture against scikit-learn's, from the same responsibilities.

Run it with `make bench`: one thread, interleaved, medians. Only ratios that were taken in the same
run mean anything. Goals: 5 times as fast at 20k × 16 with K = 16, 10 times at 200k × 2 with K = 3,
no more than 8 MiB beyond the data.
"""

import warnings

import numpy as np
from common import extra_memory, note, note_times, seconds
from sklearn.mixture import BayesianGaussianMixture as Peer
from threadpoolctl import threadpool_limits

from lfm.distributions import Categorical
from lfm.gaussian_mixture import GaussianMixture
from lfm.variational_bayes import BayesianMixture, MixturePrior

CASES = [(20_000, 16, 16, 5), (200_000, 2, 3, 10)]  # N, D, K; the least ratio to scikit-learn
# Blocks of iterations take turns: within a fit an iteration finds the caches as the last left them.
ROUNDS, BLOCK = 5, 20


def problem(n, d, k, rng):
    a = rng.standard_normal((k, d, d)) / np.sqrt(d)
    covs = a @ a.mT + 0.3 * np.eye(d)
    truth = GaussianMixture(
        np.full(k, 1 / k), 2 * rng.standard_normal((k, d)), (covs + covs.mT) / 2
    )
    x, _ = truth.sample(n, rng=rng)
    return x, rng.dirichlet(np.full(k, 0.5), size=n)


def ours(model, x):
    """Some iterations as `em.fit` makes them, both bounds included."""
    for _ in range(BLOCK):
        stats = model.infer_and_expect(x)
        model.lower_bound(stats)
        model = model.learn(stats)
        model.lower_bound(stats)
    return model


def theirs(peer, x):
    """Some iterations as its `fit` makes them, its bound included."""
    for _ in range(BLOCK):
        log_prob_norm, log_resp = peer._e_step(x)
        peer._m_step(x, log_resp)
        peer._compute_lower_bound(log_resp, log_prob_norm)


def report(n, d, k, goal):
    x, r = problem(n, d, k, np.random.default_rng(0))
    prior = MixturePrior(1.0, x.mean(0), 1.0, d + 2.0, np.eye(d))
    start = BayesianMixture.init(x, k, rng=0, prior=prior)
    start = start.learn(start.expect(x, Categorical(r)))
    peer = Peer(
        n_components=k, weight_concentration_prior_type="dirichlet_distribution",
        weight_concentration_prior=1.0, mean_prior=prior.mean, mean_precision_prior=1.0,
        degrees_of_freedom_prior=prior.dof, covariance_prior=prior.scale, reg_covar=0,
    )  # fmt: skip
    peer._check_parameters(x)
    peer._initialize(x, r)
    times = {"lfm": [], "scikit-learn": []}
    model = start
    for _ in range(ROUNDS):  # both go on iterating, so that they may be compared at the end
        new = []
        times["lfm"].append(seconds(lambda m=model, out=new: out.append(ours(m, x))) / BLOCK)
        times["scikit-learn"].append(seconds(lambda: theirs(peer, x)) / BLOCK)
        model = new[0]
    gap = np.abs(model.concentration / peer.weight_concentration_ - 1).max()
    memory = extra_memory(lambda: ours(model, x)), extra_memory(lambda: theirs(peer, x))
    case = f"Bayesian mixture {n:,} × {d}, K = {k}"
    note_times(case, times, scikit_learn=goal)
    note(case, "extra memory, lfm", memory[0], "MiB", most=8)
    note(case, "extra memory, scikit-learn", memory[1], "MiB")
    note(case, f"relative difference after {ROUNDS * BLOCK} iterations", gap, "", most=1e-6)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        for case in CASES:
            report(*case)
