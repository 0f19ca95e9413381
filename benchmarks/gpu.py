"""Try and time training on a GPU: ten minutes, no network; it writes GPU.md.

    make gpu                  # or, where torch is already there: python benchmarks/gpu.py
    make gpu DATA=FOLDER      # with statically binarised MNIST, see `gpu_iwae.static_bits`

Without a GPU it goes through the same lines with small sizes, and leaves GPU.md as it is.
"""

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("LFM_PROGRESS", "0")
sys.path.insert(0, str(Path(__file__).parent.parent))  # lfm, also where it is not installed

import torch
from gpu_behaviour import behaviour, processes
from gpu_exactness import exactness
from gpu_iwae import iwae
from gpu_rows import FAILED, MISSED, REACHED, Rows, table
from gpu_times import machine, name_of, tests, times

PAGE = Path(__file__).parent / "GPU.md"
PARTS = {
    "machine": machine,
    "tests": tests,
    "exactness": exactness,
    "behaviour": behaviour,
    "processes": processes,
    "times": times,
    "IWAE": iwae,  # the last one: it takes the time that is left
}
SECONDS = 570
HEAD = """# On a GPU

{date}; one {name}; torch {torch}, CUDA {cuda}, Python {python}.

Written by `make gpu` in {minutes:.1f} minutes. {failed} of {checks} checks failed;
{missed} of {goals} goals are missed.

"""


def page(rows: list[dict], name: str, minutes: float) -> str:
    """Return what GPU.md says."""
    verdicts = [row["verdict"] for row in rows]
    reached, missed, failed = (verdicts.count(v) for v in (REACHED, MISSED, FAILED))
    head = HEAD.format(
        date=datetime.now(UTC).date(), name=name, minutes=minutes, torch=torch.__version__,
        cuda=torch.version.cuda, python=platform.python_version(), failed=failed,
        checks=failed + verdicts.count("fine"), missed=missed, goals=reached + missed,
    )  # fmt: skip
    return head + table(rows) + "\n"


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder of statically binarised MNIST")
    parser.add_argument("--device", choices=["cuda", "cpu"], help="cpu: small sizes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all of it")
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), help="rows, and the model")
    options = parser.parse_args(given)
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here")
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def main(given: list[str] | None = None) -> int:
    """Run the parts, print the table, and replace GPU.md if all of them were run on a GPU."""
    options, start = arguments(given), time.perf_counter()
    options.end, whole = start + options.seconds, options.only == list(PARTS)
    rows = Rows(options.out / "rows.json", options.device)
    if options.device == "cpu":
        print(
            "No GPU: whether one computes the same, and how fast, cannot be told here. Every line"
        )
        print("is gone through on the CPU, with small sizes; GPU.md stays as it is.\n", flush=True)
    for name in options.only:
        rows.part = name
        with rows.trying("the rest of this part"):
            PARTS[name](rows, options)
    minutes = (time.perf_counter() - start) / 60
    print(f"\n{table(rows.rows)}\n\n{rows.count(FAILED)} failed; {minutes:.1f} minutes")
    if options.device == "cuda" and whole:
        PAGE.write_text(page(rows.rows, name_of("cuda"), minutes), encoding="utf-8")
        print(f"written: {PAGE}")
    return int(rows.count(FAILED) > 0)


if __name__ == "__main__":
    sys.exit(main())
