"""Run the notebooks as other processors would: `make test-kernels`.

    python -m tools.kernels [--only NAME ...] [--training] [--spread] [NOTEBOOK ...]

Libraries choose the code of a product by the processor, and each choice rounds in its own way. The
sets below ask for such choices; `rounding` moves the weights that training starts from by their
last digit, which stands for processors that are not here. In each set all notebooks must run, and
print what is stored. With --spread it is shown for each claim how far it is from failing, beside
how much that differs between the sets.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tools import claims, course

ROOT = Path(__file__).parent.parent
STARTUP = ROOT / "tests" / "ipython" / "profile_default" / "startup"

AS_SSE = {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "MKL_CBWR": "COMPATIBLE",
          "ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"}  # fmt: skip
AS_AVX2 = {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2",
           "ATEN_CPU_CAPABILITY": "avx2"}  # fmt: skip
AS_AVX512 = {"MKL_ENABLE_INSTRUCTIONS": "AVX512", "MKL_CBWR": "AVX512",
             "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512"}  # fmt: skip
SETS = {
    "as-it-is": {},
    "two-threads": {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    "sse": AS_SSE | {"OPENBLAS_CORETYPE": "Nehalem"},
    "sandybridge": AS_AVX2 | {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Sandybridge"},
    "haswell": AS_AVX2 | {"OPENBLAS_CORETYPE": "Haswell"},
    "zen": AS_AVX2 | {"MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Zen"},
    "skylakex": AS_AVX512 | {"OPENBLAS_CORETYPE": "SkylakeX"},
    **{f"rounding-{seed}": {"LFM_ROUNDING": str(seed)} for seed in range(1, 5)},
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def environment(name: str) -> dict[str, str]:
    """Return the environment of one of `SETS`."""
    return os.environ | ONE_THREAD | {"LFM_PROGRESS": "0"} | SETS[name]


def trains(path: Path) -> bool:
    """Tell whether a chapter trains networks for hundreds of steps, which makes rounding grow."""
    return "training.train(" in path.read_text(encoding="utf-8")


# What a set computes, in numpy and in torch, to the bit; it dies where the processor lacks it.
PROBE = """
import hashlib, runpy, sys
import numpy as np
from lfm import training, vae
runpy.run_path(sys.argv[1])
rng = np.random.default_rng(0)
x = rng.random((500, 64))
found = [x.T @ x, np.linalg.svd(x)[1], np.exp(x)]
dense = vae.VAE.dense(64, 4, (64,), rng=0)
conv = vae.VAE(vae.DiagonalGaussian(vae.conv_encoder(8, 8, rng=0)),
               vae.BernoulliPixels(vae.conv_decoder(4, 8, rng=0)), 4)
for model in (dense, conv):
    training.train(model, x, epochs=1, rng=0, device="cpu", progress=False)
    found += [w.detach().numpy() for w in model.parameters()]
print(hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in found)).hexdigest()[:8])
"""


def fingerprint(name: str) -> str | None:
    """Return eight letters for the bits that a set computes, or None where it cannot run."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(STARTUP / "rounding.py")],
        cwd=ROOT, env=environment(name), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else None


def run(name: str, notebooks: list[Path]) -> tuple[dict[str, str], dict[str, float]]:
    """Return what nbval says of each notebook, "ok" or the cell that failed first; and the slacks.

    A claim's slack is how far it is from failing (`tools.claims`).
    """
    workers = "1" if name == "two-threads" else "2"  # of a machine with two cores
    with tempfile.TemporaryDirectory() as folder:
        report, notes = Path(folder) / "report.xml", Path(folder) / "claims"
        notes.mkdir()
        subprocess.run(
            [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env",
             "--nbval-cell-timeout", "600", "--nbval-sanitize-with", "tests/sanitize.cfg",
             "-n", workers, "--dist", "loadfile", "-q", f"--junitxml={report}",
             *map(str, notebooks)],
            cwd=ROOT, stdout=subprocess.DEVNULL, check=False,
            env=environment(name) | {"LFM_CLAIMS": str(notes), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return verdicts(report, notebooks), claims.noted(notes)


def verdicts(report: Path, notebooks: list[Path]) -> dict[str, str]:
    """Return what a report of pytest says of each notebook."""
    found = {label(path): "missing" for path in notebooks}
    for case in ElementTree.parse(report).iter("testcase"):
        notebook = label(Path(case.get("classname").removesuffix(".ipynb").replace(".", "/")))
        failed = case.find("failure") is not None or case.find("error") is not None
        if failed and found[notebook] in ("missing", "ok"):
            found[notebook] = f"{case.get('name')} failed"
        elif found[notebook] == "missing":
            found[notebook] = "ok"
    return found


def label(path: Path) -> str:
    """Return "09" for a chapter and "09s" for its solutions."""
    return path.stem[:2] + ("s" if path.parent.name == "solutions" else "")


# ------------------------------------------------------------------ how far claims are from failing


def spread(runs: list[dict[str, float]], path: Path) -> list[str]:
    """Return for each measured claim: mean and sd over the runs, the least, the claim.

    Each run has the slack of the claims; those that do not differ between the runs are left out.
    """
    lines = []
    for claim in claims.of(path):
        found = np.array([run[claim] for run in runs if claim in run])
        if len(found) < 2 or not np.isfinite(found).all():
            continue
        mean, sd, least = found.mean(), found.std(ddof=1), found.min()
        if sd > 1e-6 * max(1e-6, abs(found).max()):
            mark = "" if least > 0 and mean > 3 * sd else "  <- narrow"
            lines.append(f"{mean:10.4g} {sd:10.3g} {least:10.4g}  {claim}{mark}")
    return lines


# ------------------------------------------------------------------ from the shell


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.kernels")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all")
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS), metavar="NAME")
    parser.add_argument("--training", action="store_true", help="chapters that train networks")
    parser.add_argument("--spread", action="store_true", help="say how far claims are from failing")
    options = parser.parse_args()
    chapters = course.chapters()
    if options.training:
        chapters = [path for path in chapters if trains(path)]
    notebooks = options.notebooks or [*chapters, *map(course.solutions, chapters)]
    prints = {name: fingerprint(name) for name in options.only}
    here = [name for name, bits in prints.items() if bits is not None]
    for name, bits in prints.items():
        print(f"{name:14s} {bits or 'this processor does not have it'}", flush=True)
    failed, runs = False, []
    for name in here:
        found, slacks = run(name, notebooks)
        runs.append(slacks)
        failed |= set(found.values()) != {"ok"}
        print(f"{name:14s}", *(f"{n}: {v} " for n, v in found.items()), flush=True)
    for path in notebooks if options.spread else ():
        print(f"\n{path.stem}\n      mean   sd of sets      least  claim", flush=True)
        print(*spread(runs, path), sep="\n", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
