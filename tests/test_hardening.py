"""Every public callable and every wrong value for each of its arguments: sound or refused by name.

The table below has an entry for every public function, class and method of `lfm`; one without an
entry fails the first test. Each argument in turn is replaced by every value of `WRONG`. What may
come of it: a result that is finite, or a `ValueError` or `TypeError` (or what the entry documents)
whose message names an argument. Never another error, a warning, a NaN, or an input that changed.
"""

import importlib
import inspect
import io
import pkgutil
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from test_properties import awkward, quick

import lfm
from lfm import bound, checks, data, distributed, em, evaluation, gradients, scale, training, vae
from lfm import factor_analysis as fa
from lfm import figures as fig
from lfm import gaussian_mixture as gm
from lfm import variational_bayes as vb
from lfm import variational_em as ve
from lfm.distributions import Bernoulli, Categorical, InverseWishart, LinearGaussian
from lfm.engine import progress
from lfm.engine.moments import Moments
from lfm.scale import architectures
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

    call: object
    good: dict
    errors: tuple = (ValueError, TypeError)
    infinite: bool = False  # -inf or inf are answers too
    wrong: dict = field(default_factory=dict)  # more wrong values for one argument
    free: tuple = ()  # arguments of which everything is taken as it is
    but: tuple = ()  # kinds of values that are not tried


def case(call, *, errors=(), infinite=False, wrong=None, free=(), but=(), **good):
    return Case(call, good, (ValueError, TypeError, *errors), infinite, wrong or {}, free, but)


