"""The exercises of chapter 05: variational Bayes."""

import numpy as np
from scipy.special import digamma

from lfm.checks.exercise import Exercise

mean_field_gaussian = Exercise(
    "mean-field-gaussian",
    chapter="05",
    hint="Collect the terms of -½(z - μ)ᵀΛ(z - μ) in z₁, put m₂ for z₂, and find the top.",
    praise="the other factor enters by its mean alone",
)


@mean_field_gaussian.draw
def correlated_pair(rng):
    a = rng.normal(size=(2, 2))
    return rng.normal(size=2), a @ a.T + 0.3 * np.eye(2), float(rng.normal())


@mean_field_gaussian.reference
def best_mean(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / Lam[0, 0] * (m2 - mu[1])


@mean_field_gaussian.mistake("the sign: a positive entry of the precision pulls the means apart")
def wrong_sign(mu, Lam, m2):
    return mu[0] + Lam[0, 1] / Lam[0, 0] * (m2 - mu[1])


@mean_field_gaussian.mistake("divided by the precision of the other factor")
def other_precision(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / Lam[1, 1] * (m2 - mu[1])


@mean_field_gaussian.mistake("what counts is how far the other mean is from its own place, m₂ - μ₂")
def other_mean_not_centred(mu, Lam, m2):
    return mu[0] - Lam[0, 1] / Lam[0, 0] * m2


gamma_rate = Exercise(
    "gamma-rate",
    chapter="05",
    hint="Collect the terms of E[ln p(X, μ, τ)] that are linear in τ.",
    praise="the spread of q(μ) is part of it",
)


@gamma_rate.draw
def data_and_factors(rng):
    x = rng.normal(1, 2, size=8)
    return x, *rng.normal(size=2), *rng.uniform(0.5, 4, size=3)


@gamma_rate.reference
def updated_rate(x, mean, mean_0, prec, strength, rate):
    squares = np.square(x - mean).sum() + strength * (mean - mean_0) ** 2
    return rate + 0.5 * (squares + (len(x) + strength) / prec)


@gamma_rate.mistake("μ is treated as known: E[(x - μ)²] is (x - E[μ])² plus the variance of μ")
def mean_known(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, np.inf, strength, rate)


@gamma_rate.mistake("the prior of μ is missing; it contains τ as well")
def prior_of_the_mean_forgotten(x, mean, mean_0, prec, strength, rate):
    return rate + 0.5 * (np.square(x - mean).sum() + len(x) / prec)


@gamma_rate.mistake("the half is missing: the exponent of a Gaussian is -½ τ (x - μ)²")
def half_forgotten(x, mean, mean_0, prec, strength, rate):
    return 2 * updated_rate(x, mean, mean_0, prec, strength, rate) - rate


@gamma_rate.mistake("λ_N is a precision; the variance of μ is 1/λ_N")
def precision_for_variance(x, mean, mean_0, prec, strength, rate):
    return updated_rate(x, mean, mean_0, 1 / prec, strength, rate)


expected_log_weights = Exercise(
    "expected-log-weights",
    chapter="05",
    hint="Differentiate ln ∫ Π π_k^(α_k - 1) dπ = Σ ln Γ(α_k) - ln Γ(Σ α_k).",
    praise="an expected log always comes from a derivative of a log normaliser",
)


@expected_log_weights.draw
def concentrations(rng):
    return (rng.uniform(0.1, 5, size=4),)


@expected_log_weights.reference
def expected_logs(alpha):
    return digamma(alpha) - digamma(alpha.sum())


@expected_log_weights.mistake(
    "this is the log of the mean; the mean of the log is smaller (Jensen)"
)
def log_of_the_mean(alpha):
    return np.log(alpha / alpha.sum())


@expected_log_weights.mistake("the normalisation is missing: subtract the digamma of the sum")
def normalisation_forgotten(alpha):
    return digamma(alpha)


@expected_log_weights.mistake("the digamma of the sum, not the sum of the digammas")
def sum_of_digammas(alpha):
    return digamma(alpha) - digamma(alpha).sum()


expected_log_det = Exercise(
    "expected-log-det",
    chapter="05",
    hint="D digammas of halves, D ln 2 and ln|W|.",
    praise="what weighs the size of components against each other",
)


@expected_log_det.draw
def wishart(rng):
    a = rng.normal(size=(3, 3))
    return float(rng.uniform(3, 9)), a @ a.T + np.eye(3)


def mean_log_det(nu, W, first=1):
    d = len(W)
    halves = 0.5 * (nu + 1 - np.arange(first, first + d))
    return digamma(halves).sum() + d * np.log(2) + np.linalg.slogdet(W)[1]


@expected_log_det.reference
def mean_of_the_log(nu, W):
    return mean_log_det(nu, W)


@expected_log_det.mistake(
    "the digammas are off by one: (ν + 1 - i)/2 for i = 1 to D, so ν/2 comes first"
)
def off_by_one(nu, W):
    return mean_log_det(nu, W, first=2)


@expected_log_det.mistake("D ln 2 is missing")
def log_2_forgotten(nu, W):
    return mean_log_det(nu, W) - len(W) * np.log(2)


@expected_log_det.mistake("this is ln|E[Λ]|; the mean of the log is smaller (Jensen)")
def log_det_of_the_mean(nu, W):
    return np.linalg.slogdet(nu * W)[1]


@expected_log_det.mistake("ln|W| has the wrong sign: W is a scale of precisions")
def scale_inverted(nu, W):
    return mean_log_det(nu, W) - 2 * np.linalg.slogdet(W)[1]
