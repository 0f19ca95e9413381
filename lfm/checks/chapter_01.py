"""The exercises of chapter 01: the lower bound."""

import numpy as np
from scipy.special import logsumexp, rel_entr, xlogy

from lfm import bound
from lfm.checks.exercise import Exercise

log_marginal = Exercise(
    "log-marginal",
    chapter="01",
    hint="ln p(x_n) = ln Σ_k exp(log_joint[n, k]), one number per row.",
    praise="and no underflow, thousands of nats down",
)

log_marginal.reference(bound.log_marginal)


@log_marginal.draw
def table(rng):
    # Rows of one table lie far apart, and values of one row too; a table may have a single row.
    # Half of the tables lie wholly where plain exponentials are 0.
    n, k, down = rng.choice([1, 4, 5]), rng.integers(2, 6), 2000.0 * rng.integers(2)
    t = (
        rng.normal(size=(n, k))
        - 2
        - down
        - rng.permutation([0.0, 1.0, 900.0, 1500.0, 3000.0])[:n, None]
    )
    # Neither a fixed column nor the mean of the row is then right to be subtracted.
    t[0, 0] -= 5000.0
    t[-1, -1] -= 5000.0
    return (t,)


@log_marginal.mistake("this is the sum of the logs; the log of a sum is not the sum of the logs")
def sum_of_logs(t):
    return t.sum(axis=-1)


@log_marginal.mistake(
    "right for small numbers, but far down the exponentials underflow to 0 and their log is -inf: "
    "subtract the row's maximum before exp, add it after log (log-sum-exp)"
)
def plain_exponentials(t):
    return np.log(np.exp(t).sum(axis=-1))


@log_marginal.mistake(
    "this subtracts one maximum from the whole table, and rows far below it still underflow: "
    "each row needs its own, as in max(axis=1, keepdims=True)"
)
def maximum_of_the_table(t):
    return t.max() + np.log(np.exp(t - t.max()).sum(axis=-1))


@log_marginal.mistake(
    "this subtracts the row's minimum or mean, and the largest exponential may then overflow: "
    "subtract the maximum, so that the largest is 1"
)
def minimum_of_the_row(t):
    m = t.min(axis=-1, keepdims=True)
    return (m + np.log(np.exp(t - m).sum(axis=-1, keepdims=True)))[..., 0]


for place, column in {"first": 0, "last": -1}.items():

    @log_marginal.mistake(
        f"this subtracts the {place} column, whatever it holds: where that value lies far below "
        "the rest of its row, the others overflow. Subtract the row's maximum"
    )
    def fixed_column(t, k=column):
        m = t[:, k]
        return m + np.log(np.exp(t - m[:, None]).sum(axis=-1))


@log_marginal.mistake(
    "a tiny number inside the log hides that the exponentials still underflow: all rows far down "
    "get its log. Subtract the row's maximum before exp"
)
def tiny_number_added(t):
    return np.log(np.exp(t).sum(axis=-1) + 1e-300)


@log_marginal.mistake(
    "where the exponentials underflow, -inf was replaced by another number; subtract the row's "
    "maximum before exp, and the sum is never 0"
)
def infinity_replaced(t):
    return np.nan_to_num(np.log(np.exp(t).sum(axis=-1)))


@log_marginal.mistake("this is in bits; the course counts in nats, with natural logarithms")
def marginal_in_bits(t):
    return logsumexp(t, axis=-1) / np.log(2)


@log_marginal.mistake("the row's maximum was subtracted; add it back after the log")
def maximum_not_added(t):
    return np.log(np.exp(t - t.max(axis=-1, keepdims=True)).sum(axis=-1))


@log_marginal.mistake("this is the largest term alone; the others count as well")
def largest_term(t):
    return t.max(axis=-1)


@log_marginal.mistake("this is the log of the mean; the sum rule wants the sum")
def log_of_the_mean(t):
    return logsumexp(t, axis=-1) - np.log(t.shape[-1])


@log_marginal.mistake("this is p(x_n), and far down it is 0; wanted is its log")
def log_forgotten(t):
    return np.exp(logsumexp(t, axis=-1))


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


@posterior.mistake(
    "this subtracts one maximum from the whole table, and rows far below it are still 0/0: each "
    "row needs its own, as in max(axis=1, keepdims=True)"
)
def one_maximum_for_all(t):
    p = np.exp(t - t.max())
    return p / p.sum(axis=-1, keepdims=True)


