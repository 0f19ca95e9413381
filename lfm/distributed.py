"""EM and the VAE in several processes, each with its share of the data, started by torchrun.

    torchrun --nproc-per-node 2 -m lfm.distributed mixture --data FOLDER --components 16
    torchrun --nproc-per-node 2 -m lfm.distributed vae --data FOLDER --latent 20 --checkpoint FILE

Of the sorted files of FOLDER (`data.Shards`) process `rank` takes rank, rank + world, and so on.
EM sends its statistics and nothing else: `total` is one all-reduce for each iteration, whatever N,
and the result is that of one process to rounding. The VAE sends gradients: a global batch is one
batch of every process. With torchrun's --max-restarts, a run that lost a process goes on from its
checkpoint by itself.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from lfm import data, em, training
from lfm.distributions import InverseWishart
from lfm.engine import validate
from lfm.factor_analysis import Moments
from lfm.gaussian_mixture import GaussianMixture
from lfm.vae import VAE, BernoulliPixels, SharedGaussian

Array = np.ndarray

# Statistics that are symmetric matrices: their upper triangle says all.
SYMMETRIC = ("rxx", "zz")
# What the start of a mixture is found from.
START_ROWS = 20_000
# How many rows of a file tell it from another.
OUTLINE_ROWS = 2000


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
    gpu = torch.cuda.is_available() and torch.cuda.device_count() >= _local_world()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    wait = timedelta(seconds=timeout)
    with _contact():
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


def total(part):
    """Return the sum of what all processes have: `Stats`, or the `Moments` of factor analysis.

    Every process calls it, and gets the same bits: `em.fit(model, shards, total=total)`. It is one
    all-reduce of the sums, of symmetric matrices the upper triangle; before it, rank 0 tells the
    origins that it has taken its own about. Alone, it returns `part`. Raises `ProcessLost`.
    """
    if not isinstance(part, em.Stats | Moments):
        raise TypeError(f"part is {type(part).__name__}; wanted Stats or Moments")
    if not dist.is_initialized():
        return part
    if isinstance(part, Moments):
        return _total_moments(part)
    if hasattr(part, "origin"):
        part = part.about(_broadcast(part.origin))
    sums = {name: np.asarray(value, dtype=np.float64) for name, value in part.sums().items()}
    flat = [_packed(name, value).ravel() for name, value in sums.items()]
    ends = np.cumsum([len(values) for values in flat])[:-1]
    flat = np.split(_all_reduce(np.concatenate(flat)), ends)
    sums = {
        name: _unpacked(name, values, old.shape)
        for (name, old), values in zip(sums.items(), flat, strict=True)
    }
    sums = {name: value if value.ndim else float(value) for name, value in sums.items()}
    return replace(part, **(sums | {"n": round(sums["n"])}))


def from_rank_0(value):
    """Return what rank 0 has as `value`: numbers, a model, None. Raises `ProcessLost`."""
    if not dist.is_initialized():
        return value
    box = [value]
    with _contact():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def _total_moments(part: Moments) -> Moments:
    origin = _broadcast(part.mean)
    shift = _all_reduce(np.append(part.n * (part.mean - origin), part.n))
    n, mean = round(shift[-1]), origin + shift[:-1] / shift[-1]
    return Moments(n, mean, _all_reduce(part.about(mean)), None)


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


def _all_reduce(a, op=dist.ReduceOp.SUM) -> Array:
    """Return the sum over all processes, in float64."""
    return _exchanged(a, lambda tensor: dist.all_reduce(tensor, op))


def _exchanged(a, exchange: Callable[[torch.Tensor], object]) -> Array:
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(a, dtype=torch.float64, device=device)
    with _contact():
        exchange(tensor)
    return tensor.cpu().numpy()


@contextmanager
def _contact() -> Iterator[None]:
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


# ------------------------------------------------------------------ the mixture


def fit_mixture(options, rank: int, world: int) -> None:
    """Fit a mixture; rank 0 saves the model after every learning step."""
    validate.count(options.components, "components")
    validate.count(options.max_iter, "max_iter", 0)
    validate.scalar(options.tol, "tol", 0.0)
    shards = data.Shards(options.data)
    about = {"rows": len(shards), "columns": shards.dim, "components": options.components,
             "prior": options.prior, "seed": options.seed, "data": _outline(shards)}  # fmt: skip
    model, bounds = from_rank_0(_start(shards, options, about) if rank == 0 else None)
    for step in em.steps(model, shards.part(rank, world), total=total):
        if step.half == "learning":
            if rank == 0 and options.checkpoint:
                training._write(options.checkpoint, _state(step.model, bounds, about))
            continue
        bounds.append(step.bound)
        if rank == 0:
            nats = step.bound / step.stats.n
            print(f"iteration {len(bounds) - 1}: {nats:.6f} nats per datum", flush=True)
        done = len(bounds) > 1 and bounds[-1] - bounds[-2] < options.tol * step.stats.n
        if done or len(bounds) > options.max_iter:
            break


def _outline(shards: data.Shards) -> str:
    """Return a checksum of names, sizes and rows (of large files, some): other data differ."""
    found = hashlib.sha256()
    for path, batch in zip(shards.paths, shards, strict=True):
        found.update(f"{path.name} {batch.shape} {batch.dtype}".encode())
        found.update(np.ascontiguousarray(batch[:: -(-len(batch) // OUTLINE_ROWS)]).tobytes())
    return found.hexdigest()


def _start(shards: data.Shards, options, about: dict) -> tuple[GaussianMixture, list[float]]:
    """Return the model and the bounds so far: of the checkpoint, if there is one."""
    path = options.checkpoint
    if (state := _saved(path)) is not None:
        if state.get("about") != json.dumps(about):
            raise ValueError(
                f"{path} is of another run ({state.get('about')}); this one is {json.dumps(about)}"
            )
        return load(path), state["bounds"].tolist()
    x = shards.sample(min(len(shards), START_ROWS), rng=options.seed)
    prior = InverseWishart.from_data(x, options.components) if options.prior else None
    model = GaussianMixture.init(x, options.components, rng=options.seed, prior=prior)
    if path is not None:
        training._write(
            path, _state(model, [], about)
        )  # where it cannot be written, none is fitted
    return model, []


def _state(model: GaussianMixture, bounds: list[float], about: dict) -> dict:
    arrays = {"weights": model.weights, "means": model.means, "covs": model.covs, "bounds": bounds}
    if model.prior is not None:
        arrays |= {"dof": model.prior.dof, "scale": model.prior.scale}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in arrays.items()}
    return {"kind": "mixture", "about": json.dumps(about)} | tensors


def load(path) -> GaussianMixture:
    """Return the mixture of a checkpoint. Raises what `training.load` raises for a bad file."""
    path = validate.path(path, "path")
    state = training._read(path)
    if state.get("kind") != "mixture":
        raise ValueError(f"{path} holds a {state.get('kind')}, not a mixture")
    with training._reading(path):
        arrays = {name: value.numpy() for name, value in state.items() if torch.is_tensor(value)}
        prior = InverseWishart(float(arrays["dof"]), arrays["scale"]) if "dof" in arrays else None
        return GaussianMixture(arrays["weights"], arrays["means"], arrays["covs"], prior)


# ------------------------------------------------------------------ the VAE


class _Terms(nn.Module):
    """The two terms of the bound as a module, so that DDP can average their gradients."""

    def __init__(self, vae: VAE):
        super().__init__()
        self.vae = vae

    def forward(self, x, eps):
        return self.vae.terms(x, eps)


class _Run(training._Run):
    """A training run of which each process has its part of the data, all of them equal steps.

    A global batch is one batch of every rank, and its gradient the average of theirs: that of one
    process with the whole of it. Order and noise of rank r in epoch e come from (seed, e, r).
    An epoch has as many steps as the smallest part has batches.
    """

    def __init__(self, vae, x, batch_size, lr, seed, rank, world):
        grey = x.dtype == np.uint8
        super().__init__(vae, x, batch_size, lr, seed, "auto", None, grey, False)
        self.seed, self.rank, self.world = seed, rank, world
        if dist.is_initialized():
            self.terms = nn.parallel.DistributedDataParallel(_Terms(vae))
            self.per_epoch = int(_all_reduce(self.per_epoch, dist.ReduceOp.MIN))
            parts = [None] * world
            dist.all_gather_object(parts, (len(self.x), self.fingerprint))
            self.fingerprint = str(parts)

    def one_epoch(self, steps=None) -> None:
        seed = validate.torch_seed(np.random.default_rng([self.seed, self.epoch, self.rank]))
        self.generator.manual_seed(seed)
        self._seed_global(seed + 1)
        with _contact():
            super().one_epoch(steps)

    def _check(self, losses, before) -> None:
        """All processes judge the same numbers: the means over the global batch."""
        if dist.is_initialized():
            dist.all_reduce(losses)
            losses /= self.world
        super()._check(losses, before)

    def _captured(self):
        return self.forward_and_back  # no graph: it would have to hold the exchange of gradients

    def about(self) -> dict:
        """What must be the same for a run to go on, in the words of every rank."""
        whole = {"world": self.world, "seed": self.seed, "rows": "as in `data`"}
        return super().about() | whole


def train_vae(options, rank: int, world: int) -> None:
    """Train a VAE; rank 0 saves the whole run after every epoch: `training.load` reads it.

    Each process holds its part of the data in memory.
    """
    validate.count(options.epochs, "epochs", 0)
    shards = data.Shards(options.data)
    kinds = {str(shard.dtype) for shard in shards}
    if len(kinds) > 1 and kinds & {"uint8", "bool"}:
        raise ValueError(
            f"data holds {' and '.join(sorted(kinds))} files; wanted files of one kind"
        )
    x = np.concatenate(list(shards.part(rank, world)))
    decoder = BernoulliPixels if x.dtype in (np.uint8, bool) else SharedGaussian
    vae = VAE.dense(x.shape[1], options.latent, options.hidden, rng=options.seed, decoder=decoder)
    run = _Run(vae, x, options.batch_size, options.lr, options.seed, rank, world)
    path = options.checkpoint
    if (state := from_rank_0(_saved(path) if rank == 0 else None)) is not None:
        run.restore(state, path)
    elif rank == 0 and path is not None:
        training._write(path, run.state())  # where it cannot be written, nothing is trained
    with run.own_randomness():
        while run.epoch < options.epochs:
            run.one_epoch()
            if rank != 0:
                continue
            print(f"epoch {run.epoch}: bound {run.trace.bound[-1]:.4f} nats per datum", flush=True)
            if path is not None:
                training._write(path, run.state())


def _saved(path: Path | None) -> dict | None:
    """Return what a run before this one has saved, if any, and remove what it left half-written."""
    if path is None:
        return None
    validate.file_to_write(path, "checkpoint")
    training._remove_debris(path)
    return training._read(path) if path.exists() else None


# ------------------------------------------------------------------ from the shell


def main(arguments: list[str] | None = None) -> None:
    """Run one of several equal processes; see `--help`. Each says as what rank it failed."""
    options = _parser().parse_args(arguments)
    name = f"rank {os.environ.get('RANK', 0)}"

    def stopped(*_):
        sys.exit(f"{name}: stopped, for another process has failed")

    try:
        if options.checkpoint is not None:
            options.checkpoint = validate.path(options.checkpoint, "checkpoint")
        with processes(options.timeout) as (rank, world):
            if world > 1:
                signal.signal(signal.SIGTERM, stopped)  # torchrun's word to those that are left
            options.run(options, rank, world)
    except (TypeError, ValueError, OSError, ArithmeticError, ProcessLost) as error:
        sys.exit(f"{name}: {type(error).__name__}: {error}")
    except RuntimeError as error:
        training.out_of_memory(error, name)
        raise
    except KeyboardInterrupt:
        print(f"{name}: stopped; the same command goes on from the checkpoint", file=sys.stderr)
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="torchrun --nproc-per-node WORLD -m lfm.distributed",
        description="Fit a model to a folder of .npy files with several processes, resuming from "
        "the checkpoint by itself.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    common.add_argument("--checkpoint", type=Path, metavar="FILE")
    common.add_argument("--seed", type=int, default=0)
    common.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for others")
    models = parser.add_subparsers(required=True, metavar="mixture|vae")
    mixture = models.add_parser("mixture", parents=[common])
    mixture.add_argument("--components", type=int, required=True)
    mixture.add_argument("--prior", action="store_true", help="a weak one, against collapse")
    mixture.add_argument("--max-iter", type=int, default=1000)
    mixture.add_argument("--tol", type=float, default=1e-6, help="nats per datum")
    mixture.set_defaults(run=fit_mixture)
    vae = models.add_parser(
        "vae", parents=[common], help="bytes are grey images, bool bits, all else is Gaussian"
    )
    vae.add_argument("--latent", type=int, default=20, help="factors")
    vae.add_argument("--hidden", type=int, nargs="*", default=[400], help="hidden layers")
    vae.add_argument("--epochs", type=int, default=50)
    vae.add_argument("--batch-size", type=int, default=128, help="of each process")
    vae.add_argument("--lr", type=float, default=1e-3)
    vae.set_defaults(run=train_vae)
    return parser


def _local_world() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


if __name__ == "__main__":
    main()
