"""The exercises of chapter 00: latent factors."""

from math import factorial

import numpy as np

from lfm.checks.exercise import Exercise

number_of_settings = Exercise(
    "number-of-settings",
    chapter="00",
    hint="How many settings have 1, 2, 3 switches?",
    praise="each further switch doubles the number: with K = 40 it is over a million million",
)


@number_of_settings.draw
def number_of_factors(rng):
    return (int(rng.choice([1, 2, int(rng.integers(3, 16))])),)


@number_of_settings.reference
def settings(k):
    return 2**k


@number_of_settings.mistake(
    "2K counts the positions of the switches one by one; a setting fixes all K at once, and "
    "settings multiply"
)
def sum_of_values(k):
    return 2 * k


@number_of_settings.mistake("K is the number of switches; a setting fixes all K at once")
def switches(k):
    return k


@number_of_settings.mistake("this is 2 to the power K - 1: one switch is missing")
def one_switch_missing(k):
    return 2 ** (k - 1)


@number_of_settings.mistake(
    "K² counts pairs of switches; each switch doubles the number of settings"
)
def pairs_of_factors(k):
    return k**2


@number_of_settings.mistake("one is missing: all switches off is a setting too")
def all_off_forgotten(k):
    return 2**k - 1


@number_of_settings.mistake("in Python ^ is not a power but an exclusive or of bits; a power is **")
def exclusive_or(k):
    return 2 ^ k


@number_of_settings.mistake(
    "K! counts the orders in which the switches could stand; a setting says of each switch whether"
    " it is on"
)
def orders(k):
    return factorial(k)


@number_of_settings.mistake("this is 2 to the power K + 1: one switch too many")
def one_switch_too_many(k):
    return 2 ** (k + 1)


ancestral_sample = Exercise(
    "ancestral-sample",
    chapter="00",
    hint="x is a linear function of z, plus noise made from eps: draw no numbers of your own.",
    praise="the factors first, then the data given the factors",
)


@ancestral_sample.draw
def parameters_and_noise(rng):
    D, K = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    W, mean, var = rng.normal(size=(D, K)), rng.normal(size=D), rng.uniform(0.05, 4, D)
    return W, mean, var, rng.normal(size=K), rng.normal(size=D)


@ancestral_sample.reference
def story(W, mean, var, z, eps):
    return W @ z + mean + np.sqrt(var) * eps


@ancestral_sample.mistake(
    "the noise is multiplied by its variance; a standard normal number has to be multiplied by the"
    " standard deviation"
)
def variance_for_deviation(W, mean, var, z, eps):
    return W @ z + mean + var * eps


@ancestral_sample.mistake("the noise is not scaled: eps has variance 1, wanted is the variance var")
def noise_unscaled(W, mean, var, z, eps):
    return W @ z + mean + eps


@ancestral_sample.mistake(
    "the noise is divided by its standard deviation: that turns noise of variance var into eps, and"
    " here it is the other way round"
)
def noise_divided(W, mean, var, z, eps):
    return W @ z + mean + eps / np.sqrt(var)


@ancestral_sample.mistake("the term Wz is missing: without it x does not depend on the factors")
def factors_forgotten(W, mean, var, z, eps):
    return mean + np.sqrt(var) * eps


@ancestral_sample.mistake("the noise is subtracted; wanted is the mean of x given z plus the noise")
def noise_subtracted(W, mean, var, z, eps):
    return W @ z + mean - np.sqrt(var) * eps


@ancestral_sample.mistake("the mean is missing")
def mean_forgotten(W, mean, var, z, eps):
    return W @ z + np.sqrt(var) * eps


@ancestral_sample.mistake("the noise is missing: this is the mean of x given z, not a draw")
def noise_forgotten(W, mean, var, z, eps):
    return W @ z + mean


@ancestral_sample.mistake(
    "eps is missing: the standard deviation itself was added; it multiplies eps"
)
def deviation_added(W, mean, var, z, eps):
    return W @ z + mean + np.sqrt(var)


relative_contrast = Exercise(
    "relative-contrast",
    chapter="00",
    hint="Distances from x to each row, then how far the farthest is beyond the nearest.",
    praise="now try it on uniform points in 10, 100 and 1,000 dimensions",
)


def distances(points, x):
    return np.linalg.norm(points - x, axis=1)


@relative_contrast.draw
def points_and_x(rng):
    N, D = int(rng.integers(5, 40)), int(rng.integers(2, 7))
    return 3 * rng.random((N, D)) - 1, 3 * rng.random(D) - 1


@relative_contrast.reference
def contrast(points, x):
    d = distances(points, x)
    return (d.max() - d.min()) / d.min()