@posterior.mistake(
    "this subtracts the row's minimum or mean, and where one value lies far below, the others "
    "overflow: subtract the maximum"
)
def mean_of_the_row_in_posterior(t):
    p = np.exp(t - t.mean(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


for place, column in {"first": 0, "last": -1}.items():

    @posterior.mistake(
        f"this subtracts the {place} column, whatever it holds: where that value lies far below "
        "the rest of its row, the others overflow to inf/inf. Subtract the row's maximum"
    )
    def fixed_column_in_posterior(t, k=column):
        p = np.exp(t - t[:, [k]])
        return p / p.sum(axis=-1, keepdims=True)


@posterior.mistake(
    "0/0 was avoided or replaced, but far down the exponentials still underflow, and the row sums "
    "to 0, not to 1: subtract the row's maximum before exp"
)
def zeros_far_down(t):
    p = np.exp(t)
    return p / (p.sum(axis=-1, keepdims=True) + 1e-300)


@posterior.mistake(
    "0/0 was replaced by equal numbers, but these rows have posteriors of their own: subtract "
    "the row's maximum before exp, and nothing is 0/0"
)
def even_far_down(t):
    p = np.exp(t)
    return np.nan_to_num(p / p.sum(axis=-1, keepdims=True), nan=1 / t.shape[-1])


@posterior.mistake("these are not normalised: each row must sum to 1")
def not_normalised(t):
    return np.exp(t - t.max(axis=-1, keepdims=True))


@posterior.mistake("the whole table sums to 1; it is each datum's row that must")
def table_normalised(t):
    return np.exp(t - logsumexp(t))


@posterior.mistake("the columns sum to 1; it is each datum's row that must")
def columns_normalised(t):
    return np.exp(t - logsumexp(t, axis=0))


@posterior.mistake("this is the log of the posterior; take exp of it")
def log_of_the_posterior(t):
    return t - logsumexp(t, axis=-1, keepdims=True)


@posterior.mistake("these are logs divided by their sum; take exp first, then divide")
def logs_over_their_sum(t):
    return t / t.sum(axis=-1, keepdims=True)


@posterior.mistake(
    "this is sure of the most probable z; the posterior gives the others their share too"
)
def all_on_the_largest(t):
    return np.eye(t.shape[-1])[t.argmax(axis=-1)]


lower_bound = Exercise(
    "lower-bound",
    chapter="01",
    hint="E_q[ln p(x, z) - ln q(z)], one number per row, with 0 ln 0 = 0.",
    praise="it never exceeds the log marginal",
)

lower_bound.reference(bound.lower_bound)


@lower_bound.draw
def q_and_table(rng):
    # Some q are 0 somewhere; rows of the table lie far apart; there may be a single datum.
    n, k = rng.choice([1, 4, 5]), rng.integers(3, 6)
    q = rng.dirichlet(np.ones(k), size=n)
    q[0, rng.integers(k)] = 0.0
    q[0] /= q[0].sum()
    if n > 1:
        q[1] = np.eye(k)[rng.integers(k)]
        q[2, q[2].argmin()] = 10.0**-n  # 1e-4 or 1e-5: small, but not zero
        q[2] /= q[2].sum()
    return q, rng.normal(size=(n, k)) - 1.2 - rng.permutation([0.0, 1.0, 2.0, 3.0, 1500.0])[
        :n, None
    ]


def _log(q):
    """Return ln q, and 0 where q is 0: for mistakes that know that 0 ln 0 = 0."""
    return np.log(np.where(q > 0, q, 1.0))


@lower_bound.mistake(
    "right where q is positive, but 0 times ln 0 gives NaN: such a term counts as 0. Put 1 for q "
    "inside the log where it is 0, or use scipy.special.xlogy"
)
def zero_times_infinity(q, t):
    return (q * (t - np.log(q))).sum(axis=-1)


@lower_bound.mistake("a small q is not zero: its term is cut off or changed here")
def small_cut_off(q, t):
    return (q * (t - np.log(np.where(q > 1e-3, q, 1.0)))).sum(axis=-1)


@lower_bound.mistake("q is kept above a thousandth in the log; a smaller one has its own log")
def small_lifted(q, t):
    return (q * (t - np.log(np.clip(q, 1e-3, None)))).sum(axis=-1)


for tiny in (1e-4, 1e-5, 1e-6, 1e-7):

    @lower_bound.mistake(
        f"{tiny:g} added inside the log is too much: it changes the terms with a small q. Put 1 "
        "for q inside the log where it is 0, as in np.where(q > 0, q, 1)"
    )
    def too_much_added(q, t, tiny=tiny):
        return (q * (t - np.log(q + tiny))).sum(axis=-1)


@lower_bound.mistake(
    "the entropy of q is missing: without it the best q would be sure of everything"
)
def entropy_forgotten(q, t):
    return (q * t).sum(axis=-1)


@lower_bound.mistake("the entropy has the wrong sign: H = -Σ q ln q")
def entropy_subtracted(q, t):
    return (q * t + xlogy(q, q)).sum(axis=-1)


@lower_bound.mistake("the entropy has the wrong sign: H = -Σ q ln q. And count 0 ln 0 as 0")
def entropy_subtracted_and_zeros(q, t):
    return (q * t + q * np.log(q)).sum(axis=-1)


@lower_bound.mistake(
    "the log of q is not averaged: both logs stand under the average, Σ q (... - ln q)"
)
def log_q_not_averaged(q, t):
    return (q * t - _log(q)).sum(axis=-1)


@lower_bound.mistake(
    "this is the log of an average; the bound is an average of logs (and q stays below, in the "
    "quotient)"
)
def log_of_the_average(q, t):
    return np.log((q * np.exp(t)).sum(axis=-1))


@lower_bound.mistake(
    "the table already holds logs. Its exponentials are 0 far down, and nothing here needs them"
)
def by_exponentials(q, t):
    return -rel_entr(q, np.exp(t)).sum(axis=-1)


@lower_bound.mistake(
    "far down the exponentials of the table are 0, and nothing here needs them. And 0 ln 0 is 0"
)
def by_exponentials_and_zeros(q, t):
    return (q * np.log(np.exp(t) / q)).sum(axis=-1)


@lower_bound.mistake("the sign is reversed: the average of ln q - ln p is minus the bound")
def negative_bound(q, t):
    return -bound.lower_bound(q, t)


@lower_bound.mistake(
    "this is ln Σ q(z) p(x, z), an average of the joint; the bound averages logs, and divides by q"
)
def log_of_the_averaged_joint(q, t):
    return logsumexp(t, b=q, axis=-1)


@lower_bound.mistake("this is ln p(x) itself, whatever q is; the bound depends on q")
def log_likelihood(q, t):
    return logsumexp(t, axis=-1)


@lower_bound.mistake(
    "this is a plain mean over the values of z; the average under q is a sum with the weights q"
)
def mean_over_the_values(q, t):
    return (q * (t - _log(q))).mean(axis=-1)


@lower_bound.mistake("the entropy here is in bits, ln p(x, z) in nats: take natural logs in both")
def entropy_in_bits(q, t):
    return (q * t - xlogy(q, q) / np.log(2)).sum(axis=-1)


@lower_bound.mistake("this is in bits; the course counts in nats, with natural logarithms")
def bound_in_bits(q, t):
    return bound.lower_bound(q, t) / np.log(2)


@lower_bound.mistake(
    "the table was normalised to the posterior first, so ln p(x) is lost and minus the divergence "
    "is left; the bound takes the joint as it is"
)
def table_normalised_first(q, t):
    return bound.lower_bound(q, t) - logsumexp(t, axis=-1)


@lower_bound.mistake("this is the divergence, what the bound loses; the bound is ln p(x) minus it")
def the_loss(q, t):
    return logsumexp(t, axis=-1) - bound.lower_bound(q, t)


@lower_bound.mistake("this is ln p(x) plus the divergence; the bound is ln p(x) minus it")
def loss_added(q, t):
    return 2 * logsumexp(t, axis=-1) - bound.lower_bound(q, t)


@lower_bound.mistake("this is the exponential of the bound; the bound itself is wanted")
def exponential_of_the_bound(q, t):
    return np.exp(bound.lower_bound(q, t))


@lower_bound.mistake("this is the mean over all data; wanted is one number for each datum")
def mean_over_data(q, t):
    return bound.lower_bound(q, t).mean()


@lower_bound.mistake("these are summed over all data; wanted is one number for each datum")
def summed_over_data(q, t):
    return bound.lower_bound(q, t).sum()
