"""The exercises of chapter 06: variational EM."""

import numpy as np
from scipy.special import expit, logsumexp, xlogy

from lfm.checks.exercise import Exercise

binary_log_joint = Exercise(
    "binary-log-joint",
    chapter="06",
    hint="ln p(x | z) + ln p(z): D Gaussians and K coins.",
    praise="everything else in the chapter is an average of this",
)


def switches(rng):
    W, mu = rng.normal(size=(6, 3)), rng.normal(size=6)
    m, pi, var = rng.uniform(0.1, 0.9, 3), rng.uniform(0.1, 0.6, 3), float(rng.uniform(4, 9))
    return W @ (m > 0.5) + mu + rng.normal(size=6), W, mu, var, pi, m


@binary_log_joint.draw
def complete_datum(rng):
    x, W, mu, var, pi, m = switches(rng)
    return x, (m > 0.5).astype(float), W, mu, var, pi


def log_prior(z, pi):
    return (z * np.log(pi) + (1 - z) * np.log(1 - pi)).sum()


def log_normal(y, var):
    return -0.5 * (len(y) * np.log(2 * np.pi * var) + y @ y / var)


@binary_log_joint.reference
def log_joint(x, z, W, mu, var, pi):
    return log_prior(z, pi) + log_normal(x - mu - W @ z, var)


@binary_log_joint.mistake("the prior of z is missing: the joint is p(x | z) p(z)")
def prior_forgotten(x, z, W, mu, var, pi):
    return log_normal(x - mu - W @ z, var)


@binary_log_joint.mistake("a switch that is off has a probability too, 1 - π")
def off_forgotten(x, z, W, mu, var, pi):
    return z @ np.log(pi) + log_normal(x - mu - W @ z, var)


@binary_log_joint.mistake("the normaliser ½ ln 2πσ² counts once for each of the D dimensions")
def normalised_once(x, z, W, mu, var, pi):
    return log_joint(x, z, W, mu, var, pi) + 0.5 * (len(x) - 1) * np.log(2 * np.pi * var)


@binary_log_joint.mistake("x is around μ + Wz: μ is missing")
def mean_forgotten(x, z, W, mu, var, pi):
    return log_joint(x, z, W, 0 * mu, var, pi)


@binary_log_joint.mistake("`var` is the variance σ² already")
def variance_squared(x, z, W, mu, var, pi):
    return log_joint(x, z, W, mu, var**2, pi)


@binary_log_joint.mistake("a ½ is missing: the square has it too, -½‖x - μ - Wz‖²/σ²")
def half_of_the_square_forgotten(x, z, W, mu, var, pi):
    y = x - mu - W @ z
    return log_joint(x, z, W, mu, var, pi) - 0.5 * y @ y / var


@binary_log_joint.mistake("a ½ is missing: ln N is -½(D ln 2πσ² + ‖x - μ - Wz‖²/σ²)")
def half_forgotten(x, z, W, mu, var, pi):
    return log_prior(z, pi) + 2 * log_normal(x - mu - W @ z, var)


@binary_log_joint.mistake(
    "the normaliser of the Gaussians is missing: -½ ln 2πσ² for each dimension"
)
def normaliser_forgotten(x, z, W, mu, var, pi):
    return log_joint(x, z, W, mu, var, pi) + 0.5 * len(x) * np.log(2 * np.pi * var)


@binary_log_joint.mistake("2π is missing: the normaliser is -½ ln 2πσ² for each dimension")
def two_pi_forgotten(x, z, W, mu, var, pi):
    return log_joint(x, z, W, mu, var, pi) + 0.5 * len(x) * np.log(2 * np.pi)


@binary_log_joint.mistake("a ½ is missing: the normaliser has it too, -½ ln 2πσ²")
def half_of_the_normaliser_forgotten(x, z, W, mu, var, pi):
    return log_joint(x, z, W, mu, var, pi) - 0.5 * len(x) * np.log(2 * np.pi * var)


@binary_log_joint.mistake("the square is not divided by σ²")
def square_undivided(x, z, W, mu, var, pi):
    y = x - mu - W @ z
    return log_joint(x, z, W, mu, var, pi) + 0.5 * y @ y * (1 / var - 1)


@binary_log_joint.mistake("the prior is turned round: π is the probability of on, 1 - π of off")
def prior_turned_round(x, z, W, mu, var, pi):
    return log_joint(x, z, W, mu, var, 1 - pi)


@binary_log_joint.mistake("this is the density; wanted is its log")
def density(x, z, W, mu, var, pi):
    return np.exp(log_joint(x, z, W, mu, var, pi))


