"""Rows in chunks: every row once, in order, and never more of them than fit."""

import numpy as np
import pytest

from lfm.engine import chunks, constants


def taken(n, row, **options):
    return [(s.start, s.stop, s.step) for s in chunks.rows(n, row, **options)]


def test_rows_are_cut_by_the_size_of_a_row(monkeypatch):
    monkeypatch.setattr(constants, "CHUNK_BYTES", 800)
    assert taken(23, 10) == [(0, 10, None), (10, 20, None), (20, 23, None)]  # 80 bytes a row
    assert taken(20, 10) == [(0, 10, None), (10, 20, None)]
    assert taken(9, 100) == [(0, 4, None), (4, 8, None), (8, 9, None)]  # four at least
    assert taken(7, 10, size=3) == [(0, 3, None), (3, 6, None), (6, 7, None)]
    assert taken(2, 0, size=5) == [(0, 2, None)]
    assert taken(0, 10) == []


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_results_of_chunks_lie_one_below_the_other(shape, monkeypatch):
    monkeypatch.setattr(constants, "CHUNK_BYTES", 160)
    a, b = np.arange(23.0), np.arange(23) ** 2
    seen = []

    def work(x, y):
        seen.append(len(x))
        assert len(x) == len(y)
        return np.multiply.outer(x + y, np.ones(shape)).astype(np.float32)

    found = chunks.over(work, a, b, row=4)
    assert seen == [5, 5, 5, 5, 3]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.multiply.outer(a + b, np.ones(shape)))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, float])
def test_rows_about_an_origin_are_differences_in_double_precision(dtype, monkeypatch):
    monkeypatch.setattr(constants, "CHUNK_BYTES", 160)
    x = np.random.default_rng(0).integers(200, size=(23, 4)).astype(dtype)
    origin = np.array([0.1, 300.0, -2.0, 1.0])
    parts = list(chunks.centred(x, origin))
    assert [(s.start, s.stop) for s, _ in parts] == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
    assert {y.dtype for _, y in parts} == {np.dtype(float)}
    np.testing.assert_array_equal(np.vstack([y for _, y in parts]), x.astype(float) - origin)


def test_an_origin_is_the_mean_of_the_first_rows(monkeypatch):
    monkeypatch.setattr(constants, "ORIGIN_ROWS", 10)
    x = np.random.default_rng(0).integers(200, size=(23, 4)).astype(np.uint8)
    found = chunks.origin(x)
    assert found.dtype == float
    np.testing.assert_allclose(found, x[:10].astype(float).mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(chunks.origin(x[:7]), x[:7].astype(float).mean(axis=0), rtol=1e-15)
