"""The exercises of chapter 02: expectation maximization."""

import numpy as np
from scipy.special import expit, xlogy
from scipy.stats import norm

from lfm.checks.exercise import Exercise
from lfm.toy import TwoBells

ITERATIONS = 20
FAR = (20.0, None, 20.0, 45.0, -45.0)  # where the far datum lies, times the sign of θ

inference_step = Exercise(
    "inference-step",
    chapter="02",
    hint="The share of bell 1 in the density at x: 1/(1 + exp(-log odds)).",
    praise="that was the E-step",
)


def bells(rng):
    # At ±45 both densities are 0 in floating point; at 20 the bell at 0 has no share at all.
    far = FAR[rng.integers(5)]
    theta = rng.uniform(0.5, 4)
    x, start = TwoBells(theta).sample(20, rng=rng)[0][:, 0], float(theta + rng.normal())
    if far is not None:
        x[0] = far * np.sign(start)
    return x, start


def on_either_side(rng, x, theta):
    side = rng.choice([-1, 1])
    return side * x, side * theta


@inference_step.draw
def bells_and_large_log_odds(rng):
    x, theta = bells(rng)
    if rng.integers(2):
        x[1] = 1000 / theta  # exp(log odds) overflows
    return on_either_side(rng, x, theta)


@inference_step.reference
def responsibility(x, theta):
    return expit(theta * x - theta**2 / 2)


@inference_step.mistake("this is the probability of bell 0; wanted is bell 1, the one at θ")
def other_bell(x, theta):
    return 1 - responsibility(x, theta)


@inference_step.mistake(
    "this is the density under bell 1; divide by the sum over both bells (Bayes' rule)"
)
def density_alone(x, theta):
    return norm.pdf(x - theta)


@inference_step.mistake("this is all or nothing; the posterior is a probability")
def all_or_nothing(x, theta):
    return (responsibility(x, theta) > 0.5).astype(float)


@inference_step.mistake(
    "right near the bells, but far from both of them the two densities underflow and this is 0/0: "
    "start from the log odds"
)
def ratio_of_densities(x, theta):
    return norm.pdf(x - theta) / (norm.pdf(x) + norm.pdf(x - theta))


@inference_step.mistake(
    "right near the bells, but where both densities round to 0 this makes r 0; it may be 1: "
    "start from the log odds"
)
def ratio_or_zero(x, theta):
    return np.nan_to_num(ratio_of_densities(x, theta))


@inference_step.mistake("these are the log odds; wanted is the probability, 1/(1 + exp(-log odds))")
def log_odds(x, theta):
    return theta * x - theta**2 / 2


@inference_step.mistake("the log odds are half a square short: they are θ x - θ²/2, not θ x - θ²")
def half_forgotten(x, theta):
    return expit(theta * x - theta**2)


@inference_step.mistake("the log odds lack the square: they are θ x - θ²/2, not θ x")
def square_forgotten(x, theta):
    return expit(theta * x)


@inference_step.mistake("a sign is wrong: the log odds are θ x - θ²/2, not θ x + θ²/2")
def square_added(x, theta):
    return expit(theta * x + theta**2 / 2)


@inference_step.mistake(
    "the log odds are twice too large: each Gaussian has the factor ½ in its exponent"
)
def halves_forgotten(x, theta):
    return expit(2 * theta * x - theta**2)


@inference_step.mistake(
    "right up to log odds of 700, but beyond them exp(log odds) overflows and this is ∞/∞: write "
    "1/(1 + exp(-log odds))"
)
def odds_over_one_plus_odds(x, theta):
    odds = np.exp(log_odds(x, theta))
    return odds / (1 + odds)


learning_step = Exercise(
    "learning-step",
    chapter="02",
    hint="Set the derivative of -½ Σ r (x - θ)² to zero.",
    praise="that was the M-step",
)


@learning_step.draw
def data_and_responsibilities(rng):
    x = bells(rng)[0]
    x = x[:1] if rng.integers(4) == 0 else x  # a single datum
    scale = (1e-2, 1e-30, 1.0, 1.0)[rng.integers(4)]  # or hardly a claim
    return x, rng.uniform(0, 1, len(x)) * scale


@learning_step.reference
def weighted_mean(x, r):
    return (r * x).sum() / r.sum()


@learning_step.mistake(
    "the sum is divided by N; a weighted mean is divided by the sum of its weights, Σ r"
)
def divided_by_n(x, r):
    return (r * x).sum() / len(x)


