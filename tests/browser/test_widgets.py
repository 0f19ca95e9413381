"""Every slider moves its picture, in JupyterLab, without a network.

The notebooks are run up to their slider, with one epoch of training and without assertions: what
they assert is tested elsewhere.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from conftest import Window

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
SETTINGS = '{"windowingMode": "none"}'  # else cells that are out of sight are not drawn


class Quick(ast.NodeTransformer):
    """The same code with one epoch and without assertions."""

    def visit_Assert(self, node):
        return ast.Pass()

    def visit_keyword(self, node):
        if node.arg == "epochs":
            node.value = ast.Constant(1)
        return self.generic_visit(node)


def up_to_its_slider(path: Path):
    """Return the quick notebook that ends with the cell tagged `widget`, or None."""
    notebook = nbformat.read(path, as_version=4)
    tags = [c.metadata.get("tags", []) for c in notebook.cells]
    end = next((i for i, t in enumerate(tags) if "widget" in t), None)
    if end is None:
        return None
    notebook.cells = [c for c in notebook.cells[: end + 1] if c.cell_type == "code"]
    for cell in notebook.cells:
        cell.outputs = []
        cell.source = ast.unparse(Quick().visit(ast.parse(cell.source)))
    return notebook


WITH_SLIDERS = [p for p in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")) if up_to_its_slider(p)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that shows the quick notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    for path in WITH_SLIDERS:
        nbformat.write(up_to_its_slider(path), folder / path.name)
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(SETTINGS, encoding="utf-8")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
            *(
                "--ServerApp.port=0",
                "--LabApp.expose_app_in_browser=True",
                f"--notebook-dir={folder}",
            ),
        ],
        env=os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")},
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in server.stderr:
        if found := re.search(r"(http://127\.0\.0\.1:\d+)/lab\?token=(\w+)", line):
            break
    yield found.groups()
    server.terminate()
    server.communicate(timeout=30)


@pytest.mark.parametrize("path", WITH_SLIDERS, ids=lambda p: p.stem[:2])
def test_a_slider_moves_its_picture(browser, lab, path):
    address, token = lab
    window = Window(browser, allowed=(address, "data:", "blob:", "about:"))
    page = window.page
    page.goto(f"{address}/lab/workspaces/{path.stem}/tree/{path.name}?token={token}")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    picture = page.locator(".widget-output img").first
    picture.wait_for(timeout=120_000)
    labels = page.locator(".widget-label").evaluate_all(
        "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"
    )
    assert labels == []  # each is whole
    sliders = page.locator(".noUi-handle")
    assert sliders.count() >= 1
    for i in range(sliders.count()):
        before = picture.get_attribute("src")
        sliders.nth(i).focus()
        for _ in range(4):
            page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "before => document.querySelector('.widget-output img')?.src != before",
            arg=before,
            timeout=20_000,
        )
    words = page.locator(".widget-output .in-words").first
    assert len(words.text_content().split()) > 8
    window.context.close()
    assert window.trouble == []
