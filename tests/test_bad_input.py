"""Every public entry and every wrong value for each of its arguments: sound, or refused by name.

One table, `CASES`, has a call that works for every public function, class and method of `lfm`; one
without an entry fails a test. `WRONG` has what is tried for each argument in turn. What may come
of it: a result that is finite, or a `ValueError` or `TypeError` (or what the entry documents) whose
message names an argument. Never another error, a warning, a NaN, or an input that changed. What an
entry must refuse, by which exception and in which words, stands in `REFUSED`; what all data, seeds
and counts must be in `BAD_DATA`, `BAD_SEEDS` and `BAD_SIZES`.
"""

import importlib
import inspect
import io
import pkgutil
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

import lfm
from lfm import bound, checks, data, distributed, em, evaluation, gradients, scale, training, vae
from lfm import factor_analysis as fa
from lfm import gaussian_mixture as gm
from lfm import variational_bayes as vb
from lfm import variational_em as ve
from lfm.distributions import Bernoulli, Categorical, InverseWishart, LinearGaussian
from lfm.engine import progress
from lfm.engine.moments import Moments
from lfm.scale import acceleration, architectures
from lfm.toy import TwoBells

rng = np.random.default_rng(0)
X = rng.normal(size=(12, 2))
X1 = X[:, :1].copy()
TABLE = np.log([[0.1, 0.4], [0.3, 0.2]])
Q = np.array([[0.2, 0.8], [0.5, 0.5]])
EYE = np.eye(2)

MIXTURE = gm.GaussianMixture([0.4, 0.6], [[0, 0], [1, 1]], [EYE, 2 * EYE])
FACTORS = fa.FactorAnalysis([[1.0], [0.5]], [0.0, 0.0], [1.0, 2.0])
SWITCHES = ve.BinaryFactors([[1.0], [0.5]], [0.0, 0.0], 1.0, [0.3])
GAUSSIAN = vb.BayesianGaussian(vb.NormalGammaPrior(0.0, 1.0, 1.0, 1.0))
BAYES = vb.BayesianMixture.init(X, 2, rng=0)
BELLS = TwoBells(1.0)
MODELS = {  # model, data, and a model of other sizes with data of its own
    "gaussian_mixture.GaussianMixture": (
        MIXTURE, X, gm.GaussianMixture.init(rng.normal(size=(30, 3)), 3, rng=0)
    ),
    "factor_analysis.FactorAnalysis": (
        FACTORS, X, fa.FactorAnalysis.init(rng.normal(size=(30, 4)), 2)
    ),
    "variational_em.BinaryFactors": (
        SWITCHES, X, ve.BinaryFactors.init(rng.normal(size=(30, 3)), 2, rng=0)
    ),
    "variational_bayes.BayesianGaussian": (GAUSSIAN, X1, None),
    "variational_bayes.BayesianMixture": (
        BAYES, X, vb.BayesianMixture.init(rng.normal(size=(30, 3)), 3, rng=0)
    ),
    "toy.TwoBells": (BELLS, X1, None),
}  # fmt: skip


def stats_of(model, x):
    return model.expect(x, model.infer(x))


def own_data(model):
    return model.sample(20, rng=0)[0]


BITS = (X > 0).astype(float)
DEEP = vae.VAE.dense(2, 2, (4,), rng=0, decoder=vae.SharedGaussian).double()
LINE = vae.linear_vae(2, 1, rng=0)
PIXELS = vae.VAE.dense(2, 2, (4,), rng=0)
GIVEN = vae.ConditionalVAE(
    vae.DiagonalGaussian(vae.mlp([3, 4], rng=0)), vae.SharedGaussian(vae.mlp([3, 2], rng=0)), 2, 1
)
EPS = rng.normal(size=(3, 12, 2))
NETWORK = vae.mlp([2, 4], rng=0)
NORMAL = DEEP.infer(X)
ZERO = "0" * 64


class Folder:
    """A stand-in for a path in the folder of the running test, resolved when it is called."""

    def __init__(self, name):
        self.name = name


# ------------------------------------------------------------------ what is tried


class Unfinished:
    """An object that does not know what it is."""

    def __len__(self):
        raise RuntimeError("len of this was asked")


def read_only(a):
    a = np.array(a)
    a.flags.writeable = False
    return a


WRONG = {
    "None": lambda: None,
    "True": lambda: True,
    "zero": lambda: 0,
    "one": lambda: 1,
    "minus one": lambda: -1,
    "a fraction": lambda: 1.5,
    "NaN": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "a huge count": lambda: 10**30,
    "a huge number": lambda: 1e300,
    "complex": lambda: 1j,
    "text": lambda: "text",
    "no text": lambda: "",
    "a null": lambda: "a\0b",
    "bytes": lambda: b"text",
    "an object": lambda: object(),
    "a type": lambda: dict,
    "a function": lambda: lambda *a, **k: None,
    "a set": lambda: {1, 2},
    "a dictionary": lambda: {"a": 1},
    "an empty list": list,
    "a list of texts": lambda: ["a", "b"],
    "a list of None": lambda: [None, None],
    "a ragged list": lambda: [[1.0, 2.0], [3.0]],
    "a generator": lambda: (i for i in range(3)),
    "a 0-D array": lambda: np.array(1.0),
    "a 1-D array": lambda: np.array([0.5, 0.5]),
    "a short array": lambda: np.ones((1, 2)),
    "a 3-D array": lambda: np.ones((2, 2, 2)),
    "a 9-D array": lambda: np.ones((1,) * 9),
    "no rows": lambda: np.ones((0, 2)),
    "no columns": lambda: np.ones((2, 0)),
    "NaN inside": lambda: np.where(np.arange(24).reshape(12, 2) == 5, np.nan, X),
    "inf inside": lambda: np.where(np.arange(24).reshape(12, 2) == 5, np.inf, X),
    "too large": lambda: 1e300 * X,
    "other columns": lambda: np.ones((12, 7)),
    "complex array": lambda: X + 1j,
    "objects": lambda: X.astype(object),
    "texts": lambda: X.astype(str),
    "dates": lambda: np.full((12, 2), np.datetime64("2020-01-01")),
    "records": lambda: np.zeros(12, dtype=[("a", float), ("b", float)]),
    "masked": lambda: np.ma.masked_array(X, mask=X > 0.5),
    "a sparse thing": lambda: memoryview(b"abc"),
    "a class of the user's": Unfinished,
}
# Right values in forms that people have them in; sound or refused as well.
FORMS = {
    "bool": lambda x: x > 0,
    "integers": lambda x: np.round(3 * x).astype(np.int64),
    "bytes": lambda x: np.abs(np.round(3 * x)).astype(np.uint8),
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "long double": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(">f8"),
    "Fortran": np.asfortranarray,
    "reversed": lambda x: x[::-1][::-1],
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "read-only": read_only,
    "a list": lambda x: x.tolist(),
    "zeros": np.zeros_like,
    "constant": lambda x: np.full_like(x, 7.25),
    "tiny": lambda x: 1e-9 * x,
    "subnormal": lambda x: 1e-310 * x,
    "far off": lambda x: 1e8 + x,
    "large": lambda x: 1e9 * x,
    "duplicates": lambda x: np.repeat(x[:1], len(x), axis=0) if x.ndim else x,
    "one": lambda x: x[:1] if x.ndim else x,
}


