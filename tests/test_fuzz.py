"""Every loader, given damaged and hostile files: right, or a documented error that names the file.

Thousands of files are made from good ones: bits flipped, cut, appended to, headers exchanged, sizes
inflated, pickles that would run code. `LFM_FUZZ=10` tries ten times as many of the random ones;
`pytest -s` shows how many there were.
"""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from lfm import data, distributed, em, training
from lfm.engine import files
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import mixture_run, sealed
from lfm.vae import VAE, SharedGaussian

TIMES = int(os.environ.get("LFM_FUZZ", 1))
MOST_MEMORY = 64 * 2**20  # bytes that a small file may ask for
CASES = Counter()
X = np.random.default_rng(0).normal(size=(20, 3))
VALUES = np.arange(60.0).reshape(20, 3)


@pytest.fixture(scope="module", autouse=True)
def report():
    yield
    print(f"\n{sum(CASES.values())} files tried: {dict(CASES)}")


# ------------------------------------------------------------------ damage


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


def refused(load, path: Path, content: bytes, what: str, errors=ValueError):
    """Write a file, load it, and hold the error: documented, about this file, without a bloat."""
    CASES[what] += 1
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


# ------------------------------------------------------------------ verified files


def good_file(suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, VALUES)
    elif suffix == ".npz":
        np.savez_compressed(buffer, a=VALUES)
    else:
        buffer.write(b"a,b,c\n" + "\n".join(",".join(map(str, row)) for row in VALUES).encode())
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv"])
def test_no_damaged_file_passes_its_checksum(tmp_path, suffix):
    good, path = good_file(suffix), tmp_path / f"data{suffix}"
    wanted = hashlib.sha256(good).hexdigest()
    for bad in damaged(good, 1, 400 * TIMES):
        refused(lambda p: data.load(p, wanted), path, bad, f"load, altered {suffix}")
    for n in range(len(good)):  # cut at every place
        if n < 300 or n % 50 == 0:
            refused(lambda p: data.load(p, wanted), path, good[:n], f"load, cut {suffix}")
    path.write_bytes(good)
    np.testing.assert_array_equal(data.load(path, wanted), VALUES)


