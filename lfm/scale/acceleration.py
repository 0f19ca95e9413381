"""Factor analysis in a few iterations: better plain steps, and leaps that are taken back.

EM is slow since learning takes the units of z from the old W, and inference takes Ψ as it finds it.
Two plain steps trust less; the likelihood never falls by either.

- More data than columns: parameter expansion (PX-EM). Learning also fits the covariance of the
  factors, which is I in the model, and then measures them in units in which it is I again.
- Fewer data than columns, N < D: the closed form of probabilistic PCA gives the W that is best for
  the present Ψ, from the eigenvectors of an N × N matrix, and learning is left with Ψ (ECME). All
  but the N × N matrix is done in N dimensions; that matrix costs N² D in every iteration, since
  each new Ψ weighs the columns anew.

What is left of the error then shrinks by nearly the same share in each step, so two steps say
where the sequence is going, and one leap goes there (SQUAREM). A leap may lower the likelihood; it
is then taken back, and a plain step goes on from where it started.

Source: Liu, Rubin and Wu 1998, Biometrika 85, 755-770; Liu and Rubin 1998, Statistica Sinica 8,
729-747; Varadhan and Roland 2008, Scandinavian Journal of Statistics 35, 335-353.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lfm import em
from lfm.engine import passes
from lfm.engine.moments import Moments
from lfm.engine.progress import bar as progress_bar
from lfm.engine.rounding import least_noise
from lfm.engine.signatures import Amount, Whole, checked
from lfm.factor_analysis import FactorAnalysis

Array = np.ndarray


@checked
def fit(
    model: FactorAnalysis,
    x,
    *,
    max_iter: Whole = 1000,
    tol: Amount = 1e-6,
    leaps: bool = True,
    progress: bool | None = None,
) -> em.Fit:
    """Maximise the likelihood of factor analysis in fewer iterations than `em.fit`.

    Takes x (N, D), or batches of it, and stops where a plain step raises ln p(X) by less than
    `tol` nats per datum; at the end comes one step of EM. Eq. ascent: `bounds` never falls. It has
    a value for every model that was tried, so a leap that was taken back repeats the one before;
    at most `max_iter` are tried after the first. Without `leaps` there are plain steps only. For
    N < D the maximum may be a higher one than that of `em.fit`, and the first model, which
    max_iter=0 returns, is not `model` itself but has the best W and μ for its Ψ. Raises what
    `em.fit` raises.
    """
    moments = passes.over(model, x).x
    bounds = []
    with progress_bar(max_iter, progress, desc="EM", unit="step") as bar:
        for place, plain in itertools.islice(_climb(model, moments, leaps), max_iter + 1):
            bounds.append(place.bound)
            if len(bounds) > 1:
                bar.update(f"{place.bound / moments.n:.6f} nats per datum")
            if converged := plain and em.settled(bounds, moments.n, tol):
                break
    end = em.fit(place.model, moments, max_iter=int(max_iter > 0), tol=tol, progress=False)
    return em.Fit(end.model, end.q, np.append(bounds, end.bounds[1:]), converged)


@dataclass(frozen=True, eq=False)
class Place:
    """A model, its ln p(X) in nats, and the model to which a plain step leads."""

    model: FactorAnalysis
    bound: float
    next: FactorAnalysis


def _climb(model: FactorAnalysis, x: Moments, leaps: bool) -> Iterator[tuple[Place, bool]]:
    """Yield the best place so far for each model tried, and whether a plain step led to it."""
    wide = x.scatter is None
    look = profiled if wide else expanded
    old = look(model, x)
    yield old, False
    while not leaps:
        old = look(old.next, x)
        yield old, True
    while True:
        one = look(old.next, x)
        yield one, True
        leap = look(_leapt(old.model, one.model, one.next, x, with_loadings=not wide), x)
        if leap.bound >= one.bound:
            old = leap
            yield old, False
        else:
            yield one, False
            old = look(one.next, x)
            yield old, True


def expanded(model: FactorAnalysis, x: Moments) -> Place:
    """Return ln p(X) of the model and the parameter-expanded step from it.

    In that step the factors may have any mean m (K,) and covariance S (K, K). Learning gives
    x = W z + μ, and N(m, S) is what fits the factors best. In units in which they have mean 0 and
    covariance I, the loadings are W S^½ and the mean is μ + W m.
    """
    stats = model.expect(x, model.infer(x))
    new, m = model.learn(stats), stats.z / stats.n
    S = stats.zz / stats.n - np.outer(m, m)
    lam, u = np.linalg.eigh(S)
    root = u * np.sqrt(np.maximum(lam, 0.0)) @ u.T
    new = replace(new, loadings=new.loadings @ root, mean=new.mean + new.loadings @ m)
    return Place(model, model.lower_bound(stats), new)


def profiled(model: FactorAnalysis, x: Moments) -> Place:
    """Return the best W and μ for the Ψ of the model, and the Ψ that learning makes of them.

    W = Ψ^½ U (Λ - I)^½ from the eigenpairs (λ, u) above 1 of the covariance of Ψ^-½ x, which is
    the closed form of probabilistic PCA in units of the noise. Then W is what learning leaves as
    it is, and it gives ψ_d = s_d - |w_d|², with s_d the variance of column d. The covariance of
    the model has the eigenvalues λ there and 1 elsewhere, in these units.
    """
    std, var = np.sqrt(model.noise), x.squares() / x.n
    lam, u = x.leading(model.loadings.shape[1], std)
    lam = np.maximum(lam, 1.0)
    loadings = u * np.sqrt(lam - 1) * std[:, None]
    log_det = np.log(2 * np.pi * model.noise).sum() + np.log(lam).sum()
    cost = (var / model.noise).sum() - (lam - 1).sum()  # kept directions cost 1 each, not λ
    noise = _allowed(var - np.square(loadings).sum(axis=1), x, model.isotropic)
    best = replace(model, loadings=loadings, mean=x.mean)
    return Place(best, -0.5 * x.n * (log_det + cost), replace(best, noise=noise))


def _allowed(noise: Array, x: Moments, isotropic: bool) -> Array:
    """Return the nearest noise that is allowed: not below the floor, nor above all variance."""
    var = x.squares() / x.n
    floor = least_noise(var, x.mean)
    if isotropic:
        noise, floor, var = (np.full_like(v, v.mean()) for v in (noise, floor, var))
    return np.clip(noise, floor, np.maximum(floor, var))


def _leapt(
    old: FactorAnalysis, one: FactorAnalysis, two: FactorAnalysis, x: Moments, with_loadings: bool
) -> FactorAnalysis:
    """Return where the sequence of models old, one, two is going.

    Of the coordinates let r be the first change, and v the change of that change. A sequence that
    keeps the share s of its error in each step ends r / (1 - s) away, and |r| / |v| = 1 / (1 - s).
    SQUAREM goes by 2 a r + a² v with a = |r| / |v|: so far, and two plain steps where a = 1.
    The mean is left out, since it is x̄ from the first plain step on.
    """
    scale = np.sqrt(old.noise)[:, None]  # so that units of the columns do not matter

    def coordinates(model):
        log_noise = np.log(model.noise)[:, None]
        return np.hstack([model.loadings / scale, log_noise]) if with_loadings else log_noise

    start = coordinates(old)
    r = coordinates(one) - start
    v = coordinates(two) - start - 2 * r
    size = np.linalg.norm(v)
    a = max(1.0, np.linalg.norm(r) / size) if size > 0 else 1.0
    goal = start + 2 * a * r + a**2 * v
    with np.errstate(over="ignore"):
        noise = _allowed(np.exp(goal[:, -1]), x, old.isotropic)
    return replace(
        two, loadings=goal[:, :-1] * scale if with_loadings else two.loadings, noise=noise
    )
