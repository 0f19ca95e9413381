"""Data in batches and in two processes: what streaming costs, and what an all-reduce costs.

Run it with `make bench`, or alone, on Linux; a first argument is N of the large run (default 1e7,
which takes 1.3 GB of disk). Times of one process and of two come from one run and alternate; they
only mean something where two cores are free. Memory is the peak of a process of its own.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from common import note, problem, seconds

from lfm import data, distributed, em, scale
from lfm.gaussian_mixture import GaussianMixture

D, K, ROWS = 16, 16, 2**18
ROUNDS = 5
MEMORY = """
import sys
import numpy as np
from lfm import data, em, scale
from lfm.gaussian_mixture import GaussianMixture
shards = data.Shards(sys.argv[1])
model = GaussianMixture.init(shards.sample(5000, rng=0), 16, rng=0)
if sys.argv[2] == "streamed":
    em.fit(model, shards, max_iter=0)
else:
    em.fit(model, np.concatenate(list(shards)), max_iter=0)
with open("/proc/self/status") as file:  # ru_maxrss would include the process that started this one
    print(next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")))
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def peak(folder, how):
    """Return the peak memory of a process that makes one pass, MiB."""
    command = [sys.executable, "-c", MEMORY, folder, how]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report_memory(folder, n, block):
    sizes = [m for m in (10**5, 10**6, 10**7) if m <= n]
    case = "peak memory of a process (in memory: the array and the files that it is made of)"
    for size in sizes:
        part = folder / str(size)
        blocks = (block[: min(len(block), size - i)] for i in range(0, size, len(block)))
        data.write_shards(part, blocks, rows=ROWS)
        for how in ("streamed", "in memory"):
            note(case, f"N = {size:,}, {how}", peak(part, how), "MiB")
    return folder / str(sizes[-1])


def an_iteration(model, x, total=None):
    """Seconds of one iteration: both half-steps and both bounds."""
    steps = em.steps(model, x, total=total)
    return seconds(lambda: [next(steps), next(steps)])


def two_processes(folder):
    """Return seconds of an iteration of two processes, and of one exchange of its statistics."""
    done = subprocess.run(
        [*TORCHRUN, __file__, "rank", folder], capture_output=True, text=True, check=True
    )
    return tuple(map(float, done.stdout.split()))


def as_rank(folder):
    """What each of the two processes does."""
    with distributed.processes() as (rank, world):
        shards = data.Shards(folder)
        _, model = problem(100, D, K, np.random.default_rng(0))
        part = shards.part(rank, world)
        for batch in part:  # read once, so that the disk is not what is measured
            batch.sum()
        distributed.from_rank_0(None)
        times = [an_iteration(model, part, distributed.total) for _ in range(ROUNDS)]
        first = next(iter(part))
        stats = model.infer_and_expect(first)
        exchanges = []
        for _ in range(200):
            start = time.perf_counter()
            distributed.total(stats)
            exchanges.append(time.perf_counter() - start)
    if rank == 0:
        print(min(times), median(exchanges))


def report_speed(folder):
    shards = data.Shards(folder)
    _, model = problem(100, D, K, np.random.default_rng(0))
    n = len(shards)
    x = np.concatenate(list(shards.part(0, min(4, len(shards.paths)))))
    an_iteration(model, x)
    whole = min(an_iteration(model, x) for _ in range(ROUNDS)) / len(x)
    streamed, twice = [], []
    for _ in range(ROUNDS):
        streamed.append(an_iteration(model, shards))
        twice.append(two_processes(folder))
    one, (two, exchange) = min(streamed), min(twice)
    numbers = K * (1 + D + D * (D + 1) // 2) + 2
    case = f"mixture {n:,} × {D}, K = {K}, in batches"
    note(case, "in memory", 1e-6 / whole, "million rows a second")
    note(case, "streamed", 1e-6 * n / one, "million rows a second")
    note(case, "two processes", 1e-6 * n / two, "million rows a second")
    note(case, "one process over two", one / two, "×")
    what = f"exchange of {8 * numbers:,} bytes and {8 * K * D:,} of origins"
    note(case, what, 1e3 * exchange, "ms")


def report_online(block):
    x, start = block, GaussianMixture.init(block[:5000], K, rng=0)
    parts = np.split(x, 200)
    one = em.fit(start, x, max_iter=1, tol=0).model
    best = em.fit(start, x, max_iter=50).model
    top = best.log_prob(x).mean()
    case = f"one pass over {len(x):,} rows, below 50 iterations of EM"
    for power in (0.6, 1.0):
        start_time = time.perf_counter()
        *_, last = scale.online(start, parts, power=power)
        passed, gap = time.perf_counter() - start_time, top - last.model.log_prob(x).mean()
        what = f"online EM, 200 batches, power {power:.1f}, {passed:.1f} s"
        note(case, what, gap, "nats per datum")
    note(case, "one iteration of EM", top - one.log_prob(x).mean(), "nats per datum")


def main(n):
    block, _ = problem(200_000, D, K, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        largest = report_memory(Path(folder), n, block)
        report_speed(largest)
    report_online(block)


if __name__ == "__main__":
    if sys.argv[1:2] == ["rank"]:
        as_rank(sys.argv[2])
    else:
        main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**7)
