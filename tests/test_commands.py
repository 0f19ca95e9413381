"""Every way to set up and to test calls the same things: make, `tools.course`, CI, containers."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import commands

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="compares with make")


def recipe(target: str) -> list[list[str]]:
    """Return the words of what make runs for a target, as if nothing were there yet."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", target, "VENV=nowhere"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "WORKERS"))},
    )  # fmt: skip
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return [shlex.split(line.replace("nowhere/bin/", "")) for line in lines]


@needs_make
@pytest.mark.parametrize("target", commands.COMMANDS)
def test_the_commands_without_make_are_those_of_make(target, monkeypatch, tmp_path):
    ours = []
    monkeypatch.setattr(commands, "run", lambda command, **env: ours.append(command.split()))
    monkeypatch.setattr(commands, "VENV", tmp_path)
    monkeypatch.setattr(commands, "BIN", tmp_path)
    commands.main([target])
    made = [[word for word in line if word != "--allow-root"] for line in recipe(target)]
    assert len(ours) == {"setup": 1, "course": 2, "test": 5}[target]
    assert [line for line in made if line in ours] == ours
    programs = ("jupyter", "ruff", "pytest")
    assert [line for line in made if line[0] in programs] == [w for w in ours if w[0] in programs]
    settings = tmp_path / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    assert settings.read_bytes() == (ROOT / "tools" / "lab_settings.json").read_bytes()


def test_a_program_of_the_environment_is_run_in_the_courses_folder(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(commands, "BIN", Path(sys.executable).parent)
    commands.run(
        "python -c print(__import__('os').getcwd(),__import__('os').environ['PYTHONUTF8'])"
    )
    assert capfd.readouterr().out.strip() == f"{ROOT} 1"
    monkeypatch.setitem(commands.COMMANDS, "setup", lambda: commands.run("python -c exit(3)"))
    with pytest.raises(SystemExit, match=r"^3$"):
        commands.main(["setup"])


def test_commands_are_named_where_they_are_not_known_and_need_nothing_installed():
    call = [sys.executable, "-S", "-m", "tools.course", "nix"]  # -S: the standard library alone
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 1
    assert done.stderr == "usage: python -m tools.course setup|course|test\n"


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(commands, "OLDEST", (99, 0))
    with pytest.raises(SystemExit, match="is too old"):
        commands.setup()


# ------------------------------------------------------------------ what CI runs

SITE = "tests/browser/test_site.py"
# Who runs each line of the workflows: `.ci/run` is what runs these tests, `tests/browser` too.
RUN_BY = {
    ".ci/run": "whoever runs CI here",
    "make site": ".ci/run, by make test-browser",
    "python -m tools.course setup": "tests/browser/test_newcomer.py",
    "python -m tools.course test": "make test: the same commands, see above",
    "python -m pip install --upgrade -e '.[course,test]'": "make setup, which adds constraints.txt",
    "python -m pytest -n 2 --dist loadfile -q": "make test-package",
    f"python -m {commands.TESTS[-1]}": "make test-notebooks",
    ".venv/bin/sphinx-build -q -b linkcheck build/site-src build/links": SITE,
}


def jobs() -> list[dict]:
    return [
        job
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    ]


def test_every_line_of_the_workflows_is_run_here_by_something():
    lines = {step["run"] for job in jobs() for step in job["steps"] if "run" in step}
    assert lines == set(RUN_BY)
    for by in RUN_BY.values():
        if by.startswith("tests/"):
            assert (ROOT / by).exists()


def test_the_oldest_python_is_that_of_pyproject():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest = re.search(r'requires-python = ">=(.+)"', text)[1]
    assert oldest == ".".join(map(str, commands.OLDEST))
    for job in jobs():
        for version in job.get("strategy", {}).get("matrix", {}).get("python", [])[:1]:
            assert version == oldest


@pytest.mark.skipif(not importlib.util.find_spec("check_jsonschema"), reason="no check-jsonschema")
def test_the_workflows_are_valid():
    call = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*call, *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------ containers


def test_the_container_calls_make():
    made = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    first, then = made["postCreateCommand"].split(" && ")
    assert first == "make setup"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert then.endswith("pip install --quiet 'ipykernel<7'")  # for VS Code, as the README says
    assert "ipykernel<7" in readme
    assert made["image"].split(":")[1].startswith("3.11")


def test_binder_gets_what_the_course_needs_and_no_more():
    folder = ROOT / ".binder"
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    options = dict(line.split(" ", 1) for line in lines if line[0] != "#")
    assert (folder / options["-c"]).samefile(ROOT / "constraints.txt")
    assert options["-e"] == ".[course]"
