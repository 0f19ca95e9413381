"""The names that users rely on, with the names and the order of their arguments.

Whoever changes one of them breaks somebody's notebook: change this table only with intent. More
arguments may be added behind those that stand here.
"""

import ast
import importlib
import inspect
import subprocess
import sys
from dataclasses import fields, is_dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import lfm

PROTOCOL = {
    "infer": "x q",
    "expect": "x q",
    "learn": "stats",
    "lower_bound": "stats",
    "log_prob": "x",
    "sample": "n *rng",
}
# A star marks an argument that is given by its name alone.
API = {
    "bound.log_marginal": "log_joint",
    "bound.posterior": "log_joint",
    "bound.expected_log_joint": "q log_joint",
    "bound.entropy": "q",
    "bound.lower_bound": "q log_joint",
    "bound.rearranged": "q log_likelihood prior",
    "bound.kl": "q p",
    "bound.decompose": "q log_joint",
    "bound.gradient": "q grad_log_joint",
    "bound.gaussian_kl": "mean1 cov1 mean2 cov2",
    "checks.check": "name answer",
    "checks.exercises": "chapter",
    "checks.quizzes": "chapter",
    "checks.exam": "seed chapters questions",
    "data.load": "path sha256 *key",
    "data.fetch": "url path sha256",
    "data.cache_folder": "",
    "data.old_faithful": "",
    "data.digits": "",
    "data.mnist": "full train",
    "data.fashion": "full train",
    "data.faces": "n *rng fixed",
    "data.bars": "n *rng *size *prob *noise",
    "data.three_blobs": "n *rng",
    "data.overlapping": "n *rng",
    "data.thin_blobs": "n *rng",
    "data.write_shards": "folder x *rows",
    "data.Shards": "folder *batch_size",
    "data.Shards.part": "rank world",
    "data.Shards.sample": "n *rng",
    "distributed.total": "part",
    "distributed.processes": "timeout",
    "distributed.load": "path",
    "distributions.Categorical": "probs",
    "distributions.Bernoulli": "probs",
    "distributions.LinearGaussian": "weights offset cov",
    "distributions.LinearGaussian.mean": "x",
    "distributions.InverseWishart": "dof scale",
    "distributions.InverseWishart.from_data": "x n_components",
    "em.steps": "model x q *batch_size *total",
    "em.fit": "model x q *max_iter *tol *batch_size *total *progress",
    "scale.online": "model x *power *delay",
    "evaluation.few_label_accuracy": "x labels n_labels *rng *ridge",
    "evaluation.match_factors": "found truth",
    "evaluation.sampled_evidence": "x n_components prior *rng *particles",
    "evaluation.log_likelihood": "vae x n_samples *rng",
    "evaluation.active_units": "vae x *threshold",
    "evaluation.reconstruct": "vae x",
    "evaluation.gaps": "vae x *rng *full *steps *n_samples",
    "evaluation.kl_split": "vae x *rng",
    "evaluation.mutual_information": "codes factors *bins",
    "evaluation.mutual_information_gap": "codes factors *bins",
    "evaluation.dci": "codes factors",
    "evaluation.attribute_control": "images ordered judge_images judge_attributes *tolerance",
    "evaluation.neighbour_score": "codes labels *n_neighbours",
    "factor_analysis.FactorAnalysis": "loadings mean noise isotropic",
    "factor_analysis.FactorAnalysis.init": "x n_factors *rng *isotropic",
    "factor_analysis.FactorAnalysis.ppca": "x n_factors",
    "factor_analysis.FactorAnalysis.uniqueness": "",
    "figures.new": "rows columns *width *height kwargs",
    "figures.show": "fig *alt *name",
    "gaussian_mixture.GaussianMixture": "weights means covs prior",
    "gaussian_mixture.GaussianMixture.init": "x n_components *rng *prior",
    "gaussian_mixture.k_means": "x n_components *rng *max_iter",
    "gradients.monte_carlo": "values",
    "gradients.sample": "mean scale eps",
    "gradients.pathwise_gradient": "f mean scale eps",
    "gradients.score_gradient": "f mean scale eps *baseline",
    "gradients.leave_one_out": "values",
    "gradients.minibatch_sum": "values n",
    "toy.TwoBells": "theta",
    "toy.TwoBells.init": "x n_components *rng",
    "training.train": "vae x *epochs *batch_size *lr *rng *device *checkpoint *progress",
    "training.save": "vae path",
    "training.load": "path vae",
    "vae.VAE": "encoder decoder n_factors beta",
    "vae.VAE.dense": "n_columns n_factors hidden *rng",
    "vae.VAE.infer": "x",
    "vae.VAE.likelihood": "z",
    "vae.VAE.terms": "x eps",
    "vae.VAE.lower_bound": "x eps",
    "vae.VAE.loss": "x eps",
    "vae.VAE.log_prob": "x eps",
    "vae.VAE.sample": "n *rng",
    "vae.ConditionalVAE": "encoder decoder n_factors n_given beta",
    "vae.ConditionalVAE.sample": "y *rng",
    "vae.linear_vae": "n_columns n_factors *rng",
    "vae.mlp": "sizes *rng *activation",
    "vae.conv_encoder": "size n_out *channels *rng",
    "vae.conv_decoder": "n_in size *n_maps *channels *rng",
    "vae.DiagonalGaussian": "network floor",
    "vae.FullGaussian": "network size floor",
    "vae.SharedGaussian": "network floor",
    "vae.BernoulliPixels": "network",
    "variational_bayes.NormalGammaPrior": "mean strength shape rate",
    "variational_bayes.NormalGammaPrior.log_evidence": "stats",
    "variational_bayes.BayesianGaussian": "prior mean prec shape rate",
    "variational_bayes.MixturePrior": "concentration mean strength dof scale",
    "variational_bayes.MixturePrior.from_data": "x n_components *concentration",
    "variational_bayes.BayesianMixture": (
        "prior concentration means strengths dofs scales"
    ),
    "variational_bayes.BayesianMixture.init": "x n_components *rng *prior",
    "variational_em.BinaryFactors": "loadings mean noise probs exact",
    "variational_em.BinaryFactors.init": "x n_factors *rng *exact",
}  # fmt: skip
MODELS = [
    "toy.TwoBells", "gaussian_mixture.GaussianMixture", "factor_analysis.FactorAnalysis",
    "variational_bayes.BayesianGaussian", "variational_bayes.BayesianMixture",
    "variational_em.BinaryFactors",
]  # fmt: skip
API |= {f"{model}.{name}": wanted for model in MODELS for name, wanted in PROTOCOL.items()}
FIELDS = {
    "em.Stats": "n entropy",
    "em.Step": "half model q stats bound",
    "em.Fit": "model q bounds converged",
    "scale.Update": "model bound seen",
    "bound.Decomposition": "bound divergence log_marginal",
    "checks.Verdict": "passed message",
    "data.Images": "images labels white",
    "data.ToyMixture": "x z weights means covs",
    "data.Bars": "x z loadings",
    "data.Faces": "images factors names",
    "evaluation.Match": "order correlation",
    "evaluation.Gaps": "log_prob best network",
    "evaluation.KLSplit": "mutual_information total_correlation dimension_wise",
    "evaluation.DCI": "disentanglement completeness informativeness importance",
    "gradients.Estimate": "value error",
    "gradients.Gradient": "mean scale",
    "training.Trace": "bound explained divergence validation seconds",
}
ERRORS = {
    "em.BoundDecreased": ArithmeticError,
    "gaussian_mixture.DegenerateComponent": ValueError,
    "factor_analysis.HeywoodCase": UserWarning,
    "training.TrainingDiverged": ArithmeticError,
    "distributed.ProcessLost": RuntimeError,
}


