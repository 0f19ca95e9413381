"""Training: what it computes, and that nothing is lost, by real kills and a real full disk."""

import copy
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lfm import training
from lfm.training import TrainingDiverged, load, train
from lfm.vae import VAE, DiagonalGaussian, FullGaussian, SharedGaussian

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(0)
X = np.tanh(RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6))) + 0.1 * RNG.normal(size=(200, 6))
BITS = (RNG.random((200, 6)) < 0.4).astype(np.uint8) * 255


def gaussian(seed=0, decoder=SharedGaussian):
    return VAE.dense(6, 2, (16,), rng=seed, decoder=decoder)


def fit(vae, x=X, **options):
    defaults = {"epochs": 3, "batch_size": 32, "rng": 0, "device": "cpu"}
    return train(vae, x, **(defaults | options))


def weights(vae):
    return torch.cat([p.detach().ravel() for p in vae.parameters()])


def same(a, b):
    return torch.equal(weights(a), weights(b))


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
    run = training.Run(VAE.dense(6, 2, rng=0), grey, 200, 1e-3, 0, "cpu", binarise=True)
    bits = run.drawn(run.x, run.generator)
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
    x, eps = torch.tensor(X, dtype=torch.float32), torch.randn(1, len(X), 2)
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


# ------------------------------------------------------------------ other processes


def shell(folder, *arguments, limit=None, epochs=40):
    """Start a training run from the shell; `limit` is the largest file it may write, bytes."""
    command = [
        sys.executable, "-m", "lfm.training", "--data", "digits", "--latent", "4", "--hidden", "32",
        "--epochs", str(epochs), "--device", "cpu", "--checkpoint", str(folder), *arguments,
    ]  # fmt: skip
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def restrict():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=restrict if limit else None,
    )  # fmt: skip


def test_from_the_shell_and_after_kills_the_weights_are_the_same_to_the_bit(tmp_path):
    """Killed again and again, at any moment, and started again: as if nothing had happened."""
    whole = shell(tmp_path / "whole")
    out, err = whole.communicate(timeout=120)
    assert whole.returncode == 0, err
    assert out.startswith("40 epochs, bound -")
    names = {p.name for p in (tmp_path / "whole").iterdir()}
    assert names == {"checkpoint.lfm", "vae.lfm", "samples.png"}
    expected = load(tmp_path / "whole" / "vae.lfm")

    rng, folder, kills = np.random.default_rng(0), tmp_path / "killed", 0
    checkpoint = folder / "checkpoint.lfm"
    for _ in range(40):
        run = shell(folder)
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:  # until it has saved anew
            now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
            if now != seen:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
        kills += 1
        if kills == 5:
            break
    last = shell(folder)
    _, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    assert kills >= 3
    assert same(load(folder / "vae.lfm"), expected)
    assert same(load(checkpoint), expected)
    assert {p.name for p in folder.iterdir()} == names


def test_a_full_disk_keeps_the_previous_checkpoint_and_leaves_nothing_behind(tmp_path):
    first = shell(tmp_path, epochs=2)
    first.communicate(timeout=120)
    before = (tmp_path / "checkpoint.lfm").read_bytes()
    full = shell(tmp_path, epochs=6, limit=len(before) // 2)
    _, err = full.communicate(timeout=120)
    assert full.returncode == 1
    assert "File too large" in err
    assert "Traceback" not in err
    assert (tmp_path / "checkpoint.lfm").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint.lfm", "vae.lfm", "samples.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latent", "0"], "n_factors is 0"),
        (["--batch-size", "99999"], "batch_size is 99999"),
        (["--full", "--data", "digits"], "digits is whole already"),
    ],
)
def test_a_mistake_in_the_shell_is_one_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        training.main(["--data", "digits", "--checkpoint", str(tmp_path / "run"), *arguments])
