"""Every line of a marking scheme that is a formula holds at random values.

For each template that asks to derive, a function here returns, for each of its three variants, one
entry a line: whether both sides agree, computed here, or WORDS for a line that has no formula.
Such lines, and the reasons, were checked by reading. Slopes are difference quotients, averages are
sums or integrals.
"""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import beta, norm, ortho_group

from lfm.checks import exams

DERIVE = {t.name: t for t in exams.templates() if t.kind == "derive"}
WORDS = "words"


def same(one, *others) -> bool:
    return all(np.allclose(one, other, rtol=1e-5, atol=1e-6) for other in others)


def slope(f, at, h=1e-5):
    return (f(at + h) - f(at - h)) / (2 * h)


def summit(f, at) -> bool:
    """Tell whether f is highest at `at`, among points around it."""
    offsets = np.array([-0.1, -0.01, 0.01, 0.1])
    return bool(all(f(at + d * abs(at)) < f(at) for d in offsets))


def average(f, m, s):
    """Return E[f(z)] for z ~ N(m, s²)."""
    return quad(lambda z: f(z) * norm.pdf(z, m, s), m - 12 * s, m + 12 * s, epsabs=1e-11)[0]


def kl(q, p) -> float:
    return float((q * np.log(q / p)).sum())


def gaussian_kl(m, S, n, T) -> float:
    """Return KL(N(m, S) ‖ N(n, T)), term by term, from E_q[ln q] - E_q[ln p]."""
    log_q = -0.5 * np.linalg.slogdet(S)[1] - 0.5 * len(m)
    second = S + np.outer(m - n, m - n)
    log_p = -0.5 * np.linalg.slogdet(T)[1] - 0.5 * np.trace(np.linalg.inv(T) @ second)
    return float(log_q - log_p)


def covariance(rng, k):
    A = rng.normal(size=(k, k))
    return A @ A.T + 0.5 * np.eye(k)


# ------------------------------------------------------------------ one function a template


def proofs_about_the_bound(rng):
    joint, (q, p) = rng.uniform(0.01, 0.2, 4), rng.dirichlet([2] * 4, 2)
    posterior, w, L = joint / joint.sum(), joint / q, (q * np.log(joint / q)).sum()
    log_p = np.log(joint.sum())
    jensen = [
        WORDS,
        same(joint.sum(), (q * w).sum()),
        log_p >= (q * np.log(w)).sum() and same(L, (q * np.log(w)).sum()),
        same((posterior * np.log(joint / posterior)).sum(), log_p)
        and np.ptp(joint / posterior) < 1e-12,
    ]
    loss = [
        same(joint, posterior * joint.sum()),
        same(L, (q * log_p).sum() + (q * np.log(posterior / q)).sum()),
        same((q * log_p).sum(), log_p),
        same((q * np.log(posterior / q)).sum(), -kl(q, posterior), L - log_p),
    ]
    tangent = [
        same(-kl(q, p), (q * np.log(p / q)).sum()),
        (q * np.log(p / q)).sum() <= (q * (p / q - 1)).sum() + 1e-12,
        same((q * (p / q - 1)).sum(), 0.0) and kl(q, p) >= 0,
        same(kl(q, q), 0.0) and kl(q, p) > 0,
    ]
    return jensen, loss, tangent


