"""Torch's own random state is borrowed and given back, and depends on a seed alone meanwhile."""

import numpy as np
import pytest
import torch

from lfm.engine import randomness, validate

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def as_it_was():
    """Give back the state that all tests share."""
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def drawn(context):
    """Return what is drawn within a context, having seen that the state is given back."""
    torch.manual_seed(123)
    before = torch.get_rng_state()
    with context:
        x = torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)
    return x.tolist()


def test_layers_draw_from_a_generator_or_a_seed_and_from_nothing_else():
    a = drawn(randomness.seeded(0))
    assert a == drawn(randomness.seeded(np.random.default_rng(0))) != drawn(randomness.seeded(1))
    seed = validate.torch_seed(0)
    assert a == torch.rand(5, generator=torch.Generator().manual_seed(seed)).tolist()
    rng = np.random.default_rng(0)
    assert drawn(randomness.seeded(rng)) != drawn(randomness.seeded(rng))
    with pytest.raises(TypeError, match="rng is None"):
        drawn(randomness.seeded(None))


def test_a_state_of_ones_own_depends_on_the_seed_alone():
    a = drawn(randomness.own(CPU, 5))
    assert a == drawn(randomness.own(CPU, 5)) != drawn(randomness.own(CPU, 6))
    assert a == torch.rand(5, generator=torch.Generator().manual_seed(5)).tolist()
    randomness.set_seed(CPU, 5)
    assert torch.rand(5).tolist() == a


@pytest.mark.parametrize("context", [lambda: randomness.own(CPU, 5), lambda: randomness.seeded(0)])
def test_the_state_is_given_back_after_an_error_too(context):
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="shape"), context():
        torch.rand(5).reshape(2)
    assert torch.equal(torch.get_rng_state(), before)


def test_convolutions_are_meanwhile_of_the_kind_that_repeats_its_bits(monkeypatch):
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    with randomness.own(CPU, 5):
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
    assert (cudnn.deterministic, cudnn.benchmark) == (False, True)


def test_what_was_got_is_put_back():
    states = randomness.get(CPU)
    assert len(states) == 1
    a = torch.rand(5).tolist()
    assert torch.rand(5).tolist() != a
    randomness.put(CPU, states)
    assert torch.rand(5).tolist() == a
    with pytest.raises((TypeError, RuntimeError, IndexError)):
        randomness.put(CPU, [])


@pytest.mark.gpu
def test_the_same_on_a_gpu():
    gpu = torch.device("cuda")
    states = randomness.get(gpu)
    assert len(states) == 2
    with randomness.own(gpu, 5):
        a = torch.rand(5, device=gpu).tolist()
    assert torch.equal(torch.cuda.get_rng_state(), states[1])
    randomness.set_seed(gpu, 5)
    assert torch.rand(5, device=gpu).tolist() == a
    randomness.put(gpu, states)
    assert torch.equal(torch.cuda.get_rng_state(), states[1])
