"""The exercises of chapter 11: scaling out."""

import numpy as np

from lfm.checks.exercise import Exercise

numbers_to_send = Exercise(
    "numbers-to-send",
    chapter="11",
    hint="Of each component Σ r, Σ r x and Σ r xxᵀ; of all data together N and H[q].",
    praise="the same for a thousand data and for 10¹⁰",
)


@numbers_to_send.draw
def sizes(rng):
    return int(rng.integers(1, 30)), int(rng.integers(2, 40))


@numbers_to_send.reference
def upper_triangles(k, d):
    return k * (1 + d + d * (d + 1) // 2) + 2


@numbers_to_send.mistake("r xxᵀ is symmetric: its upper triangle says all, D (D + 1)/2 numbers")
def whole_matrices(k, d):
    return k * (1 + d + d * d) + 2


@numbers_to_send.mistake("N and the entropy are missing: without them nobody can tell the bound")
def totals_forgotten(k, d):
    return k * (1 + d + d * (d + 1) // 2)


@numbers_to_send.mistake("the N_k are missing: a mean is a sum divided by a count")
def counts_forgotten(k, d):
    return k * (d + d * (d + 1) // 2) + 2


merge_scatter = Exercise(
    "merge-scatter",
    chapter="11",
    hint=(
        "Write Σ (x - m)(x - m)ᵀ about the common mean m, part by part; m lies between m₁ and m₂."
    ),
    praise="and no digits are lost, however far from zero the data lie",
)


@merge_scatter.draw
def two_parts(rng):
    parts = [rng.normal(i, 1 + i, size=(n, 3)) for i, n in enumerate((40, 7))]
    means = [x.mean(axis=0) for x in parts]
    scatters = [(x - m).T @ (x - m) for x, m in zip(parts, means, strict=True)]
    return len(parts[0]), means[0], scatters[0], len(parts[1]), means[1], scatters[1]


def merged(n1, mean1, scatter1, n2, mean2, scatter2, *, weight=None):
    weight = n1 * n2 / (n1 + n2) if weight is None else weight
    apart = mean1 - mean2
    return scatter1 + scatter2 + weight * np.outer(apart, apart)


@merge_scatter.reference
def about_the_common_mean(n1, mean1, scatter1, n2, mean2, scatter2):
    return merged(n1, mean1, scatter1, n2, mean2, scatter2)


@merge_scatter.mistake(
    "each part was measured about its own mean: that the means differ is missing"
)
def means_taken_for_equal(n1, mean1, scatter1, n2, mean2, scatter2):
    return scatter1 + scatter2


@merge_scatter.mistake("the weight of the term between the means is n₁n₂/(n₁ + n₂), not n₁ + n₂")
def counts_for_weight(*parts):
    return merged(*parts, weight=parts[0] + parts[3])


@merge_scatter.mistake("the term between the means needs a weight: more data, more of it")
def no_weight(*parts):
    return merged(*parts, weight=1.0)


online_step = Exercise(
    "online-step",
    chapter="11",
    hint="s ← (1 - ρ) s + ρ (what one datum of the batch has on average), with ρ = t^-0.6.",
    praise="one pass, and memory for one batch",
)


@online_step.draw
def average_and_batch(rng):
    return (
        rng.normal(size=5),
        20 * rng.normal(size=5),
        int(rng.integers(10, 40)),
        int(rng.integers(2, 50)),
    )


@online_step.reference
def moved_average(average, batch_sum, n, t):
    rate = t**-0.6
    return (1 - rate) * average + rate * batch_sum / n


@online_step.mistake("the average is for one datum, and the batch's is a sum: divide it by n")
def sum_for_average(average, batch_sum, n, t):
    return moved_average(average, batch_sum, 1, t)


@online_step.mistake("the weights are exchanged: the new batch has ρ, the past 1 - ρ")
def weights_exchanged(average, batch_sum, n, t):
    return moved_average(batch_sum / n, average, 1, t)


@online_step.mistake("1 - ρ is missing: an average forgets, a sum grows")
def nothing_fades(average, batch_sum, n, t):
    return average + t**-0.6 * batch_sum / n


@online_step.mistake("with ρ = 1/t nothing is forgotten, the bad start neither: ρ = t^-0.6")
def one_over_t(average, batch_sum, n, t):
    return (1 - 1 / t) * average + batch_sum / n / t


average_gradients = Exercise(
    "average-gradients",
    chapter="11",
    hint="Back to sums first: a worker's mean times its count.",
    praise="and for equal counts it is the plain mean, which is why all workers get equal parts",
)


@average_gradients.draw
def means_and_counts(rng):
    return rng.normal(size=(4, 3)), rng.integers(1, 40, size=4)


@average_gradients.reference
def mean_over_data(gradients, counts):
    return counts @ gradients / counts.sum()


@average_gradients.mistake(
    "the mean of the means counts a datum of a small part for more than others"
)
def mean_of_means(gradients, counts):
    return gradients.mean(axis=0)


@average_gradients.mistake(
    "each is a mean already; their sum depends on how many workers there are"
)
def sum_of_means(gradients, counts):
    return gradients.sum(axis=0)


@average_gradients.mistake(
    "this is the gradient of the sum over data; divide by how many there are"
)
def sum_over_data(gradients, counts):
    return counts @ gradients