def proofs_about_em(rng):
    x, old = rng.normal(1, 2, 9), rng.uniform(0.5, 2)

    def joint(t):  # p(x_n, z_n) (9, 2)
        return 0.5 * norm.pdf(x[:, None], [0.0, t])

    def log_p(t):
        return np.log(joint(t).sum(1)).sum()

    q = joint(old) / joint(old).sum(1, keepdims=True)
    r = q[:, 1]

    def expected(t):
        return (q * np.log(joint(t))).sum()

    def bound(t):
        return expected(t) - (q * np.log(q)).sum()

    def gap(t):
        return kl(q, joint(t) / joint(t).sum(1, keepdims=True))

    new = (r * x).sum() / r.sum()
    ascent = [
        same(log_p(old), bound(old)) and abs(gap(old)) < 1e-9,
        same(log_p(new), bound(new) + gap(new)) and gap(new) >= 0,
        same(bound(new) - bound(old), expected(new) - expected(old)),
        log_p(new) - log_p(old) >= expected(new) - expected(old) >= 0 and summit(expected, new),
    ]
    fisher = [
        all(same(log_p(t) - bound(t), gap(t)) and gap(t) >= 0 for t in (old, new, 0.1, 3.0)),
        abs(slope(gap, old)) < 1e-6 and same(slope(log_p, old), slope(bound, old)),
        same(slope(bound, old), slope(expected, old)),
        same(slope(expected, old), (r * (x - old)).sum()),
    ]
    constant = np.log(0.5) - 0.5 * np.log(2 * np.pi)
    bells = [
        same(np.log(joint(old)), constant - 0.5 * (x[:, None] - [0.0, old]) ** 2),
        same(expected(new) - expected(old), -0.5 * (r * ((x - new) ** 2 - (x - old) ** 2)).sum()),
        same(slope(expected, old), (r * (x - old)).sum()) and abs(slope(expected, new)) < 1e-6,
        same(slope(lambda t: slope(expected, t, 1e-3), old, 1e-3), -r.sum()),
    ]
    return ascent, fisher, bells


def proofs_about_mixtures(rng):
    r, x = rng.dirichlet([1] * 3, size=12), rng.normal(size=12) * 2
    N_k, N = r.sum(0), 12
    pi, other, lam = N_k / N, rng.dirichlet([3] * 3), 1.0 * N

    def of_pi(p):
        return (N_k * np.log(p)).sum()

    a = r[:, 0]
    mean = (a * x).sum() / N_k[0]
    var = (a * (x - mean) ** 2).sum() / N_k[0]
    m, v = rng.normal(), rng.uniform(0.5, 2)

    def of_gauss(m, v):  # without the constant
        return (a * (norm.logpdf(x, m, v**0.5) + 0.5 * np.log(2 * np.pi))).sum()

    nu, Psi = rng.uniform(1, 5, 2)
    S = (a * (x - mean) ** 2).sum()
    best = (S + Psi) / (N_k[0] + nu + 2)

    def posterior(v):
        return of_gauss(mean, v) + np.log(v ** (-(nu + 2) / 2) * np.exp(-Psi / (2 * v)))

    weights = [
        same(sum((r[:, k] * np.log(pi[k])).sum() for k in range(3)), of_pi(pi)),
        all(abs(slope(lambda p, n=n: n * np.log(p) - lam * p, n / N)) < 1e-5 for n in N_k),
        same(lam, N_k.sum()) and same(pi, N_k / N),
        of_pi(pi) > of_pi(other) and same(of_pi(pi) - of_pi(other), N * kl(pi, other)),
    ]
    moments = [
        same(of_gauss(m, v), -0.5 * N_k[0] * np.log(v) - (a * (x - m) ** 2).sum() / (2 * v)),
        same(slope(lambda u: of_gauss(u, v), m), (a * (x - m)).sum() / v)
        and summit(lambda u: of_gauss(u, v), mean),
        same(slope(lambda u: of_gauss(m, u), v), (a * (x - m) ** 2 - a * v).sum() / (2 * v**2)),
        summit(lambda u: of_gauss(mean, u), var),
    ]
    prior = [
        same(of_gauss(mean, v), -0.5 * N_k[0] * np.log(v) - S / (2 * v)),
        same(posterior(v) - of_gauss(mean, v), -0.5 * (nu + 2) * np.log(v) - Psi / (2 * v)),
        same(slope(posterior, v), -(N_k[0] + nu + 2) / (2 * v) + (S + Psi) / (2 * v**2)),
        summit(posterior, best),
        WORDS,
    ]
    return weights, moments, prior


