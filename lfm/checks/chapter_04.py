"""The exercises of chapter 04: factor analysis."""

import numpy as np

from lfm.checks.exercise import Exercise

factor_posterior = Exercise(
    "factor-posterior",
    chapter="04",
    hint="G = (I + WᵀΨ⁻¹W)⁻¹ first, then one matrix product for all data.",
    praise="one linear map for all data: the first inference network of the course",
)


@factor_posterior.draw
def data_and_model(rng):
    W, psi = rng.normal(size=(6, rng.integers(1, 5))), rng.uniform(0.3, 3, 6)
    return rng.normal(size=(9, 6)) + 2, W, rng.normal(size=6), psi


def posterior_means(x, W, mu, psi, prior=1.0):
    scaled = W / psi[:, None]
    return (x - mu) @ scaled @ np.linalg.inv(prior * np.eye(W.shape[1]) + W.T @ scaled)


@factor_posterior.reference
def means(x, W, mu, psi):
    return posterior_means(x, W, mu, psi)


@factor_posterior.mistake(
    "this is weighted least squares: the prior of z adds the identity to the precision"
)
def least_squares(x, W, mu, psi):
    return posterior_means(x, W, mu, psi, prior=0.0)


@factor_posterior.mistake("every column counts alike; each must be divided by its noise variance")
def columns_alike(x, W, mu, psi):
    return posterior_means(x, W, mu, np.ones_like(psi))


@factor_posterior.mistake(
    "the data are divided by the noise, but the precision is not: it is I + WᵀΨ⁻¹W"
)
def precision_not_weighted(x, W, mu, psi):
    return (x - mu) / psi @ W @ np.linalg.inv(np.eye(W.shape[1]) + W.T @ W)


@factor_posterior.mistake("the mean has not been subtracted")
def mean_not_subtracted(x, W, mu, psi):
    return posterior_means(x, W, 0 * mu, psi)


@factor_posterior.mistake("psi holds variances; do not take their roots")
def roots_of_variances(x, W, mu, psi):
    return posterior_means(x, W, mu, np.sqrt(psi))


@factor_posterior.mistake("G is missing: the sum of weighted columns is not yet the mean")
def covariance_forgotten(x, W, mu, psi):
    return (x - mu) / psi @ W


@factor_posterior.mistake("the mean of x was subtracted; μ is given, and need not be the mean of x")
def own_mean_subtracted(x, W, mu, psi):
    return posterior_means(x, W, x.mean(axis=0), psi)


@factor_posterior.mistake("psi holds variances already; do not square them")
def variances_squared(x, W, mu, psi):
    return posterior_means(x, W, mu, psi**2)


@factor_posterior.mistake(
    "multiplied by the noise variance; the noisier a column, the less it says"
)
def noise_multiplied(x, W, mu, psi):
    return posterior_means(x, W, mu, 1 / psi)


@factor_posterior.mistake(
    "the precision is weighted, I + WᵀΨ⁻¹W, but the data are not: divide them by the noise, too"
)
def data_not_weighted(x, W, mu, psi):
    return (x - mu) @ W @ np.linalg.inv(np.eye(W.shape[1]) + W.T @ (W / psi[:, None]))


@factor_posterior.mistake("multiplied by the precision, I + WᵀΨ⁻¹W; G is its inverse")
def precision_for_covariance(x, W, mu, psi):
    scaled = W / psi[:, None]
    return (x - mu) @ scaled @ (np.eye(W.shape[1]) + W.T @ scaled)


factor_log_det = Exercise(
    "factor-log-det",
    chapter="04",
    hint="ln|Ψ| is a sum of logs; the rest is the determinant of a K × K matrix.",
    praise="of all D columns only a sum of logs is left, if no D × D matrix was made on the way",
)


@factor_log_det.draw
def loadings_and_noise(rng):
    # So many columns, and so little noise, that the determinant itself is 0 in double precision.
    return 0.02 * rng.normal(size=(300, rng.integers(1, 5))), rng.uniform(0.01, 0.08, 300)


