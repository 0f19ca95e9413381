"""`python -m lfm.training`: a VAE of dense networks, trained on images from the shell."""

import argparse
from pathlib import Path

import numpy as np
import torch

from lfm import data, training
from lfm.engine import constants, files, networks, validate
from lfm.vae import VAE

SETS = {"mnist": data.mnist, "fashion": data.fashion, "digits": data.digits}


def main(arguments: list[str] | None = None) -> None:
    """Train a VAE of dense networks on images, resuming by itself; see `--help`."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        train(options)
    except (ValueError, OSError, training.TrainingDiverged) as error:
        raise SystemExit(f"{parser.prog}: {error}") from None
    except RuntimeError as error:
        networks.out_of_memory(error, parser.prog)
        raise
    except KeyboardInterrupt:
        print(f"\n{parser.prog}: stopped; the same command goes on from the last whole epoch")
        raise SystemExit(130) from None


def _parser() -> argparse.ArgumentParser:
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
    return parser


def train(options: argparse.Namespace) -> None:
    """Train as the options say, and write the VAE and a picture of what it draws."""
    if options.full and options.data == "digits":
        raise ValueError("--full is for mnist and fashion; digits is whole already")
    images = SETS[options.data](**({"full": True} if options.full else {}))
    x = np.round(images.images.reshape(len(images.images), -1) * (255 / images.white))
    vae = VAE.dense(x.shape[1], options.latent, options.hidden, rng=options.seed)
    folder = validate.path(options.checkpoint, "--checkpoint")
    for name in ("vae.lfm", "samples.png"):
        validate.file_to_write(folder / name, "--checkpoint")
    trace = training.train(
        vae,
        x.astype(np.uint8),
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        rng=options.seed,
        device=options.device,
        steps=options.steps,
        checkpoint=folder / "checkpoint.lfm",
        progress=True,
        binarise=True,
    )
    training.save(vae, folder / "vae.lfm")
    files.write(folder / "samples.png", _picture(vae, images.images.shape[1], options.seed))
    bound = f", bound {trace.bound[-1]:.2f} nats per datum" if trace.bound else ""
    print(f"{len(trace.bound)} epochs{bound}")


@torch.no_grad()
def _picture(vae: VAE, size: int, seed: int) -> bytes:
    """Return a picture (PNG) of images that are decoded from draws of the prior."""
    from lfm import figures  # only here, for it takes its time

    eps = np.random.default_rng(seed).standard_normal((constants.SHOWN, vae.n_factors))
    mean = vae.likelihood(eps).mean.numpy().reshape(-1, size, size)
    fig, ax = figures.new(width=6, height=6)
    figures.images(ax, 1 - mean, columns=8, vmin=0, vmax=1)
    return figures.show(fig, alt="Sixty-four images decoded from draws of the prior").png