CASES = {
    "bound.log_marginal": case(bound.log_marginal, log_joint=TABLE, infinite=True),
    "bound.posterior": case(bound.posterior, log_joint=TABLE),
    "bound.expected_log_joint": case(
        bound.expected_log_joint, q=Q, log_joint=TABLE, infinite=True
    ),
    "bound.entropy": case(bound.entropy, q=Q),
    "bound.lower_bound": case(bound.lower_bound, q=Q, log_joint=TABLE, infinite=True),
    "bound.rearranged": case(
        bound.rearranged, q=Q, log_likelihood=TABLE, prior=Q, infinite=True
    ),
    "bound.kl": case(bound.kl, q=Q, p=Q[::-1].copy(), infinite=True),
    "bound.decompose": case(bound.decompose, q=Q, log_joint=TABLE, infinite=True),
    "bound.gradient": case(bound.gradient, q=Q, grad_log_joint=TABLE),
    "bound.gaussian_kl": case(
        bound.gaussian_kl, mean1=[0.0, 1.0], cov1=EYE, mean2=[1.0, 0.0], cov2=2 * EYE,
        infinite=True,
    ),
    "checks.exercises": case(checks.exercises, chapter="01"),
    "checks.quizzes": case(checks.quizzes, chapter="01"),
    "checks.check": case(checks.check, name="lower-bound", answer=lambda q, p: 0.0),
    "checks.exam": case(checks.exam, seed=1, chapters=["01"], questions=1),
    "files.load": case(data.load, path="none.npy", sha256=ZERO, key=None, errors=(OSError,)),
    "files.fetch": case(
        data.fetch, url="http://127.0.0.1:1/a", path=Folder("a"), sha256=ZERO, errors=(OSError,)
    ),
    "files.cache_folder": case(data.cache_folder),
    "data.old_faithful": case(data.old_faithful),
    "data.digits": case(data.digits),
    "data.mnist": case(data.mnist, train=True),
    "data.fashion": case(data.fashion, train=True),
    "shards.Shards": case(data.Shards, folder=Folder("none"), batch_size=None, errors=(OSError,)),
    "shards.Shards.part": case(
        lambda **k: data.write_shards(Path("shards"), X, rows=3).part(**k), rank=0, world=2,
    ),
    "shards.Shards.sample": case(
        lambda **k: data.write_shards(Path("shards"), X, rows=3).sample(**k), n=2, rng=0,
    ),
    "shards.write_shards": case(
        data.write_shards, folder=Folder("new"), x=X, rows=5, errors=(OSError,)
    ),
    "data.bars": case(data.bars, n=3, rng=0, size=2, prob=0.5, noise=0.1),
    "data.three_blobs": case(data.three_blobs, n=3, rng=0),
    "data.overlapping": case(data.overlapping, n=3, rng=0),
    "data.thin_blobs": case(data.thin_blobs, n=3, rng=0),
    "processes.processes": case(
        lambda **k: distributed.processes(**k).__enter__(), timeout=1.0
    ),
    "processes.total": case(distributed.total, part=stats_of(MIXTURE, X)),
    "processes.from_rank_0": case(distributed.from_rank_0, value=1.0, free=("value",)),
    "mixture_run.load": case(distributed.load, path="none.lfm", errors=(OSError,)),
    "distributions.Categorical": case(Categorical, probs=Q),
    "distributions.Categorical.entropy": case(Categorical(Q).entropy),
    "distributions.Categorical.mode": case(Categorical(Q).mode),
    "distributions.Categorical.sample": case(Categorical(Q).sample, rng=0),
    "distributions.Bernoulli": case(Bernoulli, probs=Q),
    "distributions.Bernoulli.entropy": case(Bernoulli(Q).entropy),
    "distributions.Bernoulli.total_cov": case(Bernoulli(Q).total_cov),
    "distributions.Bernoulli.mode": case(Bernoulli(Q).mode),
    "distributions.Bernoulli.sample": case(Bernoulli(Q).sample, rng=0),
    "distributions.LinearGaussian": case(
        LinearGaussian, weights=[[1.0, 2.0]], offset=[0.0, 1.0], cov=[[2.0]]
    ),
    "distributions.LinearGaussian.mean": case(FACTORS.infer(X).mean, x=X),
    "distributions.LinearGaussian.entropy": case(FACTORS.infer(X).entropy),
    "distributions.LinearGaussian.sample": case(FACTORS.infer(X).sample, x=X, rng=0),
    "distributions.InverseWishart": case(InverseWishart, dof=4.0, scale=EYE),
    "distributions.InverseWishart.from_data": case(
        InverseWishart.from_data, x=X, n_components=2
    ),
    "distributions.InverseWishart.log_prob": case(
        InverseWishart(4.0, EYE).log_prob, cov=EYE, infinite=True
    ),
    "em.steps": case(
        lambda **k: list(zip(range(4), em.steps(**k), strict=False)),
        model=MIXTURE, x=X, q=None, batch_size=None, total=None, but=CALLED,
    ),
    "em.fit": case(
        em.fit, model=MIXTURE, x=X, q=None, max_iter=2, tol=1e-3, batch_size=None, total=None,
        progress=None, but=CALLED,
    ),
    "streams.online": case(
        lambda **k: list(scale.online(**k)), model=MIXTURE, x=[X, X], power=0.6, delay=1
    ),
    "evaluation.few_label_accuracy": case(
        evaluation.few_label_accuracy, x=X, labels=np.arange(12) % 2, n_labels=4, rng=0, ridge=0.0
    ),
    "evaluation.match_factors": case(evaluation.match_factors, found=X, truth=X[::-1].copy()),
    "evaluation.log_likelihood": case(
        evaluation.log_likelihood, vae=DEEP, x=X, n_samples=2, rng=0
    ),
    "evaluation.active_units": case(evaluation.active_units, vae=DEEP, x=X, threshold=0.01),
    "evaluation.reconstruct": case(evaluation.reconstruct, vae=DEEP, x=X),
    "evaluation.log_prob_on_a_grid": case(
        evaluation.log_prob_on_a_grid, vae=DEEP, x=X, points=5, reach=3.0
    ),
    "evaluation.gaps": case(
        evaluation.gaps, vae=LINE, x=X, rng=0, full=False, steps=2, n_samples=3
    ),
    "evaluation.kl_split": case(evaluation.kl_split, vae=DEEP, x=X, rng=0),
    "evaluation.mutual_information": case(
        evaluation.mutual_information, codes=X, factors=X[::-1].copy(), bins=3
    ),
    "evaluation.mutual_information_gap": case(
        evaluation.mutual_information_gap, codes=X, factors=X[::-1].copy(), bins=3
    ),
    "evaluation.dci": case(evaluation.dci, codes=X, factors=X[::-1].copy()),
    "evaluation.attribute_control": case(
        evaluation.attribute_control, images=X, ordered=X[::-1].copy(), judge_images=X,
        judge_attributes=X, tolerance=0.5,
    ),
    "evaluation.neighbour_score": case(
        evaluation.neighbour_score, codes=X, labels=np.arange(12) % 2, n_neighbours=3
    ),
    "faces.Faces.column": case(data.faces(2, rng=0).column, name="glasses"),
    "faces.faces": case(data.faces, n=2, rng=0, glasses=1, mouth_curve=0.5),
    "factor_analysis.FactorAnalysis": case(
        fa.FactorAnalysis, loadings=[[1.0], [0.5]], mean=[0.0, 0.0], noise=[1.0, 2.0],
        isotropic=False,
    ),
    "factor_analysis.FactorAnalysis.init": case(
        fa.FactorAnalysis.init, x=X, n_factors=1, rng=None, isotropic=False, free=("rng",)
    ),
    "factor_analysis.FactorAnalysis.ppca": case(fa.FactorAnalysis.ppca, x=X, n_factors=1),
    "factor_analysis.FactorAnalysis.summarise": case(FACTORS.summarise, x=X),
    "factor_analysis.FactorAnalysis.uniqueness": case(FACTORS.uniqueness),
    "gaussian_mixture.GaussianMixture": case(
        gm.GaussianMixture, weights=[0.4, 0.6], means=X[:2].copy(), covs=np.array([EYE, 2 * EYE]),
        prior=None,
    ),
    "gaussian_mixture.GaussianMixture.init": case(
        gm.GaussianMixture.init, x=X, n_components=2, rng=0, prior=InverseWishart(4.0, EYE)
    ),
    "gaussian_mixture.GaussianMixture.infer_and_expect": case(MIXTURE.infer_and_expect, x=X),
    "variational_bayes.BayesianMixture.infer_and_expect": case(BAYES.infer_and_expect, x=X),
    "gaussian_mixture.GaussianMixture.log_joint": case(MIXTURE.log_joint, x=X),
    "gaussian_mixture.GaussianMixture.log_prior": case(MIXTURE.log_prior),
    "gaussian_mixture.k_means": case(gm.k_means, x=X, n_components=2, rng=0, max_iter=5),
    "gradients.Gradient.average": case(
        gradients.pathwise_gradient(lambda z: z.sum(1), [0.0], [1.0], [[1.0]]).average
    ),
    "gradients.monte_carlo": case(gradients.monte_carlo, values=X),
    "gradients.sample": case(
        gradients.sample, mean=np.zeros(2), scale=np.ones(2), eps=X
    ),
    "gradients.pathwise_gradient": case(
        gradients.pathwise_gradient, f=lambda z: z.square().sum(1), mean=np.zeros(2),
        scale=np.ones(2), eps=X,
    ),
    "gradients.score_gradient": case(
        gradients.score_gradient, f=lambda z: z.square().sum(1), mean=np.zeros(2),
        scale=np.ones(2), eps=X, baseline=None, but=CALLED,
    ),
    "gradients.leave_one_out": case(gradients.leave_one_out, values=X[:, 0].copy()),
    "gradients.minibatch_sum": case(gradients.minibatch_sum, values=X, n=20),
    "progress.bar": case(progress.bar, total=3, progress=False),
    "progress.watched": case(
        lambda **k: len(list(progress.watched(**k))), items=[1, 2], what="work", progress=False,
        free=("what",), but=("a class of the user's",),
    ),
    "toy.TwoBells": case(TwoBells, theta=1.0),
    "toy.TwoBells.init": case(TwoBells.init, x=X1, n_components=2, rng=0),
    "training.train": case(
        lambda vae, **k: training.train(
            vae.double() if isinstance(vae, Fresh) else vae, **k
        ),
        vae=None, x=X, epochs=1, batch_size=4, lr=1e-3, rng=0, device="cpu", checkpoint=None,
        progress=False, validation=None, binarise=False, bfloat16=False, steps=None,
        errors=(OSError, training.TrainingDiverged),
    ),
    "training.announce": case(training.announce, minutes=3.0),
    "training.save": case(
        training.save, vae=DEEP, path=Folder("vae.lfm"), errors=(OSError,)
    ),
    "training.load": case(training.load, path="none.lfm", vae=None, errors=(OSError,)),
    "vae.mlp": case(vae.mlp, sizes=[2, 3], rng=0, activation="relu"),
    "vae.conv_encoder": case(vae.conv_encoder, size=4, n_out=2, channels=2, rng=0),
    "vae.conv_decoder": case(vae.conv_decoder, n_in=2, size=4, n_maps=1, channels=2, rng=0),
    "vae.Conditional": case(vae.Conditional, network=NETWORK),
    "vae.DiagonalGaussian": case(vae.DiagonalGaussian, network=NETWORK, floor=0.1),
    "vae.FullGaussian": case(vae.FullGaussian, network=NETWORK, size=1, floor=0.1),
    "vae.SharedGaussian": case(vae.SharedGaussian, network=NETWORK, floor=0.1),
    "vae.BernoulliPixels": case(vae.BernoulliPixels, network=NETWORK),
    "vae.VAE": case(vae.VAE, encoder=DEEP.encoder, decoder=DEEP.decoder, n_factors=2, beta=1.0),
    "vae.VAE.dense": case(
        vae.VAE.dense, n_columns=2, n_factors=1, hidden=(3,), rng=0, encoder=vae.DiagonalGaussian,
        decoder=vae.BernoulliPixels, activation="relu", beta=1.0,
    ),
    "inputs.TakesData.checked": case(PIXELS.checked, x=BITS),
    "vae.VAE.infer": case(lambda **k: DEEP.infer(**k).mean, x=X),
    "vae.VAE.likelihood": case(lambda **k: DEEP.likelihood(**k).mean, z=X),
    "vae.VAE.terms": case(DEEP.terms, x=X, eps=EPS, but=UNSCALED),
    "vae.VAE.lower_bound": case(DEEP.lower_bound, x=X, eps=EPS, but=UNSCALED),
    "vae.VAE.loss": case(DEEP.loss, x=X, eps=EPS, but=UNSCALED),
    "vae.VAE.log_prob": case(DEEP.log_prob, x=X, eps=EPS, but=UNSCALED),
    "vae.VAE.sample": case(DEEP.sample, n=2, rng=0),
    "vae.linear_vae": case(vae.linear_vae, n_columns=3, n_factors=2, rng=0),
    "vae.ConditionalVAE": case(
        vae.ConditionalVAE, encoder=GIVEN.encoder, decoder=GIVEN.decoder, n_factors=2, n_given=1,
        beta=1.0,
    ),
    "vae.ConditionalVAE.likelihood": case(
        lambda **k: GIVEN.likelihood(**k).mean, zy=np.ones((4, 3))
    ),
    "vae.ConditionalVAE.sample": case(GIVEN.sample, y=X1, rng=0),
    "architectures.spec": case(architectures.spec, module=DEEP),
    "architectures.build": case(architectures.build, parts=architectures.spec(DEEP)),
    "variational_bayes.NormalGammaPrior": case(
        vb.NormalGammaPrior, mean=0.0, strength=1.0, shape=1.0, rate=1.0
    ),
    "variational_bayes.NormalGammaPrior.update": case(
        GAUSSIAN.prior.update, stats=stats_of(GAUSSIAN, X1)
    ),
    "variational_bayes.NormalGammaPrior.log_evidence": case(
        GAUSSIAN.prior.log_evidence, stats=stats_of(GAUSSIAN, X1)
    ),
    "variational_bayes.NormalGammaPrior.log_prob": case(
        GAUSSIAN.prior.log_prob, mean=0.0, prec=[1.0, 2.0]
    ),
    "variational_bayes.BayesianGaussian": case(
        vb.BayesianGaussian, prior=GAUSSIAN.prior, mean=0.0, prec=1.0, shape=1.0, rate=1.0
    ),
    "variational_bayes.BayesianGaussian.infer_mean": case(
        GAUSSIAN.infer_mean, stats=stats_of(GAUSSIAN, X1)
    ),
    "variational_bayes.BayesianGaussian.infer_prec": case(
        GAUSSIAN.infer_prec, stats=stats_of(GAUSSIAN, X1)
    ),
    "variational_bayes.BayesianGaussian.log_q": case(GAUSSIAN.log_q, mean=0.0, prec=[1.0, 2.0]),
    "variational_bayes.MixturePrior": case(
        vb.MixturePrior, concentration=1.0, mean=[0.0, 0.0], strength=1.0, dof=3.0, scale=EYE
    ),
    "variational_bayes.MixturePrior.from_data": case(
        vb.MixturePrior.from_data, x=X, n_components=2, concentration=1.0
    ),
    "variational_bayes.BayesianMixture": case(
        vb.BayesianMixture, prior=BAYES.prior, concentration=BAYES.concentration,
        means=BAYES.means, strengths=BAYES.strengths, dofs=BAYES.dofs, scales=BAYES.scales,
    ),
    "variational_bayes.BayesianMixture.init": case(
        vb.BayesianMixture.init, x=X, n_components=2, rng=0, prior=None
    ),
    "variational_em.BinaryFactors": case(
        ve.BinaryFactors, loadings=[[1.0], [0.5]], mean=[0.0, 0.0], noise=1.0, probs=[0.3],
        exact=False,
    ),
    "variational_em.BinaryFactors.init": case(
        ve.BinaryFactors.init, x=X, n_factors=2, rng=0, exact=False
    ),
}  # fmt: skip


