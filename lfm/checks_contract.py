"""The promises of a model, checked on a model of your own: `print(contract(model, x))`.

The loop `em.fit` runs whatever has its methods, and is right only because models keep promises:

    methods     the methods are there, return what they should, and change nothing
    ascent      no half-step lowers the bound
    below       the bound is never above ln p(X)
    tight       after exact inference it is ln p(X)
    stationary  learning ends at a maximum: no change of a parameter raises the bound
    additive    the statistics of two batches, added, are those of all data
    density     log_prob integrates to 1
    samples     samples have the density of log_prob
    recovery    what is fitted to samples is as good as the truth that they came from

Chapter 02 derives them from the bound. What is asked depends on what a model declares. With
`needs_q = False` inference is exact, which `tight` and `recovery` ask for. With `log_prior()` the
objective is ln p(X) + ln p(θ). A model with a `prior` and no `log_prior` is Bayesian: its log_prob
is a predictive distribution, which nothing ties to the bound, and its learning may be one sweep
over several factors, so that it is repeated until it rests. (`predictive = True` or `False` says so
outright.) A field that learning leaves alone is a constant; entries that are equal to the last
digit are one parameter; a variance that is held at `stats.floor()` may only grow.
"""

import itertools
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property, partial
from inspect import signature
from math import floor, lgamma, log, log10, nan, pi
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from lfm.em import Step
from lfm.engine import validate

Array = np.ndarray
Broken = Iterator[tuple[str, float]]  # words, and by how much

NEEDED = ("infer", "expect", "learn", "lower_bound")
ROUNDS = 10  # of inference and learning, from each start
# Two sums over data that should be equal are, to this share; and to this if computed differently.
ROUNDING, OTHER_ROUTE = 1e-10, 1e-9
SIGMAS = 5.0  # what chance may do, in standard errors: one false alarm in a million
ENTRIES, DENSE = 16, 8  # the directions in which a parameter is moved
MOST_COLUMNS = 5  # with more, a few thousand draws do not give the integral of a density
CENTRES, DRAWS, DOF = 256, 6000, 2.0  # the draws: from Students, which are wide, about samples
LEAST, MOST, EACH = 1000, 6000, 20  # samples to fit to; so many for each parameter


class Finding(NamedTuple):
    """One promise, what is wrong with it, and by how much."""

    promise: str
    words: str
    size: float = nan  # in nats, unless the words say otherwise


class _Unchecked(Exception):
    """A promise that cannot be checked, or that this model does not make; says why."""


