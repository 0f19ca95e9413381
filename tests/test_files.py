"""Files: written whole or not at all, verified when they are read, and fetched likewise.

The only network here is a server on 127.0.0.1.
"""

import hashlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import mirror
import numpy as np
import pytest
from damage import (
    HEADERS,
    MOST_MEMORY,
    TIMES,
    VALUES,
    damaged,
    good_file,
    idx,
    npy,
    refused,
    traps,
    zipped,
)
from mirror import CONTENT

from lfm import data
from lfm.engine import constants, files

ROOT = Path(__file__).parent.parent


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------ write


def refuse(*_):
    raise OSError(28, "No space left on device")


def test_a_file_is_written_and_its_folder_made(tmp_path):
    path = tmp_path / "new" / "folder" / "a"
    for content in (b"first", b"", b"third"):
        files.write(path, content)
        assert path.read_bytes() == content
        assert [p.name for p in path.parent.iterdir()] == ["a"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_keeps_what_was_there(tmp_path, monkeypatch, failing):
    path = tmp_path / "a"
    files.write(path, b"before")
    monkeypatch.setattr(os, failing, refuse)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, b"after")
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_ctrl_c_while_writing_leaves_nothing(tmp_path):
    def interrupted():
        with files.whole(tmp_path / "a", tmp_path / "folder") as (part, folder):
            part.write_bytes(b"half")
            folder.mkdir()
            (folder / "b").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_are_on_the_disk_before_they_have_the_name(tmp_path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (calls.append("fsync"), fsync(f)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    files.write(tmp_path / "a", b"x")
    folder = ["fsync"] if hasattr(os, "O_DIRECTORY") else []  # Windows syncs files alone
    assert calls == ["fsync", "replace", *folder]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_of_several_files_all_are_written_or_none(tmp_path, monkeypatch, there, failing):
    paths = [tmp_path / name for name in "abc"]
    if there:
        files.write_all(dict.fromkeys(paths[:2], b"before"))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    replace, calls = os.replace, itertools.count(1)

    def fails_once(part, path):
        if next(calls) == failing:
            refuse()
        replace(part, path)

    monkeypatch.setattr(os, "replace", fails_once)
    with pytest.raises(OSError, match="No space left"):
        files.write_all(dict.fromkeys(paths, b"after"))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    files.write_all({path: path.name.encode() for path in paths})
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == [b"a", b"b", b"c"]


def test_debris_is_removed_when_it_is_old_and_nothing_else(tmp_path):
    path, old = tmp_path / "run[1].lfm", tmp_path / f".run[1].lfm.{'0' * 32}"
    living = tmp_path / f".run[1].lfm.{'1' * 32}"  # another run may be writing it just now
    for part in (path, old, living, tmp_path / ".run[1].lfm.notes"):
        part.write_bytes(b"half")
        os.utime(part, (time.time() - 2 * constants.STALE,) * 2)
    os.utime(living)
    files.remove_debris(path)
    assert {p.name for p in tmp_path.iterdir()} == {path.name, living.name, ".run[1].lfm.notes"}


KILLED = """
import os, signal, sys
from pathlib import Path
from lfm.engine import files

with files.whole(Path(sys.argv[1])) as (part,):
    part.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills for real")
def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    files.write(path, b"before")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2


# ------------------------------------------------------------------ load


def saved(path, array, **arrays):
    """Write an array (or, for a .npz, several) and return the sha256 of the file."""
    if path.suffix == ".npz":
        np.savez(path, **({"a": array} if array is not None else {}), **arrays)
    else:
        np.save(path, array)
    return sha256(path.read_bytes())


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_load_returns_what_was_saved(tmp_path, name):
    array = np.arange(12.0).reshape(3, 4)
    checksum = saved(tmp_path / name, array)
    loaded = files.load(str(tmp_path / name), checksum.upper())
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)
    loaded[:] = 0  # fresh, and the caller's own
    np.testing.assert_array_equal(files.load(tmp_path / name, checksum), array)


def test_load_reads_a_csv_below_one_header_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"time,wait\n1.5,2\n3,-4e1\n")
    np.testing.assert_array_equal(files.load(path, sha256(path.read_bytes())), [[1.5, 2], [3, -40]])


def test_load_chooses_among_the_arrays_of_an_npz(tmp_path):
    path = tmp_path / "several.npz"
    checksum = saved(path, None, images=np.ones(3), labels=np.arange(3))
    np.testing.assert_array_equal(files.load(path, checksum, key="labels"), [0, 1, 2])
    for key in (None, "label"):
        with pytest.raises(ValueError, match=r"several\.npz.*key.*images, labels"):
            files.load(path, checksum, key=key)


def flip_a_bit(content):
    return content[:70] + bytes([content[70] ^ 1]) + content[71:]


@pytest.mark.parametrize(
    "damage", [flip_a_bit, lambda c: c[:-8], lambda c: c + b"\0", lambda c: b""]
)
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv"])
def test_load_refuses_altered_cut_and_appended_files(tmp_path, name, damage):
    path = tmp_path / name
    if path.suffix == ".csv":
        path.write_bytes(b"a,b\n" + b"1,2\n" * 50)
    else:
        saved(path, np.arange(50))
    wanted = sha256(path.read_bytes())
    path.write_bytes(damage(path.read_bytes()))
    found = sha256(path.read_bytes())
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{found}.*wanted {wanted}"):
        files.load(path, wanted)


def test_load_never_unpickles(tmp_path, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    for name in ("a.npy", "a.npz"):
        checksum = saved(tmp_path / name, np.array([Bomb()], dtype=object))
        with pytest.raises(ValueError, match=rf"{name}.*cannot be read.*allow_pickle=False"):
            files.load(tmp_path / name, checksum)
    (tmp_path / "raw.npy").write_bytes(b"\x80\x04N.")  # a bare pickle under the name of an array
    with pytest.raises(ValueError, match=r"raw.npy cannot be read"):
        files.load(tmp_path / "raw.npy", sha256(b"\x80\x04N."))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"no array", "cannot be read"),
        ("a.npz", b"PK\x03\x04 no archive", "cannot be read"),
        ("a.csv", b"a,b\n", "cannot be read.*no data"),
        ("a.csv", b"a,b\n1,2\n3\n", "cannot be read.*columns"),
        ("a.csv", b"a,b\n1,two\n", "cannot be read.*two"),
        ("a.csv", b"a,b\n1,\xff\xfe\n", "cannot be read"),
        ("a.txt", b"1 2", "wanted .npy, .npz or .csv"),
    ],
)
def test_load_says_what_it_cannot_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} {message}" if "can" in message else message):
        files.load(tmp_path / name, sha256(content))


def test_load_refuses_what_is_not_numbers(tmp_path):
    for array in (np.array(["a"]), np.array([1j]), np.zeros(1, dtype=[("a", float)])):
        checksum = saved(tmp_path / "a.npy", array)
        with pytest.raises(ValueError, match=r"a\.npy holds .* values; wanted real numbers"):
            files.load(tmp_path / "a.npy", checksum)
    checksum = saved(tmp_path / "b.npy", np.ones(2))
    with pytest.raises(ValueError, match=r"key is 'x'; only a \.npz"):
        files.load(tmp_path / "b.npy", checksum, key="x")


@pytest.mark.parametrize("wrong", ["", "abc", "g" * 64, "0" * 63, "0" * 65, None, 5, b"0" * 64])
def test_sha256_must_be_a_sha256(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"sha256 is .*; wanted 64 hexadecimal digits"):
        files.load(tmp_path / "a.npy", wrong)
    with pytest.raises(ValueError, match=r"sha256 is .*; wanted 64 hexadecimal digits"):
        files.fetch("http://127.0.0.1:1/a", tmp_path / "a", wrong)


def test_load_names_the_file_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.npy does not exist"):
        files.load(tmp_path / "missing.npy", "0" * 64)
    with pytest.raises(IsADirectoryError, match="is a folder; wanted a file with sha256"):
        files.load(tmp_path, "0" * 64)


# ------------------------------------------------------------------ fetch


@pytest.fixture
def server():
    with mirror.serving() as server:
        yield server


def test_fetch_downloads_once(tmp_path, server):
    path = tmp_path / "new" / "folder" / "file"
    assert files.fetch(server.url + "good", str(path), sha256(CONTENT)) == path
    assert path.read_bytes() == CONTENT
    assert files.fetch(server.url + "good", path, sha256(CONTENT)) == path
    assert server.asked == {"good": 1}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["cut", "announced-cut", "wrong", "missing"])
@pytest.mark.parametrize("before", [None, b"an older file"])
def test_fetch_that_fails_leaves_everything_as_it_was(tmp_path, server, name, before):
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)
    kind, reason = (OSError, "404") if name == "missing" else ((OSError, ValueError), "")
    with pytest.raises(kind, match=f"(?s)file could not be fetched.*{name}.*{reason}"):
        files.fetch(server.url + name, path, sha256(CONTENT))
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if before is None else [before])


def test_fetch_says_what_came_where_every_mirror_sends_other_bytes(tmp_path, server):
    with pytest.raises(ValueError) as error:
        files.fetch([server.url + "cut", server.url + "wrong"], tmp_path / "f", sha256(CONTENT))
    for part in (
        "cut",
        "1000 bytes",
        "wrong",
        f"{len(CONTENT)} bytes",
        f"wanted {sha256(CONTENT)}",
    ):
        assert part in str(error.value)


def test_fetch_replaces_a_file_that_is_not_the_right_one(tmp_path, server):
    path = tmp_path / "file"
    path.write_bytes(b"an older file")
    files.fetch(server.url + "good", path, sha256(CONTENT))
    assert path.read_bytes() == CONTENT


def test_fetch_tries_the_mirrors_in_order(tmp_path, server):
    dead = "http://127.0.0.1:1/dead"
    mirrors = [dead, *(server.url + name for name in ("missing", "wrong", "good", "cut"))]
    path = files.fetch(mirrors, tmp_path / "file", sha256(CONTENT))
    assert path.read_bytes() == CONTENT
    assert list(server.asked) == ["missing", "wrong", "good"]
    assert list(tmp_path.iterdir()) == [path]


def test_fetch_lists_the_reason_of_each_mirror(tmp_path, server):
    mirrors = ["http://127.0.0.1:1/dead", server.url + "wrong", "no address"]
    with pytest.raises(OSError, match=r"(?s)dead: Conn.*wrong: .*wanted.*no address: Invalid"):
        files.fetch(mirrors, tmp_path / "file", sha256(CONTENT))


def test_two_fetches_at_once_do_not_meet(tmp_path, server):
    path, failures = tmp_path / "file", []

    def fetch():
        try:
            files.fetch(server.url + "slow", path, sha256(CONTENT))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    server.both_asked.wait(timeout=10)  # neither has had an answer yet: both are under way
    parts = list(tmp_path.iterdir())
    server.answer.wait(timeout=10)
    for thread in threads:
        thread.join()
    assert not failures
    assert len(parts) == 2  # each writes to a file of its own, and none has the name
    assert path not in parts
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("wrong", [[], 5, [None], b"http://127.0.0.1:1/"])
def test_fetch_wants_an_address(tmp_path, wrong):
    with pytest.raises(TypeError, match=r"url is .*; wanted an address"):
        files.fetch(wrong, tmp_path / "file", "0" * 64)


def test_downloads_are_kept_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("LFM_CACHE", str(tmp_path / "here"))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pooch", None)  # it cannot be imported
        assert files.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("LFM_CACHE")
    assert files.cache_folder().name == "lfm"


# ------------------------------------------------------------------ IDX files


GOOD = idx(np.arange(6).reshape(1, 2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "wanted an IDX header"),
        (GOOD[:3], "wanted an IDX header"),
        (GOOD[:9], "wanted an IDX header"),
        (b"\0\0\x0d" + GOOD[3:], "wanted an IDX header"),  # float32
        (b"\0\0\x08\0" + GOOD[4:], "wanted an IDX header"),  # no dimension
        (GOOD[:-1], r"holds 5 values; its header says \(1, 2, 3\)"),
        (GOOD + b"\0", r"holds 7 values; its header says \(1, 2, 3\)"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "holds 0 values; its header says"),  # would overflow
    ],
)
def test_a_faulty_idx_file_is_refused(content, message):
    np.testing.assert_array_equal(files.parse_idx(GOOD, "good"), [[[0, 1, 2], [3, 4, 5]]])
    with pytest.raises(ValueError, match=f"some-file.*{message}"):
        files.parse_idx(content, "some-file")


def test_the_names_stay_in_data():
    for name in ("load", "fetch", "cache_folder"):
        assert getattr(data, name) is getattr(files, name)


# ------------------------------------------------------------------ damaged and hostile files


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv"])
def test_no_damaged_file_passes_its_checksum(tmp_path, suffix):
    good, path = good_file(suffix), tmp_path / f"data{suffix}"
    wanted = hashlib.sha256(good).hexdigest()
    for bad in damaged(good, 1, 400 * TIMES):
        refused(lambda p: data.load(p, wanted), path, bad)
    for n in range(len(good)):  # cut at every place
        if n < 300 or n % 50 == 0:
            refused(lambda p: data.load(p, wanted), path, good[:n])
    path.write_bytes(good)
    np.testing.assert_array_equal(data.load(path, wanted), VALUES)


def trusting(path: Path):
    """Load a file whose checksum was taken of the bad bytes themselves."""
    return data.load(path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv"])
def test_a_damaged_file_of_the_right_checksum_is_numbers_or_refused(tmp_path, suffix):
    good, path = good_file(suffix), tmp_path / f"data{suffix}"
    for bad in damaged(good, 2, 400 * TIMES):
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
        refused(trusting, tmp_path / "a.npy", header)
        refused(trusting, tmp_path / "a.npz", zipped({"a.npy": header}))
    for code in traps(trap):
        objects = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", code)
        for name, content in (
            ("a.npy", code), ("a.npy", objects), ("a.npz", code), ("a.csv", code),
            ("a.npz", zipped({"a.npy": objects})), ("a.npz", zipped({"a.npy": code})),
            ("a.npz", zipped({"a.pkl": code})),
        ):  # fmt: skip
            refused(trusting, tmp_path / name, content)
    assert not trap.exists()


def test_a_small_archive_that_unfolds_to_a_huge_array_is_refused(tmp_path):
    header = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296,), }\n")
    bomb = zipped({"a.npy": header + bytes(2**24)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 2**17
    refused(trusting, tmp_path / "a.npz", bomb)


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
        try:
            array = files.parse_idx(bad, "some-file")
        except ValueError as error:
            assert "some-file" in str(error)  # noqa: PT017 - it may also be an array
        else:
            assert len(bad) == 4 + 4 * array.ndim + array.size
