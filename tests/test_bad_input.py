"""Every public entry, every wrong kind: an error that names the argument and what is wanted."""

from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import numpy as np
import pytest

from lfm import bound, data, em, figures, scale
from lfm.distributions import Bernoulli, Categorical, InverseWishart
from lfm.engine.moments import Moments
from lfm.evaluation import few_label_accuracy, match_factors
from lfm.factor_analysis import FactorAnalysis
from lfm.gaussian_mixture import GaussianMixture, k_means
from lfm.toy import TwoBells
from lfm.variational_bayes import (
    BayesianGaussian,
    BayesianMixture,
    MixturePrior,
    NormalGammaPrior,
)
from lfm.variational_em import BinaryFactors

X = np.random.default_rng(0).normal(size=(20, 2))
MIXTURE = GaussianMixture([0.4, 0.6], [[0, 0], [1, 1]], [np.eye(2), 2 * np.eye(2)])
PRIOR = InverseWishart(4.0, np.eye(2))
FACTORS = FactorAnalysis([[1.0], [0.5]], [0.0, 0.0], [1.0, 2.0])
BAYES = BayesianMixture.init(X, 2, rng=0)
SWITCHES = BinaryFactors([[1.0], [0.5]], [0.0, 0.0], 1.0, [0.3])
ALL_STATES = BinaryFactors([[1.0], [0.5]], [0.0, 0.0], 1.0, [0.3], exact=True)
NORMAL_GAMMA = NormalGammaPrior(0.0, 1.0, 1.0, 1.0)


def spoiled(value):
    x = X.copy()
    x[3, 1] = value
    return x


BAD_DATA = {
    "NaN": (spoiled(np.nan), ValueError, r"x has 1 values that are not finite.*\[3, 1\]"),
    "inf": (spoiled(np.inf), ValueError, r"x has 1 values that are not finite.*\[3, 1\]"),
    "-inf": (spoiled(-np.inf), ValueError, "x has 1 values that are not finite"),
    "NaN in float32": (spoiled(np.nan).astype(np.float32), ValueError, "x has 1 values"),
    "too large": (X * 1e200, ValueError, "x is too large"),
    "1-D": (X[:, 0], ValueError, r"x has shape \(20,\); wanted two dimensions.*x\[:, None\]"),
    "3-D": (X[None], ValueError, r"x has shape \(1, 20, 2\)"),
    "a number": (3.0, ValueError, r"x has shape \(\)"),
    "no rows": (X[:0], ValueError, r"x has shape \(0, 2\); wanted at least one row"),
    "no columns": (X[:, :0], ValueError, r"x has shape \(20, 0\)"),
    "an empty list": ([], ValueError, r"x has shape \(0,\)"),
    "strings": (X.astype(str), TypeError, "x holds <U.* values; wanted real numbers"),
    "text": ("data", TypeError, "x holds"),
    "objects": (X.astype(object), TypeError, "x holds object values"),
    "complex": (X + 0j, TypeError, "x holds complex128 values"),
    "dates": (np.full((3, 2), np.datetime64("2020-01-01")), TypeError, "x holds datetime64"),
    "None": (None, TypeError, "x is None"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "x is ragged"),
    "masked": (np.ma.masked_array(X, mask=X > 1), ValueError, "x has masked values"),
    "an iterator": (iter([[1.0, 2.0]]), TypeError, "x is an iterator"),
}

