"""A release says the same everywhere: version, licences, how to cite."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_stands_in_pyproject_and_the_others_agree():
    assert CITATION["version"] == PROJECT["version"]
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M)[1] == PROJECT["version"]
    sources = [p for p in (ROOT / "lfm").rglob("*.py") if "__version__ =" in p.read_text("utf-8")]
    assert sources == []


def test_the_citation_has_what_its_form_asks_for():
    assert CITATION["cff-version"] == "1.2.0"
    for key in ("message", "title", "authors", "license", "date-released"):
        assert CITATION[key], key
    assert CITATION["license"] == PROJECT["license"] == "MIT"


def test_both_licences_are_here_and_both_are_said():
    assert read("LICENSE").startswith("MIT License")
    text = read("LICENSE-TEXT")
    assert text.startswith("Creative Commons Attribution 4.0 International")
    assert text.rstrip().endswith("creativecommons.org.")
    readme = " ".join(read("README.md").split())
    assert (
        "All code, also that in the notebooks, is under the [MIT licence](LICENSE), and all text "
        "and figures are under [CC BY 4.0](LICENSE-TEXT)" in readme
    )
