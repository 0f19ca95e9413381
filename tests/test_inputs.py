"""What networks take: the same data mean the same in every form, and what is no data is named."""

import numpy as np
import pytest
import torch

from lfm import data, evaluation, training
from lfm.vae import VAE, BernoulliPixels, ConditionalVAE, DiagonalGaussian, mlp

BYTES = data.mnist().images[::20].reshape(-1, 784)


def conditional(beta=1.0, rng=0):
    """Return a conditional VAE of eight bits, given two numbers."""
    return ConditionalVAE(
        DiagonalGaussian(mlp([10, 16, 4], rng=rng), floor=0.0),
        BernoulliPixels(mlp([4, 16, 8], rng=rng + 1)), 2, 2, beta,
    )  # fmt: skip


def weights(vae):
    return torch.cat([w.detach().ravel() for w in vae.parameters()])


def pixels_in_every_form():
    """Yield (numbers, the same in other forms): grey values and bits."""
    grey, bits = BYTES / 255, BYTES > 127
    yield grey, [BYTES, torch.tensor(BYTES)]
    yield bits.astype(float), [bits, torch.tensor(bits), bits.astype(np.int8), bits.astype(int)]


def test_pixels_mean_the_same_to_training_evaluation_and_the_model():
    for x, forms in pixels_in_every_form():
        for form in forms:
            vae, other = (VAE.dense(784, 2, (16,), rng=0) for _ in range(2))
            for v, seen in ((vae, x), (other, form)):
                training.train(v, seen, epochs=1, rng=0, validation=seen, progress=False)
            assert torch.allclose(weights(vae), weights(other), atol=1e-6)
            array = form.numpy() if isinstance(form, torch.Tensor) else form
            eps = np.random.default_rng(0).normal(size=(1, len(x), 2))
            for score in (
                lambda v, a: evaluation.log_likelihood(v, a, 2, rng=0),
                lambda v, a: evaluation.reconstruct(v, a),
                lambda v, a: evaluation.kl_split(v, a[:50], rng=0),
                lambda v, a: evaluation.log_prob_on_a_grid(v, a[:9], points=9),
                lambda v, a: evaluation.gaps(v, a[:9], rng=0, steps=2, n_samples=3).network,
                lambda v, a, eps=eps: v.lower_bound(a, eps).detach(),
                lambda v, a: v.infer(a).mean.detach(),
            ):
                np.testing.assert_allclose(score(vae, array), score(vae, x), rtol=2e-4, atol=1e-4)
            np.testing.assert_allclose(  # tensors are not checked, and mean the same
                vae.lower_bound(torch.tensor(array), eps).detach(),
                vae.lower_bound(x, eps).detach(), rtol=2e-4,
            )  # fmt: skip


def test_what_is_given_to_a_conditional_vae_is_no_pixel():
    rng = np.random.default_rng(0)
    x, y = rng.random((300, 8)) < 0.5, rng.normal(size=(300, 2))
    for binarise in (False, True):
        vae, other = conditional(), conditional()
        for v, pixels in ((vae, x), (other, x.astype(float))):
            rows = np.hstack([pixels, y])
            training.train(v, rows, epochs=2, rng=0, binarise=binarise, progress=False)
        assert torch.equal(weights(vae), weights(other))
    run = training.Run(conditional(), np.hstack([x, y]), 16, 1e-3, 0, "cpu", binarise=True)
    drawn = run.drawn(run.x[:16], run.generator).numpy()
    assert set(np.unique(drawn[:, :8])) <= {0.0, 1.0}
    np.testing.assert_array_equal(drawn[:, 8:], y[:16].astype(np.float32))
    grey = rng.integers(256, size=(300, 10)).astype(np.uint8)  # in bytes, too
    seen = conditional().seen(grey).numpy()
    np.testing.assert_allclose(seen[:, :8], grey[:, :8] / 255, rtol=1e-6)
    np.testing.assert_array_equal(seen[:, 8:], grey[:, 8:])


def test_bytes_of_0_and_1_are_questioned():
    bits = (BYTES > 127).astype(np.uint8)
    vae = VAE.dense(784, 2, (4,), rng=0)
    for call in (
        lambda: training.train(vae, bits, epochs=1, rng=0),
        lambda: evaluation.log_likelihood(vae, bits, 1, rng=0),
        lambda: vae.infer(bits),
    ):
        with pytest.raises(ValueError, match=r"x is bytes of 0 and 1; .*astype\(bool\) for bits"):
            call()
