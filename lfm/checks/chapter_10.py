"""The exercises of chapter 10: closing the gap."""

import numpy as np
from scipy.special import logsumexp

from lfm.checks.exercise import Exercise

importance_bound = Exercise(
    "importance-bound",
    chapter="10",
    hint="ln (1/S) Σ exp(log_w), by log-sum-exp over samples.",
    praise="nearer to ln p(x) with every sample, and never above it on average",
)


@importance_bound.draw
def log_weights(rng):
    return (rng.normal(-800, 2, size=(6, 4)),)


@importance_bound.reference
def log_of_the_mean(log_w):
    return logsumexp(log_w, axis=0) - np.log(len(log_w))


@importance_bound.mistake("this is the mean of the logs, L; the mean comes before the log")
def mean_of_the_logs(log_w):
    return log_w.mean(axis=0)


@importance_bound.mistake("-ln S is missing: it is the mean of the weights, not their sum")
def log_of_the_sum(log_w):
    return logsumexp(log_w, axis=0)


@importance_bound.mistake("the weights underflow to 0: take the largest out first")
def plain_exponentials(log_w):
    return np.log(np.exp(log_w).mean(axis=0))


@importance_bound.mistake("averaged over data; the samples are the rows")
def mean_over_data(log_w):
    return logsumexp(log_w, axis=1) - np.log(log_w.shape[1])


product_gap = Exercise(
    "product-gap",
    chapter="10",
    hint="The best product has precisions P_kk: compare the entropies, the means agree.",
    praise="zero only where the precision is diagonal",
)


@product_gap.draw
def precision_matrix(rng):
    a = rng.normal(size=(3, 3))
    return (np.eye(3) + a.T @ a,)


@product_gap.reference
def entropy_missing(precision):
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


@product_gap.mistake("the sign: a gap is never negative (Hadamard: |P| is at most Π P_kk)")
def negative_gap(precision):
    return -entropy_missing(precision)


@product_gap.mistake("the half is missing: entropies of Gaussians have ½ ln")
def twice_the_gap(precision):
    return 2 * entropy_missing(precision)


@product_gap.mistake("this is the gap of the product of the marginals, of KL(p ‖ q)")
def gap_of_the_marginals(precision):
    return entropy_missing(np.linalg.inv(precision))


collapsed_columns = Exercise(
    "collapsed-columns",
    chapter="10",
    hint="W = U (Λ - σ²I)^½, and nothing where that has no root.",
    praise="collapse at the maximum of the likelihood itself",
)


@collapsed_columns.draw
def eigenvalues_and_noise(rng):
    return np.sort(rng.exponential(1, size=6))[::-1], float(rng.uniform(0.3, 1.2))


@collapsed_columns.reference
def squared_lengths(lam, var):
    return np.maximum(lam - var, 0.0)


@collapsed_columns.mistake("these are the lengths; their squares are asked for")
def lengths(lam, var):
    return np.sqrt(np.maximum(lam - var, 0.0))


@collapsed_columns.mistake(
    "a squared length is not negative: below σ² the column is 0, a dead factor"
)
def negative_squares(lam, var):
    return lam - var


@collapsed_columns.mistake("σ² explains its share of each direction: subtract it")
def noise_not_subtracted(lam, var):
    return np.where(lam > var, lam, 0.0)
