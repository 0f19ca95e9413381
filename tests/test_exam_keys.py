"""The keys of the exams are right by an independent route.

Numbers: the routes below read them out of the question, as a student would, and use formulas, sums
and integrals written here; the key was computed by the package. Figures are read off what was
drawn. Of the lines of a mistake each is computed afresh, and exactly the one that the key names
must be wrong. Schemes of derivations are in `test_exam_schemes.py`.
"""

import re
from collections import Counter

import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy.integrate import quad
from scipy.special import expit, logit, softmax
from scipy.stats import bernoulli, gamma, norm

from lfm.checks import exams
from lfm.checks.questions import kinds

TEMPLATES = {t.name: t for t in exams.templates()}
SEEDS = range(8)


def of_kind(kind: str):
    names = [t.name for t in exams.templates() if t.kind == kind]
    return pytest.mark.parametrize("name", names)


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text)]


def rows(text: str) -> dict[str, list[int]]:
    """Return the rows of a markdown table of 0 and 1."""
    lines = re.findall(r"^\| (factor|code \d) \| (.*) \|$", text, flags=re.M)
    return {name: [int(v) for v in values.split(" | ")] for name, values in lines}


def agree(posed, wanted) -> None:
    assert len(posed.values) == len(wanted)
    for found, value in zip(posed.values, wanted, strict=True):
        if isinstance(found, str):
            assert found == value
        else:
            assert abs(float(kinds.written(found)) - value) <= 0.0005 + 1e-6, (found, value)


# ------------------------------------------------------------------ numbers


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
    *lam, rest, var = numbers(text)
    assert rest < min(lam)  # so a learned noise, which ends there, leaves all four alive

    def log_p(v):  # E ln N(x; 0, v) in a direction of variance lam[0]
        return -0.5 * (np.log(2 * np.pi * v) + lam[0] / v)

    return sum(v > var for v in lam), log_p(lam[0]) - log_p(var)


def what_an_iteration_costs(text):
    K, D, N, P, v, _, band, trip = numbers(text)
    sums = [1, *["x"] * int(D), *[(i, j) for i in range(int(D)) for j in range(i + 1)]]
    sent = K * len(sums) + 2
    milliseconds = trip + 8 * sent / P / (band * 1000)  # of a round
    exchange = sum(milliseconds for _ in range(2 * int(P) - 2))
    return sent, exchange, N * 1000 / (P * v) + exchange / 1000


def scatter_of_two_parts(text):
    n_1, m_1, S_1, n_2, m_2, S_2 = numbers(text)
    parts = [
        m + np.resize([1, -1], int(n) - int(n) % 2) * np.sqrt(S / (n - n % 2))
        for n, m, S in ((n_1, m_1, S_1), (n_2, m_2, S_2))
    ]  # data with these means and scatters; where n is odd, one more at the mean
    x = np.concatenate([*parts, *([m] for n, m in ((n_1, m_1), (n_2, m_2)) if n % 2)])
    assert len(x) == n_1 + n_2
    return x.mean(), ((x - x.mean()) ** 2).sum()


def one_step_of_online_em(text):
    kappa, r, rx, t, n, sum_r, sum_rx = numbers(text)
    assert r != rx  # or an exchange of the two would cost nothing
    assert sum_r != sum_rx
    rate = np.exp(-kappa * np.log(t))
    new_r, new_rx = r + rate * (sum_r / n - r), rx + rate * (sum_rx / n - rx)
    return new_r, new_rx, new_rx / new_r


def which_template(text):
    _, w, *n = numbers(text)
    p, v, q, x = n[:3], n[4], n[5:8], n[8:11]
    one, two = (
        weight * np.prod([ink if bit else 1 - ink for bit, ink in zip(x, inks, strict=True)])
        for weight, inks in ((w, p), (v, q))
    )
    return np.log(one), np.log(one + two), one / (one + two)


def templates_with_a_prior(text):
    K, N, _, N_1, s, _, _, _, c = numbers(text)
    grid = np.linspace(1e-6, 1 - 1e-6, 1_000_001)

    def summit(ink, paper):  # the largest density on a fine grid
        return grid[np.argmax((ink + c) * np.log(grid) + (paper + c) * np.log(1 - grid))]

    return summit(N_1, N - N_1 + (K - 2) * c), summit(s, N_1 - s), summit(0, N_1)