# Networks are made for data scaled to about 1; beyond that their exponentials overflow.
UNSCALED = ("far off", "large")
CALLED = ("a type",)  # what a function of the user's raises is for the user


@dataclass
class Case:
    """A call that works, and how far its arguments may be spoiled."""

    name: str
    call: object
    good: dict
    errors: tuple
    infinite: bool  # -inf or inf are answers too
    wrong: dict  # more wrong values for one argument
    free: tuple  # arguments of which everything is taken as it is
    but: tuple  # kinds of values that are not tried


def case(call, *, of=None, errors=(), infinite=False, wrong=None, free=(), but=(), **good):
    """Return a case by the name of what is called, or, where that is a way to call it, by `of`."""
    name = of or f"{call.__module__.rpartition('.')[2]}.{call.__qualname__}"
    errors = (ValueError, TypeError, *errors)
    return Case(name, call, good, errors, infinite, wrong or {}, free, but)


CASES = {c.name: c for c in [
    case(bound.log_marginal, log_joint=TABLE, infinite=True),
    case(bound.posterior, log_joint=TABLE),
    case(bound.expected_log_joint, q=Q, log_joint=TABLE, infinite=True),
    case(bound.entropy, q=Q),
    case(bound.lower_bound, q=Q, log_joint=TABLE, infinite=True),
    case(bound.rearranged, q=Q, log_likelihood=TABLE, prior=Q, infinite=True),
    case(bound.kl, q=Q, p=Q[::-1].copy(), infinite=True),
    case(bound.decompose, q=Q, log_joint=TABLE, infinite=True),
    case(bound.gradient, q=Q, grad_log_joint=TABLE),
    case(
        bound.gaussian_kl, mean1=[0.0, 1.0], cov1=EYE, mean2=[1.0, 0.0], cov2=2 * EYE,
        infinite=True,
    ),
    case(checks.exercises, chapter="01"),
    case(checks.quizzes, chapter="01"),
    case(checks.check, name="lower-bound", answer=lambda q, p: 0.0),
    case(checks.exam, seed=1, chapters=["01"], questions=1),
    case(data.load, path="none.npy", sha256=ZERO, key=None, errors=(OSError,)),
    case(data.fetch, url="http://127.0.0.1:1/a", path=Folder("a"), sha256=ZERO, errors=(OSError,)),
    case(data.cache_folder),
    case(data.old_faithful),
    case(data.digits),
    case(data.mnist, train=True),
    case(data.fashion, train=True),
    case(data.Shards, folder=Folder("none"), batch_size=None, errors=(OSError,)),
    case(
        lambda **k: data.write_shards(Path("shards"), X, rows=3).part(**k),
        of="shards.Shards.part", rank=0, world=2,
    ),
    case(
        lambda **k: data.write_shards(Path("shards"), X, rows=3).sample(**k),
        of="shards.Shards.sample", n=2, rng=0,
    ),
    case(data.write_shards, folder=Folder("new"), x=X, rows=5, errors=(OSError,)),
    case(data.bars, n=3, rng=0, size=2, prob=0.5, noise=0.1),
    case(data.three_blobs, n=3, rng=0),
    case(data.overlapping, n=3, rng=0),
    case(data.thin_blobs, n=3, rng=0),
    case(lambda **k: distributed.processes(**k).__enter__(), of="processes.processes", timeout=1.0),
    case(distributed.total, part=stats_of(MIXTURE, X)),
    case(distributed.from_rank_0, value=1.0, free=("value",)),
    case(distributed.load, path="none.lfm", errors=(OSError,)),
    case(Categorical, probs=Q),
    case(Categorical(Q).entropy),
    case(Categorical(Q).mode),
    case(Categorical(Q).sample, rng=0),
    case(Bernoulli, probs=Q),
    case(Bernoulli(Q).entropy),
    case(Bernoulli(Q).total_cov),
    case(Bernoulli(Q).mode),
    case(Bernoulli(Q).sample, rng=0),
    case(LinearGaussian, weights=[[1.0, 2.0]], offset=[0.0, 1.0], cov=[[2.0]]),
    case(FACTORS.infer(X).mean, x=X),
    case(FACTORS.infer(X).entropy),
    case(FACTORS.infer(X).sample, x=X, rng=0),
    case(InverseWishart, dof=4.0, scale=EYE),
    case(InverseWishart.from_data, x=X, n_components=2),
    case(InverseWishart(4.0, EYE).log_prob, cov=EYE, infinite=True),
    case(
        lambda **k: list(zip(range(4), em.steps(**k), strict=False)), of="em.steps", model=MIXTURE,
        x=X, q=None, batch_size=None, total=None, but=CALLED,
    ),
    case(
        em.fit, model=MIXTURE, x=X, q=None, max_iter=2, tol=1e-3, batch_size=None, total=None,
        progress=None, but=CALLED,
    ),
    case(
        acceleration.fit, model=FACTORS, x=X, max_iter=2, tol=1e-3, progress=None, but=CALLED,
    ),
    case(
        lambda **k: list(scale.online(**k)), of="streams.online", model=MIXTURE, x=[X, X],
        power=0.6, delay=1,
    ),
    case(
        evaluation.few_label_accuracy, x=X, labels=np.arange(12) % 2, n_labels=4, rng=0, ridge=0.0,
    ),
    case(evaluation.match_factors, found=X, truth=X[::-1].copy()),
    case(
        evaluation.sampled_evidence, x=X, n_components=2, prior=BAYES.prior, rng=0, particles=3,
    ),
    case(evaluation.log_likelihood, vae=DEEP, x=X, n_samples=2, rng=0),
    case(evaluation.active_units, vae=DEEP, x=X, threshold=0.01),
    case(evaluation.reconstruct, vae=DEEP, x=X),
    case(evaluation.log_prob_on_a_grid, vae=DEEP, x=X, points=5, reach=3.0),
    case(evaluation.gaps, vae=LINE, x=X, rng=0, full=False, steps=2, n_samples=3),
    case(evaluation.kl_split, vae=DEEP, x=X, rng=0),
    case(evaluation.mutual_information, codes=X, factors=X[::-1].copy(), bins=3),
    case(evaluation.mutual_information_gap, codes=X, factors=X[::-1].copy(), bins=3),
    case(evaluation.dci, codes=X, factors=X[::-1].copy()),
    case(
        evaluation.attribute_control, images=X, ordered=X[::-1].copy(), judge_images=X,
        judge_attributes=X, tolerance=0.5,
    ),
    case(evaluation.neighbour_score, codes=X, labels=np.arange(12) % 2, n_neighbours=3),
    case(data.faces(2, rng=0).column, name="glasses"),
    case(data.faces, n=2, rng=0, glasses=1, mouth_curve=0.5),
    case(
        fa.FactorAnalysis, loadings=[[1.0], [0.5]], mean=[0.0, 0.0], noise=[1.0, 2.0],
        isotropic=False,
    ),
    case(fa.FactorAnalysis.init, x=X, n_factors=1, rng=None, isotropic=False, free=("rng",)),
    case(fa.FactorAnalysis.ppca, x=X, n_factors=1),
    case(FACTORS.summarise, x=X),
    case(FACTORS.uniqueness),
    case(
        gm.GaussianMixture, weights=[0.4, 0.6], means=X[:2].copy(), covs=np.array([EYE, 2 * EYE]),
        prior=None,
    ),
    case(gm.GaussianMixture.init, x=X, n_components=2, rng=0, prior=InverseWishart(4.0, EYE)),
    case(MIXTURE.infer_and_expect, x=X),
    case(BAYES.infer_and_expect, x=X),
    case(MIXTURE.log_joint, x=X),
    case(MIXTURE.log_prior),
    case(gm.k_means, x=X, n_components=2, rng=0, max_iter=5),
    case(gradients.pathwise_gradient(lambda z: z.sum(1), [0.0], [1.0], [[1.0]]).average),
    case(gradients.monte_carlo, values=X),
    case(gradients.sample, mean=np.zeros(2), scale=np.ones(2), eps=X),
    case(
        gradients.pathwise_gradient, f=lambda z: z.square().sum(1), mean=np.zeros(2),
        scale=np.ones(2), eps=X,
    ),
    case(
        gradients.score_gradient, f=lambda z: z.square().sum(1), mean=np.zeros(2),
        scale=np.ones(2), eps=X, baseline=None, but=CALLED,
    ),
    case(gradients.leave_one_out, values=X[:, 0].copy()),
    case(gradients.minibatch_sum, values=X, n=20),
    case(progress.bar, total=3, progress=False),
    case(
        lambda **k: len(list(progress.watched(**k))), of="progress.watched", items=[1, 2],
        what="work", progress=False, free=("what",), but=("a class of the user's",),
    ),
    case(TwoBells, theta=1.0),
    case(TwoBells.init, x=X1, n_components=2, rng=0),
    case(
        lambda vae, **k: training.train(vae.double() if isinstance(vae, Fresh) else vae, **k ),
        of="training.train", vae=None, x=X, epochs=1, batch_size=4, lr=1e-3, rng=0, device="cpu",
        checkpoint=None, progress=False, validation=None, binarise=False, bfloat16=False,
        steps=None, errors=(OSError, training.TrainingDiverged),
    ),
    case(training.announce, minutes=3.0),
    case(training.save, vae=DEEP, path=Folder("vae.lfm"), errors=(OSError,)),
    case(training.load, path="none.lfm", vae=None, errors=(OSError,)),
    case(vae.mlp, sizes=[2, 3], rng=0, activation="relu"),
    case(vae.conv_encoder, size=4, n_out=2, channels=2, rng=0),
    case(vae.conv_decoder, n_in=2, size=4, n_maps=1, channels=2, rng=0),
    case(vae.Conditional, network=NETWORK),
    case(vae.DiagonalGaussian, network=NETWORK, floor=0.1),
    case(vae.FullGaussian, network=NETWORK, size=1, floor=0.1),
    case(vae.SharedGaussian, network=NETWORK, floor=0.1),
    case(vae.BernoulliPixels, network=NETWORK),
    case(vae.VAE, encoder=DEEP.encoder, decoder=DEEP.decoder, n_factors=2, beta=1.0),
    case(
        vae.VAE.dense, n_columns=2, n_factors=1, hidden=(3,), rng=0, encoder=vae.DiagonalGaussian,
        decoder=vae.BernoulliPixels, activation="relu", beta=1.0,
    ),
    case(PIXELS.checked, x=BITS),
    case(lambda **k: DEEP.infer(**k).mean, of="vae.VAE.infer", x=X),
    case(lambda **k: DEEP.likelihood(**k).mean, of="vae.VAE.likelihood", z=X),
    case(DEEP.terms, x=X, eps=EPS, but=UNSCALED),
    case(DEEP.lower_bound, x=X, eps=EPS, but=UNSCALED),
    case(DEEP.loss, x=X, eps=EPS, but=UNSCALED),
    case(DEEP.log_prob, x=X, eps=EPS, but=UNSCALED),
    case(DEEP.sample, n=2, rng=0),
    case(vae.linear_vae, n_columns=3, n_factors=2, rng=0),
    case(
        vae.ConditionalVAE, encoder=GIVEN.encoder, decoder=GIVEN.decoder, n_factors=2, n_given=1,
        beta=1.0,
    ),
    case(
        lambda **k: GIVEN.likelihood(**k).mean, of="vae.ConditionalVAE.likelihood",
        zy=np.ones((4, 3)),
    ),
    case(GIVEN.sample, y=X1, rng=0),
    case(architectures.spec, module=DEEP),
    case(architectures.build, parts=architectures.spec(DEEP)),
    case(vb.NormalGammaPrior, mean=0.0, strength=1.0, shape=1.0, rate=1.0),
    case(GAUSSIAN.prior.update, stats=stats_of(GAUSSIAN, X1)),
    case(GAUSSIAN.prior.log_evidence, stats=stats_of(GAUSSIAN, X1)),
    case(GAUSSIAN.prior.log_prob, mean=0.0, prec=[1.0, 2.0]),
    case(vb.BayesianGaussian, prior=GAUSSIAN.prior, mean=0.0, prec=1.0, shape=1.0, rate=1.0),
    case(GAUSSIAN.infer_mean, stats=stats_of(GAUSSIAN, X1)),
    case(GAUSSIAN.infer_prec, stats=stats_of(GAUSSIAN, X1)),
    case(GAUSSIAN.log_q, mean=0.0, prec=[1.0, 2.0]),
    case(vb.MixturePrior, concentration=1.0, mean=[0.0, 0.0], strength=1.0, dof=3.0, scale=EYE),
    case(vb.MixturePrior.from_data, x=X, n_components=2, concentration=1.0),
    case(
        vb.BayesianMixture, prior=BAYES.prior, concentration=BAYES.concentration,
        means=BAYES.means, strengths=BAYES.strengths, dofs=BAYES.dofs, scales=BAYES.scales,
    ),
    case(vb.BayesianMixture.init, x=X, n_components=2, rng=0, prior=None),
    case(
        ve.BinaryFactors, loadings=[[1.0], [0.5]], mean=[0.0, 0.0], noise=1.0, probs=[0.3],
        exact=False, groups=[(0,)], restarts=False,
    ),
    case(ve.BinaryFactors.init, x=X, n_factors=2, rng=0, exact=False),
]}  # fmt: skip


