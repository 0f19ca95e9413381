"""Exams: the key is right by an independent route, the paper keeps it, and files are whole or none.

The routes below read the numbers out of the question, as a student would, and use formulas, sums
and integrals written here; the key was computed by the package.
"""

import importlib
import inspect
import re
import string
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import gamma, norm

from lfm import checks
from lfm.checks import exams
from lfm.checks.questions import filled

ROOT = Path(__file__).parent.parent
NAMES = [t.name for t in exams.templates()]
CHAPTERS = [f"{c:02d}" for c in range(1, 11)]
TEMPLATES = {t.name: t for t in exams.templates()}
SEEDS = range(8)


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text)]


def rows(text: str) -> dict[str, list[int]]:
    """Return the rows of a markdown table of 0 and 1."""
    lines = re.findall(r"^\| (factor|code \d) \| (.*) \|$", text, flags=re.M)
    return {name: [int(v) for v in values.split(" | ")] for name, values in lines}


# ------------------------------------------------------------------ by another route


def bound_of_a_table(text):
    j, q = np.reshape(numbers(text)[3:], (2, 3))
    posterior = j / j.sum()
    divergence = sum(q * np.log(q / posterior))
    return np.log(j.sum()), np.log(j.sum()) - divergence, divergence


def divergence_both_ways(text):
    q, p = np.reshape(numbers(text), (2, 2))
    return sum(q * np.log(q / p)), sum(p * np.log(p / q))


def iteration_of_two_bells(text):
    x, theta = np.array(numbers(text)[4:7]), numbers(text)[7]
    r = norm.pdf(x - theta) / (norm.pdf(x) + norm.pdf(x - theta))
    return r[0], r[1], np.average(x, weights=r)


def slope_by_fisher(text):
    x, theta, h = np.array(numbers(text)[3:6]), numbers(text)[6], 1e-5
    up, down = (
        np.log(0.5 * norm.pdf(x) + 0.5 * norm.pdf(x - t)).sum() for t in (theta + h, theta - h)
    )
    return ((up - down) / (2 * h),)


def learning_of_a_mixture(text):
    r, x = np.reshape(numbers(text), (2, 4))
    mean = np.average(x, weights=r)
    return r.mean(), mean, np.average(x**2, weights=r) - mean**2


def covariance_with_a_prior(text):
    d, n, a, c, _, b, dof, p, _, _, s = numbers(text)
    below = n + dof + d + 1
    return (a + p) / below, (b + s) / below, c / below


def posterior_of_an_ability(text):
    w, mean, psi, x = np.reshape(numbers(text)[2:], (4, 2))
    grid = np.linspace(-30, 30, 200_001)
    log_p = -0.5 * grid**2 - sum((x[i] - mean[i] - w[i] * grid) ** 2 / psi[i] / 2 for i in (0, 1))
    p = np.exp(log_p - log_p.max())
    at = np.average(grid, weights=p)
    return np.average((grid - at) ** 2, weights=p), at


def free_parameters(text):
    d, k = map(int, numbers(text))
    W, psi = np.random.default_rng(0).normal(size=(d, k)), np.ones(d)

    def density(theta):  # what the density depends on: mean and covariance
        W, psi, mean = theta[: d * k].reshape(d, k), theta[d * k : d * k + d], theta[d * k + d :]
        return np.append((W @ W.T + np.diag(psi))[np.tril_indices(d)], mean)

    theta = np.concatenate([W.ravel(), psi, np.zeros(d)])
    slopes = [
        (density(theta + 1e-5 * e) - density(theta - 1e-5 * e)) / 2e-5 for e in np.eye(len(theta))
    ]
    return len(theta), np.linalg.matrix_rank(np.array(slopes), tol=1e-6)


def probabilistic_pca(text):
    lam = sorted(numbers(text), reverse=True)
    noise = (lam[2] + lam[3]) / 2
    return noise, lam[0] - noise, lam[1] - noise