@of_kind("compute")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_key_is_right_by_another_route(name, seed):
    posed = TEMPLATES[name].pose(seed)
    agree(posed, globals()[name.replace("-", "_")](posed.text))


def test_who_confuses_the_two_divergences_is_not_right():
    for seed in range(200):
        one, other = TEMPLATES["divergence-both-ways"].pose(seed).values
        assert abs(one - other) >= 0.05


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


# ------------------------------------------------------------------ figures


def letters(pattern: str, posed) -> list[str]:
    return list(re.search(pattern, " ".join(part.asked for part in posed.parts)).groups())


def bars_of_the_bound(posed, axes):
    bars = np.array([[b.get_y(), b.get_height()] for b in axes[0].patches])
    bound = dict(zip("ABCD", bars[:4].sum(1), strict=True))
    gap = dict(zip("ABCD", bars[4:, 1], strict=True))
    one, high, low = letters(r"named (\w).*bound of (\w) is above that of (\w)", posed)
    assert np.allclose(bars[4:].sum(1), axes[0].lines[0].get_ydata()[0])
    return gap[one], bound[high] - bound[low], min(gap, key=gap.get)


def bound_and_likelihood(posed, axes):
    log_p, bound = (np.array(line.get_ydata()) for line in axes[0].lines)
    at = int(letters(r"inference step of iteration (\d)", posed)[0])
    assert (np.diff(bound) > 0).all()
    assert (bound < log_p).all()
    assert (log_p[2::2] == log_p[1:-1:2]).all()  # inference leaves ln p alone
    (before,) = np.flatnonzero(np.diff(log_p) < 0)
    gap = log_p - bound
    return gap[2 * at - 2], before // 2 + 1, gap[before] - gap[before + 1]


def tables_of_importance(posed, axes):
    def spread(table):  # D of the table; of the transposed one it is C
        P = table / table.sum(1, keepdims=True)
        entropy = -np.sum(P * np.log(np.where(P > 0, P, 1)), axis=1)
        return np.average(1 - entropy / np.log(table.shape[1]), weights=table.sum(1))

    arrays = [np.array(ax.images[0].get_array()) for ax in axes]
    tables = dict(zip("ABC", arrays, strict=True))
    for table, ax in zip(tables.values(), axes, strict=True):
        assert [t.get_text() for t in ax.texts] == [f"{v:g}" if v else "" for v in table.ravel()]
    score = {letter: (spread(t), spread(t.T)) for letter, t in tables.items()}
    (single,) = [n for n, (d, c) in score.items() if np.isclose(d, 1) and c < 0.9]
    (even,) = [n for n, s in score.items() if np.allclose(s, 0)]
    (left,) = set("ABC") - {single, even}
    assert np.isclose(score[left][1], 1)
    return single, even, score[left][0]


def two_gaps_of_two_encoders(posed, axes):
    lines = [(line.get_marker(), np.ravel(line.get_xdata())) for line in axes[0].lines]
    circle, square = ([x[0] for marker, x in lines if marker == shape] for shape in "os")
    log_p = lines[-1][1][0]
    assert log_p > max(square)
    assert square[0] - circle[0] > log_p - square[0]  # as an answer in words says
    return log_p - square[0], square[1] - circle[1], "AB"[int(np.argmax(square))]


@of_kind("figure")
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_to_be_read_is_what_was_drawn(name, seed):
    posed = TEMPLATES[name].pose(seed)
    figure = posed.picture()
    agree(posed, globals()[name.replace("-", "_")](posed, figure.axes))
    drawn = [p for ax in figure.axes for p in (*ax.patches, *ax.lines, *ax.images)]
    assert drawn
    shown = set(np.round(np.concatenate([_values(p) for p in drawn]), 6))
    told = {v for v in numbers(posed.told) if v < 0 or not float(v).is_integer()}
    assert told <= shown  # who cannot see the picture is told the same numbers
    plt.close(figure)


def _values(artist):
    if hasattr(artist, "get_height"):
        return np.array([artist.get_y() + artist.get_height()])
    return np.ravel(artist.get_array() if hasattr(artist, "get_array") else artist.get_data())


# ------------------------------------------------------------------ lines of which one is wrong


def close(found, wanted) -> list[bool]:
    return np.isclose(found, wanted, rtol=5e-6, atol=6e-5).tolist()


def last(lines) -> list[float]:
    return [numbers(line)[-1] for line in lines]


