"""The recording of a step: undone in the very tensors, and the step itself where none is made."""

import gc
import warnings
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from lfm.scale import checkpoints, graphs
from lfm.training import Run
from lfm.vae import VAE, SharedGaussian

RNG = np.random.default_rng(0)


X = np.tanh(RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6))) + 0.1 * RNG.normal(size=(200, 6))
# What torch raises where a GPU refuses; an old one has no name for it.
FAILED = getattr(torch, "AcceleratorError", RuntimeError)
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


class EmulatedCuda:
    """What `graphs` asks of torch.cuda, on the CPU; a recording fails as it does on a GPU."""

    failure = "CUDA error: operation failed due to a previous error during capture\nSee the docs."

    def __init__(self, monkeypatch):
        self.default = self.current = self
        for name in ("Stream", "CUDAGraph"):
            monkeypatch.setattr(torch.cuda, name, lambda: EmulatedCuda.__new__(EmulatedCuda))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self.current)
        monkeypatch.setattr(torch.cuda, "set_stream", lambda s: setattr(self, "current", s))
        monkeypatch.setattr(torch.cuda, "stream", self.stream)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)

    def wait_stream(self, other):
        pass

    def register_generator_state(self, generator):
        self.generator = generator
        warnings.warn("it finds them by itself now", FutureWarning, stacklevel=1)

    @contextmanager
    def stream(self, side):
        before, self.current = self.current, side
        yield
        self.current = before

    @contextmanager
    def graph(self, graph):
        self.current = graph
        yield
        if not hasattr(graph, "generator"):
            warnings.warn("The CUDA Graph is empty", UserWarning, stacklevel=1)
        raise FAILED(EmulatedCuda.failure)


@pytest.fixture
def cuda(monkeypatch):
    return EmulatedCuda(monkeypatch)


def about_to_record(**options):
    run = Run(gaussian(), X, **OPTIONS, **options)
    run.replays = True
    return run


def test_after_a_failed_recording_the_run_goes_on_as_if_it_had_not_been_tried(cuda):
    run, other = about_to_record(), Run(gaussian(), X, **OPTIONS)
    generator = run.generator
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for one in (run, other):
            for _ in range(2):
                one.one_epoch()
    assert [str(w.message).split(" (")[0] for w in said] == ["no CUDA graph"]  # tried once
    assert cuda.current is cuda.default
    assert run.generator is not generator  # which torch 2.12 would take for one that is recorded
    assert same(run.vae, other.vae)
    assert run.trace.bound == other.trace.bound


@pytest.mark.skipif(FAILED is RuntimeError, reason="this torch has one kind of error for all")
def test_a_gpu_that_fails_is_no_recording_that_fails(cuda, monkeypatch):
    monkeypatch.setattr(EmulatedCuda, "failure", "CUDA error: an illegal memory access")
    with pytest.raises(FAILED, match="illegal memory"):
        graphs.recorded(about_to_record())


def test_a_warning_that_is_an_error_is_raised_when_all_is_put_back(cuda):
    run, other = about_to_record(), Run(gaussian(), X, **OPTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="no CUDA graph"):
            graphs.recorded(run)
    assert same(run.vae, other.vae)
    assert torch.equal(run.generator.get_state(), other.generator.get_state())


def test_after_a_failed_recording_the_run_is_freed_when_it_is_let_go(cuda):
    run = about_to_record()
    with pytest.warns(UserWarning, match="no CUDA graph"):
        run.one_epoch()
    gone = weakref.ref(run)
    gc.disable()  # a cycle would hold the memory of a GPU until the collector comes
    try:
        del run
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [KeyboardInterrupt, torch.OutOfMemoryError, SystemExit])
def test_what_ends_a_recording_leaves_no_step_of_the_warm_up(cuda, monkeypatch, error):
    run, calls = about_to_record(), []
    step = run.one_step

    def interrupted():
        calls.append(step())
        if len(calls) == 2:
            raise error

    monkeypatch.setattr(run, "one_step", interrupted)
    before, random = checkpoints.snapshot(run), torch.get_rng_state()
    with pytest.raises(error):
        graphs.recorded(run)
    for name, value in run.vae.state_dict().items():
        assert torch.equal(value, before["model"][name])
    assert torch.equal(run.generator.get_state(), before["generator"])
    assert torch.equal(torch.get_rng_state(), random)


def test_what_networks_draw_in_the_warm_up_is_put_back(cuda):
    run = about_to_record()
    run.vae.encoder.network.append(torch.nn.Dropout(0.5))
    run.vae.train()
    before = torch.get_rng_state()
    with pytest.warns(UserWarning, match="no CUDA graph"):
        assert graphs.recorded(run) is None
    assert torch.equal(torch.get_rng_state(), before)
