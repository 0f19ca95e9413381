"""The exercises of chapter 01: the lower bound."""

import numpy as np
from scipy.special import logsumexp

from lfm import bound
from lfm.checks.exercise import Exercise

log_marginal = Exercise(
    "log-marginal",
    chapter="01",
    hint="ln p(x_n) = ln Σ_k exp(log_joint[n, k]), one number a row.",
    praise="and no underflow, 3,000 nats down",
)

log_marginal.reference(bound.log_marginal)


@log_marginal.draw
def table(rng):
    # Some tables lie thousands of nats down, where plain exponentials are zero.
    return (rng.normal(size=(4, 3)) - 3000.0 * rng.integers(2) - 2,)


@log_marginal.mistake("this is the sum of the logs; the log of a sum is not the sum of the logs")
def sum_of_logs(t):
    return t.sum(axis=-1)


@log_marginal.mistake(
    "right for small numbers, but far down the exponentials underflow to 0 and their log is -inf: "
    "subtract the row's maximum before exp, add it after log (log-sum-exp)"
)
def plain_exponentials(t):
    return np.log(np.exp(t).sum(axis=-1))


@log_marginal.mistake("this is the log of the mean; the sum rule wants the sum")
def log_of_the_mean(t):
    return logsumexp(t, axis=-1) - np.log(t.shape[-1])


@log_marginal.mistake("this sums over the data (rows); z runs along the columns")
def sum_over_data(t):
    return logsumexp(t, axis=0)


posterior = Exercise(
    "posterior",
    chapter="01",
    hint="Bayes' rule: the joint over its sum.",
    praise="the one q for which the bound is tight",
)

posterior.draw(table)
posterior.reference(bound.posterior)


@posterior.mistake(
    "right for small numbers, but far down this is 0/0: subtract the row's maximum before exp; it "
    "cancels in the quotient"
)
def zero_over_zero(t):
    p = np.exp(t)
    return p / p.sum(axis=-1, keepdims=True)


@posterior.mistake("these are not normalised: each row must sum to 1")
def not_normalised(t):
    return np.exp(t - t.max(axis=-1, keepdims=True))


@posterior.mistake("the columns sum to 1; it is each datum's row that must")
def columns_normalised(t):
    return np.exp(t - logsumexp(t, axis=0))


@posterior.mistake("this is the log of the posterior")
def log_of_the_posterior(t):
    return t - logsumexp(t, axis=-1, keepdims=True)


lower_bound = Exercise(
    "lower-bound",
    chapter="01",
    hint="E_q[ln p(x, z) - ln q(z)], one number a row.",
    praise="it never exceeds the log marginal",
)

lower_bound.reference(bound.lower_bound)


@lower_bound.draw
def q_and_table(rng):
    return rng.dirichlet(np.ones(3), size=4), rng.normal(size=(4, 3)) - 2


@lower_bound.mistake(
    "the entropy of q is missing: without it the best q would be sure of everything"
)
def entropy_forgotten(q, t):
    return (q * t).sum(axis=-1)


@lower_bound.mistake("the entropy has the wrong sign: H = -Σ q ln q")
def entropy_subtracted(q, t):
    return (q * t + q * np.log(q)).sum(axis=-1)


@lower_bound.mistake(
    "this is the log of an average; the bound is an average of logs (and q stays below, in the "
    "quotient)"
)
def log_of_the_average(q, t):
    return np.log((q * np.exp(t)).sum(axis=-1))


@lower_bound.mistake("this is ln p(x) itself, whatever q is; the bound depends on q")
def log_likelihood(q, t):
    return logsumexp(t, axis=-1)


divergence = Exercise(
    "divergence",
    chapter="01",
    hint="The mean under q of ln q - ln p.",
    praise="zero only where the two agree",
)

divergence.reference(bound.kl)


@divergence.draw
def two_distributions(rng):
    return rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))


@divergence.mistake("the arguments are swapped: in KL(q‖p) the average is taken under q")
def arguments_swapped(q, p):
    return bound.kl(p, q)


@divergence.mistake("the sign is turned: a divergence is not negative")
def negative_divergence(q, p):
    return -bound.kl(q, p)


@divergence.mistake("this is in bits; the course counts in nats, with natural logarithms")
def in_bits(q, p):
    return bound.kl(q, p) / np.log(2)


@divergence.mistake(
    "terms may be negative; only their sum is not. Without the absolute value it is right"
)
def absolute_terms(q, p):
    return np.abs(q * np.log(q / p)).sum()


gap = Exercise(
    "gap",
    chapter="01",
    hint="Either ln p(x) - L, or the divergence from the posterior: they are the same.",
    praise="two ways to one number",
)

gap.draw(q_and_table)


@gap.reference
def divergence_from_the_posterior(q, t):
    return bound.decompose(q, t).divergence


@gap.mistake("this is KL(posterior‖q); the gap is KL(q‖posterior)")
def divergence_of_the_posterior(q, t):
    return bound.kl(bound.posterior(t), q)


@gap.mistake("the sign is turned: the bound is below, so ln p - L is positive")
def negative_gap(q, t):
    return -bound.decompose(q, t).divergence


@gap.mistake("the entropy of q belongs to the bound too")
def gap_without_entropy(q, t):
    return bound.log_marginal(t) - bound.expected_log_joint(q, t)
