"""Exam questions: numbers drawn from a seed, answers computed by the functions of the course.

A template poses its question for a generator. Its text has the drawn numbers in it, each `Ask` a
thing to compute and its value, and one thing is to be said in words. Numbers are small enough for
a pocket calculator.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lfm import bound, evaluation, gradients
from lfm.distributions import Bernoulli, Categorical, InverseWishart
from lfm.engine import validate
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import GaussianMixture
from lfm.toy import TwoBells
from lfm.variational_bayes import BayesianGaussian, NormalGammaPrior
from lfm.variational_em import BinaryFactors

Array = np.ndarray

NUMBER = r"\d+(?:\.\d+)?"
DRAWS = 1000


class Ask(NamedTuple):
    """One thing to compute, and its value: a whole number, or one to be rounded."""

    what: str
    value: float


class Posed(NamedTuple):
    """A question with its numbers, and what the key says of it."""

    text: str
    asks: tuple[Ask, ...]
    working: str
    why: str
    because: str


@dataclass(frozen=True)
class Template:
    """A kind of question. `pose(rng)` returns it with numbers, or None for a draw that is unfit."""

    name: str
    chapter: str
    minutes: int
    pose: Callable[[np.random.Generator], Posed | None]


class Exam(NamedTuple):
    """The paper for the students and the key for the teacher, both in markdown."""

    paper: str
    key: str


def written(value: float) -> str:
    """Return a value as the key gives it: whole, or with three decimals (never "-0.000")."""
    return str(value) if isinstance(value, int) else f"{round(float(value), 3) + 0.0:.3f}"


def exam(seed: int, chapters: Sequence[str] | None, questions: int | None) -> Exam:
    """Return paper and key; see `lfm.checks.exam`."""
    seed = validate.count(seed, "seed", 0)
    offered = sorted({t.chapter for t in ALL})
    chapters = offered if chapters is None else chapters
    if isinstance(chapters, str) or not isinstance(chapters, Sequence):
        raise TypeError(f'chapters is {chapters!r}; wanted a list, such as ["01", "02"]')
    for chapter in chapters:
        if chapter not in offered:
            raise ValueError(f"chapters has {chapter!r}; wanted some of {', '.join(offered)}")
    if len(chapters) == 0 or len(set(chapters)) < len(chapters):
        raise ValueError(f"chapters is {chapters}; wanted at least one, and none twice")
    most = sum(t.chapter in chapters for t in ALL)
    default = len(chapters) if questions is None else questions
    questions = validate.count(default, "questions", 1, most)
    chosen = _choose(np.random.default_rng([seed, 0]), chapters, questions)
    posed = [(t, _pose(t, seed)) for t in chosen]
    return Exam(_paper(seed, posed), _key(seed, posed))


def _choose(rng, chapters: Sequence[str], n: int) -> list[Template]:
    """Return n templates, spread over the chapters as evenly as possible, in the course's order."""
    turns = []
    for chapter in rng.permutation(sorted(chapters)):
        mine = [t for t in ALL if t.chapter == chapter]
        turns += [(turn, len(turns), mine[i]) for turn, i in enumerate(rng.permutation(len(mine)))]
    chosen = [t for _, _, t in sorted(turns, key=lambda turn: turn[:2])[:n]]
    return [t for t in ALL if t in chosen]


def _pose(template: Template, seed: int) -> Posed:
    """Return the question; its numbers depend on seed and name, not on what else is asked."""
    rng = np.random.default_rng([seed, *template.name.encode()])
    for _ in range(DRAWS):
        posed = template.pose(rng)
        if posed is not None and _is_fit(posed):
            return posed
    raise RuntimeError(f"{template.name}: no fit numbers in {DRAWS} draws")


def _is_fit(posed: Posed) -> bool:
    """Tell whether no answer is lost in rounding, or stands among the numbers of its question."""
    shown = {float(n) for n in re.findall(NUMBER, _question(posed))}
    values = [abs(float(written(a.value))) for a in posed.asks]
    return min(values) >= 0.01 and shown.isdisjoint(values)


def _question(posed: Posed) -> str:
    items = [f"- ({letter}) {ask.what}" for letter, ask in zip("abcdef", posed.asks, strict=False)]
    return "\n".join([posed.text, "", *items, f"- In words: {posed.why}"])


def _points(posed: Posed) -> int:
    return 2 * len(posed.asks) + 2


