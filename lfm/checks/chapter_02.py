"""The exercises of chapter 02: expectation maximization."""

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from lfm.checks.exercise import Exercise
from lfm.toy import TwoBells

inference_step = Exercise(
    "inference-step",
    chapter="02",
    hint="The share of bell 1 in the density at x.",
    praise="that was the E-step",
)


@inference_step.draw
def bells(rng):
    theta = rng.uniform(0.5, 4)
    return TwoBells(theta).sample(20, rng=rng)[0][:, 0], float(theta + rng.normal())


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


learning_step = Exercise(
    "learning-step",
    chapter="02",
    hint="Set the derivative of -½ Σ r (x - θ)² to zero.",
    praise="that was the M-step",
)


@learning_step.draw
def data_and_responsibilities(rng):
    return bells(rng)[0], rng.uniform(0, 1, 20)


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
    return x[r > 0.5].mean()


bound_at = Exercise(
    "bound-at",
    chapter="02",
    hint="q from θ_old; then E_q[ln p(x, z | θ)] + H[q], summed over data.",
    praise="and it touches the log likelihood where the two θ agree",
)


@bound_at.draw
def bells_and_two_thetas(rng):
    x, old = bells(rng)
    return x, old, float(old + rng.normal())


@bound_at.reference
def bound_of_bells(x, old, new):
    old, new, x = TwoBells(old), TwoBells(new), x[:, None]
    return new.lower_bound(old.expect(x, old.infer(x)))


@bound_at.mistake(
    "this is the log likelihood: were the responsibilities computed at the new θ? q stays where it"
    " was, at the old"
)
def log_likelihood(x, old, new):
    return TwoBells(new).log_prob(x[:, None]).sum()


@bound_at.mistake("old and new are exchanged")
def old_for_new(x, old, new):
    return bound_of_bells(x, new, old)


@bound_at.mistake("the entropy of q is missing: this is Q(θ, θ_old)")
def entropy_forgotten(x, old, new):
    return bound_of_bells(x, old, new) - TwoBells(old).infer(x[:, None]).entropy().sum()


@bound_at.mistake("the prior ½ of each bell is missing from the joint")
def prior_forgotten(x, old, new):
    return bound_of_bells(x, old, new) + len(x) * np.log(2)


fisher_gradient = Exercise(
    "fisher-gradient",
    chapter="02",
    hint="Only bell 1 has θ in it: E_q of ∂ ln N(x; θ, 1)/∂θ.",
    praise="the slope of the likelihood, without differentiating the log of a sum",
)

fisher_gradient.draw(bells)


@fisher_gradient.reference
def slope(x, theta):
    return float((responsibility(x, theta) * (x - theta)).sum())


@fisher_gradient.mistake(
    "each datum counts wholly; average the gradient of the joint over the posterior"
)
def all_count_wholly(x, theta):
    return float((x - theta).sum())


@fisher_gradient.mistake("the sign is turned")
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
