"""What a model is worth, measured."""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.special import entr, rel_entr
from torch.distributions import MultivariateNormal, Normal

from lfm import _validate as validate
from lfm.progress import watched
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
    inverse = np.divide(s, s**2 + ridge, out=np.zeros_like(s), where=s**2 + ridge > 0)
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
    average. Data and samples pass through in chunks. Raises `ValueError` for data beyond what the
    networks compute with. Source: Burda, Grosse and Salakhutdinov 2016.
    """
    x = validate.kind(vae, "vae", VAE).checked(x)
    n_samples = validate.count(n_samples, "n_samples")
    like = next(vae.parameters())
    generator = torch.Generator(like.device)
    generator.manual_seed(validate.torch_seed(rng))
    width = max(x.shape[1], vae.n_factors)
    rows = max(1, min(len(x), CHUNK // width))
    depth = max(1, CHUNK // (rows * width))
    result = np.empty(len(x))
    for i in watched(range(0, len(x), rows), "weighing samples"):
        batch = vae.tensor(x[i : i + rows], "x")
        total = torch.full((len(batch),), -torch.inf, dtype=torch.float64, device=like.device)
        for s in range(0, n_samples, depth):
            shape = (min(depth, n_samples - s), len(batch), vae.n_factors)
            eps = torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)
            log_sum = vae.log_prob(batch, eps).double() + math.log(len(eps))
            total = torch.logaddexp(total, log_sum)
        result[i : i + rows] = (total - math.log(n_samples)).cpu().numpy()
    return _sound(result)


@torch.no_grad()
def active_units(vae: VAE, x, *, threshold: float = 0.01) -> Array:
    """Return which factors (K,) depend on the data: the variance of E_q[z_k | x_n] over n.

    A factor below the threshold says the same of every datum: its posterior is the prior.
    Source: Burda, Grosse and Salakhutdinov 2016.
    """
    threshold = validate.scalar(threshold, "threshold", 0.0)
    x = validate.kind(vae, "vae", VAE).checked(x, explained=False)
    means = vae.infer(x).mean.double()
    return (means.var(0, correction=0) > threshold).cpu().numpy()


@torch.no_grad()
def reconstruct(vae: VAE, x) -> Array:
    """Return E[x | z] at z = E_q[z | x_n], shape (N, D): what the factors keep of each datum.

    In the units of x; raises `ValueError` for data that the networks do not take.
    """
    x = validate.kind(vae, "vae", VAE).checked(x, explained=False)
    mean = vae.likelihood(vae.infer(x).mean).mean
    return _sound(mean.double().cpu().numpy())


def _sound(result):
    """Return what networks made of data, or say that they cannot have been made for such data."""
    if not np.isfinite(np.asarray(result)).all():
        raise ValueError("x is beyond what the networks of vae compute with; scale it to about 1")
    return result


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


@torch.no_grad()
def log_prob_on_a_grid(vae: VAE, x, *, points: int = 161, reach: float = 6.0) -> Array:
    """Return ln p(x_n | θ) in nats (N,) for one or two factors, by a sum over a grid of z.

    The grid has `points` in each direction, from -reach to reach standard deviations of the prior.
    Raises `ValueError` for more factors, and for data that the networks do not take.
    """
    if validate.kind(vae, "vae", VAE).n_factors > 2:
        raise ValueError(f"vae has {vae.n_factors} factors; wanted 1 or 2 for a grid")
    x = vae.checked(x)
    reach = float(validate.squarable(validate.scalar(reach, "reach", 0.0, strict=True), "reach"))
    at = np.linspace(-reach, reach, validate.count(points, "points", 3))
    z = np.stack(np.meshgrid(*[at] * vae.n_factors), -1).reshape(-1, vae.n_factors)
    log_cell = vae.n_factors * math.log(at[1] - at[0])
    log_prior = -0.5 * (np.square(z) + math.log(2 * math.pi)).sum(axis=1) + log_cell
    x = vae.tensor(x, "x")
    z, log_prior = torch.as_tensor(z).to(x), torch.as_tensor(log_prior, device=x.device)
    rows = max(1, CHUNK // (len(z) * x.shape[1]))
    parts = [
        torch.logsumexp(vae.likelihood(z[:, None]).log_prob(batch).double() + log_prior[:, None], 0)
        for batch in x.split(rows)
    ]
    return _sound(torch.cat(parts).cpu().numpy())


def gaps(vae: VAE, x, *, rng, full: bool = False, steps: int = 400, n_samples: int = 2000) -> Gaps:
    """Return ln p(x) by a grid, the bound of the best Gaussian q, and that of the network's q.

    The best q, diagonal or with `full` covariance, is found for each datum by `steps` of Adam on
    its own mean and Cholesky factor, from the network's q on; both bounds are then estimated from
    the same noise. Source: Cremer, Li and Duvenaud 2018, Inference suboptimality.
    """
    x = validate.kind(vae, "vae", VAE).checked(x)
    x = vae.tensor(x, "x")
    full = validate.switch(full, "full")
    steps, n_samples = validate.count(steps, "steps", 0), validate.count(n_samples, "n_samples")
    generator = torch.Generator().manual_seed(validate.torch_seed(rng))
    k = vae.n_factors

    def noise(s: int) -> torch.Tensor:
        return torch.randn(s, len(x), k, generator=generator, dtype=x.dtype)

    def bound(q, eps) -> torch.Tensor:
        explained, divergence = vae.terms_of(q, x, eps)
        return explained - divergence

    with torch.no_grad():
        q = vae.infer(x)
    mean, log_std = q.mean.clone().requires_grad_(), q.stddev.log().clone().requires_grad_()
    below = torch.zeros(len(x), k, k, dtype=x.dtype).requires_grad_()
    own = [mean, log_std, below] if full else [mean, log_std]

    def free() -> MultivariateNormal:
        factor = torch.diag_embed(log_std.exp()) + (torch.tril(below, -1) if full else 0)
        return MultivariateNormal(mean, scale_tril=factor, validate_args=False)

    optimiser = torch.optim.Adam(own, lr=0.03)
    for step in watched(range(steps), "refining q"):
        optimiser.param_groups[0]["lr"] = 0.03 * (1 - step / steps)
        optimiser.zero_grad()
        (-bound(free(), noise(8)).sum()).backward(inputs=own)  # the networks stay as they are
        optimiser.step()
    with torch.no_grad():
        eps = noise(n_samples)
        best, network = bound(free(), eps), bound(q, eps)
    bounds = (_sound(a.double().numpy()) for a in (best, network))
    return Gaps(log_prob_on_a_grid(vae, x.numpy()), *bounds)


class KLSplit(NamedTuple):
    """Three parts, in nats, that sum to the mean divergence of q(z | x) from the prior."""

    mutual_information: float  # of datum and code
    total_correlation: float  # of the codes with each other
    dimension_wise: float  # of each code's distribution from the prior


@torch.no_grad()
def kl_split(vae: VAE, x, *, rng) -> KLSplit:
    """Return what the divergence is made of, over the data x (N, D), for a diagonal q.

    Eq. beta-bound: with q(z) the average of all q(z | x_n), it is E ln q(z|x)/q(z), plus
    E ln q(z)/Π q(z_k), plus Σ E ln q(z_k)/p(z_k); one draw of z for each datum. Source: Hoffman and
    Johnson 2016; Chen, Li, Grosse and Duvenaud 2018.
    """
    x = validate.kind(vae, "vae", VAE).checked(x, explained=False)
    q = vae.infer(x)
    if isinstance(q, MultivariateNormal):
        raise ValueError("vae has an encoder with a full covariance; wanted a diagonal one")
    mean, std = _sound(q.mean.double()), q.stddev.double()
    _sound(std.log())  # nor is it 0
    eps = torch.as_tensor(validate.generator(rng).standard_normal(mean.shape))
    z = mean + std * eps
    each = Normal(mean, std).log_prob(z[:, None])  # ln q(z_ik | x_j): (N, N, K)
    log_n = math.log(len(mean))
    own = each.diagonal(dim1=0, dim2=1).sum(0)  # ln q(z_i | x_i)
    together = torch.logsumexp(each.sum(2), 1) - log_n
    apart = (torch.logsumexp(each, 1) - log_n).sum(1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(1)
    parts = (own - together, together - apart, apart - prior)
    return KLSplit(*(p.mean().item() for p in parts))


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
    codes, factors = _aligned(codes, factors)
    bins = validate.count(bins, "bins", 2, len(codes))
    a = [_labels(column, bins) for column in codes.T]
    b = [_labels(column, bins) for column in factors.T]
    return np.array([[_information(u, v) for v in b] for u in a])


def mutual_information_gap(codes, factors, *, bins: int = 20) -> float:
    """Return how far ahead the best code of each factor is of the second best, on average.

    (I₁ - I₂) / H of each factor, between 0 and 1; factors that do not vary are left out.
    Source: Chen, Li, Grosse and Duvenaud 2018, Isolating sources of disentanglement.
    """
    codes, factors = _aligned(codes, factors)
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
    is for that, the second for R². Source: Eastwood and Williams 2018, there with other regressors.
    """
    codes, factors = _aligned(codes, factors)
    if len(codes) < 2 * codes.shape[1] + 4:
        raise ValueError(f"codes has {len(codes)} rows; wanted {2 * codes.shape[1] + 4} or more")
    half = len(codes) // 2
    a, b = (_standardised(y, half) for y in (codes, factors))
    weights = np.linalg.lstsq(a[:half], b[:half], rcond=1e-9)[0]  # (K, J)
    importance = np.abs(weights)
    left = np.square(b[half:] - a[half:] @ weights).mean(axis=0)
    var = b[half:].var(axis=0)
    used = var > 0
    by_code, by_factor = importance.sum(axis=1), importance.sum(axis=0)
    total = importance.sum()
    if total == 0:
        return DCI(0.0, 0.0, 0.0, importance)
    if not used.any():
        raise ValueError("factors do not vary in the second half of the data; shuffle the rows")
    r2 = np.clip(1 - left[used] / var[used], 0, 1)
    return DCI(
        float(by_code @ _concentration(importance) / total),
        float(by_factor @ _concentration(importance.T) / total),
        float(r2.mean()),
        importance,
    )


