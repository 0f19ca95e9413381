"""What a newcomer does: a copy of the course in an empty folder, set up from nothing.

The README's commands are run as they stand there, one after the other.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Run as they stand by .ci/run, beside this test; the last two take hours.
ELSEWHERE = {"make test", "make slides", "make site", "make handout", "make test-browser"}
ELSEWHERE |= {"make test-kernels", "make test-floor", "make gpu"}


def blocks() -> list[tuple[str, str]]:
    """Return the README's commands and pieces of Python, in their order."""
    found = []
    for match in re.finditer(
        r"^```python\n(.*?)^```|((?:^    [^\n]+\n)+)", README, flags=re.M | re.S
    ):
        if match[1]:
            found.append(("python", match[1]))
        else:
            lines = re.sub(r"\\\n", " ", match[2]).splitlines()
            found += [("shell", line.split("#")[0].strip()) for line in lines]
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Return a folder with the files of the course that git knows or would know, and no other."""
    folder = tmp_path_factory.mktemp("newcomer") / "course"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def environment(home: Path) -> dict[str, str]:
    """Return that of somebody who has set nothing: bars are shown, no environment is active.

    Only the number of threads stays as it is here: another test is at work beside this one.
    """
    mine = ("LFM_", "JUPYTER", "IPYTHON", "VIRTUAL_ENV", "PYTEST", "MAKE", "MFLAGS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(mine)}
    return kept | {"HOME": str(home)}


def serves(command: str, folder: Path, env: dict) -> None:
    """Run `make course` until its page can be had, then stop it."""
    with (folder.parent / "log").open("w+") as log:
        process = subprocess.Popen(
            shlex.split(command), cwd=folder, env=env | {"BROWSER": "true"}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            address, end = None, time.monotonic() + 900
            while address is None and process.poll() is None and time.monotonic() < end:
                time.sleep(0.5)
                text = (folder.parent / "log").read_text(encoding="utf-8")
                address = re.search(r"http://127\.0\.0\.1:\d+/lab/\S*token=\w+", text)
            assert address, text
            with urllib.request.urlopen(address[0], timeout=60) as page:
                assert page.status == 200
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)


@pytest.mark.skipif(not shutil.which("git"), reason="git tells which files are the course's")
def test_the_commands_of_the_readme_do_what_it_says(copy, tmp_path):
    env, log = environment(tmp_path), []
    commands = blocks()
    shell = [command for kind, command in commands if kind == "shell"]
    assert shell[:2] == ["make course", "make test"]
    assert len(commands) >= 9
    for kind, command in commands:
        start = time.monotonic()
        if command == "make course":
            serves(command, copy, env)
        elif kind == "shell" and command in ELSEWHERE:
            continue
        else:
            run = [str(copy / ".venv/bin/python"), "-c", command] if kind == "python" else command
            done = subprocess.run(
                run, cwd=copy, env=env, shell=kind == "shell", capture_output=True, text=True,
                timeout=600, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        log.append(f"{time.monotonic() - start:5.0f} s  {command.splitlines()[0]}")
    setup = [str(copy / ".venv/bin/python"), "-m", "tools.course", "setup"]
    subprocess.run(setup, cwd=copy, env=env, check=True)  # as where there is no make
    print(*log, sep="\n")
    assert (copy / "runs" / "mnist" / "samples.png").is_file()
    assert (copy / "runs" / "mixture").is_file()
    assert len(list((copy / "shards").glob("*.npy"))) == 3
    assert (copy / "exam-7-key.md").is_file()
