"""Measures of what a model is worth, on cases whose answer is known."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from lfm.evaluation import few_label_accuracy, match_factors

RNG = np.random.default_rng(0)
LABELS = RNG.integers(4, size=400)


def test_separable_classes_are_learned_from_one_label_each():
    x = np.eye(4)[LABELS] + 1e-3 * RNG.normal(size=(400, 4))
    assert few_label_accuracy(x, LABELS, 4, rng=0) == 1.0


def test_noise_is_learned_by_chance_alone():
    x = RNG.normal(size=(400, 5))
    found = np.mean([few_label_accuracy(x, LABELS, 40, rng=s) for s in range(20)])
    assert found == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_it_is_least_squares_on_the_labelled_data(ridge):
    x = np.eye(4)[LABELS] @ RNG.normal(size=(4, 6)) + RNG.normal(size=(400, 6))
    found = few_label_accuracy(x, LABELS, 60, rng=5, ridge=ridge)
    order = np.random.default_rng(5).permutation(400)
    train = np.concatenate([order[LABELS[order] == k][:15] for k in range(4)])
    test = np.setdiff1d(order, train)
    peer = Ridge(max(ridge, 1e-9)).fit(x[train], np.eye(4)[LABELS[train]])
    expected = (peer.predict(x[test]).argmax(1) == LABELS[test]).mean()
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.full((400, 2), np.nan)}, ValueError, "x has 800 values"),
        ({"labels": LABELS[:9]}, ValueError, r"labels has shape \(9,\); wanted \(400,\)"),
        ({"labels": LABELS.astype(str)}, TypeError, "labels holds"),
        ({"n_labels": 3}, ValueError, "n_labels is 3; wanted between 4 and 399"),
        ({"n_labels": 9.5}, TypeError, "n_labels is 9.5"),
        ({"ridge": -1.0}, ValueError, "ridge is -1.0"),
        ({"rng": None}, TypeError, "rng is None"),
    ],
)
def test_bad_input_is_named(change, error, message):
    good = {"x": np.ones((400, 2)), "labels": LABELS, "n_labels": 40, "rng": 0}
    with pytest.raises(error, match=message):
        few_label_accuracy(**(good | change))


def test_factors_are_matched_whatever_their_order_sign_and_scale():
    truth = RNG.normal(size=(300, 4))
    order, sign = np.array([2, 0, 3, 1]), np.array([1, -1, -1, 1])
    found = np.column_stack([3 * sign * truth[:, order] + 7, RNG.normal(size=(300, 2))])
    match = match_factors(found, truth)
    np.testing.assert_array_equal(order[match.order], np.arange(4))
    np.testing.assert_allclose(match.correlation, sign[match.order])


def test_matching_is_the_best_of_all():
    found, truth = RNG.normal(size=(30, 5)), RNG.normal(size=(30, 3))
    table = np.corrcoef(found.T, truth.T)[:5, 5:]
    best = max(
        itertools.permutations(range(5), 3), key=lambda p: np.abs(table[list(p), range(3)]).sum()
    )
    match = match_factors(found, truth)
    np.testing.assert_array_equal(match.order, best)
    np.testing.assert_allclose(match.correlation, table[list(best), range(3)])


def test_what_does_not_vary_matches_nothing():
    truth = RNG.normal(size=(30, 2))
    match = match_factors(np.column_stack([np.ones(30), truth[:, 1]]), truth)
    np.testing.assert_allclose(match.correlation, [0, 1], atol=1e-12)
