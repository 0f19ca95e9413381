"""Training of the VAE, on a CPU or a GPU, with nothing lost when it is interrupted.

    python -m lfm.training --data mnist --latent 20 --epochs 50 --checkpoint FOLDER

Data, permutations and noise live on the device. All that is random comes from one generator of the
run's own, whose state is in the checkpoint: a run that was killed goes on to the very same weights.
"""

import argparse
import contextlib
import glob
import hashlib
import io
import itertools
import json
import math
import os
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lfm import data
from lfm.engine import validate
from lfm.engine.progress import bar as progress_bar
from lfm.vae import VAE, build, evaluating, modes_kept, spec

Tensor = torch.Tensor

MAGIC = b"lfm checkpoint 1\n"
# A batch whose bound is this many times further down than the first one's has exploded.
EXPLODED = 1e3
VALIDATION_ROWS = 1000
# What a run has left half-written, and another may be writing now, is debris after this: seconds.
STALE = 3600


class TrainingDiverged(ArithmeticError):
    """The loss is NaN or has exploded; the weights are those from before that epoch."""


@dataclass
class Trace:
    """What happened, epoch by epoch: means over data, nats per datum."""

    bound: list[float] = field(default_factory=list)  # L, while the weights were moving
    explained: list[float] = field(default_factory=list)  # E_q[ln p(x | z)]
    divergence: list[float] = field(default_factory=list)  # KL(q ‖ p(z))
    validation: list[float] = field(default_factory=list)  # L of held-out data, where given
    seconds: list[float] = field(default_factory=list)


def train(
    vae: VAE,
    x,
    *,
    epochs: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    rng,
    device: str = "auto",
    checkpoint=None,
    progress: bool | None = None,
    validation=None,
    binarise: bool = False,
    bfloat16: bool = False,
    steps: int | None = None,
) -> Trace:
    """Raise the bound of `vae` by Adam in θ and φ at once, in place; return the `Trace`.

    x (N, D) are real numbers, taken as they are, or bytes, divided by 255; `validation` likewise.
    (Not so the columns that are given to a `ConditionalVAE`: they are as they are.) An epoch is
    one permutation of the data in batches of `batch_size`; what is left over at its end waits for
    the next permutation. With `binarise` each pixel is drawn anew as a bit of that mean whenever it
    is used. Networks are in training mode meanwhile and then in the mode that they were in; what
    they draw themselves, as dropout does, comes from `rng` too. `device` is "auto", "cpu" or
    "cuda"; `bfloat16` does matrix products in it. `steps` ends the run after so many steps in all,
    in the middle of an epoch if need be. `progress` as in `progress.bar`: a bar that says how far
    it is, and on which device.

    With `checkpoint`, a file, the whole state is saved after every epoch, and a run that finds it
    goes on from there to the weights it would have had. Ctrl-C leaves the weights of the last step
    in `vae`. Raises `TrainingDiverged` where the loss is NaN or explodes, `ValueError` for bad
    arguments or a checkpoint of another run (other data, networks, or options but `epochs` and
    `steps`), and `OSError`, before anything is trained, where the checkpoint cannot be written.
    """
    epochs = validate.count(epochs, "epochs", 0)
    steps = None if steps is None else validate.count(steps, "steps", 0)
    validate.kind(vae, "vae", VAE)
    home = next(vae.parameters()).device
    with modes_kept(vae):
        try:
            run = _Run(vae, x, batch_size, lr, rng, device, validation, binarise, bfloat16)
            path = None if checkpoint is None else _begin(run, checkpoint)
            with run.own_randomness():
                _go_on(run, epochs, steps, path, progress)
        finally:
            vae.to(home)
    return run.trace


def _begin(run: "_Run", checkpoint) -> Path:
    """Go on from a checkpoint that is there; else write one, for where that fails all would."""
    path = validate.file_to_write(checkpoint, "checkpoint")
    _remove_debris(path)
    if path.exists():
        with _reading(path):
            run.restore(_read(path), path)
    else:
        _write(path, run.state())
    return path


