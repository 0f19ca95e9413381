"""Checkpoints: a run goes on to the weights it would have had, and no altered file is believed."""

import json
import os
import subprocess
import sys

import pytest
import torch
from deep import BITS, X, fit, gaussian, same, weights
from torch import nn

from lfm.scale import checkpoints, sealed
from lfm.training import Run, Trace, load, save
from lfm.vae import VAE, BernoulliPixels, DiagonalGaussian, FullGaussian, SharedGaussian


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


def test_a_checkpoint_says_what_it_is_of(tmp_path):
    fit(gaussian(), checkpoint=tmp_path / "run.lfm")
    state = sealed.read(tmp_path / "run.lfm")
    assert state["kind"] == "training"
    about = json.loads(state["about"])
    assert (about["rows"], about["columns"], about["batch_size"]) == (200, 6, 32)
    trace = Trace(**json.loads(state["trace"]))
    assert len(trace.bound) == 3


RUN = """
import sys, numpy as np
from lfm import training, vae
x = np.random.default_rng(0).random((64, 300))
model = vae.VAE.dense(300, 2, (1000, 1000), rng=0)
training.train(model, x, epochs=int(sys.argv[2]), rng=0, checkpoint=sys.argv[1], batch_size=64,
               progress=False)
"""


def test_a_second_run_does_not_kill_the_first(tmp_path):
    command = [sys.executable, "-c", RUN, str(tmp_path / "c.lfm")]
    first = subprocess.Popen([*command, "12"], stderr=subprocess.PIPE, text=True)
    while first.poll() is None:
        subprocess.run([*command, "1"], stderr=subprocess.DEVNULL, check=False)
    assert first.returncode == 0, first.stderr.read()
    first.stderr.close()


# ------------------------------------------------------------------ what a run depends on


def dropping():
    torch.manual_seed(1)
    encoder = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 4))
    return VAE(DiagonalGaussian(encoder, floor=0.0), BernoulliPixels(nn.Linear(2, 6)), 2)


@pytest.mark.parametrize("first", [0, 1])
def test_dropout_goes_on_also_from_a_run_that_was_killed_in_its_first_epoch(tmp_path, first):
    ends = []
    for epochs in ([3], [first, 3]):
        path = tmp_path / f"{len(epochs)}.lfm"
        for e in epochs:
            vae = dropping()
            torch.manual_seed(len(epochs) + e)  # of no effect
            fit(vae, BITS, epochs=e, checkpoint=path)
        ends.append(vae)
    assert same(*ends)


def test_a_checkpoint_is_all_that_a_run_depends_on(tmp_path):
    run = Run(gaussian(), X, 32, 1e-3, 0, "cpu")
    this = checkpoints.about(run)
    run.one_epoch()
    saved = checkpoints.state(run, this)
    other = Run(gaussian(seed=9), X, 32, 1e-3, 0, "cpu")
    checkpoints.restore(other, saved, this, tmp_path / "run.lfm")
    for r in (run, other):
        r.one_epoch()
    assert same(run.vae, other.vae)
    assert run.trace.bound == other.trace.bound
    assert (other.epoch, other.step) == (2, 12)


def test_networks_behave_the_same_within_the_rounding_of_machines(tmp_path):
    limit, path = 1e-3, tmp_path / "run.lfm"
    for bound in (-100.0, 0.0, 50.0):
        near = 0.9 * limit * max(1, abs(bound))
        for gap in (near, -near):
            assert checkpoints._check_behaviour(bound, bound + gap, path) is None
            with pytest.raises(ValueError, match="of a run with other networks"):
                checkpoints._check_behaviour(bound, bound + 1.3 * gap, path)
    assert checkpoints._check_behaviour(0.0, float("nan"), path) is None  # told elsewhere
