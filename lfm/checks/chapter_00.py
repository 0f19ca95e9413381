"""The exercises of chapter 00: latent factors."""

import numpy as np

from lfm.checks.exercise import Exercise

number_of_causes = Exercise(
    "number-of-causes",
    chapter="00",
    hint="How many settings have 1, 2, 3 switches?",
    praise="and so a sum over all settings is hopeless from K = 40 on",
)


@number_of_causes.draw
def number_of_factors(rng):
    return (int(rng.integers(1, 12)),)


@number_of_causes.reference
def settings(k):
    return 2**k


@number_of_causes.mistake(
    "2K counts the values of the factors one by one; a cause is a setting of all K at once, and "
    "settings multiply"
)
def sum_of_values(k):
    return 2 * k


@number_of_causes.mistake("K² counts pairs; each factor doubles the number of settings")
def pairs_of_factors(k):
    return k**2


@number_of_causes.mistake("one is missing: all factors off is a setting too")
def all_off_forgotten(k):
    return 2**k - 1


ancestral_sample = Exercise(
    "ancestral-sample",
    chapter="00",
    hint="x is a linear function of z, plus noise.",
    praise="the factors first, then the data given the factors",
)


@ancestral_sample.draw
def parameters_and_noise(rng):
    W, mean, var = rng.normal(size=(5, 2)), rng.normal(size=5), rng.uniform(0.5, 3, 5)
    return W, mean, var, rng.normal(size=2), rng.normal(size=5)


@ancestral_sample.reference
def story(W, mean, var, z, eps):
    return W @ z + mean + np.sqrt(var) * eps


@ancestral_sample.mistake(
    "the noise is multiplied by its variance; a standard normal number has to be multiplied by the"
    " standard deviation"
)
def variance_for_deviation(W, mean, var, z, eps):
    return W @ z + mean + var * eps


@ancestral_sample.mistake("the mean is missing")
def mean_forgotten(W, mean, var, z, eps):
    return W @ z + np.sqrt(var) * eps


@ancestral_sample.mistake("the noise is missing: this is the mean of x given z, not a draw")
def noise_forgotten(W, mean, var, z, eps):
    return W @ z + mean


relative_contrast = Exercise(
    "relative-contrast",
    chapter="00",
    hint="Distances from x to each row, then how far the farthest is beyond the nearest.",
    praise="try it in 1,000 dimensions and see it go to zero",
)


def distances(points, x):
    return np.linalg.norm(points - x, axis=1)


@relative_contrast.draw
def points_and_x(rng):
    return rng.random((30, 4)), rng.random(4)


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


@relative_contrast.mistake("these are squared distances; take the root first")
def squared_distances(points, x):
    squares = distances(points, x) ** 2
    return np.ptp(squares) / np.min(squares)
