"""`torchrun -m lfm.distributed`: what must be said, what is taken else, and how it ends."""

from pathlib import Path

import numpy as np
import pytest

from lfm import data, training
from lfm.scale import shell_distributed
from lfm.scale.processes import ProcessLost

DATA = ["--data", "x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: mixture|vae"),
        (["forest", *DATA], "invalid choice: 'forest'"),
        (["mixture", "--components", "2"], "the following arguments are required: --data"),
        (["mixture", *DATA], "the following arguments are required: --components"),
        (["vae"], "the following arguments are required: --data"),
        (["vae", *DATA, "--epochs", "1.5"], "argument --epochs: invalid int value: '1.5'"),
    ],
)
def test_what_must_be_said_is_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        shell_distributed.main(arguments)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("usage: torchrun --nproc-per-node WORLD -m lfm.distributed")


def options_of(arguments):
    options = vars(shell_distributed._parser().parse_args(arguments))
    return options.pop("run"), options


def test_what_is_not_said_is_taken_as_the_help_says():
    common = {"data": Path("x"), "checkpoint": None, "seed": 0, "timeout": 30.0}
    run, options = options_of(["mixture", *DATA, "--components", "2"])
    assert run is shell_distributed.fit_mixture
    assert options == common | {"components": 2, "prior": False, "max_iter": 1000, "tol": 1e-6}
    run, options = options_of(["vae", *DATA])
    assert run is shell_distributed.train_vae
    assert options == common | {
        "latent": 20, "hidden": [400], "epochs": 50, "batch_size": 128, "lr": 1e-3,
    }  # fmt: skip
    _, options = options_of(["vae", *DATA, "--hidden"])
    assert options["hidden"] == []
    _, options = options_of(["mixture", *DATA, "--components", "2", "--prior", "--seed", "3"])
    assert (options["prior"], options["seed"]) == (True, 3)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("wrong"), "rank 0: ValueError: wrong"),
        (ProcessLost("gone"), "rank 0: ProcessLost: gone"),
        (RuntimeError("cannot allocate memory"), "rank 0: the networks need more memory than"),
        (KeyboardInterrupt(), "130"),
    ],
)
def test_however_it_ends_it_is_one_line(error, code, monkeypatch, capsys):
    def fails(options, rank, world):
        assert (rank, world) == (0, 1)
        assert options.checkpoint == Path("c").resolve()
        raise error

    monkeypatch.setattr(shell_distributed, "fit_mixture", fails)
    with pytest.raises(SystemExit) as end:
        shell_distributed.main(["mixture", *DATA, "--components", "2", "--checkpoint", "c"])
    assert str(end.value.code).startswith(code)
    assert ("the same command goes on" in capsys.readouterr().err) == (code == "130")


def test_an_error_of_the_code_is_not_hidden(monkeypatch):
    def fails(*_):
        raise RuntimeError("a slip")

    monkeypatch.setattr(shell_distributed, "train_vae", fails)
    with pytest.raises(RuntimeError, match="a slip"):
        shell_distributed.main(["vae", *DATA])


def test_a_place_that_cannot_be_written_is_named_before_anything_is_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data.write_shards("x", np.random.default_rng(0).normal(size=(60, 2)))
    Path("file").write_text("")
    arguments = ["mixture", "--data", "x", "--components", "2", "--checkpoint"]
    with pytest.raises(SystemExit, match=r"rank 0: .*file"):
        shell_distributed.main([*arguments, "file/run"])
    with pytest.raises(SystemExit, match="rank 0: ValueError: checkpoint is '~nosuch/x'"):
        shell_distributed.main([*arguments, "~nosuch/x"])
    monkeypatch.setenv("HOME", str(tmp_path))
    shell_distributed.main(["mixture", "--data", "~/x", *arguments[3:], "~/m.lfm"])
    assert {p.name for p in tmp_path.iterdir()} == {"x", "file", "m.lfm"}


def test_ctrl_c_in_a_step_is_one_line(tmp_path, monkeypatch, capsys):
    data.write_shards(tmp_path / "x", np.zeros((200, 6), np.uint8))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Run, "one_step", interrupted)
    with pytest.raises(SystemExit, match=r"^130$"):
        shell_distributed.main(["vae", "--data", str(tmp_path / "x"), "--latent", "2"])
    assert "stopped; the same command goes on" in capsys.readouterr().err
