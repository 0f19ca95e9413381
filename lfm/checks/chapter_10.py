"""The exercises of chapter 10: closing the gap."""

import numpy as np
from scipy.special import logsumexp

from lfm.checks.exercise import Exercise

importance_bound = Exercise(
    "importance-bound",
    chapter="10",
    hint="ln (1/S) Σ exp(log_w), by log-sum-exp over samples.",
    praise="nearer to ln p(x) with every sample, and never above it on average",
)


@importance_bound.draw
def log_weights(rng):
    log_w = rng.normal(-800, 2, size=(6, 4))
    log_w[:, 1] -= 2000  # a datum that is far less probable than the others
    log_w[:, 2] = rng.normal(-5000, 800, size=6)  # weights that lie far apart
    return (rng.permutation(log_w, axis=1),)


@importance_bound.reference
def log_of_the_mean(log_w):
    return logsumexp(log_w, axis=0) - np.log(len(log_w))


@importance_bound.mistake("this is the mean of the logs, L; the mean comes before the log")
def mean_of_the_logs(log_w):
    return log_w.mean(axis=0)


@importance_bound.mistake("-ln S is missing: it is the mean of the weights, not their sum")
def log_of_the_sum(log_w):
    return logsumexp(log_w, axis=0)


@importance_bound.mistake("the weights underflow to 0: take the largest out first")
def plain_exponentials(log_w):
    return np.log(np.exp(log_w).mean(axis=0))


@importance_bound.mistake("one largest weight for all data: each datum needs its own")
def one_maximum_for_all(log_w):
    return log_w.max() + np.log(np.exp(log_w - log_w.max()).mean(axis=0))


@importance_bound.mistake("take out the largest log weight, not the average one: exp overflows")
def average_taken_out(log_w):
    m = log_w.mean(axis=0)
    return m + np.log(np.exp(log_w - m).mean(axis=0))


@importance_bound.mistake("averaged over data; the samples are the rows")
def mean_over_data(log_w):
    return logsumexp(log_w, axis=1) - np.log(log_w.shape[1])


@importance_bound.mistake("the largest log weight was taken out; add it back after the log")
def largest_not_added(log_w):
    return log_of_the_mean(log_w) - log_w.max(axis=0)


@importance_bound.mistake("this is the largest log weight; the others count as well, and so does S")
def largest_alone(log_w):
    return log_w.max(axis=0)


@importance_bound.mistake("a number inside the log hides that the weights underflow to 0")
def tiny_number_inside(log_w):
    return np.log(np.exp(log_w).mean(axis=0) + 1e-300)


@importance_bound.mistake("-∞ was replaced by another number; take the largest out before exp")
def infinity_replaced(log_w):
    return np.nan_to_num(np.log(np.exp(log_w).mean(axis=0)))


@importance_bound.mistake("the samples are S, the rows: divided by the number of data, N")
def divided_by_the_data(log_w):
    return logsumexp(log_w, axis=0) - np.log(log_w.shape[1])


@importance_bound.mistake("ln S has the wrong sign: a mean is the sum divided by S")
def sum_times_samples(log_w):
    return logsumexp(log_w, axis=0) + np.log(len(log_w))


@importance_bound.mistake("the log of the sum is divided by S; divide inside the log")
def divided_outside(log_w):
    return logsumexp(log_w, axis=0) / len(log_w)


@importance_bound.mistake("the first or smallest log weight was taken out; others overflow")
def smallest_taken_out(log_w):
    m = log_w.min(axis=0)
    return m + np.log(np.exp(log_w - m).mean(axis=0))


product_gap = Exercise(
    "product-gap",
    chapter="10",
    hint="The best product has precisions P_kk: compare the entropies, the means agree.",
    praise="zero only where the precision is diagonal",
)