def proofs_about_factors(rng):
    (w, mu, x), psi, z = rng.normal(size=(3, 3)), rng.uniform(0.5, 2, 3), rng.normal(size=2)

    def log_joint(z):
        return norm.logpdf(z) + norm.logpdf(x, w * z + mu, psi**0.5).sum()

    def says(z):
        return -0.5 * z**2 - 0.5 * ((x - mu - w * z) ** 2 / psi).sum()

    prec, pull = 1 + (w**2 / psi).sum(), (w * (x - mu) / psi).sum()
    curve = log_joint(1) + log_joint(-1) - 2 * log_joint(0)  # twice the factor of z²
    posterior = [
        same(log_joint(z[0]) - log_joint(z[1]), says(z[0]) - says(z[1])),
        same(curve, -prec),
        same((log_joint(1) - log_joint(-1)) / 2, pull),
        same(log_joint(z[0]) - log_joint(z[1]), -np.diff(norm.logpdf(z, pull / prec, prec**-0.5))),
        abs(slope(log_joint, pull / prec)) < 1e-5,
    ]
    W, R = rng.normal(size=(3, 2)), ortho_group.rvs(2, random_state=rng)
    noise = np.diag(psi)
    moments = np.linalg.inv(
        np.block([[np.eye(2) + W.T @ W / psi[0], -W.T / psi[0]], [-W / psi[0], np.eye(3) / psi[0]]])
    )
    rotation = [
        WORDS,
        same(moments[2:, 2:], W @ W.T + psi[0] * np.eye(3)),  # from the precision of (z, x)
        same((W @ R) @ (W @ R).T, W @ R @ R.T @ W.T, W @ W.T),
        same(np.linalg.inv(W @ W.T + noise), np.linalg.inv((W @ R) @ (W @ R).T + noise)),
    ]
    y, m, G, N = rng.normal(size=6), rng.normal(size=6), rng.uniform(0.2, 1), 6
    best = (y * m).sum() / (m**2 + G).sum()

    def square(w):
        pairs = zip(y, m, strict=True)
        return np.array([average(lambda z, y=y: (y - w * z) ** 2, m, G**0.5) for y, m in pairs])

    def of_w(w, v=1.3):
        return -0.5 * N * np.log(v) - square(w).sum() / (2 * v)

    v = square(best).sum() / N
    careless = (y * m).sum() / (m**2).sum()
    one = average(lambda z: norm.logpdf(y[0], w[0] * z, 1.3**0.5), m[0], G**0.5)
    regression = [
        same(-0.5 * np.log(2 * np.pi * 1.3) - square(w[0])[0] / (2 * 1.3), one),
        same(square(w[0]), y**2 - 2 * w[0] * y * m + w[0] ** 2 * (m**2 + G)),
        summit(of_w, best),
        summit(lambda u: of_w(best, u), v),
        abs(careless) > abs(best) and np.mean((y - careless * m) ** 2) < v,
    ]  # fmt: skip
    return posterior, rotation, regression


