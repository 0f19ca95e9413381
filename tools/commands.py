"""What `make setup`, `make course` and `make test` do, where there is no make, as on Windows.

    python -m tools.course setup
    python -m tools.course course
    python -m tools.course test

It needs Python and nothing else. A test holds that these are the commands of the Makefile.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
OLDEST = (3, 11)

INSTALL = "python -m pip install --quiet -c constraints.txt -e .[course,test]"
OPEN = (
    "jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_latent_factors.ipynb "
    "--ServerApp.answer_yes=True"
)
TESTS = (
    "ruff check .",
    "ruff format --check .",
    "pytest -n 2 --dist loadfile -q",
    "pytest --nbval --nbval-current-env --nbval-cell-timeout 300 "
    "--nbval-sanitize-with tests/sanitize.cfg -n 2 --dist loadfile -q notebooks",
)


def run(command: str, **env: str) -> None:
    """Run a program of the course's environment in the course's folder; raise where it fails."""
    program, *arguments = command.split()
    found = shutil.which(program, path=str(BIN))  # python.exe on Windows
    # UTF-8 is not what every system reads and writes by default
    env = os.environ | {"JUPYTER_PLATFORM_DIRS": "1", "PYTHONUTF8": "1"} | env
    subprocess.run([found or program, *arguments], cwd=ROOT, env=env, check=True)


def setup() -> None:
    """Make `.venv`, as the Makefile does."""
    if sys.version_info < OLDEST:
        raise SystemExit(f"Python {sys.version.split()[0]} is too old: 3.11 or newer is wanted")
    if not BIN.exists():
        venv.create(VENV, with_pip=True)
    run(INSTALL)
    settings = VENV / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "tools" / "lab_settings.json", settings / "overrides.json")


def course() -> None:
    """Set up, then open JupyterLab."""
    setup()
    run(OPEN)


def test() -> None:
    """Set up, then test the package and every notebook."""
    setup()
    for command in TESTS:
        run(command, **ONE_THREAD)


COMMANDS = {"setup": setup, "course": course, "test": test}


def main(arguments: list[str]) -> None:
    """Run the command that is named."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        raise SystemExit(f"usage: python -m tools.course {'|'.join(COMMANDS)}")
    try:
        COMMANDS[arguments[0]]()
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from None