binary_update = Exercise(
    "binary-update",
    chapter="06",
    hint="Collect the terms with z_k in ln p(x, z), with z_k² = z_k, and put m_j for the others.",
    praise="the whole inference of the chapter, one switch at a time",
)


@binary_update.draw
def switches_and_one_of_them(rng):
    return (*switches(rng), int(rng.integers(3)))


def log_odds(x, W, mu, var, pi, m, k, *, length=0.5, others=True):
    rest = x - mu - W @ m + (W[:, k] * m[k] if others else 0)
    return np.log(pi[k] / (1 - pi[k])) + (W[:, k] @ rest - length * W[:, k] @ W[:, k]) / var


@binary_update.reference
def probability_of_on(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, m, k))


@binary_update.mistake("‖w‖²/2σ² is missing: without it every switch is too ready to go on")
def length_forgotten(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, m, k, length=0.0))


@binary_update.mistake("the switch explains itself away: leave k out of what the others explain")
def itself_explained_away(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, m, k, others=False))


@binary_update.mistake("half of ‖w‖²/σ²: it comes from the square of x - μ - Wz")
def whole_length(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, m, k, length=1.0))


@binary_update.mistake("this is the log odds; the probability is its sigmoid")
def log_odds_alone(x, W, mu, var, pi, m, k):
    return log_odds(x, W, mu, var, pi, m, k)


@binary_update.mistake("the prior enters by its log odds, ln π - ln(1 - π)")
def log_pi_alone(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, m, k) + np.log(1 - pi[k]))


@binary_update.mistake("the prior is missing: its log odds are where the sum begins")
def prior_without_a_say(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, 0 * pi + 0.5, m, k))


@binary_update.mistake("μ is missing: it is subtracted from x, as what the others explain is")
def mean_not_subtracted(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, 0 * mu, var, pi, m, k))


@binary_update.mistake("divide by the variance σ², which `var` is, and not by σ")
def deviation_for_variance(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, np.sqrt(var), pi, m, k))


@binary_update.mistake("the fit and ‖w‖²/2 are in units of the noise: divide both by σ²")
def undivided(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, 1.0, pi, m, k))


@binary_update.mistake("the others are missing: subtract Σ m_j w_j over j ≠ k from x - μ")
def others_forgotten(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, 0 * m, k))


@binary_update.mistake("‖w‖²/2σ² has the wrong sign: a long column needs a good fit to go on")
def length_added(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, m, k, length=-0.5))


@binary_update.mistake("these are the odds; the probability is odds / (1 + odds)")
def odds_alone(x, W, mu, var, pi, m, k):
    return np.exp(log_odds(x, W, mu, var, pi, m, k))


@binary_update.mistake("this is the probability of off")
def probability_of_off(x, W, mu, var, pi, m, k):
    return 1 - probability_of_on(x, W, mu, var, pi, m, k)


@binary_update.mistake("this is all or nothing; m_k is a probability")
def all_or_nothing(x, W, mu, var, pi, m, k):
    return float(probability_of_on(x, W, mu, var, pi, m, k) > 0.5)


@binary_update.mistake("the others enter by their means m_j; they were rounded to on or off")
def others_rounded(x, W, mu, var, pi, m, k):
    return expit(log_odds(x, W, mu, var, pi, np.round(m), k))


second_moment = Exercise(
    "second-moment",
    chapter="06",
    hint="E[z_j z_k] = m_j m_k for j ≠ k. And z_k² = z_k.",
    praise="all that learning needs to know about q, beside m",
)


@second_moment.draw
def probabilities(rng):
    return (rng.uniform(size=(12, 3)),)


@second_moment.reference
def sum_of_second_moments(m):
    return m.T @ m + np.diag((m * (1 - m)).sum(axis=0))


@second_moment.mistake("m(1 - m) is missing: the switches are treated as known")
def switches_known(m):
    return m.T @ m


@second_moment.mistake("the diagonal is counted twice: it is Σ m, and m² is in mᵀm already")
def diagonal_twice(m):
    return m.T @ m + np.diag(m.sum(axis=0))


@second_moment.mistake("this is the sum of the covariances; E[zzᵀ] has E[z]E[z]ᵀ besides")
def covariances_alone(m):
    return np.diag((m * (1 - m)).sum(axis=0))


@second_moment.mistake("the variances are of single switches: sum m(1 - m) over the data")
def variance_of_the_mean(m):
    return m.T @ m + np.diag(m.mean(axis=0) * (1 - m.mean(axis=0)))


@second_moment.mistake("the sum over the data is wanted: do not divide it by N")
def mean_over_the_data(m):
    return sum_of_second_moments(m) / len(m)


