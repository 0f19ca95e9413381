"""A bar for who watches what takes long, and silence for everybody else."""

import numpy as np
import pytest

from lfm import evaluation, progress, training
from lfm.vae import VAE


@pytest.fixture
def watcher(monkeypatch):
    """Somebody at a terminal, who need not wait for two seconds."""
    monkeypatch.delenv("LFM_PROGRESS")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "DELAY", 0.0)


def test_all_items_come_in_order_and_the_bar_is_seen(watcher, capsys):
    assert list(progress.watched([3, 1, 2], "counting")) == [3, 1, 2]
    assert "counting" in capsys.readouterr().err


def test_what_is_quick_shows_nothing(watcher, capsys, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 2.0)
    assert list(progress.watched(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_nobody_watches_a_file_and_the_environment_keeps_quiet(watcher, capsys, monkeypatch):
    monkeypatch.setenv("LFM_PROGRESS", "0")
    list(progress.watched(range(3), "counting"))
    monkeypatch.delenv("LFM_PROGRESS")
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    monkeypatch.delitem(progress.sys.modules, "ipykernel", raising=False)
    list(progress.watched(range(3), "counting"))
    assert capsys.readouterr().err == ""
    list(progress.watched(range(3), "counting", progress=True))  # who asks is shown it
    assert "counting" in capsys.readouterr().err


def test_training_and_what_else_takes_long_say_how_far_they_are(watcher, capsys):
    vae = VAE.dense(4, 2, (8,), rng=0)
    x = np.random.default_rng(0).random((20, 4))
    training.train(vae, x, epochs=2, rng=0, batch_size=10, device="cpu")
    evaluation.log_likelihood(vae, x, 10, rng=0)
    evaluation.gaps(vae, x, rng=0, steps=2, n_samples=10)
    seen = capsys.readouterr().err
    for what in ("training on cpu", "weighing samples", "refining q"):
        assert what in seen


def test_anything_but_yes_no_or_none_is_refused():
    with pytest.raises(TypeError, match="progress is 'loud'; wanted True, False or None"):
        progress.bar(3, "loud")


def test_the_device_and_the_time_are_announced(capsys):
    training.announce(1)
    said = capsys.readouterr().out
    assert "the CPU here" in said or "NVIDIA" in said
    assert "about 1 minute;" in said
    with pytest.raises(ValueError, match="minutes is -1"):
        training.announce(-1)
