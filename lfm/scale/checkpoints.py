"""A VAE in a file; and a training run in a file, from which it goes on to the same weights."""

import hashlib
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from lfm.engine import constants, networks, randomness, validate
from lfm.scale import sealed
from lfm.scale.architectures import build, spec
from lfm.training import Run, Trace
from lfm.vae import VAE

Tensor = torch.Tensor


# ------------------------------------------------------------------ the networks


def save(vae: VAE, path) -> None:
    """Write a VAE to a file: see `lfm.training.save`."""
    validate.kind(vae, "vae", VAE)
    copied = networks.copied(vae.state_dict())
    weights = {k: v.cpu() if isinstance(v, Tensor) else v for k, v in copied.items()}
    state = {"kind": "VAE", **description(vae), "model": weights}
    sealed.write(validate.file_to_write(path, "path"), state)


def load(path, vae: VAE | None = None) -> VAE:
    """Return the VAE of a file: see `lfm.training.load`."""
    path = validate.path(path, "path")
    if vae is not None:
        validate.kind(vae, "vae", VAE)
    state = sealed.read(path)
    if state.get("kind") not in ("VAE", "training"):
        raise ValueError(f"{path} holds a {state.get('kind')}, not a VAE")
    with sealed.understood(path):
        made = _like(state, path) if vae is None else vae
        if vae is not None and state.get("networks") not in (None, repr(vae)):
            raise ValueError(
                f"{path} is of another architecture, and was not loaded: "
                f"{_difference(state['networks'], repr(vae))}"
            )
        _check_sizes(state["model"], made, path)
        made.load_state_dict(state["model"])
    return made


def description(vae: VAE) -> dict[str, str]:
    """Return what a file says of the networks in it: how to make them, and what they look like."""
    try:
        architecture = json.dumps(spec(vae))
    except ValueError:  # a network of the user's own: its weights can be loaded into another
        architecture = "null"
    return {
        "architecture": architecture,
        "networks": repr(vae),
        "frozen": json.dumps(_frozen(vae)),
    }


def _like(state: dict, path: Path) -> VAE:
    """Return a new VAE of the architecture and the kind of numbers that a file has."""
    architecture = json.loads(state.get("architecture", "null"))
    if architecture is None:
        raise ValueError(
            f"{path} does not say how its networks are made; make the VAE, and load(path, vae)"
        )
    vae = validate.kind(build(architecture), "architecture", VAE)
    for name, weights in vae.named_parameters():
        weights.data = weights.data.to(state["model"][name].dtype)
        weights.requires_grad_(name not in json.loads(state.get("frozen", "[]")))
    return vae


def _check_sizes(weights: dict, vae: VAE, path: Path) -> None:
    """Raise where weights are not those of such a VAE: other names, sizes, or kinds of number."""
    theirs, mine = (_sizes(state) for state in (weights, vae.state_dict()))
    for name in sorted({*theirs, *mine}):
        if theirs.get(name) != mine.get(name):
            raise ValueError(
                f"{path} is of another architecture: {name} is {theirs.get(name)} there and "
                f"{mine.get(name)} in vae"
            )


def _sizes(weights: dict) -> dict[str, str]:
    tensors = {name: w for name, w in weights.items() if isinstance(w, Tensor)}
    return {name: f"{tuple(w.shape)} of {w.dtype}" for name, w in tensors.items()}


def _difference(theirs: str, mine: str) -> str:
    """Say where two descriptions of networks first differ."""
    pairs = itertools.zip_longest(theirs.splitlines(), mine.splitlines(), fillvalue="nothing")
    there, here = next((a, b) for a, b in pairs if a != b)
    return f"{there.strip()} there and {here.strip()} in vae"


def _frozen(vae: VAE) -> list[str]:
    return [name for name, weights in vae.named_parameters() if not weights.requires_grad]


# ------------------------------------------------------------------ the run


def keeper(run: Run, checkpoint) -> Callable[[], None]:
    """Go on from a checkpoint that is there, and return what saves the run after an epoch.

    Where there is none it is written at once: where that fails, it would fail after an epoch.
    Raises `OSError` then, and `ValueError` for the checkpoint of another run.
    """
    path = validate.path(checkpoint, "checkpoint")
    saved, this = sealed.saved_before(path), about(run)
    if saved is None:
        sealed.write(path, state(run, this))
    else:
        with sealed.understood(path):
            restore(run, saved, this, path)

    def keep() -> None:
        if run.step == run.epoch * run.per_epoch:  # no epoch was cut short
            sealed.write(path, state(run, this))

    return keep


