"""Bayes' rule for a factor of finitely many values, with what its entropy needs, almost free."""

import numpy as np

Array = np.ndarray


def softmax(
    scores: Array, axis: int = 0, *, out: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return r = e^score / Σ e^score along an axis, and the two parts of ln r = shifted - log_norm.

    The entropy Σ_n H[r_n] is then Σ_n log_norm_n - Σ r · shifted: no second logarithm of each r.
    `out` takes the shifted scores, as in numpy, and may be `scores`.
    """
    shifted = np.subtract(scores, scores.max(axis=axis, keepdims=True), out=out)
    r = np.exp(shifted)
    norm = r.sum(axis=axis, keepdims=True)  # from 1 to K
    r /= norm
    return r, shifted, np.log(norm).ravel()
