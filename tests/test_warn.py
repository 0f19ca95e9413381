"""A warning names the line of whoever called, and not one of the package."""

import inspect
import warnings
from pathlib import Path

import numpy as np
import pytest

import lfm
from lfm import em
from lfm.engine import warn as warn_module
from lfm.engine.warn import warn
from lfm.factor_analysis import FactorAnalysis, HeywoodCase

# No factor alone explains these correlations: r12 r13 / r23 is above 1, and the noise of the first
# column goes to 0.
CORRELATIONS = np.array([[1.0, 0.8, 0.8], [0.8, 1.0, 0.3], [0.8, 0.3, 1.0]])
WHITE = np.linalg.qr(np.column_stack([np.ones(60), np.random.default_rng(0).normal(size=(60, 3))]))
X = np.sqrt(60) * WHITE[0][:, 1:] @ np.linalg.cholesky(CORRELATIONS).T
START = FactorAnalysis([[1.0], [0.8], [0.8]], np.zeros(3), [1e-3, 0.36, 0.36])


def learned():
    START.learn(START.expect(X, START.infer(X)))


def fitted():
    em.fit(START, X, max_iter=1)


def stepped():
    next(step for step in em.steps(START, X) if step.half == "learning")


CALLS = (learned, fitted, stepped)


@pytest.mark.parametrize("call", CALLS)
def test_these_calls_meet_a_heywood_case(call):
    with pytest.warns(HeywoodCase, match=r"columns \[0\] entirely"):
        call()


@pytest.mark.parametrize("call", CALLS)
def test_a_warning_names_the_file_of_the_caller(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {w.filename for w in caught if w.category is HeywoodCase} == {__file__}


def warned_in(filename, *names):
    """Return where `warn` says that it was called, from a chain of functions in such a file."""
    space = {"warn": warn}
    exec(compile(f"def call():\n    warn('said', {', '.join(names)})\n", filename, "exec"), space)
    return space["call"]


def test_the_innermost_line_outside_of_the_package_is_named(tmp_path):
    inside = warned_in(str(Path(warn_module.HERE) / "engine" / "mine.py"), "UserWarning")
    outside = warned_in(str(tmp_path / "theirs.py"), "UserWarning")
    line = inspect.currentframe().f_lineno + 3
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside()
        outside()
    assert [(w.filename, w.lineno) for w in caught] == [
        (__file__, line),
        (str(tmp_path / "theirs.py"), 2),
    ]
    assert {(str(w.message), w.category) for w in caught} == {("said", UserWarning)}


def test_the_package_is_the_folder_that_holds_all_of_it():
    assert Path(lfm.__file__).parent == Path(warn_module.HERE)
