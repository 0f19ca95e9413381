"""Gradients of an expectation E_q[f(z)] with respect to the Gaussian q that z is drawn from.

Two estimators, both unbiased. The score function asks for values of f alone, so it serves any f
and any z, and is noisy. The pathwise estimator moves the samples with the parameters and asks for
the slope of f. Noise is passed in: the same noise gives the same gradient.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from lfm.engine import constants, inputs, validate

Tensor = torch.Tensor
Function = Callable[[Tensor], Tensor]


class Estimate(NamedTuple):
    """An average over samples, and its standard error."""

    value: Tensor
    error: Tensor


class Gradient(NamedTuple):
    """One gradient for each sample, (S, ...); their average is the estimate."""

    mean: Tensor  # with respect to μ (S, K)
    scale: Tensor  # with respect to σ (S, K), or to the Cholesky factor L (S, K, K)

    def average(self) -> "Gradient":
        """Return the averages over samples, (K,), and (K,) or (K, K)."""
        return Gradient(self.mean.mean(0), self.scale.mean(0))


def monte_carlo(values) -> Estimate:
    """Return the mean over samples (S, ...), S at least 2, and its standard error. `monte-carlo`.

    Eq. monte-carlo: the error falls like 1/√S, whatever the dimension of what was sampled.
    """
    values = inputs.samples(values)
    if values.abs().max() > constants.LARGEST:
        raise ValueError(validate.too_large("values"))
    return Estimate(values.mean(0), values.std(0) / len(values) ** 0.5)


def sample(mean, scale, eps) -> Tensor:
    """Return z = μ + Lε (S, K) for noise eps (S, K). Eq. reparametrisation.

    `scale` is a factor of the covariance, L Lᵀ = Σ, and not Σ: standard deviations (K,) where it is
    diagonal, else its lower Cholesky factor (K, K). Raises `ValueError` or `TypeError` for others.
    """
    return _moved(*inputs.gaussian(mean, scale, eps))


def pathwise_gradient(f: Function, mean, scale, eps) -> Gradient:
    """Return the gradients of f(μ + Lε) for each row of the noise eps (S, K).

    Eq. pathwise-gradient: ∂z/∂μ is the identity and ∂z_i/∂L_ij = ε_j. `f` takes z (S, K) and
    returns (S,), row by row. The average is right where f is locally Lipschitz, or more generally
    the integral of its slope along each line (absolutely continuous), and E|slope| is finite near
    these parameters. A slope almost everywhere is not enough: a step and the Cantor function have
    one, which is 0. Of what f holds of φ itself nothing is seen: Eq. self-score says that for
    f = ln p(x, z) - ln q(z) this part averages to 0. Raises `ValueError` where f is not a
    differentiable function of z.
    """
    mean, scale, eps = inputs.gaussian(mean, scale, eps)
    z = _moved(mean, scale, eps).requires_grad_()
    with torch.enable_grad():
        values = inputs.values_of(f, z)
        if not values.requires_grad:
            raise ValueError("f(z) has no gradient in z; the pathwise estimator needs one")
        (slope,) = torch.autograd.grad(values.sum(), z)  # ∂f/∂z (S, K)
    if scale.ndim == 1:
        return Gradient(slope, slope * eps)
    return Gradient(slope, torch.tril(slope[:, :, None] * eps[:, None, :]))


def score_gradient(f: Function, mean, scale, eps, *, baseline: Function | None = None) -> Gradient:
    """Return (f(z) - b) ∇ ln q(z) for each row of the noise eps (S, K), z = μ + Lε.

    Eq. score-gradient. `f` takes z (S, K) and returns (S,); it need not be differentiable.
    `baseline` takes the values of f (S,) and returns b, one number or (S,). Since E[∇ ln q] = 0
    any b leaves the average as it is, if b_s does not depend on z_s: `leave_one_out` is such a one.
    """
    mean, scale, eps = inputs.gaussian(mean, scale, eps)
    values = inputs.values_of(f, _moved(mean, scale, eps)).detach()
    if baseline is not None and not callable(baseline):
        raise TypeError(f"baseline is {type(baseline).__name__}; wanted a function of the values")
    if baseline is not None:
        values = values - inputs.double(baseline(values), "what baseline returned")
    if scale.ndim == 1:
        score_mean, score_scale = eps / scale, (eps**2 - 1) / scale
        return Gradient(values[:, None] * score_mean, values[:, None] * score_scale)
    score_mean = torch.linalg.solve_triangular(scale.T, eps.T, upper=True).T  # L⁻ᵀε (S, K)
    score_scale = torch.tril(score_mean[:, :, None] * eps[:, None, :])
    score_scale = score_scale - torch.diag(1 / scale.diagonal())
    return Gradient(values[:, None] * score_mean, values[:, None, None] * score_scale)


def leave_one_out(values) -> Tensor:
    """Return for each of S values the mean of the others, (S,): a baseline that does not bias."""
    values = inputs.samples(values)
    if values.ndim != 1:
        raise ValueError(f"values has shape {tuple(values.shape)}; wanted (S,)")
    return (values.sum() - values) / (len(values) - 1)


def minibatch_sum(values, n: int) -> Tensor:
    """Return (N/B) Σ of the values (B, ...) of a batch: unbiased for the sum over all N data.

    Eq. minibatch, for batches drawn uniformly. A term that stands once for all data, such as the
    divergence of a global factor, is no part of it.
    """
    values = inputs.samples(values, least=1)
    n = validate.count(n, "n", len(values))
    return n / len(values) * values.sum(0)


def _moved(mean: Tensor, scale: Tensor, eps: Tensor) -> Tensor:
    return mean + (eps * scale if scale.ndim == 1 else eps @ scale.T)
