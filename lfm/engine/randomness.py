"""Torch's own random state: borrowed for a while, and given back as it was.

The course draws from generators that are passed around. Torch's layers draw from a state that all
of a program shares: their first weights, and dropout. These functions keep that to themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lfm.engine import validate

Tensor = torch.Tensor


@contextmanager
def seeded(rng) -> Iterator[None]:
    """Let torch's layers draw their first weights from `rng`, a generator or a seed."""
    seed = validate.torch_seed(rng)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # that of the CPU, and no other
        yield


@contextmanager
def own(device: torch.device, seed: int) -> Iterator[None]:
    """Let all that is drawn from torch's own state on `device` depend on `seed` alone.

    Convolutions on a GPU are meanwhile of the kind that gives the same bits each time.
    """
    cudnn = torch.backends.cudnn
    kept = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        set_seed(device, seed)
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = kept


def set_seed(device: torch.device, seed: int) -> None:
    """Set torch's own state to the beginning that belongs to a seed."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def get(device: torch.device) -> list[Tensor]:
    """Return torch's own state: that of the CPU and, if the device is one, that of the GPU."""
    on_gpu = device.type == "cuda"
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]


def put(device: torch.device, states: list[Tensor]) -> None:
    """Put back what `get` returned. Raises where these are no states."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1])