@second_moment.mistake("the diagonal is right; off it E[z_j z_k] = m_j m_k is missing")
def diagonal_alone(m):
    return np.diag(m.sum(axis=0))


@second_moment.mistake("sum the products over the data; this is the product of the sums")
def product_of_sums(m):
    return np.outer(m.sum(axis=0), m.sum(axis=0))


@second_moment.mistake("m(1 - m) is averaged over the data; like mᵀm it is a sum")
def variances_averaged(m):
    return m.T @ m + np.diag((m * (1 - m)).mean(axis=0))


@second_moment.mistake("m(1 - m) is added everywhere; only z_k with itself varies more")
def variances_everywhere(m):
    return m.T @ m + (m * (1 - m)).sum(axis=0)


@second_moment.mistake("the switches are rounded to on or off; they are on with probability m")
def switches_rounded(m):
    return np.round(m).T @ np.round(m)


binary_bound = Exercise(
    "binary-bound",
    chapter="06",
    hint="E[ln p(x | z)] - KL(q(z) ‖ p(z)); the first needs E[zzᵀ], the second is K coins.",
    praise="below ln p(x) whatever m is",
)

binary_bound.draw(switches)


def bound_with(x, W, mu, var, pi, m, *, spread=1.0, sign=1.0):
    variance = spread * (m * (1 - m)) @ np.square(W).sum(axis=0)
    entropy = -log_prior(m, m)
    return (
        log_normal(x - mu - W @ m, var) - 0.5 * variance / var + log_prior(m, pi) + sign * entropy
    )


@binary_bound.reference
def bound_of_switches(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m)


@binary_bound.mistake("E‖x - μ - Wz‖² is more than the square at E[z]: add Σ m(1 - m)‖w‖²")
def spread_forgotten(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m, spread=0.0)


@binary_bound.mistake("the entropy has the wrong sign: the bound rises with it")
def entropy_subtracted(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m, sign=-1.0)


@binary_bound.mistake("the entropy of q is missing: the divergence is E[ln q] - E[ln p(z)]")
def entropy_forgotten(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m, sign=0.0)


@binary_bound.mistake("x is around μ + Wz: μ is missing")
def mean_left_out(x, W, mu, var, pi, m):
    return bound_with(x, W, 0 * mu, var, pi, m)


@binary_bound.mistake("`var` is the variance σ² already, so nothing is to be squared")
def variance_squared_again(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var**2, pi, m)


@binary_bound.mistake("the divergence has the wrong sign: L is the expected fit minus KL")
def divergence_added(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m) + 2 * (log_prior(m, m) - log_prior(m, pi))


@binary_bound.mistake("the variance of a switch is m(1 - m), not m")
def mean_for_variance(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m) - 0.5 * m**2 @ np.square(W).sum(axis=0) / var


@binary_bound.mistake("the normaliser ½ ln 2πσ² counts once for each of the D dimensions")
def bound_normalised_once(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m) + 0.5 * (len(x) - 1) * np.log(2 * np.pi * var)


@binary_bound.mistake("a ½ is missing: the spread Σ m(1 - m)‖w‖² is part of -½ E‖x - μ - Wz‖²/σ²")
def spread_without_half(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m, spread=2.0)


@binary_bound.mistake("the spread Σ m(1 - m)‖w‖² is not divided by σ²")
def spread_undivided(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m, spread=var)


@binary_bound.mistake("the spread has the wrong sign: where z is not sure, the fit is worse")
def spread_turned(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m, spread=-1.0)


@binary_bound.mistake("the divergence of q from the prior is missing: this is E[ln p(x | z)] alone")
def divergence_forgotten(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m) + log_prior(m, m) - log_prior(m, pi)


@binary_bound.mistake("the normaliser of the Gaussians is missing: -½ ln 2πσ² for each dimension")
def bound_without_normaliser(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m) + 0.5 * len(x) * np.log(2 * np.pi * var)


@binary_bound.mistake("the divergence is that of p from q; wanted is KL(q(z) ‖ p(z))")
def divergence_turned(x, W, mu, var, pi, m):
    of_q = log_prior(m, m) - log_prior(m, pi)
    return bound_with(x, W, mu, var, pi, m) + of_q - (log_prior(pi, pi) - log_prior(pi, m))


@binary_bound.mistake("the divergence lacks the switches that are off, (1 - m) ln((1 - m)/(1 - π))")
def divergence_of_those_on(x, W, mu, var, pi, m):
    return bound_with(x, W, mu, var, pi, m) + (1 - m) @ np.log((1 - m) / (1 - pi))


