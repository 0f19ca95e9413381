"""What an exchange among 2, 4 and 8 processes of one machine costs: messages, bytes, time.

Run it with `make bench`, or alone, on Linux, which counts what a process writes. The count says
which way an all-reduce goes: round a ring each process writes 2 (P - 1) messages, or a fixed
multiple of it; in a tree it writes 2 (P - 1) / P on average. If all sent their pieces directly to
all, it would be 2 (P - 1) too, so it is also asked which share of its bytes goes to one other: in
a ring nearly all, else an equal share to each. A time says less: where there are
more processes than cores, they also wait for a core. The fastest of many is given, since whatever
else the machine does only adds to a time.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import note, problem

from lfm import distributed
from lfm.scale import processes

D, K = 16, 16
NUMBERS = K * (1 + D + D * (D + 1) // 2) + 2
WORLDS, ROUNDS = (2, 4, 8), 500
CASE = f"all-reduce of {8 * NUMBERS:,} bytes, processes of one machine"


def written():
    """Return how often and how much this process has written: to others, for it prints nothing."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text("utf-8").splitlines())
    return np.array([int(lines["syscw"]), int(lines["wchar"])])


def sent():
    """Return how many bytes each TCP connection of this process has sent, by its name."""
    found = {}
    for fd in Path("/proc/self/fd").iterdir():
        name = os.readlink(fd) if fd.is_symlink() else ""
        if name.startswith("socket:"):
            with socket.socket(fileno=os.dup(int(fd.name))) as connection:
                if connection.type == socket.SOCK_STREAM and connection.family != socket.AF_UNIX:
                    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                    found[name] = int.from_bytes(info[120:128], sys.byteorder)  # acknowledged
    return found


def share_to_one(work):
    """Return the share of the bytes of many calls that goes through one connection."""
    before = sent()
    for _ in range(ROUNDS):
        work()
    bytes_of = [n - before.get(name, 0) for name, n in sent().items()]
    return max(bytes_of) / sum(bytes_of)


def repeated(work):
    """Return what one call writes (messages, bytes) and the seconds of the fastest."""
    for _ in range(20):
        work()
    before, times = written(), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return *((written() - before) / ROUNDS), min(times)


def as_rank():
    """What each process does; the first prints the means over all of them."""
    x, model = problem(1000, D, K, np.random.default_rng(0))
    stats, values = model.infer_and_expect(x), np.ones(NUMBERS)
    with distributed.processes() as (rank, world):
        alone = repeated(lambda: processes.all_reduce(values))
        whole = repeated(lambda: distributed.total(stats))
        share = share_to_one(lambda: processes.all_reduce(values))
        means = processes.all_reduce(np.array([*alone, whole[2], share])) / world
    if rank == 0:
        print(*means)


def measured(world):
    """Return messages, bytes, seconds of an all-reduce and of an exchange, share to one other."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(world), __file__, "rank"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


def main():
    for world in WORLDS:
        messages, n_bytes, reduced, whole, share = measured(world)
        note(CASE, f"P = {world}, a process writes", round(messages), "messages")
        note(CASE, f"P = {world}, that is", n_bytes / 1000, "kB")
        note(CASE, f"P = {world}, of it to one other", 100 * share, "%")
        note(CASE, f"P = {world}, it takes", 1e3 * reduced, "ms")
        note(CASE, f"P = {world}, with the origins", 1e3 * whole, "ms")


if __name__ == "__main__":
    as_rank() if sys.argv[1:2] == ["rank"] else main()