TAKES_DATA = {
    "fit": lambda x: em.fit(MIXTURE, x),
    "steps": lambda x: next(em.steps(MIXTURE, x)),
    "expect": lambda x: MIXTURE.expect(x, MIXTURE.infer(x)),
    "responsibilities": lambda x: MIXTURE.infer(x).probs,
    "log_prob": lambda x: MIXTURE.log_prob(x),
    "init": lambda x: GaussianMixture.init(x, 1, rng=0),
    "k_means": lambda x: k_means(x, 1, rng=0),
    "prior": lambda x: InverseWishart.from_data(x),
    "factors, fit": lambda x: em.fit(FACTORS, x),
    "factors, fit in batches": lambda x: em.fit(FACTORS, x, batch_size=7),
    "factors, expect": lambda x: FACTORS.expect(x, FACTORS.infer(x)),
    "factors, log_prob": lambda x: FACTORS.log_prob(x),
    "factors, init": lambda x: FactorAnalysis.init(x, 1),
    "ppca": lambda x: FactorAnalysis.ppca(x, 1),
    "moments": lambda x: Moments.of(x),
    "factor means": lambda x: FACTORS.infer(X).mean(x),
    "Bayesian mixture, fit": lambda x: em.fit(BAYES, x),
    "Bayesian mixture, expect": lambda x: BAYES.expect(x, BAYES.infer(x)),
    "Bayesian mixture, log_prob": lambda x: BAYES.log_prob(x),
    "Bayesian mixture, init": lambda x: BayesianMixture.init(x, 1, rng=0),
    "mixture prior": lambda x: MixturePrior.from_data(x),
    "switches, fit": lambda x: em.fit(SWITCHES, x),
    "switches, expect": lambda x: SWITCHES.expect(x, SWITCHES.infer(x)),
    "switches, log_prob": lambda x: SWITCHES.log_prob(x),
    "switches, init": lambda x: BinaryFactors.init(x, 1, rng=0),
    "all states, fit": lambda x: em.fit(ALL_STATES, x),
    "all states, probs": lambda x: ALL_STATES.infer(x).probs,
    "batches, fit": lambda x: em.fit(MIXTURE, [X, x]),
    "factors, batches, fit": lambda x: em.fit(FACTORS, [X, x]),
    "online": lambda x: list(scale.online(MIXTURE, [X, x])),
    "shards": lambda x: data.write_shards(Path(gettempdir()) / f"lfm-{uuid4().hex}", [X, x]),
    "few labels": lambda x: few_label_accuracy(x, np.arange(20) % 2, 4, rng=0),
}


@pytest.mark.parametrize("entry", TAKES_DATA)
@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_are_named(entry, kind):
    x, error, message = BAD_DATA[kind]
    with pytest.raises(error, match=message):
        TAKES_DATA[entry](x)


@pytest.mark.parametrize("entry", ["infer", "log_prob", "init", "fit"])
def test_the_toy_takes_one_column(entry):
    calls = {
        "infer": lambda x: TwoBells(1.0).infer(x),
        "log_prob": lambda x: TwoBells(1.0).log_prob(x),
        "init": lambda x: TwoBells.init(x, rng=0),
        "fit": lambda x: em.fit(TwoBells(1.0), x),
    }
    with pytest.raises(ValueError, match="x has 2 columns; wanted 1"):
        calls[entry](X)
    with pytest.raises(ValueError, match="x has 1 values that are not finite"):
        calls[entry](spoiled(np.nan)[:, 1:])


ENTRIES_WITH_A_MODEL = [
    "expect", "log_prob", "fit", "responsibilities", "factors, fit", "factors, expect",
    "factors, log_prob", "Bayesian mixture, fit", "Bayesian mixture, log_prob", "switches, fit",
    "switches, expect", "switches, log_prob", "all states, fit", "all states, probs",
]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES_WITH_A_MODEL)
def test_another_number_of_columns_is_named(entry):
    with pytest.raises(ValueError, match="x has 3 columns; wanted 2, as the model has"):
        TAKES_DATA[entry](np.ones((5, 3)))


COUNTS = [
    (0, ValueError, "n_components is 0; wanted between 1 and 20"),
    (-2, ValueError, "n_components is -2"),
    (21, ValueError, "n_components is 21; wanted between 1 and 20"),
    (True, TypeError, "n_components is True"),
    (np.True_, TypeError, "n_components is"),
    (2.0, TypeError, "n_components is 2.0"),
    ("2", TypeError, "n_components is '2'"),
    (None, TypeError, "n_components is None"),
]