def log_of_em(lines, text):
    log = np.array([numbers(line) for line in lines])  # θ, L, ln p

    def consistent(log):
        _, L, log_p = log.T
        tight = np.allclose(L[::2], log_p[::2], rtol=0, atol=2e-3)
        stays = np.allclose(np.diff(log[:, [0, 2]], axis=0)[1::2], 0, atol=2e-3)
        return tight and stays and (np.diff(L) > -2e-3).all() and (log_p + 2e-3 > L).all()

    right = []
    for i, (_, _, log_p) in enumerate(log):  # is all well if the L of this line is another?
        mended = log.copy()
        mended[i, 1] = log_p if i % 2 == 0 else log[i - 1, 1]
        right.append(not consistent(mended))
    assert not consistent(log)
    return right


def learning_step_by_hand(lines, text):
    x, r = np.reshape(numbers(text)[:-1], (2, 4))
    mean = np.average(x, weights=r)
    return close(last(lines), [r.sum(), r.mean(), mean, np.average((x - mean) ** 2, weights=r)])


def fit_by_eigenvalues(lines, text):
    lam = np.sort(numbers(text))[::-1]
    grid = np.linspace(0.01, lam[1], 400_001)
    noise = grid[np.argmax(-2 * np.log(grid) - (lam[2] + lam[3]) / grid)]
    W, turn = (
        np.diag(np.sqrt(np.maximum(lam - noise, 0)))[:, :2],
        np.array([[0.6, -0.8], [0.8, 0.6]]),
    )
    G = np.linalg.inv(np.eye(2) + W.T @ W / noise)
    least = np.linalg.eigvalsh(W @ W.T + noise * np.eye(4))[0]
    wanted = [noise, W[:, 1] @ W[:, 1], least, G[0, 0]]
    turned = np.allclose((W @ turn) @ (W @ turn).T, W @ W.T)
    return [*np.isclose(last(lines[:4]), wanted, rtol=0, atol=2e-4).tolist(), turned]


def two_updates(lines, text):
    rng = np.random.default_rng(0)
    x, (mu_0, lam_0, a, b) = rng.normal(size=3), rng.uniform(1, 3, 4)
    E_tau = quad(lambda tau: tau * gamma.pdf(tau, a, scale=1 / b), 0, 60)[0]

    def averaged(mu):  # E over q(τ) of ln p(X, μ, τ), but for what has no μ: a parabola
        return -0.5 * E_tau * (((x - mu) ** 2).sum() + lam_0 * (mu - mu_0) ** 2)

    top, up, down = averaged(0.0), averaged(1.0), averaged(-1.0)
    prec = 2 * top - up - down
    m = (up - down) / 2 / prec
    spread = 12 * prec**-0.5
    square = quad(lambda u: (x[0] - u) ** 2 * norm.pdf(u, m, prec**-0.5), m - spread, m + spread)[0]
    says = {
        "E[τ] = a/b.": (a / b, E_tau),
        "q(μ) has the precision (λ₀ + N) E[τ].": ((lam_0 + 3) * E_tau, prec),
        "q(μ) has the precision λ₀ + N E[τ].": (lam_0 + 3 * E_tau, prec),
        "q(μ) has the mean m = (λ₀μ₀ + Σ x_n)/(λ₀ + N).": (
            (lam_0 * mu_0 + x.sum()) / (lam_0 + 3),
            m,
        ),
        "q(μ) has the mean m = Σ x_n/N, the mean of the data.": (x.mean(), m),
        "E[(x_n - μ)²] = (x_n - m)² + 1/precision, with the precision of q(μ).": (
            (x[0] - m) ** 2 + 1 / prec,
            square,
        ),
        "E[(x_n - μ)²] = (x_n - m)².": ((x[0] - m) ** 2, square),
    }
    # shape and rate: see test_the_update_of_the_shape_is_that_of_the_best_gamma
    return [*(bool(np.isclose(*says[line])) for line in lines[:4]), True, True]


def back_through_a_network(lines, text):
    given = re.search(r"x = (\S+), w = (\S+), v = (\S+) and t = (\S+),", text).groups()
    x, w, v, t = map(float, given)

    def loss(y=None, v=v, h=None, a=None, w=w):
        a = w * x if a is None else a
        h = np.tanh(a) if h is None else h
        return 0.5 * ((v * h if y is None else y) - t) ** 2

    h = np.tanh(w * x)
    at = {"y": v * h, "v": v, "h": h, "a": w * x, "w": w}
    slopes = [(loss(**{k: u + 1e-5}) - loss(**{k: u - 1e-5})) / 2e-5 for k, u in at.items()]
    return close(last(lines), slopes)


