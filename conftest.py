"""What holds for all tests, and for the kernels in which nbval runs the notebooks.

Outputs are compared, so no progress bars are among them; the network is refused (`tests/ipython`);
and a notebook that leaves a file behind fails the run. Tests compare with what the generator of a
CPU draws, so no test sees a GPU but those marked `gpu`, and they only where LFM_GPU is 1.
"""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
KERNELS = ROOT / "build" / "ipython"  # IPython writes there, too

os.environ["LFM_PROGRESS"] = "0"
os.environ["IPYTHONDIR"] = str(KERNELS)
if os.environ.get("LFM_GPU") != "1":  # `make gpu` sets it
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch is imported


def _files() -> set[Path]:
    return set((ROOT / "notebooks").rglob("*"))


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU, and LFM_GPU=1")


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):  # once, not in each worker of xdist
        shutil.copytree(ROOT / "tests" / "ipython", KERNELS, dirs_exist_ok=True)
        session.files_before = _files()


def pytest_sessionfinish(session):
    left = _files() - getattr(session, "files_before", _files())
    if left:
        print("\nleft behind by a notebook:", *sorted(left), sep="\n  ")
        session.exitstatus = 1