def _go_on(run: "_Run", epochs: int, steps: int | None, path: Path | None, progress) -> None:
    names = {"desc": f"training on {run.device}", "unit": "epoch", "initial": run.epoch}
    with progress_bar(epochs, progress, **names) as bar:
        while run.epoch < epochs and (steps is None or run.step < steps):
            run.one_epoch(steps)
            bar.update(f"bound {run.trace.bound[-1]:.2f} nats")
            if path is not None and run.whole:
                _write(path, run.state())


def announce(minutes: float) -> None:
    """Print which device `train` will use here, and how long the chapter computes on a laptop."""
    minutes = validate.scalar(minutes, "minutes", 0.0)
    device = _device("auto")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "the CPU"
    print(
        f"Training runs on {name} here. On two cores of a laptop this chapter computes for about "
        f"{minutes:g} minute{'s' if minutes != 1 else ''}; a bar shows what takes long."
    )


class _Run:
    """One training run: everything that a checkpoint must hold, and the step."""

    def __init__(self, vae, x, batch_size, lr, rng, device, validation, binarise, bfloat16):
        self.vae, self.device = vae, _device(device)
        self.dtype = next(vae.parameters()).dtype
        self.binarise = validate.switch(binarise, "binarise")
        self.x, self.held_out = self._resident(x, "x"), None
        if validation is not None:
            self.held_out = self._resident(validation, "validation", self.x.shape[1])
        self.batch_size = validate.count(batch_size, "batch_size", 1, len(self.x))
        self.lr = validate.scalar(lr, "lr", 0.0, strict=True)
        self.bfloat16 = validate.switch(bfloat16, "bfloat16")
        vae.to(self.device)
        self.fingerprint = _fingerprint(self.x)
        self._rehearse()
        self.terms = vae.terms
        self.generator = torch.Generator(self.device)
        # Of a generator one cannot tell where it stood when the run began.
        self.seed = validate.torch_seed(rng)
        self.rng = "a generator" if isinstance(rng, np.random.Generator) else int(rng)
        self.generator.manual_seed(self.seed)
        on_gpu = self.device.type == "cuda"
        self.optimiser = torch.optim.Adam(
            vae.parameters(), lr=self.lr, fused=True, capturable=on_gpu
        )
        self.rows = torch.zeros(self.batch_size, dtype=torch.long, device=self.device)
        self.per_epoch = len(self.x) // self.batch_size
        # explained, divergence; of each step, and of the weights after the last
        self.losses = torch.zeros(self.per_epoch + 1, 2, device=self.device)
        self.epoch = self.step = 0
        self.first = None  # the first batch's bound
        self.trace = Trace()
        self.global_states = None  # of torch's own generators, in a run that goes on
        self.replay = None

    @property
    def whole(self) -> bool:
        """Whether no epoch was cut short."""
        return self.step == self.epoch * self.per_epoch

    # -------------------------------------------------------------- one step

    def _resident(self, x, name: str, n_columns: int | None = None) -> Tensor:
        """Return data on the device: bytes as bytes, all else in the dtype of the weights."""
        x = validate.data(x.detach().cpu() if isinstance(x, Tensor) else x, name)
        if n_columns not in (None, x.shape[1]):
            raise ValueError(f"{name} has {x.shape[1]} columns; wanted {n_columns}")
        x = self.vae.checked(x, name, bits=True if self.binarise else None)
        if x.dtype == np.uint8:
            return torch.tensor(x, device=self.device)
        x = torch.tensor(x, device=self.device, dtype=self.dtype)  # a copy: x may be read-only
        if not x.isfinite().all():
            raise ValueError(f"{name} is too large for {self.dtype}, the numbers of the networks")
        return x

    @torch.no_grad()
    def _rehearse(self) -> None:
        """Raise before anything is trained where the networks are unsound or do not take x."""
        check_weights(self.vae)
        if not any(weights.requires_grad for weights in self.vae.parameters()):
            raise ValueError("vae has no weights that learn: all are frozen (requires_grad=False)")
        one = self.vae.seen(self.x[:1])
        eps = torch.zeros(1, 1, self.vae.n_factors, dtype=one.dtype, device=one.device)
        try:
            with evaluating(self.vae):
                self.vae.lower_bound(one, eps)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise ValueError(
                f"x has {self.x.shape[1]} columns, which these networks do not take: {error}"
            ) from None

    @torch.no_grad()
    def _behaviour(self) -> float:
        """Return what the networks make of a datum that is ½ everywhere: others make another."""
        x = torch.full((1, self.x.shape[1]), 0.5, dtype=self.dtype, device=self.device)
        with evaluating(self.vae):
            return self.vae.lower_bound(x, torch.zeros(1, 1, self.vae.n_factors).to(x)).item()

    @contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Let what networks draw by themselves depend on `rng`, and leave torch's own state."""
        on_gpu = self.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.device] if on_gpu else []):
            if self.global_states is None:
                self._seed_global(self.seed + 1)
            else:
                self._set_global(self.global_states)
            yield

    def _seed_global(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _get_global(self) -> list[Tensor]:
        on_gpu = self.device.type == "cuda"
        return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if on_gpu else [])]

    def _set_global(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1])

    def batch(self, rows: Tensor) -> Tensor:
        return self._drawn(self.x.index_select(0, rows), self.generator)

    def _drawn(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return data as the networks see them: numbers, or bits drawn anew."""
        x = self.vae.seen(x)
        if not self.binarise:
            return x
        pixels = self.vae.explained(x)
        bits = (torch.rand(pixels.shape, generator=generator, device=x.device) < pixels).to(x)
        return torch.cat([bits, x[:, pixels.shape[1] :]], 1) if self.vae.n_given else bits

    def _noise(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return one draw of noise for each datum (1, N, K)."""
        shape = (1, len(x), self.vae.n_factors)
        return torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)

    def forward_and_back(self) -> Tensor:
        """One gradient step on the rows that `self.rows` holds; return the two terms' means."""
        x = self.batch(self.rows)
        eps = self._noise(x, self.generator)
        # No cache of converted weights: a recorded graph would go on using the first ones.
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.bfloat16, cache_enabled=False
        ):
            explained, divergence = (t.mean() for t in self.terms(x, eps))
        (self.vae.beta * divergence - explained).backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return torch.stack([explained.detach(), divergence.detach()]).float()

    def one_epoch(self, steps: int | None) -> None:
        """One permutation of the data; the state moves on only if all its steps were sound."""
        start, before = time.perf_counter(), self._snapshot()
        todo = self.per_epoch if steps is None else min(self.per_epoch, steps - self.step)
        self.vae.train()
        order = torch.randperm(len(self.x), generator=self.generator, device=self.device)
        step = self._captured() if self.device.type == "cuda" else self.forward_and_back
        for i in range(todo):
            self.rows.copy_(order[i * self.batch_size : (i + 1) * self.batch_size])
            self.losses[i] = step()
        self.losses[todo] = self._terms_after()
        self._check(self.losses[: todo + 1], before)
        explained, divergence = self.losses[:todo].double().mean(0).tolist()
        self.epoch, self.step = self.epoch + 1, self.step + todo
        self.trace.explained.append(explained)
        self.trace.divergence.append(divergence)
        self.trace.bound.append(explained - divergence)
        if self.held_out is not None:
            self.trace.validation.append(self._held_out_bound())
        self.trace.seconds.append(time.perf_counter() - start)

    def _check(self, losses: Tensor, before: dict) -> None:
        """Raise where a step of the epoch went wrong, with the weights from before it."""
        bounds = (losses[:, 0] - losses[:, 1]).cpu()
        if self.first is None:
            self.first = float(bounds[0])
        floor = -EXPLODED * (abs(self.first) + self.x.shape[1])
        bad = (~(bounds > floor)).nonzero()  # also where it is NaN
        if len(bad) == 0:
            return
        i = int(bad[0])
        self.vae.load_state_dict(before["model"])
        last = len(bounds) - 1
        when = f"after step {self.step + last}" if i == last else f"at step {self.step + i + 1}"
        raise TrainingDiverged(
            f"{when} (epoch {self.epoch + 1}) the bound of the batch was {bounds[i]:.4g} nats per "
            "datum; the weights are those from before this epoch. Try a lower lr (it is "
            f"{self.lr:g}), data scaled to about 1, or a decoder with a higher floor of its "
            "standard deviation"
        )

    @torch.no_grad()
    def _terms_after(self) -> Tensor:
        """Return the two terms' means of the last batch for the weights that its step has left.

        The next epoch begins with them, and the checkpoint holds them: they are judged now.
        """
        generator = torch.Generator(self.device).manual_seed(0)
        x = self._drawn(self.x.index_select(0, self.rows), generator)
        # In training mode, as they are trained, and without a trace in what networks count or draw.
        states, buffers = self._get_global(), [(b, b.clone()) for b in self.vae.buffers()]
        terms = self.vae.terms(x, self._noise(x, generator))
        self._set_global(states)
        for buffer, before in buffers:
            buffer.copy_(before)
        return torch.stack([term.mean() for term in terms]).float()

    @torch.no_grad()
    def _held_out_bound(self) -> float:
        """Return the mean bound of the held-out data, with noise that is the same every epoch."""
        generator = torch.Generator(self.device).manual_seed(0)
        total = 0.0
        with evaluating(self.vae):
            for start in range(0, len(self.held_out), VALIDATION_ROWS):
                x = self._drawn(self.held_out[start : start + VALIDATION_ROWS], generator)
                bounds = self.vae.lower_bound(x, self._noise(x, generator))
                total += bounds.double().sum().item()
        return total / len(self.held_out)

    # -------------------------------------------------------------- CUDA graph

    def _captured(self):
        """Return the step as a replayed CUDA graph, or the step itself where none can be made."""
        if self.replay is None:
            self.replay = self._capture()
        return self.replay

    def _capture(self):
        before = self._snapshot()
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # lazy initialisation must not be recorded
                for _ in range(3):
                    self.forward_and_back()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            graph.register_generator_state(self.generator)
            with torch.cuda.graph(graph):
                terms = self.forward_and_back()
        except RuntimeError as error:
            warnings.warn(f"no CUDA graph ({error}); training goes on step by step", stacklevel=5)
            self._reset(before)
            return self.forward_and_back
        self._reset(before)

        def replay() -> Tensor:
            graph.replay()
            return terms

        return replay

    def _reset(self, before: dict) -> None:
        """Undo warm-up steps in place: a recorded graph holds on to the tensors themselves."""
        with torch.no_grad():
            for name, value in self.vae.state_dict().items():
                if isinstance(value, Tensor):
                    value.copy_(before["model"][name])
            for i, weights in enumerate(self.vae.parameters()):
                old = before["optimiser"]["state"].get(i)
                for key, value in self.optimiser.state[weights].items():
                    value.copy_(old[key]) if old is not None else value.zero_()
        self.generator.set_state(before["generator"])

    # -------------------------------------------------------------- state

    def _snapshot(self) -> dict:
        return {
            "model": _cloned(self.vae.state_dict()),
            "optimiser": _cloned(self.optimiser.state_dict()),
            "generator": self.generator.get_state(),
            "global": self._get_global(),
        }

    def about(self) -> dict:
        """What must be the same for a run to go on."""
        return {
            "rows": len(self.x), "columns": self.x.shape[1], "batch_size": self.batch_size,
            "lr": self.lr, "binarise": self.binarise, "bfloat16": self.bfloat16,
            "device": self.device.type, "dtype": str(self.dtype), "rng": self.rng,
            "data": self.fingerprint, "networks": repr(self.vae), "frozen": _frozen(self.vae),
            "validation": None if self.held_out is None else _fingerprint(self.held_out),
        }  # fmt: skip

    def state(self) -> dict:
        """All that the rest of the run depends on."""
        progress = {"epoch": self.epoch, "step": self.step, "first": self.first,
                    "behaviour": self._behaviour()}  # fmt: skip
        return {
            "kind": "training", "about": json.dumps(self.about()),
            "trace": json.dumps(asdict(self.trace)), "progress": json.dumps(progress),
            **_description(self.vae), **self._snapshot(),
        }  # fmt: skip

    def restore(self, state: dict, path: Path) -> None:
        """Go on from a checkpoint. Raises `ValueError` where it is of another run."""
        if state.get("kind") != "training":
            raise ValueError(f"{path} holds a {state.get('kind')}, not a training run")
        theirs, mine = json.loads(state["about"]), self.about()
        for name, value in mine.items():
            if theirs.get(name) != value:
                short = name not in ("data", "validation", "networks")
                what = f"{name} {theirs.get(name)}" if short else f"other {name}"
                if name == "networks" and "networks" in theirs:
                    what += f" ({_difference(theirs[name], value)})"
                raise ValueError(
                    f"{path} is the checkpoint of a run with {what}; this run has "
                    f"{value if short else 'its own'}. Continue with the same arguments, or choose "
                    "another file"
                )
        before = self._snapshot()["model"]
        try:
            self.vae.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.generator.set_state(state["generator"].cpu())
            self.global_states = [s.cpu() for s in state["global"]]
            with self.own_randomness():
                pass  # they are states, or it raises
            progress = json.loads(state["progress"])
            self.epoch, self.step = (validate.count(progress[k], k, 0) for k in ("epoch", "step"))
            self.first = progress["first"]
            self.trace = Trace(**json.loads(state["trace"]))
            theirs, mine = progress["behaviour"], self._behaviour()
            known = not math.isnan(mine)
            if known and not math.isclose(theirs, mine, rel_tol=1e-3, abs_tol=1e-3):
                raise ValueError(
                    f"{path} is the checkpoint of a run with other networks: its weights "
                    f"give a bound of {mine:.6g} here and gave {theirs:.6g} there"
                )
        except BaseException:
            self.vae.load_state_dict(before)
            raise


