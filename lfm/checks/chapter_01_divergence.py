"""The exercises of chapter 01, continued: the divergence, and the choice of q by the bound."""

import numpy as np
from scipy.special import rel_entr, softmax, xlogy

from lfm import bound
from lfm.checks.exercise import Exercise

divergence = Exercise(
    "divergence",
    chapter="01",
    hint="The average under q of ln q - ln p.",
    praise="zero only where the two agree",
)

divergence.reference(bound.kl)


@divergence.draw
def two_distributions(rng):
    return rng.dirichlet(np.ones(4)), rng.dirichlet(np.full(4, 0.4))


@divergence.mistake("the arguments are swapped: in KL(q‖p) the average is taken under q")
def arguments_swapped(q, p):
    return bound.kl(p, q)


@divergence.mistake("the sign is reversed: a divergence is not negative")
def negative_divergence(q, p):
    return -bound.kl(q, p)


@divergence.mistake("the average of ln q/p is taken under p here; in KL(q‖p) it is taken under q")
def averaged_under_p(q, p):
    return -bound.kl(p, q)


@divergence.mistake("this is in bits; the course counts in nats, with natural logarithms")
def in_bits(q, p):
    return bound.kl(q, p) / np.log(2)


@divergence.mistake(
    "this is in logs to base 10; the course counts in nats, with natural logarithms"
)
def base_ten(q, p):
    return bound.kl(q, p) / np.log(10)


@divergence.mistake(
    "this is the sum of both directions; wanted is one of them, with the average under q"
)
def both_directions(q, p):
    return bound.kl(q, p) + bound.kl(p, q)


@divergence.mistake(
    "this is half the sum of both directions; wanted is one of them, with the average under q"
)
def half_of_both_directions(q, p):
    return (bound.kl(q, p) + bound.kl(p, q)) / 2


@divergence.mistake(
    "terms may be negative; only their sum is not. Without the absolute value it is right"
)
def absolute_terms(q, p):
    return np.abs(q * np.log(q / p)).sum()


@divergence.mistake("this is -Σ q ln p; the entropy of q still has to be subtracted")
def cross_entropy(q, p):
    return -(q * np.log(p)).sum()


@divergence.mistake("the four logs are weighted alike; the average is taken under q")
def plain_mean(q, p):
    return np.log(q / p).mean()


@divergence.mistake(
    "this is a mean of the terms; their weights q sum to 1 already, so take their sum"
)
def mean_of_the_terms(q, p):
    return (q * np.log(q / p)).mean()


@divergence.mistake("the logs are summed without a weight; each is to be weighted by its q")
def unweighted(q, p):
    return np.log(q / p).sum()


@divergence.mistake("these are the terms; wanted is their sum")
def terms(q, p):
    return q * np.log(q / p)


choose_q = Exercise(
    "choose-q",
    chapter="01",
    hint="ln p(x) is made up of two parts: which of them can be computed from the joint alone?",
    praise="the largest bound has the smallest divergence; the posterior is not needed",
)


@choose_q.draw
def candidates_and_scores(rng):
    # Two candidates hold zeros; in about half of the draws the second of them is the best one.
    # Drawn again until the frequent mistakes choose another candidate.
    zero_is_best = rng.integers(2) == 1
    while True:
        scores = rng.normal(scale=1.5, size=4) - 2000.0
        q = rng.dirichlet(np.ones(4), size=8)
        some = rng.choice(np.arange(1, 8), size=2, replace=False)
        q[some, rng.integers(4, size=2)] = 0.0
        q[some] /= q[some].sum(axis=1, keepdims=True)
        right = highest_bound(q, scores)
        if right < 2 or (q[right].min() == 0) != zero_is_best:
            continue
        wrong = [f(q, scores) for f in (candidate_with_zeros, *ALWAYS_WRONG)]
        wrong += [without_zeros(q, scores)] if zero_is_best else []
        told_apart = zero_is_best or without_entropy(q, scores) != entropy_turned(q, scores)
        if right not in wrong and told_apart:
            return q, scores


