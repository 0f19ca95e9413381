"""The recording of a step: undone in the very tensors, and the step itself where none is made."""

import numpy as np
import pytest
import torch

from lfm.scale import checkpoints, graphs
from lfm.training import Run
from lfm.vae import VAE, SharedGaussian

RNG = np.random.default_rng(0)


X = np.tanh(RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6))) + 0.1 * RNG.normal(size=(200, 6))
OPTIONS = {"batch_size": 32, "lr": 1e-3, "rng": 0, "device": "cpu"}


def gaussian(seed=0, decoder=SharedGaussian):
    return VAE.dense(6, 2, (16,), rng=seed, decoder=decoder)


def weights(vae):
    return torch.cat([p.detach().ravel() for p in vae.parameters()])


def same(a, b):
    return torch.equal(weights(a), weights(b))


def states(run):
    return [*run.vae.state_dict().values(), *run.optimiser.state[run.vae.decoder.log_var].values()]


@pytest.mark.parametrize("epochs", [0, 1])
def test_steps_are_undone_in_the_very_tensors(epochs):
    run = Run(gaussian(), X, **OPTIONS)
    for _ in range(epochs):
        run.one_epoch()
    before = checkpoints.snapshot(run)
    run.one_step()
    held = states(run)
    graphs.put_back(run, before)
    assert [a.data_ptr() for a in held] == [b.data_ptr() for b in states(run)]
    assert torch.equal(run.generator.get_state(), before["generator"])
    for name, value in run.vae.state_dict().items():
        assert torch.equal(value, before["model"][name])
    if epochs == 0:
        assert all((value == 0).all() for value in held[-3:])  # Adam's, as at the beginning


def test_where_no_graph_can_be_made_the_step_is_taken_as_it_is(monkeypatch):
    def refuse():
        raise RuntimeError("no stream here")

    monkeypatch.setattr(torch.cuda, "Stream", refuse)
    run, other = (Run(gaussian(), X, **OPTIONS) for _ in range(2))
    run.replays = True
    with pytest.warns(UserWarning, match=r"no CUDA graph \(no stream here\)"):
        run.one_epoch()
    run.one_epoch()  # tried once only
    for _ in range(2):
        other.one_epoch()
    assert same(run.vae, other.vae)