class Fresh(vae.VAE):
    """A VAE that may be trained: each call has one of its own."""


def fresh():
    return Fresh(
        vae.DiagonalGaussian(vae.mlp([2, 4], rng=0)), vae.SharedGaussian(vae.mlp([2, 2], rng=0)), 2
    )


CASES["training.train"].good["vae"] = fresh()

for name, (model, x, other) in MODELS.items():
    q, stats = model.infer(x), stats_of(model, x)
    others = {"another model's": lambda: stats_of(BELLS, X1)}
    if name == "toy.TwoBells":
        others = {"another model's": lambda: stats_of(MIXTURE, X)}
    if other is not None:
        others["of other sizes"] = lambda other=other: stats_of(other, own_data(other))
    made = [
        case(model.infer, x=x),
        case(model.expect, x=x, q=q, free=("q",) if q is None else ()),
        case(model.learn, stats=stats, wrong={"stats": others}),
        case(model.lower_bound, stats=stats, wrong={"stats": others}),
        case(model.log_prob, x=x),
        case(model.sample, n=3, rng=0),
    ]
    if hasattr(model, "rounding"):
        made.append(case(model.rounding, stats=stats, wrong={"stats": others}))
    CASES |= {c.name: c for c in made}

# Public, but not called with a user's values: what they return stands on the entries above.
RECORD = "a record that functions fill in"
INNER = "called by the models with what they have checked"
# Modules of the two doors whose names users call.
BEHIND_DOORS = (
    "engine.files",
    "engine.inputs",
    "scale.shards",
    "scale.architectures",
    "scale.acceleration",
    "scale.streams",
    "scale.processes",
    "scale.mixture_run",
)
SHELL = "called from the shell; see the tests of its module"
NOT_SPOILED = {
    RECORD: [
        "bound.Decomposition", "checks.Verdict", "data.Images", "data.ToyMixture", "data.Bars",
        "em.Stats", "em.Step", "em.Fit", "streams.Update", "evaluation.Match", "evaluation.Gaps",
        "acceleration.Place",
        "evaluation.KLSplit", "evaluation.DCI", "evaluation.Control", "faces.Faces",
        "factor_analysis.FactorStats", "gaussian_mixture.MixtureStats",
        "gradients.Estimate", "gradients.Gradient", "toy.TwoBellsStats", "training.Trace",
        "variational_bayes.GaussianStats", "figures.Picture", "figures.new", "figures.show",
        "figures.png", "figures.describe", "figures.row_names",
    ],
    INNER: [
        "acceleration.expanded", "acceleration.profiled", "vae.VAE.loss_of",
        "distributions.InverseWishart.update", "em.settled", "em.Stats.sums", "em.CentredStats",
        "em.CentredStats.about", "em.CentredStats.sums",
        "factor_analysis.FactorStats.of", "factor_analysis.FactorStats.about",
        "factor_analysis.FactorStats.squares",
        "factor_analysis.FactorStats.floor", "factor_analysis.FactorStats.var",
        "factor_analysis.FactorStats.rounding", "gaussian_mixture.MixtureStats.rounding",
        "gaussian_mixture.MixtureStats.var",
        "factor_analysis.regression", "gaussian_mixture.MixtureStats.about",
        "gaussian_mixture.MixtureStats.means",
        "gaussian_mixture.weighted_sums",
        "gaussian_mixture.MixtureStats.scatter",
        "vae.Conditional.outputs", "vae.Conditional.n_outputs", "vae.DiagonalGaussian.n_outputs",
        "vae.FullGaussian.n_outputs", "inputs.TakesData", "inputs.TakesData.tensor",
        "inputs.TakesData.seen", "inputs.TakesData.explained", "inputs.TakesData.taken",
        "inputs.TakesData.noise", "inputs.TakesData.takes_bits", "inputs.TakesData.n_columns",
        "vae.VAE.takes_bits", "vae.VAE.n_columns", "vae.Conditional.n_inputs", "vae.VAE.decoded",
        "vae.VAE.log_likelihood", "vae.ConditionalVAE.decoded",
        "vae.VAE.extra_repr", "vae.Conditional.extra_repr", "training.Run",
        "training.Run.one_step", "training.Run.one_epoch", "training.Run.drawn",
        "files.whole", "files.write", "files.write_all",
        "inputs.double", "inputs.gaussian", "inputs.values_of", "inputs.samples",
        "inputs.TakesData.rows",
        "files.remove_debris", "files.read", "files.digest", "files.checked_sha256",
        "files.parse_idx", "processes.together", "processes.from_all", "processes.smallest",
        "processes.average", "processes.all_reduce", "processes.contact", "mixture_run.about",
        "mixture_run.outline", "mixture_run.state", "progress.Bar", "progress.Bar.update",
        "vae.DiagonalGaussian.forward", "vae.FullGaussian.forward",
        "vae.SharedGaussian.forward", "vae.BernoulliPixels.forward", "vae.VAE.terms_of",
        "vae.reparametrise", "vae.standard_normal_kl", "vae.draw",
        "variational_bayes.GaussianStats.about", "variational_bayes.GaussianStats.mean",
        "variational_bayes.GaussianStats.scatter", "variational_em.Enumerated",
        "variational_em.Enumerated.entropy", "variational_em.Enumerated.total_cov",
    ],
    "says in words what is wrong with a model of the user's": ["checks.contract"],
    "what a model must have": [
        "em.OptionalParts", "em.OptionalParts.infer_and_expect", "em.OptionalParts.rounding",
        "em.OptionalParts.summarise", "em.Model", "em.Model.infer", "em.Model.expect",
        "em.Model.learn", "em.Model.lower_bound",
    ],
    SHELL: [
        "checks.main", "mixture_run.fit_mixture", "training.main",
    ],
}  # fmt: skip


