"""The exercises of chapter 09: what the factors mean."""

import numpy as np
from scipy.special import entr, rel_entr

from lfm.checks.exercise import Exercise

mutual_information = Exercise(
    "mutual-information",
    chapter="09",
    hint="The divergence of the joint table from the product of its margins.",
    praise="0 only where the two are independent",
)


@mutual_information.draw
def joint_table(rng):
    table = rng.dirichlet(np.full(12, 0.5)).reshape(4, 3) + 0.01
    if rng.integers(3):
        table[rng.integers(4), rng.integers(3)] = 0.0  # a pair that never occurs
    return (table / table.sum(),)


@mutual_information.reference
def divergence_from_independence(table):
    return rel_entr(table, np.outer(table.sum(axis=1), table.sum(axis=0))).sum()


@mutual_information.mistake(
    "right where all entries are positive; 0 ln 0 is 0, and numpy makes nan of it"
)
def without_zeros(table):
    with np.errstate(divide="ignore", invalid="ignore"):
        return (table * np.log(table / np.outer(table.sum(axis=1), table.sum(axis=0)))).sum()


@mutual_information.mistake(
    "this is the entropy of the pair; information compares it with independence"
)
def entropy_of_the_pair(table):
    return entr(table).sum()


@mutual_information.mistake("this is in bits; the course counts in nats")
def in_bits(table):
    return divergence_from_independence(table) / np.log(2)


@mutual_information.mistake(
    "the joint table is compared with a uniform one; compare it with the product of its margins"
)
def against_uniform(table):
    return np.log(table.size) - entr(table).sum()


@mutual_information.mistake(
    "the divergence of the product from the joint table is another number; the joint comes first"
)
def other_way_round(table):
    return rel_entr(np.outer(table.sum(axis=1), table.sum(axis=0)), table).sum()


@mutual_information.mistake("the sign: information is a divergence, never negative")
def negative_information(table):
    return -divergence_from_independence(table)


information_gap = Exercise(
    "information-gap",
    chapter="09",
    hint="For each factor (column): best less second best, over its entropy; then the mean.",
    praise="one axis or the other: a wrong one gives no error, only another number",
)


@information_gap.draw
def information_and_entropy(rng):
    return rng.uniform(0, 1, size=(rng.choice([2, 5]), 4)), rng.uniform(1.5, 3, size=4)


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


@information_gap.mistake("this is the sum over factors; wanted is their mean")
def sum_of_gaps(information, entropy):
    return len(entropy) * mean_gap(information, entropy)


@information_gap.mistake("divide each gap by its own entropy, before the mean")
def ratio_of_means(information, entropy):
    return not_relative(information, entropy) / entropy.mean()


disentanglement = Exercise(
    "disentanglement",
    chapter="09",
    hint="Shares of each row, one less their entropy over ln J, weighted by the row's total.",
    praise="each code of one factor",
)


@disentanglement.draw
def importances(rng):
    table = rng.exponential(size=(5, 4))
    table[rng.integers(5), rng.integers(4)] = 0.0
    if rng.integers(3):
        table[rng.integers(5)] = 0.0  # a code that says nothing
    return (table,)


def concentrations(importance):
    """Return 1 - H/ln J of the shares of each row; of a row of zeros anything, it has no weight."""
    total = importance.sum(axis=1, keepdims=True)
    shares = importance / np.where(total > 0, total, 1.0)
    return 1 - entr(shares).sum(axis=1) / np.log(importance.shape[1])


@disentanglement.reference
def weighted_score(importance):
    return importance.sum(axis=1) @ concentrations(importance) / importance.sum()


@disentanglement.mistake(
    "right where nothing is 0; 0 ln 0 is 0, and a row of zeros has the weight 0"
)
def without_care_for_zeros(importance):
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = importance / importance.sum(axis=1, keepdims=True)
        entropy = -(shares * np.log(shares)).sum(axis=1)
    weights = importance.sum(axis=1) / importance.sum()
    return weights @ (1 - entropy / np.log(importance.shape[1]))


@disentanglement.mistake("codes count by their importance: one that says nothing must not matter")
def codes_alike(importance):
    return concentrations(importance).mean()


@disentanglement.mistake(
    "to leave out the silent codes is not enough: each counts with its share of all importance"
)
def speaking_codes_alike(importance):
    return concentrations(importance)[importance.any(axis=1)].mean()


