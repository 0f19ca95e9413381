"""Faults that users of such packages report, one test for each kind: each of these failed once.

What else is of the same kinds stands in the test of the file that it concerns.
"""

import os
import sys
import time

import mpmath
import numpy as np
import pytest
import torch
from deep import conditional, weights
from torch import nn

from lfm import checks, data, distributed, em, evaluation, training
from lfm.evaluation import (
    attribute_control,
    dci,
    few_label_accuracy,
    match_factors,
    mutual_information,
    mutual_information_gap,
    neighbour_score,
)
from lfm.gaussian_mixture import DegenerateComponent, GaussianMixture, k_means
from lfm.scale.architectures import build, spec
from lfm.training import TrainingDiverged
from lfm.vae import (
    VAE,
    BernoulliPixels,
    DiagonalGaussian,
    FullGaussian,
    SharedGaussian,
    linear_vae,
    mlp,
)
from lfm.variational_bayes import BayesianGaussian, NormalGammaPrior

GEYSER = data.old_faithful()
BYTES = data.mnist().images[::20].reshape(-1, 784)


# ------------------------------------------------------------------ one meaning of the same data


def test_a_judge_of_bytes_judges_grey_values():
    images, orders = BYTES[:100], np.random.default_rng(0).normal(size=(100, 2))
    both = [attribute_control(images / 255, orders, judge, orders).r2 for judge in
            (images / 255, images)]  # fmt: skip
    np.testing.assert_allclose(*both)


# ------------------------------------------------------------------ saved and loaded


def every_vae():
    yield VAE.dense(10, 2, (8,), rng=0)
    yield VAE.dense(10, 2, (8,), rng=0, decoder=SharedGaussian, activation="tanh", beta=2.0)
    yield VAE.dense(10, 2, (8,), rng=0, encoder=FullGaussian, decoder=FullGaussian)
    yield VAE.dense(10, 2, (), rng=0, decoder=DiagonalGaussian).double()
    yield linear_vae(10, 2, rng=0)
    yield conditional(beta=0.5)
    yield conditional().double()
    frozen = VAE.dense(10, 2, (8,), rng=0)
    frozen.decoder.requires_grad_(False)
    yield frozen


@pytest.mark.parametrize("vae", list(every_vae()), ids=lambda v: type(v).__name__)
def test_what_is_loaded_is_what_was_saved(vae, tmp_path):
    x = (np.random.default_rng(0).random((50, 10)) < 0.5).astype(float)
    training.save(vae, tmp_path / "vae.lfm")
    loaded = training.load(tmp_path / "vae.lfm")
    assert type(loaded) is type(vae)
    assert repr(loaded) == repr(vae)
    assert repr(build(spec(vae))) == repr(vae)
    assert [w.requires_grad for w in loaded.parameters()] == [
        w.requires_grad for w in vae.parameters()
    ]
    assert torch.equal(weights(loaded), weights(vae))
    assert weights(loaded).dtype == weights(vae).dtype
    scores = [evaluation.log_likelihood(v, x, 3, rng=0) for v in (vae, loaded)]
    np.testing.assert_array_equal(*scores)
    if any(w.requires_grad for w in vae.encoder.parameters()):
        training.train(loaded, x, epochs=1, batch_size=10, rng=0, progress=False)
        training.train(vae, x, epochs=1, batch_size=10, rng=0, progress=False)
        assert torch.equal(weights(loaded), weights(vae))


class Mine(VAE):
    """A user's own kind of VAE, which no file can make again."""


OTHERS = {
    "activation": lambda: VAE.dense(10, 2, (8,), rng=0, activation="tanh"),
    "decoder": lambda: VAE.dense(10, 2, (8,), rng=0, decoder=SharedGaussian),
    "beta": lambda: VAE.dense(10, 2, (8,), rng=0, beta=3.0),
    "numbers": lambda: VAE.dense(10, 2, (8,), rng=0).double(),
    "floor": lambda: VAE(DiagonalGaussian(mlp([10, 8, 4], rng=0), 0.5),
                         BernoulliPixels(mlp([2, 8, 10], rng=1)), 2),
    "class": lambda: Mine(DiagonalGaussian(mlp([10, 8, 4], rng=0), 0.0),
                          BernoulliPixels(mlp([2, 8, 10], rng=1)), 2),
    "dropout": lambda: changed(VAE.dense(10, 2, (8,), rng=0)),
}  # fmt: skip


