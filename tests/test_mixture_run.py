"""The mixture in one process and in two: it is `em.fit`, stopped and gone on with."""

from argparse import Namespace

import numpy as np
import pytest
from torchrun import alone, blobs, bounds, mixture, run

from lfm import data, distributed, em, training
from lfm.distributions import InverseWishart
from lfm.engine import constants
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import mixture_run, sealed
from lfm.vae import VAE

X = blobs(300)


def options(folder, checkpoint=None, **change):
    same = {"data": folder, "checkpoint": checkpoint, "components": 3, "prior": False, "seed": 0}
    return Namespace(**(same | {"max_iter": 6, "tol": 0.0} | change))


@pytest.fixture
def folder(tmp_path):
    data.write_shards(tmp_path / "x", X, rows=100)
    return tmp_path / "x"


# ------------------------------------------------------------------ one process


@pytest.mark.parametrize("prior", [False, True])
def test_alone_it_is_the_fit_of_the_data_in_memory(folder, prior, tmp_path, capsys):
    path = tmp_path / "m.lfm"
    mixture_run.fit_mixture(options(folder, path, prior=prior), 0, 1)
    weak = InverseWishart.from_data(X, 3) if prior else None
    start = GaussianMixture.init(X, 3, rng=0, prior=weak)
    expected = em.fit(start, X, max_iter=6, tol=0)
    np.testing.assert_allclose(bounds(path), expected.bounds[:6], rtol=1e-10)
    found = mixture_run.load(path)
    np.testing.assert_allclose(found.means, expected.model.means, rtol=1e-8)
    assert (found.prior is None) != prior
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"iteration 6: {expected.bounds[6] / 300:.6f} nats per datum"
    assert len(lines) == 7


@pytest.mark.parametrize(("tol", "max_iter", "wanted"), [(1e9, 50, 1), (0.0, 4, 4), (0.0, 0, 0)])
def test_it_ends_when_little_is_gained_or_enough_was_done(folder, tol, max_iter, wanted, capsys):
    mixture_run.fit_mixture(options(folder, tol=tol, max_iter=max_iter), 0, 1)
    assert len(capsys.readouterr().out.splitlines()) == 1 + wanted


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_the_tolerance_is_in_nats_per_datum(folder, tol, capsys):
    mixture_run.fit_mixture(options(folder, tol=tol, max_iter=1000), 0, 1)
    expected = em.fit(GaussianMixture.init(X, 3, rng=0), X, tol=tol)
    assert len(capsys.readouterr().out.splitlines()) == len(expected.bounds) > 3


def test_it_goes_on_from_its_checkpoint_and_says_only_what_is_new(folder, tmp_path, capsys):
    whole, parts = tmp_path / "whole.lfm", tmp_path / "parts.lfm"
    mixture_run.fit_mixture(options(folder, whole), 0, 1)
    mixture_run.fit_mixture(options(folder, parts, max_iter=2), 0, 1)
    capsys.readouterr()
    mixture_run.fit_mixture(options(folder, parts), 0, 1)
    assert capsys.readouterr().out.startswith("iteration 2: ")  # that of the model in the file
    assert sealed.read(parts)["about"] == sealed.read(whole)["about"]
    np.testing.assert_allclose(bounds(parts), bounds(whole), rtol=1e-12)
    np.testing.assert_allclose(mixture_run.load(parts).covs, mixture_run.load(whole).covs)


def test_another_rank_fits_and_neither_prints_nor_writes(folder, tmp_path, monkeypatch, capsys):
    start = GaussianMixture.init(X, 3, rng=0), []
    monkeypatch.setattr(mixture_run, "from_rank_0", lambda value: start if value is None else 0)
    mixture_run.fit_mixture(options(folder, tmp_path / "m.lfm"), 1, 2)
    assert len(start[1]) == 7
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "m.lfm").exists()


def test_the_start_is_found_from_a_sample_of_many_rows(folder, monkeypatch):
    monkeypatch.setattr(constants, "START_ROWS", 50)
    model, before = mixture_run._start(data.Shards(folder), options(folder, prior=True), {})
    x = data.Shards(folder).sample(50, rng=0)
    expected = GaussianMixture.init(x, 3, rng=0, prior=InverseWishart.from_data(x, 3))
    np.testing.assert_array_equal(model.means, expected.means)
    assert model.prior.scale.tolist() == expected.prior.scale.tolist()
    assert before == []


