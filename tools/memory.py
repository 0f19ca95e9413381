"""Measure how much memory each chapter takes: `python -m tools.memory`, on Linux (half an hour).

It runs every notebook as it stands and writes `benchmarks/MEMORY.md`. Counted is the kernel with
all processes that it starts, twenty times a second, and the kernel's own highest mark.
"""

import re
import sys
import threading
from pathlib import Path

import psutil
from nbclient import NotebookClient

from tools import course

PAGE = course.ROOT / "benchmarks" / "MEMORY.md"
LIMIT = 2000  # MB: what Binder has
HEAD = f"""# Memory

The highest memory of each chapter's kernel, with all that it starts, in MB (10⁶ bytes): measured
by `python -m tools.memory`. JupyterLab takes about 90 MB more. Binder stops a session that
takes more than {LIMIT} MB.

| chapter | MB |
|---|---|
"""


def family(pid: int) -> int:
    """Return the bytes that a process and all that it has started hold now."""
    total = 0
    try:
        kernel = psutil.Process(pid)
        for process in [kernel, *kernel.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def highest(pid: int) -> int:
    """Return the most bytes that a process has ever held."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def peak(path: Path) -> float:
    """Run a notebook and return its peak in MB."""
    client = NotebookClient(course.read(path), timeout=1200)
    peaks, over = [0], threading.Event()
    with client.setup_kernel():
        pid = client.km.provisioner.pid

        def watch():
            while not over.wait(0.05):
                peaks.append(max(peaks.pop(), family(pid)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for index, cell in enumerate(client.nb.cells):
                client.execute_cell(cell, index)
            own = highest(pid)
        finally:
            over.set()
            watcher.join()
    return max(*peaks, own) / 1e6


def main() -> int:
    """Write the page; fail where a chapter takes too much."""
    rows = []
    for path in course.chapters():
        rows.append((course.title(path), peak(path)))
        print(f"{rows[-1][1]:6.0f} MB  {rows[-1][0]}", flush=True)
    lines = [f"| {title} | {10 * round(mb / 10)} |\n" for title, mb in rows]
    PAGE.write_text(HEAD + "".join(lines), encoding="utf-8")
    return int(max(mb for _, mb in rows) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
