"""The three files that say what the course needs agree, and nothing else is imported."""

import ast
import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]
EXTRAS = PROJECT["optional-dependencies"]
ALLOWED_IN_LFM = {"numpy", "scipy", "matplotlib", "torch", "tqdm", "pooch", "lfm"}


def bounds(lines) -> dict[str, str]:
    """Return {name: lower bound} of requirement lines, in pip's spelling or conda's."""
    found = {}
    for line in lines:
        name, bound = re.fullmatch(r"\s*(?:- )?([A-Za-z0-9_-]+)\s*>=\s*([0-9.]+)\s*", line).groups()
        found[name.lower()] = bound
    return found


def conda() -> dict[str, str]:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    return bounds(re.findall(r"^ +- [A-Za-z0-9_-]+ *>=.*$", text, flags=re.M))


def test_environment_yml_agrees_with_pyproject():
    wanted = bounds([*PROJECT["dependencies"], *EXTRAS["course"], *EXTRAS["test"]])
    wanted["pytorch"] = wanted.pop("torch")
    wanted["python"] = PROJECT["requires-python"].removeprefix(">=")
    assert conda() == wanted


def test_conda_gets_the_pip_that_the_readme_calls():
    assert re.search(r"^  - pip\b", (ROOT / "environment.yml").read_text(encoding="utf-8"), re.M)


def test_the_floor_is_the_lower_bounds_of_pyproject():
    floor = runpy.run_path(str(ROOT / "tools" / "floor.py"))["floor"]
    wanted = bounds([*PROJECT["dependencies"], *EXTRAS["course"], *EXTRAS["test"]])
    assert dict(pin.split("==") for pin in floor([])) == wanted
    assert dict(pin.split("==") for pin in floor(["torch"]))["torch"] != wanted["torch"]
    with pytest.raises(ValueError, match="nix is no requirement"):
        floor(["nix"])


def test_constraints_pin_every_requirement_at_or_above_its_lower_bound():
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")  # fails on anything that is not an exact pin
            pins[name.lower().replace("_", "-")] = version
    assert "+" not in "".join(pins.values())  # a local version would tie it to one platform
    for group in (PROJECT["dependencies"], *EXTRAS.values()):
        for name, low in bounds(group).items():
            as_numbers = [[int(part) for part in re.findall(r"\d+", v)] for v in (pins[name], low)]
            assert as_numbers[0] >= as_numbers[1], name


def test_a_wheel_holds_every_package_and_every_file_that_is_read():
    packages = sorted(p.parent for p in (ROOT / "lfm").rglob("__init__.py"))
    names = [".".join(p.relative_to(ROOT).parts) for p in packages]
    assert SETUPTOOLS["packages"] == sorted([*names, "lfm.bundled"])  # the data: test_wheel.py
    files = [
        p for p in (ROOT / "lfm").rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")
    ]
    assert len(files) >= 22  # the words of quizzes and exams
    for path in files:
        assert path.parent in packages, path
        assert any(path.match(pattern) for pattern in SETUPTOOLS["package-data"]["*"]), path


@pytest.mark.parametrize("path", sorted((ROOT / "lfm").rglob("*.py")), ids=lambda p: p.name)
def test_the_package_imports_only_its_few_dependencies(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            top = name.split(".")[0]
            assert top in ALLOWED_IN_LFM or top in sys.stdlib_module_names, f"{path.name}: {name}"
