"""Several equal processes, started by torchrun: how they meet, and how they exchange sums.

Everything that one process tells another goes through here; where another has died or does not
answer in time, whoever waits for it raises `ProcessLost`. Alone, every exchange returns what it
was given.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import numpy as np
import torch
import torch.distributed as dist

from lfm import em
from lfm.engine import validate
from lfm.engine.moments import Moments

Array = np.ndarray

# Statistics that are symmetric matrices: their upper triangle says all.
SYMMETRIC = ("rxx", "zz")


class ProcessLost(RuntimeError):
    """Another process has died, or did not answer within the timeout."""


@contextmanager
def processes(timeout: float = 30.0) -> Iterator[tuple[int, int]]:
    """Join the processes that torchrun started; the value is (rank, world), alone (0, 1).

    On GPUs they speak by NCCL, else by gloo. One that waits for another for more than `timeout`
    seconds raises `ProcessLost`.
    """
    timeout = validate.scalar(timeout, "timeout", 0.0, strict=True)
    if "RANK" not in os.environ:
        yield 0, 1
        return
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    # Imported later, as the first optimiser does, it would keep the group in its default arguments:
    # the threads of gloo would outlive the interpreter, and now and then abort it at its end.
    import_module("torch.distributed.nn.functional")
    gpu = torch.cuda.is_available() and torch.cuda.device_count() >= here
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # Else NCCL reports a lost process by ending this one, from a thread of its own.
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
    wait = timedelta(seconds=timeout)
    with contact():
        store, rank, world = next(dist.rendezvous("env://", timeout=wait))
        if os.environ.get("GROUP_WORLD_SIZE") == "1":
            # torchrun keeps its store when it restarts, with the addresses of processes long dead.
            # On several computers TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 gives each try its own.
            attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
            store = dist.PrefixStore(f"attempt {attempt}", store)
        dist.init_process_group(
            "nccl" if gpu else "gloo", store=store, rank=rank, world_size=world, timeout=wait
        )
    yield rank, world
    dist.destroy_process_group()  # not after an error: it would wait for the others


def together() -> bool:
    """Tell whether there are other processes to exchange with."""
    return dist.is_initialized()


def total(part):
    """Return the sum of what all processes have: `Stats`, or the `Moments` of factor analysis.

    Every process calls it, and gets the same bits: `em.fit(model, shards, total=total)`. It is one
    all-reduce of the sums, of symmetric matrices the upper triangle; before it, rank 0 tells the
    origins that it has taken its own about. Between CPUs gloo passes the sums round a ring, with
    2 (P - 1) messages one after the other: it takes longer the more processes there are. Alone, it
    returns `part`. Raises `ProcessLost`.
    """
    if not isinstance(part, em.Stats | Moments):
        raise TypeError(f"part is {type(part).__name__}; wanted Stats or Moments")
    if not together():
        return part
    if isinstance(part, Moments):
        return _total_moments(part)
    if isinstance(part, em.CentredStats):
        part = part.about(_broadcast(part.origin))
    sums = {name: np.asarray(value, dtype=np.float64) for name, value in part.sums().items()}
    flat = [_packed(name, value).ravel() for name, value in sums.items()]
    ends = np.cumsum([len(values) for values in flat])[:-1]
    flat = np.split(all_reduce(np.concatenate(flat)), ends)
    sums = {
        name: _unpacked(name, values, old.shape)
        for (name, old), values in zip(sums.items(), flat, strict=True)
    }
    sums = {name: value if value.ndim else float(value) for name, value in sums.items()}
    return replace(part, **(sums | {"n": round(sums["n"])}))


def from_rank_0(value):
    """Return what rank 0 has as `value`: numbers, a model, None. Raises `ProcessLost`."""
    if not together():
        return value
    box = [value]
    with contact():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def from_all(value) -> list:
    """Return what each process has as `value`, in the order of ranks. Raises `ProcessLost`."""
    if not together():
        return [value]
    values = [None] * dist.get_world_size()
    with contact():
        dist.all_gather_object(values, value)
    return values


def smallest(count: int) -> int:
    """Return the smallest of the counts that the processes have. Raises `ProcessLost`."""
    return int(all_reduce(count, dist.ReduceOp.MIN)) if together() else count


def average(values: torch.Tensor) -> torch.Tensor:
    """Return the mean of a tensor over all processes; `values` become it. Raises `ProcessLost`."""
    if together():
        with contact():
            dist.all_reduce(values)
        values /= dist.get_world_size()
    return values


def all_reduce(a, op=dist.ReduceOp.SUM) -> Array:
    """Return the sum over all processes, in float64. Raises `ProcessLost`."""
    return _exchanged(a, lambda tensor: dist.all_reduce(tensor, op))


@contextmanager
def contact() -> Iterator[None]:
    """Say in words what a failed exchange means."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        reason = str(error).split("] ", 1)[-1].split(". ")[0][:200]
        raise ProcessLost(
            "another process has died, or did not answer in time; its own message tells why "
            f"({reason})"
        ) from None


def _total_moments(part: Moments) -> Moments:
    origin = _broadcast(part.mean)
    shift = all_reduce(np.append(part.n * (part.mean - origin), part.n))
    n, mean = round(shift[-1]), origin + shift[:-1] / shift[-1]
    return Moments(n, mean, all_reduce(part.about(mean)), None)


def _packed(name: str, a: Array) -> Array:
    return a[..., *np.triu_indices(a.shape[-1])] if name in SYMMETRIC else a


def _unpacked(name: str, values: Array, shape: tuple[int, ...]) -> Array:
    if name not in SYMMETRIC:
        return values.reshape(shape)
    a, (i, j) = np.empty(shape), np.triu_indices(shape[-1])
    a[..., i, j] = a[..., j, i] = values.reshape(*shape[:-2], -1)
    return a


def _broadcast(a) -> Array:
    """Return the numbers that rank 0 has, in float64."""
    return _exchanged(a, lambda tensor: dist.broadcast(tensor, 0))


def _exchanged(a, exchange: Callable[[torch.Tensor], object]) -> Array:
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(a, dtype=torch.float64, device=device)
    with contact():
        exchange(tensor)
    return tensor.cpu().numpy()