@pytest.mark.parametrize(("k", "error", "message"), COUNTS)
@pytest.mark.parametrize("make", [GaussianMixture.init, k_means, BayesianMixture.init])
def test_bad_numbers_of_components_are_named(make, k, error, message):
    with pytest.raises(error, match=message):
        make(X, k, rng=0)


@pytest.mark.parametrize("make", [FactorAnalysis.init, FactorAnalysis.ppca])
@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (2, ValueError, "n_factors is 2; wanted between 1 and 1"),
        (0, ValueError, "n_factors is 0"),
        (True, TypeError, "n_factors is True"),
        (1.0, TypeError, "n_factors is 1.0"),
    ],
)
def test_bad_numbers_of_factors_are_named(make, k, error, message):
    with pytest.raises(error, match=message):
        make(X, k)
    with pytest.raises(ValueError, match="x has 1 column; wanted at least 2"):
        make(X[:, :1], 1)


SEEDS = [(None, TypeError), (True, TypeError), ("a", TypeError), (1.5, TypeError), (-1, ValueError)]


@pytest.mark.parametrize(("rng", "error"), SEEDS)
@pytest.mark.parametrize(
    "call",
    [
        lambda rng: GaussianMixture.init(X, 2, rng=rng),
        lambda rng: k_means(X, 2, rng=rng),
        lambda rng: MIXTURE.sample(3, rng=rng),
        lambda rng: MIXTURE.infer(X).sample(rng=rng),
        lambda rng: TwoBells(1.0).sample(3, rng=rng),
        lambda rng: data.faces(2, rng=rng),
        lambda rng: FACTORS.sample(3, rng=rng),
        lambda rng: FACTORS.infer(X).sample(X, rng=rng),
        lambda rng: BAYES.sample(3, rng=rng),
        lambda rng: BayesianGaussian(NORMAL_GAMMA).sample(3, rng=rng),
        lambda rng: BayesianMixture.init(X, 2, rng=rng),
        lambda rng: SWITCHES.sample(3, rng=rng),
        lambda rng: SWITCHES.infer(X).sample(rng=rng),
        lambda rng: BinaryFactors.init(X, 2, rng=rng),
    ],
)
def test_bad_seeds_are_named(call, rng, error):
    with pytest.raises(error, match="rng is"):
        call(rng)


@pytest.mark.parametrize("rng", [7, np.int64(7), np.random.default_rng(7)])
def test_a_seed_and_its_generator_are_the_same(rng):
    expected = MIXTURE.sample(5, rng=np.random.default_rng(7))[0]
    np.testing.assert_array_equal(MIXTURE.sample(5, rng=rng)[0], expected)


GOOD = {"weights": [0.4, 0.6], "means": [[0, 0], [1, 1]], "covs": [np.eye(2), np.eye(2)]}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weights": [0.4, 0.5]}, ValueError, "weights does not sum to 1"),
        ({"weights": [-0.2, 1.2]}, ValueError, "weights has the negative value -0.2"),
        ({"weights": [np.nan, 1.0]}, ValueError, "weights has 1 values that are not finite"),
        ({"weights": []}, ValueError, "weights has shape"),
        ({"weights": [[0.4, 0.6]]}, ValueError, r"weights has shape \(1, 2\)"),
        ({"weights": ["a", "b"]}, TypeError, "weights holds"),
        ({"weights": None}, TypeError, "weights is None"),
        ({"weights": [0.2, 0.3, 0.5]}, ValueError, r"means has shape \(2, 2\); wanted \(3, any\)"),
        ({"means": [0, 1]}, ValueError, r"means has shape \(2,\)"),
        ({"means": [[0, np.inf], [1, 1]]}, ValueError, "means has 1 values"),
        ({"means": [[0, 1, 2]] * 2}, ValueError, r"covs has shape \(2, 2, 2\); wanted \(2, 3, 3\)"),
        ({"covs": np.eye(2)}, ValueError, r"covs has shape \(2, 2\)"),
        ({"covs": [np.eye(2), -np.eye(2)]}, ValueError, r"covs\[1\] is not positive definite"),
        ({"covs": [np.zeros((2, 2)), np.eye(2)]}, ValueError, r"covs\[0\] is not positive"),
        ({"covs": [np.eye(2), [[1, 0.5], [0, 1]]]}, ValueError, r"covs\[1\] is not symmetric"),
        ({"covs": [np.eye(2), np.full((2, 2), np.nan)]}, ValueError, "covs has 4 values"),
        ({"covs": [np.eye(2), 1j * np.eye(2)]}, TypeError, "covs holds complex128"),
        ({"prior": 0.1}, TypeError, "prior is float; wanted an InverseWishart"),
        ({"prior": InverseWishart(5.0, np.eye(3))}, ValueError, "prior has a scale of 3"),
    ],
)
def test_bad_parameters_of_a_mixture_are_named(change, error, message):
    with pytest.raises(error, match=message):
        GaussianMixture(**(GOOD | change))


