"""Data in a folder: rows come back as they were written, and what is broken is named."""

import os

import numpy as np
import pytest
import torch
from batches import MIXTURE, X, spoiled
from damage import HEADERS, TIMES, damaged, good_file, npy, traps
from systems import link

from lfm import data, em
from lfm.scale import shards
from lfm.variational_em import BinaryFactors


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_written_rows_come_back_in_order(tmp_path, dtype):
    x = np.arange(46).reshape(23, 2).astype(dtype)
    for i, source in enumerate([x, np.split(x, [1, 2, 20]), iter([x[:9], x[9:]])]):
        shards = data.write_shards(tmp_path / f"{i}" / "x", source, rows=5)
        assert [len(batch) for batch in shards] == [5, 5, 5, 5, 3]
        assert (len(shards), shards.dim) == (23, 2)
        for _ in range(2):  # again and again
            np.testing.assert_array_equal(np.concatenate(list(shards)), x)
        assert next(iter(shards)).dtype == dtype
        assert [p.name for p in (tmp_path / f"{i}").iterdir()] == ["x"]
    small = data.Shards(tmp_path / "0" / "x", batch_size=2)
    assert [len(batch) for batch in small] == [2, 2, 1] * 4 + [2, 1]


def test_parts_take_turns_and_are_all(tmp_path):
    x = np.arange(40.0).reshape(20, 2)
    shards = data.write_shards(tmp_path / "x", x, rows=3)
    parts = [shards.part(rank, 3) for rank in range(3)]
    assert [len(part.paths) for part in parts] == [3, 2, 2]
    assert parts[1].paths == (shards.paths[1], shards.paths[4])
    assert sum(map(len, parts)) == 20
    rows = np.concatenate([batch for part in parts for batch in part])
    np.testing.assert_array_equal(rows[rows[:, 0].argsort()], x)
    with pytest.raises(ValueError, match="x has 7 shards for 8 processes; wanted at least one"):
        shards.part(0, 8)
    with pytest.raises(ValueError, match="rank is 3; wanted between 0 and 2"):
        shards.part(3, 3)


def test_a_sample_is_rows_without_replacement(tmp_path):
    x = np.arange(2000.0).reshape(1000, 2)
    shards = data.write_shards(tmp_path / "x", x, rows=77)
    sample = shards.sample(300, rng=0)
    assert len(set(sample[:, 0])) == 300
    assert (sample[:, 0] % 2 == 0).all()
    assert (sample[:, 1] == sample[:, 0] + 1).all()
    assert sample[:, 0].mean() == pytest.approx(999, abs=4 * 577 / np.sqrt(300))
    np.testing.assert_array_equal(shards.sample(1000, rng=1), x)
    with pytest.raises(ValueError, match="n is 1001; wanted between 1 and 1000"):
        shards.sample(1001, rng=0)
    with pytest.raises(TypeError, match="rng is None"):
        shards.sample(10, rng=None)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def broken(path, kind):
    good = np.arange(12.0).reshape(6, 2)
    if kind == "objects":
        np.save(path, np.array([[Evil(), 1]], dtype=object), allow_pickle=True)
    elif kind == "cut":
        np.save(path, good)
        path.write_bytes(path.read_bytes()[:-8])
    elif kind == "no array":
        path.write_bytes(b"not a numpy file")
    elif kind == "empty file":
        path.write_bytes(b"")
    else:
        arrays = {
            "no rows": good[:0], "one row": good[0], "text": good.astype(str), "complex": good + 0j,
            "other columns": good[:, :1],
        }  # fmt: skip
        np.save(path, arrays[kind])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("objects", r"1\.npy cannot be read as an array: .*Python objects"),
        ("cut", r"1\.npy cannot be read as an array"),
        ("no array", r"1\.npy cannot be read as an array"),
        ("empty file", r"1\.npy cannot be read as an array"),
        ("no rows", r"1\.npy (has shape|cannot be read)"),
        ("one row", r"1\.npy has shape \(2,\)"),
        ("text", r"1\.npy holds <U"),
        ("complex", r"1\.npy holds complex128"),
        ("other columns", r"1\.npy has 1 columns; wanted 2, as 0\.npy has"),
    ],
)
def test_a_broken_shard_is_named_and_runs_no_code(tmp_path, kind, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "0.npy", np.ones((4, 2)))
    broken(tmp_path / "1.npy", kind)
    with pytest.raises((ValueError, TypeError), match=message):
        data.Shards(tmp_path)
    assert not (tmp_path / "evil").exists()


def test_a_folder_without_shards_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match=r"has no \.npy files"):
            data.Shards(folder)
    with pytest.raises(ValueError, match="batch_size is 0"):
        data.Shards(tmp_path, batch_size=0)


