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
`exact_inference = True` q is the posterior, as `tight` and `recovery` ask. With `log_prior()` the
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
from dataclasses import dataclass
from functools import cached_property
from inspect import getattr_static, unwrap
from math import floor, isfinite, log, log10, nan
from typing import Any, NamedTuple

import numpy as np

from lfm.checks import probe
from lfm.em import Step
from lfm.engine import validate

Array = np.ndarray
Broken = Iterator[tuple[str, float]]  # words, and by how much

NEEDED = ("infer", "expect", "learn", "lower_bound")
WORK_FIRST = "its methods have to work first"
NAMES = (*NEEDED, "log_prob", "sample", "log_prior", "rounding")
ROUNDS = 10  # of inference and learning, from each start
# Two sums over data that should be equal are, to this share; and to this if computed differently.
ROUNDING, OTHER_ROUTE = 1e-10, 1e-9
MOST_ROUNDING = 1e-7  # and never more, however much a bound depends on the order of its data
SIGMAS = 5.0  # what chance may do, in standard errors: one false alarm in a million
MOST_COLUMNS = 5  # with more, a few thousand draws do not give the integral of a density
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
                broken = [Finding(promise, _raised(model, error))]
            findings, kept = findings + broken, kept + [promise] * (not broken)
    return Report(type(model).__name__, (*findings,), (*kept,), (*unchecked, *case.notes))


def _raised(model, error: Exception) -> str:
    """Say which method raised what, also where its function was written under another name."""
    functions = [unwrap(getattr_static(model, name, None)) for name in NAMES]
    codes = [getattr(function, "__code__", None) for function in functions]
    run = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = (NAMES[codes.index(c)] if codes.count(c) == 1 else c.co_name for c in run)
    method = next((name for name in names if name in NAMES), "a method")
    return f"{method} raised {type(error).__name__}: {error}"


def _on_purpose(error: Exception) -> bool:
    """Tell whether a model raised this itself, as one that refuses something does."""
    line = traceback.extract_tb(error.__traceback__)[-1].line or ""
    return isinstance(error, ValueError | NotImplementedError) and line.startswith("raise")


# ------------------------------------------------------------------ the model at work


class _Case:
    """A model, its data, and what several checks look at."""

    def __init__(self, model, x: Array, rng: np.random.Generator):
        self.model, self.x, self.rng, self.works = model, x, rng, False
        self.notes: list[Finding] = []
        prior = getattr(model, "prior", None) is not None
        self.predictive = getattr(model, "predictive", prior and not hasattr(model, "log_prior"))
        self.exact = getattr(model, "exact_inference", False) and not self.predictive
        self.size = sum(np.size(value) for value in probe.parameters(model).values())

    @cached_property
    def climbs(self) -> list[list[Step]]:
        """The steps from the model, and from a start near by where there is one."""
        if not self.works:
            raise _Unchecked(WORK_FIRST)
        climbs = [self.climb(self.model, self.x)]
        for size in (0.3, 0.1, 0.03):
            near = self.near(size)
            with suppress(Exception):  # too far: the model cannot be blamed
                return [*climbs, self.climb(near, self.x)]
        return climbs

    def climb(self, model, x: Array, rounds: int = ROUNDS) -> list[Step]:
        """Return all half-steps; unlike `em.steps`, whatever the bound does."""
        steps, q = [], None
        for i in range(rounds):
            try:
                q = model.infer(x, q)
                stats = model.expect(x, q)
                new = model.learn(stats)
            except Exception as error:
                if not (steps and _on_purpose(error)):
                    raise
                self.notes.append(Finding("ascent", f"after {i} rounds {_raised(model, error)}"))
                break
            for half, at in (("inference", model), ("learning", new)):
                steps.append(Step(half, at, q, stats, float(at.lower_bound(stats))))
            model = new
        return steps

    def near(self, size: float) -> Any:
        """Return a model whose parameters are changed by about a share `size`."""
        model = self.model
        for name, value in probe.parameters(model).items():
            moves = [move for _, move in probe.moves(value, self.x.std(), self.rng)]
            moved = (probe.replaced(model, name, moves[i](size)) for i in (-1, 0))
            model = next((m for m in moved if m is not None), model)
        return model

    def allowed(self, model, stats, bound: float, share: float = ROUNDING) -> float:
        """Return how much of a bound in nats may be rounding."""
        own = float(model.rounding(stats)) if hasattr(model, "rounding") else 0.0
        size = abs(bound) + len(self.x)
        return share * size + own + min(8 * self.noise, MOST_ROUNDING * size)

    @cached_property
    def noise(self) -> float:
        """How much of the bound depends on the order of the data, in nats, which is rounding."""
        orders = [self.rng.permutation(self.x) for _ in range(3)]
        return float(np.ptp([_bound(self.model, self.model.expect(y, self.model.infer(y)))
                             for y in orders]))  # fmt: skip

    def objective(self, model, stats) -> tuple[float, str]:
        """Return what the bound must not exceed, in nats, and its name."""
        if self.predictive:
            if not hasattr(getattr(model, "prior", None), "log_evidence"):
                raise _Unchecked("log_prob is a predictive here, and nothing ties it to the bound")
            return float(model.prior.log_evidence(stats)), "ln p(X)"
        total = float(np.sum(_log_prob(model, self.x)))
        if not hasattr(model, "log_prior") or getattr(model, "prior", self) is None:
            return total, "ln p(X)"
        return total + float(model.log_prior()), "ln p(X) + ln p(θ)"

    @cached_property
    def samples(self) -> tuple[Array, Array]:
        """Samples to learn from, and as many held out."""
        if not self.works:
            raise _Unchecked(WORK_FIRST)
        if not callable(getattr(self.model, "sample", None)):
            raise _Unchecked("the model has no `sample`")
        n = min(max(LEAST, EACH * self.size), MOST)
        return tuple(np.split(np.asarray(self.model.sample(2 * n, rng=self.rng)[0]), 2))

    @cached_property
    def refit(self) -> tuple[Array, float]:
        """By how much a fit to samples explains others better than the truth does, nats (n,).

        And what ln p(θ) has gained by it, for each sample.
        """
        y, held = self.samples
        fit, truth = self.climb(self.model, y, 3 * ROUNDS)[-1].model, self.model
        gain = fit.log_prior() - truth.log_prior() if hasattr(truth, "log_prior") else 0.0
        return _log_prob(fit, held) - _log_prob(truth, held), float(gain) / len(y)

    @cached_property
    def weighed(self) -> tuple[Array, Array]:
        """Draws and their weights, whose mean is the integral of the density."""
        if (d := self.x.shape[1]) > MOST_COLUMNS:
            raise _Unchecked(f"in {d} columns the integral of a density takes too many draws")
        u, w = probe.weighed(lambda u: _log_prob(self.model, u), self.samples[0], self.rng)
        if w.std() > 0.05 * np.sqrt(len(w)) * w.mean():
            error = 100 * w.std() / np.sqrt(len(w)) / w.mean()
            raise _Unchecked(f"the integral of the density is only known to {error:.0f} %")
        return u, w