@pytest.mark.parametrize(
    ("dof", "scale", "error", "message"),
    [
        (1.0, np.eye(2), ValueError, "dof is 1.0; wanted a number that is finite and > 1"),
        (np.nan, np.eye(2), ValueError, "dof is nan"),
        (True, np.eye(2), TypeError, "dof is True"),
        ("3", np.eye(2), TypeError, "dof is '3'"),
        (4.0, np.ones((2, 3)), ValueError, r"scale has shape \(2, 3\)"),
        (4.0, np.ones((2, 2)), ValueError, "scale is not positive definite"),
        (4.0, [[1, 0.5], [0, 1]], ValueError, "scale is not symmetric"),
        (4.0, np.eye(2)[0], ValueError, r"scale has shape \(2,\)"),
    ],
)
def test_bad_priors_are_named(dof, scale, error, message):
    with pytest.raises(error, match=message):
        InverseWishart(dof, scale)
    with pytest.raises(ValueError, match="cov"):
        PRIOR.log_prob(-np.eye(2))


@pytest.mark.parametrize(
    ("probs", "error", "message"),
    [
        ([[0.5, 0.6]], ValueError, "probs does not sum to 1"),
        ([[-0.5, 1.5]], ValueError, "probs has the negative value"),
        ([0.5, 0.5], ValueError, r"probs has shape \(2,\)"),
        ([[np.nan, 1.0]], ValueError, "probs has 1 values"),
        (None, TypeError, "probs is None"),
    ],
)
def test_bad_categoricals_are_named(probs, error, message):
    with pytest.raises(error, match=message):
        Categorical(probs)


@pytest.mark.parametrize(
    ("q", "error", "message"),
    [
        (Categorical(np.full((19, 2), 0.5)), ValueError, r"q has probs of shape \(19, 2\)"),
        (Categorical(np.full((20, 3), 1 / 3)), ValueError, r"q has probs of shape \(20, 3\)"),
        (np.full((20, 2), 0.5), TypeError, "q is ndarray; wanted a Categorical"),
        (None, TypeError, "q is NoneType"),
    ],
)
def test_a_q_for_other_data_is_named(q, error, message):
    with pytest.raises(error, match=message):
        MIXTURE.expect(X, q)


FACTOR_PARTS = {"loadings": [[1.0], [0.5]], "mean": [0.0, 0.0], "noise": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"loadings": [1.0, 0.5]}, ValueError, r"loadings has shape \(2,\); wanted \(any, any\)"),
        ({"loadings": [[np.nan], [1]]}, ValueError, "loadings has 1 values that are not finite"),
        ({"loadings": [["a"], ["b"]]}, TypeError, "loadings holds"),
        ({"loadings": np.empty((2, 0))}, ValueError, "loadings has shape"),
        ({"mean": [0.0]}, ValueError, r"mean has shape \(1,\); wanted \(2\)"),
        ({"mean": None}, TypeError, "mean is None"),
        ({"noise": [1.0, 0.0]}, ValueError, "noise has the value 0; wanted variances, all > 0"),
        ({"noise": [1.0, -2.0]}, ValueError, "noise has the value -2"),
        ({"noise": np.eye(2)}, ValueError, r"noise has shape \(2, 2\)"),
        ({"isotropic": 1}, TypeError, "isotropic is 1; wanted True or False"),
        ({"isotropic": True}, ValueError, "noise differs between columns; isotropic=True"),
    ],
)
def test_bad_parameters_of_factors_are_named(change, error, message):
    with pytest.raises(error, match=message):
        FactorAnalysis(**(FACTOR_PARTS | change))