def log_det(W, psi):
    return np.linalg.slogdet(np.eye(W.shape[1]) + W.T @ (W / psi[:, None]))[1]


@factor_log_det.reference
def log_det_of_the_covariance(W, psi):
    return np.log(psi).sum() + log_det(W, psi)


@factor_log_det.mistake(
    "ln|G| has the wrong sign: |C| = |Ψ| / |G|, and factors can only add variance"
)
def sign_turned(W, psi):
    return np.log(psi).sum() - log_det(W, psi)


@factor_log_det.mistake(
    "so many small numbers have the product 0 here: add logs, or let `slogdet` do it"
)
def log_of_a_product(W, psi):
    with np.errstate(divide="ignore"):
        return np.log(np.prod(psi)) + log_det(W, psi)


@factor_log_det.mistake("the noise is missing: |C| = |Ψ| / |G|")
def noise_forgotten(W, psi):
    return log_det(W, psi)


@factor_log_det.mistake("the identity is missing from the K × K matrix")
def identity_forgotten(W, psi):
    return np.log(psi).sum() + np.linalg.slogdet(W.T @ (W / psi[:, None]))[1]


@factor_log_det.mistake("the noise is missing from the K × K matrix: it is I + WᵀΨ⁻¹W")
def inner_noise_forgotten(W, psi):
    return np.log(psi).sum() + log_det(W, np.ones_like(psi))


@factor_log_det.mistake("W is missing: this is ln|Ψ| alone")
def loadings_forgotten(W, psi):
    return np.log(psi).sum()


@factor_log_det.mistake("this is half of it: the ½ is of the log density, not of ln|C|")
def half_of_it(W, psi):
    return log_det_of_the_covariance(W, psi) / 2


@factor_log_det.mistake("psi holds variances already; do not take their roots: ln|Ψ| = Σ ln ψ")
def roots_in_the_sum(W, psi):
    return np.log(psi).sum() / 2 + log_det(W, psi)


@factor_log_det.mistake("this has the log of a sum; ln|Ψ| is a sum of logs")
def log_of_the_sum(W, psi):
    return np.log(psi.sum()) + log_det(W, psi)


@factor_log_det.mistake("ln|Ψ| is the sum of the logs, not their mean")
def mean_of_the_logs(W, psi):
    return np.log(psi).mean() + log_det(W, psi)


learn_loadings = Exercise(
    "learn-loadings",
    chapter="04",
    hint=(
        "The normal equations of a regression of y on z, with expectations in place of z and zzᵀ."
    ),
    praise="a regression that knows how uncertain its inputs are",
)


@learn_loadings.draw
def data_and_factors(rng):
    k = rng.integers(1, 5)
    m, root = rng.normal(size=(30, k)), rng.normal(size=(k, k))
    m -= m.mean(axis=0)
    y = rng.normal(size=(30, 5)) + m @ rng.normal(size=(k, 5))
    return y - y.mean(axis=0), m, root @ root.T + np.eye(k)


@learn_loadings.reference
def normal_equations(y, m, G):
    return np.linalg.solve(m.T @ m + len(y) * G, m.T @ y).T


@learn_loadings.mistake("the factors are treated as known: E[zzᵀ] is G + E[z]E[z]ᵀ")
def factors_known(y, m, G):
    return np.linalg.solve(m.T @ m, m.T @ y).T


@learn_loadings.mistake("G has been added once; each of the N data contributes one")
def covariance_added_once(y, m, G):
    return np.linalg.solve(m.T @ m + G, m.T @ y).T


@learn_loadings.mistake("E[zzᵀ] is an average here, Σ y E[z]ᵀ a sum: average both, or neither")
def average_on_one_side(y, m, G):
    return np.linalg.solve(m.T @ m / len(y) + G, m.T @ y).T


@learn_loadings.mistake("this is Wᵀ; the loadings have one row for each column of the data")
def transposed(y, m, G):
    return np.linalg.solve(m.T @ m + len(y) * G, m.T @ y)