def mean_and_precision(text):
    x = np.array(numbers(text)[:3])
    mu_0, strength, a_0, b_0, a, b = numbers(text)[5:]
    prec = (strength + 3) * a / b
    mean = (strength * mu_0 + x.sum()) / (strength + 3)

    def slope_in_tau(mu):  # -∂ ln p(X, μ, τ)/∂τ without the ln τ terms, averaged over q(μ)
        return (
            (((x - mu) ** 2).sum() + strength * (mu - mu_0) ** 2)
            / 2
            * norm.pdf(mu, mean, prec**-0.5)
        )

    rate = b_0 + quad(slope_in_tau, mean - 12 * prec**-0.5, mean + 12 * prec**-0.5)[0]
    return mean, prec, a_0 + 2, rate


def too_narrow(text):
    a, c, _, b = numbers(text)
    return a - c**2 / b, -0.5 * np.log(1 - c**2 / (a * b))


def one_sweep(text):
    n = numbers(text)
    w, var, pi, x = np.reshape(n[:4], (2, 2)), n[4], n[5:7], np.array(n[7:9])
    m = [None, n[10]]
    for k in (0, 1):

        def average(z, k=k):  # E over the other switch of ln p(x, z)
            other = [norm.logpdf(x, z * w[k] + s * w[1 - k], var**0.5).sum() for s in (0, 1)]
            return (1 - m[1 - k]) * other[0] + m[1 - k] * other[1]

        m[k] = expit(logit(pi[k]) + average(1) - average(0))
    return m


def all_four_states(text):
    p, r, v, w, var, x = numbers(text)
    joint = {
        (i, j): (p if i else 1 - p) * (r if j else 1 - r) * norm.pdf(x, i * v + j * w, var**0.5)
        for i in (0, 1)
        for j in (0, 1)
    }
    total = sum(joint.values())
    return np.log(total), *(sum(v for s, v in joint.items() if s[k]) / total for k in (0, 1))


def two_estimators(text):
    m, std, *eps = numbers(text)[:5]
    z = [m + std * e for e in eps]
    path, score = [2 * v for v in z], [v**2 * (v - m) / std**2 for v in z]
    return [f(t) for t in (path, score) for f in (np.mean, lambda t: np.std(t, ddof=1) / 3**0.5)]


def correlated_sample(text):
    e_1, e_2, m_1, m_2, a, c, _, b = numbers(text)
    return m_1 + a**0.5 * e_1, m_2 + c / a**0.5 * e_1 + (b - c**2 / a) ** 0.5 * e_2


def batch_for_the_whole(text):
    _, n, *terms, kl = numbers(text)
    return (n * np.mean(terms) - kl,)


def divergence_from_the_prior(text):
    mean, log_var = np.reshape(numbers(text), (2, 2))
    std = np.sqrt(np.exp(log_var))

    def excess(z, m, s):
        return norm.pdf(z, m, s) * (norm.logpdf(z, m, s) - norm.logpdf(z))

    parts = [
        quad(excess, m - 12 * s, m + 12 * s, (m, s))[0] for m, s in zip(mean, std, strict=True)
    ]
    return sum(parts), mean[0] + std[0]


def narrow_pixels(text):
    mean, std, x = np.reshape(numbers(text), (3, 2))
    return (norm.logpdf(x, mean, std).sum(),)


def gap_of_two_codes(text):
    def entropy(*columns):
        p = np.array(list(Counter(zip(*columns, strict=True)).values())) / 8
        return -(p * np.log(p)).sum()

    table = rows(text)
    factor = table["factor"]
    one, two = (
        entropy(table[c]) + entropy(factor) - entropy(table[c], factor)
        for c in ("code 1", "code 2")
    )
    return one, two, (one - two) / entropy(factor)


def neighbours_on_a_map(text):
    at = [(float(c), kind) for c, kind in re.findall(r"([\d.]+) \((cat|dog)\)", text)]
    same = [min((o for o in at if o != p), key=lambda o: abs(o[0] - p[0]))[1] == p[1] for p in at]
    return (sum(same) / 6,)


def what_a_product_loses(text):
    a, b, c, d, var = numbers(text)
    p, r, off = 1 + (a**2 + c**2) / var, 1 + (b**2 + d**2) / var, (a * b + c * d) / var
    return 0.5 * np.log(p * r / (p * r - off**2)), r / (p * r - off**2)


def average_inside_the_log(text):
    w = numbers(text)
    return np.mean(np.log(w)), np.log(np.mean(w))