@relative_contrast.mistake(
    "this divides by the largest distance; the contrast is relative to the nearest"
)
def relative_to_the_farthest(points, x):
    d = distances(points, x)
    return (d.max() - d.min()) / d.max()


@relative_contrast.mistake(
    "this is the ratio of farthest to nearest; the contrast is what it exceeds 1 by"
)
def ratio(points, x):
    d = distances(points, x)
    return d.max() / d.min()


@relative_contrast.mistake(
    "this divides by the mean distance; the contrast is relative to the nearest"
)
def relative_to_the_mean(points, x):
    d = distances(points, x)
    return (d.max() - d.min()) / d.mean()


@relative_contrast.mistake("this is the difference of two distances; divide it by the smallest")
def not_relative(points, x):
    return np.ptp(distances(points, x))


@relative_contrast.mistake("these are squared distances; take the root first")
def squared_distances(points, x):
    squares = distances(points, x) ** 2
    return np.ptp(squares) / np.min(squares)


@relative_contrast.mistake(
    "these are sums over the points for each coordinate; a distance sums over the coordinates of"
    " one point (axis=1)"
)
def sums_over_the_points(points, x):
    d = np.linalg.norm(points - x, axis=0)
    return (d.max() - d.min()) / d.min()


@relative_contrast.mistake(
    "these are sums of absolute differences; a Euclidean distance is the root of a sum of squares"
)
def absolute_differences(points, x):
    d = np.abs(points - x).sum(axis=1)
    return (d.max() - d.min()) / d.min()


@relative_contrast.mistake("this compares lengths of the rows; wanted are their distances from x")
def lengths(points, x):
    return contrast(points, np.zeros_like(x))


@relative_contrast.mistake(
    "only the smallest distance was divided, and that gives 1: the difference needs brackets"
)
def brackets_forgotten(points, x):
    return distances(points, x).max() - 1


@relative_contrast.mistake(
    "these are largest differences of a coordinate; a Euclidean distance is the root of a sum of"
    " squares"
)
def largest_differences(points, x):
    d = np.abs(points - x).max(axis=1)
    return (d.max() - d.min()) / d.min()


@relative_contrast.mistake(
    "the smallest distance was left out, as if x were one of the points; no row equals x"
)
def nearest_left_out(points, x):
    d = np.sort(distances(points, x))
    return (d[-1] - d[1]) / d[1]


which_codes = Exercise(
    "which-codes",
    chapter="00",
    hint="For each set count the faces whose nearest other face has their label. Which set wins?",
    praise="so a metric can be chosen by experiment, without knowing what a column means",
)


