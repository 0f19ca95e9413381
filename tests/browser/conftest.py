"""A headless Chromium that may open files and nothing else: `make test-browser`."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

BUILD = Path(__file__).parent.parent.parent / "build"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; nothing is downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is missing: make test-browser installs it, or says how"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Window:
    """A page that keeps account of what goes wrong in it.

    `trouble` lists requests to anything that does not begin with one of `allowed` (they are
    refused), messages of the console that are errors, and exceptions.
    """

    def __init__(self, browser, allowed=("file:", "data:", "blob:", "about:")):
        self.trouble: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 720})
        others = re.compile("^(?!" + "|".join(map(re.escape, allowed)) + ")")
        self.context.route(others, self._refuse)
        self.page = self.context.new_page()
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.trouble.append(f"exception: {error}"))

    def _refuse(self, route):
        self.trouble.append(f"request: {route.request.url}")
        route.abort()

    def _listen(self, message):
        if message.type == "error":
            self.trouble.append(f"console: {message.text}")

    def open(self, path: str, ready: str = "true"):
        """Open a file below build/, wait until the expression `ready` is true, return the page."""
        name, *rest = re.split(r"(?=[?#])", path, maxsplit=1)
        self.page.goto((BUILD / name).as_uri() + "".join(rest))
        self.page.wait_for_function(ready, timeout=60_000)
        return self.page


@pytest.fixture
def window(browser):
    """A fresh window; the test fails if there was trouble in it."""
    window = Window(browser)
    yield window
    window.context.close()
    assert window.trouble == []


@pytest.fixture
def page(window):
    """The page of a fresh window."""
    return window.page
