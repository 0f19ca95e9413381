"""Looking at a VAE: its networks at rest, data in parts, and results that are sound.

torch is imported when a network is looked at.
"""

from __future__ import annotations  # types of torch are named without loading it

import functools
from typing import TYPE_CHECKING

import numpy as np

from lfm.engine import constants, validate
from lfm.engine.signatures import checked

if TYPE_CHECKING:
    import torch

    from lfm.vae import VAE

Array = np.ndarray


def at_rest(function):
    """Let a function of a VAE see its networks as they are used, whatever mode they are in.

    Without gradients: a function that needs them turns them on. Its other arguments are checked as
    its signature says.
    """
    function = checked(function)

    @functools.wraps(function)
    def wrapped(vae: VAE, *args, **options):
        import torch

        from lfm.vae import VAE, evaluating

        with torch.no_grad(), evaluating(validate.kind(vae, "vae", VAE)):
            return function(vae, *args, **options)

    return wrapped


def width(vae: VAE, x: torch.Tensor) -> int:
    """Return how many numbers the widest layer of the networks makes of one datum."""
    widest = [x.shape[1], vae.n_factors**2]  # a covariance of factors
    handles = [
        module.register_forward_hook(lambda _, __, out: widest.append(_numbers(out)))
        for module in vae.modules()
    ]
    try:
        p = vae.decoded(vae.encoder(x[:1]).mean, x[:1])
    finally:
        for handle in handles:
            handle.remove()
    return max(*widest, _numbers(getattr(p, "scale_tril", None)))


def _numbers(out) -> int:
    return out.numel() if hasattr(out, "numel") else 0


def parts(vae: VAE, x, each: int = 1) -> list[slice]:
    """Return rows of data that may pass through the networks at once, `each` times every datum."""
    rows = max(1, constants.LAYER_NUMBERS // (each * width(vae, vae.seen(x[:1]))))
    return [slice(start, min(start + rows, len(x))) for start in range(0, len(x), rows)]


def each(vae: VAE, x, work) -> Array:
    """Return what networks make of data (N, D), float64, chunk by chunk."""
    x = vae.checked(x, bits=False)
    results = [work(vae.seen(x[part])).double().cpu().numpy() for part in parts(vae, x)]
    return sound(vae, np.concatenate(results))


def sound(vae: VAE, result):
    """Return what networks made of data, or say that they cannot have been made for such data."""
    if not np.isfinite(np.asarray(result)).all():
        from lfm.engine.networks import check_weights

        check_weights(vae)
        raise ValueError("x is beyond what the networks of vae compute with; scale it to about 1")
    return result