def test_a_linear_q_for_other_factors_is_named():
    other = FactorAnalysis(np.ones((2, 2)), np.zeros(2), np.ones(2)).infer(X)
    with pytest.raises(ValueError, match=r"q has weights of shape \(2, 2\); wanted \(1, 2\)"):
        FACTORS.expect(X, other)
    with pytest.raises(TypeError, match="q is NoneType; wanted a LinearGaussian"):
        FACTORS.expect(X, None)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"loadings": [1.0, 0.5]}, ValueError, r"loadings has shape \(2,\)"),
        ({"mean": [0.0]}, ValueError, r"mean has shape \(1,\); wanted \(2\)"),
        ({"noise": 0.0}, ValueError, "noise is 0.0; wanted a number that is finite and > 0"),
        ({"noise": [1.0, 1.0]}, TypeError, "noise is"),
        ({"noise": np.nan}, ValueError, "noise is nan"),
        ({"noise": True}, TypeError, "noise is True"),
        ({"probs": [1.5]}, ValueError, "probs has the value 1.5; wanted probabilities, from 0"),
        ({"probs": [-0.1]}, ValueError, "probs has the value -0.1"),
        ({"probs": [0.1, 0.2]}, ValueError, r"probs has shape \(2,\); wanted \(1\)"),
        ({"probs": [np.nan]}, ValueError, "probs has 1 values that are not finite"),
        ({"exact": 1}, TypeError, "exact is 1; wanted True or False"),
    ],
)
def test_bad_parameters_of_switches_are_named(change, error, message):
    good = {"loadings": [[1.0], [0.5]], "mean": [0.0, 0.0], "noise": 1.0, "probs": [0.3]}
    BinaryFactors(**good)
    with pytest.raises(error, match=message):
        BinaryFactors(**(good | change))


@pytest.mark.parametrize("call", [SWITCHES.infer, SWITCHES.expect])
def test_switches_of_other_data_are_named(call):
    with pytest.raises(ValueError, match=r"q has probs of shape \(19, 1\); wanted \(20, 1\)"):
        call(X, Bernoulli(np.full((19, 1), 0.5)))
    with pytest.raises(TypeError, match="q is ndarray; wanted a Bernoulli"):
        call(X, np.full((20, 1), 0.5))


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (0, ValueError, "n_factors is 0"),
        (True, TypeError, "n_factors is True"),
        (1.0, TypeError, "n_factors is 1.0"),
    ],
)
def test_bad_numbers_of_switches_are_named(k, error, message):
    with pytest.raises(error, match=message):
        BinaryFactors.init(X, k, rng=0)


def test_factors_that_cannot_be_matched_are_named():
    with pytest.raises(
        ValueError, match=r"found has shape \(20, 1\); wanted 20 rows and at least 2"
    ):
        match_factors(X[:, :1], X)
    with pytest.raises(ValueError, match=r"found has shape \(19, 2\); wanted 20 rows"):
        match_factors(X[1:], X)
    with pytest.raises(ValueError, match="truth has 1 values that are not finite"):
        match_factors(X, spoiled(np.nan))


