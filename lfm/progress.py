"""How far a long computation has come, for whoever watches it.

A bar appears where something takes more than two seconds and somebody can see it: in a notebook or
in a terminal. `LFM_PROGRESS=0` in the environment keeps all quiet, as tests of outputs need.
"""

import os
import sys
from collections.abc import Iterator, Sequence

from tqdm.auto import tqdm

from lfm import _validate as validate

DELAY = 2.0  # seconds


def bar(total: int, progress: bool | None = None, **options) -> tqdm:
    """Return a bar of `total` steps, to be used with `with`; `options` go to tqdm.

    `progress` True shows it at once and leaves it, False shows nothing; None shows it after two
    seconds where somebody watches, and removes it at the end. Raises `TypeError` for anything else.
    """
    total = validate.count(total, "total", 0)
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress is {progress!r}; wanted True, False or None")
    shown = _somebody_watches() if progress is None else progress
    delay = DELAY if progress is None else 0.0
    return tqdm(total=total, disable=not shown, delay=delay, leave=bool(progress), **options)


def watched(items: Sequence, what: str, progress: bool | None = None) -> Iterator:
    """Yield the items of a sequence one by one, with a bar as `bar` shows it."""
    try:
        n = len(items)
    except TypeError:
        raise TypeError(f"items is {type(items).__name__}; wanted a sequence") from None
    with bar(n, progress, desc=what) as shown:
        for item in items:
            yield item
            shown.update()


def _somebody_watches() -> bool:
    if os.environ.get("LFM_PROGRESS") == "0":
        return False
    return "ipykernel" in sys.modules or sys.stderr.isatty()