# ------------------------------------------------------------------ files


def save(vae: VAE, path) -> None:
    """Write a VAE, architecture and weights, to a file: whole and checksummed, or not at all.

    Raises `OSError` where it cannot be written; what was there before then stays as it was.
    """
    validate.kind(vae, "vae", VAE)
    weights = {k: v.cpu() if isinstance(v, Tensor) else v for k, v in
               _cloned(vae.state_dict()).items()}  # fmt: skip
    state = {"kind": "VAE", **_description(vae), "model": weights}
    _write(validate.file_to_write(path, "path"), state)


def load(path, vae: VAE | None = None) -> VAE:
    """Return the VAE of a file that `save` or `train` wrote; or load its weights into `vae`.

    It is of the same class, with the same options, numbers and frozen weights as the one that was
    written. The bytes are verified before anything is made of them, and no code in them can run.
    Raises `FileNotFoundError`, or `ValueError` for a file that was altered, cut or is of another
    architecture; `vae` then stays as it was.
    """
    path = validate.path(path, "path")
    if vae is not None:
        validate.kind(vae, "vae", VAE)
    state = _read(path)
    if state.get("kind") not in ("VAE", "training"):
        raise ValueError(f"{path} holds a {state.get('kind')}, not a VAE")
    with _reading(path):
        made = _like(state, path) if vae is None else vae
        weights, there = state["model"], state.get("networks")
        if vae is not None and there not in (None, repr(vae)):
            raise ValueError(
                f"{path} is of another architecture, and was not loaded: "
                f"{_difference(there, repr(vae))}"
            )
        theirs, mine = (_sizes(w) for w in (weights, made.state_dict()))
        for name in sorted({*theirs, *mine}):
            if theirs.get(name) != mine.get(name):
                raise ValueError(
                    f"{path} is of another architecture: {name} is {theirs.get(name)} there and "
                    f"{mine.get(name)} in vae"
                )
        made.load_state_dict(weights)
    return made


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


