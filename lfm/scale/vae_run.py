"""The VAE in several processes: each has its part of the data, and gradients are averaged.

A global batch is one batch of every rank, and its gradient the average of theirs: that of one
process with the whole of it. Order and noise of rank r in epoch e come from (seed, e, r). An epoch
has as many steps as the smallest part has batches.
"""

import argparse

import numpy as np
import torch
from torch import nn

from lfm.engine import randomness, validate
from lfm.scale import checkpoints, sealed
from lfm.scale.processes import average, contact, from_all, from_rank_0, smallest, together
from lfm.scale.shards import Shards
from lfm.training import Run
from lfm.vae import VAE, BernoulliPixels, SharedGaussian

Tensor = torch.Tensor


class Terms(nn.Module):
    """The two terms of the bound as a module, so that DDP can average their gradients."""

    def __init__(self, vae: VAE):
        super().__init__()
        self.vae = vae

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        return self.vae.terms(x, eps)


def train_vae(options: argparse.Namespace, rank: int, world: int) -> None:
    """Train a VAE; rank 0 saves the whole run after every epoch: `training.load` reads it.

    Each process holds its part of the data in memory.
    """
    validate.count(options.epochs, "epochs", 0)
    run = shared_run(options, rank, world)
    this, path = about(run, options.seed, world), options.checkpoint
    with randomness.own(run.device, options.seed + 1):
        if (saved := from_rank_0(sealed.saved_before(path) if rank == 0 else None)) is not None:
            checkpoints.restore(run, saved, this, path)
        elif rank == 0 and path is not None:  # where it cannot be written, nothing is trained
            sealed.write(path, checkpoints.state(run, this))
        while run.epoch < options.epochs:
            one_epoch(run, options.seed, rank)
            if rank != 0:
                continue
            bound = run.trace.bound[-1]
            print(f"epoch {run.epoch}: bound {bound:.4f} nats per datum", flush=True)
            if path is not None:
                sealed.write(path, checkpoints.state(run, this))


def shared_run(options: argparse.Namespace, rank: int, world: int) -> Run:
    """Return the run of one process: its part of the data, and steps that all take together."""
    x = part_of_data(Shards(options.data), rank, world)
    decoder = BernoulliPixels if x.dtype in (np.uint8, bool) else SharedGaussian
    vae = VAE.dense(x.shape[1], options.latent, options.hidden, rng=options.seed, decoder=decoder)
    grey = x.dtype == np.uint8
    run = Run(vae, x, batch_size=options.batch_size, lr=options.lr, rng=options.seed, binarise=grey)
    run.replays = False  # a recording would have to hold the exchange of gradients
    run.per_epoch = smallest(run.per_epoch)
    if together():
        with contact():
            run.terms = nn.parallel.DistributedDataParallel(Terms(vae))
    return run


def part_of_data(shards: Shards, rank: int, world: int) -> np.ndarray:
    """Return the rows of one process's files (N, D). Raises `ValueError` for files of two kinds."""
    kinds = {str(shard.dtype) for shard in shards}
    if len(kinds) > 1 and kinds & {"uint8", "bool"}:
        raise ValueError(
            f"data holds {' and '.join(sorted(kinds))} files; wanted files of one kind"
        )
    return np.concatenate(list(shards.part(rank, world)))


def about(run: Run, seed: int, world: int) -> dict:
    """Return what must be the same for a run to go on, in the words of every rank."""
    found = checkpoints.about(run)
    if together():
        found["data"] = str(from_all((len(run.x), found["data"])))
    return found | {"world": world, "seed": seed, "rows": "as in `data`"}


def one_epoch(run: Run, seed: int, rank: int) -> None:
    """Take the steps of an epoch; all processes judge the same numbers: means over global batches.

    Raises `ProcessLost`, and `TrainingDiverged` in all of them.
    """
    seed = validate.torch_seed(np.random.default_rng([seed, run.epoch, rank]))
    run.generator.manual_seed(seed)
    randomness.set_seed(run.device, seed + 1)
    with contact():
        run.one_epoch(average=average)