class Control(NamedTuple):
    """How well pictures show the attributes that were ordered, each (A,), as a judge reads them."""

    r2: Array  # 1 - squared error over variance of the orders; below 0 if worse than no order
    success: Array  # share of pictures that read within the tolerance of their order


def attribute_control(images, ordered, judge_images, judge_attributes, *, tolerance=0.5) -> Control:
    """Return how well images (N, D) obey the attributes that were ordered (N, A).

    The judge is the regression, of least norm, of `judge_attributes` (M, A) on `judge_images`
    (M, D): real data, which never saw the model that made the images. Give it other real images
    and their own attributes first: a judge that cannot read those says nothing. With on and off as
    1 and 0 a tolerance of 0.5 means the right side.
    """
    images, ordered = _aligned(images, ordered, "images", "ordered")
    x, y = _aligned(judge_images, judge_attributes, "judge_images", "judge_attributes")
    if x.shape[1] != images.shape[1] or y.shape[1] != ordered.shape[1]:
        raise ValueError(
            f"judge_images, judge_attributes have {x.shape[1]}, {y.shape[1]} columns; wanted "
            f"{images.shape[1]}, {ordered.shape[1]}, as images and ordered have"
        )
    tolerance, var = validate.scalar(tolerance, "tolerance", 0.0), ordered.var(axis=0)
    if not (var > 0).all():
        raise ValueError("ordered has an attribute of one value only; wanted orders that differ")
    weights = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=1e-6)[0]
    read = (images - x.mean(axis=0)) @ weights + y.mean(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        r2 = 1 - np.square(read - ordered).mean(axis=0) / var
    if not np.isfinite(r2).all():
        raise ValueError("images and judge_images differ beyond all scale; rescale them alike")
    return Control(r2, (np.abs(read - ordered) < tolerance).mean(axis=0))


def neighbour_score(codes, labels, *, n_neighbours: int = 10) -> float:
    """Return the share of the nearest neighbours in code space (N, K) that have the same label.

    labels (N,) are numbers; each datum has `n_neighbours` of them, fewer than N.
    """
    codes = validate.data(codes, "codes")
    labels = validate.numeric(labels, "labels")
    if labels.shape != (len(codes),):
        raise ValueError(f"labels has shape {labels.shape}; wanted ({len(codes)},)")
    n = validate.count(n_neighbours, "n_neighbours", 1, len(codes) - 1)
    _, nearest = cKDTree(codes).query(codes, k=n + 1)  # itself is one of them
    same = labels[nearest] == labels[:, None]
    return float((same.sum(axis=1) - 1).mean() / n)


def _aligned(a, b, first: str = "codes", second: str = "factors") -> tuple[Array, Array]:
    a, b = validate.data(a, first), validate.data(b, second)
    if len(a) != len(b):
        raise ValueError(f"{second} has {len(b)} rows; wanted {len(a)}, as {first} has")
    return a, b


def _labels(values: Array, bins: int) -> Array:
    """Return whole numbers (N,): the values themselves where they are few, else their quantiles."""
    kinds, labels = np.unique(values, return_inverse=True)
    if len(kinds) <= bins:
        return labels
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(edges, values, side="right")


def _information(a: Array, b: Array) -> float:
    """Return the mutual information of two columns of labels in nats; of one with itself, H."""
    counts = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(counts, (a, b), 1)
    joint = counts / len(a)
    return float(rel_entr(joint, np.outer(joint.sum(axis=1), joint.sum(axis=0))).sum())


def _standardised(y: Array, half: int) -> Array:
    """Return y in units of the deviation of its first half, 0 for a column that does not vary."""
    mean, std = y[:half].mean(axis=0), y[:half].std(axis=0)
    return np.where(std > 1e-12 * np.abs(mean), (y - mean) / np.where(std > 0, std, 1.0), 0.0)


def _concentration(importance: Array) -> Array:
    """Return for each row 1 - H/ln n of its shares: 1 where one entry has all, 0 where all do."""
    total = importance.sum(axis=1, keepdims=True)
    shares = importance / np.where(total > 0, total, 1.0)
    n = importance.shape[1]
    return 1 - entr(shares).sum(axis=1) / math.log(n) if n > 1 else np.ones(len(importance))
