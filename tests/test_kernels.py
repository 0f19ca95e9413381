"""What `make test-kernels` says is so: sets differ, verdicts can be bad, slack is measured."""

import ast
from pathlib import Path

import nbformat
import numpy as np
import pytest

from tools import kernels

REPORT = """<testsuites><testsuite>
<testcase classname="notebooks.01_lower_bound.ipynb" name="Cell 0"/>
<testcase classname="notebooks.01_lower_bound.ipynb" name="Cell 1"><failure message="x"/></testcase>
<testcase classname="notebooks.01_lower_bound.ipynb" name="Cell 2"><failure message="x"/></testcase>
<testcase classname="notebooks.solutions.01_lower_bound.ipynb" name="Cell 0"/>
</testsuite></testsuites>"""


def test_a_report_says_of_each_notebook_what_failed_first(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    chapters = [kernels.ROOT / "notebooks" / f"{n}.ipynb" for n in ("01_lower_bound", "02_x")]
    found = kernels.verdicts(
        tmp_path / "report.xml", [*chapters, chapters[0].parent / "solutions" / chapters[0].name]
    )
    assert found == {"01": "Cell 1 failed", "02": "missing", "01s": "ok"}


def test_rounding_by_hand_changes_the_bits_and_nothing_else_does():
    first, again, other = map(kernels.fingerprint, ("as-it-is", "as-it-is", "rounding-1"))
    assert first == again is not None
    assert other not in (None, first)


def test_a_set_that_the_processor_lacks_is_none(monkeypatch):
    monkeypatch.setitem(kernels.SETS, "none", {"PYTHONHOME": "/nowhere"})
    assert kernels.fingerprint("none") is None


@pytest.mark.parametrize(
    ("claim", "slack"),
    [
        ("a > 1", 2.0),
        ("1 < a <= 3.5", 0.5),
        ("(b > 0).all()", 0.1),
        ("a > 1 and (b < 1).all()", 0.5),
        ("all(x < 1 for x in b)", 0.5),
        ("all((row > 0).all() for row in [b, -b])", -0.5),
        ("a == 3", None),
        ("bool(a)", None),
    ],
)
def test_the_slack_of_a_claim_is_how_far_it_is_from_failing(claim, slack):
    names = {"a": 3.0, "b": np.array([0.1, 0.5])}
    found = kernels.slack(ast.parse(claim, mode="eval").body, names)
    assert found == slack if slack is None else np.isclose(found, slack)


def test_a_notebook_is_measured_to_its_end_also_where_a_claim_fails(tmp_path):
    cells = ["a = 1", "for b in (2, 0):\n    assert b > a", "assert a == 1\nassert a == 2"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    path = Path(tmp_path / "x.ipynb")
    nbformat.write(notebook, path)
    found = kernels.measure(path)
    assert found == {"b > a": [1.0, -1.0], "a == 1": [0.0], "a == 2": [-np.inf]}


def test_the_chapters_that_train_are_found():
    training = [p.stem[:2] for p in kernels.course.chapters() if kernels.trains(p)]
    assert training == ["07", "08", "09", "10"]
