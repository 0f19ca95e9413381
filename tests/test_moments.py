"""N, mean and scatter: those of the data, whichever way they are kept, joined or whole."""

import numpy as np
import pytest

from lfm.engine.moments import Moments
from lfm.factor_analysis import FactorAnalysis


def cov_of(model):
    return model.loadings @ model.loadings.T + np.diag(model.noise)


def blobs(n, seed=0):
    rng = np.random.default_rng(seed)
    centres = 30 + 2.5 * rng.normal(size=(6, 4))
    return centres[rng.integers(6, size=n)] + rng.normal(size=(n, 4))


@pytest.mark.parametrize("shape", [(50, 4), (5000, 3), (9, 40), (7, 7), (1, 5)])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_moments_are_those_of_the_data(shape, offset):
    x = np.random.default_rng(0).normal(size=shape) + offset
    m = Moments.of(x)
    y = x - x.mean(axis=0)
    tol = 1e-9 if offset else 1e-12
    a = np.random.default_rng(1).normal(size=(shape[1], 3))
    np.testing.assert_allclose(m.mean, x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(m.times(a), y.T @ (y @ a), atol=tol * shape[0] * 10)
    np.testing.assert_allclose(m.squares(), np.square(y).sum(axis=0), atol=tol * shape[0] * 10)


def test_few_and_many_rows_give_the_same_fit():
    """Fewer data than columns go another way; where both ways are open they agree."""
    x = np.random.default_rng(0).normal(size=(30, 31)) @ np.diag(np.linspace(0.5, 3, 31))
    few = Moments.of(x)
    assert few.scatter is None
    y = x - x.mean(axis=0)
    many = Moments(30, x.mean(axis=0), y.T @ y, None)
    for isotropic in (False, True):
        a, b = (FactorAnalysis.init(m, 3, isotropic=isotropic) for m in (few, many))
        np.testing.assert_allclose(cov_of(a), cov_of(b), atol=1e-9)
        for _ in range(5):
            a, b = a.learn(a.expect(few, a.infer(few))), b.learn(b.expect(many, b.infer(many)))
        np.testing.assert_allclose(cov_of(a), cov_of(b), atol=1e-8)


def test_an_iteration_touches_nothing_that_grows_with_the_data():
    for n in (100, 100_000):
        x = np.broadcast_to(np.random.default_rng(0).normal(size=(100, 5)), (n // 100, 100, 5))
        moments = Moments.of(x.reshape(n, 5))
        arrays = [v for v in vars(moments).values() if isinstance(v, np.ndarray)]
        assert sum(a.size for a in arrays) == 5 + 25


def test_moments_join_as_those_of_all_data():
    x = blobs(60)
    for sizes in ([1, 2], [1, 3, 30], [30, 1]):
        parts = np.split(x[: 2 * sum(sizes)], np.cumsum(sizes))
        joined = Moments.of(parts[0])
        for part in parts[1:]:
            joined = joined + Moments.of(part)
        whole = Moments.of(x[: 2 * sum(sizes)])
        assert joined.n == whole.n
        np.testing.assert_allclose(joined.mean, whole.mean, rtol=1e-13)
        np.testing.assert_allclose(joined.about(whole.mean), whole.about(whole.mean), rtol=1e-10)
    wide = [Moments.of(x.T[:2]), Moments.of(x.T[2:])]  # fewer data than columns: no D × D matrix
    assert (wide[0] + wide[1]).scatter is None
    a, b = (FactorAnalysis.init(m, 2) for m in (wide[0] + wide[1], x.T))
    np.testing.assert_allclose(a.loadings @ a.loadings.T, b.loadings @ b.loadings.T, atol=1e-10)
    with pytest.raises(ValueError, match="moments of 60 and 4 columns do not add"):
        Moments.of(x) + wide[0]


@pytest.mark.parametrize("shape", [(5000, 3), (9, 40), (7, 7)])
def test_what_is_kept_is_the_scatter_or_fewer_rows(shape):
    x = np.random.default_rng(0).normal(size=shape) + 3
    m, y = Moments.of(x), x - x.mean(axis=0)
    assert (m.n, m.mean.shape) == (shape[0], shape[1:])
    if shape[0] < shape[1]:
        assert m.scatter is None
        np.testing.assert_allclose(m.rows, y, atol=1e-13)
    else:
        assert m.rows is None
        np.testing.assert_allclose(m.scatter, y.T @ y, rtol=1e-10, atol=1e-9)
        np.testing.assert_array_equal(m.scatter, m.scatter.T)
    origin = np.linspace(-1, 2, shape[1])
    np.testing.assert_allclose(m.about(origin), (x - origin).T @ (x - origin), rtol=1e-9, atol=1e-9)
    centred = Moments.centred(x)
    assert (centred.n, centred.scatter) == (shape[0], None)
    np.testing.assert_allclose(centred.rows, y, atol=1e-13)
    np.testing.assert_allclose(centred.mean, m.mean, rtol=1e-13)


def test_no_square_is_negative():
    m = Moments(2, np.zeros(2), np.array([[-1e-20, 0.0], [0.0, 4.0]]), None)
    np.testing.assert_array_equal(m.squares(), [0.0, 4.0])


@pytest.mark.parametrize("shape", [(50, 6), (4, 9), (3, 9)])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_leading_directions_are_the_largest_of_the_covariance_in_these_units(shape, k):
    x = np.random.default_rng(1).normal(size=shape) * np.linspace(1, 4, shape[1]) + 7
    scale = np.linspace(0.5, 2, shape[1])
    lam, u = Moments.of(x).leading(k, scale)
    white = (x - x.mean(axis=0)) / scale
    cov = white.T @ white / len(x)
    expected = np.linalg.eigvalsh(cov)[::-1][:k]
    np.testing.assert_allclose(lam, expected, atol=1e-9)
    assert u.shape == (shape[1], k)
    used = lam > 1e-9
    assert used.sum() == min(k, shape[0] - 1)
    np.testing.assert_allclose(cov @ u[:, used], u[:, used] * lam[used], atol=1e-9)
    np.testing.assert_allclose(u[:, used].T @ u[:, used], np.eye(used.sum()), atol=1e-9)
    assert (lam >= 0).all()
    assert np.isfinite(u).all()


def test_moments_of_batches_keep_rows_while_they_are_few():
    x = np.random.default_rng(2).normal(size=(9, 5)) + 10
    a, b = Moments.of(x[:2]), Moments.of(x[2:4])
    few = a + b
    assert few.scatter is None
    np.testing.assert_allclose(few.rows, x[:4] - x[:4].mean(axis=0), atol=1e-13)
    for many in (few + Moments.of(x[4:]), few + Moments.of(x[4:5])):
        assert many.rows is None
        rows = x[: many.n] - x[: many.n].mean(axis=0)
        np.testing.assert_allclose(many.mean, x[: many.n].mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(many.scatter, rows.T @ rows, rtol=1e-10, atol=1e-12)
    with pytest.raises(TypeError):
        few + 1


def test_data_that_spoil_their_moments_are_named():
    bad = np.ones((6, 2))
    bad[4, 1] = np.nan
    for x, message in (
        (bad, r"x has 1 values that are not finite, the first \(nan\) at \[4, 1\]"),
        (bad[3:5].T @ np.ones((2, 7)), "x has 7 values that are not finite"),
        (np.array([[1e200, 1.0], [-1e200, 1.0], [0.0, 0.0]]), "x is too large to be squared"),
        (np.ones(3), r"x has shape \(3,\); wanted two dimensions"),
    ):
        with pytest.raises(ValueError, match=message):
            Moments.of(x)