@which_codes.draw
def sets_and_labels(rng):
    """Draw six sets of codes of 20 faces: in each the label shifts two columns, more or less.

    Each set has six pairs of equal codes; in one of the last four they are pairs of like label.
    Drawn again until one of these is the best set, and two measures drawn by lot from `blind`
    prefer other sets.
    """
    rivals = [blind[i] for i in rng.permutation(len(blind))[:2]]
    while True:
        labels = rng.permutation(np.arange(20) % 2)
        codes = rng.normal(size=(6, 20, 3))
        codes[..., :2] += rng.uniform(0, 2, (6, 1, 2)) * labels[:, None]
        codes *= rng.choice([0.4, 1, 2.5], (6, 1, 3))  # so that it matters to rescale the columns
        alike = rng.integers(2, 6)
        for i, z in enumerate(codes):
            kinds = [np.flatnonzero(labels == k) for k in (0, 1)] if i == alike else [np.arange(20)]
            for kind in kinds:
                one, other = rng.permutation(kind)[: 12 // len(kinds)].reshape(2, -1)
                z[one] = z[other]
        counts = agreements(codes, labels)
        best = int(counts.argmax())
        unique = best > 1 and (counts == counts[best]).sum() == 1
        if unique and all(rival(codes, labels) != best for rival in rivals):
            return codes, labels


def distances_within(codes):
    """Return the distances between the faces of each set, (M, N, N)."""
    return np.linalg.norm(codes[:, :, None] - codes[:, None], axis=-1)


def count(distances, labels):
    """Count for each set the faces whose nearest has their label, (M,)."""
    return (labels[distances.argmin(axis=-1)] == labels).sum(axis=-1)


def agreements(codes, labels):
    itself = np.eye(len(labels), dtype=bool)
    return count(np.where(itself, np.inf, distances_within(codes)), labels)


@which_codes.reference
def best_set(codes, labels):
    return int(agreements(codes, labels).argmax())


@which_codes.mistake(
    "each face is at distance 0 from itself and was its own nearest; leave out the face itself"
)
def itself_not_left_out(codes, labels):
    return int(count(distances_within(codes), labels).argmax())


@which_codes.mistake(
    "all faces at distance 0 were left out; leave out only the face itself, by its place: another"
    " face may have equal codes"
)
def twins_left_out(codes, labels):
    distances = distances_within(codes)
    return int(count(np.where(distances == 0, np.inf, distances), labels).argmax())


@which_codes.mistake(
    "the second in order of distance may be the face itself, where another face has equal codes;"
    " leave it out by its place"
)
def second_in_order(codes, labels):
    second = np.argsort(distances_within(codes), axis=-1)[..., 1]
    return int((labels[second] == labels).sum(axis=-1).argmax())


@which_codes.mistake("this is the set with the lowest count; wanted is the highest")
def lowest(codes, labels):
    return int(agreements(codes, labels).argmin())


@which_codes.mistake("the sets are counted from 0, as numpy counts")
def counted_from_one(codes, labels):
    return best_set(codes, labels) + 1


@which_codes.mistake("this is the highest count; wanted is the number of the set that has it")
def highest_count(codes, labels):
    return int(agreements(codes, labels).max())


@which_codes.mistake("this is the highest share; wanted is the number of the set that has it")
def highest_share(codes, labels):
    return agreements(codes, labels).max() / len(labels)


@which_codes.mistake("these are the counts; say which set has the highest")
def counts_of_all(codes, labels):
    return agreements(codes, labels)


@which_codes.mistake("these are faces and their farthest; wanted is the nearest")
def farthest(codes, labels):
    return int(count(-distances_within(codes), labels).argmax())


@which_codes.mistake("only one column was looked at; a distance takes all of them together")
def first_column(codes, labels):
    return best_set(codes[..., :1], labels)


def nearest_by(codes, labels, size):
    """Return the best set when `size` makes one distance of the differences in all columns."""
    apart = size(np.abs(codes[:, :, None] - codes[:, None]))
    return int(count(np.where(np.eye(len(labels), dtype=bool), np.inf, apart), labels).argmax())


@which_codes.mistake("this is the largest difference of a column; wanted is the Euclidean distance")
def largest_difference(codes, labels):
    return nearest_by(codes, labels, lambda a: a.max(axis=-1))


@which_codes.mistake("these are sums of absolute differences; wanted is the Euclidean distance")
def sums_of_differences(codes, labels):
    return nearest_by(codes, labels, lambda a: a.sum(axis=-1))


@which_codes.mistake(
    "this is the set whose faces have the nearest neighbours; the labels say whether they are right"
)
def nearest_neighbours(codes, labels):
    apart = distances_within(codes) + np.where(np.eye(len(labels), dtype=bool), np.inf, 0)
    return int(apart.min(axis=-1).mean(axis=-1).argmin())


@which_codes.mistake(
    "this is the smallest mean distance within a label; count the faces whose nearest has their"
    " label"
)
def mean_within_a_label(codes, labels):
    same = labels[:, None] == labels
    return int(distances_within(codes)[:, same].mean(axis=-1).argmin())


@which_codes.mistake(
    "the columns were rescaled first, and with them the distances; take the codes as they are given"
)
def columns_rescaled(codes, labels):
    return best_set(codes / codes.std(axis=1, keepdims=True), labels)


@which_codes.mistake("this asks more neighbours than one; only the one nearest counts")
def three_nearest(codes, labels):
    apart = distances_within(codes) + np.where(np.eye(len(labels), dtype=bool), np.inf, 0)
    votes = labels[np.argsort(apart, axis=-1)[..., :3]].sum(axis=-1) > 1.5
    return int((votes == labels).sum(axis=-1).argmax())


@which_codes.mistake(
    "this compares each face with the means of the labels; wanted is its nearest other face"
)
def nearest_mean(codes, labels):
    means = np.stack([codes[:, labels == k].mean(axis=1) for k in (0, 1)], axis=1)  # (M, 2, D)
    found = np.linalg.norm(codes[:, :, None] - means[:, None], axis=-1).argmin(axis=-1)
    return int((found == labels).sum(axis=-1).argmax())


@which_codes.mistake("this compares directions, by cosines; wanted is the Euclidean distance")
def by_cosines(codes, labels):
    unit = codes / np.linalg.norm(codes, axis=-1, keepdims=True)
    return best_set(unit, labels)


@which_codes.mistake(
    "half of the faces were looked up among the other half; look up each among all others"
)
def half_and_half(codes, labels):
    n = len(labels) // 2
    found = labels[:n][distances_within(codes)[:, n:, :n].argmin(axis=-1)]
    return int((found == labels[n:]).sum(axis=-1).argmax())


blind = (first_column, largest_difference, sums_of_differences, nearest_neighbours)
blind += (columns_rescaled, by_cosines)