def _difference(theirs: str, mine: str) -> str:
    """Say where two descriptions of networks first differ."""
    pairs = itertools.zip_longest(theirs.splitlines(), mine.splitlines(), fillvalue="nothing")
    there, here = next((a, b) for a, b in pairs if a != b)
    return f"{there.strip()} there and {here.strip()} in vae"


def _write(path: Path, state: dict) -> None:
    """Write to a file of its own beside `path`, then rename: readers see the old one or the new."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(part, "xb") as file:
            file.write(MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the name, too, survives a power cut
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(path: Path) -> dict:
    """Return what `_write` wrote, its bytes verified first. Raises `ValueError` for any others."""
    path = validate.file_to_read(path, "path", "a file that lfm.training wrote")
    content = path.read_bytes()
    head = len(MAGIC) + 65
    if not content.startswith(MAGIC) or len(content) <= head:
        raise ValueError(f"{path} is no checkpoint of lfm, or was cut to {len(content)} bytes")
    stated, body = content[len(MAGIC) : head - 1], content[head:]
    if hashlib.sha256(body).hexdigest().encode() != stated or content[head - 1 : head] != b"\n":
        raise ValueError(
            f"{path} was altered or cut: the checksum of its {len(content)} bytes is another; use "
            "an earlier copy, or remove it and train again"
        )
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything, of its own kinds and of pickle's
        raise ValueError(
            f"{path} holds more than weights and numbers, and was not loaded: {error}"
        ) from None
    with _reading(path):
        return validate.kind(state, "what it holds", dict)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of which file it is that what is in it makes no sense."""
    try:
        yield
    except Exception as error:  # of any kind: bytes with a right checksum may still say anything
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} does not hold what lfm writes: {error!r}") from error


