"""Training: what it computes, and what happens where it goes wrong."""

import copy
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from deep import BITS, X, fit, gaussian, same, weights
from torch import nn

from lfm import training
from lfm.training import TrainingDiverged
from lfm.vae import VAE, DiagonalGaussian, FullGaussian, SharedGaussian

ROOT = Path(__file__).parent.parent

# ------------------------------------------------------------------ what it computes


def test_it_is_adam_on_the_loss():
    """Written out once more, with the same generator: the same weights to the bit."""
    vae, other = gaussian(), gaussian()
    trace = fit(vae, epochs=2)
    generator = torch.Generator().manual_seed(int(np.random.default_rng(0).integers(2**62)))
    optimiser = torch.optim.Adam(other.parameters(), lr=1e-3, fused=True)
    x, bounds = torch.tensor(X, dtype=torch.float32), []
    for _ in range(2):
        order = torch.randperm(200, generator=generator)
        for rows in order[: 6 * 32].split(32):
            eps = torch.randn(1, 32, 2, generator=generator)
            loss = other.loss(x[rows], eps)
            bounds.append(-loss.item())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    torch.testing.assert_close(weights(vae), weights(other), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace.bound, np.reshape(bounds, (2, 6)).mean(axis=1), rtol=1e-5)


def test_gradients_that_were_left_behind_are_no_part_of_the_run():
    clean, dirty, frozen = gaussian(), gaussian(), gaussian()
    for vae in (dirty, frozen):
        vae.loss(X, np.ones((1, len(X), 2))).backward()
    before = weights(frozen.encoder)
    for weight in frozen.encoder.parameters():
        weight.requires_grad_(False)
    for vae in (clean, dirty, frozen):
        fit(vae, epochs=1)
    assert same(clean, dirty)
    assert torch.equal(weights(frozen.encoder), before)


def test_a_loss_of_ones_own_is_what_training_minimises():
    class Warmer(VAE):
        def loss_of(self, explained, divergence):
            return 10 * divergence - explained

    plain, beta = gaussian(), gaussian()
    own = Warmer.dense(6, 2, (16,), rng=0, decoder=SharedGaussian)
    beta.beta = 10.0
    for vae in (plain, own, beta):
        fit(vae, epochs=2)
    assert same(own, beta)
    assert not same(own, plain)