STEPS = [s for s, _ in zip(em.steps(MIXTURE, X), range(6), strict=False)]
TRACE = training.Trace([-3.0, -2.0], [-2.0, -1.0], [1.0, 1.0], [-3.5, -2.5], [0.1, 0.1])
GRID = np.linspace(-1.0, 1.0, 12)
# Functions of `figures` take what notebooks computed; each draws whatever numbers these are.
FIGURES = {
    "images": {"x": np.abs(X).reshape(3, 2, 4), "columns": 2},
    "labelled_points": {"x": X, "labels": np.arange(12) % 2},
    "heat": {"values": np.abs(X)},
    "bars": {"values": X[:, 0].copy()},
    "curve": {"x": GRID, "y": X[:, 0].copy()},
    "jensen": {"ratios": 1 + np.abs(X[:, 0]), "q": np.full(12, 1 / 12)},
    "decomposition": {"bound": X[:3, 0] - 9, "divergence": np.abs(X[:3, 1]), "names": list("abc")},
    "simplex": {"height": lambda q: q[:, 0] + q[:, 1] ** 2, "names": "abc", "best": np.eye(3)[0]},
    "touches": {"theta": GRID, "log_lik": -(GRID**2), "bound": -2 * GRID**2, "old": 0.0},
    "touching_bound": {
        "theta": GRID, "log_lik": -(GRID**2), "bound": -2 * GRID**2, "old": 0.0, "new": 0.5
    },
    "staircase": {"steps": STEPS},
    "plate_diagram": {"prior": False},
    "histogram": {"x": X[:, 0].copy()},
    "ellipse": {"mean": np.zeros(2), "cov": EYE},
    "mixture": {"x": X, "model": MIXTURE, "probs": np.full((12, 2), 0.5)},
    "means_as_images": {"means": np.abs(X).reshape(2, 12), "shape": (3, 4), "columns": 2},
    "correlations": {"values": EYE, "names": ["a", "b"]},
    "estimate": {"truth": GRID, "mean": X[:, 0].copy(), "std": 0.1},
    "grouped_bars": {"groups": {"a": X[0], "b": X[1]}, "names": ["u", "v"]},
    "accuracies": {"n_labels": np.array([1, 10]), "table": {"a": X[:2], "b": X[2:4]}},
    "arrows": {"loadings": X[:3], "names": list("abc")},
    "contours": {"a": GRID, "b": GRID, "density": np.exp(-np.add.outer(GRID**2, GRID**2))},
    "gap": {"steps": STEPS, "log_lik": np.zeros(6)},
    "joint_table": {"table": np.full((2, 2), 0.25)},
    "starts": {"bounds": X[:, 0].copy(), "scores": X[:, 1].copy(), "score": "accuracy"},
    "variances": {"at": 1 + GRID**2, "table": {"path": 1 + GRID**2}, "label": "K"},
    "noisy_ascent": {"estimates": rng.normal(size=80), "limit": 0.0, "name": "best"},
    "moved": {"before": X, "after": X + 1},
    "training_curves": {"trace": TRACE},
    "two_terms": {"trace": TRACE},
    "scores": {"table": {"a": np.abs(X[:3]), "b": np.abs(X[3:6])}, "names": ["u", "v"]},
    "ladder": {"rungs": {"a": 1.0, "b": 0.0}},
    "two_gaps": {"parts": {"a": (1.0, 2.0), "b": (0.0, 0.0)}},
    "seconds": {"times": {"a": 1.0, "b": 0.0}},
}  # fmt: skip


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
    CASES |= {
        f"{name}.infer": case(model.infer, x=x),
        f"{name}.expect": case(model.expect, x=x, q=q, free=("q",) if q is None else ()),
        f"{name}.learn": case(model.learn, stats=stats, wrong={"stats": others}),
        f"{name}.lower_bound": case(model.lower_bound, stats=stats, wrong={"stats": others}),
        f"{name}.log_prob": case(model.log_prob, x=x),
        f"{name}.sample": case(model.sample, n=3, rng=0),
    }
    if hasattr(model, "rounding"):
        CASES[f"{name}.rounding"] = case(model.rounding, stats=stats, wrong={"stats": others})

