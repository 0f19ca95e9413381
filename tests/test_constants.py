"""The constants that are stated of floating point are what it has."""

import numpy as np
import torch

from lfm.engine import constants


def test_numbers_as_they_are_stored():
    assert 1 + constants.EPS > 1 == 1 + constants.EPS / 2
    assert constants.TINY > 0
    assert constants.TINY * constants.EPS / 2 == 0
    for name, step in constants.RESOLUTION.items():
        assert step == torch.finfo(getattr(torch, name)).eps
    assert set(constants.RESOLUTION) == {"float32", "float16", "bfloat16"}


def test_the_square_of_the_largest_can_be_added_up_a_million_times():
    square = constants.LARGEST**2
    assert np.isfinite(999_999 * square)
    with np.errstate(over="ignore"):
        assert not np.isfinite(1_000_100 * square)


def test_a_state_that_cannot_be_has_probability_0_and_no_nan():
    assert np.exp(constants.LOG_ZERO) == 0
    assert 0 * constants.LOG_ZERO == 0
    assert np.exp(-constants.LOG_ZERO - 2 * abs(constants.LOG_ZERO)) == 0


def test_limits_of_double_precision_are_above_its_rounding():
    assert 1 < constants.FAR < 100
    # A variance about an origin so far off keeps 1e-16 times the limit: ten digits.
    assert constants.EPS < constants.CANCEL_LIMIT * constants.EPS < 1e-10
    assert constants.SHARED_LIMIT * constants.EPS < 1e-9
    assert constants.EPS < constants.SINGULAR < constants.FLOOR < constants.SUSPECT < 1
    assert 0 < constants.TRACE < constants.EPS < constants.ROUNDING < constants.SWEEP_TOL < 1
    assert 2**constants.MOST_SWITCHES * 8 < constants.CHUNK_BYTES  # the states of one datum
    pairs = constants.SHARED_COLUMNS * (constants.SHARED_COLUMNS + 1) // 2
    assert constants.CACHE_BYTES / (8 * pairs) > 16  # rows of T(y) that a chunk still holds
    assert constants.ORIGIN_ROWS > 1 < constants.MARKED_ROWS
    assert constants.SWEEPS > 10
