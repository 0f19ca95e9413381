"""Bayes' rule for finitely many values, against its definition and scipy."""

import numpy as np
import pytest
import scipy.special

from lfm.engine.softmax import softmax

SCORES = np.random.default_rng(0).normal(size=(4, 7)) * 30


@pytest.mark.parametrize("offset", [0.0, 700.0, -1e5])
@pytest.mark.parametrize("axis", [0, 1])
def test_probabilities_and_the_two_parts_of_their_logarithm(axis, offset):
    scores = SCORES + offset
    before = scores.copy()
    r, shifted, log_norm = softmax(scores, axis)
    np.testing.assert_array_equal(scores, before)
    np.testing.assert_allclose(r, scipy.special.softmax(scores, axis), rtol=1e-9)
    np.testing.assert_allclose(r.sum(axis=axis), 1, rtol=1e-14)
    assert (shifted.max(axis=axis) == 0).all()
    assert log_norm.shape == (scores.shape[1 - axis],)
    log_r = scipy.special.log_softmax(scores, axis)
    np.testing.assert_allclose(shifted - np.expand_dims(log_norm, axis), log_r, rtol=1e-9)
    entropy = scipy.special.entr(r).sum(axis=axis)
    np.testing.assert_allclose(log_norm - (r * shifted).sum(axis=axis), entropy, atol=1e-12)


def test_the_values_are_along_the_first_axis_unless_told():
    np.testing.assert_array_equal(softmax(SCORES)[0], softmax(SCORES, 0)[0])
    r, _, log_norm = softmax(np.zeros((5, 2)))
    np.testing.assert_allclose(r, 0.2)
    np.testing.assert_allclose(log_norm, np.log(5))
