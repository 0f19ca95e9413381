"""The exercises of chapter 07: gradients through samples."""

import numpy as np

from lfm.checks.exercise import Exercise

gaussian_sample = Exercise(
    "gaussian-sample",
    chapter="07",
    hint="Σ = L Lᵀ, and each sample is μ + Lε.",
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


@gaussian_sample.mistake("each row is ε: Lε for all rows at once is eps @ L.T")
def factor_not_transposed(mean, cov, eps):
    return mean + eps @ np.linalg.cholesky(cov)


@gaussian_sample.mistake("the variances are right, the covariances are lost")
def covariances_lost(mean, cov, eps):
    return mean + eps * np.sqrt(np.diag(cov))


pathwise = Exercise(
    "pathwise",
    chapter="07",
    hint="z = m + σε, so ∂z/∂m = 1 and ∂z/∂σ = ε; then the chain rule.",
    praise="push the samples uphill, and see where that drags m and σ",
)


@pathwise.draw
def slopes_and_noise(rng):
    eps, mean, std = rng.normal(size=9), float(rng.normal()), float(rng.uniform(0.4, 2))
    return np.cos(mean + std * eps), eps, std


@pathwise.reference
def along_the_path(slope, eps, std):
    return np.array([slope.mean(), (slope * eps).mean()])


@pathwise.mistake("∂z/∂σ is ε: a wider q moves each sample by its own noise")
def noise_forgotten(slope, eps, std):
    return np.array([slope.mean(), slope.mean()])


@pathwise.mistake("this is the slope in the variance σ²")
def slope_in_the_variance(slope, eps, std):
    return np.array([slope.mean(), (slope * eps).mean() / (2 * std)])


@pathwise.mistake("this is the slope in ln σ")
def slope_in_the_log(slope, eps, std):
    return np.array([slope.mean(), (slope * eps * std).mean()])


@pathwise.mistake("the average over samples is wanted, not their sum")
def sum_of_slopes(slope, eps, std):
    return np.array([slope.sum(), (slope * eps).sum()])


score_function = Exercise(
    "score-function",
    chapter="07",
    hint="Differentiate ln q = -ln σ - (z - m)²/2σ² in m and in σ, times f, and average.",
    praise="no slope of f anywhere",
)


@score_function.draw
def values_and_samples(rng):
    mean, std = float(rng.normal()), float(rng.uniform(0.4, 2))
    z = mean + std * rng.normal(size=9)
    return 3 + z**2, z, mean, std


@score_function.reference
def score_estimate(f, z, mean, std):
    return np.array(
        [(f * (z - mean)).mean() / std**2, (f * ((z - mean) ** 2 / std**3 - 1 / std)).mean()]
    )


@score_function.mistake("divided by σ: the score of the mean is (z - m)/σ²")
def one_sigma_short(f, z, mean, std):
    return score_estimate(f, z, mean, std) * [std, 1]


@score_function.mistake("-1/σ is missing: the normaliser of q contains σ as well")
def normaliser_forgotten(f, z, mean, std):
    return score_estimate(f, z, mean, std) + np.array([0, f.mean() / std])


@score_function.mistake("f is missing: this averages to zero, whatever f is")
def f_forgotten(f, z, mean, std):
    return score_estimate(np.ones_like(f), z, mean, std)


@score_function.mistake("the average over samples is wanted, not their sum")
def sum_of_values(f, z, mean, std):
    return score_estimate(f, z, mean, std) * len(f)


leave_one_out = Exercise(
    "leave-one-out",
    chapter="07",
    hint="The sum of all less its own, divided by how many are left.",
    praise="independent of its own sample, so nothing is biased",
)


@leave_one_out.draw
def some_values(rng):
    return (rng.normal(5, 2, size=7),)


@leave_one_out.reference
def mean_of_the_others(f):
    return (f.sum() - f) / (len(f) - 1)


@leave_one_out.mistake("each baseline contains its own value: the gradient loses the share 1/S")
def mean_of_all(f):
    return np.full_like(f, f.mean())


@leave_one_out.mistake("the others are S - 1")
def divided_by_all(f):
    return (f.sum() - f) / len(f)


@leave_one_out.mistake("this is f less its baseline; the baselines themselves are wanted")
def less_its_baseline(f):
    return f - (f.sum() - f) / (len(f) - 1)


minibatch_bound = Exercise(
    "minibatch-bound",
    chapter="07",
    hint="Each datum is in the batch with probability B/N.",
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


@minibatch_bound.mistake("the batch must stand for all N data: scale its sum by N/B")
def not_scaled(terms, kl, N):
    return terms.sum() - kl


@minibatch_bound.mistake("this is the mean of one datum; the bound is a sum over N")
def one_datum(terms, kl, N):
    return terms.mean() - kl


@minibatch_bound.mistake("B/N the wrong way round: the batch is smaller than the data")
def scaled_down(terms, kl, N):
    return len(terms) / N * terms.sum() - kl