def proofs_about_products(rng):
    joint = rng.uniform(0.01, 0.1, (2, 3))
    q1, other, q2 = rng.dirichlet([2] * 2), rng.dirichlet([2] * 2), rng.dirichlet([2] * 3)

    def bound(q1):
        q = np.outer(q1, q2)
        return (q * np.log(joint / q)).sum()

    def entropy(q):
        return -(q * np.log(q)).sum()

    f = np.log(joint) @ q2
    tilde = np.exp(f) / np.exp(f).sum()
    factor = [
        same(bound(q1), (np.outer(q1, q2) * np.log(joint)).sum() + entropy(q1) + entropy(q2)),
        same((np.outer(q1, q2) * np.log(joint)).sum(), (q1 * f).sum()),
        same(bound(q1) - bound(other), -kl(q1, tilde) + kl(other, tilde)),
        bound(tilde) > bound(q1) and np.ptp(np.log(tilde) - f) < 1e-9,
    ]
    mu, Sigma, m2 = rng.normal(size=2), covariance(rng, 2), rng.normal()
    Lam, z = np.linalg.inv(Sigma), rng.normal(size=(2, 2))

    def log_p(z1, z2):
        d = np.array([z1, z2]) - mu
        return -0.5 * d @ Lam @ d

    def says(z1, z2):
        return -0.5 * Lam[0, 0] * (z1 - mu[0]) ** 2 - Lam[0, 1] * (z1 - mu[0]) * (z2 - mu[1])

    def averaged(z1):
        return average(lambda z2: log_p(z1, z2), m2, 0.7)

    rho = Sigma[0, 1] / np.sqrt(Sigma[0, 0] * Sigma[1, 1])
    gaussian = [
        same(log_p(z[0, 0], z[0, 1]) - log_p(z[1, 0], z[0, 1]),
             says(z[0, 0], z[0, 1]) - says(z[1, 0], z[0, 1])),
        same(averaged(z[0, 0]) - averaged(z[1, 0]), says(z[0, 0], m2) - says(z[1, 0], m2)),
        same(averaged(1) + averaged(-1) - 2 * averaged(0), -Lam[0, 0]),
        abs(slope(averaged, mu[0] - Lam[0, 1] * (m2 - mu[1]) / Lam[0, 0], 1e-3)) < 1e-6,
        same(1 / Lam[0, 0], (1 - rho**2) * Sigma[0, 0])
        and same(rho**2, Lam[0, 1] ** 2 / (Lam[0, 0] * Lam[1, 1]))
        and same(Sigma[0, 0], Lam[1, 1] / (Lam[0, 0] * Lam[1, 1] - Lam[0, 1] ** 2)),
    ]  # fmt: skip
    prior, q = rng.dirichlet([2] * 4), rng.dirichlet([2] * 4)
    lik = rng.uniform(0.1, 0.9, 4)  # p(X | Z)
    rising, p_x = (q * np.log(lik * prior / q)).sum(), (lik * prior).sum()
    rearranged = [
        same(rising, (q * np.log(lik)).sum() + (q * np.log(prior)).sum() - (q * np.log(q)).sum()),
        same((q * np.log(prior)).sum() - (q * np.log(q)).sum(), -kl(q, prior)),
        same(rising, np.log(p_x) - kl(q, lik * prior / p_x)),
        WORDS,
    ]
    return factor, gaussian, rearranged


def proofs_about_switches(rng):
    W, x = rng.normal(size=(4, 3)), rng.normal(size=4)
    pi, m = rng.uniform(0.2, 0.8, (2, 3))
    var, states = 0.7, np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T
    q = np.prod(np.where(states, m, 1 - m), axis=1)

    def log_joint(z):
        prior = np.log(np.where(z, pi, 1 - pi)).sum(-1)
        return prior + norm.logpdf(x, z @ W.T, var**0.5).sum(-1)

    def bracket(z, others):
        w = W[:, 0]
        rest = x - W[:, 1:] @ others
        return z * (np.log(pi[0] / (1 - pi[0])) + w @ rest / var - w @ w / (2 * var))

    def first(z):
        return z[0] * np.log(pi[0] / (1 - pi[0])) - ((x - W @ z) ** 2).sum() / (2 * var)

    on, off = np.array([1, 1, 0]), np.array([0, 1, 0])
    rest = states[:, 0] == 0
    weights = q[rest] / q[rest].sum()
    a = weights @ (log_joint(states[rest] + [1, 0, 0]) - log_joint(states[rest]))
    update = [
        same(log_joint(on) - log_joint(off), first(on) - first(off)),
        same(log_joint(on) - log_joint(off), bracket(1, on[1:]) - bracket(0, on[1:])),
        same(a, bracket(1, m[1:])),
        same(expit(a), np.exp(a) / (1 + np.exp(a))),
    ]
    errors = ((x - states @ W.T) ** 2).sum(1)
    d = states - m
    second = np.einsum("s,sj,sk->jk", q, d, d)
    squares = [
        same(q @ errors, ((x - W @ m) ** 2).sum() + q @ ((d @ W.T) ** 2).sum(1)) and same(q @ d, 0),
        same(q @ ((d @ W.T) ** 2).sum(1), (second * (W.T @ W)).sum()),
        same(second - np.diag(np.diag(second)), 0),
        same(np.diag(second), m - m**2, m * (1 - m)),
        ((x - W @ m) ** 2).sum() < q @ errors,
    ]
    before, after, exact = rng.uniform(0.01, 0.2, (3, 8))

    def terms(q, joint):  # ln p, L, KL
        log_p, bound = np.log(joint.sum()), (q * np.log(joint / q)).sum()
        return np.array([log_p, bound, kl(q, joint / joint.sum())])

    fitted = q * np.exp(terms(q, before)[:2].mean())  # its posterior is q
    change, fall = terms(q, after) - terms(q, before), terms(q, fitted) - terms(q, before)
    grown = terms(exact / exact.sum(), after)[2] - terms(exact / exact.sum(), exact)[2]
    may_fall = [
        same(change[0], change[1] + change[2]),
        WORDS,
        same(terms(exact / exact.sum(), exact)[2], 0) and grown >= 0,
        fall[1] > 0 > fall[0] and fall[2] < -fall[1],
    ]
    return update, squares, may_fall


