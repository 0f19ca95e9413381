"""Fitting a factor analysis to 60,000 × 784 data against scikit-learn's two ways.

Run it with `make bench`: one thread. The data are the bundled MNIST images, repeated, with noise of
one tenth of white added, so that no file is needed and no column is constant. Each fit runs to its
own end; what scikit-learn is charged for are the iterations up to the log likelihood that ours
ended with, less 1e-4 nats per datum (all of them, where it stops below). Goals: 30 times as fast as
"lapack", 5 times as fast as "randomized"; a cost per iteration that does not grow with N; no more
than 8 MiB and one D × D matrix beyond the data.

`scale.acceleration` then fits the same data, and wide ones, 400 images of 64 × 64 with noise. Each
fit is charged from reading the data up to 1e-4 nats per datum below the best end, the median of
three runs, one by one beside scikit-learn's. Goals: half as many models looked at as EM, and ten
times as fast as "lapack" on wide data.
"""

import warnings
from statistics import median

import numpy as np
from common import extra_memory, note, seconds
from sklearn.decomposition import FactorAnalysis as Peer
from threadpoolctl import threadpool_limits

from lfm import data, em
from lfm.factor_analysis import FactorAnalysis, Moments
from lfm.scale import acceleration

N, FACTORS = 60_000, (10, 50)


def problem() -> np.ndarray:
    images = data.mnist().x  # (5000, 784)
    x = np.tile(images, (N // len(images), 1))
    x += 0.1 * np.random.default_rng(0).standard_normal(x.shape)
    return x


def ours(x, k):
    """Read x once: its moments serve the start and the fit."""
    moments = Moments.of(x)
    return em.fit(FactorAnalysis.init(moments, k), moments, tol=1e-7)


def wide() -> tuple[np.ndarray, int]:
    """Return 400 cartoon faces, each pixel four times over, with noise: (400, 4096), and K."""
    images = data.faces(400, rng=0).x.reshape(-1, 32, 32)
    x = np.kron(images, np.ones((1, 2, 2))).reshape(-1, 4096)
    return x + 0.1 * np.random.default_rng(1).standard_normal(x.shape), 20


def accelerated(x, k):
    moments = Moments.of(x)
    return acceleration.fit(FactorAnalysis.init(moments, k), moments, tol=1e-7)


def theirs(x, k, method, wanted):
    """Return seconds that scikit-learn needs up to `wanted` nats per datum, iterations, its end."""
    peer = Peer(k, svd_method=method, tol=1e-6 * N, max_iter=60, random_state=0)
    total = seconds(lambda: peer.fit(x))
    path = np.array(peer.loglike_) / N
    enough = np.flatnonzero(path >= wanted - 1e-4)
    used = enough[0] + 1 if len(enough) else len(path)
    return total * used / len(path), used, path[-1]


def per_iteration(x, k, iterations=30) -> float:
    """Return median seconds per iteration of lfm, the reading of the data left out."""
    moments = Moments.of(x)
    start = FactorAnalysis.init(moments, k)
    times = [seconds(lambda: em.fit(start, moments, max_iter=iterations, tol=0)) for _ in range(5)]
    return median(times) / iterations


def report(x, k):
    case = f"factor analysis {len(x):,} × {x.shape[1]}, K = {k}"
    fits = []
    mine = median(seconds(lambda: fits.append(ours(x, k))) for _ in range(3))
    end = fits[-1].bounds[-1] / len(x)
    note(case, f"lfm, {len(fits[-1].bounds)} iterations", mine, "s")
    for method, goal in (("randomized", 5), ("lapack", 30)):
        time, used, its_end = theirs(x, k, method, end)
        note(case, f"scikit-learn {method}, {used} iterations", time, "s")
        note(case, f"scikit-learn {method} over lfm", time / mine, "×", least=goal)
        note(case, f"scikit-learn {method}, its end below lfm's", end - its_end, "nats per datum")
    few, many = x[: N // 4], x
    costs = 1e3 * per_iteration(few, k), 1e3 * per_iteration(many, k)
    for part, cost in zip((few, many), costs, strict=True):
        note(case, f"lfm, an iteration at N = {len(part):,}", cost, "ms")
    memory, square = extra_memory(lambda: ours(x, k)), 8 * x.shape[1] ** 2 / 2**20
    note(case, "extra memory less one D × D matrix", memory - square, "MiB", most=8)


def report_wide(x, k, runs=3):
    """Compare ways up to one height, side by side."""
    case = f"factor analysis {len(x):,} × {x.shape[1]}, K = {k}"
    ways, times, paths = ("EM", "accelerated", "lapack"), {}, {}
    for _ in range(runs):
        times.setdefault("EM", []).append(seconds(lambda: paths.update({"EM": ours(x, k).bounds})))
        times.setdefault("accelerated", []).append(
            seconds(lambda: paths.update({"accelerated": accelerated(x, k).bounds}))
        )
        peer = Peer(k, svd_method="lapack", tol=1e-6 * len(x), max_iter=60)
        times.setdefault("lapack", []).append(seconds(lambda peer=peer: peer.fit(x)))
        paths["lapack"] = np.array(peer.loglike_)
    wanted = max(paths[way][-1] for way in ways) - 1e-4 * len(x)
    used = {way: (paths[way] >= wanted).argmax() + 1 for way in ways}
    cost = {way: median(times[way]) * used[way] / len(paths[way]) for way in ways}
    for way in ways:
        note(case, f"{way}, {used[way]} iterations to the same height", cost[way], "s")
    note(case, "EM over accelerated", cost["EM"] / cost["accelerated"], "×")
    ratios = np.divide(times["lapack"], times["accelerated"])
    shares = used["lapack"] / len(paths["lapack"]), used["accelerated"] / len(paths["accelerated"])
    ratio = median(ratios) * shares[0] / shares[1]
    note(case, "scikit-learn lapack over accelerated", ratio, "×", least=10)


def report_iterations(x, k):
    case = f"factor analysis {len(x):,} × {x.shape[1]}, K = {k}"
    plain, fast = ours(x, k).bounds, accelerated(x, k).bounds
    wanted = min(plain[-1], fast[-1]) - 1e-4 * len(x)
    used = [(path >= wanted).argmax() + 1 for path in (plain, fast)]
    note(
        case,
        f"accelerated, iterations for each of EM's {used[0]}",
        used[1] / used[0],
        "×",
        most=0.5,
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        x = problem()
        for k in FACTORS:
            report(x, k)
            report_iterations(x, k)
        del x
        report_wide(*wide())
