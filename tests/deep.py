"""Deep models that several tests look at, and data that they are trained on."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from lfm import training
from lfm.vae import (
    VAE,
    BernoulliPixels,
    ConditionalVAE,
    DiagonalGaussian,
    FullGaussian,
    SharedGaussian,
    mlp,
)

ENCODERS = [DiagonalGaussian, FullGaussian]
DECODERS = [DiagonalGaussian, FullGaussian, SharedGaussian, BernoulliPixels]
each_pair = pytest.mark.parametrize(
    ("encoder", "decoder"), list(itertools.product(ENCODERS, DECODERS))
)

_rng = np.random.default_rng(0)
X = np.tanh(_rng.normal(size=(200, 2)) @ _rng.normal(size=(2, 6)))
X += 0.1 * _rng.normal(size=(200, 6))
BITS = (_rng.random((200, 6)) < 0.4).astype(np.uint8) * 255


def gaussian(seed=0, decoder=SharedGaussian):
    """Return a VAE of six columns."""
    return VAE.dense(6, 2, (16,), rng=seed, decoder=decoder)


def fit(vae, x=X, **options):
    """Train a VAE for a short while and return the trace."""
    defaults = {"epochs": 3, "batch_size": 32, "rng": 0, "device": "cpu"}
    return training.train(vae, x, **(defaults | options))


def dense(encoder=DiagonalGaussian, decoder=DiagonalGaussian, d=3, k=2, seed=0):
    """Return a small VAE in float64, its weights large enough to bend."""
    vae = VAE.dense(d, k, (8,), rng=seed, encoder=encoder, decoder=decoder, activation="tanh")
    vae.double()
    with torch.no_grad():
        for p in vae.parameters():
            p.mul_(1.5)
    return vae


def conditional(beta=1.0, rng=0):
    """Return a conditional VAE of eight bits, given two numbers."""
    return ConditionalVAE(
        DiagonalGaussian(mlp([10, 16, 4], rng=rng), floor=0.0),
        BernoulliPixels(mlp([4, 16, 8], rng=rng + 1)), 2, 2, beta,
    )  # fmt: skip


class Mine(VAE):
    """A user's own kind of VAE, which no file can make again."""


def changed(vae):
    """Return a VAE whose encoder was changed after it was made."""
    vae.encoder.network.append(nn.Dropout(0.1))
    return vae


def data_for(vae, n=5, seed=0):
    return vae.sample(n, rng=seed)[0]


def noise(s, n, k, seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=(s, n, k)))


def weights(vae):
    """Return all weights of a VAE in one row."""
    return torch.cat([w.detach().ravel() for w in vae.parameters()])


def same(a, b):
    """Tell whether two VAEs have the same weights to the bit."""
    return torch.equal(weights(a), weights(b))
