"""Training of the VAE: the bound is raised by stochastic gradient steps, in θ and φ at once.

    python -m lfm.training --data mnist --latent 20 --epochs 50 --checkpoint FOLDER

The loop is `Run.one_epoch`, its step `Run.one_step`; `train` is what you call. Data, permutations
and noise live on the device, a CPU or a GPU. All that is random comes from one generator of the
run's own, whose state is in the checkpoint: a run that was killed goes on to the very same weights.
How files are kept, how a GPU replays the step and how several processes share it is behind the
door `scale`.
"""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from lfm.engine import constants, networks, optimisers, randomness, validate
from lfm.engine.networks import evaluating, modes_kept
from lfm.engine.progress import bar as progress_bar
from lfm.engine.signatures import Amount, Switch, Whole, checked
from lfm.engine.warn import warn
from lfm.vae import VAE

__all__ = [
    "Run",
    "Trace",
    "TrainingDiverged",
    "announce",
    "load",
    "save",
    "train",
]

Tensor = torch.Tensor


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


@checked
def train(
    vae: VAE,
    x,
    *,
    epochs: Whole,
    batch_size: int = 128,
    lr: float = 1e-3,
    rng,
    device: str = "auto",
    checkpoint=None,
    progress: bool | None = None,
    validation=None,
    binarise: Switch = False,
    bfloat16: Switch = False,
    steps: Whole | None = None,
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

    With `checkpoint`, a file, the whole state is saved after every epoch that `steps` does not cut
    short, and a run that finds it goes on from there to the weights it would have had. Ctrl-C
    leaves the weights of the last step in `vae`. Raises `TrainingDiverged` where the loss is NaN or
    explodes, `ValueError` for bad arguments or a checkpoint of another run (other data, networks,
    or options but `epochs` and `steps`), and `OSError`, before anything is trained, where the
    checkpoint cannot be written.
    """
    home = networks.some_weight(validate.kind(vae, "vae", VAE)).device
    with modes_kept(vae):
        try:
            run = Run(
                vae,
                x,
                batch_size=batch_size,
                lr=lr,
                rng=rng,
                device=device,
                validation=validation,
                binarise=binarise,
                bfloat16=bfloat16,
            )
            with randomness.own(run.device, run.seed + 1):
                keep = _keeper(run, checkpoint)
                _all_epochs(run, epochs, steps, keep, progress)
        finally:
            vae.to(home)
    return run.trace


def _all_epochs(run: "Run", epochs: int, steps: int | None, keep, progress) -> None:
    names = {"desc": f"training on {run.device}", "unit": "epoch", "initial": run.epoch}
    last = math.inf if steps is None else steps
    with progress_bar(epochs, progress, **names) as bar:
        while run.epoch < epochs and run.step < last:
            run.one_epoch(last - run.step)
            bar.update(f"bound {run.trace.bound[-1]:.2f} nats")
            keep()


def _keeper(run: "Run", checkpoint) -> Callable[[], None]:
    """Return what saves the run after an epoch; it goes on from the checkpoint that is there."""
    if checkpoint is None:
        return lambda: None
    from lfm.scale import checkpoints

    return checkpoints.keeper(run, checkpoint)


class Run:
    """One training run: the networks, their data, and all that the next step depends on."""

    @checked
    def __init__(
        self,
        vae: VAE,
        x,
        *,
        batch_size: int,
        lr: float,
        rng,
        device: str = "auto",
        validation=None,
        binarise: Switch = False,
        bfloat16: Switch = False,
    ):
        self.vae, self.device = vae, networks.device(device)
        self.binarise, self.bfloat16 = binarise, bfloat16
        place = {"device": self.device, "bits": self.binarise}
        self.x, self.held_out = networks.resident(vae, x, "x", **place), None
        if validation is not None:
            place["n_columns"] = self.x.shape[1]
            self.held_out = networks.resident(vae, validation, "validation", **place)
        self.batch_size = validate.count(batch_size, "batch_size", 1, len(self.x))
        self.lr = validate.scalar(lr, "lr", 0.0, strict=True)
        networks.rehearse(vae.to(self.device), self.x)
        self.rng, self.seed = rng, validate.torch_seed(rng)
        self.generator = torch.Generator(self.device).manual_seed(self.seed)
        self.replays = self.device.type == "cuda"  # a recording of the step; see `scale.graphs`
        self.optimiser = torch.optim.Adam(
            vae.parameters(), lr=self.lr, fused=True, capturable=self.replays
        )
        self.optimiser.zero_grad()  # gradients that the caller left are no part of the run
        self.terms = vae.terms  # what the step differentiates
        self.per_epoch = len(self.x) // self.batch_size
        self.rows = torch.zeros(self.batch_size, dtype=torch.long, device=self.device)
        # of the two terms, explained and divergence: at each step, and after the last
        self.means = torch.zeros(self.per_epoch + 1, 2, device=self.device)
        self.epoch = self.step = 0  # how many are done
        self.first: float | None = None  # the first batch's bound
        self.trace, self.recording = Trace(), None

    def one_step(self) -> Tensor:
        """Take one step up the bound on the data `self.rows`; return the two terms' means (2,)."""
        x, eps = self.drawn(self.x.index_select(0, self.rows), self.generator)
        # No cache of converted weights: a recorded graph would go on using the first ones.
        precision = nullcontext()
        if self.bfloat16:
            precision = torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)
        with precision:
            explained, divergence = (term.mean() for term in self.terms(x, eps))
        self.vae.loss_of(explained, divergence).backward()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return torch.stack([explained.detach(), divergence.detach()]).float()

    def one_epoch(
        self, n_steps: float = math.inf, average: Callable[[Tensor], Tensor] = lambda terms: terms
    ) -> None:
        """Go once through the data in a new order, for at most `n_steps` steps.

        `average` turns the terms (steps + 1, 2) of this process into those of all, if there are
        several. Raises `TrainingDiverged` where a step was not sound, with the weights from before.
        """
        start, before = time.perf_counter(), networks.copied(self.vae.state_dict())
        n = min(self.per_epoch, n_steps)
        self.vae.train()
        order = torch.randperm(len(self.x), generator=self.generator, device=self.device)
        step = self._stepper()
        for i in range(n):
            self.rows.copy_(order[i * self.batch_size : (i + 1) * self.batch_size])
            self.means[i] = step()
        optimisers.release(self.optimiser)
        self.means[n] = self._terms_after()
        terms = average(self.means[: n + 1])
        self._judge(terms, before)
        self._note(terms[:n])
        self.trace.seconds.append(time.perf_counter() - start)

    def drawn(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return data (N, D) as the networks see them, numbers or new bits, and noise (1, N, K)."""
        x, here = self.vae.seen(x), {"generator": generator, "device": x.device}
        if self.binarise:
            pixels = self.vae.explained(x)
            bits = (torch.rand(pixels.shape, **here) < pixels).to(x)
            x = torch.cat([bits, x[:, pixels.shape[1] :]], 1) if self.vae.n_given else bits
        return x, torch.randn((1, len(x), self.vae.n_factors), dtype=x.dtype, **here)

    def _stepper(self) -> Callable[[], Tensor]:
        """Return what takes a step: a recording of `one_step`, made once, or `one_step` itself."""
        if self.replays and self.recording is None:
            from lfm.scale import graphs

            self.recording = graphs.recorded(self)
            self.replays = self.recording is not None
        return self.recording or self.one_step

    @torch.no_grad()
    def _terms_after(self) -> Tensor:
        """Return the two terms' means of the last batch for the weights that its step has left.

        The next epoch begins with them, and the checkpoint holds them: they are judged now, in
        training mode, as they are trained.
        """
        generator = torch.Generator(self.device).manual_seed(0)
        x, eps = self.drawn(self.x.index_select(0, self.rows), generator)
        with networks.untouched(self.vae, self.device):
            terms = self.vae.terms(x, eps)
        return torch.stack([term.mean() for term in terms]).float()

    def _judge(self, terms: Tensor, before: dict) -> None:
        """Raise where a step of the epoch went wrong, with the weights from before it."""
        bounds = (terms[:, 0] - terms[:, 1]).cpu()
        if self.first is None:
            self.first = float(bounds[0])
        floor = -constants.EXPLODED * (abs(self.first) + self.x.shape[1])
        bad = (~(bounds > floor)).nonzero()  # also where it is NaN
        if len(bad) == 0:
            return
        i, last = int(bad[0]), len(bounds) - 1
        self.vae.load_state_dict(before)
        when = f"after step {self.step + last}" if i == last else f"at step {self.step + i + 1}"
        raise TrainingDiverged(
            f"{when} (epoch {self.epoch + 1}) the bound of the batch was {bounds[i]:.4g} nats per "
            "datum; the weights are those from before this epoch. Try a lower lr (it is "
            f"{self.lr:g}), data scaled to about 1, or a decoder with a higher floor of its "
            "standard deviation"
        )

    def _note(self, terms: Tensor) -> None:
        """Count the epoch, and write its means into the trace."""
        explained, divergence = terms.double().mean(0).tolist()
        self.epoch, self.step = self.epoch + 1, self.step + len(terms)
        self.trace.explained.append(explained)
        self.trace.divergence.append(divergence)
        self.trace.bound.append(explained - divergence)
        if self.held_out is not None:
            self.trace.validation.append(self._held_out_bound())

    @torch.no_grad()
    def _held_out_bound(self) -> float:
        """Return the mean bound of the held-out data, with noise that is the same every epoch."""
        generator = torch.Generator(self.device).manual_seed(0)
        total = 0.0
        with evaluating(self.vae):
            for x in self.held_out.split(constants.VALIDATION_ROWS):
                bounds = self.vae.lower_bound(*self.drawn(x, generator))
                total += bounds.double().sum().item()
        if not math.isfinite(total):
            warn(
                f"the bound of validation is {total:g} after epoch {self.epoch}: it may need the "
                "scale of x, or holds what the networks cannot compute with",
                RuntimeWarning,
            )
        return total / len(self.held_out)


def save(vae: VAE, path) -> None:
    """Write a VAE, architecture and weights, to a file: whole and checksummed, or not at all.

    Raises `OSError` where it cannot be written; what was there before then stays as it was.
    """
    from lfm.scale import checkpoints

    checkpoints.save(vae, path)


def load(path, vae: VAE | None = None) -> VAE:
    """Return the VAE of a file that `save` or `train` wrote; or load its weights into `vae`.

    It is of the same class, with the same options, numbers and frozen weights as the one that was
    written. The bytes are verified before anything is made of them, and no code in them can run.
    Raises `FileNotFoundError`, or `ValueError` for a file that was altered, cut or is of another
    architecture; `vae` then stays as it was.
    """
    from lfm.scale import checkpoints

    return checkpoints.load(path, vae)


@checked
def announce(minutes: Amount) -> None:
    """Print which device `train` will use here, and how long the chapter computes on a laptop."""
    on_gpu = networks.device("auto").type == "cuda"
    name = torch.cuda.get_device_name() if on_gpu else "the CPU"
    print(
        f"Training runs on {name} here. On two cores of a laptop this chapter computes for about "
        f"{minutes:g} minute{'s' if minutes != 1 else ''}; a bar shows what takes long."
    )


def main(arguments: list[str] | None = None) -> None:
    """Train a VAE of dense networks on images from the shell; see `--help`."""
    from lfm.scale import shell_training

    shell_training.main(arguments)


if __name__ == "__main__":
    main()