# ------------------------------------------------------------------ what may come of it


def public_callables():
    """Yield (name, callable): every function, class and method of every public module."""
    public = [m.name for m in pkgutil.iter_modules(lfm.__path__) if not m.name.startswith("_")]
    for path in [*public, "engine.progress", *BEHIND_DOORS]:
        module = path.rpartition(".")[2]
        members = vars(importlib.import_module(f"lfm.{path}"))
        for name, value in members.items():
            own = getattr(value, "__module__", None) == f"lfm.{path}" and callable(value)
            if name.startswith("_") or not own or _is_exception(value):
                continue
            yield f"{module}.{name}", value
            for part in vars(value) if inspect.isclass(value) else ():
                routine = inspect.isroutine(getattr(value, part))
                if routine and not part.startswith("_") and not _is_property(value, part):
                    yield f"{module}.{name}.{part}", getattr(value, part)


def _is_property(value, part):
    return isinstance(vars(value)[part], cached_property)


def _is_exception(value):
    return inspect.isclass(value) and issubclass(value, BaseException)


def test_every_public_callable_has_an_entry_and_every_entry_is_one():
    from test_figures import FIGURES, SHEETS

    found = {name for name, _ in public_callables()}
    excused = [name for names in NOT_SPOILED.values() for name in names]
    drawn = {f"figures.{name}" for name in [*FIGURES, *SHEETS]}
    assert found == {*CASES, *excused, *drawn}
    assert not {*CASES} & {*excused}


