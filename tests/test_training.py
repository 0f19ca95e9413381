"""Training: what it computes, and that nothing is lost, by real kills and a real full disk."""

import itertools
import json
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

from lfm import data, training
from lfm.training import Trace, TrainingDiverged, load, save, train
from lfm.vae import VAE, BernoulliPixels, DiagonalGaussian, FullGaussian, SharedGaussian

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
    run = training._Run(VAE.dense(6, 2, rng=0), grey, 200, 1e-3, 0, "cpu", None, True, False)
    bits = run.batch(torch.arange(200))
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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
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
    step, calls = training._Run.forward_and_back, itertools.count()

    def interrupted(run):
        if next(calls) == 6:
            raise KeyboardInterrupt
        return step(run)

    monkeypatch.setattr(training._Run, "forward_and_back", interrupted)
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


# ------------------------------------------------------------------ checkpoints


@pytest.mark.parametrize("binarise", [False, True])
def test_a_run_in_parts_ends_with_the_weights_of_one_in_whole(tmp_path, binarise):
    make = (lambda: VAE.dense(6, 2, (16,), rng=0)) if binarise else gaussian
    x = BITS if binarise else X
    whole = make()
    trace = fit(whole, x, epochs=6, binarise=binarise, validation=x[:20])
    path = tmp_path / "run.lfm"
    for epochs in (2, 3, 6):
        part = make()  # with new weights each time: all comes from the file
        again = fit(
            part, x, epochs=epochs, binarise=binarise, validation=x[:20], checkpoint=path, rng=0
        )
    assert same(whole, part)
    assert again.bound == trace.bound
    assert again.validation == trace.validation
    assert [p.name for p in tmp_path.iterdir()] == ["run.lfm"]
    assert same(load(path), whole)


def test_a_finished_run_is_only_read(tmp_path):
    path = tmp_path / "run.lfm"
    vae = gaussian()
    trace = fit(vae, checkpoint=path)
    before, other = path.read_bytes(), gaussian(seed=9)
    assert fit(other, checkpoint=path) == trace
    assert same(vae, other)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 16}, "a run with batch_size 32; this run has 16"),
        ({"lr": 2e-3}, r"a run with lr 0\.001; this run has 0\.002"),
        ({"x": X + 1}, "a run with other data"),
        ({"bfloat16": True}, "a run with bfloat16 False"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, change, message):
    path = tmp_path / "run.lfm"
    fit(gaussian(), checkpoint=path)
    vae, other = gaussian(), gaussian()
    with pytest.raises(ValueError, match=message):
        fit(vae, **({"x": X, "checkpoint": path} | change))
    assert same(vae, other)
    with pytest.raises(ValueError, match=r"a run with other networks .*n_factors=2.*n_factors=3"):
        fit(VAE.dense(6, 3, (16,), rng=0, decoder=SharedGaussian), checkpoint=path)
    save(vae, path)
    with pytest.raises(ValueError, match="holds a VAE, not a training run"):
        fit(vae, checkpoint=path)


@pytest.mark.parametrize(
    "decoder", [DiagonalGaussian, FullGaussian, SharedGaussian, BernoulliPixels]
)
def test_a_saved_vae_is_loaded_as_it_was(tmp_path, decoder):
    vae = gaussian(decoder=decoder).double()
    save(vae, tmp_path / "new" / "vae.lfm")
    again = load(tmp_path / "new" / "vae.lfm")
    assert same(vae, again)
    assert torch.equal(vae.sample(3, rng=0)[0], again.sample(3, rng=0)[0])
    into = gaussian(seed=5, decoder=decoder).double()
    assert load(tmp_path / "new" / "vae.lfm", into) is into
    assert same(vae, into)


def test_a_network_of_the_users_own_is_loaded_into_another(tmp_path):
    def make():
        return VAE(DiagonalGaussian(nn.Linear(6, 4)), SharedGaussian(nn.Linear(2, 6)), 2)

    vae, other = make(), make()
    save(vae, tmp_path / "vae.lfm")
    with pytest.raises(ValueError, match="does not say how its networks are made"):
        load(tmp_path / "vae.lfm")
    load(tmp_path / "vae.lfm", other)
    assert same(vae, other)


def test_another_architecture_is_refused_and_left_as_it_was(tmp_path):
    save(gaussian(), tmp_path / "vae.lfm")
    wide = VAE.dense(6, 2, (32,), rng=0, decoder=SharedGaussian)
    before = weights(wide).clone()
    with pytest.raises(ValueError, match=r"out_features=16.* there and .*out_features=32.* in vae"):
        load(tmp_path / "vae.lfm", wide)
    assert torch.equal(before, weights(wide))


def test_every_altered_file_is_refused(tmp_path):
    path = tmp_path / "vae.lfm"
    save(gaussian(), path)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    changed = [good[:n] for n in (0, 1, 17, 81, 82, 83, len(good) // 2, len(good) - 1)]
    changed += [good + b"\0", good + good, b"\0" + good, good[1:]]
    for at in [*range(90), *rng.integers(len(good), size=210)]:
        flipped = bytearray(good)
        flipped[at] ^= 1 << rng.integers(8)
        changed.append(bytes(flipped))
    for content in changed:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"was altered or cut|is no checkpoint of lfm"):
            load(path)
    path.write_bytes(good)
    load(path)


def test_no_code_in_a_file_can_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "done"),)

    training._write(tmp_path / "vae.lfm", {"kind": "VAE", "architecture": "null", "model": Evil()})
    with pytest.raises(ValueError, match="holds more than weights and numbers"):
        load(tmp_path / "vae.lfm")
    assert not (tmp_path / "done").exists()


def test_what_is_no_file_or_no_vae_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.lfm does not exist"):
        load(tmp_path / "none.lfm")
    with pytest.raises(IsADirectoryError, match="is a folder; wanted a file"):
        load(tmp_path)
    with pytest.raises(IsADirectoryError, match="is a folder; wanted the name of a file"):
        save(gaussian(), tmp_path)
    with pytest.raises(TypeError, match="vae is Linear; wanted a VAE"):
        save(nn.Linear(2, 2), tmp_path / "vae.lfm")


def test_a_failing_write_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "vae.lfm"
    save(gaussian(), path)
    before = path.read_bytes()

    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        save(gaussian(seed=1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["vae.lfm"]


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


def test_debris_of_a_kill_is_removed_and_nothing_else(tmp_path):
    path, old = tmp_path / "run.lfm", tmp_path / f".run.lfm.{'0' * 32}"
    living = tmp_path / f".run.lfm.{'1' * 32}"  # another run may be writing it just now
    for part in (old, living, tmp_path / ".run.lfm.notes"):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * training.STALE,) * 2)
    fit(gaussian(), checkpoint=path)
    assert {p.name for p in tmp_path.iterdir()} == {"run.lfm", living.name, ".run.lfm.notes"}


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


def test_a_checkpoint_says_what_it_is_of(tmp_path):
    fit(gaussian(), checkpoint=tmp_path / "run.lfm")
    state = training._read(tmp_path / "run.lfm")
    assert state["kind"] == "training"
    about = json.loads(state["about"])
    assert (about["rows"], about["columns"], about["batch_size"]) == (200, 6, 32)
    trace = Trace(**json.loads(state["trace"]))
    assert len(trace.bound) == 3
    assert data.digits().images.shape[1] == 8  # what the shell's runs above train on
