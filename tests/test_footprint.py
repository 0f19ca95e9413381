"""What is written, and where: downloads that go wrong, and a session that leaves no other trace.

The only network here is a server on 127.0.0.1.
"""

import gzip
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from systems import limit_files, needs_signals

from lfm import data

ROOT = Path(__file__).parent.parent
IMAGES = np.arange(20 * 16).reshape(20, 4, 4).astype(np.uint8)
LABELS = (np.arange(20) % 10).astype(np.uint8)


def idx(array) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


FILES = {
    "train-images-idx3-ubyte.gz": gzip.compress(idx(IMAGES), mtime=0),
    "train-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS), mtime=0),
}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@pytest.fixture
def server():
    """A mirror of the full set on the loopback; while `stalled` is set it sends half and waits."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = FILES.get(self.path.lstrip("/"))
            if content is None:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if server.stalled.is_set():
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                server.asked.set()
                server.go_on.wait(20)
                return None  # and the connection is cut
            self.wfile.write(content)
            return None

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.url = f"http://127.0.0.1:{server.server_port}/"
    server.stalled, server.asked, server.go_on = (threading.Event() for _ in range(3))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


WANTED = {name.removesuffix("-ubyte.gz"): sha for name, sha in SHA256.items()}
# What a user's process does, with the mirror replaced by ours.
FETCH = f"""
import sys
from lfm import data
data.MIRRORS = {{"mnist": (sys.argv[1],)}}
data.FULL_SHA256 = {{"mnist": {WANTED!r}}}
try:
    images = data.mnist(full=True)
except (OSError, ValueError) as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
print(images.images.shape, int(images.images.sum()))
"""
SUM = f"(20, 4, 4) {int(IMAGES.sum())}"


def start(url, cache, limit=None, code=FETCH, **env):
    """Start a process that reads the full set; `limit` is the largest file it may write, bytes."""

    return subprocess.Popen(
        [sys.executable, "-B", "-c", code, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, preexec_fn=limit_files(limit), cwd=cache.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LFM_CACHE": str(cache), "NO_PROXY": "*"} | env,
    )  # fmt: skip


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


def complete(cache: Path) -> bool:
    return files(cache) == {f"mnist/{name}" for name in FILES}


def stuck(server, cache):
    """Start a process whose download has begun and does not go on, to be stopped by a signal."""
    needs_signals()
    server.stalled.set()
    process = start(server.url, cache)
    assert server.asked.wait(30)
    return process


def test_a_download_that_is_killed_leaves_nothing_that_is_taken_for_data(tmp_path, server):
    cache = tmp_path / "cache"
    process = stuck(server, cache)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not {f"mnist/{name}" for name in FILES} & files(cache)
    server.stalled.clear()
    again = start(server.url, cache)
    assert again.communicate(timeout=60)[0].strip() == SUM
    assert {f"mnist/{name}" for name in FILES} <= files(cache)


def test_a_download_that_is_interrupted_by_hand_leaves_nothing(tmp_path, server):
    cache = tmp_path / "cache"
    process = stuck(server, cache)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    server.go_on.set()
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err or "could not be fetched" in err
    assert files(cache) == set()


def test_a_connection_that_is_cut_is_an_error_and_leaves_nothing(tmp_path, server):
    cache = tmp_path / "cache"
    server.stalled.set()
    server.go_on.set()
    process = start(server.url, cache)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "train-images-idx3-ubyte.gz could not be fetched" in err
    assert "Traceback" not in err
    assert files(cache) == set()


def test_two_processes_at_once_both_get_the_whole_set(tmp_path, server):
    cache = tmp_path / "cache"
    both = [start(server.url, cache) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert out.strip() == SUM, err
    assert complete(cache)


def test_a_set_that_was_altered_in_the_cache_is_fetched_anew(tmp_path, server):
    cache = tmp_path / "cache"
    assert start(server.url, cache).communicate(timeout=60)[0].strip() == SUM
    path = cache / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert start(server.url, cache).communicate(timeout=60)[0].strip() == SUM
    assert complete(cache)
    assert path.read_bytes() == FILES[path.name]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, server):
    cache = tmp_path / "cache"
    process = start(server.url, cache, limit=50)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "OSError: " in err
    assert "File too large" in err
    assert "Traceback" not in err
    assert files(cache) == set()


def test_a_cache_that_cannot_be_written_is_said(tmp_path, server, monkeypatch):
    """A file stands where the folder should be, or the folder refuses: also root is refused."""
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(OSError, match="file"):
        data.fetch(server.url + next(iter(FILES)), tmp_path / "file" / "x", "0" * 64)
    assert (tmp_path / "file").read_bytes() == b"mine"

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    name = next(iter(FILES))
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match=r"(?s)could not be fetched.*Permission denied"):
        data.fetch(server.url + name, tmp_path / "cache" / name, SHA256[name])
    assert files(tmp_path) == {"file"}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_that_is_whole_is_read_and_another_is_said(tmp_path, server):
    cache = tmp_path / "cache"
    assert start(server.url, cache).communicate(timeout=60)[0].strip() == SUM
    (cache / "mnist").chmod(0o500)
    assert start(server.url, cache).communicate(timeout=60)[0].strip() == SUM
    (cache / "mnist").chmod(0o700)
    (cache / "mnist" / "train-images-idx3-ubyte.gz").unlink()
    (cache / "mnist").chmod(0o500)
    _, err = start(server.url, cache).communicate(timeout=60)
    assert "Permission denied" in err
    assert "Traceback" not in err
    (cache / "mnist").chmod(0o700)


# ------------------------------------------------------------------ a session

SESSION = (
    FETCH
    + """
