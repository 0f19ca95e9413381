"""Whole chapters in JupyterLab as a student has them: bars on, Run All, and a look at the end.

The server has the settings that `make course` gives it.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import Window

ROOT = Path(__file__).parent.parent.parent
CHAPTERS = {p.stem[:2]: p for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}

# All outputs as the notebook would be saved with them, and what the page shows of its kernel.
LOOK = """() => {
    const panel = window.jupyterapp.shell.currentWidget, found = [];
    for (const cell of panel.content.model.cells)
        if (cell.type === 'code')
            for (let i = 0; i < cell.outputs.length; i++) found.push(cell.outputs.get(i).toJSON());
    return {
        outputs: found,
        stars: [...document.querySelectorAll('.jp-InputPrompt')]
            .filter(e => e.textContent.includes('*')).length,
        page: document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status,
        bars: document.querySelectorAll('.widget-hprogress, progress').length,
    };
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address and token of a JupyterLab on a copy of the notebooks; bars are not turned off."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    hidden = ("LFM_PROGRESS", "IPYTHONDIR", "JUPYTER")
    env = {k: v for k, v in os.environ.items() if not k.startswith(hidden)} | {"HOME": str(folder)}
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"),
        *("--ServerApp.port=0", "--LabApp.expose_app_in_browser=True"),
        f"--notebook-dir={folder / 'notebooks'}",
    ]
    log = folder / "log"  # a pipe would be full one day, and the server wait for a reader
    with log.open("w") as said:
        server = subprocess.Popen(command, env=env, stderr=said)
    found, end = None, time.monotonic() + 60
    while found is None and time.monotonic() < end:
        time.sleep(0.2)
        found = re.search(r"(http://127\.0\.0\.1:\d+)/lab\?token=(\w+)", log.read_text())
    yield found.groups()
    server.terminate()
    server.wait(timeout=30)


@pytest.fixture
def opened(browser, lab):
    """Return a function that opens a chapter in a window of its own."""
    address, token = lab
    windows = []

    def open_chapter(path: Path):
        window = Window(browser, allowed=(address, "data:", "blob:", "about:"))
        windows.append(window)
        page = window.page
        page.goto(f"{address}/lab/workspaces/{path.stem}/tree/{path.name}?token={token}")
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")
        return page

    yield open_chapter
    for window in windows:
        window.context.close()
        assert window.trouble == []


@pytest.mark.parametrize("chapter", ["03", "05", "06", "09"])
def test_a_chapter_runs_to_its_end_and_leaves_no_bar(opened, chapter):
    page = opened(CHAPTERS[chapter])
    start = time.monotonic()
    page.evaluate(
        "window.jupyterapp.commands.execute('notebook:run-all-cells')"
        ".then(() => { window.allRun = true; }) && null"
    )
    page.wait_for_function("window.allRun === true", timeout=900_000)
    seconds = time.monotonic() - start
    # The kernel is idle now, and the page says so.
    page.wait_for_function(
        "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'",
        timeout=15_000,
    )
    print(f"chapter {chapter}: {seconds:.0f} s")
    seen = page.evaluate(LOOK)
    assert seen["stars"] == 0
    assert seen["bars"] == 0
    assert len(seen["outputs"]) > 10
    for output in seen["outputs"]:
        assert output["output_type"] != "error", output
        assert output.get("name") != "stderr", output
        assert not re.search(r"\d%\|", str(output.get("data", {}).get("text/html", ""))), output


def test_the_file_browser_tells_the_chapters_apart(opened):
    page = opened(CHAPTERS["00"])
    page.wait_for_selector(".jp-DirListing-itemText")
    shown = page.locator(".jp-DirListing-itemText").evaluate_all(
        "all => all.map(e => [e.textContent, e.clientWidth / e.scrollWidth])"
    )
    for path in CHAPTERS.values():
        assert dict(shown)[path.name] > 0.8, shown
