"""One EM iteration of the Gaussian mixture against its peers, from the same parameters.

Run it with `make bench`: one thread, peers interleaved, medians. Machines differ and are shared,
so only ratios that were taken in the same run mean anything.
"""

import warnings

import numpy as np
import torch
from common import extra_memory, note, note_times, problem, seconds, thin_products
from pomegranate.distributions import Normal
from pomegranate.gmm import GeneralMixtureModel
from sklearn.mixture import GaussianMixture as Peer
from threadpoolctl import threadpool_limits

from lfm import em
from lfm.gaussian_mixture import GaussianMixture

# N, D, K; the least ratios to scikit-learn and of the bare matrix products
CASES = [(200_000, 16, 16, 6, 0.4), (1_000_000, 2, 3, 12, None), (50_000, 64, 32, 3, 0.65)]
ROUNDS = 5


def ours(model, x):
    """One iteration as `em.fit` makes it, both bounds included."""
    stats = model.infer_and_expect(x)
    model.lower_bound(stats)
    new = model.learn(stats)
    new.lower_bound(stats)
    return new


def sklearn_like(model, x, max_iter=1):
    peer = Peer(
        len(model.weights), reg_covar=0, tol=0, max_iter=max_iter, weights_init=model.weights,
        means_init=model.means, precisions_init=np.linalg.inv(model.covs),
    )  # fmt: skip
    # What its first iteration needs, so that `_e_step` and `_m_step` can be timed alone.
    peer._initialize(x, np.full((len(x), len(model.weights)), 1 / len(model.weights)))
    return peer


def sklearn_iteration(peer, x):
    _, log_resp = peer._e_step(x)
    peer._m_step(x, log_resp)


def pomegranate_like(model):
    parts = [
        Normal(torch.tensor(m), torch.tensor(c))
        for m, c in zip(model.means, model.covs, strict=True)
    ]
    return GeneralMixtureModel(parts, priors=torch.tensor(model.weights))


def pomegranate_iteration(peer, x):
    peer.summarize(x)
    peer.from_summaries()


def report(n, d, k, peer_goal, floor_goal):
    x, model = problem(n, d, k, np.random.default_rng(0))
    theirs, xt = sklearn_like(model, x), torch.from_numpy(x)
    times = {"lfm": [], "scikit-learn": [], "pomegranate": [], "bare products": []}
    for _ in range(ROUNDS):
        fresh = GaussianMixture(model.weights, model.means, model.covs)
        times["lfm"].append(seconds(lambda m=fresh: ours(m, x)))
        times["scikit-learn"].append(seconds(lambda: sklearn_iteration(theirs, x)))
        other = pomegranate_like(model)
        times["pomegranate"].append(seconds(lambda p=other: pomegranate_iteration(p, xt)))
        times["bare products"].append(thin_products(n, d, k))
    fresh = GaussianMixture(model.weights, model.means, model.covs)
    memory = (
        extra_memory(lambda: ours(fresh, x)),
        extra_memory(lambda: sklearn_iteration(theirs, x)),
    )
    part = x[:20_000]
    fit = em.fit(model, part, max_iter=20, tol=0)
    peer = Peer(
        k, reg_covar=0, tol=0, max_iter=20, weights_init=model.weights, means_init=model.means,
        precisions_init=np.linalg.inv(model.covs),
    ).fit(part)  # fmt: skip
    gap = abs(fit.bounds[-1] / len(part) - peer.score(part))
    case = f"mixture {n:,} × {d}, K = {k}"
    note_times(case, times, scikit_learn=peer_goal, bare_products=floor_goal)
    note(case, "extra memory, lfm", memory[0], "MiB", most=8)
    note(case, "extra memory, scikit-learn", memory[1], "MiB")
    note(case, "difference after 20 iterations", gap, "nats per datum", most=1e-9)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # scikit-learn's: that 20 iterations did not converge
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for case in CASES:
            report(*case)
