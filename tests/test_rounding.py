"""What of a variance is rounding: each limit is met on both of its sides."""

import numpy as np
import pytest

from lfm.engine import constants
from lfm.engine.rounding import collapse, filled, least_noise, unrounded

EPS = np.finfo(float).eps


def test_a_variance_that_rounding_alone_makes_is_none():
    mean = np.array([1e3, -1e3, 0.0, 2.0])
    limit = (8 * EPS * mean) ** 2
    np.testing.assert_array_equal(unrounded(limit, mean), 0)
    np.testing.assert_array_equal(unrounded(2 * limit, mean), 2 * limit)
    assert unrounded(np.array([1e-300]), np.zeros(1))[0] == 1e-300


def test_a_constant_column_has_the_mean_of_the_others():
    np.testing.assert_array_equal(filled(np.array([0.0, 2.0, 4.0, 0.0])), [3.0, 2.0, 4.0, 3.0])
    np.testing.assert_array_equal(filled(np.array([1e-300, 0.0])), 1e-300)
    np.testing.assert_array_equal(filled(np.zeros(3)), 1.0)


def test_the_least_noise_is_a_share_of_the_variance_or_what_rounding_makes():
    var, mean = np.array([4.0, 0.0, 2.0]), np.array([1.0, 1.0, -1e15])
    found = least_noise(var, mean)
    np.testing.assert_allclose(found[:2], [4e-6, 3e-6], rtol=1e-12)
    assert found[2] == pytest.approx((8 * EPS * 1e15) ** 2, rel=1e-12)


def test_a_sound_covariance_has_not_collapsed():
    for cov in (np.eye(3), np.diag([1e-300, 1.0, 1e200]), np.array([[2.0, 1.9], [1.9, 2.0]])):
        assert collapse(cov, np.zeros(len(cov)), 1e-150) is None
    assert collapse(np.eye(2) * 1e-20, np.zeros(2), np.full(2, 1e9)) is None  # a share of 1e-19


def test_a_column_without_variance_is_named():
    cov = np.diag([1.0, 1.0, 0.0])
    assert collapse(cov, np.zeros(3), 1.0) == "has no variance in column 2"
    limit = np.array([1.0, (4 * EPS * 1e3) ** 2])  # a mean of 1000, stored to EPS
    for sign in (1, -1):
        mean = np.array([0.0, sign * 1e3])
        assert collapse(np.diag(limit), mean, 0.0) == "has no variance in column 1"
        assert collapse(np.diag([1.0, 1.1 * limit[1]]), mean, 0.0) is None
    spread = np.array([1e5, 1.0])  # of all data: a share of 1e-20 is nothing
    assert collapse(np.diag([0.9e-30, 1.0]), np.zeros(2), spread) == "has no variance in column 0"
    assert collapse(np.diag([1.1e-30, 1.0]), np.zeros(2), spread) is None
    tiny = np.finfo(float).tiny
    assert collapse(np.diag([1.0, tiny]), np.zeros(2), 0.0) == "has no variance in column 1"
    assert collapse(np.diag([1.0, 2 * tiny]), np.zeros(2), 0.0) is None


@pytest.mark.parametrize("units", [[1.0, 1.0], [1e-8, 1e9]])
def test_a_plane_of_fewer_dimensions_is_told_in_any_units(units):
    units = np.array(units)
    for gap, flat in ((0.5 * constants.SINGULAR, True), (2 * constants.SINGULAR, False)):
        corr = np.array([[1.0, 1.0 - gap], [1.0 - gap, 1.0]])  # its least eigenvalue is the gap
        found = collapse(corr * np.outer(units, units), np.zeros(2), 0.0)
        assert found == ("lies in a plane of fewer dimensions" if flat else None)