@disentanglement.mistake("this is completeness: shares of the codes in each factor")
def completeness(importance):
    return weighted_score(importance.T)


@disentanglement.mistake("turned round: a code with all its weight on one factor scores 1")
def turned_round(importance):
    return 1 - weighted_score(importance)


@disentanglement.mistake("the largest entropy of a row is ln J, of its J factors, not ln K")
def other_logarithm(importance):
    return 1 - (1 - weighted_score(importance)) * np.log(importance.shape[1]) / np.log(
        len(importance)
    )


which_model = Exercise(
    "which-model",
    chapter="09",
    hint="Leave out what is below 0.8; of the others, the largest mean over factors of the gap.",
    praise="one condition first, then one score: no single number says which codes to take",
)


@which_model.draw
def models(rng):
    """Eight traps and the answer, at 0.8 or above others, and never model 0 or 1."""
    entropy = rng.permutation([0.5, 1.0, 2.0, 4.0]) * rng.uniform(0.95, 1.05)
    information, rows = rng.uniform(0, 0.02, size=(9, 5, 4)), np.arange(4)
    for model, gap in ((0, 0.35), (1, 0.9), (4, 0.3), (5, 0.05), (7, 0.42)):
        information[model, rng.permutation(5)[:4], rows] = gap * entropy
    largest, smallest = entropy.argmax(), entropy.argmin()
    information[2, 0, largest] = 0.8 * entropy[largest]  # one gap, of many nats
    information[3, :, largest] += 0.9 * entropy[largest]  # all codes say the same
    information[6, :2] = 0.95 * entropy  # two codes share every factor
    information[7, :, largest] = 0.0  # three large gaps and none
    information[8, 0, smallest] = 0.98 * entropy[smallest]  # one gap, the largest of all
    answer = rng.choice([0.8, 0.86])
    informative = np.array([answer, 0.5, 0.9, 0.85, 0.82, 0.97, 0.88, 0.84, 0.83])
    order = rng.permutation(9)
    while np.flatnonzero(order == 0)[0] < 2:
        order = rng.permutation(9)
    return information[order], entropy, informative[order]


def chosen(gaps, enough) -> int:
    """Return the model of the largest gap among those that are informative enough."""
    return int(np.where(enough, gaps, -1.0).argmax())


def gaps_of(information, entropy):
    return np.array([mean_gap(of_one, entropy) for of_one in information])


@which_model.reference
def best_of_the_informative(information, entropy, informative):
    return chosen(gaps_of(information, entropy), informative >= 0.8)


@which_model.mistake("this model has the largest MIG, but has lost the traits: it is below 0.8")
def largest_gap(information, entropy, informative):
    return int(gaps_of(information, entropy).argmax())


@which_model.mistake("this is its place among the models that are left; wanted is its number")
def place_among_the_left(information, entropy, informative):
    return int(gaps_of(information, entropy)[informative >= 0.8].argmax())


@which_model.mistake("this model is the most informative; of those from 0.8 on, the MIG decides")
def most_informative(information, entropy, informative):
    return int(informative.argmax())


@which_model.mistake("each gap is divided by the entropy of its factor before the mean")
def gaps_in_nats(information, entropy, informative):
    return chosen(gaps_of(information, np.ones_like(entropy)), informative >= 0.8)


@which_model.mistake("the best and second best are codes, for each factor; here they are factors")
def ranked_over_the_factors(information, entropy, informative):
    gaps = gaps_of(information.swapaxes(1, 2), 1.0)
    return chosen(gaps, informative >= 0.8)


@which_model.mistake("at least 0.8: a model with exactly 0.8 may be taken")
def more_than(information, entropy, informative):
    return chosen(gaps_of(information, entropy), informative > 0.8)


@which_model.mistake("best less second best: in this model two codes share every factor")
def best_alone(information, entropy, informative):
    return chosen((information.max(axis=1) / entropy).mean(axis=1), informative >= 0.8)


@which_model.mistake("the mean of the gaps over all factors: in this model one factor has no gap")
def middle_gap(information, entropy, informative):
    ranked = np.sort(information, axis=1)
    gaps = np.median((ranked[:, -1] - ranked[:, -2]) / entropy, axis=1)
    return chosen(gaps, informative >= 0.8)
