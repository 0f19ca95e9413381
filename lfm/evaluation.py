"""What a model is worth, measured.

What looks at networks imports torch when it is called, so that the chapters before do without.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.special import entr, gammaln, logsumexp, rel_entr

from lfm.engine import constants, looking, validate
from lfm.engine.progress import bar as progress_bar
from lfm.engine.progress import watched
from lfm.engine.signatures import Amount, Count, Doubles, Rng, Switch, Whole, checked
from lfm.variational_bayes import MixturePrior

if TYPE_CHECKING:
    import torch
    from torch.distributions import MultivariateNormal

    from lfm.vae import VAE

Array = np.ndarray


@checked
def few_label_accuracy(
    x: Doubles, labels, n_labels: int, *, rng: Rng, ridge: Amount = 0.0
) -> float:
    """Return the accuracy of a classifier that saw `n_labels` labels, on all other data.

    x (N, D) are pixels, or the factors of a model that saw no labels; labels (N,) whole numbers.
    The labelled data are drawn at random, equally many of each class (what is left over of
    `n_labels`, and what a class lacks, is not used). The classifier is the
    regression of one-hot labels on x by least squares (PRML 4.1.3), of least norm where several
    fit; `ridge` is added to the diagonal of its normal equations.
    """
    labels = validate.labels_of(labels, len(x))
    classes, labels = np.unique(labels, return_inverse=True)
    n_labels = validate.count(n_labels, "n_labels", len(classes), len(x) - 1)
    train = _ranks(labels, rng) < n_labels // len(classes)
    centre, target = x[train].mean(axis=0), np.eye(len(classes))[labels[train]]
    share = target.mean(axis=0)
    weights = _ridge_regression(x[train] - centre, target - share, ridge)
    scores = (x[~train] - centre) @ weights + share
    return float((scores.argmax(axis=1) == labels[~train]).mean())


def _ranks(labels: Array, rng) -> Array:
    """Return the place of each datum within its class (N,), in a random order."""
    order, ranks = rng.permutation(len(labels)), np.empty(len(labels), dtype=int)
    for k in range(labels.max() + 1):
        members = order[labels[order] == k]
        ranks[members] = np.arange(len(members))
    return ranks


def _ridge_regression(y: Array, target: Array, ridge: float) -> Array:
    """Return (yᵀy + ridge I)⁻¹ yᵀ target by singular values: also where yᵀy has no inverse."""
    u, s, v = np.linalg.svd(y, full_matrices=False)
    s = np.where(s > 1e-8 * s[0], s, 0.0)
    inverse = np.divide(s, s**2 + ridge, out=np.zeros_like(s), where=s**2 + ridge > 0)
    return v.T @ (inverse[:, None] * (u.T @ target))


class Match(NamedTuple):
    """For each true factor, the one found that goes with it best, no found factor used twice."""

    order: Array  # (K,) columns of what was found
    correlation: Array  # (K,) with its sign, which the data may not determine


@checked
def match_factors(found: Doubles, truth: Doubles) -> Match:
    """Return the best one-to-one matching of factors found (N, L) with true ones (N, K), L ≥ K.

    It has the largest sum of absolute correlations. A factor that does not vary has correlation 0.
    """
    if len(found) != len(truth) or found.shape[1] < truth.shape[1]:
        raise ValueError(
            f"found has shape {found.shape}; wanted {len(truth)} rows and at least "
            f"{truth.shape[1]} columns, as truth has"
        )
    a, b = (_standardised(y, len(y)) for y in (found, truth))
    correlations = a.T @ b / len(a)  # (L, K)
    rows, columns = linear_sum_assignment(-np.abs(correlations))
    order = rows[np.argsort(columns)]
    return Match(order, correlations[order, np.arange(len(order))])


@checked
def sampled_evidence(
    x: Doubles, n_components: Count, prior: MixturePrior, *, rng: Rng, particles: Count = 500
) -> float:
    """Return an estimate of ln p(X) in nats, for data x (N, D) and a mixture with this prior.

    No q is needed. A particle is a guess of the labels so far, given which weights, means and
    precisions integrate out: the next datum has a Student density in each component. The data come
    in random order. The density of each is averaged over particles and labels; then particles with
    a label are drawn in proportion to their part of it, and are the new particles. exp of the
    result is p(X) on average, so the result is too low on average (Jensen): of several runs, take
    the mean of exp first, then the log. Source: Fearnhead 2004; the Student is in PRML 10.2.3.
    """
    k, d, beta = n_components, x.shape[1], prior.strength
    validate.matrix(prior.mean[None], "prior.mean", d)
    n, m = np.zeros((particles, k)), np.tile(prior.mean, (particles, k, 1))  # (P, K), (P, K, D)
    W = np.tile(np.linalg.inv(prior.scale), (particles, k, 1, 1))  # (P, K, D, D)
    log_det, total = np.full_like(n, np.linalg.slogdet(prior.scale)[1]), 0.0  # ln|W⁻¹| (P, K)
    for i, new in enumerate(rng.permutation(x)):
        gap, keep = new - m, (beta + n) / (beta + n + 1)
        Wg = np.einsum("pkij,pkj->pki", W, gap)
        square = keep * np.maximum((gap * Wg).sum(axis=2), 0.0)  # (P, K)
        log_joint = np.log((prior.concentration + n) / (prior.concentration * k + i))  # its label
        log_joint += _log_student(square, keep, log_det, prior.dof + n + 1, d)
        total += logsumexp(log_joint) - np.log(particles)
        old, z = _drawn(log_joint, rng)
        Wg, square, keep = Wg[old, z], square[old, z], keep[old, z]  # (P, D), (P,), (P,)
        n, m, W, log_det = n[old], m[old], W[old], log_det[old]
        at = np.arange(particles), z
        W[at] -= (keep / (1 + square))[:, None, None] * Wg[:, :, None] * Wg[:, None, :]
        m[at] += (1 - keep)[:, None] * (new - m[at])
        log_det[at] += np.log1p(square)
        n[at] += 1
    validate.unspoiled(total, x)
    return float(total)


def _log_student(square: Array, keep: Array, log_det: Array, dof: Array, d: int) -> Array:
    """Return the log density of a datum by its squared distance; dof is ν with the datum in it."""
    log_norm = gammaln(0.5 * dof) - gammaln(0.5 * (dof - d)) - 0.5 * log_det
    return log_norm + 0.5 * (d * np.log(keep / np.pi) - dof * np.log1p(square))


def _drawn(log_weights: Array, rng) -> tuple[Array, Array]:
    """Return rows and columns of P cells of a table (P, K), drawn by weight, spread evenly."""
    p, k = log_weights.shape
    sums = np.exp(log_weights - log_weights.max()).cumsum()
    return np.divmod(np.searchsorted(sums, (rng.random(p) + np.arange(p)) / p * sums[-1]), k)


# ------------------------------------------------------------------ deep models


@looking.at_rest
def log_likelihood(vae: "VAE", x, n_samples: Count, *, rng) -> Array:
    """Return the importance-weighted estimate of ln p(x_n | θ) in nats, float64 (N,).

    ln (1/S) Σ_s p(x_n, z_s) / q(z_s | x_n) with S = n_samples draws of z: at most ln p(x_n) on
    average. Data and samples pass through in chunks. Raises `ValueError` for data beyond what the
    networks compute with. Source: Burda, Grosse and Salakhutdinov 2016.
    """
    import torch

    from lfm.engine.networks import some_weight

    x = vae.checked(x)
    generator = torch.Generator(some_weight(vae).device)
    generator.manual_seed(validate.torch_seed(rng))
    result, width = np.empty(len(x)), looking.width(vae, vae.seen(x[:1]))
    for part in watched(looking.parts(vae, x), "weighing samples"):
        log_sum = _log_sum_of_weights(vae, vae.seen(x[part]), n_samples, width, generator)
        result[part] = (log_sum - math.log(n_samples)).cpu().numpy()
    return looking.sound(vae, result)


def _log_sum_of_weights(vae: "VAE", x, n_samples: int, width: int, generator) -> "torch.Tensor":
    """Return ln Σ_s p(x_n, z_s) / q(z_s | x_n) for data on their device (N,), in float64."""
    import torch

    like, depth = next(vae.parameters()), max(1, constants.LAYER_NUMBERS // (len(x) * width))
    total = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=like.device)
    for s in range(0, n_samples, depth):
        shape = (min(depth, n_samples - s), len(x), vae.n_factors)
        eps = torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
        log_sum = vae.log_prob(x, eps).double() + math.log(len(eps))
        total = torch.logaddexp(total, log_sum)
    return total


@looking.at_rest
def active_units(vae: "VAE", x, *, threshold: Amount = 0.01) -> Array:
    """Return which factors (K,) depend on the data: the variance of E_q[z_k | x_n] over n.

    A factor below the threshold has the same mean for every datum. Where the bound is at its top
    such a factor's q is the prior.
    Source: Burda, Grosse and Salakhutdinov 2016.
    """
    means = looking.each(vae, x, lambda batch: vae.encoder(batch).mean)
    return means.var(axis=0) > threshold


@looking.at_rest
def reconstruct(vae: "VAE", x) -> Array:
    """Return E[x | z] at z = E_q[z | x_n], shape (N, D): what the factors keep of each datum.

    Bytes come back as grey values from 0 to 1, other data in their units; of a `ConditionalVAE`
    the columns that it explains. Raises `ValueError` for data that the networks do not take.
    """
    return looking.each(vae, x, lambda batch: vae.decoded(vae.encoder(batch).mean, batch).mean)


class Gaps(NamedTuple):
    """ln p(x) and two bounds below it, in nats for each datum (N,). Eq. two-gaps."""

    log_prob: Array  # ln p(x_n)
    best: Array  # L of the best q of the family
    network: Array  # L of the q that the network returns

    @property
    def approximation(self) -> Array:
        """What the family cannot say: ln p(x) - L of its best q."""
        return self.log_prob - self.best

    @property
    def amortisation(self) -> Array:
        """What one network for all data costs: L of the best q - L of the network's."""
        return self.best - self.network


