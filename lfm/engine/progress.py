"""How far a long computation has come, for whoever watches it.

A bar appears where something takes more than two seconds and somebody can see it: in a notebook or
in a terminal. `LFM_PROGRESS=0` in the environment keeps all quiet, as tests of outputs need.
"""

import contextlib
import html
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from lfm.engine import constants, validate


class Bar:
    """A count of steps that is shown once it has taken `delay` seconds, and never if it does not.

    Use it with `with`. At the end a bar that is to be left is full, however many steps there were,
    and any other is removed.
    """

    def __init__(self, total: int, delay: float, *, leave: bool, **options):
        self.total, self.delay, self.leave, self.options = total, delay, leave, options
        self.n, self.words, self.start = options.pop("initial", 0), "", time.monotonic()
        self.shown: tqdm | None = None

    def __enter__(self) -> "Bar":
        self._draw()
        return self

    def __exit__(self, kind, *_) -> None:
        if self.shown is not None:
            if kind is None:
                self.shown.total = self.n  # a fit that converged early ends full
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                self.shown.close()

    def update(self, words: str = "") -> None:
        """Count one step; `words` say what it has come to."""
        self.n, self.words = self.n + 1, words
        self._draw()

    def _draw(self) -> None:
        try:
            self._drawn()
        except (OSError, ValueError, RuntimeError):  # a stderr that cannot be written any more
            self.shown, self.delay = None, float("inf")

    def _drawn(self) -> None:
        if self.shown is None and time.monotonic() - self.start >= self.delay:
            kind, file = (_InNotebook, io.StringIO()) if _in_notebook() else (tqdm, sys.stderr)
            self.shown = kind(
                total=self.total, initial=self.n, leave=self.leave, file=file,
                mininterval=constants.BAR_REDRAWN, **self.options,
            )  # fmt: skip
            self.shown.start_t -= time.monotonic() - self.start
        elif self.shown is not None:
            self.shown.set_postfix_str(self.words, refresh=False)
            self.shown.update(self.n - self.shown.n)


class _InNotebook(tqdm):
    """A bar as one line of text that is drawn over: no widgets, of which pages take up hundreds."""

    handle = None
    monitor_interval = 0  # no thread that draws: what it shows could land in another cell

    def display(self, msg=None, pos=None) -> None:
        ipython = sys.modules["IPython"].display  # it is there in a notebook, and else not needed
        line = str(self) if msg is None else msg
        picture = ipython.HTML(f"<pre>{html.escape(line)}</pre>" if line else "")
        if self.handle is None:
            self.handle = ipython.display(picture, display_id=True)
        else:
            self.handle.update(picture)

    def close(self) -> None:
        if not self.disable:
            self.disable = True
            self._decr_instances(self)
            self.display(None if self.leave else "")


def bar(total: int, progress: bool | None = None, **options) -> Bar:
    """Return a bar of `total` steps, to be used with `with`; `options` go to tqdm.

    `progress` True shows it at once and leaves it, False shows nothing; None shows it after two
    seconds where somebody watches, and removes it at the end. Raises `TypeError` for anything else.
    """
    total = validate.count(total, "total", 0)
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress is {progress!r}; wanted True, False or None")
    shown = _somebody_watches() if progress is None else progress and _can_be_shown()
    delay = float("inf") if not shown else constants.BAR_DELAY if progress is None else 0.0
    return Bar(total, delay, leave=bool(progress), **options)


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
    if os.environ.get("LFM_PROGRESS") == "0" or not _can_be_shown():
        return False
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return _in_notebook() or bool(sys.stderr.isatty())
    return False


def _can_be_shown() -> bool:
    """Tell whether stderr is one; a kernel, too, displays nothing where it is None or closed."""
    writes = hasattr(sys.stderr, "write") and hasattr(sys.stderr, "flush")
    return writes and not getattr(sys.stderr, "closed", False)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    return getattr(ipython and ipython.get_ipython(), "kernel", None) is not None
