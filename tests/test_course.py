"""`make course` starts a server that only this machine can reach, and only with its token."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parent.parent
LISTENING = "0A"  # the state in /proc/net/tcp


def command() -> list[str]:
    """Return what the last lines of `make course` run, with the Python of this test."""
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "course"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
    )  # fmt: skip
    recipe = done.stdout.replace("\\\n", " ").strip().splitlines()[-1]
    words = shlex.split(recipe)
    assert words[0].endswith("/jupyter")
    return [sys.executable, "-m", "jupyter", *words[1:]]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening_on(port: int) -> set[str]:
    """Return the addresses, as the kernel writes them, at which somebody listens at a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        local = [row[1].split(":") for row in rows if row[3] == LISTENING]
        found |= {address for address, hexadecimal in local if int(hexadecimal, 16) == port}
    return found


LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


@pytest.fixture
def server(tmp_path):
    """Yield (port, token) of a running server; no browser, and nothing of the user's own."""
    port = free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    env |= {"HOME": str(tmp_path), "JUPYTER_PLATFORM_DIRS": "1", "XDG_RUNTIME_DIR": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command(), "--no-browser", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"],
            cwd=ROOT, env=env, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        token, deadline = None, time.monotonic() + 60
        while (
            not (token and listening_on(port))
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.1)
            token = re.search(rf"127\.0\.0\.1:{port}/\S*token=(\w+)", log.read_text())
        assert token is not None, log.read_text()
        yield port, token.group(1)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def status(url: str) -> tuple[int, str]:
    """Return the status and the address at the end of all redirections."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=20) as answer:
            return answer.status, answer.url
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.url


@pytest.mark.skipif(not (Path("/proc/net/tcp").exists() and which("make")), reason="Linux, make")
def test_the_course_is_open_to_this_machine_and_to_who_has_the_token(server):
    port, token = server
    assert len(token) >= 40
    found = listening_on(port)
    assert found
    assert found <= LOOPBACK
    at = f"http://127.0.0.1:{port}"
    assert status(f"{at}/api/contents")[0] == 403
    assert status(f"{at}/api/contents?token={'0' * len(token)}")[0] == 403
    assert "/login" in status(f"{at}/lab")[1]
    assert status(f"{at}/api/contents?token={token}")[0] == 200
    assert "/login" not in status(f"{at}/lab?token={token}")[1]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")
def test_the_check_of_the_address_can_fail():
    with socket.socket() as s:
        s.bind(("0.0.0.0", 0))
        s.listen()
        assert not listening_on(s.getsockname()[1]) <= LOOPBACK
