"""What the benchmarks share: timing, memory, the speed of a matrix product, a mixture."""

import time
import tracemalloc
from statistics import median

import numpy as np

from lfm.gaussian_mixture import GaussianMixture

MIB = 2**20


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def extra_memory(work) -> float:
    """Return the peak of what numpy allocated beyond what was there, MiB."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak / MIB


def gemm_rate() -> float:
    """Return the measured speed of a large matrix product, FLOP/s."""
    a = np.random.default_rng(0).random((1024, 1024))
    return 2 * 1024**3 / min(seconds(lambda: a @ a) for _ in range(5))


def print_times(times: dict[str, list[float]], unit: str = "ms") -> None:
    """Print medians, and medians of the ratios to lfm taken pair by pair."""
    factor = {"ms": 1e3, "s": 1.0}[unit]
    for name, values in times.items():
        ratio = median(v / o for v, o in zip(values, times["lfm"], strict=True))
        print(f"  {name:25s} {factor * median(values):9.2f} {unit}   {ratio:7.2f} × lfm")


def problem(n, d, k, rng):
    """Return data from a mixture, and a starting point that is not the truth."""
    a = rng.standard_normal((k, d, d)) / np.sqrt(d)
    covs = a @ a.mT + 0.3 * np.eye(d)
    means = 2 * rng.standard_normal((k, d))
    x, _ = GaussianMixture(np.full(k, 1 / k), means, (covs + covs.mT) / 2).sample(n, rng=rng)
    shifted = means + 0.3 * rng.standard_normal((k, d))
    return x, GaussianMixture(np.full(k, 1 / k), shifted, [1.5 * np.eye(d)] * k)
