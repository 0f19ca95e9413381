"""The exercises of chapter 07: gradients through samples."""

import numpy as np

from lfm.checks.exercise import Exercise

gaussian_sample = Exercise(
    "gaussian-sample",
    chapter="07",
    hint="Which matrix has Σ as its square, so to say? And a sample is a row, not a column.",
    praise="a factor of Σ, not Σ",
)


@gaussian_sample.draw
def gaussian_and_noise(rng):
    a = rng.normal(size=(3, 3))
    return rng.normal(size=3), a @ a.T + 0.5 * np.eye(3), rng.normal(size=(5, 3))


@gaussian_sample.reference
def samples(mean, cov, eps):
    return mean + eps @ np.linalg.cholesky(cov).T


@gaussian_sample.mistake("multiplied by Σ: the samples have covariance Σ². A factor of Σ is wanted")
def times_the_covariance(mean, cov, eps):
    return mean + eps @ cov


@gaussian_sample.mistake("L or its transpose: each row of eps is one ε, and it is to become Lε")
def factor_not_transposed(mean, cov, eps):
    return mean + eps @ np.linalg.cholesky(cov)


@gaussian_sample.mistake("the variances are right, the covariances are lost")
def covariances_lost(mean, cov, eps):
    return mean + eps * np.sqrt(np.diag(cov))


pathwise = Exercise(
    "pathwise",
    chapter="07",
    hint="How far does z move when m moves by a little, and how far when σ does?",
    praise="push the samples uphill, and see where that drags m and σ",
)


@pathwise.draw
def slopes_and_noise(rng):
    eps, mean, std = rng.normal(size=9), float(rng.normal()), float(rng.uniform(0.4, 2))
    return np.cos(mean + std * eps), eps, std


@pathwise.reference
def along_the_path(slope, eps, std):
    return np.array([slope.mean(), (slope * eps).mean()])


@pathwise.mistake(
    "both slopes are the same here; but a wider q moves each sample by an amount of its own"
)
def noise_forgotten(slope, eps, std):
    return np.array([slope.mean(), slope.mean()])


@pathwise.mistake("this is the slope in the variance σ²; wanted is that in σ")
def slope_in_the_variance(slope, eps, std):
    return np.array([slope.mean(), (slope * eps).mean() / (2 * std)])


@pathwise.mistake("this is the slope in ln σ; wanted is that in σ")
def slope_in_the_log(slope, eps, std):
    return np.array([slope.mean(), (slope * eps * std).mean()])


@pathwise.mistake("the average over samples is wanted, not their sum")
def sum_of_slopes(slope, eps, std):
    return np.array([slope.sum(), (slope * eps).sum()])


score_function = Exercise(
    "score-function",
    chapter="07",
    hint="Differentiate ln q in m and in σ; a baseline must not depend on its own sample.",
    praise="no slope of f anywhere, and a baseline that does not bias",
)


@score_function.draw
def values_and_samples(rng):
    mean, std = float(rng.normal()), float(rng.uniform(0.4, 2))
    z = mean + std * rng.normal(size=int(rng.integers(2, 9)))
    return 3 + z**2, z, mean, std


def weighed(f, z, mean, std):
    by_std = (z - mean) ** 2 / std**3 - 1 / std
    return np.array([(f * (z - mean)).mean() / std**2, (f * by_std).mean()])


@score_function.reference
def score_estimate(f, z, mean, std):
    return weighed(f - (f.sum() - f) / (len(f) - 1), z, mean, std)


@score_function.mistake("divided by σ: look again at the score of the mean")
def one_sigma_short(f, z, mean, std):
    return score_estimate(f, z, mean, std) * [std, 1]


@score_function.mistake("f is missing: this averages to zero, whatever f is")
def f_forgotten(f, z, mean, std):
    return weighed(np.ones_like(f), z, mean, std)


@score_function.mistake("the average over samples is wanted, not their sum")
def sum_of_values(f, z, mean, std):
    return score_estimate(f, z, mean, std) * len(f)


@score_function.mistake("this has no baseline; it is unbiased, but noisier than what is asked for")
def no_baseline(f, z, mean, std):
    return weighed(f, z, mean, std)


@score_function.mistake("each baseline contains its own value: the gradient loses the share 1/S")
def mean_of_all(f, z, mean, std):
    return weighed(f - f.mean(), z, mean, std)


