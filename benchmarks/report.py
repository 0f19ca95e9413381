"""Run every benchmark and write RESULTS.md: each figure, beside its goal where it has one.

make bench            # all of them, some twenty minutes; leave the machine alone meanwhile
make bench ONLY=mixture
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

FOLDER = Path(__file__).parent
SCRIPTS = ("mixture", "factor_analysis", "variational_bayes", "binary_factors", "vae", "streaming")
SCRIPTS += ("exchange",)
PEERS = ("numpy", "scipy", "torch", "scikit-learn", "pomegranate", "pyro-ppl", "pythae")
# What limits a figure that misses its goal: (case begins with, what is measured, limit).
LIMITS = (
    ("mixture 1,000,000 × 2", "", "exp and log of each r: vector code in numpy for AVX-512 only"),
    ("mixture", "extra memory", "a few arrays of K matrices D × D, 1 MiB each"),
    ("mixture", "", "the products of coordinates, made anew for each piece, and its thin matrices"),
    (
        "factor analysis",
        "scikit-learn",
        "EM's iterations on the D × D covariance, and their number",
    ),
    ("Bayesian mixture 200,000 × 2", "", "exp and log of each r, as for the mixture"),
    ("Bayesian mixture", "", "products of coordinates and thin matrices, as for the mixture"),
    ("binary factors", "", "a log for the entropy and an exp for each switch, K thin products"),
    ("VAE", "its products", "what is no product: pixels' likelihood, ReLU, noise, their gradients"),
    ("VAE", "", "the products, which all ways share"),
)
HEAD = """# Measured

{date}; {machine}; one thread, Python {python}, {versions}.
Load of the machine at the start: {load}.

Written by `make bench`, which measures again on your machine: all ways in turn within one run,
medians, ratios taken pair by pair. Only ratios of one run mean anything. "Over lfm" is how many
times as long the other way takes; of bare matrix products it is the share of their speed that lfm
reaches. Goals were set beforehand, on another machine; {missed} of {goals} are missed here. The
long run on MNIST is in [MNIST.md](MNIST.md).
"""


def machine() -> str:
    """Return the processor's name and how many cores there are."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    return f"{os.cpu_count()} cores of {name}"


def measured(scripts) -> list[dict]:
    """Run the scripts one after the other and return the rows that they noted."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows"
        for script in scripts:
            subprocess.run(
                [sys.executable, FOLDER / f"{script}.py"],
                env=os.environ | {"LFM_BENCH_ROWS": str(rows)},
                check=True,
            )
        return [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]


def limit(row: dict) -> str:
    """Return what limits a row that misses its goal."""
    fits = (
        why for case, what, why in LIMITS if row["case"].startswith(case) and what in row["what"]
    )
    return f"**missed**: {next(fits, 'not known')}"


def page(rows: list[dict], load: float) -> str:
    """Return the page: a table for each case."""
    goals = [row for row in rows if row["goal"]]
    parts = [
        HEAD.format(
            date=datetime.now(UTC).date(),
            machine=machine(),
            python=platform.python_version(),
            versions=", ".join(f"{name} {version(name)}" for name in PEERS),
            load=f"{load:.1f}",
            goals=len(goals),
            missed=sum(not row["met"] for row in goals),
        )
    ]
    for case, of_case in groupby(rows, key=lambda row: row["case"]):
        parts.append(
            f"## {case[0].upper()}{case[1:]}\n\n| | measured | goal | |\n|---|---|---|---|\n"
        )
        for row in of_case:
            verdict = ("met" if row["met"] else limit(row)) if row["goal"] else ""
            parts[-1] += f"| {row['what']} | {row['value']} | {row['goal']} | {verdict} |\n"
    return "\n".join(parts)


def main(scripts) -> None:
    """Measure, and replace RESULTS.md if all of it was measured."""
    unknown = set(scripts) - set(SCRIPTS)
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; wanted some of {', '.join(SCRIPTS)}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    text = page(measured(scripts), load)
    if tuple(scripts) == SCRIPTS:
        (FOLDER / "RESULTS.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or SCRIPTS)
