"""Checks of arguments: what is taken comes back as it was, and what is not is named."""

import os
import warnings

import numpy as np
import pytest
import scipy.sparse
import torch

from lfm import bound, data, em, evaluation, gradients, training
from lfm.distributions import Bernoulli, Categorical, InverseWishart
from lfm.engine import constants, validate
from lfm.gaussian_mixture import GaussianMixture
from lfm.vae import VAE, BernoulliPixels, mlp
from lfm.variational_bayes import BayesianMixture, MixturePrior

X = np.array([[1.0, -2.0], [3.0, 0.5], [0.0, 4.0]])


def test_what_is_taken_comes_back_as_it_is():
    for check in (validate.numeric, validate.matrix, validate.data, validate.squarable):
        assert check(X, "x") is X
    assert validate.finite(X, "x") is X
    assert validate.data(X, "x", 2) is X
    assert validate.numeric(X > 0, "x").dtype == np.int8
    for dtype in (np.float16, np.longdouble):
        assert validate.numeric(X.astype(dtype), "x").dtype == np.float64
    for dtype in (np.float32, np.uint8, np.int64):
        assert validate.numeric(np.ones(3, dtype), "x").dtype == dtype
    swapped = validate.numeric(X.astype(X.dtype.newbyteorder()), "x")
    assert swapped.dtype.isnative
    np.testing.assert_array_equal(swapped, X)
    assert min(validate.numeric(X[::-1], "x").strides) > 0
    assert validate.double(np.float32(X), "x").dtype == np.float64
    grey = np.array([[0, 51, 255]], np.uint8)
    np.testing.assert_array_equal(validate.grey(grey, "x"), [[0, 0.2, 1]])
    assert validate.grey(X, "x") is X
    a, b = validate.aligned(np.float32(X), X[:, :1])
    assert (a.dtype, b.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(validate.labels_of([1, 2, 1], 3), [1, 2, 1])


def test_sums_that_overflow_do_not_accuse_numbers_that_are_finite():
    large = np.full(3, 1e308)
    assert validate.finite(large, "x") is large
    assert validate.unspoiled(1.0, X) is None
    for total in (np.nan, np.inf):
        with pytest.raises(ValueError, match="x is too large to be squared"):
            validate.unspoiled(total, X)
    limit = constants.LARGEST
    for sign in (1, -1):
        assert validate.squarable(np.array([sign * limit]), "x").size == 1
        with pytest.raises(ValueError, match="x is too large"):
            validate.squarable(np.array([sign * limit * 1.001]), "x")
    assert validate.squarable(np.zeros((0, 2)), "x").size == 0


def test_batches_are_told_from_one_array():
    for x in ([X, X], (X,), [[1.0], X], (b for b in [X]), {1: X}, map(abs, [X])):
        assert validate.is_stream(x)
    for x in (X, X.tolist(), [1, 2], torch.tensor(X), 3, None, scipy.sparse.csr_matrix(X)):
        assert not validate.is_stream(x)
    assert [len(b) for b in validate.batches([X, X[:1]])] == [3, 1]
    assert [b is X for b in validate.batches(X)] == [True]
    with pytest.raises(ValueError, match="batch 1 of y has 1 values that are not finite"):
        list(validate.batches([X, X * [[1, 1], [1, 1], [1, np.inf]]], "y"))
    with pytest.raises(ValueError, match="mine"):  # of the work, where the data are sound
        list(validate.over([X], lambda batch: (_ for _ in ()).throw(ValueError("mine"))))


def test_parameters_are_read_only_copies_of_their_shape():
    a = validate.parameter(X, "a", (None, 2))
    assert a is not X
    assert not a.flags.writeable
    row = validate.probabilities([0.25, 0.75], "p", (2,))
    assert row.tolist() == [0.25, 0.75]
    thirds = validate.probabilities(np.full((2, 3), 1 / 3, np.float32), "p", (None, 3))
    np.testing.assert_allclose(thirds.sum(axis=1), 1, rtol=1e-15)
    assert not thirds.flags.writeable
    off = np.array([0.5, 0.5 + 9e-9])
    np.testing.assert_array_equal(validate.probabilities(off, "p", (2,)), off)
    np.testing.assert_array_equal(validate.unit_interval([0.0, 1.0], "p", (2,)), [0, 1])
    assert validate.above(X, "a", -3.0, "numbers") is X
    assert validate.together(a=X, b=np.ones(2)) is None
    np.testing.assert_allclose(validate.cholesky(4 * np.eye(2), "c"), 2 * np.eye(2))


def test_numbers_names_and_switches_come_back_as_what_they_are():
    assert validate.count(np.int64(3), "k") == 3
    assert type(validate.count(np.int64(3), "k")) is int
    assert [validate.count(k, "k", 2, 4) for k in (2, 4)] == [2, 4]
    assert validate.count(0, "k", 0) == 0
    assert type(validate.scalar(1, "a")) is float
    assert validate.scalar(-1e300, "a") == -1e300
    assert validate.scalar(2, "a", 2.0) == 2
    assert validate.scalar(2.1, "a", 2.0, strict=True) == 2.1
    assert validate.switch(np.True_, "b") is True
    assert validate.text("t", "t") == "t"
    assert validate.sequence((1, 2), "s") == [1, 2]
    assert validate.kind(X, "x", np.ndarray) is X
    rng = np.random.default_rng(0)
    assert validate.generator(rng) is rng
    first = np.random.default_rng(7).integers(2**62)
    assert validate.torch_seed(np.int64(7)) == first
    assert validate.generator(0).random() == np.random.default_rng(0).random()


def test_places_are_absolute_and_folders_are_made(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert validate.path("~/a", "p") == tmp_path.resolve() / "a"
    monkeypatch.chdir(tmp_path)
    assert validate.path("a", "p") == tmp_path.resolve() / "a"
    assert validate.file_to_write(tmp_path / "b" / "c" / "f", "p").parent.is_dir()
    (tmp_path / "f").write_text("")
    assert validate.file_to_read(tmp_path / "f", "p", "a file") == tmp_path.resolve() / "f"
    assert validate.file_to_write("f", "p") == tmp_path.resolve() / "f"


PROBS = np.full((3, 2), 0.5)
LOOPED = np.array([[1.0, 0.5], [0.4, 1.0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: validate.numeric(None, "x"), TypeError, "x is None"),
        (lambda: validate.numeric(iter([1]), "x"), TypeError, "x is an iterator"),
        (lambda: validate.numeric(np.ma.array([1, 2], mask=[0, 1]), "x"), ValueError, "masked"),
        (lambda: validate.numeric([[1], [1, 2]], "x"), ValueError, "x is ragged"),
        (lambda: validate.numeric([1j], "x"), TypeError, "x holds complex128 values"),
        (lambda: validate.finite(X * np.nan, "x"), ValueError, r"x has 6 .*\(nan\) at \[0, 0\]"),
        (lambda: validate.matrix(X[0], "x"), ValueError, r"\(2,\); .*; reshape .* x\[:, None\]"),
        (lambda: validate.matrix(X[None], "x"), ValueError, r"\(1, 3, 2\); wanted .*\(N, D\)$"),
        (lambda: validate.matrix(X[:0], "x"), ValueError, "wanted at least one row"),
        (lambda: validate.matrix(X, "x", 3), ValueError, "x has 2 columns; wanted 3"),
        (lambda: validate.labels_of([1, 2], 3), ValueError, r"labels has shape \(2,\)"),
        (lambda: validate.aligned(X, X[:2]), ValueError, "factors has 2 rows; wanted 3"),
        (lambda: list(validate.over([], len)), ValueError, "x gave no batch"),
        (lambda: list(validate.over([X, X[:, :1]], len)), ValueError, "batch 1 of x has 1 col"),
        (lambda: validate.parameter(X, "a", (3, 3)), ValueError, r"\(3, 2\); wanted \(3, 3\)"),
        (lambda: validate.parameter(X, "a", (None,)), ValueError, r"wanted \(any\), not empty"),
        (lambda: validate.parameter([], "a", (None,)), ValueError, "not empty"),
        (lambda: validate.parameter([np.inf], "a", (1,)), ValueError, "not finite"),
        (lambda: validate.probabilities([-0.5, 1.5], "p", (2,)), ValueError, "negative value -0.5"),
        (lambda: validate.probabilities([0.5, 0.5001], "p", (2,)), ValueError, "off by 0.0001"),
        (lambda: validate.probabilities([0.5, 0.4999], "p", (2,)), ValueError, "off by 0.0001"),
        (lambda: validate.probabilities(PROBS.T, "p", (2, 3)), ValueError, r"off by 0.5"),
        (
            lambda: validate.unit_interval([-0.1, 2.0], "p", (2,)),
            ValueError,
            "p has the value -0.1",
        ),
        (lambda: validate.unit_interval([0.1, 2.0], "p", (2,)), ValueError, "p has the value 2;"),
        (lambda: validate.above(X, "a", -2.0, "sizes"), ValueError, "-2; wanted sizes, all > -2"),
        (lambda: validate.together(a=X, b=X.T), ValueError, r"a has .* and b has shape \(2, 3\)"),
        (lambda: validate.cholesky(LOOPED, "c"), ValueError, "c is not symmetric .* by 0.1"),
        (lambda: validate.cholesky(-np.eye(2), "c"), ValueError, "c is not positive definite.*-1"),
        (
            lambda: validate.cholesky(np.stack([np.eye(2), -np.eye(2)]), "c"),
            ValueError,
            r"c\[1\] is not positive definite",
        ),
        (
            lambda: validate.cholesky(np.stack([np.eye(2), LOOPED]), "c"),
            ValueError,
            r"c\[1\] is not symmetric",
        ),
        (lambda: validate.count(True, "k"), TypeError, r"k is True \(bool\)"),
        (lambda: validate.count(2.0, "k"), TypeError, r"k is 2.0 \(float\)"),
        (lambda: validate.count(0, "k"), ValueError, "k is 0; wanted at least 1"),
        (lambda: validate.count(5, "k", 2, 4), ValueError, "k is 5; wanted between 2 and 4"),
        (lambda: validate.count(1, "k", 2, 4), ValueError, "k is 1; wanted between 2 and 4"),
        (lambda: validate.count(2**70, "k"), ValueError, "wanted at least 1"),
        (lambda: validate.scalar(True, "a"), TypeError, "a is True"),
        (lambda: validate.scalar("1", "a"), TypeError, "a is '1'"),
        (lambda: validate.scalar(np.nan, "a"), ValueError, "a is nan; .* is finite$"),
        (lambda: validate.scalar(10**400, "a"), ValueError, "is finite$"),
        (lambda: validate.scalar(1.9, "a", 2.0), ValueError, "finite and >= 2"),
        (lambda: validate.scalar(2, "a", 2.0, strict=True), ValueError, "finite and > 2"),
        (lambda: validate.switch(1, "b"), TypeError, "b is 1; wanted True or False"),
        (lambda: validate.text(1, "t"), TypeError, "t is 1; wanted a text"),
        (lambda: validate.sequence("ab", "s"), TypeError, "s is str; wanted a list"),
        (lambda: validate.sequence(b"ab", "s"), TypeError, "s is bytes"),
        (lambda: validate.sequence({1}, "s"), TypeError, "s is set"),
        (lambda: validate.path(b"a", "p"), TypeError, "p is b'a'"),
        (lambda: validate.path(3, "p"), TypeError, "p is 3"),
        (lambda: validate.path("", "p"), ValueError, "p is ''"),
        (lambda: validate.path("a\0", "p"), ValueError, "wanted the name of a file"),
        (lambda: validate.path("~nosuch/x", "p"), ValueError, "which leads nowhere"),
        (lambda: validate.file_to_read("/", "p", "it"), IsADirectoryError, "a folder; wanted it"),
        (lambda: validate.file_to_read("/none", "p", "it"), FileNotFoundError, "wanted it"),
        (lambda: validate.file_to_write("/", "p"), IsADirectoryError, "is a folder"),
        (lambda: validate.file_to_write(__file__ + "/f", "p"), NotADirectoryError, "for f"),
        (lambda: validate.kind(3, "x", str), TypeError, "x is int; wanted a str"),
        (lambda: validate.one_of(3, "x", (str, list)), TypeError, "x is int; wanted a str or list"),
        (lambda: validate.counts([2, 0], "s"), ValueError, "s is 0; wanted at least 1"),
        (lambda: validate.log_table([np.nan], "t"), ValueError, r"t has NaN or \+inf"),
        (lambda: validate.log_table(0.0, "t"), ValueError, r"t has shape \(\); wanted \(..., K\)"),
        (lambda: validate.generator(True), TypeError, "rng is True"),
        (lambda: validate.generator(0.5, "seed"), TypeError, "seed is 0.5"),
        (lambda: validate.generator(-1), ValueError, "rng is -1; wanted a seed"),
    ],
)
def test_what_is_not_taken_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------ in use

GEYSER = data.old_faithful()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_probabilities_of_a_softmax_are_probabilities(dtype):
    torch.manual_seed(0)
    p = torch.softmax(torch.randn(1000, 10, dtype=torch.float64), 1).to(dtype)
    for q in (p, p.numpy()):
        probs = Categorical(q).probs
        np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-15)
        assert np.isfinite(bound.kl(q, probs)).all()
    weights = p[0] / p[0].sum()
    GaussianMixture(weights, np.zeros((10, 1)), np.ones((10, 1, 1)))
    with pytest.raises(ValueError, match="does not sum to 1"):
        Categorical(p.double() * 1.0001)
    with pytest.raises(ValueError, match="does not sum to 1"):
        Categorical(1.05 * p)


def forms(x):
    """Yield x in the forms that users have."""
    yield torch.tensor(x)
    with warnings.catch_warnings(action="ignore"):  # numpy's, that there is something better
        yield np.matrix(x)
    yield x[::-1][::1][::-1]
    yield np.asfortranarray(x)
    yield x.tolist()
    yield x.astype(x.dtype.newbyteorder())
    padded = np.full((2 * len(x), 2 * x.shape[1]), np.nan)
    padded[::2, ::2] = x
    yield padded[::2, ::2]


def test_a_prior_takes_data_in_every_form():
    want = MixturePrior.from_data(GEYSER, 2)
    for form in forms(GEYSER):
        prior = MixturePrior.from_data(form, 2)
        np.testing.assert_allclose(prior.mean, want.mean, rtol=1e-14)
        np.testing.assert_allclose(prior.scale, want.scale, rtol=1e-14)
        model = BayesianMixture.init(form, 2, rng=0)
        np.testing.assert_allclose(model.means, BayesianMixture.init(GEYSER, 2, rng=0).means)


def test_a_data_frame_is_taken_like_its_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(GEYSER, columns=["eruption", "wait"])
    for make in (BayesianMixture, GaussianMixture):
        np.testing.assert_allclose(
            make.init(frame, 2, rng=0).means, make.init(GEYSER, 2, rng=0).means
        )


def test_rows_and_columns_that_run_backwards_are_taken():
    x = np.random.default_rng(0).random((200, 16))
    vae = VAE.dense(16, 2, (8,), rng=0)
    for turned in (x[::-1], np.fliplr(x), np.flip(x)):
        straight = turned.copy()
        np.testing.assert_array_equal(
            evaluation.reconstruct(vae, turned), evaluation.reconstruct(vae, straight)
        )
        assert torch.equal(vae.infer(turned).mean, vae.infer(straight).mean)
        training.train(vae, turned, epochs=1, rng=0, validation=turned, progress=False)
        z, straight_z = turned[:, ::8], straight[:, ::8].copy()
        assert torch.equal(vae.likelihood(z).mean, vae.likelihood(straight_z).mean)
    values = np.arange(5.0)[::-1]
    assert gradients.monte_carlo(values).value == 2
    assert torch.equal(gradients.leave_one_out(values), gradients.leave_one_out(values.copy()))


def test_what_cannot_be_taken_is_named():
    model = GaussianMixture.init(GEYSER, 2, rng=0)
    tracked = torch.tensor(GEYSER, requires_grad=True)
    for call in (em.fit, lambda m, x: m.log_prob(x), lambda m, x: m.infer(x)):
        with pytest.raises(TypeError, match=r"x is a sparse matrix; wanted a dense array"):
            call(model, scipy.sparse.csr_matrix(GEYSER))
        with pytest.raises(TypeError, match=r"x is a Tensor that numpy does not take .*detach"):
            call(model, tracked)
        with pytest.raises(TypeError, match=r"x is a Tensor that numpy does not take"):
            call(model, torch.tensor(GEYSER).bfloat16())
    for make in (VAE.dense, lambda d, k, **o: VAE.dense(d, k, (3,), **o)):
        with pytest.raises(TypeError, match="encoder is BernoulliPixels; wanted a Gaussian"):
            make(4, 2, rng=0, encoder=BernoulliPixels)
    with pytest.raises(TypeError, match="encoder is BernoulliPixels; wanted a Gaussian"):
        VAE(BernoulliPixels(mlp([4, 4], rng=0)), BernoulliPixels(mlp([4, 4], rng=0)), 2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for call in (lambda: training.load(tmp_path / "pipe"),
                 lambda: training.save(VAE.dense(4, 2, (), rng=0), tmp_path / "pipe")):  # fmt: skip
        with pytest.raises(OSError, match="is a device or a pipe"):
            call()
    assert not (tmp_path / "pipe").is_file()


def test_covariances_of_float32_are_as_symmetric_as_they_can_be():
    z = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    r = np.random.default_rng(1).random((500, 1)).astype(np.float32)
    cov = np.linalg.inv((r * z).T @ z / 500).astype(np.float32)
    assert np.abs(cov - cov.T).max() > 1e-10 * np.abs(cov).max()
    for c in (cov, torch.tensor(cov)):
        model = GaussianMixture([1.0], np.zeros((1, 6)), c[None])
        np.testing.assert_array_equal(model.covs, model.covs.mT)
        InverseWishart(10.0, c).log_prob(c)
        assert bound.gaussian_kl(np.zeros(6), c, np.zeros(6), c) == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="not symmetric"):
        InverseWishart(10.0, cov.astype(float))
    with pytest.raises(ValueError, match="not symmetric"):
        InverseWishart(10.0, cov + np.triu(np.full((6, 6), 1e-3, np.float32), 1))


def test_switches_of_float32_may_be_rounded_above_1():
    p = np.array([[np.nextafter(np.float32(1), np.float32(2))]])
    assert Bernoulli(p).probs.max() == 1
    with pytest.raises(ValueError, match="from 0 to 1"):
        Bernoulli(p.astype(float))
