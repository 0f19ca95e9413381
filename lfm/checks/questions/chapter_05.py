"""Numbers of the exam questions on chapter 05, variational Bayes."""

import numpy as np

from lfm import bound
from lfm.checks.questions.drawing import Numbers, pick
from lfm.variational_bayes import BayesianGaussian, NormalGammaPrior


def mean_and_precision(rng) -> Numbers:
    y = pick(rng, -1, 5, 0.5, 3)
    mu_0, strength = float(pick(rng, 0, 3, 1)), float(rng.integers(1, 4))
    a_0, b_0, a, b = (float(v) for v in pick(rng, 1, 4, 0.5, 4))
    start = BayesianGaussian(NormalGammaPrior(mu_0, strength, a_0, b_0), shape=a, rate=b)
    stats = start.expect(y[:, None])
    moved = start.infer_mean(stats)
    end = moved.infer_prec(stats)
    squares = ((y - moved.mean) ** 2).sum() + strength * (moved.mean - mu_0) ** 2
    prior = {"mu_0": mu_0, "strength": strength, "a_0": a_0, "b_0": b_0}
    parts = {"squares": squares, "variances": (3 + strength) / moved.prec}
    return Numbers(moved.mean, moved.prec, end.shape, end.rate, y=y, a=a, b=b, **prior, **parts)


def too_narrow(rng) -> Numbers | None:
    a, b, c = pick(rng, 1, 6, 0.5), pick(rng, 1, 6, 0.5), pick(rng, -3, 3, 0.5)
    if c == 0 or c**2 >= 0.85 * a * b:
        return None
    cov = np.array([[a, c], [c, b]])
    inner = np.diag(1 / np.diag(np.linalg.inv(cov)))
    gap = bound.gaussian_kl(np.zeros(2), inner, np.zeros(2), cov)
    dets = {"det": np.linalg.det(cov), "product": np.prod(np.diag(inner))}
    return Numbers(inner[0, 0], gap, cov=cov, a=a, b=b, c=c, **dets)
