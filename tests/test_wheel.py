"""An installed package is the whole course: its wheel, unpacked elsewhere, runs with its data."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from tools import frame

ROOT = Path(__file__).parent.parent
BUNDLED = {"faithful.csv", "digits8x8.npz", "mnist5k.npz", "fashion5k.npz"}


def succeeds(command, **options) -> str:
    """Run a command to its end and return what it prints."""
    command = [sys.executable, *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def builder_is_here() -> bool:
    """Tell whether the setuptools that pyproject.toml asks for is here; else pip fetches it."""
    try:
        return int(version("setuptools").split(".")[0]) >= 77
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy: what an earlier build left in the course would be packed too."""
    try:
        version("pip")
    except PackageNotFoundError:
        pytest.skip("no pip here")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("lfm", "data"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    options = ["--no-build-isolation"] if builder_is_here() else []
    command = ["-m", "pip", "wheel", "--no-deps", *options, "--wheel-dir", out, source]
    succeeds(command, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return a function that runs Python somewhere else, where lfm is the installed one."""
    target, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    command = ["-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", target]
    succeeds([*command, wheel])
    env = {k: v for k, v in os.environ.items() if not k.startswith("LFM_")}
    env |= {"PYTHONPATH": str(target), "OMP_NUM_THREADS": "1"}

    def run(*arguments) -> str:
        return succeeds(arguments, cwd=elsewhere, env=env)

    run.target, run.elsewhere = target, elsewhere
    return run


def test_every_file_of_the_package_is_in_the_wheel_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    found = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    files = (p for p in (ROOT / "lfm").rglob("*") if p.is_file() and p.suffix != ".pyc")
    code = {path.relative_to(ROOT).as_posix() for path in files}
    data = {f"lfm/bundled/{name}" for name in (*BUNDLED, "README.md")}
    assert found == code | data


READ = """
from pathlib import Path
import lfm
from lfm import data
print(Path(lfm.__file__).parent)
print(data.mnist().images.shape, data.digits().images.shape, data.fashion(train=False).x.shape)
print(data.old_faithful().shape)
"""


def test_the_data_are_found_wherever_it_is_called(installed):
    package, *shapes = installed("-c", READ).splitlines()
    assert Path(package) == installed.target / "lfm"
    assert shapes == ["(5000, 28, 28) (1797, 8, 8) (1000, 784)", "(272, 2)"]


def test_a_vae_is_trained_from_the_shell(installed):
    options = ["--latent", "2", "--hidden", "8", "--epochs", "1", "--checkpoint", "run"]
    out = installed("-m", "lfm.training", "--data", "digits", *options)
    assert out.startswith("1 epochs, bound -")
    written = {path.name for path in (installed.elsewhere / "run").iterdir()}
    assert written == {"checkpoint.lfm", "vae.lfm", "samples.png"}


def test_an_exam_is_set(installed):
    installed("-m", "lfm.checks", "exam", "--seed", "1")
    written = {path.name for path in installed.elsewhere.glob("exam-*.md")}
    assert written == {"exam-1.md", "exam-1-key.md"}


# ------------------------------------------------------------------ the first cell of a notebook

READ_BACK = "from lfm import data; print(data.old_faithful().shape)"
LIBRARIES = "import importlib.util as i; print(i.find_spec('torch').submodule_search_locations[0])"


def test_the_first_cell_of_a_notebook_installs_the_package_where_it_is_missing(wheel, tmp_path):
    """In an empty environment; the libraries, which Colab has, are made visible afterwards."""
    succeeds(["-m", "venv", tmp_path / "venv"])
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("LFM_")}
    env |= {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(code, **more) -> tuple[str, str]:
        call = [python, "-c", code]
        options = {"capture_output": True, "text": True, "check": False}
        done = subprocess.run(call, cwd=tmp_path, env=env | more, **options)
        return done.stdout, done.stderr

    out, err = run(frame.SETUP.replace("{source}", ""))
    assert out == ""
    assert err.startswith("lfm is not installed here: run `make course`")
    where = "\nimport lfm, sysconfig\nprint(lfm.__file__, sysconfig.get_path('purelib'), sep='\\n')"
    file, site = run(frame.SETUP + where, LFM_SOURCE=str(wheel))[0].splitlines()
    assert Path(file) == Path(site) / "lfm" / "__init__.py"
    libraries = Path(succeeds(["-c", LIBRARIES]).strip()).parent
    (Path(site) / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
    assert run(READ_BACK) == ("(272, 2)\n", "")