def proofs_about_gradients(rng):
    m, s, b = rng.normal(), rng.uniform(0.5, 1.5), rng.normal()
    f, df = (lambda z: np.sin(z) + z**2), (lambda z: np.cos(z) + 2 * z)

    def q(z, m=m):
        return norm.pdf(z, m, s)

    def integral(g):
        return quad(g, m - 12 * s, m + 12 * s, epsabs=1e-11)[0]

    def score(z):
        return slope(lambda u: norm.logpdf(z, u, s), m)

    exact = slope(lambda u: average(f, u, s), m)
    by_score = [
        same(exact, integral(lambda z: f(z) * slope(lambda u: q(z, u), m))),
        same(slope(lambda u: q(0.3, u), m), q(0.3) * score(0.3)),
        same(exact, average(lambda z: f(z) * score(z), m, s)),
        same(average(score, m, s), 0)
        and same(exact, average(lambda z: (f(z) - b) * score(z), m, s)),
    ]
    in_s = slope(lambda u: average(f, m, u), s)
    path = [
        same(average(lambda e: m + s * e, 0, 1), m)
        and same(average(lambda e: (s * e) ** 2, 0, 1), s**2),
        same(average(f, m, s), average(lambda e: f(m + s * e), 0, 1)),
        same(exact, average(lambda e: df(m + s * e), 0, 1))
        and same(in_s, average(lambda e: df(m + s * e) * e, 0, 1)),
        same(average(lambda e: 2 * (m + s * e), 0, 1), 2 * m)
        and same(average(lambda e: 2 * (m + s * e) * e, 0, 1), 2 * s)
        and same(average(lambda z: z**2, m, s), m**2 + s**2),
    ]
    x, w, v, t = rng.normal(size=4)
    a, h = w * x, np.tanh(w * x)
    y = v * h
    back = [
        same(slope(lambda u: 0.5 * (u - t) ** 2, y), y - t),
        same(slope(lambda u: 0.5 * (u * h - t) ** 2, v), (y - t) * h),
        same(slope(lambda u: 0.5 * (v * u - t) ** 2, h), (y - t) * v),
        same(slope(lambda u: 0.5 * (v * np.tanh(u) - t) ** 2, a), (y - t) * v * (1 - h**2)),
        same(slope(lambda u: 0.5 * (v * np.tanh(u * x) - t) ** 2, w), (y - t) * v * (1 - h**2) * x),
    ]
    return by_score, path, back