def _paper(seed: int, posed: Sequence[tuple[Template, Posed]]) -> str:
    minutes = 5 * -(-sum(t.minutes for t, _ in posed) // 5) + 5
    points = sum(_points(p) for _, p in posed)
    parts = [
        f"# Latent factor models: exam {seed}",
        f"Time allowed: {minutes} minutes. {points} points: two for each number, two for each "
        "answer in words. A pocket calculator and one sheet of your own notes are allowed.",
        "Logarithms are natural, results that are logarithms are in nats. Give three decimals, "
        "and keep at least six digits while you compute; a last digit that is off by one costs "
        "nothing. Show your working.",
    ]
    for number, (_, p) in enumerate(posed, 1):
        parts += [f"## Question {number} ({_points(p)} points)", _question(p)]
    return "\n\n".join(parts) + "\n"


def _key(seed: int, posed: Sequence[tuple[Template, Posed]]) -> str:
    parts = [
        f"# Latent factor models: key to exam {seed}",
        "Not for students. Every number was computed by the package `lfm`.",
    ]
    for number, (t, p) in enumerate(posed, 1):
        answers = [
            f"- ({letter}) {ask.what} **{written(ask.value)}**"
            for letter, ask in zip("abcdef", p.asks, strict=False)
        ]
        parts += [
            f"## Question {number} · {t.name} (chapter {t.chapter}, {_points(p)} points)",
            "\n".join(answers),
            f"**Working.** {p.working}",
            f"**In words.** {p.because}",
        ]
    return "\n\n".join(parts) + "\n"


# ------------------------------------------------------------------ how numbers are written


def _tenths(rng, k: int) -> Array:
    """Return k probabilities in tenths, none of them 0."""
    cuts = np.sort(rng.choice(np.arange(1, 10), k - 1, replace=False))
    return np.diff([0, *cuts, 10]) / 10


def _pick(rng, low: float, high: float, step: float, size=None):
    """Return multiples of a step, from low to high, free of rounding noise."""
    steps = rng.integers(round(low / step), round(high / step) + 1, size=size)
    return np.round(steps * step, 6)


def _list(values) -> str:
    return ", ".join(f"{v:g}" for v in np.ravel(values))


def _vector(values) -> str:
    return f"({_list(values)})"


def _matrix(rows) -> str:
    return "[" + "; ".join(_list(row) for row in rows) + "]"


def _many(values) -> str:
    return ", ".join(f"{v:.4f}" for v in np.ravel(values))


# ------------------------------------------------------------------ 01 the lower bound


def _bound_of_a_table(rng) -> Posed:
    joint, q = rng.choice(np.arange(2, 31), 3, replace=False) / 100, _tenths(rng, 3)
    parts = bound.decompose(q, np.log(joint))
    expected, entropy = bound.expected_log_joint(q, np.log(joint)), bound.entropy(q)
    return Posed(
        "A factor z has the values 0, 1, 2. For the x that was seen the joint probabilities p(x, "
        f"z) are {_list(joint)}. Take q = {_vector(q)}.",
        (
            Ask("The log likelihood ln p(x).", parts.log_marginal),
            Ask("The lower bound L(q).", parts.bound),
            Ask("The divergence of q from the posterior.", parts.divergence),
        ),
        f"p(x) = {joint.sum():g}, the sum of the three. L = E_q[ln p(x, z)] + H[q] = "
        f"{expected:.4f} + {entropy:.4f}. The divergence is what is missing to ln p(x); or from "
        "its definition, with the posterior "
        f"{_vector(np.round(bound.posterior(np.log(joint)), 4))}.",
        "For which q would the bound lose nothing, and why?",
        "For the posterior: the loss is KL(q ‖ p(z | x)), which is 0 only where its arguments "
        "agree.",
    )


def _divergence_both_ways(rng) -> Posed | None:
    q, p = (np.array([a, round(1 - a, 2)]) for a in _pick(rng, 0.05, 0.95, 0.05, 2))
    if abs(q[0] - p[0]) < 0.2:
        return None
    return Posed(
        f"Two distributions over two values: q = {_vector(q)} and p = {_vector(p)}.",
        (Ask("KL(q ‖ p).", bound.kl(q, p)), Ask("KL(p ‖ q).", bound.kl(p, q))),
        f"KL(q ‖ p) = {q[0]:g} ln({q[0]:g}/{p[0]:g}) + {q[1]:g} ln({q[1]:g}/{p[1]:g}), the "
        "average under q; for the other one the two change places.",
        "Which of the two becomes infinite if q gives one of the values no probability at all, "
        "and which one does the lower bound contain?",
        "KL(p ‖ q) becomes infinite, for p still allows what q excludes. The bound contains the "
        "other direction: its average is taken under q.",
    )


# ------------------------------------------------------------------ 02 expectation maximization


def _iteration_of_two_bells(rng) -> Posed | None:
    x, theta = _pick(rng, -1.5, 4.5, 0.5, 3), float(_pick(rng, 1, 3, 0.5))
    if len(set(x)) < 3:
        return None
    model, column = TwoBells(theta), x[:, None]
    q = model.infer(column)
    stats = model.expect(column, q)
    r, new = q.probs[:, 1], model.learn(stats)
    return Posed(
        "Two bells, p(x | θ) = ½ N(x; 0, 1) + ½ N(x; θ, 1), where z = 1 stands for the bell at θ. "
        f"The data are {_list(x)}, and θ_old = {theta:g}.",
        (
            Ask(f"The responsibility r of the moving bell for the datum {x[0]:g}.", r[0]),
            Ask(f"Its responsibility for the datum {x[1]:g}.", r[1]),
            Ask("θ_new, after one inference and one learning step.", new.theta),
        ),
        f"r = 1/(1 + exp(-(θx - θ²/2))), for the three data {_many(r)}. Then θ_new = Σ r x / Σ r "
        f"= {stats.rx:.4f}/{stats.r:.4f}.",
        "In the learning step θ moves and r does not. What would be maximised if r moved along?",
        "The log likelihood itself, the log of a sum, which has no such simple maximum. With r "
        "held, the bound is a parabola in θ.",
    )


def _slope_by_fisher(rng) -> Posed | None:
    x, theta = _pick(rng, -1, 4, 0.5, 3), float(_pick(rng, 0.5, 3, 0.5))
    if len(set(x)) < 3 or theta in x:
        return None
    r = TwoBells(theta).infer(x[:, None]).probs
    slopes = np.column_stack([np.zeros(3), x - theta])
    return Posed(
        f"Two bells, p(x | θ) = ½ N(x; 0, 1) + ½ N(x; θ, 1), and the data {_list(x)}. Use "
        f"Fisher's identity at θ = {theta:g}.",
        (Ask("The slope of ln p(X | θ) in θ.", bound.gradient(r, slopes).sum()),),
        "Average the slope of the joint over the posterior, Σ r (x - θ), with r = "
        f"{_many(r[:, 1])}.",
        "Why may one leave out how r depends on θ?",
        "At the posterior the divergence between the bound and ln p is at its minimum, 0, so that "
        "its slope is 0: bound and likelihood have the same slope there.",
    )


# ------------------------------------------------------------------ 03 the Gaussian mixture


def _learning_of_a_mixture(rng) -> Posed | None:
    x, r = _pick(rng, 0, 9, 1, 4), _pick(rng, 0.1, 0.9, 0.1, 4)
    if len(set(x)) < 4:
        return None
    model = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    stats = model.expect(x[:, None], Categorical(np.column_stack([r, 1 - r])))
    new = model.learn(stats)
    weight, mean, var = new.weights[0], new.means[0, 0], new.covs[0, 0, 0]
    return Posed(
        "A mixture of two Gaussians in one dimension. Inference has given the first component the "
        f"responsibilities {_list(r)} for the data {_list(x)}. Do the learning step.",
        (
            Ask("The weight of the first component.", weight),
            Ask("Its mean.", mean),
            Ask("Its variance.", var),
        ),
        f"N₁ = Σ r = {stats.r[0]:g}; weight N₁/N; mean Σ r x / N₁ = {r @ x:g}/{stats.r[0]:g}; "
        f"variance Σ r (x - mean)² / N₁ = {r @ (x - mean) ** 2:.4f}/{stats.r[0]:g}, about the new "
        "mean.",
        "What happens to a component whose responsibilities are 0 but for a single datum?",
        "Its variance becomes 0 and the likelihood has no limit: a spike. A prior on the variance "
        "prevents it.",
    )


def _covariance_with_a_prior(rng) -> Posed | None:
    n, dof = int(rng.integers(2, 12)), int(rng.integers(4, 8))
    prior = np.diag(_pick(rng, 1, 6, 0.5, 2))
    a, b, c = _pick(rng, 3, 12, 0.5), _pick(rng, 3, 12, 0.5), _pick(rng, -2.5, 2.5, 0.5)
    if c == 0:
        return None
    scatter = np.array([[a, c], [c, b]])
    cov = InverseWishart(dof, prior).update(scatter, np.array(n))
    return Posed(
        f"A component of a mixture in D = 2 dimensions claims N_k = {n} data with scatter S = "
        f"{_matrix(scatter)}. Its covariance has an inverse-Wishart prior with ν = {dof} and Ψ = "
        f"{_matrix(prior)}. Find the covariance of largest posterior density.",
        (
            Ask("Its first variance.", cov[0, 0]),
            Ask("Its second variance.", cov[1, 1]),
            Ask("Its covariance, off the diagonal.", cov[0, 1]),
        ),
        f"(S + Ψ)/(N_k + ν + D + 1): every entry is divided by {n} + {dof} + 3 = {n + dof + 3}.",
        "Why is a prior to be preferred to adding a small number to the variances after each step?",
        "With the prior both steps still maximise one objective, so it never falls, and the prior "
        "has the units of the data. An added number leaves the maximum, so the bound may fall.",
    )


# ------------------------------------------------------------------ 04 factor analysis


def _posterior_of_an_ability(rng) -> Posed:
    w, psi = _pick(rng, 1, 4, 1, 2), _pick(rng, 1, 9, 1, 2)
    mean, x = _pick(rng, 40, 60, 5, 2), _pick(rng, 40, 70, 1, 2)
    q = FactorAnalysis(w[:, None], mean, psi).infer(x[None])
    precision, pull = 1 + (w**2 / psi).sum(), (w * (x - mean) / psi).sum()
    return Posed(
        f"Two exams and one ability z ~ N(0, 1): x = w z + μ + noise, with w = {_vector(w)}, μ = "
        f"{_vector(mean)} and noise variances ψ = {_vector(psi)}. A pupil has the marks "
        f"{_vector(x)}.",
        (
            Ask("The posterior variance of z.", q.cov[0, 0]),
            Ask("The posterior mean of z.", q.mean(x[None])[0, 0]),
        ),
        f"The precision is 1 + Σ w²/ψ = {precision:.4f}, and G is its inverse. The mean is G Σ w "
        f"(x - μ)/ψ = G · {pull:.4f}.",
        "Another pupil's marks are far above these. Is that pupil's ability known better, worse, "
        "or equally well?",
        "Equally well: G does not contain x.",
    )


def _free_parameters(rng) -> Posed | None:
    d, k = int(rng.integers(5, 13)), int(rng.integers(2, 5))
    if (d - k) ** 2 < d + k:  # then W and Ψ are more than the covariance of x can tell
        return None
    model = FactorAnalysis(np.ones((d, k)), np.zeros(d), np.ones(d))
    turns = k * (k - 1) // 2
    written_down = model.loadings.size + model.mean.size + model.noise.size
    return Posed(
        f"Factor analysis of D = {d} columns with K = {k} factors.",
        (
            Ask("How many numbers are W, μ and Ψ, all in all?", int(written_down)),
            Ask(
                "How many of them can data determine, that is, without those that only turn the "
                "factors?",
                int(written_down - turns),
            ),
        ),
        f"W has D·K = {d * k} entries, μ and Ψ have D = {d} each. A rotation in K dimensions has "
        f"K(K - 1)/2 = {turns} angles, and W and WR give the same density.",
        'A colleague names the first factor of the fit "verbal ability". What do you reply?',
        "Turned axes would explain the data equally well. Lengths and angles of the loadings are "
        "in the data, the axes are a choice: something must be added, such as labels or sparse "
        "loadings.",
    )


def _probabilistic_pca(rng) -> Posed | None:
    lam = np.sort(_pick(rng, 1, 20, 1, 4))[::-1]
    if len(set(lam)) < 4 or lam[1] - lam[2:].mean() < 1:
        return None
    corners = np.diag(np.sqrt(4 * lam))
    model = FactorAnalysis.ppca(np.vstack([corners, -corners]), 2)
    lengths = np.sort((model.loadings**2).sum(0))[::-1]
    return Posed(
        f"A covariance of four columns has the eigenvalues {_list(lam)}. Fit probabilistic PCA "
        "with two factors.",
        (
            Ask("The noise variance σ².", model.noise[0]),
            Ask("The squared length of the longer column of W, along an axis.", lengths[0]),
            Ask("The squared length of the shorter one.", lengths[1]),
        ),
        f"σ² is the mean of the eigenvalues left out, ({lam[2]:g} + {lam[3]:g})/2; a column has "
        "the squared length λ - σ².",
        "One column of the data is now given in another unit, a hundred times as large a number. "
        "What becomes of the factors of PCA, and of factor analysis?",
        "PCA finds that column and hardly anything else, for it looks for variance. Factor "
        "analysis multiplies one row of W and infers the same factors: each column has its own "
        "noise.",
    )


# ------------------------------------------------------------------ 05 variational Bayes


def _mean_and_precision(rng) -> Posed:
    y = _pick(rng, -1, 5, 0.5, 3)
    mu_0, strength = float(_pick(rng, 0, 3, 1)), float(rng.integers(1, 4))
    a_0, b_0, a, b = (float(v) for v in _pick(rng, 1, 4, 0.5, 4))
    start = BayesianGaussian(NormalGammaPrior(mu_0, strength, a_0, b_0), shape=a, rate=b)
    stats = start.expect(y[:, None])
    moved = start.infer_mean(stats)
    end = moved.infer_prec(stats)
    squares = ((y - moved.mean) ** 2).sum() + strength * (moved.mean - mu_0) ** 2
    return Posed(
        f"The data {_list(y)} come from N(μ, 1/τ). The prior is p(μ | τ) = N(μ₀, 1/(λ₀τ)) with μ₀ "
        f"= {mu_0:g} and λ₀ = {strength:g}, and p(τ) = Gam({a_0:g}, {b_0:g}), by shape and rate. "
        f"The factor q(τ) is now Gam({a:g}, {b:g}). Update first q(μ), then q(τ).",
        (
            Ask("The mean of q(μ).", moved.mean),
            Ask("Its precision.", moved.prec),
            Ask("The shape of the new q(τ).", end.shape),
            Ask("Its rate.", end.rate),
        ),
        f"E[τ] = {a:g}/{b:g}. Mean (λ₀μ₀ + Σ x)/(λ₀ + N); precision (λ₀ + N) E[τ]. Shape a₀ + (N "
        "+ 1)/2. Rate b₀ + ½ [Σ (x - m)² + λ₀ (m - μ₀)² + (N + λ₀)/precision] with squares "
        f"{squares:.4f} and variances {(3 + strength) / moved.prec:.4f}.",
        "Why N + 1, and not N, in the shape?",
        "Each datum brings a √τ, and the prior of μ, whose variance has τ in it, brings one more.",
    )


def _too_narrow(rng) -> Posed | None:
    a, b, c = _pick(rng, 1, 6, 0.5), _pick(rng, 1, 6, 0.5), _pick(rng, -3, 3, 0.5)
    if c == 0 or c**2 >= 0.85 * a * b:
        return None
    cov = np.array([[a, c], [c, b]])
    inner = np.diag(1 / np.diag(np.linalg.inv(cov)))
    gap = bound.gaussian_kl(np.zeros(2), inner, np.zeros(2), cov)
    return Posed(
        f"The posterior of two unknowns is Gaussian with the covariance {_matrix(cov)}. It is "
        "approximated by the product of Gaussians that has the least KL(q ‖ p).",
        (
            Ask("The variance that q gives to the first unknown.", inner[0, 0]),
            Ask("The divergence KL(q ‖ p) that is left.", gap),
        ),
        f"Variances are 1/Λ_ii, the conditional ones: {a:g} - ({c:g})²/{b:g} for the first. With "
        "equal means the divergence is ½ ln(|Σ|/Π variances) = ½ "
        f"ln({np.linalg.det(cov):g}/{np.prod(np.diag(inner)):.4f}); trace and dimension cancel.",
        "Would a product with the least KL(p ‖ q) be narrower or wider, and which variances has "
        "it?",
        "Wider: it has the marginal variances of p, since that direction punishes q where it is "
        "small and p is not.",
    )


# ------------------------------------------------------------------ 06 variational EM


def _one_sweep(rng) -> Posed | None:
    W, x = _pick(rng, 0, 2, 1, (2, 2)), _pick(rng, 0, 2, 0.5, 2)
    pi, var, m_2 = (
        _pick(rng, 0.2, 0.4, 0.1, 2),
        float(_pick(rng, 0.5, 1.5, 0.5)),
        _pick(rng, 0.1, 0.9, 0.1),
    )
    m = BinaryFactors(W, np.zeros(2), var, pi).infer(x[None], Bernoulli([[0.5, m_2]])).probs[0]
    if not W.any(0).all() or W[:, 0] @ W[:, 1] == 0 or m.min() < 0.02 or m.max() > 0.98:
        return None
    a = np.log(m / (1 - m))
    return Posed(
        f"Two switches and two pixels, x = z₁ w₁ + z₂ w₂ + noise, with w₁ = {_vector(W[:, 0])}, "
        f"w₂ = {_vector(W[:, 1])}, noise variance {var:g} and prior probabilities {_list(pi)} of "
        f"being on. Seen is x = {_vector(x)}. At present q(z₂ = 1) = {m_2:g}. Update first q(z₁), "
        "then q(z₂).",
        (Ask("The new q(z₁ = 1).", m[0]), Ask("The new q(z₂ = 1).", m[1])),
        "m_k = sigmoid(logit π_k + w_kᵀ(x - the other's m w)/σ² - ‖w_k‖²/(2σ²)). The arguments "
        f"are {_many(a)}; the second uses the new q(z₁ = 1).",
        "Why must the two not be updated at the same time?",
        "Each update is the best for what the other is now. At once, both may take on the same "
        "ink, and then both leave it: the bound may fall.",
    )


def _explaining_away(rng) -> Posed | None:
    w, pi = _pick(rng, 1, 3, 1, 2), _pick(rng, 0.1, 0.5, 0.1, 2)
    x, var = float(_pick(rng, 0.5, 4, 0.5)), float(_pick(rng, 0.5, 2, 0.5))
    model = BinaryFactors(w[None], np.zeros(1), var, pi, exact=True)
    probs, log_p = model.infer([[x]]).probs[0], model.log_prob([[x]])[0]
    if probs.min() < 0.02 or probs.max() > 0.98:
        return None
    states = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    prior = np.prod(np.where(states, pi, 1 - pi), axis=1)
    joint = prior * np.exp(-((x - states @ w) ** 2) / (2 * var)) / np.sqrt(2 * np.pi * var)
    return Posed(
        f"Two switches, on with the probabilities {_list(pi)}, and one pixel: x = {w[0]:g} z₁ + "
        f"{w[1]:g} z₂ + noise of variance {var:g}. Seen is x = {x:g}. Sum over all four states.",
        (
            Ask("ln p(x).", log_p),
            Ask("The posterior probability that z₁ is on.", probs[0]),
            Ask("The posterior probability that z₂ is on.", probs[1]),
        ),
        f"The joint of (z₁, z₂) = 00, 01, 10, 11 is {_many(joint)}. Its sum is p(x); the shares "
        "of 10 and 11, and of 01 and 11, are the posteriors.",
        "The switches are independent a priori. Are they so given x, and why?",
        "No: each explains the other away. If one is on, less is left for the other; the term z₁ "
        "z₂ w₁ᵀw₂ couples them.",
    )


# ------------------------------------------------------------------ 07 gradients through samples


def _square(z):
    return z.square().sum(1)


def _two_estimators(rng) -> Posed | None:
    m, std, eps = _pick(rng, 0.5, 2, 0.5), _pick(rng, 0.5, 2, 0.5), _pick(rng, -1.5, 1.5, 0.1, 3)
    if len(set(eps)) < 3:
        return None
    path, score = (
        gradients.monte_carlo(estimator(_square, [m], [std], eps[:, None]).mean[:, 0])
        for estimator in (gradients.pathwise_gradient, gradients.score_gradient)
    )
    z = m + std * eps
    return Posed(
        f"q = N({m:g}, {std:g}²) and f(z) = z². The noise numbers {_list(eps)} were drawn. "
        "Estimate the slope of E_q[f] in the mean of q twice. (Standard error: the deviation of "
        "the three terms, with S - 1 below its sum of squares, over √S.)",
        (
            Ask("The estimate along the path.", float(path.value)),
            Ask("Its standard error.", float(path.error)),
            Ask("The estimate by the score function, without a baseline.", float(score.value)),
            Ask("Its standard error.", float(score.error)),
        ),
        f"z = m + σε = {_list(z)}. Along the path each term is f'(z) = 2z: {_list(2 * z)}. By the "
        f"score each is f(z) (z - m)/σ² = z² ε/σ: {_many(z**2 * eps / std)}.",
        "Name a case in which the score serves and the path does not.",
        "A discrete z, or a step in f: there the slope along the path is 0 wherever it exists, "
        "while the score asks only for values of f.",
    )


def _correlated_sample(rng) -> Posed | None:
    low = np.array([[_pick(rng, 1, 3, 0.5), 0], [_pick(rng, -2, 2, 0.5), _pick(rng, 1, 3, 0.5)]])
    mean, eps = _pick(rng, -3, 3, 1, 2), _pick(rng, -2, 2, 0.1, 2)
    if low[1, 0] == 0:
        return None
    cov = low @ low.T
    z = gradients.sample(mean, np.linalg.cholesky(cov), eps[None])[0].numpy()
    return Posed(
        f"Turn the noise ε = {_vector(eps)} into a sample z of the Gaussian with mean "
        f"{_vector(mean)} and covariance {_matrix(cov)}, by the Cholesky factor of the covariance.",
        (Ask("z₁.", z[0]), Ask("z₂.", z[1])),
        f"L = {_matrix(low)}, lower triangular with LLᵀ = Σ; z = μ + Lε.",
        "What would be the covariance of μ + Σε?",
        "ΣΣᵀ, not Σ: in one dimension the noise would be multiplied by the variance in place of "
        "the standard deviation.",
    )


def _batch_for_the_whole(rng) -> Posed:
    terms, kl = _pick(rng, -4, -0.5, 0.1, 4), float(_pick(rng, 1, 9, 0.5))
    n = int(rng.choice([50, 100, 200, 400]))
    value = float(gradients.minibatch_sum(terms, n)) - kl
    return Posed(
        f"A batch of 4 out of N = {n} data has the expected log likelihoods {_list(terms)} under "
        f"q. A factor that all data share has the divergence {kl:g} from its prior.",
        (Ask("An unbiased estimate of the bound of all data.", value),),
        f"N/B times the sum of the terms, {n / 4:g} · ({terms.sum():g}), less the divergence, "
        "once.",
        "Why is the divergence of the shared factor not scaled up?",
        "It stands once in the bound, whatever N is; only the terms that belong to single data "
        "are sampled.",
    )


# ------------------------------------------------------------------ 08 the variational autoencoder


def _divergence_from_the_prior(rng) -> Posed:
    mean, log_var = _pick(rng, -2, 2, 0.5, 2), _pick(rng, -3, 1, 0.5, 2)
    value = bound.gaussian_kl(mean, np.diag(np.exp(log_var)), np.zeros(2), np.eye(2))
    terms = 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var)
    z = gradients.sample(mean, np.exp(log_var / 2), np.ones((1, 2)))[0].numpy()
    return Posed(
        f"For one datum the encoder returns the means {_vector(mean)} and the **log variances** "
        f"{_vector(log_var)} of a diagonal q.",
        (
            Ask("KL(q ‖ N(0, I)).", value),
            Ask("The first component of the sample that the noise ε = (1, 1) makes.", z[0]),
        ),
        f"½ Σ (σ² + μ² - 1 - ln σ²) = {_many(terms)} for the two factors. The sample is μ + σ ε "
        f"with σ = exp(½ · log variance) = {np.exp(log_var[0] / 2):.4f}.",
        "Training lowers the loss, and the divergence grows meanwhile. Is something wrong?",
        "No: the divergence is what the code says about the datum. It grows as long as it pays, "
        "that is, as long as the reconstruction gains more.",
    )