def test_a_value_that_is_not_finite_is_found_by_its_file(tmp_path):
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", spoiled(np.nan))
    shards = data.Shards(tmp_path)
    with pytest.raises(ValueError, match=r"batch 1 of x \(b\.npy\) has 1 values.*\[3, 1\]"):
        em.fit(MIXTURE, shards)
    with pytest.raises(ValueError, match=r"b\.npy has 1 values that are not finite"):
        shards.sample(80, rng=0)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    def breaks_off():
        yield X
        raise RuntimeError("the source broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        data.write_shards(tmp_path / "x", breaks_off(), rows=7)
    with pytest.raises(ValueError, match="batch 1 of x has 1 values that are not finite"):
        data.write_shards(tmp_path / "x", [X, spoiled(np.nan)], rows=7)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x").mkdir()
    data.write_shards(tmp_path / "x", X)  # an empty folder may be there
    for folder in (tmp_path / "x", tmp_path / "x" / "00000000.npy"):
        with pytest.raises(FileExistsError, match="exists and is not empty; wanted a new folder"):
            data.write_shards(folder, X)
    with pytest.raises(ValueError, match="rows is 0"):
        data.write_shards(tmp_path / "y", X, rows=0)


def test_bits_stay_bits_in_a_folder_of_shards(tmp_path):
    bits = np.random.default_rng(0).random((60, 8)) < 0.5
    for name, x in (("array", bits), ("batches", iter([bits[:30], bits[30:]])),
                    ("tensor", torch.tensor(bits))):  # fmt: skip
        shards = data.write_shards(tmp_path / name, x)
        np.testing.assert_array_equal(np.concatenate(list(shards)), bits)
        assert next(iter(shards)).dtype == bool
        assert em.fit(BinaryFactors.init(shards.sample(60, rng=0), 2, rng=0), [bits, bits])
    mixed = data.write_shards(tmp_path / "mixed", [bits, bits.astype(float)])
    np.testing.assert_array_equal(next(iter(mixed)), np.vstack([bits, bits]))


def test_shards_are_files_that_are_not_hidden(tmp_path):
    data.write_shards(tmp_path / "x", data.old_faithful(), rows=100)
    (tmp_path / "x" / "._00000000.npy").write_bytes(b"\0\5\26\7 of another system")
    (tmp_path / "x" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "x" / "folder.npy").mkdir()
    link(tmp_path / "x" / "00000000.npy", tmp_path / "x" / "00000009.npy")
    assert len(data.Shards(tmp_path / "x")) == 372
    link(tmp_path / "gone.npy", tmp_path / "x" / "00000010.npy")
    with pytest.raises(ValueError, match=r"00000010\.npy cannot be read"):
        data.Shards(tmp_path / "x")


def test_a_sample_of_every_size_is_rows_of_the_data(tmp_path):
    x = np.arange(60.0).reshape(30, 2)
    shards = data.write_shards(tmp_path / "x", x, rows=7)
    for n in (1, 2, 29, 30):
        sample = shards.sample(n, rng=n)
        assert sample.shape == (n, 2)
        assert (np.diff(sample[:, 0]) > 0).all()  # each once, in the order of the data
        assert np.isin(sample[:, 0], x[:, 0]).all()
        np.testing.assert_array_equal(shards.sample(n, rng=n), sample)
    firsts = [shards.sample(1, rng=seed)[0, 0] for seed in range(300)]
    assert set(firsts) == set(x[:, 0])  # any row may be drawn: missing one has probability 0.1%
    part = shards.part(1, 2)
    np.testing.assert_array_equal(part.sample(len(part), rng=0), np.concatenate(list(part)))


def test_a_part_keeps_the_size_of_batches(tmp_path):
    data.write_shards(tmp_path / "x", np.ones((20, 2)), rows=5)
    part = data.Shards(tmp_path / "x", batch_size=3).part(1, 2)
    assert [len(batch) for batch in part] == [3, 2, 3, 2]
    assert (len(part), part.dim) == (10, 2)


def test_who_was_faster_is_not_overwritten(tmp_path):
    def late():
        yield X
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "mine").write_bytes(b"mine")

    with pytest.raises(FileExistsError, match="is not empty now; wanted a new folder"):
        data.write_shards(tmp_path / "x", late())
    found = [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))]
    assert found == ["x", "x/mine"]


def test_shards_are_on_the_disk_before_the_folder_has_its_name(tmp_path, monkeypatch):
    synced, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (synced.append(f), fsync(f)))

    def named(part, path):
        assert len(synced) >= len(list(part.iterdir())) == 3
        replace(part, path)

    monkeypatch.setattr(os, "replace", named)
    assert len(data.write_shards(tmp_path / "x", X, rows=17)) == 40
    assert (tmp_path / "x").is_dir()


def test_the_names_are_those_of_data():
    assert (data.Shards, data.write_shards) == (shards.Shards, shards.write_shards)
    assert {"Shards", "write_shards"} <= {*dir(data)} & {*data.__all__}
    with pytest.raises(AttributeError, match=r"lfm\.data has no 'Shard'"):
        data.Shard  # noqa: B018 - it is asked for here


# ------------------------------------------------------------------ damaged and hostile files


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


def test_links_lead_where_they_lead_and_odd_places_are_named(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    link(tmp_path / "disk", tmp_path / "link")
    data.write_shards(tmp_path / "link" / "x", X)
    assert len(data.Shards(tmp_path / "disk" / "x")) == 40
    link(tmp_path / "circle", tmp_path / "circle")
    with pytest.raises((ValueError, OSError), match="circle"):
        data.Shards(tmp_path / "circle")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for here in (".", tmp_path / "empty"):
        with pytest.raises(FileExistsError, match="is the current folder"):
            data.write_shards(here, X)
    monkeypatch.setenv("HOME", str(tmp_path))
    data.write_shards("~/home", X)
    assert len(data.Shards(tmp_path / "home")) == 40
    assert not (tmp_path / "empty" / "~").exists()