best_product = Exercise(
    "best-product",
    chapter="06",
    hint="Coordinate ascent from several starts, each until it settles; keep the highest bound.",
    praise="the optimiser's gap is closed; what is left to ln p(x) is the family's",
)

NAMED = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


@best_product.draw
def a_datum_that_deceives(rng):
    first = rng.random() < 0.5  # which of the two is on; the start that deceives goes with it
    slow = rng.random() < 0.35  # ascent hardly moves between two hills that have just merged
    while True:  # until a start or five sweeps fall short
        W = np.array([[1.0, 0.5], [0.5, 1.0], [1.0, 1.0]]) + 0.1 * rng.normal(size=(3, 2))
        mu, pi, var = rng.normal(size=3), rng.uniform(0.2, 0.45, 2), float(rng.uniform(0.15, 0.3))
        x = W @ ([1.0, 0.0] if first else [0.0, 1.0]) + mu + np.sqrt(var) * rng.normal(size=3)
        given = x, W, mu, (2 * var if slow else var), pi
        single = from_on(*given) if first else from_prior(*given)
        short = five_sweeps(*given) + 2e-5 if slow else single + 0.02
        short = max(short, one_sweep(*given) + 1e-4, best_state(*given) + 0.02)
        if short < highest(*given) < exact(*given) - 0.02:
            return given


def bound_at(x, W, mu, var, pi, m):
    """Return L of each of several products (S, 2), shape (S,)."""
    squares = np.square(x - mu - m @ W.T).sum(axis=1) + (m * (1 - m)) @ np.square(W).sum(axis=0)
    kl = (xlogy(m, m / pi) + xlogy(1 - m, (1 - m) / (1 - pi))).sum(axis=1)
    return -0.5 * (len(x) * np.log(2 * np.pi * var) + squares / var) - kl


def ascended(x, W, mu, var, pi, starts, *, sweeps=500):
    m = np.array(starts, dtype=float)
    for _ in range(sweeps):
        old = m.copy()
        for k in (0, 1):
            rest = x - mu - np.outer(m[:, 1 - k], W[:, 1 - k])
            a = np.log(pi[k] / (1 - pi[k])) + (rest @ W[:, k] - W[:, k] @ W[:, k] / 2) / var
            m[:, k] = expit(a)
        if np.abs(m - old).max() < 1e-12:
            break
    return float(bound_at(x, W, mu, var, pi, m).max())


@best_product.reference
def highest(x, W, mu, var, pi):
    grid = np.linspace(0, 1, 21)
    return ascended(x, W, mu, var, pi, np.column_stack([grid, 1 - grid]))


@best_product.mistake("a single start: it ends at the lower of two maxima; try others")
def from_prior(x, W, mu, var, pi):
    return ascended(x, W, mu, var, pi, pi[None])


@best_product.mistake("a single start, with z_2 on: there are data for which another ends higher")
def from_on(x, W, mu, var, pi):
    return ascended(x, W, mu, var, pi, NAMED[1:2])


@best_product.mistake("a single start, z_2 first: the order only decides which data go wrong")
def second_first(x, W, mu, var, pi):
    return ascended(x, W[:, ::-1], mu, var, pi[::-1], pi[None, ::-1])


@best_product.mistake("the lowest of several ends: all are below ln p(x), so keep the highest")
def lowest_end(x, W, mu, var, pi):
    return min(ascended(x, W, mu, var, pi, start[None]) for start in NAMED)


@best_product.mistake("one sweep from each start is not enough: sweep until nothing moves")
def one_sweep(x, W, mu, var, pi):
    return ascended(x, W, mu, var, pi, NAMED, sweeps=1)


@best_product.mistake("five sweeps do not settle for all data: sweep until nothing moves")
def five_sweeps(x, W, mu, var, pi):
    return ascended(x, W, mu, var, pi, NAMED, sweeps=5)


@best_product.mistake("a q that is certain of its state is a product too, but not the best one")
def best_state(x, W, mu, var, pi):
    return float(bound_at(x, W, mu, var, pi, NAMED).max())


@best_product.mistake("this is ln p(x), from all four states: no product reaches it here")
def exact(x, W, mu, var, pi):
    return float(logsumexp(bound_at(x, W, mu, var, pi, NAMED)))


for n_steps in (100, 50, 20, 10):

    @best_product.mistake(
        f"a grid with steps of {1 / n_steps:g} is too coarse; let ascent go on from its best point"
    )
    def on_a_grid(x, W, mu, var, pi, n=n_steps):
        grid = np.linspace(0, 1, n + 1)
        m = np.array(np.meshgrid(grid, grid)).reshape(2, -1).T
        return float(bound_at(x, W, mu, var, pi, m).max())
