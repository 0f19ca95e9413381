"""What training does on a GPU when something goes wrong, and what it leaves behind."""

import gc
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from gpu_kinds import BITS, KINDS, X, train, weights
from gpu_rows import Rows
from torch import nn
from vae import D, H, K
from vae import images as random_images

from lfm import data, evaluation, training
from lfm.vae import VAE, DiagonalGaussian, SharedGaussian

ROOT = Path(__file__).parent.parent
MIB = 2**20
ONE_THREAD = {"OMP_NUM_THREADS": "1", "LFM_PROGRESS": "0"}


def behaviour(rows: Rows, options) -> None:
    parts = {
        "a step that cannot be recorded": failed_capture, "Ctrl-C": ctrl_c,
        "Ctrl-C while it warms up": ctrl_c_in_warm_up, "an exploding loss": divergence,
        "too little memory": out_of_memory, "memory that is held": memory,
    }  # fmt: skip
    for name, part in parts.items():
        with rows.trying(name):
            part(rows, options.device)
    evaluated(rows, options.device)


class Watched(nn.Module):
    """A network that calls something before each of its passes."""

    def __init__(self, network: nn.Module, call):
        super().__init__()
        self.network, self.call = network, call

    def forward(self, x):
        self.call(x)
        return self.network(x)


def watched(call) -> VAE:
    vae = KINDS["bits"].make()
    vae.decoder.network = Watched(vae.decoder.network, call)
    return vae


# ------------------------------------------------------------------ recordings that fail