def loss_in_code(lines, text):
    rng = np.random.default_rng(0)
    mean, log_var, eps, A = (rng.normal(size=s) for s in ((5, 2), (5, 2), (5, 2), (2, 7)))
    x, std = rng.integers(2, size=(5, 7)), np.sqrt(np.exp(log_var))
    z = mean + std * eps
    explained = bernoulli.logpmf(x, expit(z @ A)).sum(1)
    divergence = np.array([sum(map(excess, *pair)) for pair in zip(mean, std, strict=True)])
    wanted = [std, z, z @ A, explained, divergence, (divergence - explained).mean()]
    given = {"np": np, "x": x, "mean": mean, "log_var": log_var, "eps": eps}
    return run("loss-in-code", lines, given | {"decoder": lambda z: z @ A}, wanted)


def excess(m, s):
    """Return KL(N(m, s²) ‖ N(0, 1)) by an integral."""
    log_ratio = lambda u: norm.logpdf(u, m, s) - norm.logpdf(u)  # noqa: E731
    return quad(lambda u: norm.pdf(u, m, s) * log_ratio(u), m - 12 * s, m + 12 * s)[0]


def fit_on_two_machines(lines, text):
    N_A, N_B, r_A, rx_A, r_B, rx_B = numbers(text)
    assert numbers(lines[0]) == [r_A + r_B, rx_A + rx_B]
    sums = close(last(lines[1:3]), [(r_A + r_B) / (N_A + N_B), (rx_A + rx_B) / (r_A + r_B)])
    return [True, *sums, "infer all their data again, with the new θ" in lines[3]]


def model_in_code(lines, text):
    rng = np.random.default_rng(0)
    N, K, D, c = 30, 3, 5, 0.7
    x, pi, p = rng.integers(2, size=(N, D)), rng.dirichlet([2] * K), rng.uniform(0.2, 0.8, (K, D))
    joint = np.log([[pi[k] * bernoulli.pmf(x[n], p[k]).prod() for k in range(K)] for n in range(N)])
    r = np.exp(joint) / np.exp(joint).sum(1, keepdims=True)
    s = np.array([[r[x[:, d] == 1, k].sum() for d in range(D)] for k in range(K)])
    grid = np.linspace(1e-5, 1 - 1e-5, 100_001)

    def summit(ink, paper):  # the largest posterior density on a grid
        return grid[np.argmax((ink + c) * np.log(grid) + (paper + c) * np.log(1 - grid))]

    best = [[summit(s[k, d], r[:, k].sum() - s[k, d]) for d in range(D)] for k in range(K)]
    weights = [summit(n, N - n + (K - 2) * c) for n in r.sum(0)]
    log_p = np.log(np.exp(joint).sum(1)).sum()  # inference is exact: the bound is ln p(X)
    given = {"log": np.log, "softmax": lambda a: softmax(a, axis=1), "x": x, "pi": pi, "p": p}
    given |= {"N": N, "K": K, "c": c}
    return run("model-in-code", lines, given, [joint, r, log_p, s, weights, best])


def run(name, lines, given, wanted) -> list[bool]:
    """Return which lines compute what they should, each after the right lines before it."""
    right, variables = [], dict(given)
    for line, as_it_should, value in zip(
        lines, TEMPLATES[name].words["lines"], wanted, strict=True
    ):
        own = dict(variables)
        exec(line.strip("`"), own)
        found = own[line.strip("`").split(" = ")[0].split(", ")[-1]]
        same = np.shape(found) == np.shape(value) and np.allclose(found, value, rtol=0, atol=2e-5)
        right.append(same)
        exec(as_it_should.strip("`"), variables)
    return right


@of_kind("mistake")
@pytest.mark.parametrize("seed", range(9))
def test_the_line_that_the_key_names_is_wrong_and_no_other(name, seed):
    posed = TEMPLATES[name].pose(seed)
    text, listed = posed.text.rsplit("\n\n", 1)
    lines = [re.fullmatch(r"\d\. (.*)", line)[1] for line in listed.split("\n")]
    right = globals()[name.replace("-", "_")](lines, text)
    assert len(right) == len(lines)
    named = int(re.match(r"\*\*Line (\d)\.\*\*", posed.parts[0].answer)[1])
    assert [i for i, fine in enumerate(right, 1) if not fine] == [named], lines