@score_function.mistake("the others are one fewer than all: the baseline is divided by too many")
def divided_by_all(f, z, mean, std):
    return weighed(f - (f.sum() - f) / len(f), z, mean, std)


@score_function.mistake("this is the slope in ln σ; wanted is that in σ")
def score_in_the_log(f, z, mean, std):
    return score_estimate(f, z, mean, std) * [1, std]


minibatch_bound = Exercise(
    "minibatch-bound",
    chapter="07",
    hint="How likely is a datum to be in the batch? Which terms are there once for each?",
    praise="unbiased, whatever the size of the batch",
)


@minibatch_bound.draw
def terms_of_a_batch(rng):
    return rng.normal(-3, 1, size=8), float(rng.uniform(1, 5)), 40


@minibatch_bound.reference
def scaled_up(terms, kl, N):
    return N / len(terms) * terms.sum() - kl


@minibatch_bound.mistake(
    "the factor that all data share counts once: its divergence is not scaled up"
)
def divergence_scaled(terms, kl, N):
    return N / len(terms) * (terms.sum() - kl)


@minibatch_bound.mistake("the batch stands for itself only; it must stand for all N data")
def not_scaled(terms, kl, N):
    return terms.sum() - kl


@minibatch_bound.mistake("this is the mean of one datum; the bound is a sum over N")
def one_datum(terms, kl, N):
    return terms.mean() - kl


@minibatch_bound.mistake("B/N the wrong way round: the batch is smaller than the data")
def scaled_down(terms, kl, N):
    return len(terms) / N * terms.sum() - kl


fit_by_samples = Exercise(
    "fit-by-samples",
    chapter="07",
    hint="The slope of ln p(X, z) at each sample, the chain rule, the slope of the entropy.",
    praise="no conjugate prior, and no update formula: only a slope",
)


@fit_by_samples.draw
def counts_noise_and_rates(rng):
    x = rng.poisson(3.0, size=int(rng.integers(1, 6))).astype(float)
    rates = 0.05 / (1 + np.arange(30) / rng.uniform(5, 20))
    return x, rng.normal(size=(30, int(rng.integers(1, 9)))), rates


def ascend(x, eps, rates, *, entropy=1.0, prior=1.0, log=True, noise=True, turns=False, n=None):
    """Return the trace of the fit; the options are the known slips."""
    m = log_s = 0.0
    n, trace = len(x) if n is None else n, []
    for e, rate in zip(eps, rates, strict=True):
        s = np.exp(log_s)
        slope = x.sum() - n * np.exp(m + s * e) - prior * (m + s * e)
        new = m + rate * slope.mean()
        if turns:
            slope = x.sum() - n * np.exp(new + s * e) - prior * (new + s * e)
        by_s = (slope * e).mean() if noise else slope.mean()
        m, log_s = new, log_s + rate * (by_s * (s if log else 1) + entropy)
        trace.append([m, log_s])
    return np.array(trace)


@fit_by_samples.reference
def trace_of_the_fit(x, eps, rates):
    return ascend(x, eps, rates)


@fit_by_samples.mistake("the slope of the entropy in ln σ is missing: q will shrink to a spike")
def entropy_forgotten(x, eps, rates):
    return ascend(x, eps, rates, entropy=0.0)


@fit_by_samples.mistake("the slope of the prior of z is missing")
def prior_forgotten(x, eps, rates):
    return ascend(x, eps, rates, prior=0.0)


@fit_by_samples.mistake("this is the slope in σ; what moves is ln σ")
def slope_in_sigma(x, eps, rates):
    return ascend(x, eps, rates, log=False)


@fit_by_samples.mistake("the slope in ln σ does not use the noise: how does σ move each sample?")
def noise_unused(x, eps, rates):
    return ascend(x, eps, rates, noise=False)


@fit_by_samples.mistake(
    "m has moved before the slope in ln σ was taken; both move at the same time"
)
def in_turns(x, eps, rates):
    return ascend(x, eps, rates, turns=True)


@fit_by_samples.mistake("downhill: the bound is to rise")
def downhill(x, eps, rates):
    with np.errstate(all="ignore"):
        return ascend(x, eps, -rates)


@fit_by_samples.mistake("the rate of the counts is there once for each datum, not once in all")
def one_rate(x, eps, rates):
    return ascend(x, eps, rates, n=1)
