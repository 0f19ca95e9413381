"""The mixture in several processes: each sees its own files, and they exchange statistics alone."""

import argparse
import hashlib
import json

import numpy as np
import torch

from lfm import em
from lfm.distributions import InverseWishart
from lfm.engine import constants, validate
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import sealed
from lfm.scale.processes import from_rank_0, total
from lfm.scale.shards import Shards


def fit_mixture(options: argparse.Namespace, rank: int, world: int) -> None:
    """Fit a mixture; rank 0 saves the model after every learning step."""
    validate.count(options.components, "components")
    validate.count(options.max_iter, "max_iter", 0)
    validate.scalar(options.tol, "tol", 0.0)
    shards = Shards(options.data)
    this = about(shards, options)
    model, bounds = from_rank_0(_start(shards, options, this) if rank == 0 else None)
    for step in em.steps(model, shards.part(rank, world), total=total):
        if step.half == "learning":
            if rank == 0 and options.checkpoint:
                sealed.write(options.checkpoint, state(step.model, bounds, this))
            continue
        bounds.append(step.bound)
        if rank == 0:
            nats = step.bound / step.stats.n
            print(f"iteration {len(bounds) - 1}: {nats:.6f} nats per datum", flush=True)
        if em.settled(bounds, step.stats.n, options.tol) or len(bounds) > options.max_iter:
            break


def about(shards: Shards, options: argparse.Namespace) -> dict:
    """Return what must be the same for a run to go on."""
    return {
        "rows": len(shards),
        "columns": shards.dim,
        "components": options.components,
        "prior": options.prior,
        "seed": options.seed,
        "data": outline(shards),
    }


def outline(shards: Shards) -> str:
    """Return a checksum of names, sizes and rows (of large files, some): other data differ."""
    found = hashlib.sha256()
    for path, batch in zip(shards.paths, shards, strict=True):
        found.update(f"{path.name} {batch.shape} {batch.dtype}".encode())
        step = -(-len(batch) // constants.OUTLINE_ROWS)
        found.update(np.ascontiguousarray(batch[::step]).tobytes())
    return found.hexdigest()


def state(model: GaussianMixture, bounds: list[float], about: dict) -> dict:
    """Return all that a checkpoint holds: the model, the bounds so far, what they are about."""
    arrays = {"weights": model.weights, "means": model.means, "covs": model.covs, "bounds": bounds}
    if model.prior is not None:
        arrays |= {"dof": model.prior.dof, "scale": model.prior.scale}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in arrays.items()}
    return {"kind": "mixture", "about": json.dumps(about)} | tensors


def load(path) -> GaussianMixture:
    """Return the mixture of a checkpoint. Raises what `training.load` raises for a bad file."""
    path = validate.path(path, "path")
    found = sealed.read(path)
    if found.get("kind") != "mixture":
        raise ValueError(f"{path} holds a {found.get('kind')}, not a mixture")
    with sealed.understood(path):
        arrays = {name: value.numpy() for name, value in found.items() if torch.is_tensor(value)}
        prior = InverseWishart(float(arrays["dof"]), arrays["scale"]) if "dof" in arrays else None
        return GaussianMixture(arrays["weights"], arrays["means"], arrays["covs"], prior)


def _start(
    shards: Shards, options: argparse.Namespace, about: dict
) -> tuple[GaussianMixture, list[float]]:
    """Return the model and the bounds so far: of the checkpoint, if there is one."""
    path = options.checkpoint
    if (saved := sealed.saved_before(path)) is not None:
        if saved.get("about") != json.dumps(about):
            raise ValueError(
                f"{path} is of another run ({saved.get('about')}); this one is {json.dumps(about)}"
            )
        return load(path), saved["bounds"].tolist()
    x = shards.sample(min(len(shards), constants.START_ROWS), rng=options.seed)
    prior = InverseWishart.from_data(x, options.components) if options.prior else None
    model = GaussianMixture.init(x, options.components, rng=options.seed, prior=prior)
    if path is not None:
        sealed.write(path, state(model, [], about))  # where it cannot be, none is fitted
    return model, []
