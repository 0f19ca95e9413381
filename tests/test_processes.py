"""Several processes: the same result as one, and no rank is ever waited for in vain.

The processes are started by torchrun on this machine, and killed for real.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from lfm import data, distributed, em, training
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import mixture_run, sealed
from lfm.toy import TwoBells
from lfm.vae import VAE, BernoulliPixels, SharedGaussian

ROOT = Path(__file__).parent.parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENV = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
ENV |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error::UserWarning"}


def start(*arguments, restarts=0):
    """Start two processes of lfm.distributed, or of a script, under torchrun."""
    command = [*TORCHRUN, "--max-restarts", str(restarts), *map(str, arguments)]
    return subprocess.Popen(
        command, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments):
    """Run two processes to their end and return what they print."""
    processes = start(*arguments)
    out, err = processes.communicate(timeout=60)
    assert processes.returncode == 0, err
    return out


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


def blobs(n, seed=0):
    rng = np.random.default_rng(seed)
    centres = 30 + 2.5 * rng.normal(size=(6, 4))
    return centres[rng.integers(6, size=n)] + rng.normal(size=(n, 4))


def mixture(folder, checkpoint, *arguments):
    options = ["--data", folder, "--components", 6, "--tol", 0, "--checkpoint", checkpoint]
    return ["-m", "lfm.distributed", "mixture", *options, *arguments]


def bounds(checkpoint):
    return sealed.read(checkpoint)["bounds"].numpy()


# ------------------------------------------------------------------ the mixture


def test_two_processes_fit_the_mixture_that_one_fits(tmp_path, capsys):
    x = np.sort(blobs(9000), axis=0)  # the parts are not alike
    data.write_shards(tmp_path / "x", x, rows=1700)
    one, two = tmp_path / "one.lfm", tmp_path / "two.lfm"
    arguments = ["--max-iter", 15, "--prior"]
    distributed.main([str(a) for a in mixture(tmp_path / "x", one, *arguments)[2:]])
    out = run(*mixture(tmp_path / "x", two, *arguments))
    assert out == capsys.readouterr().out  # rank 0 alone prints
    assert out.splitlines()[-1].startswith("iteration 15: ")
    assert len(bounds(one)) == 15
    np.testing.assert_allclose(bounds(two), bounds(one), rtol=1e-10)
    a, b = distributed.load(one), distributed.load(two)
    np.testing.assert_allclose(b.means, a.means, rtol=1e-8)
    np.testing.assert_allclose(b.covs, a.covs, rtol=1e-7, atol=1e-9)
    assert b.prior.dof == a.prior.dof
    start = GaussianMixture.init(x, 6, rng=0, prior=a.prior)
    whole = em.fit(start, x, max_iter=15, tol=0)  # fewer rows than START_ROWS: the same start
    np.testing.assert_allclose(bounds(two), whole.bounds[:15], rtol=1e-10)


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
    ENV["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
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
        distributed.main([str(a) for a in mixture(tmp_path / "x", path, *arguments)[2:]])
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
    distributed.main([str(a) for a in mixture(tmp_path / "x", whole, *arguments)[2:]])
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
    at = time.monotonic()
    launcher = start(*mixture(tmp_path / "x", path))
    _, err = launcher.communicate(timeout=60)
    assert time.monotonic() - at < 20
    assert launcher.returncode != 0
    assert r"rank 1: ValueError: batch 1 of x (3.npy) has 1 values that are not finite" in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "none"], "rank 0: FileNotFoundError: .*none has no .npy files"),
        (["--components", "0"], "rank 0: ValueError: components is 0"),
        (["--max-iter", "-1"], "rank 0: ValueError: max_iter is -1; wanted at least 0"),
        (["--tol", "nan"], "rank 0: ValueError: tol is nan; wanted a number"),
        (["--components", "3"], r"run\.lfm is of another run .*\"components\": 2"),
    ],
)
def test_a_mistake_in_the_shell_is_one_line(tmp_path, change, message):
    data.write_shards(tmp_path / "x", blobs(60))
    path = tmp_path / "run.lfm"
    arguments = [
        "mixture", "--data", str(tmp_path / "x"), "--components", "2", "--checkpoint", str(path),
        "--max-iter", "3",
    ]  # fmt: skip
    if "3" in change:
        distributed.main(arguments)
    with pytest.raises(SystemExit, match=message):
        distributed.main([*arguments, *change])


def test_only_a_mixture_is_loaded_as_one(tmp_path):
    training.save(VAE.dense(4, 1, (), rng=0), tmp_path / "vae.lfm")
    with pytest.raises(ValueError, match="holds a VAE, not a mixture"):
        distributed.load(tmp_path / "vae.lfm")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        distributed.load(tmp_path / "none.lfm")


# ------------------------------------------------------------------ the VAE


def vae(folder, checkpoint, epochs):
    return [
        "-m", "lfm.distributed", "vae", "--data", folder, "--latent", 2, "--hidden", 8,
        "--batch-size", 30, "--epochs", epochs, "--seed", 3, "--lr", 0.01,
        "--checkpoint", checkpoint,
    ]  # fmt: skip


def by_hand(parts, epochs):
    """Return what two ranks compute, by one process with the whole of each batch."""
    model = VAE.dense(5, 2, (8,), rng=3, decoder=SharedGaussian)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        drawn = []
        for rank, x in enumerate(parts):
            seed = int(np.random.default_rng([3, epoch, rank]).integers(2**62))
            generator = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(x), generator=generator)
            rows = order[: len(order) // 30 * 30].split(30)
            drawn.append([(x[r], torch.randn(1, 30, 2, generator=generator)) for r in rows])
        for batches in zip(*drawn, strict=False):  # as many as the smaller part has
            x, eps = torch.cat([x for x, _ in batches]), torch.cat([e for _, e in batches], 1)
            optimiser.zero_grad()
            model.loss(x, eps).backward()
            optimiser.step()
    return model


def test_two_processes_train_the_vae_that_one_trains_on_their_batches_together(tmp_path):
    rng = np.random.default_rng(0)
    x = np.tanh(rng.normal(size=(430, 2)) @ rng.normal(size=(2, 5))) + 0.1
    shards = data.write_shards(tmp_path / "x", x, rows=100)
    path = tmp_path / "run.lfm"
    run(*vae(tmp_path / "x", path, 1))
    out = run(*vae(tmp_path / "x", path, 3))  # goes on from there
    assert [line.split(":")[0] for line in out.splitlines()] == ["epoch 2", "epoch 3"]
    two = training.load(path).state_dict()
    split = [np.concatenate(list(shards.part(rank, 2))) for rank in (0, 1)]
    assert [len(part) for part in split] == [230, 200]
    one = by_hand([torch.tensor(part, dtype=torch.float32) for part in split], 3).state_dict()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


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


def test_the_vae_alone_takes_bytes_as_images(tmp_path, capsys):
    images = (255 * (np.random.default_rng(0).random((90, 16)) < 0.3)).astype(np.uint8)
    data.write_shards(tmp_path / "x", images)
    distributed.main([str(a) for a in vae(tmp_path / "x", tmp_path / "vae.lfm", 2)[2:]])
    assert isinstance(training.load(tmp_path / "vae.lfm").decoder, BernoulliPixels)
    assert capsys.readouterr().out.startswith("epoch 1: bound -")
