"""Files made from good ones, for whatever loads: damaged, hostile, and what may come of them.

Bits flipped, cut, appended to, headers exchanged, sizes inflated, pickles that would run code.
`LFM_FUZZ=10` tries ten times as many of the random ones.
"""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lfm import training

TIMES = int(os.environ.get("LFM_FUZZ", 1))


MOST_MEMORY = 64 * 2**20  # bytes that a small file may ask for


VALUES = np.arange(60.0).reshape(20, 3)


def damaged(good: bytes, seed: int, n: int):
    """Yield n damaged copies: every kind of damage in turn, at places that differ."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        at, length = int(rng.integers(len(good))), int(rng.integers(1, 9))
        junk = rng.bytes(length)
        bad = bytearray(good)
        if i % 7 == 0:
            bad[at] ^= 1 << int(rng.integers(8))
        elif i % 7 == 1:
            bad[at : at + length] = junk
        elif i % 7 == 2:
            del bad[at:]
        elif i % 7 == 3:
            bad += junk * int(rng.integers(1, 50))
        elif i % 7 == 4:
            del bad[at : at + length]
        elif i % 7 == 5:
            bad[at:at] = junk
        else:  # two parts change places
            other = int(rng.integers(len(good)))
            first, second = good[at : at + length], good[other : other + length]
            bad[at : at + length], bad[other : other + length] = second, first
        if bytes(bad) != good:
            yield bytes(bad)


class Trap:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def traps(path) -> list[bytes]:
    """Return pickles that would make a folder: of every protocol, by call and by import."""
    found = [pickle.dumps(Trap(path), protocol) for protocol in range(6)]
    found += [pickle.dumps({"kind": "VAE", "model": {"w": Trap(path)}}), pickle.dumps([Trap(path)])]
    found.append(b"cos\nmkdir\n(V" + str(path).encode() + b"\ntR.")
    found.append(b"cbuiltins\nexec\n(Vimport os; os.mkdir('" + str(path).encode() + b"')\ntR.")
    found.append(b"(Vmkdir " + str(path).encode() + b"\nios\nsystem\n.")
    return found


def npy(header: str, body: bytes = b"", version=(1, 0)) -> bytes:
    """Return the bytes of a .npy file with any header."""
    text = header.encode("latin1")
    pack = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + pack + text + body


HUGE = 2**40


HEADERS = [
    npy(f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n", body, version)
    for descr in ("<f8", "<f4", "|O", "<U9", "|V8", "<c16", "<M8[s]", "|S0", ">i2", "nonsense")
    for order in ("False", "True", "3")
    for shape in (
        f"({HUGE}, 3)", f"({HUGE}, {HUGE})", "(-1, 3)", "(3,)", "()", "(0, 3)", "'x'", "(2.5, 3)",
        f"({2**62}, 4)", "(True, 3)", "__import__('os').getcwd()",
    )
    for body, version in ((b"", (1, 0)), (bytes(48), (1, 0)), (bytes(48), (2, 0)), (b"", (9, 9)))
]  # fmt: skip


def zipped(members: dict[str, bytes], method=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def refused(load, path: Path, content: bytes, errors=ValueError):
    """Write a file, load it, and hold the error: documented, about this file, without a bloat."""
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(errors) as caught:
            load(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert path.name in str(caught.value)
    assert peak < MOST_MEMORY + 8 * len(content)


def good_file(suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, VALUES)
    elif suffix == ".npz":
        np.savez_compressed(buffer, a=VALUES)
    else:
        buffer.write(b"a,b,c\n" + "\n".join(",".join(map(str, row)) for row in VALUES).encode())
    return buffer.getvalue()


def saved(state) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def refused_or_read(load, path: Path, content: bytes):
    """Whoever can make a checksum can make any weights; but no other error, and no crash."""
    path.write_bytes(content)
    try:
        load(path)
    except ValueError as error:
        assert path.name in str(error)  # noqa: PT017 - other numbers are numbers too
    except training.TrainingDiverged:
        pass


def idx(array) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
