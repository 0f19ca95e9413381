"""What not every system has. A test that needs it is skipped there, and says why."""

import os
from pathlib import Path

import pytest

POSIX = os.name == "posix"


def needs_signals() -> None:
    """Skip where a process cannot be killed or interrupted by a signal."""
    if not POSIX:
        pytest.skip("no signals on this system")


def limit_files(size: int | None):
    """Return what a new process calls so that no file of it is larger, in bytes; or None."""
    if size is None:
        return None
    resource = pytest.importorskip("resource", reason="no limits on files on this system")
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def link(target: Path, at: Path) -> None:
    """Make a symbolic link."""
    try:
        os.symlink(target, at)
    except OSError as error:
        if POSIX:
            raise
        pytest.skip(f"links are for administrators on this system: {error}")
