"""What of a variance is rounding, and what is left to be told apart from nothing."""

import numpy as np

from lfm.engine import constants

Array = np.ndarray


def unrounded(var: Array, mean: Array) -> Array:
    """Return variances with 0 for one that data so far from 0 have by rounding alone."""
    return np.where(var > np.square(constants.FAR * constants.EPS * mean), var, 0.0)


def filled(var: Array) -> Array:
    """Return variances with that of a constant column replaced by the mean of the others, or 1."""
    used = var > 0
    return np.where(used, var, var[used].mean() if used.any() else 1.0)


def least_noise(var: Array, mean: Array) -> Array:
    """Return the least noise variance allowed in columns of such variances and means (D,)."""
    rounded = np.square(constants.FAR * constants.EPS * mean)  # what the rounding of μ makes of it
    return np.maximum(constants.FLOOR * filled(var), rounded)


def collapse(cov: Array, mean: Array, spread: Array | float) -> str | None:
    """Say how a covariance (D, D) is singular to working precision, or return None.

    `spread` is the deviation of all data in each column (D,).
    """
    var = np.diagonal(cov)
    # Data near `mean` are only stored to EPS |mean|: a variance below that square is rounding.
    # Equal data and a trace of responsibility for others have less than that, where the mean is 0.
    least = np.maximum(4 * constants.EPS * np.abs(mean), constants.TRACE * spread)
    flat = var <= np.maximum(least**2, constants.TINY)
    if flat.any():
        return f"has no variance in column {flat.argmax()}"
    std = np.sqrt(var)
    # In standard units, so that it does not matter what the columns are measured in.
    if np.linalg.eigvalsh(cov / np.outer(std, std))[0] < constants.SINGULAR:
        return "lies in a plane of fewer dimensions"
    return None
