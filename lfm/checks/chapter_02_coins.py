"""The exercises of chapter 02, continued: the loop of the coins, and Fisher's identity."""

from itertools import pairwise

import numpy as np
from scipy.special import logsumexp, softmax, xlogy
from scipy.stats import binom

from lfm.checks.chapter_02 import (
    ITERATIONS,
    all_or_nothing,
    bells,
    log_lik,
    ratio_of_densities,
    ratio_or_zero,
    responsibility,
    weighted_mean,
)
from lfm.checks.exercise import Exercise
from lfm.toy import TwoBells

loop_of_coins = Exercise(
    "loop-of-coins",
    chapter="02",
    hint="In each of the 20 rounds: ln p(x, z) (N, 3), L, r; then π and ρ from r, not clipped.",
    praise="the same loop, another model: only the two steps had to be written",
)


@loop_of_coins.draw
def coins(rng):
    # 4096: rows lie thousands of nats down. A power of two, so that 1 is reached without rounding.
    rho, start = np.array([0.02, 0.5, 0.85]), np.array([0.4, 0.5, 0.6])
    flips, edge, alone = int(rng.choice([16, 32, 4096])), int(rng.integers(3)), rng.integers(4) == 0
    flips, pi = 16 if alone else flips, rng.dirichlet([5.0, 5.0, 5.0])
    heads = rng.binomial(flips, rho[rng.choice(3, size=1 if alone else 30)])
    heads, start = np.minimum(heads, flips - 1), start + rng.uniform(-0.04, 0.04, 3)
    if edge < 2:  # a coin that shows tails alone, or heads alone
        heads[0], start[2 * edge] = flips * edge, edge
    return heads, flips, pi, start[::-1] if rng.integers(3) else start


@loop_of_coins.reference
def trace_of_coins(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho)


@loop_of_coins.mistake("π is never learned: it is the mean of the responsibilities over the data")
def weights_kept(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, keep_pi=True)


@loop_of_coins.mistake(
    "π is missing from the posterior: the joint is π times the binomial, and r is its share"
)
def prior_not_in_posterior(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, prior=False)


@loop_of_coins.mistake("π is missing from ln p(x, z), and so from r and from L")
def prior_nowhere(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, prior=False, log_pi=lambda pi: np.zeros(3))


@loop_of_coins.mistake("π is the sum of the responsibilities over the data; divide it by N")
def weights_not_divided(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, count=lambda r: r.sum(axis=0))


@loop_of_coins.mistake("each ρ is `flips` times too large: divide by the flips, not by the draws")
def flips_forgotten(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, share=lambda r: heads @ r / r.sum(axis=0))


@loop_of_coins.mistake(
    "each ρ is divided by the flips of all data, m N, and not by those of coin k"
)
def divided_by_all(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, share=lambda r: heads @ r / (flips * len(heads)))


@loop_of_coins.mistake(
    "the row is that after learning; wanted are the π and ρ that inference has just used, and L"
)
def row_too_late(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, n=ITERATIONS + 1)[1:]


@loop_of_coins.mistake("π and ρ move in the first row only: inference belongs inside the loop")
def posterior_once(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, renew=False)


@loop_of_coins.mistake("the binomial coefficient is missing from L (it cancels in r, but not here)")
def coefficient_forgotten(heads, flips, pi, rho):
    found = _coins(heads, flips, pi, rho)
    found[:, 6] -= _coefficient(heads, flips).sum()
    return found


@loop_of_coins.mistake("the entropy of q is missing from L: this is E_q[ln p(x, z)] alone")
def coins_without_entropy(heads, flips, pi, rho):
    found = _coins(heads, flips, pi, rho)
    for row in found:
        r = softmax(_joint(heads, flips, row), axis=1)
        row[6] += xlogy(r, r).sum()
    return found


@loop_of_coins.mistake(
    "with many flips all three joints of a datum underflow to 0, and the binomial coefficient "
    "overflows: take ln p(x, z) from `binom.logpmf`, and each row's largest out before exp"
)
def coins_by_plain_exponentials(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, plain=True)


@loop_of_coins.mistake(
    "an r can be 0, and then r · ln r is 0 · ln 0, which the computer calls NaN; the term is 0"
)
def coins_zero_times_log_of_zero(heads, flips, pi, rho):
    found = _coins(heads, flips, pi, rho)
    for row in found:
        table = _joint(heads, flips, row)
        r = softmax(table, axis=1)
        row[6] = (r * (table - np.log(r))).sum()
    return found


@loop_of_coins.mistake(
    "a ρ can become 0 or 1, and then x ln ρ is 0 · ln 0, which the computer calls NaN; the term is "
    "0, as `xlogy` and `binom.logpmf` know"
)
def coins_at_the_edge(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, log_p=_without_xlogy)


@loop_of_coins.mistake("each r is all or nothing; inference takes the posterior, a probability")
def coins_by_hard_choice(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, hard=True)