def numbers_in(result, depth=0):
    """Yield all arrays of numbers that a result is made of."""
    if isinstance(result, torch.Tensor):
        yield result.detach().numpy()
    elif isinstance(result, np.ndarray | float | np.floating):
        yield np.asarray(result)
    elif isinstance(result, dict):
        yield from numbers_in(list(result.values()), depth)
    elif isinstance(result, list | tuple):
        for item in result:
            yield from numbers_in(item, depth)
    elif is_dataclass(result) and depth < 5:
        yield from numbers_in([getattr(result, f.name) for f in fields(result)], depth + 1)


def assert_sound(result, infinite):
    for a in numbers_in(result):
        if a.dtype.kind == "f":
            assert not np.isnan(a).any()
            assert infinite or np.isfinite(a).all()


def copied(value):
    return value.copy() if isinstance(value, np.ndarray) else value


def unchanged(before, after):
    if isinstance(before, np.ndarray):
        same = before.shape == after.shape and before.dtype == after.dtype
        return same and before.tobytes() == after.tobytes()
    return True


def resolve(value, folder):
    return folder / value.name if isinstance(value, Folder) else value


def outcome(entry: Case, argument: str, value, folder) -> str | None:
    """Return what is wrong with what a call does with a wrong value, or None."""
    arguments = {k: resolve(v, folder) for k, v in entry.good.items()}
    if isinstance(arguments.get("vae"), Fresh):
        arguments["vae"] = fresh()
    arguments[argument] = resolve(value, folder)
    before = {k: copied(v) for k, v in arguments.items()}
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            assert_sound(entry.call(**arguments), entry.infinite)
    except entry.errors as error:
        names = [re.escape(name) for name in arguments]
        names += [re.escape(str(a)) for a in arguments.values() if isinstance(a, str | Path)]
        if not re.search(rf"(?<!\w)({'|'.join(names)})(?!\w)", str(error)):
            return f"{type(error).__name__} that names no argument: {error}"
    except AssertionError:
        return "a result that is not finite"
    except fa.HeywoodCase:  # documented, and an error only here
        pass
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    changed = [k for k in arguments if not unchanged(before[k], arguments[k])]
    return f"{changed} changed" if changed else None


@pytest.mark.parametrize("name", CASES)
def test_wrong_values_are_refused_by_name_and_others_give_sound_results(
    name, tmp_path, monkeypatch
):
    entry, problems = CASES[name], []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LFM_CACHE", str(tmp_path / "cache"))
    for argument, good in entry.good.items():
        if argument in entry.free:
            continue
        values = WRONG | entry.wrong.get(argument, {})
        if isinstance(good, np.ndarray):
            values |= {k: lambda f=f, g=good: f(np.array(g)) for k, f in FORMS.items()}
        for i, (kind, make) in enumerate(values.items()):
            if kind in entry.but:
                continue
            folder = tmp_path / f"{argument}-{i}"
            folder.mkdir()
            monkeypatch.chdir(folder)
            if problem := outcome(entry, argument, make(), folder):
                problems.append(f"{argument} = {kind}: {problem}")
    plt.close("all")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", CASES)
def test_every_entry_works_as_it_stands(name, tmp_path, monkeypatch):
    """Otherwise all that the test above sees could be errors about something else."""
    entry = CASES[name]
    monkeypatch.chdir(tmp_path)
    missing = OSError if name.endswith(("load", "fetch", "Shards")) else ()
    arguments = {k: resolve(v, tmp_path) for k, v in entry.good.items()}
    if missing:
        with pytest.raises(missing, match=r"none|fetched"):
            entry.call(**arguments)
    else:
        assert_sound(entry.call(**arguments), entry.infinite)
    plt.close("all")


# ------------------------------------------------------------------ what is refused, in which words

V, T = ValueError, TypeError
PRIOR = InverseWishart(4.0, EYE)
FOR_THREE = vb.MixturePrior(1.0, np.zeros(3), 1.0, 4.0, np.eye(3))
HALVES = np.full((12, 2), 0.5)
LOOPED = [[1, 0.5], [0, 1]]


def spoiled(x, value):
    """Return data with one value replaced."""
    x = x.copy()
    x[3, -1] = value
    return x


NOT_FINITE = r"x has 1 values that are not finite.*\[3, [01]\]"
BAD_DATA = {
    "NaN": (lambda x: spoiled(x, np.nan), V, NOT_FINITE),
    "inf": (lambda x: spoiled(x, np.inf), V, NOT_FINITE),
    "-inf": (lambda x: spoiled(x, -np.inf), V, NOT_FINITE),
    "NaN in float32": (lambda x: spoiled(x, np.nan).astype(np.float32), V, "x has 1 values"),
    "too large": (lambda x: x * 1e200, V, "x is too large"),
    "1-D": (lambda x: x[:, 0], V, r"x has shape \(12,\); wanted two dimensions.*x\[:, None\]"),
    "3-D": (lambda x: x[None], V, r"x has shape \(1, 12, [12]\)"),
    "a number": (lambda x: 3.0, V, r"x has shape \(\)"),
    "no rows": (lambda x: x[:0], V, r"x has shape \(0, [12]\); wanted at least one row"),
    "no columns": (lambda x: x[:, :0], V, r"x has shape \(12, 0\)"),
    "an empty list": (lambda x: [], V, r"x has shape \(0,\)"),
    "strings": (lambda x: x.astype(str), T, "x holds <U.* values; wanted real numbers"),
    "text": (lambda x: "data", T, "x holds"),
    "objects": (lambda x: x.astype(object), T, "x holds object values"),
    "complex": (lambda x: x + 0j, T, "x holds complex128 values"),
    "dates": (lambda x: np.full((3, 2), np.datetime64("2020-01-01")), T, "x holds datetime64"),
    "None": (lambda x: None, T, "x is None"),
    "ragged": (lambda x: [[1.0, 2.0], [3.0]], V, "x is ragged"),
    "masked": (lambda x: np.ma.masked_array(x, mask=x > 0.5), V, "x has masked values"),
    "an iterator": (lambda x: iter([[1.0, 2.0]]), T, "x is an iterator"),
}
BAD_SEEDS = [(None, T), (True, T), ("a", T), (1.5, T), (-1, V)]
BAD_SIZES = [(0, V), (-1, V), (True, T), (1.5, T), (None, T)]

