"""`torchrun -m lfm.distributed`: what each of several equal processes runs."""

import argparse
import os
import signal
import sys
from pathlib import Path

from lfm.engine import networks, validate
from lfm.scale.mixture_run import fit_mixture
from lfm.scale.processes import ProcessLost, processes
from lfm.scale.vae_run import train_vae


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
        networks.out_of_memory(error, name)
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