def changed(vae):
    vae.encoder.network.append(nn.Dropout(0.1))
    return vae


@pytest.mark.parametrize("name", OTHERS)
def test_another_architecture_is_refused_wherever_weights_would_fit(name, tmp_path):
    x = (np.random.default_rng(0).random((64, 10)) < 0.5).astype(float)
    vae, other = VAE.dense(10, 2, (8,), rng=0), OTHERS[name]()
    before = weights(other).clone()
    training.save(vae, tmp_path / "vae.lfm")
    with pytest.raises(ValueError, match="of another architecture"):
        training.load(tmp_path / "vae.lfm", other)
    options = {"rng": 0, "batch_size": 32, "checkpoint": tmp_path / "run.lfm", "progress": False}
    training.train(vae, x, epochs=1, **options)
    with pytest.raises(ValueError, match="checkpoint of a run with"):
        training.train(other, x, epochs=2, **options)
    assert torch.equal(weights(other), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rng": 1}, "with rng 0; this run has 1"),
        ({"validation": np.zeros((5, 10))}, "with other validation"),
        ({"frozen": True}, r"with frozen \[\]; this run has \['decoder"),
    ],
)
def test_what_differs_on_resuming_is_refused(change, message, tmp_path):
    x = (np.random.default_rng(0).random((64, 10)) < 0.5).astype(float)
    options = {"rng": 0, "batch_size": 32, "checkpoint": tmp_path / "run.lfm", "progress": False}
    training.train(VAE.dense(10, 2, (8,), rng=0), x, epochs=1, **options)
    vae = VAE.dense(10, 2, (8,), rng=0)
    vae.decoder.requires_grad_(not change.pop("frozen", False))
    with pytest.raises(ValueError, match=message):
        training.train(vae, x, epochs=2, **(options | change))


def test_a_mixture_of_other_data_of_the_same_size_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        data.write_shards(tmp_path / name, rng.normal(size=(60, 2)))
    arguments = ["mixture", "--components", "2", "--checkpoint", str(tmp_path / "c"), "--data"]
    distributed.main([*arguments, str(tmp_path / "a")])
    with pytest.raises(SystemExit, match="of another run"):
        distributed.main([*arguments, str(tmp_path / "b")])


# ------------------------------------------------------------------ float32


def test_float32_data_are_computed_with_in_double_precision():
    x = (1e7 + np.arange(10)).repeat(10)[:, None]
    prior = NormalGammaPrior(1e7, 1e-3, 1.0, 1.0)
    fits = [em.fit(BayesianGaussian(prior), x.astype(t)) for t in (np.float64, np.float32)]
    assert fits[0].model == fits[1].model
    q = BayesianGaussian(NormalGammaPrior(1e6 + 0.3, 1.0, 1.0, 1.0), 1e6 + 0.3, 100.0, 50.0, 1.0)
    y = (np.random.default_rng(0).normal(size=(9, 1)) + 1e6).astype(np.float32)
    np.testing.assert_array_equal(q.log_prob(y), q.log_prob(y.astype(float)))
    m, t = y[:, 0], np.abs(y[:, 0] - np.float32(1e6))
    for log_prob in (q.log_q, q.prior.log_prob):
        np.testing.assert_array_equal(log_prob(m, t), log_prob(m.astype(float), t.astype(float)))


@pytest.mark.parametrize("offset", [0.0, 5000.0])
def test_scores_of_float32_codes_are_those_of_the_same_numbers(offset):
    rng = np.random.default_rng(0)
    truth, labels = rng.normal(size=(3000, 2)), rng.integers(3, size=3000)
    codes = (truth + 0.1 * rng.normal(size=truth.shape) + offset).astype(np.float32)
    for score in (
        lambda z: dci(z, truth)[:3],
        lambda z: dci(truth, z)[:3],
        lambda z: mutual_information_gap(z, truth),
        lambda z: match_factors(z, truth).correlation,
        lambda z: few_label_accuracy(z, labels, 60, rng=0),
        lambda z: neighbour_score(z, labels),
        lambda z: attribute_control(z, truth, z, truth).r2,
    ):
        np.testing.assert_array_equal(score(codes), score(codes.astype(float)))


