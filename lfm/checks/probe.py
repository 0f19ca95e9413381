"""What `contract` measures with: parameters that are moved, and densities that are summed.

It knows no model: a parameter is a field that holds real numbers, a density is a function.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial
from inspect import signature
from math import lgamma, log, nan, pi
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

Array = np.ndarray

ENTRIES, DENSE = 16, 8  # the directions in which a parameter is moved: single entries, and random
CENTRES, DRAWS, DOF = 256, 6000, 2.0  # for an integral: Students about samples, wide ones


def parameters(model) -> dict[str, Any]:
    """Return the fields of a model that hold real numbers: arrays of them, or one."""
    if is_dataclass(model):
        names = [f.name for f in fields(model) if f.init]
    else:
        names = getattr(model, "_fields", None) or _arguments(type(model))
    values = {name: getattr(model, name) for name in names if hasattr(model, name)}
    return {name: v for name, v in values.items() if _is_real(v) and np.size(v)}


def _arguments(kind: type) -> list[str]:
    """Return the names that a class is made with; of some built in, none are known."""
    try:
        return list(signature(kind).parameters)
    except ValueError:
        return []


def _is_real(value) -> bool:
    return isinstance(value, float | np.ndarray) and np.asarray(value).dtype.kind == "f"


def replaced(model, name: str, value: Array) -> Any:
    """Return the model with one field replaced, or None where it refuses the value."""
    value = float(value) if np.ndim(getattr(model, name)) == 0 else value
    try:
        if is_dataclass(model):
            return replace(model, **{name: value})
        if hasattr(model, "_replace"):
            return model._replace(**{name: value})
        own = {key: getattr(model, key) for key in _arguments(type(model))}
        return type(model)(**{**own, name: value})
    except Exception:  # whatever the model says of a value that is none of its own
        return None


def moves(value, spread: float, rng) -> list[tuple[str, Callable[[float], Array]]]:
    """Return ways to change a parameter and their names, each a function of how far.

    What sums to 1 goes on doing so, a covariance stays one, what is above 0 stays there.
    """
    v = np.asarray(value, dtype=float)
    scale = min(np.abs(v).max() or np.inf, spread or np.inf)
    scale, chol = (scale if np.isfinite(scale) else 1.0), _cholesky(v)
    simplex = v.ndim == 1 and (v >= 0).all() and abs(v.sum() - 1) < 1e-9

    def moved(d: Array, t: float) -> Array:
        if simplex:
            return v * np.exp(t * d) / (v * np.exp(t * d)).sum()
        if chol is not None:
            return v + t * chol @ (d + d.mT) @ chol.mT
        return v * np.exp(t * d) if (v > 0).all() else v + t * scale * d

    one = np.ones(v.shape) if chol is None else np.broadcast_to(np.eye(v.shape[-1]), v.shape)
    if chol is not None and not (v * (1 - one)).any():
        free = [(how, d * one) for how, d in _directions(v.shape, rng)]  # only its diagonal is
    else:
        free = _directions(v.shape, rng)
    if not simplex and v.ndim and len(v) > 1 and (v == v[0]).all():  # one parameter, many times
        free = [(how, np.broadcast_to(d.mean(axis=0), v.shape)) for how, d in free]
    named = [(" (all of it alike)", one), *free] if v.ndim else [("", one)]
    return [(how, partial(moved, d)) for how, d in named]


def _directions(shape: tuple[int, ...], rng) -> list[tuple[str, Array]]:
    """Return single entries, with their names, and random directions."""
    directions = []
    for i in rng.permutation(int(np.prod(shape)))[:ENTRIES]:
        at, d = np.unravel_index(i, shape), np.zeros(shape)
        d[at] = 1.0
        directions.append((f" (entry [{', '.join(map(str, at))}])", d))
    return directions + [("", rng.normal(size=shape)) for _ in range(DENSE)]


def _cholesky(v: Array) -> Array | None:
    """Return the Cholesky factors where v is a covariance, or a stack of them."""
    square = v.ndim >= 2 and v.shape[-1] == v.shape[-2]
    if not (square and np.allclose(v, v.mT, rtol=1e-12, atol=0)):
        return None
    try:
        return np.linalg.cholesky(v)
    except np.linalg.LinAlgError:
        return None


def _held(value, stats) -> Array:
    """Tell which entries are variances at the least that `stats` allow."""
    if not hasattr(stats, "floor"):
        return np.zeros(np.shape(value), dtype=bool)
    least = np.asarray(stats.floor())
    like = least if np.shape(value) == least.shape else least.mean()
    return np.isclose(value, like, rtol=1e-9, atol=0) | np.isclose(value, least.mean(), 1e-9, 0)


def rise(model, stats, name: str, rng, spread: float) -> tuple[float, str]:
    """Return how far the bound rises, in nats, when one parameter is moved, and which way.

    Along each direction a parabola through three points says where the top is; looked at are they
    and the top.
    """
    value = getattr(model, name)
    held, start = _held(value, stats), float(model.lower_bound(stats))
    best = (0.0, "")
    for how, move in moves(value, spread, rng):

        def at(t: float, move=move) -> float:
            new = move(t)
            other = replaced(model, name, np.where(held, np.maximum(new, value), new))
            return nan if other is None else float(other.lower_bound(stats)) - start

        for h in (1e-2, 1e-4):
            up, down = at(h), at(-h)
            curve = (up + down) / h**2
            top = at((down - up) / (2 * h * curve)) if curve < 0 else nan
            best = max([best, *((rise, how) for rise in (up, down, top) if rise > best[0])])
    return best


def weighed(log_prob: Callable[[Array], Array], y: Array, rng) -> tuple[Array, Array]:
    """Return draws u (S, D) and p(u) / g(u) (S,) of any density p that samples y (N, D) are near.

    The draws are from g, Students about some of the samples: wide ones, for p may have long tails.
    The mean weight is the integral of p, and weighed draws have its moments.
    """
    y, d = y[:CENTRES], y.shape[1]
    width = (4 / ((d + 2) * len(y))) ** (1 / (d + 4))  # Silverman's rule
    cov = np.atleast_2d(np.cov(y.T))
    chol = width * np.linalg.cholesky(cov + 1e-12 * np.trace(cov) * np.eye(d))
    far = rng.standard_normal((DRAWS, d)) / np.sqrt(rng.chisquare(DOF, DRAWS) / DOF)[:, None]
    u = y[rng.integers(len(y), size=DRAWS)] + far @ chol.T
    white = np.linalg.solve(chol, np.vstack([u, y]).T).T
    squares = cdist(white[:DRAWS], white[DRAWS:], "sqeuclidean")  # (S, N)
    log_t = -0.5 * (DOF + d) * np.log1p(squares / DOF) - np.log(np.diag(chol)).sum()
    log_t += lgamma((DOF + d) / 2) - lgamma(DOF / 2) - 0.5 * d * log(DOF * pi) - log(len(y))
    return u, np.exp(log_prob(u) - logsumexp(log_t, axis=1))
