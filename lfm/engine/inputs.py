"""What networks take: arrays that are checked, tensors that are not; bytes are grey values."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from lfm.engine import networks, validate

Tensor = torch.Tensor


class TakesData(nn.Module):
    """A model of data (N, D) and K factors, made of networks.

    Of either kind of data, bytes (uint8) are grey values and divided by 255, here as in training
    and evaluation, and all else is taken as it is. A subclass says `takes_bits` and `n_columns`.
    """

    n_given = 0  # columns of x that are given to the networks and not explained
    n_factors: int

    def takes_bits(self) -> bool:
        """Tell whether what is explained is bits, or grey values as their means."""
        raise NotImplementedError

    def n_columns(self) -> int | None:
        """Return how many columns data have, or None where the networks do not say."""
        raise NotImplementedError

    def taken(self, x, *, bits: bool | None = None) -> Tensor:
        """Return data (N, D) as a tensor that the networks see; arrays are checked. Raises."""
        x = self.seen(x if isinstance(x, Tensor) else self.checked(x, bits=bits))
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}; wanted (N, D), not empty")
        self._check_columns(x.shape[1], "x")
        return x

    def noise(self, x: Tensor, eps) -> Tensor:
        """Return the noise (S, N, K) for data x (N, D) as a tensor. Raises for other shapes."""
        eps = self.tensor(eps, "eps")
        wanted = (len(x), self.n_factors)
        if eps.ndim != 3 or eps.shape[1:] != wanted or len(eps) == 0:
            raise ValueError(
                f"eps has shape {tuple(eps.shape)}; wanted (S, {wanted[0]}, {wanted[1]}): noise "
                "of its own for each datum"
            )
        return eps

    def rows(self, a, name: str, n_columns: int) -> Tensor:
        """Return numbers (..., n_columns) as a tensor. Raises for another number of them."""
        a = self.tensor(a, name)
        if a.shape[-1:] != (n_columns,):
            raise ValueError(f"{name} has shape {tuple(a.shape)}; wanted (..., {n_columns})")
        return a

    def explained(self, x):
        """Return the columns of data (N, D) that the model explains."""
        return x[..., : x.shape[-1] - self.n_given]

    def seen(self, x) -> Tensor:
        """Return checked data (N, D) as the networks see them, and everybody else should.

        Bytes are grey values, divided by 255; columns that are given, and all other numbers, are
        taken as they are.
        """
        grey = str(x.dtype).removeprefix("torch.") == "uint8"
        x = self.tensor(x, "x")
        if not grey:
            return x
        given = x[..., x.shape[-1] - self.n_given :]
        return torch.cat([self.explained(x) / 255, given], -1) if self.n_given else x / 255

    def tensor(self, a, name: str) -> Tensor:
        """Return numbers as a tensor like the weights. Arrays are checked, tensors are not."""
        like = networks.some_weight(self)
        if isinstance(a, Tensor):
            return a.to(device=like.device, dtype=like.dtype)
        a = validate.finite(validate.numeric(a, name), name)
        a = torch.tensor(a, device=like.device, dtype=like.dtype)
        if not a.isfinite().all():
            raise ValueError(f"{name} is too large for {like.dtype}, the numbers of the networks")
        return a

    def checked(self, x, name: str = "x", *, bits: bool | None = None) -> np.ndarray:
        """Return data (N, D) as an array that these networks take, in its own dtype, not copied.

        With `bits`, which a decoder of bits has by itself, values are to be from 0 to 1, or bytes.
        Raises `ValueError` or `TypeError` where the networks do not take them: for values that are
        not finite, other columns, or bytes that are 0 and 1 only, which would be all but black.
        """
        x = validate.data(x, name)
        self._check_columns(x.shape[1], name)
        pixels = self.explained(x)
        if pixels.shape[1] == 0:
            raise ValueError(f"{name} has {x.shape[1]} columns, all of them given; wanted more")
        low, high = pixels.min(), pixels.max()
        if x.dtype == np.uint8 and high == 1 and len(x) > 1:
            raise ValueError(
                f"{name} is bytes of 0 and 1; bytes are grey values, divided by 255. Wanted "
                f"{name}.astype(bool) for bits, or grey values up to 255"
            )
        if bits is None:
            bits = self.takes_bits()
        if bits and x.dtype != np.uint8 and not (low >= 0 and high <= 1):
            raise ValueError(f"{name} is from {low:.4g} to {high:.4g}; wanted 0 to 1, for bits")
        return x

    def _check_columns(self, found: int, name: str) -> None:
        wanted = self.n_columns()
        if wanted not in (None, found):
            raise ValueError(
                f"{name} has {found} columns, which these networks do not take; wanted {wanted}"
            )


def double(a, name: str) -> Tensor:
    """Return finite real numbers as a tensor in double precision. Raises for all else."""
    try:
        if not isinstance(a, Tensor):
            plain = _plain(a, name)
            a = torch.tensor(plain)  # of a list, in single precision
            a = a if a.is_complex() else torch.tensor(plain, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} cannot be made a tensor: {error}") from None
    if a.is_complex():
        raise TypeError(f"{name} holds complex values; wanted real numbers")
    a = a.to(torch.float64)
    if not a.isfinite().all():
        raise ValueError(f"{name} has values that are not finite")
    return a


def samples(values, least: int = 2) -> Tensor:
    """Return values (S, ...) of at least so many samples as a tensor in double precision."""
    values = double(values, "values")
    if values.ndim == 0 or len(values) < least or values.numel() == 0:
        wanted = f"at least {least} samples" if least > 1 else "(B, ...), not empty"
        raise ValueError(f"values has shape {tuple(values.shape)}; wanted {wanted}")
    return values


def _plain(a, name: str):
    return validate.numeric(a, name) if hasattr(a, "__array__") else a


def gaussian(mean, scale, eps) -> tuple[Tensor, Tensor, Tensor]:
    """Return a mean (K,), a factor of a covariance (K,) or (K, K), and noise (S, K), checked."""
    mean, scale, eps = (
        double(a, name).detach() for a, name in ((mean, "mean"), (scale, "scale"), (eps, "eps"))
    )
    if mean.ndim != 1 or len(mean) == 0:
        raise ValueError(f"mean has shape {tuple(mean.shape)}; wanted (K,)")
    k = len(mean)
    if tuple(scale.shape) not in ((k,), (k, k)):
        raise ValueError(f"scale has shape {tuple(scale.shape)}; wanted ({k},) or ({k}, {k})")
    diagonal = scale if scale.ndim == 1 else scale.diagonal()
    if (diagonal < torch.finfo(diagonal.dtype).tiny).any():
        raise ValueError(f"scale has {diagonal.min():.6g} on its diagonal; wanted all > 0")
    if scale.ndim == 2 and (scale.triu(1) != 0).any():
        raise ValueError("scale is not lower triangular; wanted the Cholesky factor of Σ, not Σ")
    if eps.ndim != 2 or eps.shape[1] != k or len(eps) == 0:
        raise ValueError(f"eps has shape {tuple(eps.shape)}; wanted (S, {k}), one row a sample")
    return mean, scale, eps


def values_of(f: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return f(z) for samples z (S, K), which is to be one finite number a sample (S,)."""
    if not callable(f):
        raise TypeError(f"f is {type(f).__name__}; wanted a function of z")
    values = f(z)
    if not isinstance(values, Tensor) or values.shape != (len(z),):
        found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(f"f returned {found}; wanted a tensor ({len(z)},), one value a sample")
    if not values.isfinite().all():
        raise ValueError("f returned values that are not finite")
    return values
