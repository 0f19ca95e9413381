"""What holds for all tests, and for the kernels in which nbval runs the notebooks.

Outputs are compared, so no progress bars are among them; the network is refused (`tests/ipython`);
and a notebook that leaves a file behind fails the run.
"""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parent
KERNELS = ROOT / "build" / "ipython"  # IPython writes there, too

os.environ["LFM_PROGRESS"] = "0"
os.environ["IPYTHONDIR"] = str(KERNELS)


def _files() -> set[Path]:
    return set((ROOT / "notebooks").rglob("*"))


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):  # once, not in each worker of xdist
        shutil.copytree(ROOT / "tests" / "ipython", KERNELS, dirs_exist_ok=True)
        session.files_before = _files()


def pytest_sessionfinish(session):
    left = _files() - getattr(session, "files_before", _files())
    if left:
        print("\nleft behind by a notebook:", *sorted(left), sep="\n  ")
        session.exitstatus = 1
