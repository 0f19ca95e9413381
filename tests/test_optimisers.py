"""What an optimiser remembers: moments of silent units go to zero, and no weight notices."""

import copy

import numpy as np
import pytest
import torch

from lfm import training
from lfm.engine import constants, optimisers
from lfm.vae import VAE

TINY = torch.finfo(torch.float32).tiny


def denormal(optimiser):
    """Return how many of Adam's moments are denormal numbers."""
    moments = [state[m] for state in optimiser.state.values() for m in ("exp_avg", "exp_avg_sq")]
    return sum(int(((m != 0) & (m.abs() < TINY)).sum()) for m in moments)


def silent(steps, every=None):
    """Return weights and their Adam: one of them has a gradient in the first step only."""
    weights = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    adam = torch.optim.Adam([weights], fused=True)
    for i in range(steps):
        weights.grad = torch.tensor([0.1, 3e-4, 2.0 if i == 0 else 0.0])
        adam.step()
        if every is not None and i % every == every - 1:
            optimisers.release(adam)
    return weights, adam


def test_moments_of_a_silent_unit_would_stay_denormal_for_ever():
    assert denormal(silent(1_200)[1]) == denormal(silent(2_400)[1]) == 1


@pytest.mark.parametrize("every", [1, 40, 400])
def test_released_they_are_zero_and_the_weights_the_same_to_the_bit(every):
    plain, _ = silent(1_200)
    weights, adam = silent(1_200, every)
    assert denormal(adam) == 0
    assert float(adam.state[weights]["exp_avg"][2]) == 0
    assert torch.equal(weights, plain)


def test_what_still_moves_a_weight_is_kept():
    weights, adam = silent(3)
    before = copy.deepcopy(adam.state_dict()["state"])
    optimisers.release(adam)
    for name in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(adam.state[weights][name], before[0][name])
    adam.state[weights]["exp_avg"][:2] = torch.tensor([constants.STILL, -0.9 * constants.STILL])
    optimisers.release(adam)
    assert adam.state[weights]["exp_avg"][:2].tolist() == [np.float32(constants.STILL), 0.0]


def test_a_run_releases_them_at_the_end_of_an_epoch():
    run = training.Run(VAE.dense(6, 2, (4,), rng=0), np.eye(6), batch_size=3, lr=1e-3, rng=0)
    run.one_epoch()
    weights = next(iter(run.optimiser.state))
    run.optimiser.state[weights]["exp_avg"][0] = 1e-39
    run.one_epoch(0)
    assert denormal(run.optimiser) == 0