def _remove_debris(path: Path) -> None:
    """Remove what a run that was killed while it wrote left beside its checkpoint.

    What is not yet old may be another run's that is writing it just now, and stays.
    """
    for part in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(FileNotFoundError):  # another run removes it too
            if len(part.name) == len(path.name) + 34 and part.stat().st_mtime < time.time() - STALE:
                part.unlink()


# ------------------------------------------------------------------ small things


def _device(device: str) -> torch.device:
    if not isinstance(device, str) or device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {device!r}; wanted 'auto', 'cpu' or 'cuda'")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', and torch sees no GPU; wanted 'cpu' or 'auto'")
    return torch.device("cuda" if device == "auto" and torch.cuda.is_available() else
                        "cpu" if device == "auto" else device)  # fmt: skip


def check_weights(vae: VAE) -> None:
    """Raise `ValueError` where a weight is not a number: no data can be blamed for what follows."""
    for name, weights in [*vae.named_parameters(), *vae.named_buffers()]:
        if nn.parameter.is_lazy(weights):
            raise ValueError(
                f"vae has weights of no size yet in {name}; pass data through it first"
            )
        if not weights.isfinite().all():
            raise ValueError(f"vae has values that are not finite in {name}; load or make it again")


def _description(vae: VAE) -> dict:
    """Return what a file says of the networks in it: how to make them, and what they look like."""
    try:
        architecture = json.dumps(spec(vae))
    except ValueError:  # a network of the user's own: its weights can be loaded into another
        architecture = "null"
    frozen = json.dumps(_frozen(vae))
    return {"architecture": architecture, "networks": repr(vae), "frozen": frozen}