@learning_step.mistake("this is the mean of all data; each counts only as much as bell 1 claims it")
def mean_of_all(x, r):
    return x.mean()


@learning_step.mistake("this is the sum; wanted is the mean")
def weighted_sum(x, r):
    return (r * x).sum()


@learning_step.mistake("this takes the likely ones only and each wholly; membership is soft")
def likely_ones_only(x, r):
    return x[r > 0.5].mean() if (r > 0.5).any() else np.nan


@learning_step.mistake("these are the weights 1 - r, those of the bell at 0")
def weights_of_the_other_bell(x, r):
    return weighted_mean(x, 1 - r)


@learning_step.mistake("each weight is squared; a datum counts with r itself")
def weights_squared(x, r):
    return weighted_mean(x, r**2)


@learning_step.mistake(
    "something is added to Σ r; where the responsibilities are small this changes the mean, and "
    "Σ r > 0 needs no such guard"
)
def sum_padded(x, r):
    return (r * x).sum() / (r.sum() + 1e-9)


@learning_step.mistake("Σ r is not let below 1; a mean must hold for small responsibilities too")
def sum_at_least_one(x, r):
    return (r * x).sum() / max(r.sum(), 1)


loop_of_bells = Exercise(
    "loop-of-bells",
    chapter="02",
    hint="In each of the 20 rounds: r from θ, L; then the new θ from r, L again with the same r.",
    praise="20 iterations of your own loop, and every half-step goes up",
)


@loop_of_bells.draw
def bells_or_hardly_a_claim(rng):
    x, start = bells(rng)
    if not rng.integers(2):
        x, start = rng.standard_normal(20), float(rng.uniform(12, 13))  # every r is tiny at first
    return on_either_side(rng, x, start)


@loop_of_bells.reference
def trace_of_bells(x, theta):
    return _trace(x, theta)


@loop_of_bells.mistake(
    "the numbers are right, but row i holds the θ after learning; its first entry is the θ that "
    "inference has just used"
)
def theta_too_late(x, theta):
    return _trace(x, theta, late=True)


@loop_of_bells.mistake(
    "θ does not move after the first row: r is computed once only; it belongs inside the loop"
)
def inference_once(x, theta):
    return _trace(x, theta, renew=False)


@loop_of_bells.mistake(
    "the last column is the log likelihood at the new θ: q stays where it was until the next row"
)
def tight_after_learning(x, theta):
    found = _trace(x, theta)
    found[:, 2] = [log_lik(x, t) for t in _trace(x, theta, late=True)[:, 0]]
    return found


@loop_of_bells.mistake("the entropy of q is missing from both columns of L")
def entropy_forgotten(x, theta):
    return _trace(x, theta, entropy=0.0)


@loop_of_bells.mistake("the entropy is that of bell 1 only: -(1 - r) ln(1 - r) belongs to it too")
def half_of_the_entropy(x, theta):
    return _trace(x, theta, other=0.0)


@loop_of_bells.mistake("the entropy is subtracted; the bound is E_q[ln p(x, z)] + H[q]")
def entropy_subtracted(x, theta):
    return _trace(x, theta, entropy=-1.0)


@loop_of_bells.mistake("the prior ½ of each bell is missing from the joint")
def prior_forgotten(x, theta):
    return _trace(x, theta) + len(x) * np.log(2) * np.array([0, 1, 1])


@loop_of_bells.mistake("the constant of the Gaussian, -½ ln 2π for each datum, is missing")
def constant_forgotten(x, theta):
    return _trace(x, theta) + len(x) * 0.5 * np.log(2 * np.pi) * np.array([0, 1, 1])


@loop_of_bells.mistake("the prior ½ of each bell and the constant -½ ln 2π are both missing")
def prior_and_constant_forgotten(x, theta):
    return _trace(x, theta) + len(x) * (np.log(2) + 0.5 * np.log(2 * np.pi)) * np.array([0, 1, 1])


@loop_of_bells.mistake("the prior ½ of each bell and the entropy of q are both missing")
def prior_and_entropy_forgotten(x, theta):
    return _trace(x, theta, entropy=0.0) + len(x) * np.log(2) * np.array([0, 1, 1])


@loop_of_bells.mistake("L is in bits; wanted are nats, from the natural logarithm")
def bound_in_bits(x, theta):
    return _trace(x, theta) / [1, np.log(2), np.log(2)]


