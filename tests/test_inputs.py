"""What networks take: the same data mean the same in every form, and what is no data is named."""

import numpy as np
import pytest
import torch
from deep import conditional, weights

from lfm import data, evaluation, training
from lfm.engine import inputs
from lfm.vae import VAE


class Plain(inputs.TakesData):
    """A model of three columns, of which the last is given, and two factors."""

    n_given, n_factors = 1, 2

    def __init__(self, bits=True, columns=3, dtype=torch.float32):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
        self.bits, self.columns = bits, columns

    def takes_bits(self):
        return self.bits

    def n_columns(self):
        return self.columns


MIXED = np.array([[0.0, 1.0, 7.5], [0.5, 0.25, -3.0]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arrays_and_tensors_become_tensors_like_the_weights(dtype):
    model = Plain(dtype=dtype)
    for x in (MIXED, MIXED.tolist(), torch.tensor(MIXED), MIXED.astype(np.float32)):
        found = model.taken(x)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), MIXED)
    assert torch.equal(model.explained(torch.tensor(MIXED)), torch.tensor(MIXED[:, :2]))
    np.testing.assert_array_equal(model.explained(MIXED), MIXED[:, :2])


def test_of_bytes_what_is_explained_is_divided_by_255():
    grey = np.array([[0, 255, 7], [51, 102, 255]], np.uint8)
    for x in (grey, torch.tensor(grey)):
        expected = [[0, 1, 7], [0.2, 0.4, 255]]
        np.testing.assert_allclose(Plain().seen(x).numpy(), expected, rtol=1e-6)
        np.testing.assert_allclose(Plain().taken(x).numpy(), expected, rtol=1e-6)
    model = Plain()
    model.n_given = 0
    np.testing.assert_allclose(model.seen(grey).numpy(), grey / 255, rtol=1e-6)


def test_values_of_bits_are_from_0_to_1_unless_they_are_not_asked_for():
    for low, high in ((-0.1, 1.0), (0.0, 1.1)):
        x = np.array([[low, high, 9.0]])
        message = f"x is from {low:.4g} to {high:.4g}; wanted 0 to 1, for bits"
        with pytest.raises(ValueError, match=message):
            Plain().taken(x)
        with pytest.raises(ValueError, match=message):
            Plain(bits=False).checked(x, bits=True)
        assert Plain().checked(x, bits=False) is x
        assert Plain().taken(x, bits=False).shape == (1, 3)
        assert Plain(bits=False).checked(x) is x
    assert Plain().checked(np.array([[0.0, 1.0, 9.0]])).shape == (1, 3)
    one = np.array([[0, 1, 9]], np.uint8)  # of one datum nothing can be told
    assert Plain().checked(one) is one
    assert Plain().checked(np.array([[0, 2, 9], [0, 1, 0]], np.uint8)).shape == (2, 3)
    with pytest.raises(ValueError, match="y is bytes of 0 and 1"):
        Plain().checked(np.array([[0, 1, 9], [0, 0, 7]], np.uint8), "y")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.taken(MIXED[:, :2]), ValueError, "x has 2 columns, which .*; wanted 3"),
        (lambda m: m.taken(torch.zeros(2, 4)), ValueError, "x has 4 columns, which .*; wanted 3"),
        (lambda m: m.taken(torch.zeros(3)), ValueError, r"x has shape \(3,\); wanted \(N, D\)"),
        (lambda m: m.taken(torch.zeros(0, 3)), ValueError, r"x has shape \(0, 3\); .* not empty"),
        (lambda m: m.taken(MIXED * np.nan), ValueError, "x has 6 values that are not finite"),
        (lambda m: m.tensor([1e39], "a"), ValueError, "a is too large for torch.float32"),
        (lambda m: m.tensor([np.inf], "a"), ValueError, "a has 1 values that are not finite"),
        (lambda m: m.tensor("text", "a"), TypeError, "a holds"),
        (lambda m: m.checked(np.ones((2, 1))), ValueError, "x has 1 columns, all of them given"),
        (lambda m: m.noise(torch.zeros(4, 3), np.zeros((2, 4))), ValueError, r"\(S, 4, 2\)"),
        (lambda m: m.noise(torch.zeros(4, 3), np.zeros((0, 4, 2))), ValueError, "eps has shape"),
        (lambda m: m.noise(torch.zeros(4, 3), np.zeros((1, 4, 3))), ValueError, "eps has shape"),
        (lambda m: m.noise(torch.zeros(4, 3), np.zeros((1, 3, 2))), ValueError, "eps has shape"),
    ],
)
def test_what_networks_do_not_take_is_named(call, error, message):
    model = Plain(columns=None if "all of them" in message else 3)
    with pytest.raises(error, match=message):
        call(model)


