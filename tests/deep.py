"""Deep models that several tests look at."""

import torch

from lfm.vae import BernoulliPixels, ConditionalVAE, DiagonalGaussian, mlp


def conditional(beta=1.0, rng=0):
    """Return a conditional VAE of eight bits, given two numbers."""
    return ConditionalVAE(
        DiagonalGaussian(mlp([10, 16, 4], rng=rng), floor=0.0),
        BernoulliPixels(mlp([4, 16, 8], rng=rng + 1)), 2, 2, beta,
    )  # fmt: skip


def weights(vae):
    """Return all weights of a VAE in one row."""
    return torch.cat([w.detach().ravel() for w in vae.parameters()])