def _narrow_pixels(rng) -> Posed | None:
    std, mean = _pick(rng, 0.02, 0.2, 0.02, 2), _pick(rng, 0.2, 0.8, 0.1, 2)
    off = _pick(rng, -1.5, 1.5, 0.5, 2) * std
    x = np.round(mean + off, 3)
    value = GaussianMixture([1.0], mean[None], np.diag(std**2)[None]).log_prob(x[None])[0]
    if value < 0.5:
        return None
    each = -0.5 * (np.log(2 * np.pi * std**2) + (x - mean) ** 2 / std**2)
    return Posed(
        f"A decoder gives two pixels the means {_vector(mean)} and the standard deviations "
        f"{_vector(std)}. The image is x = {_vector(x)}.",
        (Ask("ln p(x | z).", value),),
        f"-½ Σ [ln 2πσ² + (x - μ)²/σ²] = {_many(each)} for the two pixels.",
        "The result is positive. Is that a bug?",
        "No: it is a density. Its integral is 1, so where σ is small it must be far above 1; with "
        "another unit of grey it would be another number.",
    )


# ------------------------------------------------------------------ 09 what the factors mean


def _gap_of_two_codes(rng) -> Posed | None:
    factor = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    flips = rng.choice(8, 4, replace=False)
    first, second = factor.copy(), factor.copy()
    first[flips[0]] ^= 1
    second[flips[1:]] ^= 1
    codes = np.column_stack([first, second])
    one, two = evaluation.mutual_information(codes, factor[:, None], bins=2)[:, 0]
    gap = evaluation.mutual_information_gap(codes, factor[:, None], bins=2)
    if two > 0.9 * one:
        return None
    rows = [f"| {name} | " + " | ".join(map(str, v)) + " |"
            for name, v in (("factor", factor), ("code 1", first), ("code 2", second))]  # fmt: skip
    head = ["| datum | " + " | ".join("ABCDEFGH") + " |", "|---" * 9 + "|"]
    return Posed(
        "Eight data, a factor and two codes, all of them 0 or 1:\n\n" + "\n".join(head + rows),
        (
            Ask("The mutual information of code 1 and the factor, in nats.", one),
            Ask("That of code 2 and the factor.", two),
            Ask("The mutual information gap.", gap),
        ),
        "I = Σ p(c, f) ln[p(c, f)/(p(c) p(f))], with the shares of the eight data as "
        "probabilities. The gap is the difference over the entropy of the factor, ln 2 = "
        f"{np.log(2):.4f}.",
        "Two perfect codes, each equal to the factor: what is the gap, and what does that say of "
        "the score?",
        "It is 0: both know everything. The score asks that one code be ahead of all others; it "
        "punishes saying a thing twice.",
    )


