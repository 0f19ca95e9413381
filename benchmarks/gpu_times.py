"""Where the tests and checks are run, and how long a step takes: the usual loop, eager, a graph."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import torch
from common import seconds
from gpu_behaviour import ONE_THREAD, ROOT
from gpu_kinds import epochs_of, train
from gpu_rows import Rows
from vae import BATCH, D, H, K, data_loader, images, ours

from lfm.vae import VAE

GIB, GB = 2**30, 1e9
# Plugins take longer to load than these tests take.
ON_THE_GPU = {"LFM_GPU": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
# Goals on one GPU, set beforehand.
OVER_EAGER, OVER_LOADER, MICROSECONDS = 5, 20, 70
# Kernels of cuBLAS, by their names.
PRODUCTS = "gemm|nvjet|cutlass|cublas|scal_kernel"


# ------------------------------------------------------------------ the machine


def machine(rows: Rows, options) -> None:
    device = options.device
    rows.say("Python, torch", f"{platform.python_version()}, {torch.__version__}")
    rows.say("device", name_of(device), details(device))
    rows.measure("memory, read and written by a copy", bandwidth(device) / GB, "GB/s")
    rows.measure("a large product in float32", product_rate(device) / 1e12, "TFLOP/s")


def name_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "no GPU: a CPU"


def details(device: str) -> str:
    if device == "cpu":
        return f"{os.cpu_count()} processors; sizes are small, and times say nothing"
    p = torch.cuda.get_device_properties(0)
    tf32 = torch.backends.cudnn.allow_tf32
    return (
        f"{p.multi_processor_count} multiprocessors, {p.total_memory / GIB:.0f} GiB, "
        f"CUDA {torch.version.cuda}, products {torch.get_float32_matmul_precision()}, "
        f"TF32 in convolutions {'on' if tf32 else 'off'}"
    )


def waited(work, device: str) -> float:
    """Return the seconds until the device has done the work."""
    if device == "cuda":
        torch.cuda.synchronize()
        return seconds(lambda: (work(), torch.cuda.synchronize()))
    return seconds(work)


def bandwidth(device: str) -> float:
    """Return how many bytes a second a copy reads and writes."""
    size = (GIB if device == "cuda" else GIB // 64) // 4
    a, b = torch.ones(size, device=device), torch.ones(size, device=device)
    return 8 * size / median(waited(lambda: b.copy_(a), device) for _ in range(9))


def product_rate(device: str) -> float:
    n = 8192 if device == "cuda" else 512
    a = torch.rand(n, n, device=device)
    return 2 * n**3 / median(waited(lambda: a @ a, device) for _ in range(5))


# ------------------------------------------------------------------ tests


def tests(rows: Rows, options) -> None:
    """Run the tests that are marked `gpu`, in the files that have some."""
    files = [p for p in sorted((ROOT / "tests").glob("test_*.py")) if marked(p)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", *files],
        env=os.environ | ONE_THREAD | ON_THE_GPU,
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    summary = ((done.stdout or done.stderr).strip().splitlines() or ["it said nothing"])[-1]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped)", summary)}
    wanted = "passed" if options.device == "cuda" else "skipped"
    fine = done.returncode == 0 and wanted in counts
    if not fine:
        print(done.stdout[-3000:], done.stderr[-1000:], file=sys.stderr)
    found = ", ".join(f"{n} {word}" for word, n in counts.items())
    rows.check("tests that need a GPU", fine, found, "" if fine else summary)


def marked(path: Path) -> bool:
    return "@pytest.mark.gpu" in path.read_text(encoding="utf-8")


# ------------------------------------------------------------------ times


def times(rows: Rows, options) -> None:
    device, n, rounds = options.device, *((60_000, 5) if options.device == "cuda" else (256, 1))
    x, part, steps = images(n), images(max(n // 5, BATCH)), n // BATCH
    ways = {
        "DataLoader loop": lambda: seconds(data_loader(part, device)) / (len(part) // BATCH),
        "eager, data on the device": lambda: eager(x, device) / steps,
        "lfm": lambda: second(x, device=device) / steps,
        "lfm in bfloat16": lambda: second(x, device=device, bfloat16=True) / steps,
    }
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with rows.trying(f"a step, {name}"):
                found[name].append(1e6 * way())
    found = {name: values for name, values in found.items() if values}
    for name, values in found.items():
        goal = {"most": MICROSECONDS} if name == "lfm" else {}
        spread = f"rounds: {rounds}, {min(values):,.0f} to {max(values):,.0f}"
        rows.measure(f"a step, {name}", median(values), "µs", **goal, remark=spread)
    more_times(rows, x, device)
    goals = {"eager, data on the device": OVER_EAGER, "DataLoader loop": OVER_LOADER}
    step = median(found["lfm"])
    for name, least in goals.items():
        if name in found:
            rows.measure(f"{name} over lfm", median(found[name]) / step, "×", least=least)
    floors(rows, step, device)


def second(x, batch: int = BATCH, **options) -> float:
    """Return the seconds of lfm's second epoch: the first one makes the recording."""
    epoch = ours(x, batch, **options)
    epoch()
    return seconds(epoch)