def failed_capture(rows: Rows, device: str) -> None:
    """In a process of its own: what torch is left in by it must not harm what follows here."""
    code = "import sys, gpu_behaviour; gpu_behaviour.asks_the_gpu(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, device],
        env=os.environ | ONE_THREAD | {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    last = ((done.stderr or done.stdout).strip().splitlines() or [""])[-1]
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
    remark = "as if it had never been tried" if done.returncode == 0 else last
    if device == "cpu":
        remark += "; a CPU records nothing"
    what = "a step that asks the GPU, which no graph can hold, goes on without one"
    rows.check(what, done.returncode == 0, "", remark)


def asks_the_gpu(device: str) -> None:
    """Raise `AssertionError` where a failed recording leaves a trace."""
    vae, plain = watched(lambda x: x.sum().item()), KINDS["bits"].make()
    trace, said = train(vae, BITS, device, epochs=3)
    assert sum("no CUDA graph" in text for text in said) == (device == "cuda"), said
    other, said = train(plain, BITS, device, epochs=3)
    assert not said, f"the next run is warned: {said}"
    apart = max(np.abs(np.subtract(trace.bound, other.bound)))
    assert apart < 1e-3, f"bounds are {apart:.2g} nats from those of a recorded run"
    torch.randn(3, device=device)
    if device == "cuda":
        assert torch.cuda.current_stream() == torch.cuda.default_stream(), "another stream"


# ------------------------------------------------------------------ Ctrl-C


@contextmanager
def interruptible():
    """Let SIGINT be Ctrl-C, also where a shell in the background has it ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def ctrl_c(rows: Rows, device: str) -> None:
    vae, on_gpu = VAE.dense(D, K, (H,), rng=0), device == "cuda"
    start, sound = weights(vae), False
    timer = threading.Timer(3.0 if on_gpu else 1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.daemon = True
    with interruptible():
        timer.start()
        try:
            train(vae, random_images(60_000 if on_gpu else 1000), device, epochs=100_000)
        except KeyboardInterrupt:
            now = weights(vae)
            sound = bool(now.isfinite().all()) and not torch.equal(now, start)
    home = next(vae.parameters()).device.type
    rows.check("Ctrl-C leaves the last step's weights, on the CPU again", sound and home == "cpu")
    after, said = train(KINDS["bits"].make(), BITS, device, epochs=2)
    fine = bool(np.isfinite(after.bound[-1])) and not said
    rows.check("and the next run is none the worse", fine, "", "; ".join(said))


def ctrl_c_in_warm_up(rows: Rows, device: str) -> None:
    """Pass 1 is the rehearsal; 2, 3 and 4 are the steps before the recording."""
    calls = []

    def third(_):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    vae = watched(third)
    start = weights(vae)
    try:
        train(vae, BITS, device, epochs=2)
        moved = float("nan")
    except KeyboardInterrupt:
        moved = (weights(vae) - start).abs().max().item()
    what = "Ctrl-C in the warm-up of the recording leaves no step of it"
    if device == "cuda":
        rows.check(what, moved == 0, f"{moved:.1e}", "how far weights have moved")
    else:
        rows.check(
            what, 0 < moved < 0.0011, f"{moved:.1e}", "a CPU has no warm-up: one step is left"
        )


# ------------------------------------------------------------------ divergence and memory


def divergence(rows: Rows, device: str) -> None:
    vae = VAE.dense(6, 2, (16,), rng=0, decoder=DiagonalGaussian)
    try:
        train(vae, X, device, epochs=50, lr=1e3)
        rows.check("an exploding loss ends the run", False, "went on")
    except training.TrainingDiverged as error:
        sound = bool(weights(vae).isfinite().all())
        rows.check("an exploding loss ends the run, with weights that are sound", sound, "", error)


def out_of_memory(rows: Rows, device: str) -> None:
    """A network that asks for 2^50 bytes: a GPU refuses, a CPU's refusal is played."""

    def hungry(x):
        if device == "cpu":
            raise torch.OutOfMemoryError("played")
        torch.empty(2**50, dtype=torch.uint8, device=x.device)

    try:
        train(watched(hungry), BITS, device, epochs=1)
        found = "nothing"
    except Exception as error:
        found = type(error).__name__
    remark = "of a GPU's kind, but played here" if device == "cpu" else "not blamed on the data"
    what = "too little memory is what the error says"
    rows.check(what, found == "OutOfMemoryError", found, remark)
    after, said = train(KINDS["bits"].make(), BITS, device, epochs=2)
    fine = bool(np.isfinite(after.bound[-1])) and not said
    rows.check("and the next run trains", fine, "", "; ".join(said))


def held(device: str) -> float:
    """Return the memory of all tensors that are alive, MiB."""
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated() / MIB
    alive = (x for x in gc.get_objects() if type(x) in (torch.Tensor, nn.Parameter))
    return sum({x.data_ptr(): x.nbytes for x in alive}.values()) / MIB


def memory(rows: Rows, device: str) -> None:
    """What the first two runs leave may be set up once; the next ones are to add nothing."""
    used, how = [], {"epochs": 2, "batch_size": 128}
    x = random_images(2000 if device == "cuda" else 256)
    for seed in range(6 if device == "cuda" else 3):
        train(VAE.dense(D, K, (H,), rng=seed), x, device, **how)
        used.append(held(device))
    more = used[-1] - used[1]
    found, remark = f"{more:.2f} MiB", f"{used[-1]:.1f} MiB in all after {len(used)} runs"
    rows.check("memory that runs after the second add", more < 1, found, remark)


# ------------------------------------------------------------------ a VAE on the device, looked at


def evaluated(rows: Rows, device: str) -> None:
    calls = {
        "log_likelihood": lambda vae: evaluation.log_likelihood(vae, X, 2000, rng=0).mean(),
        "active_units": lambda vae: evaluation.active_units(vae, X),
        "reconstruct": lambda vae: evaluation.reconstruct(vae, X),
        "log_prob_on_a_grid": lambda vae: evaluation.log_prob_on_a_grid(vae, X[:5], points=21),
        "gaps": lambda vae: evaluation.gaps(vae, X[:5], rng=0, steps=3, n_samples=20).network,
        "kl_split": lambda vae: evaluation.kl_split(vae, X, rng=0),
        "VAE.sample": lambda vae: vae.sample(3, rng=0)[0].cpu(),
    }
    for name, call in calls.items():
        with rows.trying(f"{name} of a VAE on the device"):
            here, there = (
                np.asarray(call(VAE.dense(6, 2, (16,), rng=0, decoder=SharedGaussian).to(where)))
                for where in ("cpu", device)
            )
            apart = float(np.abs(here.astype(float) - there).max())
            limit = 0.05 if name == "log_likelihood" else 1e-3  # its noise is the device's own
            what = f"{name} of a VAE on the device, as on the CPU"
            rows.check(
                what, apart <= limit, f"{apart:.1e}", f"largest difference; at most {limit:g}"
            )


# ------------------------------------------------------------------ torchrun


def processes(rows: Rows, options) -> None:
    """One process: by NCCL on a GPU, by gloo without one, where once is enough."""
    on_gpu, what = options.device == "cuda", "torchrun, one process"
    with rows.trying(what), tempfile.TemporaryDirectory() as folder:
        data.write_shards(Path(folder) / "x", X, rows=60)
        done = [torchrun(Path(folder), epochs) for epochs in ((1, 2) if on_gpu else (1,))]
        said = ["".join(re.findall(r"epoch (\d+): bound", run.stdout)) for run in done]
        fine = said == ["1", "2"][: len(done)] and not any(run.returncode for run in done)
        means = re.search(r"NCCL version [\w.+]+", done[0].stdout + done[0].stderr)
        remark = means[0] if means else f"no NCCL was heard of ({options.device})"
        what += " trains" + (", stops and goes on" if on_gpu else "")
        rows.check(what, fine, "", remark if fine else done[-1].stderr[-150:])


def torchrun(folder: Path, epochs: int) -> subprocess.CompletedProcess:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 1,
        "-m", "lfm.distributed", "vae", "--data", folder / "x", "--latent", 2, "--hidden", 8,
        "--batch-size", 30, "--epochs", epochs, "--checkpoint", folder / "run.lfm",
    ]  # fmt: skip
    env = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT), "NCCL_DEBUG": "VERSION"}
    return subprocess.run(
        list(map(str, command)), env=env, capture_output=True, text=True, timeout=90, check=False
    )