@pytest.mark.parametrize("name", ["strength", "shape", "rate"])
@pytest.mark.parametrize(
    ("value", "error"),
    [(0.0, ValueError), (-1.0, ValueError), (np.inf, ValueError), ("1", TypeError),
     (None, TypeError), (True, TypeError)],
)  # fmt: skip
def test_bad_normal_gamma_priors_are_named(name, value, error):
    good = {"mean": 0.0, "strength": 1.0, "shape": 1.0, "rate": 1.0}
    with pytest.raises(error, match=f"{name} is"):
        NormalGammaPrior(**(good | {name: value}))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prior": None}, TypeError, "prior is NoneType; wanted a NormalGammaPrior"),
        ({"prec": 0.0}, ValueError, "prec is 0.0"),
        ({"shape": -1.0}, ValueError, "shape is -1.0"),
        ({"mean": "a"}, TypeError, "mean is 'a'"),
    ],
)
def test_bad_factors_of_one_gaussian_are_named(options, error, message):
    with pytest.raises(error, match=message):
        BayesianGaussian(**({"prior": NORMAL_GAMMA} | options))


@pytest.mark.parametrize("density", [NORMAL_GAMMA.log_prob, BayesianGaussian(NORMAL_GAMMA).log_q])
def test_densities_over_precisions_want_them_positive(density):
    with pytest.raises(ValueError, match="prec has the value 0; wanted precisions"):
        density(0.0, [1.0, 0.0])
    with pytest.raises(ValueError, match="mean has 1 values"):
        density([np.nan], 1.0)


def test_one_gaussian_takes_one_column():
    with pytest.raises(ValueError, match="x has 2 columns; wanted 1"):
        em.fit(BayesianGaussian(NORMAL_GAMMA), X)
    with pytest.raises(ValueError, match="x has 1 values that are not finite"):
        em.fit(BayesianGaussian(NORMAL_GAMMA), spoiled(np.nan)[:, 1:])


GOOD_PRIOR = {"concentration": 1.0, "mean": [0, 0], "strength": 1.0, "dof": 3.0, "scale": np.eye(2)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"concentration": 0.0}, ValueError, "concentration is 0.0; wanted .* > 0"),
        ({"concentration": [1.0, 1.0]}, TypeError, "concentration is"),
        ({"strength": -1.0}, ValueError, "strength is -1.0"),
        ({"dof": 1.0}, ValueError, "dof is 1.0; wanted a number that is finite and > 1"),
        ({"dof": "3"}, TypeError, "dof is '3'"),
        ({"mean": [[0, 0]]}, ValueError, r"mean has shape \(1, 2\)"),
        ({"mean": [0, np.inf]}, ValueError, "mean has 1 values"),
        ({"scale": np.eye(3)}, ValueError, r"scale has shape \(3, 3\); wanted \(2, 2\)"),
        ({"scale": np.ones((2, 2))}, ValueError, "scale is not positive definite"),
        ({"scale": [[1, 0.5], [0, 1]]}, ValueError, "scale is not symmetric"),
    ],
)
def test_bad_mixture_priors_are_named(change, error, message):
    with pytest.raises(error, match=message):
        MixturePrior(**(GOOD_PRIOR | change))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"prior": PRIOR}, TypeError, "prior is InverseWishart; wanted a MixturePrior"),
        ({"concentration": [1.0, 0.0]}, ValueError, "concentration has the value 0"),
        ({"strengths": [1.0, -1.0]}, ValueError, "strengths has the value -1"),
        (
            {"dofs": [3.0, 1.0]},
            ValueError,
            "dofs has the value 1; wanted degrees of freedom",
        ),
        ({"dofs": [3.0]}, ValueError, r"dofs has shape \(1,\); wanted \(2\)"),
        ({"means": [[0, 0, 0]]}, ValueError, r"means has shape \(1, 3\)"),
        ({"scales": [np.eye(2), -np.eye(2)]}, ValueError, r"scales\[1\] is not positive definite"),
    ],
)
def test_bad_factors_of_a_bayesian_mixture_are_named(change, error, message):
    good = {
        "prior": MixturePrior(**GOOD_PRIOR), "concentration": [1.0, 2.0], "means": np.zeros((2, 2)),
        "strengths": [1.0, 2.0], "dofs": [3.0, 4.0], "scales": [np.eye(2), np.eye(2)],
    }  # fmt: skip
    BayesianMixture(**good)
    with pytest.raises(error, match=message):
        BayesianMixture(**(good | change))