# ------------------------------------------------------------------ codes that tie


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_factors_that_do_not_vary_are_left_out(dtype):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(2000, 3)).astype(dtype)
    for constant in (0.0, 1.9, 123.456, -1e-20, 1e20):
        factors = np.column_stack([codes[:, :2], np.full(2000, constant, dtype)])
        found = dci(codes, factors)
        np.testing.assert_allclose(found[:3], (1, 1, 1), atol=1e-6)
        assert (found.importance[:, 2] == 0).all()
        np.testing.assert_allclose(mutual_information_gap(codes, factors),
                                   mutual_information_gap(codes, codes[:, :2]))  # fmt: skip
        assert abs(match_factors(codes, factors).correlation[2]) == 0
        with pytest.raises(ValueError, match="ordered has an attribute of one value only"):
            attribute_control(codes, factors, codes, factors)


def test_codes_that_tie_give_what_the_docstrings_say():
    rng = np.random.default_rng(0)
    truth, labels = rng.normal(size=(600, 2)), rng.integers(3, size=600)
    constant, twice = np.full((600, 2), 1.9), np.hstack([truth, truth])
    few = rng.integers(3, size=(600, 2)).astype(float)
    assert dci(constant, truth)[:3] == (0, 0, 0)
    assert (mutual_information(constant, truth) == 0).all()
    assert mutual_information_gap(twice, truth) == 0
    np.testing.assert_allclose(dci(twice, truth).informativeness, 1)
    np.testing.assert_allclose(mutual_information_gap(few, few), 1, atol=0.02)
    for codes in (constant, few, np.repeat(truth[:60], 10, axis=0)):
        order = rng.permutation(600)  # nothing depends on the order in which equal data come
        scores = neighbour_score(codes, labels), neighbour_score(codes[order], labels[order])
        np.testing.assert_allclose(*scores, rtol=1e-12)
    share = np.mean([(labels == k).sum() - 1 for k in labels]) / 599
    np.testing.assert_allclose(neighbour_score(constant, labels), share)  # any other datum
    switched = (rng.random(2000) < 0.03).astype(float)  # a code that is 0 for almost all data
    code = switched * (1 + rng.random(2000))
    found = mutual_information(np.column_stack([code, -code]), switched[:, None])
    entropy = mutual_information(switched[:, None], switched[:, None])
    np.testing.assert_allclose(found, np.tile(entropy, (2, 1)), rtol=1e-9)
    bad = truth.copy()
    bad[7, 1] = np.nan
    for score in (
        lambda z: dci(z, truth),
        lambda z: neighbour_score(z, labels),
        lambda z: mutual_information(z, truth),
        lambda z: match_factors(z, truth),
    ):
        with pytest.raises(ValueError, match=r"has 1 values that are not finite"):
            score(bad)
    with pytest.raises(ValueError, match="labels has 600 values that are not finite"):
        neighbour_score(truth, np.full(600, np.nan))


@pytest.mark.parametrize("kind", [np.exp, np.cbrt, lambda z: 1e9 + 3 * z])
def test_information_is_the_same_for_any_increasing_transformation(kind):
    rng = np.random.default_rng(1)
    codes, truth = rng.integers(40, size=(500, 2)) / 7, rng.normal(size=(500, 2))
    np.testing.assert_array_equal(
        mutual_information(kind(codes), truth), mutual_information(codes, truth)
    )


# ------------------------------------------------------------------ who is to blame


@pytest.mark.parametrize("kind", ["poisson", "bits", "one-hot", "sparse"])
def test_counts_that_collapse_are_named_as_that(kind):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n, d, k = int(rng.integers(10, 200)), int(rng.integers(1, 4)), int(rng.integers(2, 6))
        x = {
            "poisson": lambda n=n, d=d, rng=rng: rng.poisson(1.0, (n, d)),
            "bits": lambda n=n, d=d, rng=rng: (rng.random((n, d)) < 0.3).astype(np.uint8),
            "one-hot": lambda n=n, rng=rng: np.eye(3)[rng.integers(3, size=n)],
            "sparse": lambda n=n, d=d, rng=rng: rng.poisson(0.3, (n, d)) * rng.normal(size=(n, d)),
        }[kind]()
        try:
            fit = em.fit(GaussianMixture.init(x, k, rng=seed), x, max_iter=200)
        except DegenerateComponent as error:
            assert "prior=InverseWishart.from_data" in str(error)  # noqa: PT017 - either will do
        else:
            assert np.isfinite(fit.bounds).all()


def test_the_count_data_that_were_reported():
    rng = np.random.default_rng(138)
    n, d, k = int(rng.integers(10, 200)), int(rng.integers(1, 4)), int(rng.integers(2, 6))
    x = rng.poisson(1.0, (n, d))
    for shift in (0, 1):
        with pytest.raises(DegenerateComponent, match="Pass"):
            em.fit(GaussianMixture.init(x + shift, k, rng=138), x + shift)


