"""The exercises of chapter 03: the Gaussian mixture."""

import numpy as np

from lfm import bound
from lfm.checks.exercise import Exercise
from lfm.distributions import InverseWishart
from lfm.gaussian_mixture import GaussianMixture

number_of_parameters = Exercise(
    "number-of-parameters",
    chapter="03",
    hint="Count weights, means, covariances, and only what is free.",
    praise="what BIC charges for",
)


@number_of_parameters.draw
def sizes(rng):
    return int(rng.integers(2, 9)), int(rng.integers(2, 6))


@number_of_parameters.reference
def free_parameters(k, d):
    return k - 1 + k * d + k * d * (d + 1) // 2


@number_of_parameters.mistake("one too many: the weights sum to 1, so only K - 1 are free")
def all_weights_free(k, d):
    return k + k * d + k * d * (d + 1) // 2


@number_of_parameters.mistake("covariances are symmetric: D(D+1)/2 numbers each, not D²")
def covariances_not_symmetric(k, d):
    return k - 1 + k * d + k * d**2


@number_of_parameters.mistake("these are diagonal covariances")
def covariances_diagonal(k, d):
    return k - 1 + k * d + k * d


responsibilities = Exercise(
    "responsibilities",
    chapter="03",
    hint="ln π_k + ln N(x; μ_k, Σ_k), then a softmax over k.",
    praise="also 500 standard deviations away",
)


def mixture(rng):
    k, d = 3, 2
    a = rng.normal(size=(k, d, d))
    covs = a @ a.mT + 0.3 * np.eye(d)
    model = GaussianMixture(rng.dirichlet(np.ones(k)), rng.normal(size=(k, d)), covs)
    return model.sample(15, rng=rng)[0], model


@responsibilities.draw
def data_and_mixture(rng):
    x, m = mixture(rng)
    x[::5] += 500  # far from all components, beside rows near them that tell mistakes apart
    return x, m.weights, m.means, m.covs


@responsibilities.reference
def posterior_of_the_mixture(x, pi, mu, Sigma):
    return GaussianMixture(pi, mu, Sigma).infer(x).probs


def log_joint(x, pi, mu, Sigma, log_det=0.5, inverse=np.linalg.inv):
    y = x[:, None, :] - mu  # (N, K, D)
    squares = np.einsum("nki,kij,nkj->nk", y, inverse(Sigma), y)
    dets = np.linalg.slogdet(Sigma)[1]
    return np.log(pi) - log_det * dets - 0.5 * squares - 0.5 * x.shape[1] * np.log(2 * np.pi)


@responsibilities.mistake(
    "right near the components, but far away every density underflows and this is 0/0: stay in the"
    " log domain and subtract the largest (log-sum-exp)"
)
def plain_exponentials(x, pi, mu, Sigma):
    p = np.exp(log_joint(x, pi, mu, Sigma))
    return p / p.sum(axis=-1, keepdims=True)


@responsibilities.mistake("the determinant has lost its square root: it is ½ ln|Σ|")
def determinant_without_root(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma, log_det=1.0))


@responsibilities.mistake(
    "the determinant is missing; it differs from component to component and does not cancel"
)
def determinant_forgotten(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma, log_det=0.0))


@responsibilities.mistake("the covariance stands where its inverse belongs")
def covariance_not_inverted(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, pi, mu, Sigma, inverse=np.asarray))


@responsibilities.mistake("the weights π are missing")
def weights_forgotten(x, pi, mu, Sigma):
    return bound.posterior(log_joint(x, np.ones(3) / 3, mu, Sigma))


learn_covariances = Exercise(
    "learn-covariances",
    chapter="03",
    hint="N_k first, then the new means, then the scatter about them.",
    praise="weighted moments, with N_k below",
)


@learn_covariances.draw
def data_and_memberships(rng):
    x, m = mixture(rng)
    return x, m.infer(x).probs


def covariances(x, r, by=None, mean=None):
    n_k = r.sum(axis=0)
    mu = (r.T @ x) / n_k[:, None] if mean is None else mean
    y = x[:, None, :] - mu
    return np.einsum("nk,nki,nkj->kij", r, y, y) / (n_k if by is None else by)[:, None, None]


@learn_covariances.reference
def weighted_covariances(x, r):
    return covariances(x, r)


@learn_covariances.mistake("divided by N; each component divides by what it claims, N_k")
def divided_by_n(x, r):
    return covariances(x, r, by=np.full(3, len(x)))


@learn_covariances.mistake("divided by N_k - 1; maximum likelihood divides by N_k")
def divided_by_one_less(x, r):
    return covariances(x, r, by=r.sum(axis=0) - 1)


@learn_covariances.mistake(
    "the scatter is taken about the mean of all data; each component has its own"
)
def about_the_common_mean(x, r):
    return covariances(x, r, mean=x.mean(axis=0))


@learn_covariances.mistake("these are roots: a covariance holds variances, not standard deviations")
def deviations(x, r):
    return np.sqrt(np.abs(covariances(x, r)))


map_covariance = Exercise(
    "map-covariance",
    chapter="03",
    hint="Add the exponents of likelihood and prior, and compare with S/N_k.",
    praise="it cannot be singular, however few data there are",
)


@map_covariance.draw
def scatter_and_prior(rng):
    a = rng.normal(size=(2, 5, 5))
    return a[0] @ a[0].T, float(rng.uniform(1, 9)), float(rng.uniform(6, 9)), a[1] @ a[1].T


@map_covariance.reference
def most_probable_covariance(S, n, dof, Psi):
    return InverseWishart(dof, Psi).update(S, n)


@map_covariance.mistake("this is maximum likelihood; the prior adds to numerator and denominator")
def prior_forgotten(S, n, dof, Psi):
    return S / n


@map_covariance.mistake("the prior has been counted above but not below")
def prior_only_above(S, n, dof, Psi):
    return (S + Psi) / n


@map_covariance.mistake("the D + 1 of the density's exponent is missing below")
def exponent_forgotten(S, n, dof, Psi):
    return (S + Psi) / (n + dof)


@map_covariance.mistake("this is the posterior's mean; the maximum divides by N_k + ν + D + 1")
def mean_of_the_posterior(S, n, dof, Psi):
    return (S + Psi) / (n + dof - len(S) - 1)