@loop_of_coins.mistake("each ρ stands before each π; the π come first")
def rho_before_pi(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho)[:, [3, 4, 5, 0, 1, 2, 6]]


@loop_of_coins.mistake("L is that after learning; wanted is the one after inference")
def coins_bound_after_learning(heads, flips, pi, rho):
    found = _coins(heads, flips, pi, rho, n=ITERATIONS + 1)
    for row, new in pairwise(found):
        r = softmax(_joint(heads, flips, row), axis=1)
        table = np.where(r > 0, _joint(heads, flips, new), 0)
        row[6] = (r * table - xlogy(r, r)).sum()
    return found[:-1]


@loop_of_coins.mistake("the entropy is subtracted; the bound is E_q[ln p(x, z)] + H[q]")
def coins_entropy_subtracted(heads, flips, pi, rho):
    return 2 * coins_without_entropy(heads, flips, pi, rho) - _coins(heads, flips, pi, rho)


@loop_of_coins.mistake(
    "r is computed anew between π and ρ; one learning step takes both from the same r"
)
def renewed_in_between(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, again=True)


@loop_of_coins.mistake(
    "each ρ is kept away from 0 and 1; a ρ that is 0 stays 0, but one of a billionth can grow"
)
def kept_from_the_edge(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, log_p=_clipped)


ONE_IS_SAFE = (
    "only one of the two terms is safe: x ln ρ is 0 · ln 0 for ρ = 0, (m - x) ln(1 - ρ) for ρ = 1; "
)


@loop_of_coins.mistake(ONE_IS_SAFE + "here the first is NaN")
def coins_at_the_edge_0(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, log_p=_safe_at_1)


@loop_of_coins.mistake(ONE_IS_SAFE + "here the second is NaN")
def coins_at_the_edge_1(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho, log_p=_safe_at_0)


@loop_of_coins.mistake("L is the mean over the data; wanted is the sum")
def coins_bound_per_datum(heads, flips, pi, rho):
    return _coins(heads, flips, pi, rho) / [1, 1, 1, 1, 1, 1, len(heads)]


@loop_of_coins.mistake(
    "the ρ are sorted; each coin keeps its place, also where the ρ do not rise from left to right"
)
def rho_sorted(heads, flips, pi, rho):
    found = _coins(heads, flips, pi, rho)
    found[:, 3:6] = np.sort(found[:, 3:6])
    return found


@loop_of_coins.mistake("the row mixes two iterations: π and ρ after learning, L before it")
def coins_before_their_time(heads, flips, pi, rho):
    found = _coins(heads, flips, pi, rho, n=ITERATIONS + 1)
    return np.column_stack([found[1:, :6], found[:-1, 6]])


@loop_of_coins.mistake("the row mixes two iterations: L is that of the next row")
def coins_bound_of_the_next_row(heads, flips, pi, rho):
    found = _coins(heads, flips, pi, rho, n=ITERATIONS + 1)
    return np.column_stack([found[:-1, :6], found[1:, 6]])


def _coins(
    heads,
    flips,
    pi,
    rho,
    *,
    n=ITERATIONS,
    keep_pi=False,
    share=None,
    renew=True,
    plain=False,
    prior=True,
    hard=False,
    again=False,
    log_p=binom.logpmf,
    log_pi=np.log,
    count=lambda r: r.mean(axis=0),
) -> np.ndarray:
    """Return rows of π, ρ and L after inference; the options are mistakes."""
    rows, r = [], None
    for _ in range(n):
        table = log_pi(pi) + log_p(heads[:, None], flips, rho)  # (N, 3)
        total = np.log(np.exp(table).sum(axis=1)) if plain else logsumexp(table, axis=1)
        if renew or r is None:
            r = np.exp(table - total[:, None]) if prior else softmax(table - log_pi(pi), axis=1)
            r = np.eye(3)[r.argmax(axis=1)] if hard else r
        rows.append([*pi, *rho, total.sum()])
        pi = pi if keep_pi else count(r)
        r = softmax(log_pi(pi) + log_p(heads[:, None], flips, rho), axis=1) if again else r
        rho = share(r) if share else heads @ r / (flips * r.sum(axis=0))
    return np.array(rows)


def _joint(heads, flips, row) -> np.ndarray:
    """Return ln p(x, z) (N, 3) for the π and ρ of a row."""
    return np.log(row[:3]) + binom.logpmf(heads[:, None], flips, row[3:6])


def _coefficient(heads, flips) -> np.ndarray:
    return binom.logpmf(heads, flips, 0.5) - flips * np.log(0.5)


def _without_xlogy(heads, flips, rho) -> np.ndarray:
    """Return the log of the binomial, NaN where ρ is 0 or 1."""
    return _coefficient(heads, flips) + heads * np.log(rho) + (flips - heads) * np.log(1 - rho)