def test_noise_is_a_tensor_of_its_own_for_each_datum():
    eps = np.random.default_rng(0).normal(size=(5, 4, 2))
    found = Plain().noise(torch.zeros(4, 3), eps)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), eps, rtol=1e-6)
    assert Plain(columns=None).taken(np.zeros((2, 9))).shape == (2, 9)
    for missing in ("takes_bits", "n_columns"):
        with pytest.raises(NotImplementedError):
            getattr(inputs.TakesData(), missing)()


def test_numbers_become_double_precision_without_a_detour():
    third = 1 / 3
    for a in (
        [third, 1.0],
        (third, 1.0),
        np.array([third, 1.0]),
        torch.tensor([third, 1], dtype=torch.float64),
    ):
        found = inputs.double(a, "a")
        assert found.dtype == torch.float64
        assert found.tolist() == [third, 1.0]
    assert inputs.double([1, 2], "a").tolist() == [1.0, 2.0]
    assert inputs.double(np.float32(0.5), "a").item() == 0.5
    for a, error, message in (
        ([1j], TypeError, "a holds complex values; wanted real numbers"),
        (torch.tensor([1j]), TypeError, "a holds complex values"),
        (np.array([1j]), TypeError, "a cannot be made a tensor: a holds complex128 values"),
        (["text"], TypeError, "a cannot be made a tensor"),
        ([[1.0], [1.0, 2.0]], TypeError, "a cannot be made a tensor"),
        ([np.nan], ValueError, "a has values that are not finite"),
        (torch.tensor([np.inf]), ValueError, "a has values that are not finite"),
    ):
        with pytest.raises(error, match=message):
            inputs.double(a, "a")


@pytest.mark.parametrize("scale", [[0.5, 2.0], [[0.5, 0.0], [-1.0, 2.0]]])
def test_a_gaussian_is_its_mean_a_factor_and_noise(scale):
    given = torch.tensor([1.0, 2.0], requires_grad=True)
    mean, factor, eps = inputs.gaussian(given, scale, np.ones((3, 2)))
    assert not mean.requires_grad
    assert mean.tolist() == [1, 2]
    assert factor.tolist() == scale
    assert eps.shape == (3, 2)


@pytest.mark.parametrize(
    ("mean", "scale", "eps", "message"),
    [
        ([[1.0, 2.0]], [1.0, 1.0], np.ones((3, 2)), r"mean has shape \(1, 2\); wanted \(K,\)"),
        ([], [], np.ones((3, 0)), r"mean has shape \(0,\)"),
        ([1.0, 2.0], [1.0], np.ones((3, 2)), r"scale has shape \(1,\); wanted \(2,\) or \(2, 2\)"),
        ([1.0, 2.0], np.ones((3, 2)), np.ones((3, 2)), r"scale has shape \(3, 2\)"),
        ([1.0, 2.0], [1.0, 0.0], np.ones((3, 2)), "scale has 0 on its diagonal; wanted all > 0"),
        ([1.0, 2.0], np.diag([1.0, -1.0]), np.ones((3, 2)), "scale has -1 on its diagonal"),
        ([1.0, 2.0], [[1, 0.5], [0.5, 1]], np.ones((3, 2)), "scale is not lower triangular"),
        ([1.0, 2.0], [1.0, 1.0], np.ones((3, 3)), r"eps has shape \(3, 3\); wanted \(S, 2\)"),
        ([1.0, 2.0], [1.0, 1.0], np.ones((0, 2)), r"eps has shape \(0, 2\)"),
        ([1.0, 2.0], [1.0, 1.0], np.ones(2), r"eps has shape \(2,\)"),
    ],
)
def test_what_is_no_gaussian_is_named(mean, scale, eps, message):
    with pytest.raises(ValueError, match=message):
        inputs.gaussian(mean, scale, eps)


def test_a_function_gives_one_finite_number_a_sample():
    z = torch.arange(6.0).reshape(3, 2)
    assert inputs.values_of(lambda z: z.sum(1), z).tolist() == [1, 5, 9]
    for f, error, message in (
        (3, TypeError, "f is int; wanted a function of z"),
        (lambda z: z, ValueError, r"f returned \(3, 2\); wanted a tensor \(3,\)"),
        (lambda z: [1.0] * 3, ValueError, r"f returned list; wanted a tensor \(3,\)"),
        (lambda z: z.sum(1) * np.nan, ValueError, "f returned values that are not finite"),
    ):
        with pytest.raises(error, match=message):
            inputs.values_of(f, z)


# ------------------------------------------------------------------ in use

BYTES = data.mnist().images[::20].reshape(-1, 784)


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
    options = {"batch_size": 16, "lr": 1e-3, "rng": 0, "device": "cpu", "binarise": True}
    run = training.Run(conditional(), np.hstack([x, y]), **options)
    drawn = run.drawn(run.x[:16], run.generator)[0].numpy()
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