@product_gap.draw
def precision_matrix(rng):
    size, scale = ((2, 1.0), (3, 1.0), (120, 1e4))[rng.integers(3)]  # the last overflows
    a = rng.normal(size=(size, size)) / np.sqrt(size / 3)
    return (scale * (np.eye(size) + a.T @ a),)


@product_gap.reference
def entropy_missing(precision):
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


@product_gap.mistake("the sign: a gap is never negative (Hadamard: |P| is at most Π P_kk)")
def negative_gap(precision):
    return -entropy_missing(precision)


@product_gap.mistake("the half is missing: entropies of Gaussians have ½ ln")
def twice_the_gap(precision):
    return 2 * entropy_missing(precision)


@product_gap.mistake("this is the gap of the product of the marginals, of KL(p ‖ q)")
def gap_of_the_marginals(precision):
    return entropy_missing(np.linalg.inv(precision))


@product_gap.mistake("the best product has the variances 1/P_kk, not the exact marginal ones")
def marginals_as_q(precision):
    marginal = np.diag(np.linalg.inv(precision))
    log_dets = np.log(marginal).sum() + np.linalg.slogdet(precision)[1]
    return 0.5 * (np.diag(precision) @ marginal - len(precision) - log_dets)


@product_gap.mistake("the determinant of a large matrix is no float: ask for its logarithm")
def log_of_the_determinant(precision):
    return 0.5 * (np.log(np.diag(precision)).sum() - np.log(np.linalg.det(precision)))


@product_gap.mistake("`slogdet` returns sign and logarithm; this took the sign")
def sign_of_the_determinant(precision):
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[0])


@product_gap.mistake("this has the log of the sum of the P_kk; wanted is the sum of their logs")
def log_of_the_diagonals_sum(precision):
    return 0.5 * (np.log(np.diag(precision).sum()) - np.linalg.slogdet(precision)[1])


@product_gap.mistake("½ ln|P| is missing: compare with the exact posterior")
def determinant_forgotten(precision):
    return 0.5 * np.log(np.diag(precision)).sum()


@product_gap.mistake("the P_kk are missing: this is ½ ln|P| alone")
def diagonal_forgotten(precision):
    return 0.5 * np.linalg.slogdet(precision)[1]


@product_gap.mistake("the gap is a sum over the factors, not their mean")
def mean_over_the_factors(precision):
    return entropy_missing(precision) / len(precision)


collapsed_columns = Exercise(
    "collapsed-columns",
    chapter="10",
    hint="W = U (Λ - σ²I)^½, and nothing where that has no root.",
    praise="collapse at the maximum of the likelihood itself",
)


@collapsed_columns.draw
def eigenvalues_and_noise(rng):
    lam = rng.exponential(1, size=6)  # in any order, some below the noise and some above
    return lam, float(np.median(lam) * rng.uniform(0.9, 1.1))


@collapsed_columns.reference
def squared_lengths(lam, var):
    return np.maximum(lam - var, 0.0)


@collapsed_columns.mistake("these are the lengths; their squares are asked for")
def lengths(lam, var):
    return np.sqrt(np.maximum(lam - var, 0.0))


@collapsed_columns.mistake(
    "a squared length is not negative: below σ² the column is 0, a dead factor"
)
def negative_squares(lam, var):
    return lam - var


@collapsed_columns.mistake("σ² explains its share of each direction: subtract it")
def noise_not_subtracted(lam, var):
    return np.where(lam > var, lam, 0.0)


@collapsed_columns.mistake("a direction below σ² has no column; |λ - σ²| gives it one")
def distances(lam, var):
    return np.abs(lam - var)


@collapsed_columns.mistake("the order has changed: column k belongs to direction k of `lam`")
def sorted_columns(lam, var):
    return np.sort(np.maximum(lam - var, 0.0))[::-1]


@collapsed_columns.mistake("`var` is the variance σ² already; it was squared")
def noise_squared(lam, var):
    return np.maximum(lam - var**2, 0.0)