# Public, but not called with a user's values: what they return stands on the entries above.
RECORD = "a record that functions fill in"
INNER = "called by the models with what they have checked"
# Modules of the two doors whose names users call.
BEHIND_DOORS = (
    "engine.files",
    "engine.inputs",
    "scale.shards",
    "scale.architectures",
    "scale.streams",
    "scale.processes",
    "scale.mixture_run",
)
SHELL = "called from the shell; see the tests of its module"
NOT_SPOILED = {
    RECORD: [
        "bound.Decomposition", "checks.Verdict", "data.Images", "data.ToyMixture", "data.Bars",
        "em.Stats", "em.Step", "em.Fit", "streams.Update", "evaluation.Match", "evaluation.Gaps",
        "evaluation.KLSplit", "evaluation.DCI", "evaluation.Control", "faces.Faces",
        "factor_analysis.FactorStats", "gaussian_mixture.MixtureStats",
        "gradients.Estimate", "gradients.Gradient", "toy.TwoBellsStats", "training.Trace",
        "variational_bayes.GaussianStats", "figures.Picture", "figures.new", "figures.show",
        "figures.describe",
    ],
    INNER: [
        "distributions.InverseWishart.update", "em.Stats.sums", "em.CentredStats",
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
        "training.Run.noise", "files.whole", "files.write", "files.write_all",
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
    found = {name for name, _ in public_callables()}
    excused = [name for names in NOT_SPOILED.values() for name in names]
    assert found == {*CASES, *excused, *(f"figures.{name}" for name in FIGURES)}
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


DRAWN = ("float32", "Fortran", "reversed", "strided", "read-only")


@pytest.mark.parametrize("name", FIGURES)
def test_figures_draw_the_same_numbers_in_every_form_and_leave_them_as_they_are(name):
    good = FIGURES[name]
    arrays = [k for k, v in good.items() if isinstance(v, np.ndarray)]
    spoiled = [(k, kind) for k in arrays for kind in DRAWN]
    for argument, kind in [(None, "as it is"), *spoiled[:: 2 if name == "simplex" else 1]]:
        options = dict(good)
        if argument is not None:
            options[argument] = FORMS[kind](np.array(good[argument]))
        before = {k: copied(v) for k, v in options.items()}
        with plt.rc_context():
            getattr(fig, name)(
                plt.figure().add_subplot(), **options
            ).figure.draw_without_rendering()
        plt.close("all")
        assert all(unchanged(before[k], options[k]) for k in options), f"{argument} = {kind}"


# ------------------------------------------------------------------ data that people have


@pytest.mark.parametrize("name", MODELS)
@quick
@given(x=awkward())
def test_log_densities_of_awkward_data_are_numbers(name, x):
    model, good, _ = MODELS[name]
    x = np.resize(x, (len(x), good.shape[1]))
    log_prob = model.log_prob(x)
    assert log_prob.shape == (len(x),)
    assert np.isfinite(log_prob).all()
    bound = model.lower_bound(model.expect(x, model.infer(x)))
    if name != "variational_bayes.BayesianGaussian":  # whose bound is of the evidence of all
        total = log_prob.sum()
        slack = 1e-7 * (abs(total) + len(x))
        if hasattr(model, "rounding"):
            slack += model.rounding(model.expect(x, model.infer(x)))
        assert bound <= total + slack


def test_factors_that_vary_in_the_first_half_alone_are_named():
    x = np.repeat([[1.0, 2.0], [0.0, 0.0]], [6, 6], axis=0)
    x[0] = [3.0, -1.0]
    with pytest.raises(ValueError, match="factors do not vary in the second half"):
        evaluation.dci(x, x)


CODED = {
    "active units": lambda x: evaluation.active_units(DEEP, x),
    "mutual information": lambda x: evaluation.mutual_information(x, x, bins=min(3, len(x))),
    "dci": lambda x: evaluation.dci(x, x),
    "gap": lambda x: evaluation.mutual_information_gap(x, x, bins=min(3, len(x))),
    "match": lambda x: evaluation.match_factors(x, x[:, :1]),
    "k-means": lambda x: gm.k_means(x, 1, rng=0),
    "moments": lambda x: Moments.of(x),
    "prior": lambda x: InverseWishart.from_data(x, 2),
    "mixture prior": lambda x: vb.MixturePrior.from_data(x, 2),
    "neighbours": lambda x: evaluation.neighbour_score(x, np.arange(len(x)) % 2, n_neighbours=1),
    "control": lambda x: evaluation.attribute_control(x, x, x, x),
    "few labels": lambda x: evaluation.few_label_accuracy(x, np.arange(len(x)) % 2, 2, rng=0),
}


@pytest.mark.parametrize("name", CODED)
@quick
@given(x=awkward(), seed=st.integers(0, 3))
def test_awkward_data_give_finite_numbers_or_a_named_error(name, x, seed):
    x = np.random.default_rng(seed).permutation(np.resize(x, (len(x), 2)))
    try:
        result = CODED[name](x)
    except ValueError as error:
        assert re.search(r"\b(x|codes|factors|bins|n_\w+|ordered|images|found)\b", str(error))  # noqa: PT017
    else:
        assert_sound(result, infinite=False)
