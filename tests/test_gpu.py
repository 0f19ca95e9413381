"""`make gpu` without a GPU: every line is gone through, and nothing that fails ends it.

So that the ten minutes on a machine that has one are not spent on mistakes in the script.
"""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"
PAGE = FOLDER / "GPU.md"


def run(out, *arguments):
    """Return how the script ended, and its rows."""
    done = subprocess.run(
        [sys.executable, FOLDER / "gpu.py", "--device", "cpu", "--out", out, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    return done, json.loads((out / "rows.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def passed(tmp_path_factory):
    """What the whole pass said; a minute of work."""
    before = PAGE.read_bytes()
    done, rows = run(tmp_path_factory.mktemp("gpu"))
    assert PAGE.read_bytes() == before, "only what a GPU measured belongs there"
    return done, rows


@pytest.fixture
def module(monkeypatch):
    """Return what imports a file of the benchmarks, which are scripts and no package."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def cells(line):
    return [cell.strip() for cell in re.fullmatch(r"\| (.*) \|", line)[1].split(" | ")]


def read(text):
    """Return the rows of the one Markdown table in a text. Raises where it is not sound."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    names, rule, *rows = map(cells, lines)
    assert all(re.fullmatch("-{3,}", cell) for cell in rule)
    assert len(rule) == len(names)
    return [dict(zip(names, row, strict=True)) for row in rows]


# ------------------------------------------------------------------ the whole pass


def test_every_part_reports_and_nothing_fails(passed, module):
    done, rows = passed
    failed = [row for row in rows if "failed" in row["verdict"]]
    assert (failed, done.returncode) == ([], 0), done.stderr[-3000:]
    found = {}
    for row in rows:
        found.setdefault(row["part"], []).append(row["what"])
    assert list(found) == list(module("gpu").PARTS)
    assert len(rows) >= 80
    for kind in module("gpu_kinds").KINDS:
        of_kind = [what for what in found["exactness"] if what.split(":")[0] == kind]
        assert len(of_kind) >= 2 or kind == "convolutions, bfloat16", kind
    for wanted in ("no graph can hold", "Ctrl-C", "exploding", "memory", "gaps", "kl_split"):
        assert any(wanted in what for what in found["behaviour"]), wanted
    for wanted in ("DataLoader loop", "eager", "lfm", "floor of the bytes"):
        assert any(wanted in what for what in found["times"]), wanted


def test_it_says_what_a_cpu_cannot_tell(passed):
    done, rows = passed
    assert done.stdout.startswith("No GPU: ")
    goals = {row["what"]: (row["goal"], row["verdict"]) for row in rows if row["goal"]}
    assert goals == {
        "a step, lfm": ("≤ 70", "no GPU"),
        "eager, data on the device over lfm": ("≥ 5", "no GPU"),
        "DataLoader loop over lfm": ("≥ 20", "no GPU"),
    }  # that of the IWAE paper's model holds for static bits alone
    untried = [row["what"] for row in rows if row["verdict"] == "not tried"]
    assert untried == ["convolutions, bfloat16", "kernels of a recorded step"]


def test_the_table_that_it_prints_is_its_rows(passed):
    done, rows = passed
    assert read(done.stdout) == rows


# ------------------------------------------------------------------ what fails, what is missed


def test_a_part_that_fails_is_a_row_and_the_end_says_so(tmp_path):
    done, (row,) = run(tmp_path, "--only", "IWAE", "--data", str(tmp_path))
    assert done.returncode == 1
    assert (row["found"], row["verdict"]) == ("raised", "**failed**")
    assert "ValueError" in row["remark"]
    assert "binarized_mnist_train.amat" in row["remark"]
    assert "1 failed" in done.stdout


def test_a_check_that_fails_is_a_row_and_the_next_one_is_tried(module, tmp_path, capsys):
    rows = module("gpu_rows").Rows(tmp_path / "rows.json", "cuda")
    rows.part = "part"
    with rows.trying("sinks"):
        raise RuntimeError("two\nlines | of <it>")
    rows.check("swims", True)
    rows.measure("fast", 60, "µs", most=70)
    rows.measure("slow", 71.2, "µs", most=70)
    rows.measure("wide", 12345, "×", least=20)
    rows.measure("plain", 0.5)
    rows.check("long", False, remark="x" * 1000)
    verdicts = [row["verdict"] for row in rows.rows]
    assert verdicts == ["**failed**", "fine", "reached", "**missed**", "reached", "", "**failed**"]
    assert rows.rows[0]["remark"] == "RuntimeError: two lines / of <it>"
    assert len(rows.rows[-1]["remark"]) == 160
    assert [row["found"] for row in rows.rows[2:6]] == ["60 µs", "71.2 µs", "12,345 ×", "0.5"]
    assert json.loads((tmp_path / "rows.json").read_text(encoding="utf-8")) == rows.rows
    assert "RuntimeError" in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt), rows.trying("is stopped"):
        raise KeyboardInterrupt  # by whoever runs it

    text = module("gpu").page(rows.rows, "Abacus 3000", 9.87)
    assert text.startswith("# On a GPU\n")
    assert "one Abacus 3000;" in text
    assert "in 9.9 minutes. 2 of 3 checks failed;\n1 of 3 goals are missed" in text
    assert read(text) == rows.rows


def test_static_bits_are_read_from_either_kind_of_file(module, tmp_path):
    bits = (np.random.default_rng(0).random((3, 784)) < 0.2).astype(np.uint8)
    for i, part in enumerate(("train", "valid", "test")):
        with pytest.raises(ValueError, match=f"binarized_mnist_{part}.amat"):
            module("gpu_iwae").static_bits(tmp_path)
        if part == "valid":
            packed = tmp_path / f"mnist_static_binarised_{part}.npz"
            np.savez(packed, bits=np.packbits(np.roll(bits, i, 0), axis=1))
        else:
            text = tmp_path / f"binarized_mnist_{part}.amat"
            np.savetxt(text, np.roll(bits, i, 0), fmt="%d")
    *found, grey = module("gpu_iwae").static_bits(tmp_path)
    assert not grey
    for i, x in enumerate(found):
        np.testing.assert_array_equal(x, 255 * np.roll(bits, i, 0))


# ------------------------------------------------------------------ what stands in the repository


def test_the_page_is_what_a_gpu_measured_or_says_that_none_has():
    text = PAGE.read_text(encoding="utf-8")
    if "No GPU has run" in text:
        assert "`make gpu`" in text
        assert len(text.splitlines()) == 3
    else:
        assert read(text)


def test_tests_see_a_gpu_only_where_they_are_marked():
    if os.environ.get("LFM_GPU") != "1":
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        skips = re.findall(r"skipif\(not torch\.cuda", path.read_text(encoding="utf-8"))
        assert not skips or path.name == Path(__file__).name, f"{path.name}: use the marker gpu"