COMPONENTS = [
    ({"n_components": 0}, V, "n_components is 0; wanted between 1 and 12"),
    ({"n_components": -2}, V, "n_components is -2"),
    ({"n_components": 13}, V, "n_components is 13; wanted between 1 and 12"),
    ({"n_components": True}, T, "n_components is True"),
    ({"n_components": np.True_}, T, "n_components is"),
    ({"n_components": 2.0}, T, "n_components is 2.0"),
    ({"n_components": "2"}, T, "n_components is '2'"),
    ({"n_components": None}, T, "n_components is None"),
]
FACTORS_OF_TWO = [
    ({"n_factors": 2}, V, "n_factors is 2; wanted between 1 and 1"),
    ({"n_factors": 0}, V, "n_factors is 0"),
    ({"n_factors": True}, T, "n_factors is True"),
    ({"n_factors": 1.0}, T, "n_factors is 1.0"),
    ({"x": X1}, V, "x has 1 column; wanted at least 2"),
]
OTHER_SWITCHES = [
    ({"q": Bernoulli(np.full((11, 1), 0.5))}, V, r"q has probs of shape \(11, 1\); wanted \(12, 1"),
    ({"q": HALVES[:, :1]}, T, "q is ndarray; wanted a Bernoulli"),
]
LOADINGS = [
    ({"loadings": [1.0, 0.5]}, V, r"loadings has shape \(2,\); wanted \(any, any\)"),
    ({"mean": [0.0]}, V, r"mean has shape \(1,\); wanted \(2\)"),
]
DENSITIES = [
    ({"prec": [1.0, 0.0]}, V, "prec has the value 0; wanted precisions"),
    ({"mean": [np.nan], "prec": 1.0}, V, "mean has 1 values"),
]
REFUSED = {
    "gaussian_mixture.GaussianMixture": [
        ({"weights": [0.4, 0.5]}, V, "weights does not sum to 1"),
        ({"weights": [-0.2, 1.2]}, V, "weights has the negative value -0.2"),
        ({"weights": [np.nan, 1.0]}, V, "weights has 1 values that are not finite"),
        ({"weights": []}, V, "weights has shape"),
        ({"weights": [[0.4, 0.6]]}, V, r"weights has shape \(1, 2\)"),
        ({"weights": ["a", "b"]}, T, "weights holds"),
        ({"weights": None}, T, "weights is None"),
        ({"weights": [0.2, 0.3, 0.5]}, V, r"means has shape \(2, 2\); wanted \(3, any\)"),
        ({"means": [0, 1]}, V, r"means has shape \(2,\)"),
        ({"means": [[0, np.inf], [1, 1]]}, V, "means has 1 values"),
        ({"means": [[0, 1, 2]] * 2}, V, r"covs has shape \(2, 2, 2\); wanted \(2, 3, 3\)"),
        ({"covs": EYE}, V, r"covs has shape \(2, 2\)"),
        ({"covs": [EYE, -EYE]}, V, r"covs\[1\] is not positive definite"),
        ({"covs": [0 * EYE, EYE]}, V, r"covs\[0\] is not positive"),
        ({"covs": [EYE, LOOPED]}, V, r"covs\[1\] is not symmetric"),
        ({"covs": [EYE, np.nan * np.ones((2, 2))]}, V, "covs has 4 values"),
        ({"covs": [EYE, 1j * EYE]}, T, "covs holds complex128"),
        ({"prior": 0.1}, T, "prior is float; wanted an InverseWishart"),
        ({"prior": InverseWishart(5.0, np.eye(3))}, V, "prior has a scale of 3"),
    ],
    "gaussian_mixture.GaussianMixture.init": COMPONENTS,
    "gaussian_mixture.k_means": COMPONENTS,
    "variational_bayes.BayesianMixture.init": [
        *COMPONENTS,
        ({"prior": FOR_THREE}, V, "prior.mean has 3 columns; wanted 2"),
        ({"prior": PRIOR}, T, "prior is InverseWishart; wanted a MixturePrior"),
    ],
    "gaussian_mixture.GaussianMixture.expect": [
        ({"q": Categorical(HALVES[1:])}, V, r"q has probs of shape \(11, 2\)"),
        ({"q": Categorical(np.full((12, 3), 1 / 3))}, V, r"q has probs of shape \(12, 3\)"),
        ({"q": HALVES}, T, "q is ndarray; wanted a Categorical"),
        ({"q": None}, T, "q is NoneType"),
    ],
    "distributions.InverseWishart": [
        ({"dof": 1.0}, V, "dof is 1.0; wanted a number that is finite and > 1"),
        ({"dof": np.nan}, V, "dof is nan"),
        ({"dof": True}, T, "dof is True"),
        ({"dof": "3"}, T, "dof is '3'"),
        ({"scale": np.ones((2, 3))}, V, r"scale has shape \(2, 3\)"),
        ({"scale": np.ones((2, 2))}, V, "scale is not positive definite"),
        ({"scale": LOOPED}, V, "scale is not symmetric"),
        ({"scale": EYE[0]}, V, r"scale has shape \(2,\)"),
    ],
    "distributions.InverseWishart.log_prob": [({"cov": -EYE}, V, "cov")],
    "distributions.Categorical": [
        ({"probs": [[0.5, 0.6]]}, V, "probs does not sum to 1"),
        ({"probs": [[-0.5, 1.5]]}, V, "probs has the negative value"),
        ({"probs": [0.5, 0.5]}, V, r"probs has shape \(2,\)"),
        ({"probs": [[np.nan, 1.0]]}, V, "probs has 1 values"),
        ({"probs": None}, T, "probs is None"),
    ],
    "factor_analysis.FactorAnalysis": [
        *LOADINGS,
        ({"loadings": [[np.nan], [1]]}, V, "loadings has 1 values that are not finite"),
        ({"loadings": [["a"], ["b"]]}, T, "loadings holds"),
        ({"loadings": np.empty((2, 0))}, V, "loadings has shape"),
        ({"mean": None}, T, "mean is None"),
        ({"noise": [1.0, 0.0]}, V, "noise has the value 0; wanted variances, all > 0"),
        ({"noise": [1.0, -2.0]}, V, "noise has the value -2"),
        ({"noise": EYE}, V, r"noise has shape \(2, 2\)"),
        ({"isotropic": 1}, T, "isotropic is 1; wanted True or False"),
        ({"isotropic": True}, V, "noise differs between columns; isotropic=True"),
    ],
    "factor_analysis.FactorAnalysis.init": FACTORS_OF_TWO,
    "factor_analysis.FactorAnalysis.ppca": FACTORS_OF_TWO,
    "factor_analysis.FactorAnalysis.expect": [
        (
            {"q": fa.FactorAnalysis(np.ones((2, 2)), np.zeros(2), np.ones(2)).infer(X)},
            V, r"q has weights of shape \(2, 2\); wanted \(1, 2\)",
        ),
        ({"q": None}, T, "q is NoneType; wanted a LinearGaussian"),
    ],
    "variational_em.BinaryFactors": [
        *LOADINGS,
        ({"noise": 0.0}, V, "noise is 0.0; wanted a number that is finite and > 0"),
        ({"noise": [1.0, 1.0]}, T, "noise is"),
        ({"noise": np.nan}, V, "noise is nan"),
        ({"noise": True}, T, "noise is True"),
        ({"probs": [1.5]}, V, "probs has the value 1.5; wanted probabilities, from 0"),
        ({"probs": [-0.1]}, V, "probs has the value -0.1"),
        ({"probs": [0.1, 0.2]}, V, r"probs has shape \(2,\); wanted \(1\)"),
        ({"probs": [np.nan]}, V, "probs has 1 values that are not finite"),
        ({"exact": 1}, T, "exact is 1; wanted True or False"),
        ({"exact": True}, V, "groups are given and exact is True"),
        ({"restarts": 1}, T, "restarts is 1; wanted True or False"),
        ({"restarts": True}, V, "restarts is True, which is for a product"),
        ({"groups": [0]}, T, r"groups is \[0\]; wanted groups of factors by number, such as"),
        ({"groups": None}, T, "groups is None; wanted groups of factors"),
        ({"groups": [(0.0,)]}, T, "groups is .*; wanted groups of factors by number"),
        ({"groups": [(True,)]}, T, "groups is .*; wanted groups of factors by number"),
        ({"groups": [(1,)]}, V, "groups has the factor 1; wanted each of 0 to 0 at most once"),
        ({"groups": [(0, 0)]}, V, "groups has the factor 0; wanted each of 0 to 0 at most once"),
        ({"groups": [(-1,)]}, V, "a factor of groups is -1; wanted at least 0"),
    ],
    "variational_em.BinaryFactors.infer": OTHER_SWITCHES,
    "variational_em.BinaryFactors.expect": OTHER_SWITCHES,
    "variational_em.BinaryFactors.init": [
        ({"n_factors": 0}, V, "n_factors is 0"),
        ({"n_factors": True}, T, "n_factors is True"),
        ({"n_factors": 1.0}, T, "n_factors is 1.0"),
    ],
    "variational_bayes.NormalGammaPrior": [
        ({name: value}, error, f"{name} is")
        for name in ("strength", "shape", "rate")
        for value, error in ((0.0, V), (-1.0, V), (np.inf, V), ("1", T), (None, T), (True, T))
    ],
    "variational_bayes.NormalGammaPrior.log_prob": DENSITIES,
    "variational_bayes.BayesianGaussian.log_q": DENSITIES,
    "variational_bayes.BayesianGaussian": [
        ({"prior": None}, T, "prior is NoneType; wanted a NormalGammaPrior"),
        ({"prec": 0.0}, V, "prec is 0.0"),
        ({"shape": -1.0}, V, "shape is -1.0"),
        ({"mean": "a"}, T, "mean is 'a'"),
    ],
    "variational_bayes.MixturePrior": [
        ({"concentration": 0.0}, V, "concentration is 0.0; wanted .* > 0"),
        ({"concentration": [1.0, 1.0]}, T, "concentration is"),
        ({"strength": -1.0}, V, "strength is -1.0"),
        ({"dof": 1.0}, V, "dof is 1.0; wanted a number that is finite and > 1"),
        ({"dof": "3"}, T, "dof is '3'"),
        ({"mean": [[0, 0]]}, V, r"mean has shape \(1, 2\)"),
        ({"mean": [0, np.inf]}, V, "mean has 1 values"),
        ({"scale": np.eye(3)}, V, r"scale has shape \(3, 3\); wanted \(2, 2\)"),
        ({"scale": np.ones((2, 2))}, V, "scale is not positive definite"),
        ({"scale": LOOPED}, V, "scale is not symmetric"),
    ],
    "variational_bayes.BayesianMixture": [
        ({"prior": PRIOR}, T, "prior is InverseWishart; wanted a MixturePrior"),
        ({"concentration": [1.0, 0.0]}, V, "concentration has the value 0"),
        ({"strengths": [1.0, -1.0]}, V, "strengths has the value -1"),
        ({"dofs": [3.0, 1.0]}, V, "dofs has the value 1; wanted degrees of freedom"),
        ({"dofs": [3.0]}, V, r"dofs has shape \(1,\); wanted \(2\)"),
        ({"means": [[0, 0, 0]]}, V, r"means has shape \(1, 3\)"),
        ({"scales": [EYE, -EYE]}, V, r"scales\[1\] is not positive definite"),
    ],
    "toy.TwoBells": [({"theta": np.inf}, V, "theta is inf"), ({"theta": "3"}, T, "theta is '3'")],
    "toy.TwoBells.init": [
        ({"n_components": 3}, V, "n_components is 3"),
        ({"x": X}, V, "x has 2 columns; wanted 1"),
    ],
    "em.fit": [
        ({"max_iter": -1}, V, "max_iter is -1; wanted at least 0"),
        ({"max_iter": 2.5}, T, "max_iter is 2.5"),
        ({"max_iter": True}, T, "max_iter is True"),
        ({"tol": -1e-3}, V, "tol is -0.001"),
        ({"tol": np.nan}, V, "tol is nan"),
        ({"tol": "small"}, T, "tol is 'small'"),
        ({"batch_size": 0}, V, "batch_size is 0"),
        ({"batch_size": True}, T, "batch_size is True"),
        ({"model": BELLS}, V, "x has 2 columns; wanted 1"),
        ({"model": GAUSSIAN}, V, "x has 2 columns; wanted 1"),
        *(({"model": model, "x": np.ones((5, 3))}, V, "x has 3 columns; wanted 2, as the model has")
          for model in (MIXTURE, FACTORS, SWITCHES, BAYES)),
    ],
    "bound.log_marginal": [
        ({"log_joint": [np.nan, 0]}, V, "log_joint has NaN"),
        ({"log_joint": [np.inf, 0]}, V, r"log_joint has NaN or \+inf"),
        ({"log_joint": 3.0}, V, r"log_joint has shape \(\)"),
        ({"log_joint": []}, V, r"log_joint has shape \(0,\)"),
        ({"log_joint": ["a"]}, T, "log_joint holds"),
    ],
    "bound.posterior": [({"log_joint": [-np.inf, -np.inf]}, V, "log_joint has a row of -inf")],
    "bound.lower_bound": [({"q": [0.5, 0.6], "log_joint": [0, 0]}, V, "q does not sum to 1")],
    "bound.entropy": [({"q": [-1, 2]}, V, "q has the negative value"), ({"q": 0.5}, V, "q has")],
    "bound.kl": [({"q": [1, 0], "p": [0.5, 0.4]}, V, "p does not sum to 1")],
    "bound.gradient": [
        ({"q": [1.0], "grad_log_joint": [np.nan]}, V, "grad_log_joint has 1 values"),
    ],
    "bound.gaussian_kl": [
        ({"mean2": [0, 0, 0]}, V, "mean2 has shape"),
        ({"cov1": -EYE}, V, "cov1 is not positive"),
        ({"cov2": LOOPED}, V, "cov2 is not symmetric"),
    ],
    "evaluation.match_factors": [
        ({"found": X1, "truth": X}, V, r"found has shape \(12, 1\); wanted 12 rows and at least 2"),
        ({"found": X[1:]}, V, r"found has shape \(11, 2\); wanted 12 rows"),
        ({"truth": spoiled(X, np.nan)}, V, "truth has 1 values that are not finite"),
    ],
    "evaluation.few_label_accuracy": [
        ({"x": np.nan * X}, V, "x has 24 values"),
        ({"labels": np.arange(9) % 2}, V, r"labels has shape \(9,\); wanted \(12,\)"),
        ({"labels": (np.arange(12) % 2).astype(str)}, T, "labels holds"),
        ({"n_labels": 1}, V, "n_labels is 1; wanted between 2 and 11"),
        ({"n_labels": 9.5}, T, "n_labels is 9.5"),
        ({"ridge": -1.0}, V, "ridge is -1.0"),
    ],
    "evaluation.sampled_evidence": [
        ({"n_components": 0}, V, "n_components is 0"),
        ({"particles": 2.5}, T, "particles is 2.5"),
        ({"prior": PRIOR}, T, "prior is InverseWishart; wanted a MixturePrior"),
        ({"prior": FOR_THREE}, V, "prior.mean has 3 columns; wanted 2"),
    ],
    "evaluation.log_likelihood": [
        ({"n_samples": 0}, V, "n_samples is 0"),
        ({"x": np.zeros(2)}, V, r"x has shape \(2,\)"),
    ],
    "evaluation.active_units": [({"threshold": -1.0}, V, r"threshold is -1\.0")],
    "evaluation.reconstruct": [({"x": [[np.inf] * 2]}, V, "x has 2 values that are not finite")],
    "evaluation.attribute_control": [
        ({"ordered": X[:9]}, V, "ordered has 9 rows; wanted 12, as images has"),
        ({"judge_attributes": X[:9]}, V, "judge_attributes has 9 rows; wanted 12"),
        ({"judge_images": X1}, V, "have 1, 2 columns; wanted 2, 2"),
        ({"ordered": np.ones((12, 2))}, V, "ordered has an attribute of one value only"),
        ({"tolerance": -1.0}, V, "tolerance is -1"),
        ({"images": np.inf * np.ones((12, 2))}, V, "images has 24 values"),
    ],
    "evaluation.dci": [
        ({"codes": X[:7], "factors": X[:7]}, V, "codes has 7 rows; wanted 8 or more"),
        ({"factors": X[:9]}, V, "factors has 9 rows; wanted 12"),
    ],
    "evaluation.mutual_information_gap": [
        ({"codes": X1}, V, "codes has 1 column"),
        ({"factors": np.ones((12, 1))}, V, "factors do not vary"),
    ],
    "evaluation.mutual_information": [({"bins": 1}, V, "bins is 1")],
    "evaluation.neighbour_score": [
        ({"labels": np.ones(3)}, V, r"labels has shape \(3,\)"),
        ({"n_neighbours": 0}, V, "n_neighbours is 0"),
    ],
}  # fmt: skip