def proofs_about_the_loss(rng):
    m, s = rng.normal(), rng.uniform(0.3, 2)
    log_q, log_p = average(lambda z: norm.logpdf(z, m, s), m, s), average(norm.logpdf, m, s)
    divergence = [
        WORDS,
        same(log_q, -0.5 * np.log(2 * np.pi * s**2) - 0.5),
        same(log_p, -0.5 * np.log(2 * np.pi) - 0.5 * (s**2 + m**2)),
        same(log_q - log_p, 0.5 * (s**2 + m**2 - 1 - np.log(s**2))),
        s**2 - 1 - np.log(s**2) >= 0,
    ]
    log_odds, x = rng.normal(), rng.integers(2)
    p = expit(log_odds)
    bits = [
        same(np.log(p / (1 - p)), log_odds) and same(p, np.exp(log_odds) / (1 + np.exp(log_odds))),
        same(np.log(p), log_odds - np.log(1 + np.exp(log_odds)))
        and same(np.log(1 - p), -np.log(1 + np.exp(log_odds))),
        same(np.log(p if x else 1 - p), x * log_odds - np.log(1 + np.exp(log_odds))),
        same(slope(lambda u: np.log(expit(u) if x else 1 - expit(u)), log_odds), x - p),
    ]
    image, mean, var, D = rng.uniform(size=5), rng.uniform(size=5), rng.uniform(0.1, 1), 5
    square = ((image - mean) ** 2).sum()

    def loss(v):
        return -norm.logpdf(image, mean, v**0.5).sum()

    noise = [
        same(loss(var), square / (2 * var) + D / 2 * np.log(2 * np.pi * var)),
        same(slope(loss, var), -square / (2 * var**2) + D / (2 * var)),
        summit(lambda v: -loss(v), square / D),
        same(loss(0.5) - D / 2 * np.log(np.pi), square),
    ]
    return divergence, bits, noise


def proofs_about_meaning(rng):
    R, u = ortho_group.rvs(3, random_state=rng), rng.normal(size=3)
    density = lambda z: np.prod(norm.pdf(z))  # noqa: E731
    W, x, S2 = rng.normal(size=(4, 3)), rng.normal(size=4), 0.5 * np.eye(4)

    def log_p(W):  # of a linear decoder, whose density is known
        C = W @ W.T + S2
        return -0.5 * np.linalg.slogdet(C)[1] - 0.5 * x @ np.linalg.solve(C, x)

    axes = [
        WORDS,
        same(density(R @ u), density(u)) and same(abs(np.linalg.det(R)), 1),
        same(log_p(W @ R.T), log_p(W)),
        WORDS,
    ]
    table = rng.dirichlet([1] * 6).reshape(2, 3)
    margins = np.outer(table.sum(1), table.sum(0))
    p = rng.dirichlet([2] * 3)
    both = np.diag(p)
    information = [
        same((table * (np.log(table) - np.log(margins))).sum(), kl(table, margins)),
        kl(table, margins) > 0 and same(kl(margins, np.outer(margins.sum(1), margins.sum(0))), 0),
        same(both.sum(0), p) and same(both.sum(1), p),
        same(sum(p[i] * np.log(both[i, i] / p[i] ** 2) for i in range(3)), -(p * np.log(p)).sum()),
    ]
    S, m = np.diag(rng.uniform(0.2, 2, 3)), rng.normal(size=3)
    turned = R @ S @ R.T
    prior = np.zeros(3), np.eye(3)
    kept = [
        same(np.trace(turned), np.trace(S @ R.T @ R), np.trace(S)),
        same((R @ m) @ (R @ m), m @ m),
        same(np.linalg.det(turned), np.linalg.det(S))
        and same(gaussian_kl(R @ m, turned, *prior), gaussian_kl(m, S, *prior))
        and same(gaussian_kl(m, S, *prior),
                 0.5 * (np.trace(S) + m @ m - 3 - np.linalg.slogdet(S)[1])),
        np.abs(turned - np.diag(np.diag(turned))).max() > 1e-3,
    ]  # fmt: skip
    return axes, information, kept


