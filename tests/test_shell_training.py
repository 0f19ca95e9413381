"""`python -m lfm.training`: what it trains, how it ends, and that a kill loses nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from deep import same
from systems import limit_files, needs_signals

from lfm import data, training
from lfm.scale import shell_training
from lfm.training import load
from lfm.vae import VAE

ROOT = Path(__file__).parent.parent


def shell(folder, *arguments, limit=None, epochs=40):
    """Start a training run from the shell; `limit` is the largest file it may write, bytes."""
    command = [
        sys.executable, "-m", "lfm.training", "--data", "digits", "--latent", "4", "--hidden", "32",
        "--epochs", str(epochs), "--device", "cpu", "--checkpoint", str(folder), *arguments,
    ]  # fmt: skip
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=limit_files(limit),
    )  # fmt: skip


def test_from_the_shell_and_after_kills_the_weights_are_the_same_to_the_bit(tmp_path):
    """Killed again and again, at any moment, and started again: as if nothing had happened."""
    needs_signals()
    whole = shell(tmp_path / "whole")
    out, err = whole.communicate(timeout=120)
    assert whole.returncode == 0, err
    assert out.startswith("40 epochs, bound -")
    names = {p.name for p in (tmp_path / "whole").iterdir()}
    assert names == {"checkpoint.lfm", "vae.lfm", "samples.png"}
    expected = load(tmp_path / "whole" / "vae.lfm")

    rng, folder, kills = np.random.default_rng(0), tmp_path / "killed", 0
    checkpoint = folder / "checkpoint.lfm"
    for _ in range(40):
        run = shell(folder)
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:  # until it has saved anew
            now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
            if now != seen:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
        kills += 1
        if kills == 5:
            break
    last = shell(folder)
    _, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    assert kills >= 3
    assert same(load(folder / "vae.lfm"), expected)
    assert same(load(checkpoint), expected)
    assert {p.name for p in folder.iterdir()} == names


def test_a_full_disk_keeps_the_previous_checkpoint_and_leaves_nothing_behind(tmp_path):
    first = shell(tmp_path, epochs=2)
    first.communicate(timeout=120)
    before = (tmp_path / "checkpoint.lfm").read_bytes()
    full = shell(tmp_path, epochs=6, limit=len(before) // 2)
    _, err = full.communicate(timeout=120)
    assert full.returncode == 1
    assert "File too large" in err
    assert "Traceback" not in err
    assert (tmp_path / "checkpoint.lfm").read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoint.lfm", "vae.lfm", "samples.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latent", "0"], "n_factors is 0"),
        (["--batch-size", "99999"], "batch_size is 99999"),
        (["--full", "--data", "digits"], "digits is whole already"),
    ],
)
def test_a_mistake_in_the_shell_is_one_line(tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        training.main(["--data", "digits", "--checkpoint", str(tmp_path / "run"), *arguments])


@pytest.mark.parametrize("none", [["--epochs", "0"], ["--steps", "0"]])
def test_a_run_of_no_epochs_says_so(none, tmp_path, capsys):
    training.main(["--data", "digits", "--latent", "2", "--checkpoint", str(tmp_path / "r"), *none])
    assert capsys.readouterr().out == "0 epochs\n"
    assert isinstance(training.load(tmp_path / "r" / "vae.lfm"), VAE)


def test_a_place_that_cannot_be_written_is_named_before_anything_is_trained(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(SystemExit, match=r"file is a file; wanted a folder, for"):
        training.main(["--data", "digits", "--checkpoint", "file"])
    with pytest.raises(SystemExit, match="file"):
        training.main(["--data", "digits", "--checkpoint", str(tmp_path / "file" / "run")])
    (tmp_path / "run" / "samples.png").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"samples\.png is a folder"):
        training.main(["--data", "digits", "--checkpoint", "run"])


def test_home_is_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    training.main(["--data", "digits", "--latent", "2", "--epochs", "0", "--checkpoint", "~/run"])
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def ending(error, monkeypatch):
    def ends(*_, **__):
        raise error

    monkeypatch.setattr(training, "train", ends)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("wrong"), "^python -m lfm.training: wrong$"),
        (OSError(28, "No space left"), "No space left$"),
        (training.TrainingDiverged("at step 3"), "^python -m lfm.training: at step 3$"),
        (RuntimeError("cannot allocate memory"), "the networks need more memory than"),
        (KeyboardInterrupt(), "^130$"),
    ],
)
def test_however_it_ends_it_is_one_line(error, message, tmp_path, monkeypatch, capsys):
    ending(error, monkeypatch)
    with pytest.raises(SystemExit, match=message):
        training.main(["--data", "digits", "--checkpoint", str(tmp_path / "run")])
    seen = capsys.readouterr()
    stopped = "stopped; the same command goes on from the last whole epoch" in seen.out + seen.err
    assert stopped == isinstance(error, KeyboardInterrupt)
    assert list((tmp_path / "run").iterdir()) == []


def test_ctrl_c_in_a_step_is_one_line(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Run, "one_step", interrupted)
    with pytest.raises(SystemExit, match=r"^130$"):
        training.main(["--data", "digits", "--checkpoint", str(tmp_path / "run")])
    assert "stopped; the same command goes on" in capsys.readouterr().out


def test_an_error_of_the_code_is_not_hidden(tmp_path, monkeypatch):
    ending(RuntimeError("a slip"), monkeypatch)
    with pytest.raises(RuntimeError, match="a slip"):
        training.main(["--data", "digits", "--checkpoint", str(tmp_path / "run")])


def test_what_is_said_is_what_is_trained(tmp_path, monkeypatch):
    """The images as bytes from 0 to 255, networks of these sizes, and the options of the run."""
    seen = []
    monkeypatch.setattr(
        training, "train", lambda vae, x, **o: [seen.append((vae, x, o)), training.Trace()][1]
    )
    said = "--data digits --hidden 9 7 --latent 3 --epochs 8 --steps 99 --batch-size 64 --lr 0.01"
    more = [*said.split(), "--seed", "5", "--device", "cpu"]
    for name, arguments in {"digits": more, "mnist": []}.items():
        shell_training.main(["--checkpoint", str(tmp_path / name), *arguments])
    (vae, x, small), (large, y, options) = seen
    images = data.digits()
    assert (x.dtype, x.shape, x.min(), x.max()) == (np.uint8, (1797, 64), 0, 255)
    np.testing.assert_allclose(x / 255, images.images.reshape(1797, -1) / images.white, atol=0.002)
    assert same(vae, VAE.dense(64, 3, [9, 7], rng=5))
    assert same(large, VAE.dense(784, 20, [400], rng=0))
    np.testing.assert_array_equal(y, data.mnist().images.reshape(-1, 784))
    change = {
        "epochs": 8, "batch_size": 64, "lr": 0.01, "rng": 5, "device": "cpu", "steps": 99,
        "checkpoint": tmp_path / "digits" / "checkpoint.lfm",
    }  # fmt: skip
    assert small == options | change
    assert options == {
        "epochs": 50, "batch_size": 128, "lr": 1e-3, "rng": 0, "device": "auto", "steps": None,
        "checkpoint": tmp_path / "mnist" / "checkpoint.lfm", "progress": True, "binarise": True,
    }  # fmt: skip


def test_full_asks_for_all_images(tmp_path, monkeypatch):
    asked = []

    def all_of_them(**options):
        asked.append(options)
        raise OSError("no network")

    monkeypatch.setitem(shell_training.SETS, "fashion", all_of_them)
    for arguments in (["--full"], []):
        with pytest.raises(SystemExit, match="no network"):
            shell_training.main(["--data", "fashion", "--checkpoint", str(tmp_path), *arguments])
    assert asked == [{"full": True}, {}]


def test_the_picture_shows_what_is_drawn_from_the_prior(tmp_path):
    vae = VAE.dense(64, 2, (8,), rng=0)
    found = [shell_training._picture(vae, 8, seed) for seed in (0, 0, 1)]
    assert found[0].startswith(b"\x89PNG")
    assert found[0] == found[1] != found[2]