def _safe_at_0(heads, flips, rho) -> np.ndarray:
    return _coefficient(heads, flips) + xlogy(heads, rho) + (flips - heads) * np.log(1 - rho)


def _safe_at_1(heads, flips, rho) -> np.ndarray:
    return _coefficient(heads, flips) + heads * np.log(rho) + xlogy(flips - heads, 1 - rho)


def _clipped(heads, flips, rho) -> np.ndarray:
    return binom.logpmf(heads, flips, np.clip(rho, 1e-9, 1 - 1e-9))


fisher_gradient = Exercise(
    "fisher-gradient",
    chapter="02",
    hint="Only bell 1 has θ in it: E_q of ∂ ln N(x; θ, 1)/∂θ, not a difference of two ln p.",
    praise="by Fisher's identity the slope is Σ r (x - θ): no log of a sum is differentiated",
)


@fisher_gradient.draw
def bells_and_summits(rng):
    """Draw bells, or a θ a millionth beside a summit: there a difference quotient fails."""
    x, theta = bells(rng)
    if rng.integers(2):
        return x, theta
    x, theta = TwoBells(3.0).sample(20, rng=rng)[0][:, 0], 3.0
    x[0], side = -45, rng.choice([-1, 1])  # bell 1 has no share in this datum, ln p has -1000 of it
    for _ in range(100):
        theta = weighted_mean(x, responsibility(x, theta))
    return side * x, float(side * (theta + 1e-6))


@fisher_gradient.reference
def slope(x, theta):
    return float((responsibility(x, theta) * (x - theta)).sum())


@fisher_gradient.mistake(
    "each datum counts wholly; average the gradient of the log joint over the posterior"
)
def all_count_wholly(x, theta):
    return float((x - theta).sum())


@fisher_gradient.mistake(
    "right near the bells, but far from both of them r is 0/0: compute it from the log odds"
)
def slope_by_densities(x, theta):
    return float((ratio_of_densities(x, theta) * (x - theta)).sum())


@fisher_gradient.mistake(
    "right near the bells, but far from both of them r is 0/0, and leaving such a datum out loses "
    "its x - θ where r is 1: compute r from the log odds"
)
def slope_without_the_far(x, theta):
    return float((ratio_or_zero(x, theta) * (x - theta)).sum())


@fisher_gradient.mistake("each r is all or nothing; average over the posterior, a probability")
def slope_by_hard_choice(x, theta):
    return float((all_or_nothing(x, theta) * (x - theta)).sum())


@fisher_gradient.mistake("this averages over bell 0; θ stands in bell 1, whose share is r")
def slope_of_the_other_bell(x, theta):
    return float(((1 - responsibility(x, theta)) * (x - theta)).sum())


@fisher_gradient.mistake("θ is not subtracted: the slope of bell 1's log density is x - θ, not x")
def place_forgotten(x, theta):
    return float((responsibility(x, theta) * x).sum())


@fisher_gradient.mistake(
    "this is the slope of r, summed: r (1 - r)(x - θ); each datum counts with its r alone"
)
def slope_of_r(x, theta):
    r = responsibility(x, theta)
    return float((r * (1 - r) * (x - theta)).sum())


@fisher_gradient.mistake("the sign is wrong: this is minus the slope")
def negative_slope(x, theta):
    return -slope(x, theta)


@fisher_gradient.mistake("this is the mean over data; the log likelihood is a sum")
def mean_over_data(x, theta):
    return slope(x, theta) / len(x)


@fisher_gradient.mistake("q was differentiated too; in Fisher's identity it is held fixed")
def bell_1_differentiated(x, theta):
    r = responsibility(x, theta)
    return float((r * (x - theta) - 0.5 * r * (1 - r) * (x - theta) ** 3).sum())


@fisher_gradient.mistake(
    "q was differentiated too, in both bells; in Fisher's identity it is held fixed"
)
def both_bells_differentiated(x, theta):
    r = responsibility(x, theta)
    gain = theta * x - theta**2 / 2  # ln N(x; θ, 1) - ln N(x; 0, 1)
    return float((r * (x - theta) + r * (1 - r) * (x - theta) * gain).sum())


@fisher_gradient.mistake("this is the θ of the learning step; the slope is Σ r (x - θ)")
def learned_instead(x, theta):
    r = responsibility(x, theta)
    return float(r @ x / r.sum())


@fisher_gradient.mistake(
    "this is the step that EM takes; the slope is that times Σ r: do not divide by it"
)
def step_instead(x, theta):
    r = responsibility(x, theta)
    return float(r @ (x - theta) / r.sum())


@fisher_gradient.mistake(
    "this is a difference quotient: near a summit it is not precise enough; use Fisher's identity"
)
def difference_quotient(x, theta):
    return (log_lik(x, theta + 1e-3) - log_lik(x, theta - 1e-3)) / 2e-3