@collapsed_columns.mistake("`var` is the variance σ²; its root was subtracted")
def noise_deviation(lam, var):
    return np.maximum(lam - np.sqrt(var), 0.0)


@collapsed_columns.mistake("this is the share 1 - σ²/λ; the squared length is λ - σ²")
def shares(lam, var):
    return np.maximum(1 - var / lam, 0.0)


@collapsed_columns.mistake("this is λ/σ² - 1, in units of the noise; wanted is λ - σ²")
def in_units_of_the_noise(lam, var):
    return np.maximum(lam / var - 1, 0.0)


@collapsed_columns.mistake("the order has changed, to rising lengths: keep that of `lam`")
def sorted_upwards(lam, var):
    return np.sort(np.maximum(lam - var, 0.0))


@collapsed_columns.mistake("turned round: λ - σ², and 0 where it is negative")
def noise_less_variance(lam, var):
    return np.maximum(var - lam, 0.0)


refine_q = Exercise(
    "refine-q",
    chapter="10",
    hint="With P = I + WᵀW/σ²: L is ln p(x) minus KL(q ‖ p(z | x)), and P is in all of it.",
    praise="the family's gap stays where it is, and steps close the other",
)


@refine_q.draw
def datum_and_start(rng):
    k = int(rng.integers(2, 4))
    W, mu, x = rng.normal(size=(5, k)), rng.normal(size=5), rng.normal(size=5)
    var = float(rng.uniform(0.5, 2))
    P = np.eye(k) + W.T @ W / var
    log_s = rng.normal(-0.3, 0.3, size=k) - 0.5 * np.log(np.diag(P))
    rate = float(rng.uniform(0.2, 0.5) / np.linalg.eigvalsh(P)[-1])
    return x, W, mu, var, rng.normal(size=k), log_s, rate, int(rng.integers(4, 8))


def _up(x, W, mu, var, m, log_s):
    """Return the slopes of L in m and in ln s."""
    curved = 1 + np.square(W).sum(axis=0) / var
    return W.T @ (x - mu - W @ m) / var - m, 1 - curved * np.exp(2 * log_s)


def _walk(x, W, mu, var, m, log_s, rate, steps, slopes=_up):
    """Return both gaps along the way of other slopes."""
    P = np.eye(W.shape[1]) + W.T @ W / var
    best, log_det = np.linalg.solve(P, W.T @ (x - mu) / var), np.linalg.slogdet(P)[1]
    family = 0.5 * (np.log(np.diag(P)).sum() - log_det)
    rows = []
    for _ in range(steps + 1):
        off = m - best
        divergence = np.diag(P) @ np.exp(2 * log_s) + off @ P @ off - len(m)
        total = 0.5 * (divergence - log_det) - log_s.sum()
        rows.append((family, total - family))
        in_m, in_log_s = slopes(x, W, mu, var, m, log_s)
        m, log_s = m + rate * in_m, log_s + rate * in_log_s
    return np.array(rows)


@refine_q.reference
def gaps_along_the_way(x, W, mu, var, m, log_s, rate, steps):
    return _walk(x, W, mu, var, m, log_s, rate, steps)


@refine_q.mistake("column 1 holds the whole gap: take the family's part away from it")
def whole_gap(x, W, mu, var, m, log_s, rate, steps):
    found = _walk(x, W, mu, var, m, log_s, rate, steps)
    return np.stack([found[:, 0], found.sum(axis=1)], axis=1)


@refine_q.mistake("these steps lead down: the second gap grows")
def down(x, W, mu, var, m, log_s, rate, steps):
    return _walk(x, W, mu, var, m, log_s, -rate, steps)


@refine_q.mistake("this is the slope in s; in ln s it is s times that, by the chain rule")
def slope_in_s(x, W, mu, var, m, log_s, rate, steps):
    def slopes(*at):
        in_m, in_log_s = _up(*at)
        return in_m, in_log_s * np.exp(-at[-1])

    return _walk(x, W, mu, var, m, log_s, rate, steps, slopes)