def which_columns_die(text):
    *lam, var = numbers(text)

    def log_p(v):  # E ln N(x; 0, v) in a direction of variance lam[0]
        return -0.5 * (np.log(2 * np.pi * v) + lam[0] / v)

    return sum(v > var for v in lam), log_p(lam[0]) - log_p(var)


ROUTES = {name: globals()[name.replace("-", "_")] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_key_is_right_by_another_route(name, seed):
    posed = TEMPLATES[name].pose(seed)
    found, wanted = [float(exams.written(a.value)) for a in posed.asks], ROUTES[name](posed.text)
    assert len(found) == len(wanted)
    assert np.abs(np.subtract(found, wanted)).max() <= 0.0005 + 1e-6, (found, wanted)


def test_the_update_of_the_shape_is_that_of_the_best_gamma():
    """The route above takes the shape for granted; here it is fitted: q(τ) ∝ exp E[ln p]."""
    text = TEMPLATES["mean-and-precision"].pose(3).text
    _, _, shape, rate = mean_and_precision(text)
    x, (mu_0, strength, a_0, b_0) = np.array(numbers(text)[:3]), numbers(text)[5:9]
    mean, prec = mean_and_precision(text)[:2]
    mu = norm(mean, prec**-0.5).ppf((np.arange(20_000) + 0.5) / 20_000)

    def averaged(tau):
        terms = norm.logpdf(x[:, None], mu, tau**-0.5).sum(0)
        terms += norm.logpdf(mu, mu_0, (strength * tau) ** -0.5)
        return terms.mean() + gamma.logpdf(tau, a_0, scale=1 / b_0)

    offsets = [averaged(t) - gamma.logpdf(t, shape, scale=1 / rate) for t in (0.3, 1.0, 3.0)]
    assert np.ptp(offsets) < 2e-3  # the same function of τ, but for a constant


# ------------------------------------------------------------------ paper and key


def sections(text: str) -> list[str]:
    return re.split(r"^## ", text, flags=re.M)[1:]


@pytest.mark.parametrize("seed", range(12))
def test_no_answer_stands_in_the_paper(seed):
    paper, key = checks.exam(seed, questions=len(NAMES))
    for question, answers in zip(sections(paper), sections(key), strict=True):
        values = re.findall(r"\*\*(-?[\d.]+)\*\*", answers)
        asked = {float(n) for n in re.findall(r"\d+(?:\.\d+)?", question.split("\n", 1)[1])}
        assert values
        assert not asked & {abs(float(v)) for v in values}
        for value in values:
            if "." in value:
                assert value not in paper
    for template in exams.templates():
        assert template.pose(seed).because not in paper
        assert template.name not in paper


@pytest.mark.parametrize("seed", range(12))
def test_answers_are_large_enough_to_survive_rounding(seed):
    for template in exams.templates():
        values = [a.value for a in template.pose(seed).asks]
        assert all(np.isfinite(values))
        assert min(map(abs, values)) >= 0.0095, template.name


def test_two_seeds_give_two_exams_and_one_seed_the_same():
    (paper, key), (other, other_key) = checks.exam(7), checks.exam(8)
    assert (paper, key) == checks.exam(7)
    assert paper != other
    assert key != other_key
    whole, others = (sections(checks.exam(seed, questions=23)[1]) for seed in (7, 8))
    assert not set(whole) & set(others)  # every single question differs


def test_a_question_does_not_depend_on_what_else_is_asked():
    whole, part = checks.exam(5, questions=23)[0], checks.exam(5, ["04"], 3)[0]
    strip = [s.split("\n", 1)[1].strip() for s in sections(whole)]
    assert all(s.split("\n", 1)[1].strip() in strip for s in sections(part))


def test_questions_are_spread_over_the_chapters_that_were_asked_for():
    for seed in SEEDS:
        chapters = re.findall(r"\(chapter (\d\d),", checks.exam(seed)[1])
        assert chapters == CHAPTERS
        chapters = re.findall(r"\(chapter (\d\d),", checks.exam(seed, ["07", "04"], 4)[1])
        assert chapters == ["04", "04", "07", "07"]
    drawn = {n for s in range(30) for n in re.findall(r"· (\S+) \(", checks.exam(s)[1])}
    assert drawn == set(NAMES)  # every template has its turn


def test_every_chapter_has_two_templates_and_no_name_is_used_twice():
    counts = Counter(t.chapter for t in exams.templates())
    assert sorted(counts) == CHAPTERS
    assert min(counts.values()) >= 2
    assert len(set(NAMES)) == len(NAMES)
    assert [t.name for t in sorted(exams.templates(), key=lambda t: t.chapter)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_words_show_every_number_that_is_drawn_for_them_and_no_other(name):
    words, rng = TEMPLATES[name].words, np.random.default_rng(0)
    numbers = next(filter(None, (TEMPLATES[name].draw(rng) for _ in range(exams.DRAWS))))
    texts = " ".join([*words["asks"], *(words[part] for part in exams.PARTS)])
    placeholders = [field for _, field, _, _ in string.Formatter().parse(texts) if field]
    assert {field.split("[")[0] for field in placeholders} == set(numbers.shown)
    assert len(words["asks"]) == len(numbers.answers)
    assert set(words) == {"asks", *exams.PARTS}


def test_every_function_that_draws_has_words():
    for chapter in CHAPTERS:
        members = vars(importlib.import_module(f"lfm.checks.questions.chapter_{chapter}"))
        own = [f for n, f in members.items() if inspect.isfunction(f) and not n.startswith("_")]
        found = [f.__name__.replace("_", "-") for f in own if f.__module__.endswith(chapter)]
        assert found == [t.name for t in exams.templates() if t.chapter == chapter]


def test_words_show_arrays_in_five_ways_and_keep_tables_and_braces():
    shown = {"x": np.array([1, 2.5]), "W": np.eye(2), "n": 3}
    text = "{x:list}; {x:vector}\n{W:matrix} {x:many} {x[1]:g} {n} {{n}}\n\n| {x:row} |\n| a  b |"
    assert filled(text, shown) == (
        "1, 2.5; (1, 2.5) [1, 0; 0, 1] 1.0000, 2.5000 2.5 3 {n}\n\n| 1.0 | 2.5 |\n| a  b |"
    )
    with pytest.raises(KeyError, match="theta"):
        filled("{theta:g}", shown)


def test_the_paper_says_time_points_and_how_to_round():
    paper, key = checks.exam(7)
    minutes, total = map(int, re.search(r"allowed: (\d+) minutes\. (\d+) points", paper).groups())
    points = [int(p) for p in re.findall(r"^## Question \d+ \((\d+) points\)", paper, flags=re.M)]
    assert sum(points) == total
    names = re.findall(r"· (\S+) \(", key)
    assert 5 <= minutes - sum(TEMPLATES[n].minutes for n in names) < 10
    assert minutes % 5 == 0
    assert "three decimals" in paper
    assert all(s.count("- In words: ") == 1 for s in sections(paper))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"seed": -1}, ValueError, "seed is -1; wanted at least 0"),
        ({"seed": True}, TypeError, "seed is True"),
        ({"seed": 1.5}, TypeError, "seed is 1.5"),
        ({"seed": 1, "chapters": ["00"]}, ValueError, "chapters has '00'; wanted some of 01, 02"),
        ({"seed": 1, "chapters": []}, ValueError, "wanted at least one, and none twice"),
        ({"seed": 1, "chapters": ["01", "01"]}, ValueError, "none twice"),
        ({"seed": 1, "chapters": "01"}, TypeError, "chapters is '01'; wanted a list"),
        ({"seed": 1, "questions": 0}, ValueError, "questions is 0; wanted between 1 and 23"),
        ({"seed": 1, "questions": 24}, ValueError, "questions is 24"),
        ({"seed": 1, "chapters": ["01"], "questions": 3}, ValueError, "wanted between 1 and 2"),
        ({"seed": 1, "questions": "3"}, TypeError, "questions is '3'"),
    ],
)
def test_bad_arguments_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        checks.exam(**arguments)


def test_values_are_written_in_one_way():
    assert [exams.written(v) for v in (3, 3.0, -0.0001, 0.0005001, -2.5)] == [
        "3", "3.000", "0.000", "0.001", "-2.500",
    ]  # fmt: skip