def _neighbours_on_a_map(rng) -> Posed | None:
    codes, labels = np.sort(_pick(rng, 0, 9.9, 0.1, 6)), rng.permutation([0, 0, 0, 1, 1, 1])
    gaps = np.diff(codes)
    if gaps.min() < 0.2 or len(set(np.round(gaps, 6))) < 5:
        return None
    score = evaluation.neighbour_score(codes[:, None], labels, n_neighbours=1)
    if score in (0.0, 1.0):
        return None
    nearest = [int(np.argsort(np.abs(codes - c))[1]) for c in codes]
    kinds = np.array(["cat", "dog"])[labels]
    same = [
        f"{c:g}" for c, i, j in zip(codes, range(6), nearest, strict=True) if labels[i] == labels[j]
    ]
    return Posed(
        "On a map of one dimension lie six pictures, at "
        + ", ".join(f"{c:g} ({k})" for c, k in zip(codes, kinds, strict=True))
        + ".",
        (Ask("The share of pictures whose nearest neighbour is of the same kind.", score),),
        f"Of the same kind is the nearest neighbour of the pictures at {', '.join(same)}: "
        f"{len(same)} of six.",
        "The score of a model's map is high. Does each of its axes mean something?",
        "Not for that reason: distances stay the same when the map is turned, so the score cannot "
        "see where its axes lie.",
    )


