"""Bayes' rule for a factor of finitely many values, with the entropy that comes almost free."""

import numpy as np

Array = np.ndarray


def softmax(scores: Array, axis: int = 0) -> tuple[Array, Array]:
    """Return r = e^score / Σ e^score along an axis, and the entropies of r in nats.

    The entropy needs no second logarithm of each r: ln r = score - max - ln Σ e^(score - max).
    """
    scores = scores - scores.max(axis=axis, keepdims=True)
    r = np.exp(scores)
    norm = r.sum(axis=axis, keepdims=True)  # from 1 to K
    r /= norm
    inner = np.einsum("ij,ij->j" if axis == 0 else "ij,ij->i", r, scores)
    return r, np.log(norm).ravel() - inner