@refine_q.mistake("m lacks the pull of the prior, which is -m")
def no_prior_in_m(x, W, mu, var, m, log_s, rate, steps):
    def slopes(*at):
        in_m, in_log_s = _up(*at)
        return in_m + at[-2], in_log_s

    return _walk(x, W, mu, var, m, log_s, rate, steps, slopes)


@refine_q.mistake("ln s lacks the pull of the prior: P_kk holds a 1 beside ‖w_k‖²/σ²")
def no_prior_in_s(x, W, mu, var, m, log_s, rate, steps):
    def slopes(*at):
        in_m, in_log_s = _up(*at)
        return in_m, in_log_s + np.exp(2 * at[-1])

    return _walk(x, W, mu, var, m, log_s, rate, steps, slopes)


@refine_q.mistake("s is in E‖x - Wz - μ‖² too, as Σ s_k² ‖w_k‖²: its slope lacks that")
def decoder_without_s(x, W, mu, var, m, log_s, rate, steps):
    def slopes(*at):
        return _up(*at)[0], 1 - np.exp(2 * at[-1])

    return _walk(x, W, mu, var, m, log_s, rate, steps, slopes)


@refine_q.mistake("`log_s` holds ln s of the standard deviation s; you took it for ln s²")
def log_variance(x, W, mu, var, m, log_s, rate, steps):
    return _walk(x, W, mu, var, m, log_s / 2, rate, steps)


@refine_q.mistake("the best product has the variances 1/P_kk, not the exact marginal ones")
def best_of_the_marginals(x, W, mu, var, m, log_s, rate, steps):
    found = _walk(x, W, mu, var, m, log_s, rate, steps)
    P = np.eye(W.shape[1]) + W.T @ W / var
    marginal = np.diag(np.linalg.inv(P))
    log_det = np.linalg.slogdet(P)[1]
    family = 0.5 * (np.diag(P) @ marginal - len(P) - np.log(marginal).sum() - log_det)
    return np.stack([np.full(len(found), family), found.sum(axis=1) - family], axis=1)


@refine_q.mistake("the columns are exchanged: column 0 is the gap of the family")
def columns_exchanged(x, W, mu, var, m, log_s, rate, steps):
    return _walk(x, W, mu, var, m, log_s, rate, steps)[:, ::-1]


@refine_q.mistake("the entropy of q is missing in the slope of ln s: it is +1")
def no_entropy(x, W, mu, var, m, log_s, rate, steps):
    def slopes(*at):
        in_m, in_log_s = _up(*at)
        return in_m, in_log_s - 1

    return _walk(x, W, mu, var, m, log_s, rate, steps, slopes)


@refine_q.mistake("the slope of s² in ln s is 2s², and the ½ of L halves it: P_kk s², not P_kk s")
def deviation_for_variance(x, W, mu, var, m, log_s, rate, steps):
    def slopes(*at):
        in_m, in_log_s = _up(*at)
        return in_m, 1 - (1 - in_log_s) * np.exp(-at[-1])

    return _walk(x, W, mu, var, m, log_s, rate, steps, slopes)


@refine_q.mistake("`mu` is missing in the slope of m: it is subtracted from x")
def mean_forgotten(x, W, mu, var, m, log_s, rate, steps):
    def slopes(*at):
        in_m, in_log_s = _up(*at)
        return in_m + W.T @ mu / var, in_log_s

    return _walk(x, W, mu, var, m, log_s, rate, steps, slopes)


@refine_q.mistake("only m was moved; ln s moves at the same time")
def means_alone(x, W, mu, var, m, log_s, rate, steps):
    return _walk(x, W, mu, var, m, log_s, rate, steps, lambda *at: (_up(*at)[0], np.zeros(len(m))))