# ------------------------------------------------------------------ 10 closing the gap


def _what_a_product_loses(rng) -> Posed | None:
    W, var = _pick(rng, -2, 3, 1, (2, 2)), float(_pick(rng, 0.5, 2, 0.5))
    if W[:, 0] @ W[:, 1] == 0 or abs(np.linalg.det(W)) < 1:
        return None
    q = FactorAnalysis(W, np.zeros(2), np.full(2, var), isotropic=True).infer(np.zeros((1, 2)))
    precision = np.linalg.inv(q.cov)
    inner = np.diag(1 / np.diag(precision))
    gap = bound.gaussian_kl(np.zeros(2), inner, np.zeros(2), q.cov)
    return Posed(
        f"A linear VAE has the decoder mean Wz with W = {_matrix(W)} and σ² = {var:g}. Its "
        "encoder is linear, with a diagonal covariance, and as good as such an encoder can be.",
        (
            Ask(
                "By how much does its bound stay below ln p(x), for each datum?",
                gap,
            ),
            Ask("The exact posterior variance of z₁.", q.cov[0, 0]),
        ),
        f"The posterior's precision is I + WᵀW/σ² = {_matrix(np.round(precision, 4))}. The best "
        "product has its diagonal: gap ½ (Σ ln diagonal - ln determinant) = ½ "
        f"({np.log(np.diag(precision)).sum():.4f} - {np.log(np.linalg.det(precision)):.4f}).",
        "θ may now move as well. Where does it go, and what becomes of the gap?",
        "W turns, at the same likelihood, until WᵀW is diagonal: then a diagonal q is exact, and "
        "the gap is 0. So the bound picks axes, though the likelihood does not.",
    )