def _bound(model, stats) -> float:
    return float(model.lower_bound(stats))


def _log_prob(model, x: Array) -> Array:
    if not callable(getattr(model, "log_prob", None)):
        raise _Unchecked("the model has no `log_prob`")
    try:
        return np.asarray(model.log_prob(x), dtype=float)
    except (ValueError, NotImplementedError) as error:
        if _on_purpose(error):
            raise _Unchecked(_raised(model, error)) from None
        raise


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
    if not isinstance(value, np.ndarray):
        return f"a {type(value).__name__}"
    bad = int(np.isnan(value).sum()) if value.dtype.kind == "f" else 0
    return f"an array {value.shape}" + f" with {bad} NaN" * bool(bad)


def _ascent(case: _Case) -> Broken:
    for half in ("inference", "learning"):
        worst, words = 0.0, ""
        for start, steps in zip(("", ", from a start near by"), case.climbs, strict=False):
            for i, (old, new) in enumerate(itertools.pairwise(steps), 2):
                fall = old.bound - new.bound
                small = fall <= case.allowed(new.model, new.stats, new.bound)
                if new.half == half and not small and not fall <= worst:  # also where it is NaN
                    a, b = _nats(fall, old.bound, new.bound)
                    worst, words = fall, f"at half-step {i} it fell from {a} to {b} nats{start}"
        if words:
            yield f"{half} lowers the bound: {words}", worst


def _gaps(case: _Case, halves: tuple[str, ...]) -> list[tuple[float, str, float]]:
    """Return ln p(X) - L, in words too, and its rounding, early and late in each climb."""
    gaps = []
    for steps in case.climbs:
        for step in [*steps[:4], *steps[4:][-2:]]:
            if step.half in halves:
                total, name = case.objective(step.model, step.stats)
                a, b = _nats(total - step.bound, step.bound, total)
                words = f"after {step.half} L is {a} and {name} is {b} nats"
                rounding = case.allowed(step.model, step.stats, total, OTHER_ROUTE)
                gaps.append((total - step.bound, words, rounding))
    return gaps


def _below(case: _Case) -> Broken:
    if over := [g for g in _gaps(case, ("inference", "learning")) if not g[0] >= -g[2]]:
        gap, words, _ = min(over)
        yield f"the bound is above what it bounds, by {-gap:.3g} nats: {words}", -gap


def _tight(case: _Case) -> Broken:
    if case.predictive:
        raise _Unchecked("the model is Bayesian: q of all that is unknown is not the posterior")
    if not case.exact:
        raise _Unchecked(
            "the model does not say, by `exact_inference = True`, that q is the posterior"
        )
    if apart := [g for g in _gaps(case, ("inference",)) if not abs(g[0]) <= g[2]]:
        gap, words, _ = max(apart, key=lambda g: abs(g[0]))
        side = "too high" if gap < 0 else "short"
        yield f"exact inference leaves the bound {abs(gap):.3g} nats {side}: {words}", abs(gap)


