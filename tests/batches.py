"""Data for whatever takes them in batches, good and spoiled, and a model for them."""

import numpy as np

from lfm.gaussian_mixture import GaussianMixture

X = np.random.default_rng(0).normal(size=(40, 2))
MIXTURE = GaussianMixture([0.4, 0.6], [[0, 0], [1, 1]], [np.eye(2), 2 * np.eye(2)])


def spoiled(value):
    """Return the data with one value replaced."""
    x = X.copy()
    x[3, 1] = value
    return x
