"""The exercises of chapter 11: scaling out."""

import numpy as np

from lfm.checks.exercise import Exercise

numbers_to_send = Exercise(
    "numbers-to-send",
    chapter="11",
    hint="Of each component Σ r, Σ r x and Σ r x² (of each column); of all data together H[q].",
    praise="the same for a thousand data and for 10¹⁰",
)


@numbers_to_send.draw
def sizes(rng):
    return int(rng.integers(2, 30)), int(rng.integers(1, 40))


@numbers_to_send.reference
def sums_and_the_entropy(k, d):
    return k * (1 + 2 * d) + 1


@numbers_to_send.mistake(
    "this is for full covariances; a diagonal one needs Σ r x² of each column alone, D numbers"
)
def upper_triangles(k, d):
    return k * (1 + d + d * (d + 1) // 2) + 1


@numbers_to_send.mistake(
    "this is for full covariances, and with N; a diagonal one needs D sums of squares, and N is "
    "the sum of the N_k"
)
def as_in_the_chapter(k, d):
    return k * (1 + d + d * (d + 1) // 2) + 2


@numbers_to_send.mistake("one too many: N is the sum of the N_k and need not be sent")
def total_besides(k, d):
    return k * (1 + 2 * d) + 2


@numbers_to_send.mistake(
    "one too few: the entropy is missing, and without it nobody can tell the bound; or a count is, "
    "though N is not known, so that all K of the N_k are needed"
)
def entropy_forgotten(k, d):
    return k * (1 + 2 * d)


@numbers_to_send.mistake("the N_k are missing: a mean is a sum divided by a count")
def counts_forgotten(k, d):
    return 2 * k * d + 1


@numbers_to_send.mistake("the Σ r x² are missing: the variances have to be learned as well")
def squares_forgotten(k, d):
    return k * (1 + d) + 1


@numbers_to_send.mistake(
    "this counts the free parameters; wanted are the sums that they are learned from, and H[q]"
)
def free_parameters(k, d):
    return k - 1 + 2 * k * d


@numbers_to_send.mistake("one entropy for each component is too much: H[q] is one sum over all")
def entropy_of_each(k, d):
    return k * (2 + 2 * d)


@numbers_to_send.mistake("the N_k and the entropy are missing: these are Σ r x and Σ r x² alone")
def sums_alone(k, d):
    return 2 * k * d


@numbers_to_send.mistake("a variance for each column: Σ r x² is D numbers, not one")
def one_square(k, d):
    return k * (2 + d) + 1


@numbers_to_send.mistake("a diagonal covariance needs Σ r x² of each column, D numbers, not D²")
def full_squares(k, d):
    return k * (1 + d + d * d) + 1


merge_scatter = Exercise(
    "merge-scatter",
    chapter="11",
    hint=(
        "Write Σ (x - m)(x - m)ᵀ about the common mean m, part by part; m lies between m₁ and m₂. "
        "Where data lie near 10⁸, only differences of means keep their digits."
    ),
    praise="and no digits are lost, however far from zero the data lie",
)


@merge_scatter.draw
def two_parts(rng):
    # In some draws the data lie so far from zero that Σ xxᵀ has lost the scatter.
    far = rng.choice([0.0, 1e8])
    parts = [far + rng.normal(i, 1 + i, size=(n, 3)) for i, n in enumerate((40, 7))]
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


@merge_scatter.mistake(
    "right near zero, but where data lie near 10⁸ the sums Σ xxᵀ are near 10¹⁸, and subtracting "
    "them loses every digit of the scatter: use the difference of the means"
)
def by_raw_sums(n1, mean1, scatter1, n2, mean2, scatter2):
    mean = (n1 * mean1 + n2 * mean2) / (n1 + n2)
    raw = scatter1 + n1 * np.outer(mean1, mean1) + scatter2 + n2 * np.outer(mean2, mean2)
    return raw - (n1 + n2) * np.outer(mean, mean)


@merge_scatter.mistake("a scatter is a sum over the data: do not divide by n₁ + n₂")
def covariance(*parts):
    return merged(*parts) / (parts[0] + parts[3])


@merge_scatter.mistake(
    "the common mean is weighted by the counts; this is about the mean of the two means"
)
def about_the_middle(*parts):
    return merged(*parts, weight=(parts[0] + parts[3]) / 4)


@merge_scatter.mistake("the weight n₁n₂ still has to be divided by n₁ + n₂")
def weight_not_divided(*parts):
    return merged(*parts, weight=parts[0] * parts[3])


@merge_scatter.mistake("the term between the means is added: apart, they spread the data more")
def means_subtracted(*parts):
    return merged(*parts, weight=-parts[0] * parts[3] / (parts[0] + parts[3]))


@merge_scatter.mistake("scatters add as they are; this weights them by the counts, as covariances")
def weighted_scatters(n1, mean1, scatter1, n2, mean2, scatter2):
    return (n1 * scatter1 + n2 * scatter2) / (n1 + n2)


@merge_scatter.mistake(
    "the variances are right; off the diagonal the product of two differences is missing"
)
def squares_alone(n1, mean1, scatter1, n2, mean2, scatter2):
    weight = n1 * n2 / (n1 + n2)
    return scatter1 + scatter2 + weight * np.diag((mean1 - mean2) ** 2)


@merge_scatter.mistake("one number was added everywhere: the term is an outer product, (D, D)")
def inner_product(n1, mean1, scatter1, n2, mean2, scatter2):
    apart = mean1 - mean2
    return scatter1 + scatter2 + n1 * n2 / (n1 + n2) * (apart @ apart)


online_step = Exercise(
    "online-step",
    chapter="11",
    hint="s ← (1 - ρ) s + ρ (what one datum of the batch has on average), with ρ = t^-0.6.",
    praise="one pass, and memory for one batch",
)


@online_step.draw
def average_and_batch(rng):
    t = int(rng.choice([1, *rng.integers([2, 11, 50], [10, 50, 1000])]))
    return rng.normal(size=5), 20 * rng.normal(size=5), int(rng.integers(10, 40)), t


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


@online_step.mistake(
    "ρ = 1/t gives the plain average, which forgets the start slowly; here ρ = t^-0.6"
)
def one_over_t(average, batch_sum, n, t):
    return (1 - 1 / t) * average + batch_sum / n / t


@online_step.mistake(
    "this gives the first ten batches equal weights, as `scale.online` does; here ρ = t^-0.6 holds "
    "from the first one on"
)
def with_a_delay(average, batch_sum, n, t):
    step = one_over_t if t <= 10 else moved_average
    return step(average, batch_sum, n, t)


@online_step.mistake("the sign of the exponent: ρ = t^-0.6 falls with t")
def growing_rate(average, batch_sum, n, t):
    return (1 - t**0.6) * average + t**0.6 * batch_sum / n


@online_step.mistake("batches are counted from 1 by `t` already: this takes t + 1")
def counted_once_more(average, batch_sum, n, t):
    return moved_average(average, batch_sum, n, t + 1)


@online_step.mistake("this is the batch alone; the past counts with 1 - ρ")
def batch_alone(average, batch_sum, n, t):
    return batch_sum / n


@online_step.mistake("the average is of one datum already: only the sum is divided by n")
def both_divided(average, batch_sum, n, t):
    return moved_average(average / n, batch_sum, n, t)


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


@average_gradients.mistake("divide by how many data there are, not by how many workers")
def divided_by_workers(gradients, counts):
    return counts @ gradients / len(counts)


@average_gradients.mistake("each mean is divided by its count; multiply it, to have a sum again")
def divided_by_counts(gradients, counts):
    return (gradients / counts[:, None]).sum(axis=0)


@average_gradients.mistake("the sum of the means is divided by all data; multiply by counts first")
def sum_of_means_over_data(gradients, counts):
    return gradients.sum(axis=0) / counts.sum()


@average_gradients.mistake("the weights are the inverse counts; more data count for more")
def inverse_counts(gradients, counts):
    return mean_over_data(gradients, 1 / counts)


@average_gradients.mistake("the counts are squared: one factor makes a sum of a mean")
def counts_squared(gradients, counts):
    return mean_over_data(gradients, counts**2)


how_many_processes = Exercise(
    "how-many-processes",
    chapter="11",
    hint="Work: the files of whoever has most, rounded up. Waiting: 2 (P - 1) trips. Try every P.",
    praise="more is not faster: you weighed the work saved against the way round the ring",
)


@how_many_processes.draw
def rows_files_and_trips(rng):
    """Draw again until the rivals, each right in some cases, choose other numbers.

    In one draw of three two are best: a third would save less than the trips that it adds. In one
    of three all that may be had are best, and one more would be better still. In half of the others
    all of the best number of processes have equally many files.
    """
    kind, rivals = rng.choice(["few", "all", "any"]), [files_cut, in_a_tree, as_many_as_allowed]
    rivals += [rounded_down] if rng.random() < 0.5 else []
    while True:
        files, most = int(rng.integers(20, 200)) * 12, int(10 ** rng.uniform(1, 3.5))
        rows, v = float(round(10 ** rng.uniform(6, 10))), 1e6 * rng.uniform(1, 4)
        trip = 0.15 * rows / v if kind == "few" else 10 ** rng.uniform(-4, -2)
        if kind == "all":
            most = shortest(rows, files, v, trip, most) // 2
        given = rows, files, v, float(trip), most
        times = np.sort(an_iteration(np.arange(1, most + 1), *given[:4]))
        chosen = {rival(*given) for rival in rivals}
        clear = most > 2 and times[1] > 1.0001 * times[0]
        if kind == "all":
            clear = clear and shortest(*given[:4], most + 1) == most + 1
            clear = clear and shortest(*given) == most
        if clear and (kind != "any" or shortest(*given) not in chosen):
            return given


def an_iteration(P, rows, files, v, trip):
    return np.ceil(files / P) * rows / files / v + 2 * (P - 1) * trip


def fastest(time, most) -> int:
    return int(time(np.arange(1, most + 1)).argmin()) + 1


@how_many_processes.reference
def shortest(rows, files, v, trip, most):
    return fastest(lambda P: an_iteration(P, rows, files, v, trip), most)


@how_many_processes.mistake(
    "√(rows/(2 v trip)) is for files that can be cut; here whoever has one more is waited for: "
    "round up"
)
def files_cut(rows, files, v, trip, most):
    return fastest(lambda P: rows / (P * v) + 2 * (P - 1) * trip, most)


@how_many_processes.mistake(
    "the number of files per process was rounded down: the iteration waits for whoever has most"
)
def rounded_down(rows, files, v, trip, most):
    return fastest(lambda P: np.floor(files / P) * rows / files / v + 2 * (P - 1) * trip, most)


@how_many_processes.mistake(
    "this is a tree's exchange; here the messages go round a ring, 2 (P - 1)"
)
def in_a_tree(rows, files, v, trip, most):
    def time(P):
        return np.ceil(files / P) * rows / files / v + 2 * np.ceil(np.log2(P)) * trip

    return fastest(time, most)


@how_many_processes.mistake("as many as there may be: the exchange takes longer with each process")
def as_many_as_allowed(rows, files, v, trip, most):
    return most


@how_many_processes.mistake(
    "the exchange is missing: this is where more processes leave the work as it is"
)
def exchange_forgotten(rows, files, v, trip, most):
    return fastest(lambda P: np.ceil(files / P), most)


@how_many_processes.mistake(
    "once round for the sum and once more for the result: 2 (P - 1) messages"
)
def once_round(rows, files, v, trip, most):
    return shortest(rows, files, v, trip / 2, most)


@how_many_processes.mistake("this is the time of the iteration; wanted is the number of processes")
def the_time(rows, files, v, trip, most):
    return float(an_iteration(np.arange(1, most + 1), rows, files, v, trip).min())


@how_many_processes.mistake("one too few: numpy counts from 0, processes from 1")
def counted_from_zero(rows, files, v, trip, most):
    return shortest(rows, files, v, trip, most) - 1


@how_many_processes.mistake("`most` itself may be taken, too: range(1, most) ends before it")
def most_left_out(rows, files, v, trip, most):
    return shortest(rows, files, v, trip, most - 1)


@how_many_processes.mistake(
    "you stop at the first P that the next does not beat; with whole files a later one may: try all"
)
def first_rise(rows, files, v, trip, most):
    times = an_iteration(np.arange(1, most + 2), rows, files, v, trip)
    stops = np.flatnonzero(times[1:] >= times[:-1])
    return int(stops[0]) + 1 if len(stops) and stops[0] < most else most


@how_many_processes.mistake("this is more than `most`: one too many was tried")
def one_more_than_allowed(rows, files, v, trip, most):
    return shortest(rows, files, v, trip, most + 1)


@how_many_processes.mistake("this is the slowest number of processes; wanted is the fastest")
def slowest(rows, files, v, trip, most):
    return fastest(lambda P: -an_iteration(P, rows, files, v, trip), most)