@loop_of_bells.mistake(
    "where r is 0 or 1 this is 0 · ln 0, which the computer calls NaN; the term is 0 "
    "(`scipy.special.xlogy` knows it)"
)
def zero_times_log_of_zero(x, theta):
    return _trace(x, theta, product=lambda p, q: p * np.log(q))


@loop_of_bells.mistake(
    "far from both bells the ratio of their densities is 0/0: compute r from the log odds"
)
def trace_by_densities(x, theta):
    return _trace(x, theta, infer=ratio_of_densities)


@loop_of_bells.mistake(
    "far from both bells r is 0/0, and setting it to 0 loses a datum whose r is 1: compute r from "
    "the log odds"
)
def trace_by_densities_or_zero(x, theta):
    return _trace(x, theta, infer=ratio_or_zero)


@loop_of_bells.mistake(
    "far from a bell its density rounds to 0, and the log of 0 is -∞: use `norm.logpdf`"
)
def trace_by_log_of_density(x, theta):
    return _trace(x, theta, log_p=lambda x: np.log(norm.pdf(x)))


@loop_of_bells.mistake("each r is all or nothing; inference takes the posterior, a probability")
def trace_by_hard_choice(x, theta):
    return _trace(x, theta, infer=all_or_nothing)


@loop_of_bells.mistake(
    "the bell at 0 is missing from L: its term, weighted with 1 - r, has no θ in it but is no less "
    "a part of the sum"
)
def moving_bell_alone(x, theta):
    return _trace(x, theta, still=0.0)


@loop_of_bells.mistake("the two columns of L are interchanged: inference comes first")
def columns_interchanged(x, theta):
    return _trace(x, theta)[:, [0, 2, 1]]


@loop_of_bells.mistake("the learning step divides by N; a weighted mean is divided by Σ r")
def loop_divided_by_n(x, theta):
    return _trace(x, theta, total=lambda r: len(r))


@loop_of_bells.mistake("the row is that after learning; the first row holds the θ that was given")
def bells_row_too_late(x, theta):
    return _trace(x, theta, n=ITERATIONS + 1)[1:]


@loop_of_bells.mistake("both columns of L are at the old θ; the last has the new θ and the same q")
def both_columns_at_the_old(x, theta):
    return _trace(x, theta)[:, [0, 1, 1]]


@loop_of_bells.mistake("ln ½ - ½ ln 2π is counted once; it belongs to each of the N data")
def constants_once(x, theta):
    once = (len(x) - 1) * (np.log(2) + 0.5 * np.log(2 * np.pi))
    return _trace(x, theta) + once * np.array([0, 1, 1])


@loop_of_bells.mistake("-½ ln 2π is counted once; it belongs to each of the N data")
def gaussian_constant_once(x, theta):
    return _trace(x, theta) + (len(x) - 1) * 0.5 * np.log(2 * np.pi) * np.array([0, 1, 1])


@loop_of_bells.mistake(
    "each r is kept away from 0 and 1; where all r are tiny, this moves θ to the mean of all data"
)
def r_clipped(x, theta):
    return _trace(x, theta, infer=lambda x, t: np.clip(responsibility(x, t), 1e-12, 1 - 1e-12))


@loop_of_bells.mistake("something is added to Σ r; where all r are tiny, this moves θ to 0")
def loop_sum_padded(x, theta):
    return _trace(x, theta, total=lambda r: r.sum() + 1e-12)


@loop_of_bells.mistake("L is the mean over the data; wanted is the sum")
def bound_per_datum(x, theta):
    return _trace(x, theta) / [1, len(x), len(x)]


def _trace(
    x,
    theta,
    *,
    n=ITERATIONS,
    late=False,
    renew=True,
    entropy=1.0,
    product=xlogy,
    total=np.sum,
    infer=responsibility,
    still=1.0,
    other=1.0,
    log_p=norm.logpdf,
) -> np.ndarray:
    """Return rows of θ, L after inference and L after learning; the options are mistakes."""
    rows, r = [], infer(x, theta)
    for _ in range(n):
        r = infer(x, theta) if renew else r
        h = -entropy * (product(r, r) + other * product(1 - r, 1 - r)).sum()
        new = (r * x).sum() / total(r)
        bounds = [
            (still * (1 - r) * (log_p(x) + np.log(0.5)) + r * (log_p(x - t) + np.log(0.5))).sum()
            + h
            for t in (theta, new)
        ]
        rows.append([new if late else theta, *bounds])
        theta = new
    return np.array(rows)


def log_lik(x, theta) -> float:
    return TwoBells(theta).log_prob(x[:, None]).sum()
