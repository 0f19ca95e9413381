"""Latent factor models as one idea: a lower bound L(q, θ), raised by inference and by learning.

Read the files in this order; each needs only those before it.

    bound             the lower bound of any model whose z takes finitely many values
    distributions     the q's and the priors of the closed-form chapters
    em                the loop of the two steps; it knows no model
    toy               the smallest model: two bells, one parameter
    gaussian_mixture  a discrete factor: which component?
    factor_analysis   continuous factors; probabilistic PCA
    variational_bayes everything unknown is a factor: one Gaussian, and the mixture
    variational_em    switches: 2^K states, a factorised q, and parameters
    gradients         the gradient of an average that is only sampled
    vae               the deep model and its inference network
    training          the loop that trains the VAE
    evaluation        what a model is worth
    data              data sets, each with its truth where that is known
    faces             cartoon faces drawn from known factors
    figures           every figure of the course
    checks            exercises, quizzes and exams; a file for each chapter

Two doors can stay shut: `engine` (checks of arguments, frozen values, chunked sums, whole files,
progress bars) and `scale` (data that do not fit into memory, checkpoints, GPUs). `distributed` is
a name for what `scale` has for several processes.

Sizes, in code and text: N data, D observed dimensions, K components or factors, S samples.
Quantities in nats. Arrays are float64, one datum a row.

Every equation has a name. It stands in the notebook that derives it (`\\tag{name}`), in the
docstring of the code that computes it (after "Eq."), and on the test that evaluates both its sides.
"""

from importlib import import_module

_SUBJECT = (
    "bound", "distributions", "em", "toy", "gaussian_mixture", "factor_analysis",
    "variational_bayes", "variational_em", "gradients", "vae", "training", "distributed",
    "evaluation", "data", "faces", "figures", "checks", "engine", "scale",
)  # fmt: skip


def __getattr__(name: str):
    """Import a file when it is first asked for: `import lfm; lfm.data.mnist()`."""
    if name in _SUBJECT:
        return import_module(f"lfm.{name}")
    raise AttributeError(f"lfm has no {name!r}; it has {', '.join(_SUBJECT)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBJECT])