def test_a_folder_is_not_a_missing_file(tmp_path):
    vae = VAE.dense(4, 2, (8,), rng=0)
    x = np.zeros((20, 4))
    for call in (
        lambda: training.load(tmp_path),
        lambda: training.save(vae, tmp_path),
        lambda: training.train(vae, x, epochs=1, batch_size=4, rng=0, checkpoint=tmp_path),
        lambda: data.load(tmp_path, "0" * 64),
        lambda: data.fetch("http://127.0.0.1:9/x", tmp_path, "0" * 64),
        lambda: distributed.load(tmp_path),
    ):
        with pytest.raises(IsADirectoryError, match="is a folder; wanted"):
            call()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file; wanted a folder of shards"):
        data.Shards(tmp_path / "file")


# ------------------------------------------------------------------ judged too early


def diverging():
    rng = np.random.default_rng(0)
    x = (rng.random((256, 6)) < 0.5) * 3.0 - 1
    return x, VAE.dense(6, 2, (32,), rng=0, decoder=DiagonalGaussian)


@pytest.mark.parametrize("epochs", [1, 30])
def test_what_the_last_step_of_an_epoch_breaks_is_found_at_once(epochs, tmp_path):
    x, vae = diverging()
    path = tmp_path / "run.lfm"
    with pytest.raises(TrainingDiverged, match=r"after step 1 \(epoch 1\)"):
        training.train(vae, x, epochs=epochs, batch_size=256, lr=3.0, rng=0, checkpoint=path,
                       progress=False)  # fmt: skip
    eps = np.random.default_rng(0).normal(size=(1, 256, 2))
    for sound in (vae, training.load(path)):
        assert torch.isfinite(sound.loss(x, eps))


# ------------------------------------------------------------------ forms of input


def test_every_score_takes_a_conditional_vae():
    rng = np.random.default_rng(0)
    x = np.hstack([rng.random((30, 8)) < 0.5, rng.normal(size=(30, 2))])
    vae = conditional()
    assert evaluation.reconstruct(vae, x).shape == (30, 8)
    assert np.isfinite(evaluation.kl_split(vae, x, rng=0)).all()
    found = evaluation.gaps(vae, x, rng=0, steps=30, n_samples=500)
    by_samples = evaluation.log_likelihood(vae, x, 5000, rng=0)
    np.testing.assert_allclose(found.log_prob, by_samples, atol=0.05)
    assert (found.network <= found.log_prob + 0.1).all()


# ------------------------------------------------------------------ two at once, and odd places


def test_links_lead_where_they_lead_and_odd_places_are_named(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "link")
    os.symlink(tmp_path / "disk" / "vae.lfm", tmp_path / "vae.lfm")
    vae = VAE.dense(4, 2, (8,), rng=0)
    training.save(vae, tmp_path / "vae.lfm")
    assert (tmp_path / "vae.lfm").is_symlink()
    assert repr(training.load(tmp_path / "disk" / "vae.lfm")) == repr(vae)
    data.write_shards(tmp_path / "link" / "x", GEYSER)
    assert len(data.Shards(tmp_path / "disk" / "x")) == 272
    os.symlink(tmp_path / "circle", tmp_path / "circle")
    with pytest.raises((ValueError, OSError), match="circle"):
        data.Shards(tmp_path / "circle")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for here in (".", tmp_path / "empty"):
        with pytest.raises(FileExistsError, match="is the current folder"):
            data.write_shards(here, GEYSER)
    monkeypatch.setenv("HOME", str(tmp_path))
    data.write_shards("~/home", GEYSER)
    assert len(data.Shards(tmp_path / "home")) == 272
    assert not (tmp_path / "empty" / "~").exists()


# ------------------------------------------------------------------ networks of one's own


def own(layer):
    encoder = nn.Sequential(nn.Linear(6, 16), layer(), nn.ReLU(), nn.Linear(16, 4))
    decoder = nn.Sequential(nn.Linear(2, 16), layer(), nn.ReLU(), nn.Linear(16, 6))
    return VAE(DiagonalGaussian(encoder, floor=0.0), BernoulliPixels(decoder), 2)


class Scaled(nn.Module):
    """A network of one's own whose picture in words does not say all, and that keeps a state."""

    def __init__(self, k):
        super().__init__()
        self.layer, self.k = nn.Linear(6, 4), k

    def forward(self, x):
        return self.k * self.layer(x)

    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        assert state == {"calls": 3}