import numpy as np
from lfm import checks, em, evaluation, figures, training
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import GaussianMixture
from lfm.vae import VAE, SharedGaussian

x = data.old_faithful()
fit = em.fit(GaussianMixture.init(x, 2, rng=0), x, max_iter=5)
em.fit(FactorAnalysis.init(x, 1), x, max_iter=5)
data.digits(), data.mnist(), data.fashion(), data.faces(3, rng=0), data.bars(3, rng=0)
checks.check("lower-bound", lambda *a: 0.0)
checks.exam(3)
fig, ax = figures.new()
figures.mixture(ax, x, fit.model)
figures.show(fig, alt="a mixture that was fitted for a test")
vae = VAE.dense(2, 1, (4,), rng=0, decoder=SharedGaussian)
y = (x - x.mean(0)) / x.std(0)
training.train(vae, y, epochs=2, rng=0, checkpoint=sys.argv[2] + "/run.lfm", device="cpu")
training.save(vae, sys.argv[2] + "/vae.lfm")
training.load(sys.argv[2] + "/vae.lfm")
data.write_shards(sys.argv[2] + "/shards", x, rows=100)
evaluation.log_likelihood(vae, y, 5, rng=0)
"""
)


def test_a_session_writes_into_cache_and_checkpoint_folders_and_nowhere_else(tmp_path, server):
    names = ("home", "tmp", "cwd", "cache", "runs", "matplotlib", "xdg")
    folders = {name: tmp_path / name for name in names}
    for folder in folders.values():
        folder.mkdir()
    before = {p: p.stat().st_mtime_ns for p in ROOT.rglob("*") if of_the_course(p)}
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "LFM_", "TORCH"))}
    env |= {
        "HOME": str(folders["home"]), "TMPDIR": str(folders["tmp"]), "PYTHONPATH": str(ROOT),
        "MPLCONFIGDIR": str(folders["matplotlib"]), "LFM_CACHE": str(folders["cache"]),
        "MPLBACKEND": "agg", "XDG_CACHE_HOME": str(folders["xdg"]), "NO_PROXY": "*",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-B", "-c", SESSION, server.url, str(folders["runs"])],
        cwd=folders["cwd"], env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert complete(folders["cache"])
    assert files(folders["runs"]) == {
        "run.lfm", "vae.lfm", "shards/00000000.npy", "shards/00000001.npy", "shards/00000002.npy"
    }  # fmt: skip
    for name in ("home", "cwd", "xdg"):
        assert list(folders[name].rglob("*")) == [], name
    assert files(folders["tmp"]) == set()  # torch makes an empty folder there for its compiler
    assert {p.name for p in tmp_path.iterdir()} == set(names)
    assert {p: p.stat().st_mtime_ns for p in before if p.exists()} == before
    assert {p for p in ROOT.rglob("*") if of_the_course(p)} == set(before)


def of_the_course(path: Path) -> bool:
    """Tell of the files of the course, which a session leaves alone, from those of tools."""
    parts = path.relative_to(ROOT).parts
    return parts[0] in ("lfm", "data", "notebooks") and not path.is_dir() and path.suffix != ".pyc"
