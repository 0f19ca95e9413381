"""Checks of arguments: what is taken comes back as it was, and what is not is named."""

import os
import warnings

import numpy as np
import pytest
import scipy.sparse
import torch

from lfm import bound, data, em, evaluation, gradients, training
from lfm.distributions import Categorical
from lfm.gaussian_mixture import GaussianMixture
from lfm.vae import VAE, BernoulliPixels, mlp
from lfm.variational_bayes import BayesianMixture, MixturePrior

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