def changed(name, **change):
    """Call an entry with some of its arguments replaced."""
    return CASES[name].call(**(CASES[name].good | change))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_in_these_words(name):
    for change, error, message in REFUSED[name]:
        with pytest.raises(error, match=message):
            changed(name, **change)


CLOSED = ("em", "gaussian_mixture", "factor_analysis", "variational_em", "variational_bayes",
          "distributions", "toy")  # fmt: skip
OF_CLOSED = [name for name in CASES if name.partition(".")[0] in CLOSED]
TAKE_DATA = [name for name in OF_CLOSED if "x" in CASES[name].good]
# Their q is the same for all data, or found without squares: x is looked at for its shape alone.
SHAPE_ALONE = (
    "factor_analysis.FactorAnalysis.infer", "variational_em.BinaryFactors.infer",
    "variational_bayes.BayesianGaussian.infer",
)  # fmt: skip
VALUES = ("NaN", "inf", "-inf", "NaN in float32", "too large")
STARTS = ("init", "ppca", "from_data", "k_means")  # they have no columns to compare with
ALL_STATES = ve.BinaryFactors([[1.0], [0.5]], [0.0, 0.0], 1.0, [0.3], exact=True)
MORE_DATA = {
    **{
        f"fit of {type(model).__name__}": lambda x, model=model: em.fit(model, x)
        for model in (FACTORS, BAYES, SWITCHES)
    },
    "fit of all states": lambda x: em.fit(ALL_STATES, x),
    "all states": lambda x: ALL_STATES.infer(x).probs,
    "fit of factors in batches": lambda x: em.fit(FACTORS, x, batch_size=7),
    "batches": lambda x: em.fit(MIXTURE, [X, x]),
    "batches of factors": lambda x: em.fit(FACTORS, [X, x]),
    "online": lambda x: list(scale.online(MIXTURE, [X, x])),
    "shards": lambda x: data.write_shards("never", [X, x]),
    "moments": lambda x: Moments.of(x),
    "few labels": lambda x: changed("evaluation.few_label_accuracy", x=x),
    "sampled evidence": lambda x: changed("evaluation.sampled_evidence", x=x),
}


