"""Several processes: they exchange what one computes, and no rank is ever waited for in vain.

The processes are started by torchrun on this machine, and killed for real.
"""

import itertools
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from torchrun import alone, blobs, bounds, mixture, run, start, vae

from lfm import data, distributed, em
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import mixture_run, sealed
from lfm.toy import TwoBells


def pid_of(rank, launcher):
    """Return the process id of a rank that torchrun started."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    for pid in children:
        if f"\0RANK={rank}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes():
            return int(pid)
    raise AssertionError(f"no rank {rank} among {children}")


def after_iterations(n, launcher):
    """Wait until rank 0 has printed n lines."""
    for _ in range(n):
        line = launcher.stdout.readline()
        assert line.startswith("iteration"), launcher.communicate()[1]


# ------------------------------------------------------------------ every model


SCRIPT = """
import itertools, sys
import numpy as np
import test_contract
from lfm import distributed, em

with distributed.processes() as (rank, world):
    ends = {}
    for case, make in test_contract.ALL_CASES.items():
        model, x = make(0)
        batches = np.array_split(x, 5)[rank::world]
        steps = itertools.islice(em.steps(model, batches, total=distributed.total), 12)
        ends[case] = [step.bound for step in steps]
    np.savez(f"{sys.argv[1]}/{rank}.npz", **ends)
"""


def test_total_serves_every_model(tmp_path):
    import test_contract

    (tmp_path / "script.py").write_text(SCRIPT)
    run(tmp_path / "script.py", tmp_path)
    ranks = [np.load(tmp_path / f"{rank}.npz") for rank in (0, 1)]
    for case, make in test_contract.ALL_CASES.items():
        model, x = make(0)
        expected = [s.bound for s in itertools.islice(em.steps(model, x), 12)]
        np.testing.assert_allclose(ranks[0][case], expected, rtol=1e-10, err_msg=case)
        np.testing.assert_array_equal(ranks[1][case], ranks[0][case], err_msg=case)


def test_alone_total_changes_nothing():
    x = TwoBells(3.0).sample(80, rng=0)[0]
    stats = TwoBells(1.0).expect(x, TwoBells(1.0).infer(x))
    assert distributed.total(stats) is stats
    alone = em.fit(TwoBells(1.0), x, total=distributed.total)
    np.testing.assert_array_equal(alone.bounds, em.fit(TwoBells(1.0), x).bounds)
    with distributed.processes() as (rank, world):
        assert (rank, world) == (0, 1)
    with pytest.raises(TypeError, match="part is ndarray; wanted Stats or Moments"):
        distributed.total(x)
    with (
        pytest.raises(ValueError, match=r"timeout is 0; wanted .* > 0"),
        distributed.processes(0),
    ):
        pass


# ------------------------------------------------------------------ a process is lost

reads_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")


@reads_proc
def test_a_killed_process_stops_the_others_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    data.write_shards(tmp_path / "x", blobs(30_000), rows=5_000)
    whole, killed = tmp_path / "whole.lfm", tmp_path / "killed.lfm"
    arguments = ["--max-iter", 40]
    launcher = start(*mixture(tmp_path / "x", killed, *arguments))
    after_iterations(5, launcher)
    os.kill(pid_of(1, launcher), signal.SIGKILL)
    at = time.monotonic()
    _, err = launcher.communicate(timeout=60)
    assert time.monotonic() - at < 10
    assert launcher.returncode != 0
    assert "rank 0: " in err
    assert "another process has" in err
    assert 4 <= len(bounds(killed)) < 40
    for path in (killed, whole):  # one process can go on for two
        alone(mixture(tmp_path / "x", path, *arguments))
    np.testing.assert_allclose(bounds(killed), bounds(whole), rtol=1e-10)
    assert {p.name for p in tmp_path.iterdir()} == {"x", "whole.lfm", "killed.lfm"}


@reads_proc
def test_torchrun_restarts_a_run_that_lost_a_process(tmp_path):
    data.write_shards(tmp_path / "x", blobs(30_000), rows=5_000)
    whole, killed = tmp_path / "whole.lfm", tmp_path / "killed.lfm"
    arguments = ["--max-iter", 40]
    launcher = start(*mixture(tmp_path / "x", killed, *arguments), restarts=1)
    after_iterations(5, launcher)
    os.kill(pid_of(1, launcher), signal.SIGKILL)
    out, err = launcher.communicate(timeout=60)
    assert launcher.returncode == 0, err
    printed = [int(line.split()[1].rstrip(":")) for line in out.splitlines()]
    assert printed[-1] == 40
    assert sorted(set(printed)) == list(range(printed[0], 41))  # it went on, and not from 0
    alone(mixture(tmp_path / "x", whole, *arguments))
    np.testing.assert_allclose(bounds(killed), bounds(whole), rtol=1e-10)


@reads_proc
def test_a_process_that_does_not_answer_is_given_up_in_time(tmp_path):
    data.write_shards(tmp_path / "x", blobs(30_000), rows=5_000)
    checkpoint = tmp_path / "run.lfm"
    launcher = start(*mixture(tmp_path / "x", checkpoint, "--timeout", 2, "--max-iter", 10_000))
    after_iterations(2, launcher)
    frozen = pid_of(1, launcher)
    os.kill(frozen, signal.SIGSTOP)
    at = time.monotonic()
    for line in launcher.stderr:
        if line.startswith("rank 0: ProcessLost: another process has died, or did not answer"):
            break
    else:
        raise AssertionError("rank 0 said nothing")
    assert time.monotonic() - at < 6
    os.kill(frozen, signal.SIGKILL)  # torchrun would do so 30 s later
    launcher.communicate(timeout=60)
    assert launcher.returncode != 0


def test_bad_data_of_one_process_stop_all_with_its_message(tmp_path):
    x = blobs(900)
    x[450, 2] = np.nan
    for i, part in enumerate(np.array_split(x, 6)):
        (tmp_path / "x").mkdir(exist_ok=True)
        np.save(tmp_path / "x" / f"{i}.npy", part)
    model = GaussianMixture.init(x[:300], 6, rng=0)
    about = {"rows": 900, "columns": 4, "components": 6, "prior": False, "seed": 0}
    about["data"] = mixture_run.outline(data.Shards(tmp_path / "x"))
    path = tmp_path / "run.lfm"
    sealed.write(path, mixture_run.state(model, [], about))
    launcher = start(*mixture(tmp_path / "x", path))
    _, err = launcher.communicate(timeout=60)
    assert launcher.returncode != 0
    assert r"rank 1: ValueError: batch 1 of x (3.npy) has 1 values that are not finite" in err


# ------------------------------------------------------------------ the end


def test_no_thread_of_the_exchange_outlives_it(tmp_path):
    """It would abort a process that has succeeded, now and then, when the interpreter ends."""
    data.write_shards(tmp_path / "x", np.random.default_rng(0).normal(size=(60, 5)), rows=30)
    (tmp_path / "script.py").write_text(
        "import os, pathlib, sys\n"
        "from lfm import distributed\n"
        "distributed.main(sys.argv[1:])\n"
        "threads = [path.read_text() for path in pathlib.Path('/proc/self/task').glob('*/comm')]\n"
        "os.write(1, b''.join(name.encode() for name in threads if 'gloo' in name))\n"
    )
    out = run(tmp_path / "script.py", *vae(tmp_path / "x", tmp_path / "run.lfm", 1)[2:])
    assert out.startswith("epoch 1")
    assert "gloo" not in out