@pytest.mark.parametrize("decoder", [DiagonalGaussian, FullGaussian, SharedGaussian])
def test_the_bound_rises_and_is_the_sum_of_its_terms(decoder):
    vae = gaussian(decoder=decoder)
    trace = fit(vae, epochs=40, lr=3e-3, validation=X[:50])
    assert np.mean(trace.bound[-5:]) > np.mean(trace.bound[:3]) + 1
    np.testing.assert_allclose(np.subtract(trace.explained, trace.divergence), trace.bound)
    assert len(trace.validation) == len(trace.seconds) == 40
    eps = torch.randn(200, 50, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = vae.lower_bound(X[:50], eps).mean().item()
    assert trace.validation[-1] == pytest.approx(expected, abs=0.5)


def test_the_same_seed_gives_the_same_weights_and_no_global_state_is_touched():
    state = torch.get_rng_state()
    a, b, c = gaussian(), gaussian(), gaussian()
    traces = [fit(v, rng=seed).bound for v, seed in ((a, 3), (b, np.random.default_rng(3)), (c, 4))]
    assert same(a, b)
    assert not same(a, c)
    assert traces[0] == traces[1] != traces[2]
    assert torch.equal(state, torch.get_rng_state())


def test_bytes_are_divided_by_255_and_bits_are_drawn_anew():
    a, b = (VAE.dense(6, 2, (16,), rng=0) for _ in range(2))
    assert fit(a, BITS).bound == fit(b, BITS / 255.0).bound
    grey = np.full((200, 6), 128, np.uint8)
    drawn = fit(VAE.dense(6, 2, (16,), rng=0), grey, binarise=True, epochs=1)
    kept = fit(VAE.dense(6, 2, (16,), rng=0), grey, epochs=1)
    assert drawn.bound != kept.bound
    options = {"batch_size": 200, "lr": 1e-3, "rng": 0, "device": "cpu", "binarise": True}
    run = training.Run(VAE.dense(6, 2, rng=0), grey, **options)
    bits, eps = run.drawn(run.x, run.generator)
    assert eps.shape == (1, len(grey), 2)
    assert set(bits.unique().tolist()) == {0.0, 1.0}
    assert bits.mean().item() == pytest.approx(128 / 255, abs=4 * 0.5 / np.sqrt(1200))


def test_steps_end_the_run():
    vae, other = gaussian(), gaussian()
    trace = fit(vae, epochs=100, steps=8)  # an epoch has 6
    assert len(trace.bound) == 2
    fit(other, epochs=1)
    assert not same(vae, other)


def test_float64_and_bfloat16():
    vae = gaussian().double()
    fit(vae)
    assert weights(vae).dtype == torch.float64
    half = gaussian()
    trace = fit(half, epochs=40, lr=3e-3, bfloat16=True)
    assert weights(half).dtype == torch.float32
    assert trace.bound[-1] > trace.bound[0] + 1


@pytest.mark.parametrize("encoder", [DiagonalGaussian, FullGaussian])
@pytest.mark.parametrize("decoder", [DiagonalGaussian, FullGaussian, SharedGaussian])
def test_bfloat16_is_of_the_products_alone(encoder, decoder):
    vae = VAE.dense(6, 2, (16,), rng=0, encoder=encoder, decoder=decoder)
    x = torch.tensor(X, dtype=torch.float32)
    eps = torch.randn(1, len(X), 2, generator=torch.Generator().manual_seed(0))
    plain = vae.terms(x, eps)
    with torch.autocast("cpu", torch.bfloat16):
        half = vae.terms(x, eps)
    assert [term.dtype for term in half] == [torch.float32] * 2
    torch.testing.assert_close(half, plain, rtol=0.03, atol=0.03)
    assert not torch.equal(half[0], plain[0])
    ends = [fit(copy.deepcopy(vae), epochs=9, lr=3e-3, bfloat16=b).bound[-1] for b in (False, True)]
    assert ends[1] == pytest.approx(ends[0], abs=0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_gpu_trains_to_the_same_bound(bfloat16):
    ends = []
    for device in ("cpu", "cuda"):
        vae = gaussian()
        trace = fit(vae, epochs=60, lr=3e-3, device=device, bfloat16=bfloat16)
        ends.append(np.mean(trace.bound[-10:]))
        assert next(vae.parameters()).device.type == "cpu"
    assert ends[0] == pytest.approx(ends[1], abs=0.5)


def test_a_progress_bar_only_when_asked(capsys):
    fit(gaussian())
    assert capsys.readouterr().err == ""
    fit(gaussian(), progress=True)
    assert "epoch" in capsys.readouterr().err


# ------------------------------------------------------------------ what goes wrong


class Bomb(nn.Module):
    """A network that returns NaN from the given call on."""

    def __init__(self, network, fuse):
        super().__init__()
        self.network, self.fuse = network, fuse

    def forward(self, x):
        self.fuse -= 1
        return self.network(x) * (float("nan") if self.fuse < 0 else 1.0)


def test_nan_stops_with_the_step_and_sound_weights():
    vae, other = gaussian(), gaussian()
    fit(other, epochs=1)
    # a rehearsal, an epoch of six steps and a look at what it left, three steps
    vae.decoder.network = Bomb(vae.decoder.network, 1 + 7 + 3)
    with pytest.raises(TrainingDiverged, match=r"step 10 \(epoch 2\).*was nan.*lower lr"):
        fit(vae)
    assert weights(vae).isfinite().all()
    torch.testing.assert_close(weights(vae), weights(other))


def test_an_exploding_loss_stops():
    with pytest.raises(TrainingDiverged, match=r"lower lr \(it is 1000"):
        fit(gaussian(decoder=DiagonalGaussian), 1e3 * X, lr=1e3, epochs=50)


def test_ctrl_c_keeps_the_last_state(monkeypatch):
    vae, other = gaussian(), gaussian()
    fit(other, epochs=1)
    step, calls = training.Run.one_step, itertools.count()

    def interrupted(run):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return step(run)

    monkeypatch.setattr(training.Run, "one_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(vae)
    assert same(vae, other)


BAD = [
    ({"epochs": -1}, ValueError, "epochs is -1"),
    ({"epochs": True}, TypeError, "epochs is True"),
    ({"batch_size": 0}, ValueError, "batch_size is 0"),
    ({"batch_size": 201}, ValueError, "batch_size is 201; wanted between 1 and 200"),
    ({"lr": 0.0}, ValueError, r"lr is 0\.0"),
    ({"lr": "fast"}, TypeError, "lr is 'fast'"),
    ({"rng": None}, TypeError, "rng is None"),
    ({"device": "tpu"}, ValueError, "device is 'tpu'; wanted 'auto', 'cpu' or 'cuda'"),
    ({"binarise": 1}, TypeError, "binarise is 1"),
    ({"bfloat16": None}, TypeError, "bfloat16 is None"),
    ({"steps": -2}, ValueError, "steps is -2"),
    ({"x": X[:, :5]}, ValueError, "x has 5 columns, which these networks do not take"),
    ({"x": X * np.nan}, ValueError, "x has 1200 values that are not finite"),
    ({"x": X[0]}, ValueError, r"x has shape \(6,\)"),
    ({"x": None}, TypeError, "x is None"),
    ({"validation": X[:, :5]}, ValueError, "validation has 5 columns; wanted 6"),
    ({"binarise": True}, ValueError, "x is from -.*wanted 0 to 1, for bits"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_arguments_are_named_and_nothing_is_trained(options, error, message):
    vae, other = gaussian(), gaussian()
    with pytest.raises(error, match=message):
        fit(vae, **({"x": X} | options))
    assert same(vae, other)


def test_only_a_vae_is_trained():
    with pytest.raises(TypeError, match="vae is Linear; wanted a VAE"):
        fit(nn.Linear(6, 2))
    with pytest.raises(ValueError, match=r"x is from -.*for bits"):
        fit(VAE.dense(6, 2, rng=0))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device is 'cuda', and torch sees no GPU"):
            fit(gaussian(), device="cuda")


def diverging():
    rng = np.random.default_rng(0)
    x = (rng.random((256, 6)) < 0.5) * 3.0 - 1
    return x, VAE.dense(6, 2, (32,), rng=0, decoder=DiagonalGaussian)


@pytest.mark.parametrize("epochs", [1, 30])
def test_what_the_last_step_of_an_epoch_breaks_is_found_at_once(epochs, tmp_path):
    x, vae = diverging()
    path = tmp_path / "run.lfm"
    with pytest.raises(TrainingDiverged, match=r"after step 1 \(epoch 1\)"):
        training.train(vae, x, epochs=epochs, batch_size=256, lr=3.0, rng=0, checkpoint=path,
                       progress=False)  # fmt: skip
    eps = np.random.default_rng(0).normal(size=(1, 256, 2))
    for sound in (vae, training.load(path)):
        assert torch.isfinite(sound.loss(x, eps))


def test_batchnorm_of_data_far_from_zero_has_not_diverged():
    x = 1000 + np.random.default_rng(0).normal(size=(128, 6))
    encoder = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4))
    vae = VAE(DiagonalGaussian(encoder, 0.0), SharedGaussian(nn.Linear(2, 6)), 2)
    assert len(training.train(vae, x, epochs=3, batch_size=128, rng=0).bound) == 3


def test_held_out_data_beyond_the_networks_are_named():
    x = np.random.default_rng(0).random((60, 6))
    vae = VAE.dense(6, 2, (8,), rng=0, decoder=SharedGaussian)
    with pytest.warns(RuntimeWarning, match="the bound of validation is nan after epoch 1"):
        training.train(vae, x, epochs=1, batch_size=60, rng=0, validation=1e25 * x)