def trusting(path: Path):
    """Load a file whose checksum was taken of the bad bytes themselves."""
    return data.load(path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv"])
def test_a_damaged_file_of_the_right_checksum_is_numbers_or_refused(tmp_path, suffix):
    good, path = good_file(suffix), tmp_path / f"data{suffix}"
    for bad in damaged(good, 2, 400 * TIMES):
        CASES[f"load, parsed {suffix}"] += 1
        path.write_bytes(bad)
        try:
            array = trusting(path)
        except ValueError as error:
            assert path.name in str(error)  # noqa: PT017 - it may also be numbers
        else:
            assert array.dtype.kind in "fiub"
            assert array.nbytes < MOST_MEMORY


def test_hostile_arrays_run_no_code_and_take_no_memory(tmp_path):
    trap = tmp_path / "trapped"
    empty_is_fine = b"'shape': (0, 3)"
    for header in HEADERS:
        whole = b"'fortran_order': 3" not in header and empty_is_fine in header
        if whole or b"'shape': (3,)" in header or b"'shape': ()" in header:
            continue  # these may be read, as what they say
        refused(trusting, tmp_path / "a.npy", header, "load, hostile .npy")
        refused(trusting, tmp_path / "a.npz", zipped({"a.npy": header}), "load, hostile .npz")
    for code in traps(trap):
        objects = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", code)
        for name, content in (
            ("a.npy", code), ("a.npy", objects), ("a.npz", code), ("a.csv", code),
            ("a.npz", zipped({"a.npy": objects})), ("a.npz", zipped({"a.npy": code})),
            ("a.npz", zipped({"a.pkl": code})),
        ):  # fmt: skip
            refused(trusting, tmp_path / name, content, "load, pickles")
    assert not trap.exists()


def test_a_small_archive_that_unfolds_to_a_huge_array_is_refused(tmp_path):
    header = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296,), }\n")
    bomb = zipped({"a.npy": header + bytes(2**24)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**17
    refused(trusting, tmp_path / "a.npz", bomb, "load, bombs")


def test_bundled_files_that_were_altered_are_refused(tmp_path, monkeypatch):
    readers = {"faithful.csv": data.old_faithful, "digits8x8.npz": data.digits,
               "mnist5k.npz": data.mnist, "fashion5k.npz": data.fashion}  # fmt: skip
    originals = {name: (data.BUNDLED / name).read_bytes() for name in readers}
    monkeypatch.setattr(data, "BUNDLED", tmp_path)
    for i, (name, read) in enumerate(readers.items()):
        for bad in damaged(originals[name], i, 21 * TIMES):
            refused(lambda _, read=read: read(), tmp_path / name, bad, "bundled")


# ------------------------------------------------------------------ IDX files


def idx(array) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def test_damaged_and_hostile_idx_files_are_what_they_say_or_refused():
    good = idx(np.arange(60).reshape(5, 3, 4))
    hostile = [
        b"\0\0\x08" + bytes([n]) + b"\xff" * k for n in (1, 3, 32, 33, 255) for k in (0, 4, 99)
    ]
    hostile += [
        b"\0\0\x08\x20" + bytes(128),
        b"\0\0\x08\xff" + bytes(4 * 255),
    ]  # 0 values, in 255-D
    for bad in [*hostile, *(good[:n] for n in range(len(good))), *damaged(good, 3, 700 * TIMES)]:
        CASES["IDX"] += 1
        try:
            array = files.parse_idx(bad, "some-file")
        except ValueError as error:
            assert "some-file" in str(error)  # noqa: PT017 - it may also be an array
        else:
            assert len(bad) == 4 + 4 * array.ndim + array.size


def test_a_file_of_the_cache_that_was_altered_is_fetched_again_or_refused(tmp_path, monkeypatch):
    good = gzip.compress(idx(np.zeros((2, 3, 3))), mtime=0)
    labels = gzip.compress(idx(np.zeros(2)), mtime=0)
    both = {"train-images-idx3": good, "train-labels-idx1": labels}
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in both.items()}
    monkeypatch.setitem(data.FULL_SHA256, "mnist", wanted)
    monkeypatch.setitem(data.MIRRORS, "mnist", ("nowhere://",))
    monkeypatch.setenv("LFM_CACHE", str(tmp_path))
    path, other = (tmp_path / "mnist" / f"{name}-ubyte.gz" for name in both)
    path.parent.mkdir()
    other.write_bytes(labels)
    for bad in damaged(good, 4, 70 * TIMES):
        refused(lambda _: data.mnist(full=True), path, bad, "cache", errors=OSError)
        assert path.read_bytes() == bad  # it stays as it was
    path.write_bytes(good)
    assert data.mnist(full=True).images.shape == (2, 3, 3)


# ------------------------------------------------------------------ shards


def test_damaged_shards_are_arrays_or_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = good_file(".npy")
    path = tmp_path / "x" / "0.npy"
    path.parent.mkdir()
    trap = tmp_path / "trapped"
    hostile = [npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }\n", code)
               for code in traps(trap)]  # fmt: skip
    cut = [good[:n] for n in range(0, len(good), 3)]
    for bad in [*hostile, *traps(trap), *HEADERS, *cut, *damaged(good, 5, 500 * TIMES)]:
        CASES["shards"] += 1
        path.write_bytes(bad)
        try:
            shards = data.Shards(path.parent)
            rows = sum(len(batch) for batch in shards)
        except (ValueError, TypeError) as error:
            assert path.name in str(error)  # noqa: PT017 - it may also be an array
        else:
            assert rows == len(shards)
            assert rows * shards.dim <= len(bad)  # as many numbers as there are bytes, at most
    assert not trap.exists()


# ------------------------------------------------------------------ checkpoints


