"""The exercises of chapter 09: what the factors mean."""

import numpy as np

from lfm.checks.exercise import Exercise

mutual_information = Exercise(
    "mutual-information",
    chapter="09",
    hint="The divergence of the joint table from the product of its margins.",
    praise="0 only where the two are independent",
)


@mutual_information.draw
def joint_table(rng):
    return (rng.dirichlet(np.full(12, 0.5)).reshape(4, 3),)


@mutual_information.reference
def divergence_from_independence(table):
    return (table * np.log(table / np.outer(table.sum(axis=1), table.sum(axis=0)))).sum()


@mutual_information.mistake(
    "this is the entropy of the pair; information compares it with independence"
)
def entropy_of_the_pair(table):
    return -(table * np.log(table)).sum()


@mutual_information.mistake("this is in bits; the course counts in nats")
def in_bits(table):
    return divergence_from_independence(table) / np.log(2)


@mutual_information.mistake("the sign: information is a divergence, never negative")
def negative_information(table):
    return -divergence_from_independence(table)


information_gap = Exercise(
    "information-gap",
    chapter="09",
    hint="For each factor (column): best less second best, over its entropy; then the mean.",
    praise="an index error here has been published more than once",
)


@information_gap.draw
def information_and_entropy(rng):
    return rng.uniform(0, 1, size=(5, 4)), rng.uniform(1.5, 3, size=4)


@information_gap.reference
def mean_gap(information, entropy):
    ranked = np.sort(information, axis=0)
    return ((ranked[-1] - ranked[-2]) / entropy).mean()


@information_gap.mistake("the ranking is over codes, for each factor; here it runs over factors")
def ranked_over_factors(information, entropy):
    ranked = np.sort(information, axis=1)
    return ((ranked[:, -1] - ranked[:, -2]) / entropy.mean()).mean()


@information_gap.mistake("divide by the entropy of each factor: what there was to know")
def not_relative(information, entropy):
    ranked = np.sort(information, axis=0)
    return (ranked[-1] - ranked[-2]).mean()


@information_gap.mistake(
    "the second best, not the last: a factor split over two codes must score low"
)
def best_less_last(information, entropy):
    ranked = np.sort(information, axis=0)
    return ((ranked[-1] - ranked[0]) / entropy).mean()


disentanglement = Exercise(
    "disentanglement",
    chapter="09",
    hint="Shares of each row, one less their entropy over ln J, weighted by the row's total.",
    praise="each code of one factor",
)


@disentanglement.draw
def importances(rng):
    return (rng.exponential(size=(5, 4)),)


def entropies(shares):
    return -(shares * np.log(shares)).sum(axis=1)


@disentanglement.reference
def weighted_score(importance):
    shares = importance / importance.sum(axis=1, keepdims=True)
    weights = importance.sum(axis=1) / importance.sum()
    return weights @ (1 - entropies(shares) / np.log(importance.shape[1]))


@disentanglement.mistake("codes count by their importance: one that says nothing must not matter")
def codes_alike(importance):
    shares = importance / importance.sum(axis=1, keepdims=True)
    return (1 - entropies(shares) / np.log(importance.shape[1])).mean()


@disentanglement.mistake("this is completeness: shares of the codes in each factor")
def completeness(importance):
    return weighted_score(importance.T)


@disentanglement.mistake("turned round: a code with all its weight on one factor scores 1")
def turned_round(importance):
    return 1 - weighted_score(importance)