@learn_loadings.mistake("the uncertainty is that of the posterior, G, not that of the prior, I")
def uncertainty_of_the_prior(y, m, G):
    return np.linalg.solve(m.T @ m + len(y) * np.eye(len(G)), m.T @ y).T


@learn_loadings.mistake("Σ y E[z]ᵀ is an average here, E[zzᵀ] a sum: average both, or neither")
def average_on_the_other_side(y, m, G):
    return normal_equations(y, m, G) / len(y)


@learn_loadings.mistake("the identity is the prior's of z; this is learning, and it has N G alone")
def identity_added(y, m, G):
    return np.linalg.solve(m.T @ m + len(y) * G + np.eye(len(G)), m.T @ y).T


@learn_loadings.mistake("E[zzᵀ] has the products of the means besides: N G + Σ E[z]E[z]ᵀ")
def means_forgotten(y, m, G):
    return np.linalg.solve(len(y) * G, m.T @ y).T


@learn_loadings.mistake("this is the mean of y E[z]ᵀ; it still has to be divided by that of zzᵀ")
def not_divided_by_the_moments(y, m, G):
    return y.T @ m / len(y)


ppca_noise = Exercise(
    "ppca-noise",
    chapter="04",
    hint="Which eigenvalues do the factors not explain, and how many are they?",
    praise="the mean of what was left out",
)


@ppca_noise.draw
def eigenvalues_and_rank(rng):
    return np.sort(rng.exponential(2, size=7))[::-1], int(rng.integers(2, 5))


@ppca_noise.reference
def mean_of_what_is_left_out(lam, K):
    return lam[K:].mean()


@ppca_noise.mistake("divided by D: only D - K directions are left for the noise alone")
def divided_by_all(lam, K):
    return lam[K:].sum() / len(lam)


@ppca_noise.mistake("this is the sum of what is left out; σ² is the mean")
def not_divided(lam, K):
    return lam[K:].sum()


@ppca_noise.mistake("these are the last K eigenvalues; left out are the last D - K")
def last_k(lam, K):
    return lam[-K:].mean()


@ppca_noise.mistake("one eigenvalue too many: the K-th belongs to the factors")
def one_too_many(lam, K):
    return lam[K - 1 :].mean()


@ppca_noise.mistake("these are the eigenvalues that are kept; noise is what is left out")
def mean_of_what_is_kept(lam, K):
    return lam[:K].mean()


@ppca_noise.mistake("divided by K: the eigenvalues left out are D - K")
def divided_by_k(lam, K):
    return lam[K:].sum() / K


@ppca_noise.mistake(
    "this is the smallest; the maximum of the likelihood is at the mean of those left"
)
def smallest(lam, K):
    return lam[-1]


@ppca_noise.mistake("one eigenvalue too few: the first that is left out counts as well")
def one_too_few(lam, K):
    return lam[K + 1 :].mean()


@ppca_noise.mistake("this is σ; wanted is the variance σ²")
def root_of_the_mean(lam, K):
    return np.sqrt(lam[K:].mean())


@ppca_noise.mistake("this is the mean of all; only what the factors do not explain is noise")
def mean_of_all(lam, K):
    return lam.mean()


@ppca_noise.mistake("this is the largest that is left out; σ² is the mean of all those left out")
def first_left_out(lam, K):
    return lam[K]


@ppca_noise.mistake("this is the share that is left out; wanted is the mean of what is")
def share_left_out(lam, K):
    return lam[K:].sum() / lam.sum()


fill_in = Exercise(
    "fill-in",
    chapter="04",
    hint="Infer z from the rows of W, μ and Ψ that were seen, then Wz + μ where nothing was.",
    praise="marginalising a Gaussian is leaving out",
)


@fill_in.draw
def model_and_incomplete_x(rng):
    seen = np.arange(6) < 4
    return (*data_and_model(rng)[1:], rng.permutation(seen), rng.normal(size=6) + 2)


