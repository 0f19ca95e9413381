"""What the promises are measured with: parameters that are moved, densities that are summed."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm, t

from lfm.checks import probe


def test_a_covariance_or_a_stack_of_them_has_cholesky_factors_and_nothing_else():
    cov = np.array([[4.0, 2.0], [2.0, 5.0]])
    np.testing.assert_allclose(probe._cholesky(cov), [[2, 0], [1, 2]])
    np.testing.assert_allclose(probe._cholesky(np.stack([cov] * 3))[2], [[2, 0], [1, 2]])
    for other in (cov[0], cov[:1], np.stack([cov] * 3)[:, :1], -cov, np.triu(cov)):
        assert probe._cholesky(other) is None


@dataclass(frozen=True)
class Made:
    at: float
    weights: np.ndarray
    name: str = "mine"


class Plain:
    def __init__(self, at, cov):
        if at < 0:
            raise ValueError("no")
        self.at, self.cov = at, cov


Pair = namedtuple("Pair", ["at", "n"])


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (Made(1.0, np.ones(2)), ["at", "weights"]),
        (Plain(1.0, np.eye(2)), ["at", "cov"]),
        (Pair(1.0, 3), ["at"]),
        (Made(1.0, np.ones(0)), ["at"]),
        (Made(1.0, np.ones(2, int)), ["at"]),
        (object(), []),
        ({"at": 1.0}, []),
    ],
)
def test_parameters_are_the_fields_of_real_numbers(model, names):
    assert list(probe.parameters(model)) == names


@pytest.mark.parametrize("model", [Made(1.0, np.ones(2)), Plain(1.0, np.eye(2)), Pair(1.0, 3)])
def test_one_field_is_replaced_and_the_rest_is_kept(model):
    other = probe.replaced(model, "at", np.array(2.0))
    assert type(other) is type(model)
    assert type(other.at) is float
    assert (other.at, model.at) == (2.0, 1.0)
    kept = [name for name in probe.parameters(model) if name != "at"]
    assert all(getattr(other, name) is getattr(model, name) for name in kept)


def test_a_value_that_is_refused_gives_none():
    assert probe.replaced(Plain(1.0, np.eye(2)), "at", -1.0) is None


SHAPES = {
    "a simplex": np.array([0.2, 0.3, 0.5]),
    "a covariance": np.array([[2.0, 0.5], [0.5, 1.0]]),
    "covariances": np.stack([np.eye(2), 3 * np.eye(2)]),
    "variances": np.array([0.5, 2.0, 1.0]),
    "means": np.array([[0.0, -1.0, 3.0]]),
    "a number": np.array(-2.0),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_moved_stays_what_it_is(kind):
    value = SHAPES[kind]
    moves = probe.moves(value, 1.0, np.random.default_rng(0))
    assert len(moves) >= 1
    for _, move in moves:
        np.testing.assert_allclose(move(0.0), value, rtol=1e-12)
        new = np.asarray(move(0.1))
        assert new.shape == value.shape
        if kind == "a simplex":
            assert new.sum() == pytest.approx(1)
        elif "covariance" in kind:
            np.testing.assert_allclose(new, new.mT)
            np.linalg.cholesky(new)
        elif kind == "variances":
            assert (new > 0).all()
    farther = [np.abs(np.asarray(move(0.1)) - value).max() for _, move in moves]
    assert max(farther) > 1e-3


def test_parameters_that_are_all_alike_are_moved_alike():
    for _, move in probe.moves(np.full((3, 2), 0.5), 1.0, np.random.default_rng(0)):
        assert len(np.unique(move(0.1), axis=0)) == 1


@dataclass(frozen=True)
class Hill:
    """A model whose bound is a parabola, highest at -3."""

    at: float

    def lower_bound(self, stats):
        return -((self.at + 3.0) ** 2)


def test_a_rise_is_as_high_as_the_top_and_none_where_there_is_none():
    rng = np.random.default_rng(0)
    assert probe.rise(Hill(-3.0), None, "at", rng, 1.0) == (0.0, "")
    found, _ = probe.rise(Hill(-2.9), None, "at", rng, 1.0)
    assert found == pytest.approx(0.1**2)


@pytest.mark.parametrize("density", [norm(2.0, 3.0), t(3, 2.0, 1.5), norm(1e6, 0.1)])
def test_weights_integrate_a_density_and_have_its_moments(density):
    y = density.rvs(size=(500, 1), random_state=0)
    rng = np.random.default_rng(1)
    u, w = probe.weighed(lambda u: density.logpdf(u[:, 0]), y, rng)
    error = w.std() / np.sqrt(len(w))
    assert w.mean() == pytest.approx(1, abs=5 * error)
    assert error < 0.03
    assert (w * u[:, 0]).mean() / w.mean() == pytest.approx(density.mean(), abs=0.1 * density.std())
