"""Every kind of VAE that `make gpu` trains, small and with its data, and how runs are compared."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lfm import training
from lfm.engine import randomness
from lfm.vae import (
    VAE,
    BernoulliPixels,
    ConditionalVAE,
    DiagonalGaussian,
    FullGaussian,
    SharedGaussian,
    conv_decoder,
    conv_encoder,
    mlp,
)

RNG = np.random.default_rng(0)
X = np.tanh(RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6))) + 0.1 * RNG.normal(size=(200, 6))
BITS = (RNG.random((200, 64)) < 0.4).astype(np.uint8) * 255
GREY = BITS // 2


class Kind(NamedTuple):
    make: Callable[[], VAE]
    rows: np.ndarray  # (N, D)
    options: dict  # of `train`

    @property
    def bfloat16(self) -> bool:
        return self.options.get("bfloat16", False)


def dense(d=64, **options) -> VAE:
    return VAE.dense(d, 2, (16,), rng=0, **options)


def images(size=8, k=2, channels=8) -> VAE:
    """Return a VAE of convolutions, for bits of size × size pixels."""
    inwards = conv_encoder(size, 2 * k, channels=channels, rng=0)
    outwards = conv_decoder(k, size, channels=channels, rng=1)
    return VAE(DiagonalGaussian(inwards, floor=0.0), BernoulliPixels(outwards), k)


def conditional() -> VAE:
    encoder = DiagonalGaussian(mlp([6, 16, 4], rng=0), floor=0.0)
    return ConditionalVAE(encoder, SharedGaussian(mlp([3, 16, 5], rng=1)), 2, 1)


def with_dropout() -> VAE:
    vae = dense(6, decoder=SharedGaussian)
    vae.encoder.network.insert(2, nn.Dropout(0.2))
    return vae


def _kinds() -> dict[str, Kind]:
    def real(**options):
        return lambda: dense(6, **options)

    full = {"encoder": FullGaussian, "decoder": FullGaussian}
    half = {"bfloat16": True}
    return {
        "bits": Kind(dense, BITS, {}),
        "bits drawn anew": Kind(dense, GREY, {"binarise": True}),
        "β = 4": Kind(lambda: dense(beta=4.0), BITS, {}),
        "shared σ": Kind(real(decoder=SharedGaussian), X, {}),
        "diagonal decoder": Kind(real(decoder=DiagonalGaussian), X, {}),
        "full decoder": Kind(real(decoder=FullGaussian), X, {}),
        "full q": Kind(real(encoder=FullGaussian, decoder=SharedGaussian), X, {}),
        "both full, float64": Kind(lambda: dense(6, **full).double(), X, {}),
        "conditional": Kind(conditional, X, {}),
        "dropout": Kind(with_dropout, X, {}),
        "convolutions": Kind(images, BITS, {}),
        "bits, bfloat16": Kind(dense, BITS, half),
        "full q, bfloat16": Kind(real(encoder=FullGaussian, decoder=SharedGaussian), X, half),
        "full decoder, bfloat16": Kind(real(decoder=FullGaussian), X, half),
        "convolutions, bfloat16": Kind(images, BITS, half),
    }


KINDS = _kinds()


def takes_for_ever(kind: Kind, device: str) -> bool:
    """Tell whether it is convolutions in bfloat16 on a CPU, of which many emulate them."""
    return device == "cpu" and kind.bfloat16 and kind.make is images


def weights(vae: VAE) -> torch.Tensor:
    return torch.cat([p.detach().double().cpu().ravel() for p in vae.parameters()])


def gap(one: VAE, other: VAE) -> float:
    """Return the largest difference of their weights."""
    return (weights(one) - weights(other)).abs().max().item()


def train(vae: VAE, rows, device: str, **options) -> tuple[training.Trace, list[str]]:
    """Return the trace, and the warnings that were given on the way."""
    options = {"batch_size": 32, "rng": 0} | options
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trace = training.train(vae, rows, device=device, **options)
    return trace, [str(warning.message) for warning in said]


def epochs_of(vae: VAE, rows, device: str, epochs: int, *, graph: bool, **options) -> training.Run:
    """Train with a recording of the step, where there can be one, or step by step."""
    options = {"batch_size": 32, "lr": 1e-3, "rng": 0} | options
    run = training.Run(vae, rows, device=device, **options)
    run.replays = run.replays and graph
    with randomness.own(run.device, run.seed + 1):
        for _ in range(epochs):
            run.one_epoch()
    return run