def _frozen(vae: VAE) -> list[str]:
    return [name for name, weights in vae.named_parameters() if not weights.requires_grad]


def _fingerprint(x: Tensor) -> str:
    return hashlib.sha256(x.cpu().contiguous().view(torch.uint8).numpy()).hexdigest()


def _sizes(weights: dict) -> dict:
    tensors = {name: w for name, w in weights.items() if isinstance(w, Tensor)}
    return {name: f"{tuple(w.shape)} of {w.dtype}" for name, w in tensors.items()}


def _cloned(state):
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {k: _cloned(v) for k, v in state.items()}
    return [_cloned(v) for v in state] if isinstance(state, list | tuple) else state


# ------------------------------------------------------------------ from the shell

SETS = {"mnist": data.mnist, "fashion": data.fashion, "digits": data.digits}


def main(arguments: list[str] | None = None) -> None:
    """Train a VAE of dense networks on images, resuming by itself; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m lfm.training",
        description="Train a VAE on images. Interrupt it as you like: run the same command again "
        "and it goes on. Writes checkpoint.lfm, vae.lfm and samples.png into the folder.",
    )
    parser.add_argument("--data", choices=sorted(SETS), default="mnist")
    parser.add_argument("--full", action="store_true", help="the 60,000 images, downloaded once")
    parser.add_argument("--latent", type=int, default=20, help="factors")
    parser.add_argument("--hidden", type=int, nargs="*", default=[400], help="hidden layers")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--steps", type=int, help="stop after so many steps in all")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        _train_from_shell(options)
    except (ValueError, OSError, TrainingDiverged) as error:
        raise SystemExit(f"{parser.prog}: {error}") from None
    except RuntimeError as error:
        out_of_memory(error, parser.prog)
        raise
    except KeyboardInterrupt:
        print(f"\n{parser.prog}: stopped; the same command goes on from the last whole epoch")
        raise SystemExit(130) from None


def out_of_memory(error: RuntimeError, name: str) -> None:
    """End the process with one line where an error says that there is too little memory."""
    if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
        raise SystemExit(f"{name}: the networks need more memory than there is") from None


def _train_from_shell(options) -> None:
    from lfm import figures  # only here, for it takes its time

    if options.full and options.data == "digits":
        raise ValueError("--full is for mnist and fashion; digits is whole already")
    images = SETS[options.data](**({"full": True} if options.full else {}))
    size = images.images.shape[1]
    x = np.round(images.images.reshape(len(images.images), -1) * (255 / images.white))
    vae = VAE.dense(x.shape[1], options.latent, options.hidden, rng=options.seed)
    folder = validate.path(options.checkpoint, "--checkpoint")
    for name in ("vae.lfm", "samples.png"):
        validate.file_to_write(folder / name, "--checkpoint")
    trace = train(
        vae, x.astype(np.uint8), epochs=options.epochs, batch_size=options.batch_size,
        lr=options.lr, rng=options.seed, device=options.device, steps=options.steps,
        checkpoint=folder / "checkpoint.lfm", progress=True, binarise=True,
    )  # fmt: skip
    save(vae, folder / "vae.lfm")
    with torch.no_grad():
        eps = np.random.default_rng(options.seed).standard_normal((64, options.latent))
        mean = vae.likelihood(eps).mean.numpy().reshape(-1, size, size)
    fig, ax = figures.new(width=6, height=6)
    figures.images(ax, 1 - mean, columns=8, vmin=0, vmax=1)
    picture = figures.show(fig, alt="Sixty-four images decoded from draws of the prior")
    (folder / "samples.png").write_bytes(picture.png)
    bound = f", bound {trace.bound[-1]:.2f} nats per datum" if trace.bound else ""
    print(f"{len(trace.bound)} epochs{bound}")


if __name__ == "__main__":
    main()