def scaled(k):
    torch.manual_seed(0)
    return VAE(DiagonalGaussian(Scaled(k), 0.0), BernoulliPixels(mlp([2, 6], rng=0)), 2)


def test_networks_that_compute_something_else_are_another_run(tmp_path):
    x = (np.random.default_rng(0).random((64, 6)) < 0.5).astype(float)
    options = {"rng": np.int64(0), "batch_size": 32, "checkpoint": tmp_path / "run.lfm"}
    training.train(scaled(1.0), x, epochs=1, **options)
    training.train(scaled(1.0), x, epochs=2, **options)
    with pytest.raises(ValueError, match="run with other networks: its weights give a bound of"):
        training.train(scaled(5.0), x, epochs=3, **options)
    training.save(scaled(1.0), tmp_path / "vae.lfm")
    assert torch.equal(
        weights(training.load(tmp_path / "vae.lfm", scaled(1.0))), weights(scaled(1))
    )


def test_batchnorm_of_data_far_from_zero_has_not_diverged():
    x = 1000 + np.random.default_rng(0).normal(size=(128, 6))
    encoder = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4))
    vae = VAE(DiagonalGaussian(encoder, 0.0), SharedGaussian(nn.Linear(2, 6)), 2)
    assert len(training.train(vae, x, epochs=3, batch_size=128, rng=0).bound) == 3


def test_a_run_with_dropout_goes_on_to_the_weights_it_would_have_had(tmp_path):
    x = (np.random.default_rng(0).random((200, 6)) < 0.5).astype(float)
    ends = []
    for epochs in ([4], [2, 4]):
        path = tmp_path / f"{len(epochs)}.lfm"
        for e in epochs:
            torch.manual_seed(1)
            vae = own(lambda: nn.Dropout(0.5))
            training.train(vae, x, epochs=e, rng=0, batch_size=50, checkpoint=path, progress=False)
        ends.append(weights(vae))
    assert torch.equal(*ends)


# ------------------------------------------------------------------ cost


def test_k_means_is_linear_in_the_number_of_centres():
    x = np.random.default_rng(0).normal(size=(4000, 2))
    seconds = []
    for k in (50, 800):
        runs = []
        for _ in range(3):
            start = time.process_time()
            k_means(x, k, rng=0, max_iter=1)
            runs.append(time.process_time() - start)
        seconds.append(min(runs))
    assert seconds[1] < 64 * seconds[0]  # 16 times the centres; by squares it would be 256


# ------------------------------------------------------------------ precision in the tails


@pytest.mark.parametrize("shape", [0.3, 1.0, 5.5, 60.0])
@pytest.mark.parametrize("prec", [0.5, 1000.0])
def test_the_predictive_is_as_precise_as_it_says_however_far_out(shape, prec):
    q = BayesianGaussian(NormalGammaPrior(0.0, 1.0, 1.0, 1.0), 2.0, prec, shape, 3.0)
    for x in (2.0, 7.0, -40.0, 1e3, -1e6):
        a, b, y = mpmath.mpf(shape), mpmath.mpf(3), mpmath.mpf(x) - 2

        def integrand(u, a=a, b=b, y=y):
            var = mpmath.exp(-u) + 1 / mpmath.mpf(prec)
            log_gamma = a * u - b * mpmath.exp(u) + a * mpmath.log(b) - mpmath.loggamma(a)
            return mpmath.exp(log_gamma - y**2 / (2 * var)) / mpmath.sqrt(2 * mpmath.pi * var)

        low = float(mpmath.log(a / (b + y**2 / 2)) - 50 / a - 12 / mpmath.sqrt(a))
        high = float(mpmath.log((a + 60 + 12 * mpmath.sqrt(a)) / b))
        pieces = np.linspace(low, high, int(max(30, (high - low) * np.sqrt(shape + 1))))
        exact = mpmath.log(mpmath.quad(integrand, list(pieces), maxdegree=4))
        found = q.log_prob([[x]])[0]
        assert abs(found - exact) < 1e-9 * max(1, abs(exact))


# ------------------------------------------------------------------ the shell


@pytest.mark.parametrize("none", [["--epochs", "0"], ["--steps", "0"]])
def test_a_run_of_no_epochs_says_so(none, tmp_path, capsys):
    training.main(["--data", "digits", "--latent", "2", "--checkpoint", str(tmp_path / "r"), *none])
    assert "0 epochs" in capsys.readouterr().out
    assert isinstance(training.load(tmp_path / "r" / "vae.lfm"), VAE)