def _average_inside_the_log(rng) -> Posed | None:
    w = _pick(rng, 0.01, 0.6, 0.01, 3)
    if len(set(w)) < 3 or w.max() < 3 * w.min():
        return None
    return Posed(
        f"For one datum three samples of q have the weights p(x, z)/q(z | x) = {_list(w)}.",
        (
            Ask("The estimate of L = L₁ from the three samples.",
                bound.expected_log_joint(np.full(3, 1 / 3), np.log(w))),
            Ask("The estimate of L₃ from the same samples.",
                bound.log_marginal(np.log(w)) - np.log(3)),
        ),
        f"L₁ is the average of the logs, of {_many(np.log(w))}; L₃ the log of the average, "
        f"ln({w.mean():.4f}).",
        "Why is the second never below the first, and when are they equal?",
        "Jensen's inequality: the log is concave. They are equal if all weights are, as for the "
        "exact posterior, whose weight is p(x) for every z.",
    )  # fmt: skip


def _which_columns_die(rng) -> Posed | None:
    lam, var = np.sort(_pick(rng, 0.5, 9, 0.5, 4))[::-1], float(_pick(rng, 1, 6, 0.5))
    if (
        len(set(lam)) < 4
        or (np.abs(np.log(lam / var)) < 0.2).any()
        or lam[0] < 1.5 * var
        or lam[-1] > var
    ):
        return None
    corners = np.diag(np.sqrt(4 * lam))
    x, flat = np.vstack([corners, -corners]), np.full(4, var)

    def gain(direction: int, square: float) -> float:
        """How much a column of that squared length raises ln p, in nats per datum."""
        W = np.zeros((4, 1))
        without = FactorAnalysis(W, np.zeros(4), flat).log_prob(x).mean()
        W[direction] = np.sqrt(square)
        return FactorAnalysis(W, np.zeros(4), flat).log_prob(x).mean() - without

    alive = sum(gain(i, 0.1 * var) > 0 for i in range(4))
    return Posed(
        f"The data have the variances {_list(lam)} in four directions. A linear VAE with four "
        f"factors is trained while its noise variance is held at {var:g}.",
        (
            Ask("How many of its factors are alive at the end?", int(alive)),
            Ask(
                "By how many nats per datum does the longest column of W raise ln p(x), compared "
                "with no column at all?",
                gain(0, lam[0] - var),
            ),
        ),
        "A direction gets a column where λ > σ², of squared length λ - σ². With ρ = λ/σ² = "
        f"{lam[0] / var:.4f} the column gains ½ (ρ - 1 - ln ρ).",
        "Did the KL term of the bound kill the others? What would you change?",
        "No: the likelihood itself has no use for a direction that the noise explains already. "
        "Let σ² be learned.",
    )


