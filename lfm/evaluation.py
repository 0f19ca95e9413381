"""What a model is worth, measured."""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from lfm import _validate as validate
from lfm.vae import VAE

Array = np.ndarray


def few_label_accuracy(x, labels, n_labels: int, *, rng, ridge: float = 0.0) -> float:
    """Return the accuracy of a classifier that saw `n_labels` labels, on all other data.

    x (N, D) are pixels, or the factors of a model that saw no labels; labels (N,) whole numbers.
    The labelled data are drawn at random, equally many of each class. The classifier is the
    regression of one-hot labels on x by least squares (PRML 4.1.3), of least norm where several
    fit; `ridge` is added to the diagonal of its normal equations.
    """
    x = validate.data(x)
    labels, rng = validate.numeric(labels, "labels"), validate.generator(rng)
    if labels.shape != (len(x),):
        raise ValueError(f"labels has shape {labels.shape}; wanted ({len(x)},), one for each x")
    classes, labels = np.unique(labels, return_inverse=True)
    n_labels = validate.count(n_labels, "n_labels", len(classes), len(x) - 1)
    ridge = validate.scalar(ridge, "ridge", 0.0)
    each = n_labels // len(classes)
    order = rng.permutation(len(x))
    rank = np.empty(len(x), dtype=int)  # the place of each datum within its class
    for k in range(len(classes)):
        members = order[labels[order] == k]
        rank[members] = np.arange(len(members))
    train, test = rank < each, rank >= each
    centre, target = x[train].mean(axis=0), np.eye(len(classes))[labels[train]]
    y, share = x[train] - centre, target.mean(axis=0)
    # (yᵀy + ridge I)⁻¹ yᵀ, by singular values: also where yᵀy has no inverse
    u, s, v = np.linalg.svd(y, full_matrices=False)
    s = np.where(s > 1e-8 * s[0], s, 0.0)
    inverse = np.divide(s, s**2 + ridge, out=np.zeros_like(s), where=s > 0)
    weights = v.T @ (inverse[:, None] * (u.T @ (target - share)))
    scores = (x[test] - centre) @ weights + share
    return float((scores.argmax(axis=1) == labels[test]).mean())


class Match(NamedTuple):
    """For each true factor, the one found that goes with it best, no found factor used twice."""

    order: Array  # (K,) columns of what was found
    correlation: Array  # (K,) with its sign, which the data may not determine


def match_factors(found, truth) -> Match:
    """Return the best one-to-one matching of factors found (N, L) with true ones (N, K), L ≥ K.

    It has the largest sum of absolute correlations. A factor that does not vary has correlation 0.
    """
    found, truth = validate.data(found, "found"), validate.data(truth, "truth")
    if len(found) != len(truth) or found.shape[1] < truth.shape[1]:
        raise ValueError(
            f"found has shape {found.shape}; wanted {len(truth)} rows and at least "
            f"{truth.shape[1]} columns, as truth has"
        )
    a, b = (y - y.mean(axis=0) for y in (found, truth))
    a, b = (y / np.where((s := np.linalg.norm(y, axis=0)) > 0, s, 1.0) for y in (a, b))
    correlations = a.T @ b  # (L, K)
    rows, columns = linear_sum_assignment(-np.abs(correlations))
    order = rows[np.argsort(columns)]
    return Match(order, correlations[order, np.arange(len(order))])


# ------------------------------------------------------------------ deep models

# Numbers that one pass through the decoder may return; more of them only cost memory.
CHUNK = 4_000_000


@torch.no_grad()
def log_likelihood(vae: VAE, x, n_samples: int, *, rng) -> Array:
    """Return the importance-weighted estimate of ln p(x_n | θ) in nats, float64 (N,).

    ln (1/S) Σ_s p(x_n, z_s) / q(z_s | x_n) with S = n_samples draws of z: at most ln p(x_n) on
    average. Data and samples pass through in chunks. Source: Burda, Grosse and Salakhutdinov 2016.
    """
    x, n_samples = validate.data(x), validate.count(n_samples, "n_samples")
    like = next(vae.parameters())
    generator = torch.Generator(like.device)
    generator.manual_seed(int(validate.generator(rng).integers(2**62)))
    width = max(x.shape[1], vae.n_factors)
    rows = max(1, min(len(x), CHUNK // width))
    depth = max(1, CHUNK // (rows * width))
    result = np.empty(len(x))
    for i in range(0, len(x), rows):
        batch = torch.as_tensor(x[i : i + rows]).to(like)
        total = torch.full((len(batch),), -torch.inf, dtype=torch.float64, device=like.device)
        for s in range(0, n_samples, depth):
            shape = (min(depth, n_samples - s), len(batch), vae.n_factors)
            eps = torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
            log_sum = vae.log_prob(batch, eps).double() + math.log(len(eps))
            total = torch.logaddexp(total, log_sum)
        result[i : i + rows] = (total - math.log(n_samples)).cpu().numpy()
    return result


@torch.no_grad()
def active_units(vae: VAE, x, *, threshold: float = 0.01) -> Array:
    """Return which factors (K,) depend on the data: the variance of E_q[z_k | x_n] over n.

    A factor below the threshold says the same of every datum: its posterior is the prior.
    Source: Burda, Grosse and Salakhutdinov 2016.
    """
    threshold = validate.scalar(threshold, "threshold", 0.0)
    means = vae.infer(validate.data(x)).mean.double()
    return (means.var(0, correction=0) > threshold).cpu().numpy()


@torch.no_grad()
def reconstruct(vae: VAE, x) -> Array:
    """Return E[x | z] at z = E_q[z | x_n], shape (N, D): what the factors keep of each datum."""
    mean = vae.likelihood(vae.infer(validate.data(x)).mean).mean
    return mean.double().cpu().numpy()
