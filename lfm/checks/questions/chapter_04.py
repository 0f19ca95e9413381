"""Numbers of the exam questions on chapter 04, factor analysis."""

import numpy as np

from lfm.checks.questions.drawing import Numbers, pick
from lfm.factor_analysis import FactorAnalysis


def posterior_of_an_ability(rng) -> Numbers:
    w, psi = pick(rng, 1, 4, 1, 2), pick(rng, 1, 9, 1, 2)
    mean, x = pick(rng, 40, 60, 5, 2), pick(rng, 40, 70, 1, 2)
    q = FactorAnalysis(w[:, None], mean, psi).infer(x[None])
    return Numbers(
        q.cov[0, 0],
        q.mean(x[None])[0, 0],
        w=w,
        mean=mean,
        psi=psi,
        x=x,
        precision=1 + (w**2 / psi).sum(),
        pull=(w * (x - mean) / psi).sum(),
    )


def free_parameters(rng) -> Numbers | None:
    d, k = int(rng.integers(5, 13)), int(rng.integers(2, 5))
    if (d - k) ** 2 < d + k:  # then W and Ψ are more than the covariance of x can tell
        return None
    model = FactorAnalysis(np.ones((d, k)), np.zeros(d), np.ones(d))
    turns = k * (k - 1) // 2
    written_down = int(model.loadings.size + model.mean.size + model.noise.size)
    return Numbers(written_down, written_down - turns, d=d, k=k, entries=d * k, turns=turns)


def probabilistic_pca(rng) -> Numbers | None:
    lam = np.sort(pick(rng, 1, 20, 1, 4))[::-1]
    if len(set(lam)) < 4 or lam[1] - lam[2:].mean() < 1:
        return None
    corners = np.diag(np.sqrt(4 * lam))
    model = FactorAnalysis.ppca(np.vstack([corners, -corners]), 2)
    lengths = np.sort((model.loadings**2).sum(0))[::-1]
    return Numbers(model.noise[0], lengths[0], lengths[1], lam=lam)


def fit_by_eigenvalues(rng) -> Numbers | None:
    numbers = probabilistic_pca(rng)
    if numbers is None:
        return None
    (noise, a, b), lam = numbers.answers, numbers.shown["lam"]
    noise = float(noise)
    return Numbers(lam=lam, noise=noise, a=a, b=b, G=noise / (a + noise), wrong_G=noise / a)