def proofs_about_the_gap(rng):
    joint, q = rng.uniform(0.01, 0.2, 4), rng.dirichlet([2] * 4)
    w = joint / q
    pairs, weight = (w[:, None] + w) / 2, np.outer(q, q)
    L_1, L_2 = q @ np.log(w), (weight * np.log(pairs)).sum()
    halves = 0.5 * np.log(w[:, None]) + 0.5 * np.log(w)
    samples = [
        same(q @ w, joint.sum(), (weight * pairs).sum()),
        np.log((weight * pairs).sum()) >= L_2 - 1e-12,
        (np.log(pairs) >= halves - 1e-12).all(),
        same((weight * halves).sum(), L_1) and L_2 - L_1 >= 0,
    ]
    Sigma = covariance(rng, 3)
    Lam = np.linalg.inv(Sigma)
    D, mu = np.diag(1 / np.diag(Lam)), rng.normal(size=3)
    gap = gaussian_kl(mu, D, mu, Sigma)
    trace = np.trace(np.linalg.inv(Sigma) @ D)
    log_dets = np.linalg.slogdet(Sigma)[1], np.linalg.slogdet(D)[1]
    other = np.diag(np.diag(D) * rng.uniform(0.7, 1.4, 3))
    product = [
        same(gap, 0.5 * (trace - 3 + log_dets[0] - log_dets[1]))
        and gap < gaussian_kl(mu, other, mu, Sigma),
        same(trace, 3),
        same(log_dets[0], -np.linalg.slogdet(Lam)[1])
        and same(log_dets[1], -np.log(np.diag(Lam)).sum()),
        same(gap, 0.5 * (np.log(np.diag(Lam)).sum() - np.linalg.slogdet(Lam)[1])),
    ]
    W, var = rng.normal(size=(5, 2)), 0.4
    R = np.linalg.svd(W, full_matrices=False)[2].T
    G = np.linalg.inv(np.eye(2) + (W @ R).T @ (W @ R) / var)
    C = W @ W.T + var * np.eye(5)
    linear = [
        WORDS,
        WORDS,
        same((W @ R) @ (W @ R).T, W @ W.T) and abs(G[0, 1]) < 1e-9,
        same(G @ (W @ R).T / var, (W @ R).T @ np.linalg.inv(C)),  # the regression of z on x
    ]
    return samples, product, linear


def proofs_about_sums(rng):
    a, b = rng.normal(size=5), rng.normal(2, 1, size=8)
    (n_1, m_1, S_1), (n_2, m_2, S_2) = (
        (len(v), v.mean(), ((v - v.mean()) ** 2).sum()) for v in (a, b)
    )
    both, any_m = np.append(a, b), rng.normal()
    m = both.mean()
    between = n_1 * n_2 / (n_1 + n_2) * (m_1 - m_2) ** 2
    scatter = [
        same(((a - any_m) ** 2).sum(), S_1 + n_1 * (m_1 - any_m) ** 2) and same((a - m_1).sum(), 0),
        same(m, (n_1 * m_1 + n_2 * m_2) / (n_1 + n_2)),
        same(m_1 - m, n_2 * (m_1 - m_2) / (n_1 + n_2))
        and same(m_2 - m, -n_1 * (m_1 - m_2) / (n_1 + n_2)),
        same(n_1 * (m_1 - m) ** 2 + n_2 * (m_2 - m) ** 2, between),
        same(((both - m) ** 2).sum(), S_1 + S_2 + between),
    ]
    u, s, averages = rng.normal(size=9), 0.0, []
    for t, new in enumerate(u, 1):
        s = (1 - 1 / t) * s + new / t
        averages.append(s)
    t = 6
    running = [
        same(averages[0], u[0]),
        same(averages[t - 1], (1 - 1 / t) * u[: t - 1].sum() / (t - 1) + u[t - 1] / t),
        same((1 - 1 / t) / (t - 1), 1 / t) and same(averages, np.cumsum(u) / np.arange(1, 10)),
        same(averages[-1], (u / 9).sum()),
    ]
    parts = np.split(rng.normal(size=12), [2, 7])
    n, g = np.array([len(v) for v in parts]), np.array([v.mean() for v in parts])
    equal = [v.mean() for v in np.split(np.concatenate(parts), 3)]
    gradients = [
        WORDS,
        same(np.concatenate(parts).mean(), (n * g).sum() / n.sum()),
        WORDS,
        same(np.mean(equal), np.concatenate(parts).mean())
        and not same(g.mean(), (n * g).sum() / 12),
    ]
    return scatter, running, gradients


