"""Two processes that torchrun starts on this machine, for whatever runs in several."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from systems import POSIX

from lfm.scale import sealed

ROOT = Path(__file__).parent.parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENV = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
ENV |= {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    "PYTHONWARNINGS": "error::UserWarning",
}


def start(*arguments, restarts=0):
    """Start two processes of lfm.distributed, or of a script, under torchrun."""
    if not POSIX:
        pytest.skip("torchrun has not been tried on this system")
    command = [*TORCHRUN, "--max-restarts", str(restarts), *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments):
    """Run two processes to their end and return what they print."""
    processes = start(*arguments)
    out, err = processes.communicate(timeout=60)
    assert processes.returncode == 0, err
    return out


def blobs(n, seed=0):
    rng = np.random.default_rng(seed)
    centres = 30 + 2.5 * rng.normal(size=(6, 4))
    return centres[rng.integers(6, size=n)] + rng.normal(size=(n, 4))


def mixture(folder, checkpoint, *arguments):
    """Return the arguments of a mixture of six that never converges."""
    options = ["--data", folder, "--components", 6, "--tol", 0, "--checkpoint", checkpoint]
    return ["-m", "lfm.distributed", "mixture", *options, *arguments]


def vae(folder, checkpoint, epochs):
    """Return the arguments of a VAE of two factors."""
    return [
        "-m", "lfm.distributed", "vae", "--data", folder, "--latent", 2, "--hidden", 8,
        "--batch-size", 30, "--epochs", epochs, "--seed", 3, "--lr", 0.01,
        "--checkpoint", checkpoint,
    ]  # fmt: skip


def alone(arguments):
    """Run the same in this process."""
    from lfm import distributed

    distributed.main([str(a) for a in arguments[2:]])


def bounds(checkpoint):
    return sealed.read(checkpoint)["bounds"].numpy()
