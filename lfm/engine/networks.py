"""What is asked of networks before they are used, and how to look at them without a trace.

Nothing here knows what a network is for; `vae` is any module with the methods of `lfm.vae.VAE`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import numpy as np
import torch
from torch import nn

from lfm.engine import randomness, validate
from lfm.engine.signatures import Check

Tensor = torch.Tensor

# What a CPU says in a plain RuntimeError.
NO_MEMORY = "allocate memory"
# RuntimeErrors that say nothing of what was asked for: too little memory, or a GPU that failed.
MACHINE_FAILED = tuple(
    getattr(torch, name)
    for name in ("OutOfMemoryError", "AcceleratorError")
    if hasattr(torch, name)
)


# ------------------------------------------------------------------ what networks are made of

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def _network(a, name: str, _):
    if not isinstance(a, nn.Module):
        raise TypeError(f"{name} is {type(a).__name__}; wanted an nn.Module")
    return a


def _activation(a, name: str, _) -> str:
    if not isinstance(a, str) or a not in ACTIVATIONS:
        raise ValueError(f"{name} is {a!r}; wanted one of {', '.join(ACTIVATIONS)}")
    return a


def _image_size(a, name: str, _) -> int:
    size = validate.count(a, name, 4)
    if size % 4:
        raise ValueError(f"{name} is {size}; wanted a multiple of 4: it is halved twice")
    return size


Network = Annotated[nn.Module, _network]
Activation = Annotated[str, _activation]  # "relu" or "tanh"
ImageSize = Annotated[int, _image_size]  # of a side, in pixels


def kind_of(base: type) -> Check:
    """Return a check of a class of `lfm.vae` that derives from `base` and has a `forward`."""

    def check(a, name: str, _) -> type:
        if not (isinstance(a, type) and issubclass(a, base)):
            raise TypeError(f"{name} is {a!r}; wanted a class of lfm.vae, a {base.__name__}")
        if a.forward is base.forward:
            raise TypeError(f"{name} is {a.__name__}; wanted one of its kinds, with a forward")
        return a

    return check


# ------------------------------------------------------------------ networks at work


def device(name: str) -> torch.device:
    """Return the device that "auto", "cpu" or "cuda" means here. Raises `ValueError`."""
    if not isinstance(name, str) or name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {name!r}; wanted 'auto', 'cpu' or 'cuda'")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ValueError("device is 'cuda', and torch sees no GPU; wanted 'cpu' or 'auto'")
    return torch.device("cuda" if name != "cpu" and there else "cpu")


def check_weights(vae: nn.Module) -> None:
    """Raise `ValueError` where a weight is not a number: no data can be blamed for what follows."""
    for name, weights in [*vae.named_parameters(), *vae.named_buffers()]:
        if nn.parameter.is_lazy(weights):
            raise ValueError(
                f"vae has weights of no size yet in {name}; pass data through it first"
            )
        if not weights.isfinite().all():
            raise ValueError(f"vae has values that are not finite in {name}; load or make it again")


def some_weight(vae: nn.Module) -> Tensor:
    """Return a weight, of the device and dtype of all. Raises `ValueError` where there is none."""
    weight = next(vae.parameters(), None)
    if weight is None:
        raise ValueError("vae has no weights that learn: its networks have no parameters")
    return weight


@torch.no_grad()
def rehearse(vae: nn.Module, x: Tensor) -> None:
    """Raise `ValueError` where networks are unsound, do not learn, or do not take data x (N, D)."""
    check_weights(vae)
    if not any(weights.requires_grad for weights in vae.parameters()):
        raise ValueError("vae has no weights that learn: all are frozen (requires_grad=False)")
    few = vae.seen(x[:2])  # one alone has no statistics, of which some networks have only a batch's
    eps = torch.zeros(1, len(few), vae.n_factors, dtype=few.dtype, device=few.device)
    try:
        with evaluating(vae):
            vae.lower_bound(few, eps)
    except RuntimeError as error:
        if isinstance(error, MACHINE_FAILED) or NO_MEMORY in str(error):
            raise
        raise ValueError(
            f"x has {x.shape[1]} columns, which these networks do not take: {error}"
        ) from None


def resident(
    vae: nn.Module, x, name: str, device: torch.device, *, bits: bool, n_columns: int | None = None
) -> Tensor:
    """Return data (N, D) on the device: bytes as bytes, all else in the dtype of the weights.

    With `bits` they are to be pixels from 0 to 1, of which bits are drawn. Raises `ValueError` or
    `TypeError` where the networks do not take them, or D is not `n_columns`.
    """
    x = validate.data(x.detach().cpu() if isinstance(x, Tensor) else x, name)
    if n_columns not in (None, x.shape[1]):
        raise ValueError(f"{name} has {x.shape[1]} columns; wanted {n_columns}")
    x = vae.checked(x, name, bits=True if bits else None)
    if x.dtype == np.uint8:
        return torch.tensor(x, device=device)
    dtype = some_weight(vae).dtype
    x = torch.tensor(x, device=device, dtype=dtype)  # a copy: x may be read-only
    if not x.isfinite().all():
        raise ValueError(f"{name} is too large for {dtype}, the numbers of the networks")
    return x


@contextmanager
def modes_kept(vae: nn.Module) -> Iterator[None]:
    """Put each network back, afterwards, into the mode that it was in: training or not."""
    modes = [(module, module.training) for module in vae.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(vae: nn.Module) -> Iterator[None]:
    """Use networks as they are after training: no dropout, no statistics of batches."""
    with modes_kept(vae):
        vae.eval()
        yield


@contextmanager
def untouched(vae: nn.Module, device: torch.device) -> Iterator[None]:
    """Leave no trace in what networks count (their buffers) or draw (torch's random state)."""
    states, buffers = randomness.get(device), [(b, b.clone()) for b in vae.buffers()]
    try:
        yield
    finally:
        randomness.put(device, states)
        for buffer, before in buffers:
            buffer.copy_(before)


def copied(state):
    """Return a copy of a state, with every tensor in it, however deep."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {k: copied(v) for k, v in state.items()}
    return [copied(v) for v in state] if isinstance(state, list | tuple) else state


def out_of_memory(error: RuntimeError, name: str) -> None:
    """End the process with one line where an error says that there is too little memory."""
    if isinstance(error, torch.OutOfMemoryError) or NO_MEMORY in str(error):
        raise SystemExit(f"{name}: the networks need more memory than there is") from None
