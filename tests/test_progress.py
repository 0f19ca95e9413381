"""A bar for who watches what takes long, and silence for everybody else."""

import io
import re
import sys
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from lfm import data, em, evaluation, training
from lfm.engine import constants, progress
from lfm.gaussian_mixture import GaussianMixture
from lfm.vae import VAE


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    """What is seen by somebody at a terminal, who need not wait for two seconds."""
    screen = Terminal()
    monkeypatch.delenv("LFM_PROGRESS")
    # Not in `sys` itself: pytest puts a stderr of its own there before each test.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=screen, modules=sys.modules))
    monkeypatch.setattr(constants, "BAR_DELAY", 0.0)
    return screen


def test_all_items_come_in_order_and_the_bar_is_seen(screen):
    assert list(progress.watched([3, 1, 2], "counting")) == [3, 1, 2]
    assert "counting" in screen.getvalue()


def test_what_is_quick_shows_nothing(screen, monkeypatch):
    monkeypatch.setattr(constants, "BAR_DELAY", 2.0)
    assert list(progress.watched(range(3), "counting")) == [0, 1, 2]
    assert screen.getvalue() == ""


def test_nobody_watches_a_file_and_the_environment_keeps_quiet(screen, monkeypatch):
    monkeypatch.setenv("LFM_PROGRESS", "0")
    list(progress.watched(range(3), "counting"))
    monkeypatch.delenv("LFM_PROGRESS")
    monkeypatch.setattr(screen, "isatty", lambda: False)
    list(progress.watched(range(3), "counting"))
    assert screen.getvalue() == ""
    list(progress.watched(range(3), "counting", progress=True))  # who asks is shown it
    assert "counting" in screen.getvalue()


class Full(io.StringIO):
    """A terminal on a full disk."""

    def write(self, text):
        raise OSError(28, "No space left on device")


class Tee:
    """What users put in the place of stderr: it writes, and does no more."""

    def __init__(self, *files):
        self.files = files

    def write(self, text):
        for file in self.files:
            file.write(text)

    def flush(self):
        pass


def closed():
    file = io.StringIO()
    file.close()
    return file


@pytest.mark.parametrize(
    "stderr",
    [None, closed(), Tee(), object(), Full()],
    ids=["None", "closed", "tee", "nothing", "full"],
)
@pytest.mark.parametrize("wanted", [None, True, False])
def test_whatever_stands_for_stderr_nothing_fails(screen, monkeypatch, stderr, wanted):
    monkeypatch.setattr(progress.sys, "stderr", stderr)
    assert list(progress.watched(range(3), "counting", wanted)) == [0, 1, 2]
    x = data.old_faithful()
    model = GaussianMixture.init(x, 2, rng=0)
    assert em.fit(model, x, progress=wanted).converged
    training.train(
        VAE.dense(4, 2, (8,), rng=0), x @ np.ones((2, 4)) / 400, epochs=1, rng=0, progress=wanted
    )
    assert len(data.faces(70, rng=0).images) == 70


def test_who_asks_sees_a_bar_also_in_a_file(screen, monkeypatch):
    seen = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", Tee(seen))
    list(progress.watched(range(3), "counting", progress=True))
    assert "counting: 100%" in seen.getvalue()


def test_a_fit_that_converges_ends_full(screen):
    x = data.old_faithful()
    fit = em.fit(GaussianMixture.init(x, 2, rng=0), x, max_iter=1000, progress=True)
    last = screen.getvalue().strip().split("\r")[-1]
    n = len(fit.bounds) - 1
    assert re.search(rf"100%\|.{{10}}\| {n}/{n} ", last)
    assert "nats per datum" in last


IN_A_NOTEBOOK = """
import os, sys
from lfm import data, em
from lfm.engine import constants
from lfm.gaussian_mixture import GaussianMixture
kept, constants.BAR_DELAY = sys.stderr, {delay}
x = data.old_faithful()
{stderr}
fit = em.fit(GaussianMixture.init(x, 2, rng=0), x, max_iter=1000, progress={progress})
sys.stderr = kept  # kernels cannot do without one
"""


@pytest.mark.parametrize("stderr", ["", "sys.stderr = None", "sys.stderr = open(os.devnull, 'w')"])
def test_a_notebook_is_left_without_bars_or_with_full_ones(monkeypatch, stderr):
    """In the kernel that is here: `make test-floor` has ipykernel 6, this environment 7."""
    monkeypatch.delenv("LFM_PROGRESS")
    for delay, wanted, left in (("0.0", None, ""), ("2.0", None, None), ("2.0", True, "100%|")):
        source = IN_A_NOTEBOOK.format(delay=delay, progress=wanted, stderr=stderr)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        NotebookClient(notebook, timeout=60).execute()
        outputs = notebook.cells[0].outputs
        shown = left is not None and "None" not in stderr
        assert [o.output_type for o in outputs] == ["display_data"] * shown
        for output in outputs:  # as it is after all updates
            assert set(output.data) == {"text/html", "text/plain"}
            assert left in output.data["text/html"]
            assert bool(output.data["text/html"]) == bool(left)


def test_training_and_what_else_takes_long_say_how_far_they_are(screen):
    vae = VAE.dense(4, 2, (8,), rng=0)
    x = np.random.default_rng(0).random((20, 4))
    training.train(vae, x, epochs=2, rng=0, batch_size=10, device="cpu")
    evaluation.log_likelihood(vae, x, 10, rng=0)
    evaluation.gaps(vae, x, rng=0, steps=2, n_samples=10)
    seen = screen.getvalue()
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


def test_a_screen_that_is_gone_fails_nothing(monkeypatch):
    class Gone:
        def write(self, text):
            raise RuntimeError("wrapped C/C++ object has been deleted")

        def flush(self): ...

    monkeypatch.setattr("sys.stderr", Gone())
    with progress.bar(3, True) as bar:
        bar.update()