ALL = (
    Template("bound-of-a-table", "01", 10, _bound_of_a_table),
    Template("divergence-both-ways", "01", 7, _divergence_both_ways),
    Template("iteration-of-two-bells", "02", 12, _iteration_of_two_bells),
    Template("slope-by-fisher", "02", 9, _slope_by_fisher),
    Template("learning-of-a-mixture", "03", 10, _learning_of_a_mixture),
    Template("covariance-with-a-prior", "03", 8, _covariance_with_a_prior),
    Template("posterior-of-an-ability", "04", 9, _posterior_of_an_ability),
    Template("free-parameters", "04", 6, _free_parameters),
    Template("probabilistic-pca", "04", 7, _probabilistic_pca),
    Template("mean-and-precision", "05", 14, _mean_and_precision),
    Template("too-narrow", "05", 9, _too_narrow),
    Template("one-sweep", "06", 12, _one_sweep),
    Template("all-four-states", "06", 12, _explaining_away),
    Template("two-estimators", "07", 14, _two_estimators),
    Template("correlated-sample", "07", 9, _correlated_sample),
    Template("batch-for-the-whole", "07", 6, _batch_for_the_whole),
    Template("divergence-from-the-prior", "08", 9, _divergence_from_the_prior),
    Template("narrow-pixels", "08", 8, _narrow_pixels),
    Template("gap-of-two-codes", "09", 13, _gap_of_two_codes),
    Template("neighbours-on-a-map", "09", 6, _neighbours_on_a_map),
    Template("what-a-product-loses", "10", 11, _what_a_product_loses),
    Template("average-inside-the-log", "10", 7, _average_inside_the_log),
    Template("which-columns-die", "10", 8, _which_columns_die),
)