@looking.at_rest
def log_prob_on_a_grid(vae: "VAE", x, *, points: int = 161, reach: float = 6.0) -> Array:
    """Return ln p(x_n | θ) in nats (N,) for one or two factors, by a sum over a grid of z.

    The grid has `points` in each direction, from -reach to reach standard deviations of the prior;
    it passes through the decoder in chunks. Raises `ValueError` for more factors, and for data that
    the networks do not take.
    """
    import torch

    if vae.n_factors > 2:
        raise ValueError(f"vae has {vae.n_factors} factors; wanted 1 or 2 for a grid")
    x = vae.checked(x)
    reach = float(validate.squarable(validate.scalar(reach, "reach", 0.0, strict=True), "reach"))
    at = np.linspace(-reach, reach, validate.count(points, "points", 3))
    grid, log_prior = _prior_on_a_grid(at, vae.n_factors, like=vae.seen(x[:1]))
    size = max(1, constants.LAYER_NUMBERS // (4 * looking.width(vae, vae.seen(x[:1]))))
    rows = max(1, size // len(grid))
    # Sums go to one array that is there before: what is kept between chunks splits the memory.
    total = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=grid.device)
    for start in range(0, len(x), rows):
        batch, sums = vae.seen(x[start : start + rows]), total[start : start + rows]
        depth = max(1, size // len(batch))
        for z, prior in zip(grid.split(depth), log_prior.split(depth), strict=True):
            log_joint = vae.log_likelihood(z[:, None], batch).double() + prior[:, None]
            torch.logaddexp(sums, torch.logsumexp(log_joint, 0), out=sums)
    return looking.sound(vae, total.cpu().numpy())


def _prior_on_a_grid(at: Array, k: int, like) -> "tuple[torch.Tensor, torch.Tensor]":
    """Return all z (G, K) with coordinates `at`, and ln p(z) plus ln of a cell's size (G,)."""
    import torch

    grid = np.stack(np.meshgrid(*[at] * k), -1).reshape(-1, k)
    log_prior = -0.5 * (np.square(grid) + math.log(2 * math.pi)).sum(axis=1)
    log_prior += k * math.log(at[1] - at[0])
    return torch.as_tensor(grid).to(like), torch.as_tensor(log_prior, device=like.device)


@looking.at_rest
def gaps(
    vae: "VAE", x, *, rng, full: Switch = False, steps: Whole = 400, n_samples: Count = 2000
) -> Gaps:
    """Return ln p(x) by a grid, the bound of the best Gaussian q, and that of the network's q.

    The best q, diagonal or with `full` covariance, is sought for each datum by `steps` of Adam on
    its own mean and Cholesky factor, from the network's q on; both bounds are then estimated from
    the same noise. A search may end below the best, so the approximation gap is at most what is
    returned, and the amortisation gap at least. Data pass through in chunks.
    Source: Cremer, Li and Duvenaud 2018, Inference suboptimality.
    """
    import torch

    x = vae.checked(x)
    generator = torch.Generator().manual_seed(validate.torch_seed(rng))
    log_prob = log_prob_on_a_grid(vae, x)
    each = 4 * constants.SAMPLES_A_STEP  # layers are kept for the way back
    parts = looking.parts(vae, x, each=each)
    found = []
    with progress_bar(steps * len(parts), desc="refining q") as bar:
        for part in parts:
            batch = vae.seen(x[part])
            q = vae.encoder(batch)
            with torch.enable_grad():
                best = _refined(vae, batch, q, full, steps, generator, bar)
            eps = _noise(n_samples, batch, vae.n_factors, generator)
            found.append([_bound_of(vae, r, batch, eps) for r in (best, q)])
    pairs = zip(*found, strict=True)
    best, network = (looking.sound(vae, np.concatenate(bounds)) for bounds in pairs)
    return Gaps(log_prob, best, network)


def _refined(vae: "VAE", x, q, full: bool, n_steps: int, generator, bar) -> "MultivariateNormal":
    """Return the best Gaussian for each datum that steps of Adam find, from q on."""
    import torch
    from torch.distributions import MultivariateNormal

    k = vae.n_factors
    mean, log_std = q.mean.clone().requires_grad_(), q.stddev.log().clone().requires_grad_()
    below = torch.zeros(len(x), k, k).to(x).requires_grad_()
    own = [mean, log_std, below] if full else [mean, log_std]

    def free() -> "MultivariateNormal":
        factor = torch.diag_embed(log_std.exp()) + (torch.tril(below, -1) if full else 0)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)

    optimiser = torch.optim.Adam(own, lr=0.03)
    for step in range(n_steps):
        optimiser.param_groups[0]["lr"] = 0.03 * (1 - step / n_steps)
        optimiser.zero_grad()
        eps = _noise(constants.SAMPLES_A_STEP, x, k, generator)
        explained, divergence = vae.terms_of(free(), x, eps)
        (divergence - explained).sum().backward(inputs=own)  # the networks stay as they are
        optimiser.step()
        bar.update()
    return free()


def _bound_of(vae: "VAE", q, x, eps) -> Array:
    """Return the bound (N,) of q for data x, estimated by noise eps (S, N, K), a part at a time."""
    depth, total = max(1, constants.LAYER_NUMBERS // (len(x) * looking.width(vae, x))), 0.0
    for part in eps.split(depth):
        explained, divergence = vae.terms_of(q, x, part)
        total = total + len(part) * explained.double()
    return (total / len(eps) - divergence.double()).cpu().numpy()


def _noise(s: int, x, k: int, generator) -> "torch.Tensor":
    import torch

    return torch.randn(s, len(x), k, generator=generator, dtype=x.dtype).to(x.device)


class KLSplit(NamedTuple):
    """Three parts, in nats, that sum to the mean divergence of q(z | x) from the prior.

    All are averages over q(x, z): a datum at random, and a draw of z from its q.
    """

    mutual_information: float  # of datum and code: at most ln N
    total_correlation: float  # of the codes with each other
    dimension_wise: float  # of each code's distribution from the prior


@looking.at_rest
def kl_split(vae: "VAE", x, *, rng: Rng) -> KLSplit:
    """Return what the divergence is made of, over the data x (N, D), for a diagonal q.

    Eq. beta-bound: with q(z) the average of all q(z | x_n), it is E ln q(z|x)/q(z), plus
    E ln q(z)/Π q(z_k), plus Σ E ln q(z_k)/p(z_k); one draw of z for each datum. Every z meets every
    q, a chunk of them at a time. Source: Hoffman and Johnson 2016; Chen, Li, Grosse and Duvenaud
    2018.
    """
    import torch

    x = vae.checked(x, bits=False)
    qs = [vae.encoder(vae.seen(x[part])) for part in looking.parts(vae, x)]
    if isinstance(qs[0], torch.distributions.MultivariateNormal):
        raise ValueError("vae has an encoder with a full covariance; wanted a diagonal one")
    mean, std = (torch.cat([getattr(q, a) for q in qs]).double().cpu() for a in ("mean", "stddev"))
    looking.sound(vae, mean)
    looking.sound(vae, std.log())  # nor is it 0
    eps = torch.as_tensor(rng.standard_normal(mean.shape))
    z = mean + std * eps
    rows = torch.arange(len(z)).split(max(1, constants.LAYER_NUMBERS // mean.numel()))
    return KLSplit(*torch.cat([_split(z, mean, std, part) for part in rows], 1).mean(1).tolist())


def _split(z, mean, std, rows) -> "torch.Tensor":
    """Return the three parts for some rows of z (N, K), under the q's of all data; (3, n)."""
    import torch
    from torch.distributions import Normal

    log_n = math.log(len(z))
    each = Normal(mean, std).log_prob(z[rows, None])  # ln q(z_ik | x_j): (n, N, K)
    own = each[torch.arange(len(rows)), rows].sum(1)  # ln q(z_i | x_i)
    together = torch.logsumexp(each.sum(2), 1) - log_n
    apart = (torch.logsumexp(each, 1) - log_n).sum(1)
    prior = Normal(0.0, 1.0).log_prob(z[rows]).sum(1)
    return torch.stack([own - together, together - apart, apart - prior])


# ------------------------------------------------------------------ what factors mean


class DCI(NamedTuple):
    """Three numbers between 0 and 1 that a good set of factors has high, and what they rest on."""

    disentanglement: float  # each code speaks of one factor
    completeness: float  # each factor is spoken of by one code
    informativeness: float  # the factors can be told from the codes: R² on data kept aside
    importance: Array  # (K, J): how much code k counts for factor j


def mutual_information(codes, factors, *, bins: int = 20) -> Array:
    """Return I(code k; factor j) in nats, (K, J), for codes (N, K) and factors (N, J).

    By histogram: codes and factors of many values are cut into `bins` of equally many data, so
    nothing depends on scale or on any increasing transformation. Independent ones have about
    (bins - 1)² / 2N, not 0.
    """
    codes, factors = validate.aligned(codes, factors)
    bins = validate.count(bins, "bins", 2, len(codes))
    a = [_labels(column, bins) for column in codes.T]
    b = [_labels(column, bins) for column in factors.T]
    return np.array([[_information(u, v) for v in b] for u in a])


def mutual_information_gap(codes, factors, *, bins: int = 20) -> float:
    """Return how far ahead the best code of each factor is of the second best, on average.

    (I₁ - I₂) / H of each factor, between 0 and 1; factors that do not vary are left out.
    Source: Chen, Li, Grosse and Duvenaud 2018, Isolating sources of disentanglement.
    """
    codes, factors = validate.aligned(codes, factors)
    information = mutual_information(codes, factors, bins=bins)
    if len(information) < 2:
        raise ValueError(f"codes has {len(information)} column; wanted at least 2, for a gap")
    entropy = np.array([_information(v, v) for v in (_labels(c, bins) for c in factors.T)])
    ranked = np.sort(information, axis=0)[::-1]
    used = entropy > 0
    if not used.any():
        raise ValueError("factors do not vary; wanted at least one that does")
    return float(((ranked[0] - ranked[1])[used] / entropy[used]).mean())


def dci(codes, factors) -> DCI:
    """Return disentanglement, completeness and informativeness of codes (N, K) for factors (N, J).

    The importance of code k for factor j is its coefficient, without the sign, in the regression of
    factor j on all codes, everything in units of its standard deviation; the first half of the data
    is for that, the second for R². Factors that do not vary are left out: their importance is 0.
    Source: Eastwood and Williams 2018, there with other regressors.
    """
    codes, factors = validate.aligned(codes, factors)
    if len(codes) < 2 * codes.shape[1] + 4:
        raise ValueError(f"codes has {len(codes)} rows; wanted {2 * codes.shape[1] + 4} or more")
    half = len(codes) // 2
    used = _vary_in_both(factors, half)
    a, b = _standardised(codes, half), _standardised(factors, half)[:, used]
    weights = np.linalg.lstsq(a[:half], b[:half], rcond=1e-9)[0]  # (K, J)
    left = np.square(b[half:] - a[half:] @ weights).mean(axis=0)
    r2 = np.clip(1 - left / b[half:].var(axis=0), 0, 1)
    importance = np.zeros((codes.shape[1], len(used)))
    importance[:, used] = shares = np.abs(weights)
    total = shares.sum()
    if total == 0:  # no code varies
        return DCI(0.0, 0.0, 0.0, importance)
    disentanglement = float(shares.sum(axis=1) @ _concentration(shares) / total)
    completeness = float(shares.sum(axis=0) @ _concentration(shares.T) / total)
    return DCI(disentanglement, completeness, float(r2.mean()), importance)


def _vary_in_both(factors: Array, half: int) -> Array:
    """Tell which factors (J,) vary in both halves of the data; at least one must."""
    first, second = _varies(factors[:half]), _varies(factors[half:])
    if not (first & second).any():
        where = "second" if first.any() else "first"
        raise ValueError(f"factors do not vary in the {where} half of the data; shuffle the rows")
    return first & second


class Control(NamedTuple):
    """How well pictures show the attributes that were ordered, each (A,), as a judge reads them."""

    r2: Array  # 1 - squared error over variance of the orders; below 0 if worse than no order
    success: Array  # share of pictures that read within the tolerance of their order


@checked
def attribute_control(
    images, ordered, judge_images, judge_attributes, *, tolerance: Amount = 0.5
) -> Control:
    """Return how well images (N, D) obey the attributes that were ordered (N, A).

    The judge is the regression, of least norm, of `judge_attributes` (M, A) on `judge_images`
    (M, D): real data, which never saw the model that made the images. Give it other real images
    and their own attributes first: a judge that cannot read those says nothing. With on and off as
    1 and 0 a tolerance of 0.5 means the right side. Bytes are grey values, divided by 255.
    """
    images, ordered = validate.aligned(
        validate.grey(images, "images"), ordered, "images", "ordered"
    )
    x = validate.grey(judge_images, "judge_images")
    x, y = validate.aligned(x, judge_attributes, "judge_images", "judge_attributes")
    if x.shape[1] != images.shape[1] or y.shape[1] != ordered.shape[1]:
        raise ValueError(
            f"judge_images, judge_attributes have {x.shape[1]}, {y.shape[1]} columns; wanted "
            f"{images.shape[1]}, {ordered.shape[1]}, as images and ordered have"
        )
    var = ordered.var(axis=0)
    if not _varies(ordered).all():
        raise ValueError("ordered has an attribute of one value only; wanted orders that differ")
    weights = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=1e-6)[0]
    read = (images - x.mean(axis=0)) @ weights + y.mean(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        r2 = 1 - np.square(read - ordered).mean(axis=0) / var
    if not np.isfinite(r2).all():
        raise ValueError("images and judge_images differ beyond all scale; rescale them alike")
    return Control(r2, (np.abs(read - ordered) < tolerance).mean(axis=0))


@checked
def neighbour_score(codes: Doubles, labels, *, n_neighbours: int = 10) -> float:
    """Return the share of the nearest neighbours in code space (N, K) that have the same label.

    labels (N,) are numbers; each datum has `n_neighbours` of them, fewer than N. Where more are
    equally near than are wanted, each of them counts in part.
    """
    labels = validate.labels_of(labels, len(codes))
    n = validate.count(n_neighbours, "n_neighbours", 1, len(codes) - 1)
    places, at, sizes = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    labels = np.unique(labels, return_inverse=True)[1][np.argsort(at.ravel(), kind="stable")]
    labels = np.split(labels, np.cumsum(sizes)[:-1])  # of the data at each place
    tree = cKDTree(places)
    # Some place within the n nearest, itself counted, has the last neighbour that is wanted.
    distances, nearest = tree.query(places, k=range(1, min(n + 1, len(places)) + 1))
    filled = (sizes[nearest].cumsum(axis=1) > n).argmax(axis=1)
    score = 0.0
    for i, radius in enumerate(distances[np.arange(len(places)), filled]):
        near = np.array(tree.query_ball_point(places[i], radius * (1 + 1e-12)))
        ties = np.linalg.norm(places[near] - places[i], axis=1) >= radius * (1 - 1e-12)
        tied = np.concatenate([labels[j] for j in near[ties]])
        sure = np.concatenate([labels[j] for j in near[~ties]] or [tied[:0]])
        for label in labels[i]:
            score += _alike(label, sure, tied, n)
    return float(score / (len(codes) * n))


def _alike(label: int, sure: Array, tied: Array, n: int) -> float:
    """Return how many of n neighbours have the label, each of those that tie counting in part.

    `sure` or, where no other is nearer, `tied` has the datum itself, which is no neighbour.
    """
    if len(sure) == 0:
        return n * ((tied == label).sum() - 1) / (len(tied) - 1)
    part = (n + 1 - len(sure)) / len(tied)
    return (sure == label).sum() - 1 + part * (tied == label).sum()


def _labels(values: Array, bins: int) -> Array:
    """Return whole numbers (N,): the values themselves where they are few, else their quantiles."""
    kinds, labels = np.unique(values, return_inverse=True)
    if len(kinds) <= bins:
        return labels
    # Of the values themselves: what lies between two may round to either.
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf"))
    # A value that fills a bin by itself has one of its own: what is above it is another.
    heavy = np.array([e for e in edges if (values == e).mean() > 1 / bins])
    edges = np.union1d(edges, np.nextafter(heavy, np.inf))
    return np.searchsorted(edges, values, side="right")


def _information(a: Array, b: Array) -> float:
    """Return the mutual information of two columns of labels in nats; of one with itself, H."""
    counts = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(counts, (a, b), 1)
    joint = counts / len(a)
    nats = rel_entr(joint, np.outer(joint.sum(axis=1), joint.sum(axis=0))).sum()
    return max(float(nats), 0.0)  # where it is 0, rounding may put it below


def _varies(y: Array) -> Array:
    """Tell which columns vary by more than rounding, and enough to be squared."""
    return np.ptp(y, axis=0) > np.maximum(1e-12 * np.abs(y).max(axis=0), np.sqrt(constants.TINY))


def _standardised(y: Array, half: int) -> Array:
    """Return y in units of the deviation of its first half, 0 for a column that does not vary."""
    mean, std = y[:half].mean(axis=0), y[:half].std(axis=0)
    varies = _varies(y[:half])
    return np.where(varies, (y - mean) / np.where(varies, std, 1.0), 0.0)


def _concentration(importance: Array) -> Array:
    """Return for each row 1 - H/ln n of its shares: 1 where one entry has all, 0 where all do."""
    total = importance.sum(axis=1, keepdims=True)
    shares = importance / np.where(total > 0, total, 1.0)
    n = importance.shape[1]
    return 1 - entr(shares).sum(axis=1) / math.log(n) if n > 1 else np.ones(len(importance))
