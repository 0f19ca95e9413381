"""What `make test-kernels` says is so: sets differ, verdicts can be bad, spread is shown."""

import nbformat
import numpy as np

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


def test_a_claim_is_narrow_where_its_slack_is_less_than_three_times_its_spread(tmp_path):
    path = tmp_path / "x.ipynb"
    cells = [nbformat.v4.new_code_cell("assert a > 1 and b > 1\nassert b > 1\nassert c == 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    runs = [{"a > 1 and b > 1": s, "b > 1": 1.0, "c == 1": np.inf} for s in (0.1, 0.2, 0.3)]
    assert kernels.spread(runs, path) == [
        "       0.2        0.1        0.1  a > 1 and b > 1  <- narrow"
    ]


def test_the_chapters_that_train_are_found():
    training = [p.stem[:2] for p in kernels.course.chapters() if kernels.trains(p)]
    assert training == ["07", "08", "09", "10"]