def found(name: str):
    module, *path = name.split(".")
    value = importlib.import_module(f"lfm.{module}")
    for part in path:
        value = getattr(value, part)
    return value


def arguments(call) -> list[str]:
    """Return the names of arguments in their order, those that go by name alone with a star."""
    parameters = inspect.signature(call).parameters.values()
    names = [("*" if p.kind is p.KEYWORD_ONLY else "") + p.name for p in parameters]
    return [name for name in names if name != "self"]


@pytest.mark.parametrize("name", API)
def test_the_name_is_there_with_its_arguments(name):
    wanted, names = API[name].split(), arguments(found(name))
    fixed = [n for n in wanted if not n.startswith("*")]
    named = {n for n in wanted if n.startswith("*")}
    positional = [n for n in names if not n.startswith("*")]
    assert [n for n in positional if n in fixed] == positional[: len(fixed)] == fixed
    assert named <= set(names)


@pytest.mark.parametrize("name", API)
def test_arguments_that_were_added_have_a_default(name):
    wanted = {n.removeprefix("*") for n in API[name].split()} | {"self"}
    for p in inspect.signature(found(name)).parameters.values():
        optional = p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        assert p.name in wanted or optional


@pytest.mark.parametrize("name", FIELDS)
def test_the_record_has_its_fields(name):
    record = found(name)
    names = [f.name for f in fields(record)] if is_dataclass(record) else list(record._fields)
    assert names[: len(FIELDS[name].split())] == FIELDS[name].split()