def _stationary(case: _Case) -> Broken:
    pairs, rises = [(steps[0].model, steps[1]) for steps in case.climbs], {}
    for _, step in pairs:
        at = _rested(step) if case.predictive else step.model
        least = case.allowed(at, step.stats, step.bound)
        for name in probe.parameters(at):
            rise, how = probe.rise(at, step.stats, name, case.rng, case.x.std())
            if rise > max(least, rises.get(name, (0.0,))[0]):
                rises[name] = rise, name, how, step
    for name in [*rises]:
        if all(np.array_equal(getattr(m, name), getattr(s.model, name)) for m, s in pairs):
            words = f"learning leaves `{name}` as it is, so it is taken for a constant; moving it "
            case.notes.append(Finding("stationary", words + "raises the bound", rises[name][0]))
            del rises[name]
    if rises:
        rise, name, how, step = max(rises.values(), key=lambda found: found[0])
        others = "".join(f", and so does moving `{other}`" for other in rises if other != name)
        words = f"moving `{name}`{how} raises the bound by {rise:.3g} nats{others}"
        words = f"learning stops short of a maximum: {words}"
        if _bound(_rested(step), step.stats) - step.bound > 0.5 * rise:
            words += ". Learning again from the same statistics comes nearer: this is only a step"
        yield words, rise


def _rested(step: Step) -> Any:
    """Return the model after learning from the same statistics until the bound rests."""
    model, bound = step.model, step.bound
    for _ in range(200):
        model, old = model.learn(step.stats), bound
        bound = _bound(model, step.stats)
        if not bound > old + 1e-14 * abs(old):
            break
    return model


def _additive(case: _Case) -> Broken:
    model, x, rows = case.climbs[0][0].model, case.x, len(case.x) // 3
    one, two, whole = (model.expect(y, model.infer(y)) for y in (x[:rows], x[rows:], x))
    total = one + two
    if getattr(total, "n", len(x)) != len(x):
        yield f"two batches of {len(x)} rows in all have n = {total.n}", abs(total.n - len(x))
    new, other = model.learn(whole), model.learn(total)
    for what, at, a, b in (
        ("the bound of", model, _bound(model, whole), _bound(model, total)),
        ("learning from", new, _bound(new, whole), _bound(other, whole)),
    ):
        if not (gap := abs(a - b)) <= case.allowed(at, whole, a, OTHER_ROUTE):
            a, b = _nats(gap, a, b)
            words = f"{what} all data gives {a} nats, of two batches added {b}"
            yield f"statistics are not sums over data: {words}", gap
            return


def _density(case: _Case) -> Broken:
    _, w = case.weighed
    total, error = w.mean(), w.std() / np.sqrt(len(w))
    if not abs(total - 1) <= 0.02 + SIGMAS * error:  # also where it is NaN
        nats = log(total) if total > 0 else -np.inf
        yield f"log_prob is no density: it integrates to {total:.3g}, {nats:+.3g} nats a row", nats


def _samples(case: _Case) -> Broken:
    with suppress(_Unchecked):
        u, w = case.weighed
        yield from _moments(np.vstack(case.samples), u, w / w.sum())
    better, _ = case.refit
    mean, error = better.mean(), better.std() / np.sqrt(len(better))
    if not mean <= SIGMAS * error + 1e-12:
        words = "samples do not have the density of log_prob: what is fitted to them explains "
        yield f"{words}others better than the truth does, by {mean:.3g} nats a row", mean


def _moments(y: Array, u: Array, w: Array) -> Broken:
    """Compare samples y (N, D) with draws u that log_prob weighs, column by column."""
    middle = w @ u
    spread = np.sqrt(w @ np.square(u - middle))
    for what, f in (("mean", np.tanh), ("spread", lambda z: z**2 / (1 + z**2))):  # without tails
        a, b = f((y - middle) / spread), f((u - middle) / spread)
        gap = a.mean(axis=0) - w @ b
        error = np.sqrt(a.var(axis=0) / len(a) + np.square(w) @ np.square(b - w @ b))
        if (np.abs(gap) > SIGMAS * error + 0.01).any():
            j = int(np.argmax(np.abs(gap) / error))
            ours = f"{y[:, j].mean():.3g} and {y[:, j].std():.3g}"
            words = f"samples have another {what} than log_prob says: mean and deviation of column"
            yield f"{words} {j} are {ours}, and not {middle[j]:.3g} and {spread[j]:.3g}", gap[j]
            return


def _recovery(case: _Case) -> Broken:
    if not case.exact:
        raise _Unchecked("only exact inference promises to find the truth again")
    better, prior = case.refit
    n, p = len(better), case.size
    if EACH * p > n:
        raise _Unchecked(f"{p} parameters take more than {n} samples")
    chance = SIGMAS * better.std() / np.sqrt(n) + (p + SIGMAS * np.sqrt(2 * p)) / n + max(prior, 0)
    if not better.mean() >= -chance:
        words = f"what is fitted to {n} of them explains others worse than the truth, by "
        yield f"samples do not lead back: {words}{-better.mean():.3g} nats a row", -better.mean()


def _nats(gap: float, *values: float) -> list[str]:
    """Return values with as many digits as it takes to see the gap between them."""
    size = abs(gap) if isfinite(gap) and gap else 1.0
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
