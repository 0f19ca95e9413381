"""Numbers of the exam questions on chapter 08, the variational autoencoder."""

import numpy as np

from lfm import bound, gradients
from lfm.checks.questions.drawing import Numbers, pick
from lfm.gaussian_mixture import GaussianMixture


def divergence_from_the_prior(rng) -> Numbers:
    mean, log_var = pick(rng, -2, 2, 0.5, 2), pick(rng, -3, 1, 0.5, 2)
    value = bound.gaussian_kl(mean, np.diag(np.exp(log_var)), np.zeros(2), np.eye(2))
    terms = 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var)
    std = np.exp(log_var / 2)
    z = gradients.sample(mean, std, np.ones((1, 2)))[0].numpy()
    return Numbers(value, z[0], mean=mean, log_var=log_var, terms=terms, std=std[0])


def narrow_pixels(rng) -> Numbers | None:
    std, mean = pick(rng, 0.02, 0.2, 0.02, 2), pick(rng, 0.2, 0.8, 0.1, 2)
    off = pick(rng, -1.5, 1.5, 0.5, 2) * std
    x = np.round(mean + off, 3)
    value = GaussianMixture([1.0], mean[None], np.diag(std**2)[None]).log_prob(x[None])[0]
    if value < 0.5:
        return None
    each = -0.5 * (np.log(2 * np.pi * std**2) + (x - mean) ** 2 / std**2)
    return Numbers(value, mean=mean, std=std, x=x, each=each)
