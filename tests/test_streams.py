"""Data in batches: the same result as in memory, memory that does not grow, and one pass."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import test_contract as contract
from batches import MIXTURE, X, spoiled

from lfm import data, em
from lfm.distributions import InverseWishart
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import online

ROOT = Path(__file__).parent.parent


# ------------------------------------------------------------------ batches for EM


MEMORY = """
import sys
import numpy as np
from lfm import data, em, scale
from lfm.gaussian_mixture import GaussianMixture

shards = data.Shards(sys.argv[1])
model = GaussianMixture.init(shards.sample(1000, rng=0), 4, rng=0)
em.fit(model, shards, max_iter=2, tol=0)
list(scale.online(model, data.Shards(sys.argv[1], batch_size=5000)))
with open("/proc/self/status") as file:  # ru_maxrss would include the process that started this one
    print(next(line.split()[1] for line in file if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_does_not_grow_with_the_data(tmp_path):
    rng = np.random.default_rng(0)
    blocks = [4 * rng.integers(4, size=(50_000, 1)) + rng.normal(size=(50_000, 8)) for _ in "ab"]
    peaks = []
    for n in (2, 20):  # 100,000 and 1,000,000 rows: 64 MB
        folder = tmp_path / str(n)
        data.write_shards(folder, (blocks[i % 2] for i in range(n)), rows=50_000)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, folder], capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout) / 1024)  # MiB
    assert peaks[1] - peaks[0] < 10


# ------------------------------------------------------------------ one pass


def known_mixture(seed, n=100_000, k=5, d=3):
    """A mixture, n draws from it and a start from 1,000 of them."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, d, d)) / np.sqrt(d)
    covs, means = a @ a.mT + 0.3 * np.eye(d), 3 * rng.normal(size=(k, d))
    truth = GaussianMixture(rng.dirichlet(np.full(k, 5.0)), means, covs)
    x, _ = truth.sample(n, rng=rng)
    return truth, x, GaussianMixture.init(x[:1000], k, rng=seed)


@pytest.mark.parametrize("seed", range(5))
def test_one_online_pass_comes_near_the_whole_fit_and_beats_one_pass_of_em(seed):
    _, x, start = known_mixture(seed)
    *_, last = online(start, np.array_split(x, 1000))
    assert last.seen == len(x)
    best = em.fit(start, x, max_iter=60).model.log_prob(x).mean()
    one_pass = em.fit(start, x, max_iter=1, tol=0).model.log_prob(x).mean()
    once = last.model.log_prob(x).mean()
    assert best - once < 0.005  # nats per datum
    assert once > one_pass + 0.004


def test_online_em_is_what_it_says():
    """Written out once more for one component, of which learning is the mean and covariance."""
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(n, 2)) for n in (30, 50, 40, 60)]
    model = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
    updates = list(online(model, iter(batches), power=0.8, delay=2))
    s = sum(b.sum(axis=0) for b in batches[:2]) / 80
    ss = sum(b.T @ b for b in batches[:2]) / 80
    assert updates[0].model is model
    for t, batch in ((2, None), (3, batches[2]), (4, batches[3])):
        if batch is not None:
            rate = t**-0.8
            s = (1 - rate) * s + rate * batch.mean(axis=0)
            ss = (1 - rate) * ss + rate * batch.T @ batch / len(batch)
        now = updates[t - 1].model
        np.testing.assert_allclose(now.means[0], s, rtol=1e-12)
        np.testing.assert_allclose(now.covs[0], ss - np.outer(s, s), rtol=1e-10)
    for t in (1, 2, 3):  # the bound of data not yet seen
        before = updates[t - 1].model
        assert updates[t].bound == pytest.approx(before.log_prob(batches[t]).mean(), rel=1e-12)
    assert [u.seen for u in updates] == [30, 80, 120, 180]


def test_a_prior_weighs_as_beside_all_data_seen():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    prior = InverseWishart(50.0, 100 * np.eye(2))
    model = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)], prior)
    *_, last = online(model, np.split(x, 6), delay=6)  # one learning step, from all data
    whole = em.fit(model, x, max_iter=1, tol=0).model
    np.testing.assert_allclose(last.model.covs, whole.covs, rtol=1e-10)
    near = model.learn(model.expect(x, model.infer(x)) * (1 / 600))
    assert np.abs(near.covs - whole.covs).max() > 0.3  # where the weight is another, it shows


@pytest.mark.parametrize("case", contract.ALL_CASES)
def test_online_em_serves_every_model(case):
    model, x = contract.ALL_CASES[case](0)
    order = np.random.default_rng(0).permutation(len(x))
    batches = np.array_split(x[order], 10) * 3
    *_, last = online(model, batches, delay=3)
    best = em.fit(model, x, max_iter=20).model
    start, end, top = (m.log_prob(x).mean() for m in (model, last.model, best))
    assert end > start + 0.5 * (top - start)


def test_weighted_statistics_are_those_of_data_that_count_so_often():
    for make in contract.ALL_CASES.values():
        model, x = make(0)
        stats = model.expect(x, model.infer(x))
        twice = stats * 2
        assert twice.n == 2 * stats.n
        assert model.lower_bound(twice) == pytest.approx(
            model.lower_bound(stats + stats), rel=1e-12
        )
        if "origin" in {f.name for f in fields(stats)}:
            np.testing.assert_array_equal(twice.origin, stats.origin)
    with pytest.raises(ValueError, match="weight is -1"):
        stats * -1
    with pytest.raises(TypeError, match="weight is '2'"):
        stats * "2"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: online(MIXTURE, X), TypeError, "x is one array; wanted batches"),
        (lambda: online(MIXTURE, X.tolist()), TypeError, "x is one array"),
        (lambda: online(MIXTURE, None), TypeError, "x is None"),
        (
            lambda: online(MIXTURE, [X], power=0.5),
            ValueError,
            r"power is 0.5; wanted .* above",
        ),
        (lambda: online(MIXTURE, [X], power=1.1), ValueError, "power is 1.1"),
        (lambda: online(MIXTURE, [X], power="a"), TypeError, "power is 'a'"),
        (lambda: online(MIXTURE, [X], delay=0), ValueError, "delay is 0"),
        (
            lambda: online(MIXTURE, [X] * 3),
            ValueError,
            "x gave 3 batches; wanted at least 10",
        ),
        (lambda: online(MIXTURE, [X, spoiled(np.nan)]), ValueError, "batch 1 of x has 1 val"),
        (lambda: online(MIXTURE, iter([])), ValueError, "x gave no batch"),
    ],
)
def test_bad_arguments_of_online_em_are_named(call, error, message):
    with pytest.raises(error, match=message):
        list(call())