def about(run: Run) -> dict:
    """Return what must be the same for a run to go on."""
    held_out = run.held_out
    # Of a generator one cannot tell where it stood when the run began.
    rng = "a generator" if isinstance(run.rng, np.random.Generator) else int(run.rng)
    return {
        "rows": len(run.x),
        "columns": run.x.shape[1],
        "batch_size": run.batch_size,
        "lr": run.lr,
        "binarise": run.binarise,
        "bfloat16": run.bfloat16,
        "device": run.device.type,
        "dtype": str(next(run.vae.parameters()).dtype),
        "rng": rng,
        "data": fingerprint(run.x),
        "networks": repr(run.vae),
        "frozen": _frozen(run.vae),
        "validation": None if held_out is None else fingerprint(held_out),
    }


def fingerprint(x: Tensor) -> str:
    """Return the sha256 of the bytes of data."""
    return hashlib.sha256(x.cpu().contiguous().view(torch.uint8).numpy()).hexdigest()


def snapshot(run: Run) -> dict:
    """Return a copy of all tensors that the rest of the run depends on."""
    return {
        "model": networks.copied(run.vae.state_dict()),
        "optimiser": networks.copied(run.optimiser.state_dict()),
        "generator": run.generator.get_state(),
        "global": randomness.get(run.device),
    }


def state(run: Run, about: dict) -> dict:
    """Return all that a checkpoint holds: what the run is about, how far it is, its tensors."""
    progress = {
        "epoch": run.epoch,
        "step": run.step,
        "first": run.first,
        "behaviour": behaviour(run),
    }
    return {
        "kind": "training",
        "about": json.dumps(about),
        "trace": json.dumps(asdict(run.trace)),
        "progress": json.dumps(progress),
        **description(run.vae),
        **snapshot(run),
    }


def restore(run: Run, state: dict, about: dict, path: Path) -> None:
    """Go on from the state of a checkpoint. Raises `ValueError` where it is of another run.

    The networks then stay as they were.
    """
    if state.get("kind") != "training":
        raise ValueError(f"{path} holds a {state.get('kind')}, not a training run")
    _check_about(json.loads(state["about"]), about, path)
    before = networks.copied(run.vae.state_dict())
    try:
        run.vae.load_state_dict(state["model"])
        run.optimiser.load_state_dict(state["optimiser"])
        run.generator.set_state(state["generator"].cpu())
        progress = json.loads(state["progress"])
        run.epoch, run.step = (validate.count(progress[k], k, 0) for k in ("epoch", "step"))
        run.first = progress["first"]
        run.trace = Trace(**json.loads(state["trace"]))
        _check_behaviour(progress["behaviour"], behaviour(run), path)
        randomness.put(run.device, [s.cpu() for s in state["global"]])
    except BaseException:
        run.vae.load_state_dict(before)
        raise


@torch.no_grad()
def behaviour(run: Run) -> float:
    """Return what the networks make of a datum that is ½ everywhere: others make another."""
    dtype = next(run.vae.parameters()).dtype
    x = torch.full((1, run.x.shape[1]), 0.5, dtype=dtype, device=run.device)
    with networks.evaluating(run.vae):
        return run.vae.lower_bound(x, torch.zeros(1, 1, run.vae.n_factors).to(x)).item()


def _check_about(theirs: dict, mine: dict, path: Path) -> None:
    """Raise where a checkpoint is of another run, and say in what it differs."""
    for name, value in mine.items():
        if theirs.get(name) == value:
            continue
        short = name not in ("data", "validation", "networks")
        what = f"{name} {theirs.get(name)}" if short else f"other {name}"
        if name == "networks" and "networks" in theirs:
            what += f" ({_difference(theirs[name], value)})"
        raise ValueError(
            f"{path} is the checkpoint of a run with {what}; this run has "
            f"{value if short else 'its own'}. Continue with the same arguments, or choose "
            "another file"
        )


def _check_behaviour(theirs: float, mine: float, path: Path) -> None:
    """Raise where networks that look the same compute something else."""
    near = {"rel_tol": constants.SAME_BEHAVIOUR, "abs_tol": constants.SAME_BEHAVIOUR}
    if not math.isnan(mine) and not math.isclose(theirs, mine, **near):
        raise ValueError(
            f"{path} is the checkpoint of a run with other networks: its weights "
            f"give a bound of {mine:.6g} here and gave {theirs:.6g} there"
        )