@pytest.mark.parametrize("name", ERRORS)
def test_the_error_is_of_its_kind(name):
    assert issubclass(found(name), ERRORS[name])


@pytest.mark.parametrize("name", MODELS)
def test_a_model_starts_from_data_and_cannot_be_changed(name):
    model = found(name)
    if not name.endswith("BayesianGaussian"):  # which starts at its prior
        assert arguments(model.init)[0] == "x"
        assert "*rng" in arguments(model.init)
    assert model.__dataclass_params__.frozen


def test_import_lfm_is_enough_and_loads_nothing_that_is_not_asked_for():
    code = (
        "import sys, lfm; assert 'numpy' not in sys.modules; print(lfm.data.mnist().x.shape); "
        "assert 'torch' not in sys.modules; assert 'vae' in dir(lfm)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(5000, 784)\n"), done.stderr
    with pytest.raises(AttributeError, match=r"lfm has no 'vea'; it has bound, .*vae"):
        lfm.vea  # noqa: B018 - it is asked for here


WITHOUT_TORCH = [
    "bound", "distributions", "em", "toy", "gaussian_mixture", "factor_analysis",
    "variational_bayes", "variational_em", "data", "faces", "figures", "evaluation", "checks",
]  # fmt: skip


def test_what_the_chapters_before_the_deep_ones_use_does_not_load_torch():
    code = (
        f"import importlib, sys\nfor name in {WITHOUT_TORCH}:\n"
        "    importlib.import_module('lfm.' + name)\n"
        "    assert 'torch' not in sys.modules, name\n"
        "from lfm.evaluation import few_label_accuracy, gaps, match_factors\n"
        "x = [[float(i), 1.0] for i in range(9)]\n"
        "few_label_accuracy(x, [i % 2 for i in range(9)], 4, rng=0), match_factors(x, x)\n"
        "assert 'torch' not in sys.modules, 'called'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def imports(path: Path) -> set[str]:
    """Return the modules of lfm that a file imports when it is imported itself."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name in FILES}


ROOT = Path(lfm.__file__).parent
FILES = {
    ".".join(["lfm", *path.relative_to(ROOT).with_suffix("").parts]): path
    for path in ROOT.rglob("*.py")
    if path.name != "__init__.py"
}
GRAPH = {name: imports(path) for name, path in FILES.items()}


def test_imports_go_round_in_no_circle():
    list(TopologicalSorter(GRAPH).static_order())  # raises CycleError, which names the circle


def test_the_subject_does_not_open_the_door_by_itself():
    subject = [name for name in GRAPH if name.count(".") == 1 and name != "lfm.distributed"]
    for name in [*subject, *(name for name in GRAPH if name.startswith("lfm.engine."))]:
        assert not {other for other in GRAPH[name] if other.startswith("lfm.scale.")}, name
    code = (
        "import sys, numpy as np; from lfm import data, em, evaluation, training, vae; "
        "model = vae.VAE.dense(2, 1, (2,), rng=0, decoder=vae.SharedGaussian); "
        "training.train(model, np.eye(2), epochs=1, batch_size=2, rng=0, device='cpu'); "
        "assert not [name for name in sys.modules if name.startswith('lfm.scale')]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