def test_where_nothing_can_be_written_nothing_is_fitted(folder, monkeypatch):
    monkeypatch.setattr(em, "steps", lambda *_, **__: pytest.fail("it was fitted"))
    (folder.parent / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        mixture_run.fit_mixture(options(folder, folder.parent / "file" / "m.lfm"), 0, 1)


# ------------------------------------------------------------------ what a run is about


def written(folder, arrays):
    folder.mkdir()
    for name, x in arrays.items():
        np.save(folder / f"{name}.npy", x)
    return mixture_run.outline(data.Shards(folder))


def test_the_outline_tells_data_apart_and_the_same_data_alike(tmp_path):
    a, b = X[:150], X[150:]
    other = b.copy()
    other[77, 3] += 1e-9
    kinds = [
        {"0": a, "1": b}, {"0": b, "1": a}, {"0": a, "2": b}, {"0": a, "1": other},
        {"0": a, "1": b[:-1]}, {"0": a.astype(np.float32), "1": b}, {"0": X}, {"0": X[:, :3]},
    ]  # fmt: skip
    found = [written(tmp_path / str(i), kind) for i, kind in enumerate(kinds)]
    assert len(set(found)) == len(kinds)
    assert written(tmp_path / "again", kinds[0]) == found[0]
    assert written(tmp_path / "turned", {"0": np.asfortranarray(a), "1": b}) == found[0]


def test_of_a_large_file_some_rows_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "OUTLINE_ROWS", 100)
    seen, unseen = X.copy(), X.copy()
    seen[3, 0] += 1  # every third row is
    unseen[4, 0] += 1
    found = [written(tmp_path / str(i), {"0": x}) for i, x in enumerate((X, seen, unseen))]
    assert found[0] == found[2] != found[1]


def test_a_run_is_about_its_data_and_what_its_start_comes_from(folder):
    shards = data.Shards(folder)
    about = mixture_run.about(shards, options(folder))
    assert about == {
        "rows": 300, "columns": 4, "components": 3, "prior": False, "seed": 0,
        "data": mixture_run.outline(shards),
    }  # fmt: skip
    more = options(folder, max_iter=99, tol=1.0)  # how long it runs may change
    assert mixture_run.about(shards, more) == about


@pytest.mark.parametrize("change", [{"components": 2}, {"prior": True}, {"seed": 1}])
def test_a_checkpoint_of_another_run_is_refused_and_kept(folder, change, tmp_path):
    path = tmp_path / "m.lfm"
    mixture_run.fit_mixture(options(folder, path), 0, 1)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"m\.lfm is of another run"):
        mixture_run.fit_mixture(options(folder, path, **change), 0, 1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("prior", [None, InverseWishart(7.5, np.diag([1.0, 2, 3, 4]))])
def test_a_state_is_loaded_as_the_mixture_it_is_of(prior, tmp_path):
    model = GaussianMixture.init(X, 3, rng=0, prior=prior)
    sealed.write(tmp_path / "m.lfm", mixture_run.state(model, [-3.0, -2.0], {"rows": 300}))
    found = mixture_run.load(tmp_path / "m.lfm")
    for name in ("weights", "means", "covs"):
        np.testing.assert_array_equal(getattr(found, name), getattr(model, name))
    assert bounds(tmp_path / "m.lfm").tolist() == [-3, -2]
    if prior is None:
        assert found.prior is None
    else:
        assert found.prior.dof == 7.5
        np.testing.assert_array_equal(found.prior.scale, prior.scale)


# ------------------------------------------------------------------ two processes, and the shell


def test_two_processes_fit_the_mixture_that_one_fits(tmp_path, capsys):
    x = np.sort(blobs(9000), axis=0)  # the parts are not alike
    data.write_shards(tmp_path / "x", x, rows=1700)
    one, two = tmp_path / "one.lfm", tmp_path / "two.lfm"
    arguments = ["--max-iter", 15, "--prior"]
    alone(mixture(tmp_path / "x", one, *arguments))
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


def test_a_mixture_of_other_data_of_the_same_size_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        data.write_shards(tmp_path / name, rng.normal(size=(60, 2)))
    arguments = ["mixture", "--components", "2", "--checkpoint", str(tmp_path / "c"), "--data"]
    distributed.main([*arguments, str(tmp_path / "a")])
    with pytest.raises(SystemExit, match="of another run"):
        distributed.main([*arguments, str(tmp_path / "b")])