def vae():
    return VAE.dense(3, 1, (4,), rng=0, decoder=SharedGaussian)


def train(path, model=None):
    model = vae() if model is None else model
    return training.train(model, X, epochs=2, batch_size=5, rng=0, checkpoint=path, device="cpu")


def write_vae(path):
    training.save(vae(), path)


def write_mixture(path):
    model = GaussianMixture.init(X, 2, rng=0)
    fit = em.fit(model, X, max_iter=2)
    sealed.write(path, mixture_run.state(fit.model, list(fit.bounds), {}))


SPARE = vae()
LOADERS = {
    "training.load": (write_vae, training.load),
    "training.load into a VAE": (write_vae, lambda path: training.load(path, SPARE)),
    "resume": (train, lambda path: train(path, SPARE)),
    "distributed.load": (write_mixture, distributed.load),
}


@pytest.fixture(params=LOADERS)
def loader(request, tmp_path):
    """The name of a way to load, the function, a file of its own, and its good bytes."""
    write, load = LOADERS[request.param]
    path = tmp_path / "file.lfm"
    write(path)
    return request.param, load, path, path.read_bytes()


def test_no_damaged_checkpoint_is_loaded(loader):
    name, load, path, good = loader
    for bad in damaged(good, 6, 200 * TIMES):
        refused(load, path, bad, f"{name}, altered")
        assert path.read_bytes() == bad  # and not replaced: it may be of use to somebody
    head = sealed.HEAD
    for n in [*range(1, head + 20), *range(head + 20, len(good), max(1, len(good) // 30))]:
        refused(load, path, good[:n], f"{name}, cut")
    refused(load, path, b"", f"{name}, cut")


def saved(state) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def test_sealed_pickles_run_no_code(loader, tmp_path):
    name, load, path, _ = loader
    trap = tmp_path / "trapped"
    for code in traps(trap):
        members = {
            "archive/data.pkl": code,
            "archive/version": b"3\n",
            "archive/byteorder": b"little",
        }
        for body in (code, zipped(members), saved({"kind": "VAE", "model": Trap(trap)})):
            refused(load, path, sealed.sealed(body), f"{name}, pickles")
    assert not trap.exists()


def test_sealed_nonsense_is_refused_or_other_numbers(loader):
    """The checksum is right, and what is inside is not what was saved."""
    name, load, path, good = loader
    state = sealed.read(path)
    head = sealed.HEAD
    bodies = [b"", b"x", b"PK\5\6" + bytes(18), good, saved(None), saved([]), saved({}), saved(3.0)]
    for key in state:
        bodies.append(saved({k: v for k, v in state.items() if k != key}))
        for value in (None, "nonsense", "3", 7, [], {}, torch.zeros(3), torch.tensor(float("nan"))):
            bodies.append(saved(state | {key: value}))
    for body in bodies:
        refused_or_read(load, path, sealed.sealed(body), f"{name}, nonsense")
    for bad in damaged(good[head:], 7, 100 * TIMES):  # altered, and the checksum made to fit
        refused_or_read(load, path, sealed.sealed(bad), f"{name}, resealed")


def refused_or_read(load, path, content, what):
    """Whoever can make a checksum can make any weights; but no other error, and no crash."""
    CASES[what] += 1
    path.write_bytes(content)
    try:
        load(path)
    except ValueError as error:
        assert path.name in str(error)  # noqa: PT017 - other numbers are numbers too
    except training.TrainingDiverged:
        pass


def test_what_is_refused_leaves_the_vae_as_it_was(tmp_path):
    path, model = tmp_path / "file.lfm", VAE.dense(3, 1, (4,), rng=5, decoder=SharedGaussian)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    train(path)
    state = sealed.read(path)
    for key in ("model", "optimiser", "generator", "progress", "trace"):
        path.write_bytes(sealed.sealed(saved(state | {key: {}})))
        for load in (train, training.load) if key == "model" else (train,):
            with pytest.raises(ValueError, match=r"file\.lfm"):
                load(path, model)
            assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