@dataclass(frozen=True, repr=False)
class Report:
    """What `contract` found; `print` it. It is true where no promise is broken."""

    model: str  # the name of its class
    findings: tuple[Finding, ...]  # promises that are broken
    kept: tuple[str, ...]  # promises that hold
    unchecked: tuple[Finding, ...]  # what could not be checked, and why

    @property
    def ok(self) -> bool:
        """Whether no promise is broken."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        n = len({f.promise for f in self.findings})
        head = f"breaks {n} promise{'s' * (n > 1)}:" if n else "keeps what it promises."
        lines = [f"{self.model} {head}", *(f"  {f.promise}: {f.words}" for f in self.findings)]
        lines += [f"Kept: {', '.join(self.kept)}."] if self.kept else []
        lines += ["Not checked:"] if self.unchecked else []
        return "\n".join(lines + [f"  {f.promise}: {f.words}" for f in self.unchecked])


def contract(model, x, *, rng=0) -> Report:
    """Return which promises of the course the model breaks on data x (N, D), and by how much.

    The model is any with the methods of `em.Model`; `log_prob`, `sample`, `log_prior` and
    `rounding` are used where it has them. The loop runs from the model and from a start near by.
    Nothing that the model does raises; `TypeError` and `ValueError` are for other arguments.
    """
    x, rng = validate.data(x), validate.generator(rng)
    if isinstance(model, type):
        raise TypeError(f"model is the class {model.__name__}; wanted a model, made from it")
    if len(x) < 3:
        raise ValueError(f"x has {len(x)} row{'s' * (len(x) > 1)}; wanted at least 3")
    case, findings, kept, unchecked = _Case(model, x.copy(), rng), [], [], []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for promise, check in PROMISES.items():
            try:
                broken = [Finding(promise, *what) for what in check(case)]
            except _Unchecked as reason:
                unchecked.append(Finding(promise, str(reason)))
                continue
            except Exception as error:  # whatever a model may do
                broken = [Finding(promise, _raised(error))]
            findings, kept = findings + broken, kept + [promise] * (not broken)
    return Report(type(model).__name__, (*findings,), (*kept,), (*unchecked, *case.notes))


def _raised(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    names = [f.name for f in frames if f.filename != __file__] or ["the model"]
    return f"{names[0]} raised {type(error).__name__}: {error}"


# ------------------------------------------------------------------ the model at work


class _Case:
    """A model, its data, and what several checks look at."""

    def __init__(self, model, x: Array, rng: np.random.Generator):
        self.model, self.x, self.rng = model, x, rng
        self.notes: list[Finding] = []
        prior = getattr(model, "prior", None) is not None
        self.predictive = getattr(model, "predictive", prior and not hasattr(model, "log_prior"))
        self.exact = getattr(model, "needs_q", True) is False and not self.predictive
        self.works = False

    @cached_property
    def climbs(self) -> list[list[Step]]:
        """The steps from the model, and from a start near by where the model allows one."""
        if not self.works:
            raise _Unchecked("its methods have to work first")
        climbs = [_climb(self.model, self.x)]
        for size in (0.3, 0.1, 0.03):
            try:
                return [*climbs, _climb(self.near(size), self.x)]
            except Exception:  # too far: the model cannot be blamed
                continue
        return climbs

    def near(self, size: float) -> Any:
        """Return a model whose parameters are changed by about a share `size`."""
        model = self.model
        for name, value in _parameters(model).items():
            moves = [move for _, move in _moves(value, self.x.std(), self.rng)]
            for move in (moves[-1], moves[0]):
                if (moved := _with(model, name, move(size))) is not None:
                    model = moved
                    break
        return model

    def allowed(self, model, stats, bound: float, share: float = ROUNDING) -> float:
        """Return how much of a bound in nats may be rounding."""
        own = float(model.rounding(stats)) if hasattr(model, "rounding") else 0.0
        return share * (abs(bound) + len(self.x)) + own

    def objective(self, model, stats) -> tuple[float, str]:
        """Return what the bound must not exceed, in nats, and its name."""
        if self.predictive:
            if not hasattr(getattr(model, "prior", None), "log_evidence"):
                raise _Unchecked("log_prob is a predictive here, and nothing ties it to the bound")
            return float(model.prior.log_evidence(stats)), "ln p(X)"
        total = float(np.sum(_log_prob(model, self.x)))
        if hasattr(model, "log_prior"):
            return total + float(model.log_prior()), "ln p(X) + ln p(θ)"
        return total, "ln p(X)"

    @cached_property
    def samples(self) -> tuple[Array, Array]:
        """Samples to learn from, and as many held out."""
        if not (self.works and callable(getattr(self.model, "sample", None))):
            raise _Unchecked("the model has no `sample`")
        n = EACH * sum(np.size(v) for v in _parameters(self.model).values())
        n = min(max(LEAST, n), MOST)
        y = np.asarray(self.model.sample(2 * n, rng=self.rng)[0])
        return y[:n], y[n:]

    @cached_property
    def refit(self) -> tuple[Array, float]:
        """How much better samples held out are explained by a fit than by the truth (n,); ln p(θ).

        The second is what ln p(θ) has gained, nats for each sample.
        """
        y, held = self.samples
        fit, truth = _climb(self.model, y, 3 * ROUNDS)[-1].model, self.model
        gain = fit.log_prior() - truth.log_prior() if hasattr(truth, "log_prior") else 0.0
        return _log_prob(fit, held) - _log_prob(truth, held), float(gain) / len(y)


def _climb(model, x: Array, rounds: int = ROUNDS) -> list[Step]:
    """Return all half-steps; unlike `em.steps`, whatever the bound does."""
    steps, q = [], None
    for _ in range(rounds):
        q = model.infer(x, q)
        stats = model.expect(x, q)
        steps.append(Step("inference", model, q, stats, float(model.lower_bound(stats))))
        model = model.learn(stats)
        steps.append(Step("learning", model, q, stats, float(model.lower_bound(stats))))
    return steps


def _log_prob(model, x: Array) -> Array:
    if not callable(getattr(model, "log_prob", None)):
        raise _Unchecked("the model has no `log_prob`")
    try:
        return np.asarray(model.log_prob(x), dtype=float)
    except (ValueError, NotImplementedError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1].line or ""
        if last.startswith("raise"):  # on purpose
            raise _Unchecked(f"log_prob declines: {error}") from None
        raise


# ------------------------------------------------------------------ parameters, and moving them


def _parameters(model) -> dict[str, Any]:
    """Return the fields of a model that hold real numbers: arrays of them, or one."""
    if is_dataclass(model):
        names = [f.name for f in fields(model) if f.init]
    else:
        names = getattr(model, "_fields", None) or list(signature(type(model)).parameters)
    values = {name: getattr(model, name) for name in names if hasattr(model, name)}
    return {name: v for name, v in values.items() if _is_real(v) and np.size(v)}


def _is_real(value) -> bool:
    return isinstance(value, float | np.ndarray) and np.asarray(value).dtype.kind == "f"


def _with(model, name: str, value: Array) -> Any:
    """Return the model with one field replaced, or None where it refuses the value."""
    value = float(value) if np.ndim(getattr(model, name)) == 0 else value
    try:
        if is_dataclass(model):
            return replace(model, **{name: value})
        if hasattr(model, "_replace"):
            return model._replace(**{name: value})
        own = {key: getattr(model, key) for key in signature(type(model)).parameters}
        return type(model)(**{**own, name: value})
    except Exception:  # whatever the model says of a value that is none of its own
        return None


def _moves(value, spread: float, rng) -> list[tuple[str, Callable[[float], Array]]]:
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
    return [(how, partial(moved, d)) for how, d in [("all of it alike", one), *free]]


def _directions(shape: tuple[int, ...], rng) -> list[tuple[str, Array]]:
    """Return single entries and random directions."""
    eye = np.eye(int(np.prod(shape)))[rng.permutation(int(np.prod(shape)))[:ENTRIES]]
    single = [np.unravel_index(row.argmax(), shape) for row in eye]
    names = [f"its entry [{', '.join(map(str, at))}]" if at else "it" for at in single]
    dense = [("its entries", rng.normal(size=shape)) for _ in range(DENSE)]
    return [*zip(names, eye.reshape(-1, *shape), strict=True), *dense]


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


def _rise(model, stats, name: str, rng, spread: float) -> tuple[float, str]:
    """Return how far the bound rises, in nats, when one parameter is moved, and which way.

    Along each direction a parabola through three points says where the top is; looked at are they
    and the top.
    """
    value = getattr(model, name)
    held, start = _held(value, stats), float(model.lower_bound(stats))
    best = (0.0, "")
    for how, move in _moves(value, spread, rng):

        def at(t: float, move=move) -> float:
            new = move(t)
            other = _with(model, name, np.where(held, np.maximum(new, value), new))
            return nan if other is None else float(other.lower_bound(stats)) - start

        for h in (1e-2, 1e-4):
            up, down = at(h), at(-h)
            curve = (up + down) / h**2
            top = at((down - up) / (2 * h * curve)) if curve < 0 else nan
            best = max([best, *((rise, how) for rise in (up, down, top) if rise > best[0])])
    return best


# ------------------------------------------------------------------ one check for each promise


def _methods(case: _Case) -> Broken:
    model, x = case.model, case.x
    if missing := [name for name in NEEDED if not callable(getattr(model, name, None))]:
        yield f"the model has no {', '.join(missing)}", nan
        return
    before, data = _numbers(model), x.copy()
    stats = model.expect(x, model.infer(x))
    sums = _numbers(stats)
    bound, new = model.lower_bound(stats), model.learn(stats)
    if np.size(bound) != 1 or np.asarray(bound).dtype.kind not in "fi":
        yield f"lower_bound returned {_said(bound)}; wanted one number", nan
    elif type(new) is not type(model):
        yield f"learn returned {_said(new)}; wanted a new {type(model).__name__}", nan
    else:
        case.works = True
        yield from _outputs(case)
    for what, old, now in (
        ("x", {"x": data}, {"x": x}), ("the model", before, _numbers(model)),
        ("the statistics", sums, _numbers(stats)),
    ):  # fmt: skip
        if changed := [name for name in old if not np.array_equal(old[name], now[name], True)]:
            yield (
                f"a method changed {what} in place ({', '.join(changed)}); wanted a new value",
                nan,
            )


def _outputs(case: _Case) -> Broken:
    """Check what log_prob and sample return, where the model has them."""
    model, (n, d) = case.model, case.x.shape
    with suppress(_Unchecked):
        log_prob = _log_prob(model, case.x)
        if log_prob.shape != (n,) or np.isnan(log_prob).any():
            yield f"log_prob returned {_said(log_prob)}; wanted ({n},), one number a row", nan
    if callable(getattr(model, "sample", None)):
        one, two = (model.sample(7, rng=3) for _ in range(2))
        if not (isinstance(one, tuple) and len(one) == 2 and np.shape(one[0]) == (7, d)):
            yield f"sample(7) returned {_said(one)}; wanted x (7, {d}) and z, of 7 rows each", nan
        elif not np.array_equal(one[0], two[0]):
            yield "sample drew other data from the same seed; it should draw from `rng` alone", nan


def _numbers(value) -> dict[str, Array]:
    """Return copies of the numbers that a value is made of, by name."""
    parts = value._asdict() if hasattr(value, "_asdict") else getattr(value, "__dict__", {})
    parts = value if isinstance(value, dict) else parts
    kinds = (np.ndarray, float, int)
    return {str(name): np.array(v) for name, v in parts.items() if isinstance(v, kinds)}


def _said(value) -> str:
    if isinstance(value, np.ndarray):
        bad = int(np.isnan(value).sum()) if value.dtype.kind == "f" else 0
        return f"an array {value.shape}" + (f" with {bad} NaN" if bad else "")
    return f"a {type(value).__name__}"


def _ascent(case: _Case) -> Broken:
    for half in ("inference", "learning"):
        worst, words = 0.0, ""
        for start, steps in zip(("", ", from a start near by"), case.climbs, strict=False):
            for i, (old, new) in enumerate(itertools.pairwise(steps), 2):
                fall = old.bound - new.bound
                if new.half != half or fall <= case.allowed(new.model, new.stats, new.bound):
                    continue
                if not fall <= worst:  # also where it is NaN
                    a, b = _nats(fall, old.bound, new.bound)
                    worst, words = fall, f"at half-step {i} it fell from {a} to {b} nats{start}"
        if words:
            yield f"{half} lowers the bound: {words}", worst


def _gaps(case: _Case, halves: tuple[str, ...]) -> Iterator[tuple[float, str, Step, float]]:
    """Yield ln p(X) - L, what is compared, the step, and the rounding, early in each climb."""
    for steps in case.climbs:
        for step in [*steps[:4], *steps[-2:]]:
            if step.half in halves:
                total, name = case.objective(step.model, step.stats)
                a, b = _nats(total - step.bound, step.bound, total)
                words = f"after {step.half} L is {a} and {name} is {b} nats"
                rounding = case.allowed(step.model, step.stats, total, OTHER_ROUTE)
                yield total - step.bound, words, step, rounding


def _below(case: _Case) -> Broken:
    over = [g for g in _gaps(case, ("inference", "learning")) if not g[0] >= -g[3]]
    if over:
        gap, words, *_ = min(over, key=lambda g: g[0])
        yield f"the bound is above what it bounds, by {-gap:.3g} nats: {words}", -gap


def _tight(case: _Case) -> Broken:
    if not case.exact and not case.predictive:
        raise _Unchecked("the model does not say `needs_q = False`, that its inference is exact")
    if case.predictive:
        raise _Unchecked("the model is Bayesian; its q of all that is unknown is not the posterior")
    short = [g for g in _gaps(case, ("inference",)) if not g[0] <= g[3]]
    if short:
        gap, words, *_ = max(short, key=lambda g: g[0])
        yield f"exact inference leaves the bound {gap:.3g} nats short: {words}", gap


def _stationary(case: _Case) -> Broken:
    first, worst, alike = [steps[1] for steps in case.climbs], {}, set(_parameters(case.model))
    for steps, step in zip(case.climbs, first, strict=True):
        for name, value in _parameters(steps[0].model).items():
            if not np.array_equal(value, getattr(step.model, name)):
                alike.discard(name)
    for step in first:
        at = _rested(step) if case.predictive else step.model
        for name in _parameters(at):
            rise, how = _rise(at, step.stats, name, case.rng, case.x.std())
            if rise > max(worst.get(name, (0.0,))[0], case.allowed(at, step.stats, step.bound)):
                worst[name] = rise, how, step
    for name in alike & set(worst):
        words = f"learning leaves `{name}` as it is, which is taken for a constant; moving it"
        case.notes.append(Finding("stationary", f"{words} would raise the bound", worst[name][0]))
    rises = sorted(((r, n, h, s) for n, (r, h, s) in worst.items() if n not in alike), reverse=True)
    if rises:
        yield _not_a_maximum(*rises[0], [name for _, name, *_ in rises[1:]])


def _not_a_maximum(rise: float, name: str, how: str, step: Step, others: list[str]) -> tuple:
    words = f"learning stops short of a maximum: moving `{name}` ({how}) raises the bound by "
    words += f"{rise:.3g} nats" + f"; so does moving {', '.join(others)}" * bool(others)
    again = float(_rested(step).lower_bound(step.stats)) - step.bound
    if again > 0.5 * rise:
        words += "; learning again from the same statistics comes nearer: it is a step on the way"
    return words, rise


def _rested(step: Step) -> Any:
    """Return the model after learning from the same statistics until the bound rests."""
    model, bound = step.model, step.bound
    for _ in range(200):
        model, old = model.learn(step.stats), bound
        bound = float(model.lower_bound(step.stats))
        if not bound > old + 1e-14 * abs(old):
            break
    return model


def _additive(case: _Case) -> Broken:
    model, x, rows = case.climbs[0][0].model, case.x, len(case.x) // 3
    parts = [model.expect(part, model.infer(part)) for part in (x[:rows], x[rows:])]
    whole, total = model.expect(x, model.infer(x)), parts[0] + parts[1]
    if getattr(total, "n", len(x)) != len(x):
        yield f"two batches of {len(x)} rows in all have n = {total.n}", abs(total.n - len(x))
    new, other = model.learn(whole), model.learn(total)
    for what, at, a, b in (
        ("the bound of", model, model.lower_bound(whole), model.lower_bound(total)),
        ("learning from", new, new.lower_bound(whole), other.lower_bound(whole)),
    ):
        if not (gap := abs(a - b)) <= case.allowed(at, whole, a, OTHER_ROUTE):
            a, b = _nats(gap, a, b)
            words = f"{what} all data gives {a} nats, of two batches added {b}"
            yield f"statistics are not sums over data: {words}", gap
            return


def _density(case: _Case) -> Broken:
    _, weights, log_prob = _weighed(case)
    total, error = weights.mean(), weights.std() / np.sqrt(len(weights))
    if np.isnan(log_prob).any():
        yield f"log_prob has {np.isnan(log_prob).sum()} NaN about samples", nan
    elif error > 0.05 * total:
        raise _Unchecked(
            f"the integral of the density is only known to {100 * error / total:.0f} %"
        )
    elif not abs(total - 1) <= 0.02 + SIGMAS * error:
        words = f"log_prob is no density: it integrates to {total:.3g}, not to 1"
        yield f"{words}; {log(total) if total > 0 else -np.inf:.3g} nats too much a row", total


def _weighed(case: _Case) -> tuple[Array, Array, Array]:
    """Return draws from wide Students about samples, exp(log_prob) over their density; log_prob."""
    y, rng, d = case.samples[0], case.rng, case.x.shape[1]
    if d > MOST_COLUMNS:
        raise _Unchecked(f"in {d} columns the integral of a density takes too many draws")
    y = y[:CENTRES]
    width = (4 / ((d + 2) * len(y))) ** (1 / (d + 4))  # Silverman's rule
    chol = width * np.linalg.cholesky(np.atleast_2d(np.cov(y.T)) + 1e-12 * np.eye(d))
    far = rng.standard_normal((DRAWS, d)) / np.sqrt(rng.chisquare(DOF, DRAWS) / DOF)[:, None]
    u = y[rng.integers(len(y), size=DRAWS)] + far @ chol.T
    white = np.linalg.solve(chol, np.vstack([u, y]).T).T
    squares = cdist(white[:DRAWS], white[DRAWS:], "sqeuclidean")
    log_t = -0.5 * (DOF + d) * np.log1p(squares / DOF) - np.log(np.diag(chol)).sum()
    log_t += lgamma((DOF + d) / 2) - lgamma(DOF / 2) - 0.5 * d * log(DOF * pi) - log(len(y))
    log_prob = _log_prob(case.model, u)
    return u, np.exp(log_prob - logsumexp(log_t, axis=1)), log_prob


def _samples(case: _Case) -> Broken:
    better, _ = case.refit
    mean, error = better.mean(), better.std() / np.sqrt(len(better))
    if not mean <= SIGMAS * error + 1e-12:
        words = "samples do not have the density of log_prob: what is fitted to them explains "
        yield f"{words}others better than the truth, by {mean:.3g} nats a row", mean
        return
    with suppress(_Unchecked):
        yield from _moments(case)


def _moments(case: _Case) -> Broken:
    """Compare samples with draws that are weighed by log_prob, column by column."""
    u, weights, _ = _weighed(case)
    y = np.vstack(case.samples)
    if not weights.std() <= 0.05 * weights.mean() * np.sqrt(len(u)):
        return
    w = weights / weights.sum()
    middle, spread = w @ u, np.sqrt(w @ np.square(u - w @ u))
    for what, f in (("mean", np.tanh), ("spread", lambda z: z**2 / (1 + z**2))):  # without tails
        a, b = f((y - middle) / spread), f((u - middle) / spread)
        gap = a.mean(axis=0) - w @ b
        error = np.sqrt(a.var(axis=0) / len(a) + np.square(w) @ np.square(b - w @ b))
        if (far := np.abs(gap) > SIGMAS * error + 0.01).any():
            j, more = int(far.argmax()), "more" if gap[far.argmax()] > 0 else "less"
            std = f"{y[:, j].std():.3g} in samples, {spread[j]:.3g} by log_prob"
            words = f"samples have another {what} than log_prob says, {more} in column {j}"
            yield f"{words}: the deviation is {std}", float(gap[j])
            return


def _recovery(case: _Case) -> Broken:
    if not case.exact:
        raise _Unchecked("only exact inference promises to find the truth again")
    p = sum(np.size(v) for v in _parameters(case.model).values())
    better, prior = case.refit
    n = len(better)
    if EACH * p > n:
        raise _Unchecked(f"{p} parameters take more than {n} samples")
    error = better.std() / np.sqrt(n)
    chance = (p + SIGMAS * np.sqrt(2 * p)) / n + max(prior, 0.0) + SIGMAS * error
    if not better.mean() >= -chance:
        words = f"the fit explains others worse than the truth, by {-better.mean():.3g} nats a row"
        yield f"what is fitted to {n} samples is not the truth: {words}", -better.mean()


def _nats(gap: float, *values: float) -> list[str]:
    """Return values with as many digits as it takes to see the gap between them."""
    size = abs(gap) if np.isfinite(gap) and gap else 1.0
    return [f"{v:.{min(max(1, 1 - floor(log10(size))), 9)}f}" for v in values]


PROMISES: dict[str, Callable[[_Case], Broken]] = {
    "methods": _methods,
    "ascent": _ascent,
    "below": _below,
    "tight": _tight,
    "stationary": _stationary,
    "additive": _additive,
    "density": _density,
    "samples": _samples,
    "recovery": _recovery,
}