def proofs_about_templates(rng):
    r, x, c = rng.dirichlet([1] * 2, size=9), rng.integers(2, size=(9, 3)), rng.uniform(0.2, 2)
    N_k, s = r[:, 0].sum(), r[:, 0] @ x[:, 0]

    def bound(p):  # what depends on this p
        return (r[:, 0] * np.log(np.where(x[:, 0], p, 1 - p))).sum()

    def posterior(p):
        return bound(p) + beta.logpdf(p, 1 + c, 1 + c)

    def says(p):
        return (s + c) * np.log(p) + (N_k - s + c) * np.log(1 - p)

    p, best = rng.uniform(0.2, 0.8), (s + c) / (N_k + 2 * c)
    ink = [
        same(bound(p), s * np.log(p) + (N_k - s) * np.log(1 - p)),
        same(posterior(p) - posterior(0.5), says(p) - says(0.5)),
        same(slope(posterior, p), (s + c) / p - (N_k - s + c) / (1 - p)),
        summit(posterior, best) and same((s + c) / best, (N_k - s + c) / (1 - best)),
        WORDS,
    ]
    P, pi, one = rng.uniform(0.1, 0.9, (2, 3)), rng.dirichlet([2] * 2), x[0]
    joint = pi * np.where(one, P, 1 - P).prod(axis=1)
    logs = np.log(pi) + (one * np.log(P) + (1 - one) * np.log(1 - P)).sum(1)
    pixels = one * np.log(P[0] / P[1]) + (1 - one) * np.log((1 - P[0]) / (1 - P[1]))
    sigmoid = [
        same(np.log(joint), logs),
        same(joint[0] / sum(joint), expit(logs[0] - logs[1])),
        same(np.log(pi[0] / pi[1]) + pixels.sum(), logs[0] - logs[1]),
        WORDS,
    ]
    n = r.sum(0)
    weights, other = (n + c) / (9 + 2 * c), rng.dirichlet([2] * 2)

    def of_pi(w):
        return (n * np.log(w)).sum() + np.log(np.prod(w**c))

    lam = 9 + 2 * c
    dirichlet = [
        same(of_pi(other), ((n + c) * np.log(other)).sum()),
        same((n + c) / weights, lam),
        same(lam, (n + c).sum()),
        of_pi(weights) > of_pi(other) and summit(lambda w: of_pi(np.array([w, 1 - w])), weights[0]),
    ]
    return ink, sigmoid, dirichlet


@pytest.mark.parametrize("name", DERIVE)
def test_the_lines_of_every_scheme_hold(name):
    schemes = [variant["scheme"] for variant in DERIVE[name].words["words"]]
    for seed in range(3):
        found = globals()[name.replace("-", "_")](np.random.default_rng(seed))
        for scheme, lines in zip(schemes, found, strict=True):
            assert len(lines) == len(scheme)
            for (_, line), holds in zip(scheme, lines, strict=True):
                assert holds is WORDS or holds, line


def test_few_lines_have_no_formula():
    rng = np.random.default_rng(0)
    lines = [h for n in DERIVE for some in globals()[n.replace("-", "_")](rng) for h in some]
    assert len(lines) >= 150
    assert sum(h is WORDS for h in lines) <= 20