def eager(x, device: str) -> float:
    """Return the seconds of the second epoch of the very same steps, none of them recorded."""
    vae = VAE.dense(D, K, (H,), rng=0)
    run = epochs_of(vae, x, device, 2, graph=False, batch_size=BATCH)
    return run.trace.seconds[-1]


def floors(rows: Rows, step: float, device: str) -> None:
    """What a step must move and compute; all of it may fit into a GPU's cache.

    Weights are read forth and, but for the first layer's, back; slopes are written; Adam reads
    weights, slopes and two moments, and writes all but the slopes. Activations go out and in.
    """
    p, first = sum(w.numel() for w in VAE.dense(D, K, (H,), rng=0).parameters()), D * H
    moved = 4 * (10 * p - first + 4 * BATCH * (D + H + 2 * K)) + BATCH * D
    computed = 6 * BATCH * p - 2 * BATCH * first
    of_bytes, of_products = 1e6 * moved / bandwidth(device), 1e6 * computed / product_rate(device)
    remark = f"{moved / 1e6:.0f} MB, at the measured speed"
    rows.measure("the floor of the bytes", of_bytes, "µs", remark=remark)
    remark = f"{computed / 1e9:.2f} GFLOP, at the measured speed"
    rows.measure("the floor of the products", of_products, "µs", remark=remark)
    rows.measure("lfm over the higher floor", step / max(of_bytes, of_products), "×")


def more_times(rows: Rows, x, device: str) -> None:
    big, steps = min(1024, len(x) // 2), len(x) // BATCH
    rows.measure(
        f"a step, lfm, batch {big}", 1e6 * second(x, big, device=device) / (len(x) // big), "µs"
    )
    held_out = {"validation": x[: len(x) // 6]}
    rows.measure(
        "a step, lfm, with validation", 1e6 * second(x, device=device, **held_out) / steps, "µs"
    )
    trace, said = train(VAE.dense(D, K, (H,), rng=0), x, device, epochs=3, batch_size=BATCH)
    extra = trace.seconds[0] - trace.seconds[-1]
    rows.measure(
        "what the first epoch takes more", extra, "s", remark="the recording is made in it"
    )
    rows.check("no warning is given", not said, "", "; ".join(said))
    if device == "cuda":
        of_kernels(rows, x)
    else:
        rows.cannot("kernels of a recorded step", "a CPU launches none")


def of_kernels(rows: Rows, x) -> None:
    """Note what a recorded step runs, and for how long: what more speed would have to change."""
    from torch.profiler import ProfilerActivity, profile

    vae, replays = VAE.dense(D, K, (H,), rng=0), 20
    run = epochs_of(vae, x[:1024], "cuda", 1, graph=True, batch_size=BATCH)
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(replays):
            run.recording()
        torch.cuda.synchronize()
    found = {"products": [], "Adam": [], "all else": []}
    for e in seen.key_averages():
        if e.self_device_time_total > 0:
            of = "Adam" if "FusedAdam" in e.key or "FusedOptimizer" in e.key else "all else"
            found["products" if re.search(PRODUCTS, e.key) else of].append(e)
    for name, events in found.items():
        n = sum(e.count for e in events) / replays
        time = sum(e.self_device_time_total for e in events) / replays
        remark = {"products": "by cuBLAS in float32: no step that has them is faster"}.get(name, "")
        rows.measure(f"of a recorded step, {n:.0f} kernels: {name}", time, "µs", remark=remark)
