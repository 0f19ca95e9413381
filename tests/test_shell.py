"""`python -m lfm.checks exam`: writes the paper, its key and its figures, all or none."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lfm import checks
from lfm.engine import files

ROOT = Path(__file__).parent.parent


def test_the_command_writes_all_files_and_says_where(tmp_path):
    command = [sys.executable, "-m", "lfm.checks", "exam", "--seed", "7"]
    command += ["--chapters", "01,06", "--questions", "4"]
    done = subprocess.run(
        command,
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    paper, key, figures = checks.exam(7, ["01", "06"], 4)
    assert len(figures) >= 1
    names = ["exam-7-key.md", "exam-7.md", *figures]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    for path in tmp_path.iterdir():
        assert f"wrote {path}" in done.stdout
    assert (tmp_path / "exam-7.md").read_bytes() == paper.encode()
    assert (tmp_path / "exam-7-key.md").read_bytes() == key.encode()
    for name, png in figures.items():
        assert (tmp_path / name).read_bytes() == png


def test_chapters_questions_and_a_new_folder(tmp_path, capsys):
    out = tmp_path / "a" / "b"
    checks.main(
        ["exam", "--seed", "3", "--chapters", "1, 04", "--questions", "4", "--out", str(out)]
    )
    paper, key, figures = checks.exam(3, ["01", "04"], 4)
    assert (out / "exam-3.md").read_text(encoding="utf-8") == paper
    assert (out / "exam-3-key.md").read_text(encoding="utf-8") == key
    assert capsys.readouterr().out.count("wrote") == 2 + len(figures)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["exam"], "required: --seed"),
        (["exam", "--seed", "seven"], "invalid int value: 'seven'"),
        (["exam", "--seed", "-1"], "seed is -1; wanted at least 0"),
        (["exam", "--seed", "1", "--chapters", "00"], "chapters has '00'; wanted some of 01"),
        (["exam", "--seed", "1", "--chapters", ""], "chapters has '00'; wanted some of 01"),
        (["exam", "--seed", "1", "--chapters", "1,1"], "none twice"),
        (["exam", "--seed", "1", "--questions", "99"], "questions is 99; wanted between 1 and 52"),
        (["exam", "--seed", "1", "--questions", "0"], "questions is 0"),
        (["paper", "--seed", "1"], "invalid choice: 'paper'"),
    ],
)
def test_wrong_arguments_exit_with_2_and_write_nothing(
    arguments, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        checks.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_there_are_replaced_only_by_force(tmp_path, capsys):
    (tmp_path / "exam-7-key.md").write_text("mine")
    call = ["exam", "--seed", "7", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stopped:
        checks.main(call)
    assert stopped.value.code == 2
    assert "exam-7-key.md exists already; --force replaces" in capsys.readouterr().err
    assert (tmp_path / "exam-7-key.md").read_text() == "mine"
    assert not (tmp_path / "exam-7.md").exists()
    checks.main([*call, "--force"])
    assert (tmp_path / "exam-7-key.md").read_text(encoding="utf-8") == checks.exam(7)[1]


def test_a_folder_in_the_place_of_a_file_is_not_forced(tmp_path):
    (tmp_path / "exam-7-key.md").mkdir()
    with pytest.raises(SystemExit) as stopped:
        checks.main(["exam", "--seed", "7", "--out", str(tmp_path), "--force"])
    assert stopped.value.code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["exam-7-key.md"]


def test_a_full_disk_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "exam-7.md").write_text("mine")
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:  # the key, after the paper was written whole
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(SystemExit, match=r"nothing was written: .*No space left on device"):
        checks.main(["exam", "--seed", "7", "--out", str(tmp_path), "--force"])
    assert len(calls) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["exam-7.md"]
    assert (tmp_path / "exam-7.md").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, monkeypatch):
    def refused(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(files, "open", refused, raising=False)
    with pytest.raises(
        SystemExit, match=r"python -m lfm.checks exam: nothing was written: .*denied"
    ):
        checks.main(["exam", "--seed", "7", "--out", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SystemExit, match="nothing was written"):
        checks.main(["exam", "--seed", "7", "--out", str(tmp_path / "file")])
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("out", ["~nosuch/x", "x" * 300])
def test_a_place_that_cannot_be_is_one_line(out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        checks.main(["exam", "--seed", "1", "--out", out])
    assert end.value.code != 0


def test_home_is_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    checks.main(["exam", "--seed", "1", "--chapters", "01", "--out", "~/exam"])
    assert [p.name for p in tmp_path.iterdir()] == ["exam"]


def test_ctrl_c_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "exam", interrupted)
    with pytest.raises(SystemExit) as end:
        checks.main(["exam", "--seed", "1", "--out", str(tmp_path)])
    assert end.value.code == 130
    assert "stopped; nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
