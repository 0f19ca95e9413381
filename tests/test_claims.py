"""Claims of a notebook are checked as Python would, and how far each is from failing is noted."""

import ast
import json
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch

from tools import claims
from tools.kernels import ROOT, environment


@pytest.mark.parametrize(
    ("claim", "slack"),
    [
        ("a > 1", 2.0),
        ("1 < a <= 3.5", 0.5),
        ("a <= 3", 0.0),
        ("a < 3", -np.inf),
        ("(b > 0).all()", 0.1),
        ("a > 1 and (b < 1).all()", 0.5),
        ("all(x < 1 for x in b)", 0.5),
        ("all((row > 0).all() for row in [b, -b])", -0.5),
        ("all(x < y for x, y in zip(b, b + a))", 3.0),
        ("a == 3", np.inf),
        ("a == 3 > 5", -2.0),
        ("(b == b).all() and 2 in [a, 4]", -np.inf),
        ("{1} <= {1, 2} < {1, 2, 3}", np.inf),
        ("{4} <= {1, 2}", -np.inf),
        ("tensor > 1", 1.0),
        ("(tensor > 1).all()", 1.0),
        ("a > float('nan')", -np.inf),
        ("bool(a)", np.inf),
        ("not a", -np.inf),
        ("a > 5 and b[7]", -2.0),
        ("a > 5 or b[0] > 0", np.inf),
        ("all(x > 9 for x in b if x > 9)", np.inf),
    ],
)
def test_the_slack_of_a_claim_is_how_far_it_is_from_failing(claim, slack):
    names = {"a": 3.0, "b": np.array([0.1, 0.5]), "tensor": torch.tensor(2.0, requires_grad=True)}
    assert claims.slack(ast.parse(claim, mode="eval").body, names) == pytest.approx(slack)


def test_a_kernel_notes_its_claims_and_stops_where_one_fails(tmp_path):
    cells = ["a = 1", "def f(b):\n    assert b > a\nf(2)", "f(4)\nassert a == 1", "f(0)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    (tmp_path / "claims").mkdir()
    nbformat.write(notebook, tmp_path / "x.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-q", "-p",
         "no:cacheprovider", f"--rootdir={ROOT}", "-c", str(ROOT / "pyproject.toml"),
         str(tmp_path / "x.ipynb")],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=environment("as-it-is") | {"LFM_CLAIMS": str(tmp_path / "claims"),
                                       "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "1 failed, 3 passed" in done.stdout
    assert claims.of(tmp_path / "x.ipynb") == ["b > a", "a == 1"]
    assert claims.noted(tmp_path / "claims") == {"b > a": -1.0, "a == 1": np.inf}
    (notes,) = (tmp_path / "claims").iterdir()
    assert json.loads(notes.read_text().splitlines()[0]) == ["b > a", 1]