def test_a_prior_for_other_data_is_named():
    wrong = MixturePrior(1.0, np.zeros(3), 1.0, 4.0, np.eye(3))
    with pytest.raises(ValueError, match=r"prior.mean has 3 columns; wanted 2"):
        BayesianMixture.init(X, 2, rng=0, prior=wrong)
    with pytest.raises(TypeError, match="prior is InverseWishart; wanted a MixturePrior"):
        BayesianMixture.init(X, 2, rng=0, prior=PRIOR)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_iter": -1}, ValueError, "max_iter is -1; wanted at least 0"),
        ({"max_iter": 2.5}, TypeError, "max_iter is 2.5"),
        ({"max_iter": True}, TypeError, "max_iter is True"),
        ({"tol": -1e-3}, ValueError, "tol is -0.001"),
        ({"tol": np.nan}, ValueError, "tol is nan"),
        ({"tol": "small"}, TypeError, "tol is 'small'"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": True}, TypeError, "batch_size is True"),
    ],
)
def test_bad_options_of_the_loop_are_named(options, error, message):
    with pytest.raises(error, match=message):
        em.fit(MIXTURE, X, **options)


@pytest.mark.parametrize("n", [0, -1, True, 1.5, None])
@pytest.mark.parametrize(
    "model", [MIXTURE, TwoBells(1.0), FACTORS, BAYES, BayesianGaussian(NORMAL_GAMMA), SWITCHES]
)
def test_bad_sample_sizes_are_named(model, n):
    with pytest.raises((TypeError, ValueError), match="n is"):
        model.sample(n, rng=0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bound.log_marginal([np.nan, 0]), ValueError, "log_joint has NaN"),
        (lambda: bound.log_marginal([np.inf, 0]), ValueError, r"log_joint has NaN or \+inf"),
        (lambda: bound.log_marginal(3.0), ValueError, r"log_joint has shape \(\)"),
        (lambda: bound.log_marginal([]), ValueError, r"log_joint has shape \(0,\)"),
        (lambda: bound.log_marginal(["a"]), TypeError, "log_joint holds"),
        (lambda: bound.posterior([-np.inf, -np.inf]), ValueError, "log_joint has a row of -inf"),
        (lambda: bound.lower_bound([0.5, 0.6], [0, 0]), ValueError, "q does not sum to 1"),
        (lambda: bound.entropy([-1, 2]), ValueError, "q has the negative value"),
        (lambda: bound.entropy(0.5), ValueError, "q has shape"),
        (lambda: bound.kl([1, 0], [0.5, 0.4]), ValueError, "p does not sum to 1"),
        (lambda: bound.gradient([1.0], [np.nan]), ValueError, "grad_log_joint has 1 values"),
        (lambda: bound.gaussian_kl([0], [[1]], [0, 0], [[1]]), ValueError, "mean2 has shape"),
        (lambda: bound.gaussian_kl([0], [[-1]], [0], [[1]]), ValueError, "cov1 is not positive"),
        (
            lambda: bound.gaussian_kl([0, 0], np.eye(2), [0, 0], [[1, 0.5], [0, 1]]),
            ValueError,
            "cov2 is not symmetric",
        ),
        (lambda: TwoBells(np.inf), ValueError, "theta is inf"),
        (lambda: TwoBells("3"), TypeError, "theta is '3'"),
        (lambda: TwoBells.init(X[:, :1], 3, rng=0), ValueError, "n_components is 3"),
        (lambda: figures.show(figures.new()[0], alt="plot"), ValueError, "alt is 'plot'"),
    ],
)
def test_other_entries_name_their_argument_too(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_models_cannot_be_changed_by_accident():
    with pytest.raises(AttributeError):
        MIXTURE.weights = [0.5, 0.5]
    with pytest.raises(ValueError, match="read-only"):
        MIXTURE.means[0] = 1
    mine = np.array([[0.0, 0.0], [1.0, 1.0]])
    model = GaussianMixture(GOOD["weights"], mine, GOOD["covs"])
    mine[:] = 9
    assert model.means.max() == 1