@pytest.mark.parametrize("name", [*TAKE_DATA, *MORE_DATA])
def test_bad_data_are_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = CASES[name].good["x"] if name in CASES else X
    for kind, (make, error, message) in BAD_DATA.items():
        if kind in VALUES and name in SHAPE_ALONE:
            continue
        with pytest.raises(error, match=message):
            MORE_DATA[name](make(good)) if name in MORE_DATA else changed(name, x=make(good))


@pytest.mark.parametrize("name", [n for n in TAKE_DATA if not n.endswith(STARTS)])
def test_another_number_of_columns_is_named(name):
    wanted = {1: "x has 3 columns; wanted 1", 2: "x has 3 columns; wanted 2, as the model has"}
    with pytest.raises(ValueError, match=wanted[CASES[name].good["x"].shape[1]]):
        changed(name, x=np.ones((5, 3)))


@pytest.mark.parametrize(
    "name", [n for n, c in CASES.items() if "rng" in c.good and "rng" not in c.free]
)
def test_bad_seeds_are_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, (rng, error) in enumerate(BAD_SEEDS):
        (tmp_path / str(i)).mkdir()
        monkeypatch.chdir(tmp_path / str(i))
        with pytest.raises(error, match="rng is"):
            changed(name, rng=rng, **({"vae": fresh()} if name == "training.train" else {}))


@pytest.mark.parametrize(
    "name", [n for n, c in CASES.items() if n.endswith("sample") and "n" in c.good]
)
def test_bad_sample_sizes_are_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, (n, error) in enumerate(BAD_SIZES):
        (tmp_path / str(i)).mkdir()
        monkeypatch.chdir(tmp_path / str(i))
        with pytest.raises(error, match="n is"):
            changed(name, n=n)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("training.load", "path"), ("training.save", "path"), ("training.train", "checkpoint"),
        ("files.load", "path"), ("files.fetch", "path"), ("mixture_run.load", "path"),
    ],
)  # fmt: skip
def test_a_folder_is_not_a_missing_file(name, argument, tmp_path):
    own = {"vae": fresh()} if name == "training.train" else {}
    with pytest.raises(IsADirectoryError, match="is a folder; wanted"):
        changed(name, **{argument: tmp_path}, **own)


def test_a_file_is_no_folder_of_shards(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file; wanted a folder of shards"):
        changed("shards.Shards", folder=tmp_path / "file")
