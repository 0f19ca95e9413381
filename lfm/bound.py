"""The lower bound on the log likelihood, for any model whose z takes finitely many values.

Everything in the course is a special case of the few lines in this file. A model enters as one
table, `log_joint[..., k] = ln p(x, z=k | θ)`: one row for each datum (or each x or each θ of a
grid), one column for each value of z. Impossible pairs have the value -inf. A continuous z enters
by a fine grid: ln p(x, z_k | θ) + ln Δ for cells of width Δ.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp, rel_entr, xlogy

from lfm.engine import validate
from lfm.engine.signatures import Distributions, LogTable, Numbers, checked

Array = np.ndarray


class Decomposition(NamedTuple):
    """The three terms of Eq. decomposition, in nats: log_marginal = bound + divergence."""

    bound: Array  # L(q, θ)
    divergence: Array  # KL(q || p(z|x, θ))
    log_marginal: Array  # ln p(x | θ)


@checked
def log_marginal(log_joint: LogTable) -> Array:
    """Return ln p(x | θ) = ln Σ_z p(x, z | θ) in nats, shape (...); what learning maximises.

    Eq. objective. The sum is taken in the log domain, so that it never underflows.
    """
    return logsumexp(log_joint, axis=-1)


@checked
def posterior(log_joint: LogTable) -> Array:
    """Return p(z | x, θ) by Bayes' rule, shape (..., K).

    Eq. tight: with this q the lower bound equals the log marginal. Raises `ValueError` where
    x has probability zero, for there is no posterior then.
    """
    return np.exp(_log_posterior(log_joint))


@checked
def expected_log_joint(q: Distributions, log_joint: LogTable) -> Array:
    """Return Q = E_q[ln p(x, z | θ)] in nats, shape (...): the part of the bound that has θ in it.

    Eq. old-posterior: with q = p(z | x, θ_old) the bound is Q(θ, θ_old) + H[q].
    """
    validate.together(q=q, log_joint=log_joint)
    return (q * np.where(q > 0, log_joint, 0.0)).sum(axis=-1)  # 0 times -inf counts as 0


@checked
def entropy(q: Distributions) -> Array:
    """Return H[q] = -Σ_z q ln q in nats, shape (...), with 0 ln 0 = 0."""
    return -xlogy(q, q).sum(axis=-1)


def lower_bound(q, log_joint) -> Array:
    """Return L(q, θ) = E_q[ln p(x, z | θ)] + H[q] in nats, shape (...).

    Eq. jensen: never above `log_marginal(log_joint)`, since ln w lies below its tangent at the mean
    of w = p(x, z | θ) / q (Eq. tangent); 0 ln 0 = 0, and -inf where q allows what p forbids.
    """
    return expected_log_joint(q, log_joint) + entropy(q)


@checked
def rearranged(q: Distributions, log_likelihood: LogTable, prior: Distributions) -> Array:
    """Return the same bound as E_q[ln p(x | z)] - KL(q || p(z)) in nats, shape (...).

    Eq. rearranged: how well z explains x, less what q pays for leaving the prior. The tables
    `log_likelihood` and `prior` (..., K) hold ln p(x | z=k) and p(z=k).
    """
    validate.together(q=q, log_likelihood=log_likelihood, prior=prior)
    return expected_log_joint(q, log_likelihood) - kl(q, prior)


@checked
def kl(q: Distributions, p: Distributions) -> Array:
    """Return KL(q || p) = Σ_z q ln(q / p) in nats, shape (...); +inf where q > 0 = p.

    Eq. divergence: the divergence of q from p is the average of ln(q / p) over draws from q. Not
    negative, zero only for q = p, and not symmetric (PRML 1.6.1).
    """
    validate.together(q=q, p=p)
    return rel_entr(q, p).sum(axis=-1)


@checked
def decompose(q: Distributions, log_joint: LogTable) -> Decomposition:
    """Return bound, divergence and log marginal, each computed from its own definition.

    Eq. decomposition: bound + divergence = log marginal for every q (PRML 9.4).
    """
    # In the log domain: a posterior of e^-800 is 0 in double precision, and the KL then infinite.
    log_posterior = _log_posterior(log_joint)
    validate.together(q=q, log_joint=log_posterior)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.where(q > 0, np.log(q) - log_posterior, 0.0)
    return Decomposition(
        bound=lower_bound(q, log_joint),
        divergence=(q * log_ratio).sum(axis=-1),
        log_marginal=log_marginal(log_joint),
    )


@checked
def gradient(q: Distributions, grad_log_joint: Numbers) -> Array:
    """Return ∂L(q, θ)/∂θ = E_q[∂ ln p(x, z | θ)/∂θ] at fixed q, shape (...).

    Eq. fisher: where q = p(z | x, θ) this is also the gradient of the log marginal.
    """
    validate.together(q=q, grad_log_joint=grad_log_joint)
    return (q * grad_log_joint).sum(axis=-1)


def gaussian_kl(mean1, cov1, mean2, cov2) -> float:
    """Return KL(N(mean1, cov1) || N(mean2, cov2)) in nats; means (D,), covariances (D, D).

    Eq. gaussian-kl. Raises `ValueError` where shapes disagree or a covariance is not symmetric
    positive definite.
    Source: PRML exercise 2.13; Petersen and Pedersen, The Matrix Cookbook, 8.
    """
    mean1 = validate.parameter(mean1, "mean1", (None,))
    d = len(mean1)
    mean2 = validate.parameter(mean2, "mean2", (d,))
    cov1, cov2 = (
        validate.covariance(c, name, (d, d)) for c, name in ((cov1, "cov1"), (cov2, "cov2"))
    )
    chol1, chol2 = validate.cholesky(cov1, "cov1"), validate.cholesky(cov2, "cov2")
    gap = mean2 - mean1
    with np.errstate(over="ignore"):  # it may be more than the largest number: then +inf
        trace = np.square(solve_triangular(chol2, chol1, lower=True)).sum()
        distance = np.square(solve_triangular(chol2, gap, lower=True)).sum()
    log_det = 2 * np.log(np.diag(chol2) / np.diag(chol1)).sum()  # ln |cov2| - ln |cov1|
    return float(0.5 * (trace + distance - d + log_det))


def _log_posterior(log_joint: Array) -> Array:
    log_evidence = logsumexp(log_joint, axis=-1, keepdims=True)
    if np.isneginf(log_evidence).any():
        raise ValueError("log_joint has a row of -inf: that x has probability 0, so no posterior")
    return log_joint - log_evidence
