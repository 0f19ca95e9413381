"""Checkpoints: a run goes on to the weights it would have had, and no altered file is believed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from deep import BITS, Mine, X, changed, conditional, fit, gaussian, same, weights
from systems import link
from torch import nn

from lfm.evaluation import log_likelihood
from lfm.scale import checkpoints, sealed
from lfm.scale.architectures import build, spec
from lfm.training import Run, Trace, load, save, train
from lfm.vae import (
    VAE,
    BernoulliPixels,
    DiagonalGaussian,
    FullGaussian,
    SharedGaussian,
    linear_vae,
    mlp,
)

OPTIONS = {"batch_size": 32, "lr": 1e-3, "rng": 0, "device": "cpu"}


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
        ({"rng": 1}, "with rng 0; this run has 1"),
        ({"validation": np.zeros((5, 6))}, "with other validation"),
        ({"frozen": True}, r"with frozen \[\]; this run has \['decoder"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, change, message):
    path = tmp_path / "run.lfm"
    fit(gaussian(), checkpoint=path)
    vae, other = gaussian(), gaussian()
    vae.decoder.requires_grad_("frozen" not in change)
    change = {name: value for name, value in change.items() if name != "frozen"}
    with pytest.raises(ValueError, match=message):
        fit(vae, **({"x": X, "checkpoint": path} | change))
    vae.decoder.requires_grad_(True)
    assert same(vae, other)
    with pytest.raises(ValueError, match=r"a run with other networks .*n_factors=2.*n_factors=3"):
        fit(VAE.dense(6, 3, (16,), rng=0, decoder=SharedGaussian), checkpoint=path)
    save(vae, path)
    with pytest.raises(ValueError, match="holds a VAE, not a training run"):
        fit(vae, checkpoint=path)


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
    decoder = nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.5), nn.Linear(16, 6))
    return VAE(DiagonalGaussian(encoder, floor=0.0), BernoulliPixels(decoder), 2)


@pytest.mark.parametrize("first", [0, 1, 2])
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
    run = Run(gaussian(), X, **OPTIONS)
    this = checkpoints.about(run)
    run.one_epoch()
    saved = checkpoints.state(run, this)
    other = Run(gaussian(seed=9), X, **OPTIONS)
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


def every_vae():
    yield VAE.dense(10, 2, (8,), rng=0)
    yield VAE.dense(10, 2, (8,), rng=0, decoder=SharedGaussian, activation="tanh", beta=2.0)
    yield VAE.dense(10, 2, (8,), rng=0, encoder=FullGaussian, decoder=FullGaussian)
    yield VAE.dense(10, 2, (), rng=0, decoder=DiagonalGaussian).double()
    yield linear_vae(10, 2, rng=0)
    yield conditional(beta=0.5)
    yield conditional().double()
    frozen = VAE.dense(10, 2, (8,), rng=0)
    frozen.decoder.requires_grad_(False)
    yield frozen


@pytest.mark.parametrize("vae", list(every_vae()), ids=lambda v: type(v).__name__)
def test_what_is_loaded_is_what_was_saved(vae, tmp_path):
    x = (np.random.default_rng(0).random((50, 10)) < 0.5).astype(float)
    path = tmp_path / "new" / "vae.lfm"
    save(vae, path)
    loaded, into = load(path), load(path)
    with torch.no_grad():
        for w in into.parameters():
            w.zero_()
    assert load(path, into) is into
    assert same(into, vae)
    assert type(loaded) is type(vae)
    assert repr(loaded) == repr(vae)
    assert repr(build(spec(vae))) == repr(vae)
    assert [w.requires_grad for w in loaded.parameters()] == [
        w.requires_grad for w in vae.parameters()
    ]
    assert torch.equal(weights(loaded), weights(vae))
    assert weights(loaded).dtype == weights(vae).dtype
    scores = [log_likelihood(v, x, 3, rng=0) for v in (vae, loaded)]
    np.testing.assert_array_equal(*scores)
    if any(w.requires_grad for w in vae.encoder.parameters()):
        train(loaded, x, epochs=1, batch_size=10, rng=0, progress=False)
        train(vae, x, epochs=1, batch_size=10, rng=0, progress=False)
        assert torch.equal(weights(loaded), weights(vae))


OTHERS = {
    "activation": lambda: VAE.dense(10, 2, (8,), rng=0, activation="tanh"),
    "decoder": lambda: VAE.dense(10, 2, (8,), rng=0, decoder=SharedGaussian),
    "beta": lambda: VAE.dense(10, 2, (8,), rng=0, beta=3.0),
    "numbers": lambda: VAE.dense(10, 2, (8,), rng=0).double(),
    "floor": lambda: VAE(DiagonalGaussian(mlp([10, 8, 4], rng=0), 0.5),
                         BernoulliPixels(mlp([2, 8, 10], rng=1)), 2),
    "class": lambda: Mine(DiagonalGaussian(mlp([10, 8, 4], rng=0), 0.0),
                          BernoulliPixels(mlp([2, 8, 10], rng=1)), 2),
    "dropout": lambda: changed(VAE.dense(10, 2, (8,), rng=0)),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_architecture_is_refused_wherever_weights_would_fit(name, tmp_path):
    x = (np.random.default_rng(0).random((64, 10)) < 0.5).astype(float)
    vae, other = VAE.dense(10, 2, (8,), rng=0), OTHERS[name]()
    before = weights(other).clone()
    save(vae, tmp_path / "vae.lfm")
    with pytest.raises(ValueError, match="of another architecture"):
        load(tmp_path / "vae.lfm", other)
    options = {"rng": 0, "batch_size": 32, "checkpoint": tmp_path / "run.lfm", "progress": False}
    train(vae, x, epochs=1, **options)
    with pytest.raises(ValueError, match="checkpoint of a run with"):
        train(other, x, epochs=2, **options)
    assert torch.equal(weights(other), before)


class Scaled(nn.Module):
    """A network of one's own whose picture in words does not say all, and that keeps a state."""

    def __init__(self, k):
        super().__init__()
        self.layer, self.k = nn.Linear(6, 4), k

    def forward(self, x):
        return self.k * self.layer(x)

    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        assert state == {"calls": 3}


def scaled(k):
    torch.manual_seed(0)
    return VAE(DiagonalGaussian(Scaled(k), 0.0), BernoulliPixels(mlp([2, 6], rng=0)), 2)


def test_networks_that_compute_something_else_are_another_run(tmp_path):
    x = (np.random.default_rng(0).random((64, 6)) < 0.5).astype(float)
    options = {"rng": np.int64(0), "batch_size": 32, "checkpoint": tmp_path / "run.lfm"}
    train(scaled(1.0), x, epochs=1, **options)
    train(scaled(1.0), x, epochs=2, **options)
    with pytest.raises(ValueError, match="run with other networks: its weights give a bound of"):
        train(scaled(5.0), x, epochs=3, **options)
    save(scaled(1.0), tmp_path / "vae.lfm")
    assert torch.equal(weights(load(tmp_path / "vae.lfm", scaled(1.0))), weights(scaled(1)))


def test_links_lead_where_they_lead(tmp_path):
    (tmp_path / "disk").mkdir()
    link(tmp_path / "disk" / "vae.lfm", tmp_path / "vae.lfm")
    vae = VAE.dense(4, 2, (8,), rng=0)
    save(vae, tmp_path / "vae.lfm")
    assert (tmp_path / "vae.lfm").is_symlink()
    assert repr(load(tmp_path / "disk" / "vae.lfm")) == repr(vae)
