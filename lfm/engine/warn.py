"""Warnings that name the line of the caller, however deep in the package they arise."""

import sys
import warnings
from pathlib import Path

HERE = str(Path(__file__).parent.parent)


def warn(message: str, category: type[Warning]) -> None:
    """Warn as from the innermost line that is not the package's own."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
