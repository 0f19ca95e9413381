"""What the benchmarks share: timing, memory, the speed of a matrix product, a mixture, notes."""

import json
import os
import time
import tracemalloc
from statistics import median

import numpy as np

from lfm.engine import constants
from lfm.gaussian_mixture import GaussianMixture

MIB = 2**20


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def thread_seconds(work) -> float:
    """Return what the thread computed, whoever else had the processor meanwhile."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def extra_memory(work) -> float:
    """Return the peak of what numpy allocated beyond what was there, MiB."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak / MIB


def thin_products(n: int, d: int, k: int) -> float:
    """Return the seconds of the two products of an iteration, η T(y) and r T(y)ᵀ, and no more.

    They have the shapes that they have in the mixture: thin ones, which take two to three times
    as long for each number as square ones do.
    """
    p, rng = 1 + d + d * (d + 1) // 2, np.random.default_rng(0)
    size = max(64, constants.CACHE_BYTES // (8 * (p + 4 * k + d)))
    eta, r, t = rng.random((k, p)), rng.random((k, size)), rng.random((p, size))
    times = min(seconds(lambda: (eta @ t, t @ r.T)) for _ in range(20))
    return times * n / size


def figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 1000 else f"{value:.3g} {unit}".strip()


def aim(least: float | None, most: float | None) -> str:
    """Return a goal in signs; none is the empty string."""
    return "" if least is most is None else f"≥ {least:.3g}" if most is None else f"≤ {most:.3g}"


def note(case: str, what: str, value: float, unit: str, *, least=None, most=None) -> None:
    """Print one figure and whether it reaches its goal; `make bench` writes it down too."""
    goal, measured = aim(least, most), figure(value, unit)
    met = bool((least is None or value >= least) and (most is None or value <= most))
    row = {"case": case, "what": what, "value": measured, "goal": goal, "met": met}
    print(f"{case} · {what}: {measured}", *([f"({goal}: {met})"] if goal else []), flush=True)
    if path := os.environ.get("LFM_BENCH_ROWS"):
        with open(path, "a", encoding="utf-8") as file:
            print(json.dumps(row), file=file)


def note_times(case: str, times: dict[str, list[float]], unit: str = "ms", **goals) -> None:
    """Note medians, and medians of the ratios to lfm taken pair by pair.

    `goals` are the least ratios wanted, by name, spaces and signs as underscores.
    """
    factor = {"ms": 1e3, "s": 1.0}[unit]
    for name, values in times.items():
        note(case, name, factor * median(values), unit)
        if name != "lfm":
            ratio = median(v / o for v, o in zip(values, times["lfm"], strict=True))
            goal = goals.get(name.replace("-", "_").replace(" ", "_"))
            note(case, f"{name} over lfm", ratio, "×", least=goal)


def problem(n, d, k, rng):
    """Return data from a mixture, and a starting point that is not the truth."""
    a = rng.standard_normal((k, d, d)) / np.sqrt(d)
    covs = a @ a.mT + 0.3 * np.eye(d)
    means = 2 * rng.standard_normal((k, d))
    x, _ = GaussianMixture(np.full(k, 1 / k), means, (covs + covs.mT) / 2).sample(n, rng=rng)
    shifted = means + 0.3 * rng.standard_normal((k, d))
    return x, GaussianMixture(np.full(k, 1 / k), shifted, [1.5 * np.eye(d)] * k)