@fill_in.reference
def filled_in(W, mu, psi, seen, x):
    z = posterior_means(x[seen][None], W[seen], mu[seen], psi[seen])[0]
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake("this fills in the mean; what is seen says more about z than that")
def filled_with_the_mean(W, mu, psi, seen, x):
    return np.where(seen, x, mu)


@fill_in.mistake(
    "the hidden columns were set to the mean and then believed, or G was made from all rows of W;"
    " leave them out of the inference"
)
def believed_the_mean(W, mu, psi, seen, x):
    z = posterior_means(np.where(seen, x, mu)[None], W, mu, psi)[0]
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake("the hidden entries of x mean nothing; leave them out of the inference")
def believed_the_hidden(W, mu, psi, seen, x):
    z = posterior_means(x[None], W, mu, psi)[0]
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake(
    "the hidden columns were set to zero and then believed; leave them out of the inference"
)
def believed_zeros(W, mu, psi, seen, x):
    z = posterior_means(np.where(seen, x, 0)[None], W, mu, psi)[0]
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake("z was inferred from what is hidden; infer it from what is seen")
def inferred_from_the_hidden(W, mu, psi, seen, x):
    z = posterior_means(x[~seen][None], W[~seen], mu[~seen], psi[~seen])[0]
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake("subtract the mean of what was seen before the inference")
def mean_not_subtracted_from_the_seen(W, mu, psi, seen, x):
    z = posterior_means(x[seen][None], W[seen], 0 * mu[seen], psi[seen])[0]
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake("the mean has not been added back")
def mean_not_added_back(W, mu, psi, seen, x):
    return np.where(seen, x, filled_in(W, mu, psi, seen, x) - mu)


@fill_in.mistake("what was seen stays as it is; only the rest is replaced")
def replaced_everywhere(W, mu, psi, seen, x):
    z = posterior_means(x[seen][None], W[seen], mu[seen], psi[seen])[0]
    return W @ z + mu


@fill_in.mistake(
    "the mask is upside down: what was seen stays as it is, and what was hidden is replaced"
)
def mask_upside_down(W, mu, psi, seen, x):
    return np.where(seen, replaced_everywhere(W, mu, psi, seen, x), x)


@fill_in.mistake(
    "this is weighted least squares: the prior of z adds the identity to the precision"
)
def filled_without_the_prior(W, mu, psi, seen, x):
    z = posterior_means(x[seen][None], W[seen], mu[seen], psi[seen], prior=0.0)[0]
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake("every column counts alike; each must be divided by its noise variance")
def filled_with_columns_alike(W, mu, psi, seen, x):
    return filled_in(W, mu, np.ones_like(psi), seen, x)


@fill_in.mistake("psi holds variances; do not take their roots")
def filled_with_roots(W, mu, psi, seen, x):
    return filled_in(W, mu, np.sqrt(psi), seen, x)


@fill_in.mistake("G is missing: the sum of weighted columns is not yet the mean of z")
def filled_without_g(W, mu, psi, seen, x):
    return np.where(seen, x, W @ (((x - mu) / psi)[seen] @ W[seen]) + mu)


@fill_in.mistake("the data are divided by the noise, but the precision is not: it is I + WᵀΨ⁻¹W")
def filled_with_a_plain_precision(W, mu, psi, seen, x):
    precision = np.eye(W.shape[1]) + W[seen].T @ W[seen]
    z = np.linalg.solve(precision, ((x - mu) / psi)[seen] @ W[seen])
    return np.where(seen, x, W @ z + mu)


@fill_in.mistake("this fills in zeros; what is seen says more")
def filled_with_zeros(W, mu, psi, seen, x):
    return np.where(seen, x, 0)


@fill_in.mistake("this fills in the mean of the entries seen; each column has a mean of its own")
def filled_with_the_mean_of_the_seen(W, mu, psi, seen, x):
    return np.where(seen, x, x[seen].mean())