@choose_q.reference
def chosen(candidates, scores):
    return int(bound.lower_bound(candidates, scores).argmax())


# Without the checks of `bound`, since a draw calls them many times.
def _bounds(q, s):
    return (q * s - xlogy(q, q)).sum(axis=1)


def highest_bound(q, s):
    return int(_bounds(q, s).argmax())


@choose_q.mistake("this chooses the lowest bound, and so the candidate that loses most")
def lowest_bound(q, s):
    return int(_bounds(q, s).argmin())


@choose_q.mistake(
    "the entropy of the candidates is missing: this prefers those that are sure of one value"
)
def without_entropy(q, s):
    return int((q * s).sum(axis=1).argmax())


@choose_q.mistake("the entropy has the wrong sign: the bound is E_q[ln p(x, z)] plus -Σ q ln q")
def entropy_turned(q, s):
    return int((q * s + xlogy(q, q)).sum(axis=1).argmax())


@choose_q.mistake("the entropy here is in bits, the scores in nats: take natural logs in both")
def candidates_entropy_in_bits(q, s):
    return int((q * s - xlogy(q, q) / np.log(2)).sum(axis=1).argmax())


@choose_q.mistake("this takes the candidate that is most even; the scores have to count as well")
def entropy_alone(q, s):
    return int((-xlogy(q, q)).sum(axis=1).argmax())


@choose_q.mistake(
    "this takes the candidate with most weight on the largest score; all values count"
)
def most_on_the_largest(q, s):
    return int(q[:, s.argmax()].argmax())


@choose_q.mistake(
    "this takes the smallest KL(posterior‖q); what the bound loses is KL(q‖posterior)"
)
def divergence_turned(q, s):
    return int(rel_entr(softmax(s), q).sum(axis=1).argmin())


@choose_q.mistake(
    "this takes the least sum of both directions; what the bound loses is KL(q‖posterior) alone"
)
def both_divergences(q, s):
    p = softmax(s)
    return int((rel_entr(q, p) + rel_entr(p, q)).sum(axis=1).argmin())


@choose_q.mistake(
    "this takes the candidate nearest to the posterior as points are near; the divergence asks for "
    "the ratio of probabilities, not for their difference"
)
def nearest_in_distance(q, s):
    return int(np.square(q - softmax(s)).sum(axis=1).argmin())


@choose_q.mistake(
    "this takes the least sum of |q - posterior|; the divergence asks for the ratio of "
    "probabilities, not for their difference"
)
def nearest_in_variation(q, s):
    return int(np.abs(q - softmax(s)).sum(axis=1).argmin())


@choose_q.mistake(
    "some candidates hold a 0, and 0 ln 0 is NaN in numpy: argmax then takes the first of them for "
    "the largest. Such a term counts as 0"
)
def candidate_with_zeros(q, s):
    return int((q == 0).any(axis=1).argmax())


@choose_q.mistake(
    "a candidate with a 0 may be the best: KL(q‖p) is infinite where p is 0 and q is not, not "
    "where q is 0"
)
def without_zeros(q, s):
    return int(np.where((q == 0).any(axis=1), -np.inf, _bounds(q, s)).argmax())


@choose_q.mistake(
    "this is always the first candidate: is what you compare NaN? The exponentials of the scores "
    "are all 0, so a posterior made of them is 0/0"
)
def first(q, s):
    return 0


@choose_q.mistake("this is the candidate itself; wanted is its index, one integer")
def the_candidate(q, s):
    return q[chosen(q, s)]


@choose_q.mistake(
    "this is the largest bound itself; wanted is the index of the candidate that has it"
)
def the_bound_itself(q, s):
    return _bounds(q, s).max()


@choose_q.mistake("this counts the candidates from 1; indices in Python begin at 0")
def counted_from_one(q, s):
    return chosen(q, s) + 1


ALWAYS_WRONG = (without_entropy, entropy_turned, divergence_turned, nearest_in_distance)