def test_a_place_that_cannot_be_written_is_named_before_anything_is_trained(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(training.Run, "one_epoch", lambda *_: pytest.fail("it trained"))
    with pytest.raises(SystemExit, match="file"):
        training.main(["--data", "digits", "--checkpoint", str(tmp_path / "file" / "run")])
    data.write_shards(tmp_path / "x", GEYSER)
    with pytest.raises(SystemExit, match=r"rank 0: .*file"):
        distributed.main(["mixture", "--data", str(tmp_path / "x"), "--components", "2",
                          "--checkpoint", str(tmp_path / "file" / "run")])  # fmt: skip


def test_home_is_home_in_the_shell(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    training.main(["--data", "digits", "--latent", "2", "--epochs", "0", "--checkpoint", "~/run"])
    checks.main(["exam", "--seed", "1", "--chapters", "01", "--out", "~/exam"])
    data.write_shards("x", GEYSER)
    distributed.main(["mixture", "--data", "~/x", "--components", "2", "--checkpoint", "~/m.lfm"])
    assert {p.name for p in tmp_path.iterdir()} == {"run", "exam", "x", "m.lfm"}


@pytest.mark.parametrize("arguments", [["--out", "~nosuch/x"], ["--out", "x" * 300]])
def test_a_place_that_cannot_be_is_one_line_in_the_shell(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        checks.main(["exam", "--seed", "1", *arguments])
    assert end.value.code != 0
    with pytest.raises(SystemExit, match="rank 0: ValueError: checkpoint is '~nosuch/x'"):
        distributed.main(
            ["mixture", "--data", "x", "--components", "2", "--checkpoint", "~nosuch/x"]
        )
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"file is a file; wanted a folder, for"):
        training.main(["--data", "digits", "--checkpoint", "file"])
    (tmp_path / "run" / "samples.png").mkdir(parents=True)
    monkeypatch.setattr(training, "train", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(SystemExit, match=r"samples\.png is a folder"):
        training.main(["--data", "digits", "--checkpoint", "run"])


@pytest.mark.parametrize("main", [
    lambda path: training.main(["--data", "digits", "--checkpoint", str(path / "run")]),
    lambda path: distributed.main(["vae", "--data", str(path / "x"), "--latent", "2"]),
])  # fmt: skip
def test_ctrl_c_is_one_line(main, tmp_path, monkeypatch, capsys):
    data.write_shards(tmp_path / "x", BYTES)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.Run, "one_step", interrupted)
    with pytest.raises(SystemExit) as end:
        main(tmp_path)
    assert end.value.code == 130
    seen = capsys.readouterr()
    assert "stopped; the same command goes on" in seen.out + seen.err


def test_files_of_several_kinds_are_not_mixed(tmp_path):
    (tmp_path / "x").mkdir()
    np.save(tmp_path / "x" / "0.npy", BYTES)
    np.save(tmp_path / "x" / "1.npy", BYTES / 255)
    with pytest.raises(SystemExit, match=r"data holds float64 and uint8 files; wanted .* one kind"):
        distributed.main(["vae", "--data", str(tmp_path / "x"), "--latent", "2", "--epochs", "1"])


class Mute(Exception):
    def __str__(self):
        raise ValueError("not even that")


class Shy:
    @property
    def requires_grad(self):
        raise RuntimeError("do not ask")


def raising(error):
    raise error


@pytest.mark.parametrize("answer", [
    lambda q, p: raising(Mute()), lambda q, p: raising(GeneratorExit()), lambda q, p: Shy(),
])  # fmt: skip
def test_whatever_an_answer_does_a_verdict_comes_of_it(answer):
    assert not checks.check("lower-bound", answer)


def test_single_precision_is_told_from_a_wrong_formula():
    said = checks.check("divergence", lambda q, p: np.float32((q * np.log(q / p)).sum()))
    wrong = checks.check("divergence", lambda q, p: np.float32((p * np.log(p / q)).sum()))
    assert said.passed or "single precision" in said.message
    assert "single precision" not in wrong.message


def test_exit_in_an_answer_is_a_verdict():
    verdict = checks.check("lower-bound", lambda q, p: sys.exit("bye"))
    assert not verdict.passed
    assert "the function raised SystemExit: bye" in verdict.message
