"""The exercises of chapter 07: gradients through samples."""

import numpy as np

from lfm.checks.exercise import Exercise

network_slopes = Exercise(
    "network-slopes",
    chapter="07",
    hint="Keep h on the way forwards. Backwards: which values does each one feed into?",
    praise="one pass back gives the slopes in all parameters",
)


@network_slopes.draw
def input_weights_and_target(rng):
    n_hidden = int(rng.integers(1, 5))
    w, v = rng.normal(size=(2, n_hidden))
    return float(rng.uniform(0.5, 2)), w, v, float(rng.normal())


def backwards(x, w, v, t, *, tanh=lambda a, h: 1 - h**2, sign=1.0):
    """Return the slopes; the options are the known slips."""
    a = x * w
    h = np.tanh(a)
    by_y = sign * (v @ h - t)
    return np.stack([by_y * v * tanh(a, h) * x, by_y * h])


@network_slopes.reference
def slopes_of_the_network(x, w, v, t):
    return backwards(x, w, v, t)


@network_slopes.mistake("the way back to w leads through tanh, and its slope is missing")
def tanh_forgotten(x, w, v, t):
    return backwards(x, w, v, t, tanh=lambda a, h: np.ones_like(h))


@network_slopes.mistake("the slope of tanh was taken of a; it is 1 - h²")
def tanh_of_a(x, w, v, t):
    return backwards(x, w, v, t, tanh=lambda a, h: 1 - a**2)


@network_slopes.mistake("the slope of tanh is 1 - h², and here h was not squared")
def tanh_not_squared(x, w, v, t):
    return backwards(x, w, v, t, tanh=lambda a, h: 1 - h)


@network_slopes.mistake("the slope in w is that in a: the last step, times x, is missing")
def input_forgotten(x, w, v, t):
    return backwards(x, w, v, t) / np.array([[x], [1]])


@network_slopes.mistake("the slope of a = x w in w is x, not w")
def weight_for_input(x, w, v, t):
    return backwards(x, w, v, t) / np.array([[x], [1]]) * np.stack([w, np.ones_like(w)])


@network_slopes.mistake("the slope of y = v h in v is h, not a")
def before_the_tanh(x, w, v, t):
    return backwards(x, w, v, t) * np.stack([np.ones_like(w), x * w / np.tanh(x * w)])


@network_slopes.mistake("the way back to w leads through v, which is missing")
def weight_forgotten(x, w, v, t):
    return backwards(x, w, v, t) / np.stack([v, np.ones_like(v)])


@network_slopes.mistake("the sign is turned: these slopes are those of minus J")
def sign_turned(x, w, v, t):
    return backwards(x, w, v, t, sign=-1.0)


@network_slopes.mistake("the half of J cancels the 2 of the square: these are twice the slopes")
def twice(x, w, v, t):
    return backwards(x, w, v, t, sign=2.0)


@network_slopes.mistake("the rows are exchanged: first the slopes in w, then those in v")
def rows_exchanged(x, w, v, t):
    return backwards(x, w, v, t)[::-1]


@network_slopes.mistake("these are the slopes of y, not of J: start from the loss")
def slopes_of_the_output(x, w, v, t):
    return backwards(x, w, v, t) / (v @ np.tanh(x * w) - t)


@network_slopes.mistake("h (1 - h) is the slope of the logistic function; that of tanh is 1 - h²")
def logistic_slope(x, w, v, t):
    return backwards(x, w, v, t, tanh=lambda a, h: h * (1 - h))


gaussian_sample = Exercise(
    "gaussian-sample",
    chapter="07",
    hint="Which triangle times its own transpose is Σ? And a sample is a row, not a column.",
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


@gaussian_sample.mistake("L must be transposed here: each row of eps is one ε, and is to become Lε")
def factor_not_transposed(mean, cov, eps):
    return mean + eps @ np.linalg.cholesky(cov)


@gaussian_sample.mistake(
    "the symmetric root is a factor, so the samples are right; the task asks for the Cholesky one"
)
def symmetric_root(mean, cov, eps):
    values, vectors = np.linalg.eigh(cov)
    return mean + eps @ (vectors * np.sqrt(values) @ vectors.T)


@gaussian_sample.mistake(
    "eigenvectors give a factor too, so the samples are right; the task asks for the Cholesky one"
)
def eigen_factor(mean, cov, eps):
    values, vectors = np.linalg.eigh(cov)
    return mean + eps @ (vectors * np.sqrt(values)).T


@gaussian_sample.mistake("the variances are right, the covariances are lost")
def covariances_lost(mean, cov, eps):
    return mean + eps * np.sqrt(np.diag(cov))


@gaussian_sample.mistake("the mean is missing: these are samples around 0")
def mean_forgotten(mean, cov, eps):
    return eps @ np.linalg.cholesky(cov).T


score_function = Exercise(
    "score-function",
    chapter="07",
    hint="Differentiate ln q in m and in σ; a baseline must not depend on its own sample.",
    praise="no slope of f, and no bias; with this baseline the -1/σ of the score cancels",
)


@score_function.draw
def values_and_samples(rng):
    mean, std = float(rng.normal()), float(rng.uniform(0.4, 2))
    z = mean + std * rng.normal(size=int(rng.choice([2, int(rng.integers(3, 9))])))
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


@score_function.mistake("the slopes are exchanged: first that in m, then that in σ")
def slopes_exchanged(f, z, mean, std):
    return score_estimate(f, z, mean, std)[::-1]


minibatch_bound = Exercise(
    "minibatch-bound",
    chapter="07",
    hint="How likely is a datum to be in the batch? Which terms are there once for each?",
    praise="unbiased, whatever the size of the batch",
)


@minibatch_bound.draw
def terms_of_a_batch(rng):
    size = int(rng.integers(3, 9))
    n = int(rng.integers(20, 60))
    return rng.normal(-3, 1, size=size), float(rng.uniform(1, 5)), n + (n % size == 0)


@minibatch_bound.reference
def scaled_up(terms, kl, N):
    return N / len(terms) * terms.sum() - kl


@minibatch_bound.mistake(
    "the factor that all data share counts once: its divergence is not scaled up"
)
def divergence_scaled(terms, kl, N):
    return N / len(terms) * (terms.sum() - kl)


@minibatch_bound.mistake("the divergence stands once in the bound, not once for each datum")
def divergence_for_each(terms, kl, N):
    return N * (terms.mean() - kl)


@minibatch_bound.mistake("the batch stands for itself only; it must stand for all N data")
def not_scaled(terms, kl, N):
    return terms.sum() - kl


@minibatch_bound.mistake("this is the mean of one datum; the bound is a sum over N")
def one_datum(terms, kl, N):
    return terms.mean() - kl


@minibatch_bound.mistake("B/N is the wrong way round: few terms must stand for many")
def scaled_down(terms, kl, N):
    return len(terms) / N * terms.sum() - kl


@minibatch_bound.mistake("a divergence lowers the bound: it is subtracted")
def divergence_added(terms, kl, N):
    return N / len(terms) * terms.sum() + kl


@minibatch_bound.mistake("the divergence is missing")
def divergence_forgotten(terms, kl, N):
    return N / len(terms) * terms.sum()


@minibatch_bound.mistake("the divergence is not shared out over the batches: the bound is of all N")
def divergence_shared(terms, kl, N):
    return N / len(terms) * terms.sum() - kl * len(terms) / N


@minibatch_bound.mistake("N/B is rounded to a whole number; batches need not divide the data")
def whole_batches(terms, kl, N):
    return N // len(terms) * terms.sum() - kl


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


def ascend(
    x,
    eps,
    rates,
    *,
    entropy=lambda s: 1.0,
    width=lambda s: s,
    prior=1.0,
    log=True,
    noise=True,
    turns=False,
    n=None,
    total=False,
):
    """Return the trace of the fit; the options are the known slips."""
    n = len(x) if n is None else n

    def slopes(z):
        return (x.sum() - n * np.exp(z) - prior * z) * (len(z) if total else 1)

    m, log_s, trace = 0.0, 0.0, []
    for e, rate in zip(eps, rates, strict=True):
        s = np.exp(log_s)
        new = m + rate * slopes(m + width(s) * e).mean()
        slope = slopes((new if turns else m) + width(s) * e)
        by_s = (slope * e).mean() if noise else slope.mean()
        m, log_s = new, log_s + rate * (by_s * (s if log else 1) + entropy(s))
        trace.append([m, log_s])
    return np.array(trace)


@fit_by_samples.reference
def trace_of_the_fit(x, eps, rates):
    return ascend(x, eps, rates)


@fit_by_samples.mistake("the slope of the entropy in ln σ is missing: q will shrink to a spike")
def entropy_forgotten(x, eps, rates):
    return ascend(x, eps, rates, entropy=lambda s: 0.0)


@fit_by_samples.mistake("the slope of the prior of z is missing")
def prior_forgotten(x, eps, rates):
    return ascend(x, eps, rates, prior=0.0)


@fit_by_samples.mistake("the prior of z is there once, not once for each datum")
def prior_for_each(x, eps, rates):
    return ascend(x, eps, rates, prior=float(len(x)))


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


@fit_by_samples.mistake("these steps go downhill: the bound should rise")
def downhill(x, eps, rates):
    with np.errstate(all="ignore"):
        return ascend(x, eps, -rates)


@fit_by_samples.mistake("the rate of the counts is there once for each datum, not once in all")
def one_rate(x, eps, rates):
    return ascend(x, eps, rates, n=1)


@fit_by_samples.mistake("1/σ is the slope of the entropy in σ; what moves is ln σ")
def entropy_in_sigma(x, eps, rates):
    with np.errstate(all="ignore"):
        return ascend(x, eps, rates, entropy=lambda s: 1 / s)


@fit_by_samples.mistake("the trace begins with the start; wanted is the state after each step")
def state_before(x, eps, rates):
    return np.vstack([[0.0, 0.0], ascend(x, eps, rates)[:-1]])


@fit_by_samples.mistake("the average over the samples is wanted, not their sum")
def sum_over_samples(x, eps, rates):
    with np.errstate(all="ignore"):
        return ascend(x, eps, rates, total=True)


@fit_by_samples.mistake(
    "unbiased too, without the score of q; the task asks for the entropy in closed form"
)
def landing(x, eps, rates):
    m, log_s, trace = 0.0, 0.0, []
    with np.errstate(all="ignore"):
        for e, rate in zip(eps, rates, strict=True):
            s = np.exp(log_s)
            z = m + s * e
            slope = x.sum() - len(x) * np.exp(z) - z + e / s
            m, log_s = m + rate * slope.mean(), log_s + rate * (slope * s * e).mean()
            trace.append([m, log_s])
    return np.array(trace)


@fit_by_samples.mistake("the noise was multiplied by the variance; a sample is m + σε")
def variance_for_deviation(x, eps, rates):
    with np.errstate(all="ignore"):
        return ascend(x, eps, rates, width=np.square)


@fit_by_samples.mistake("the entropy of q raises the bound: its slope in ln σ is +1")
def entropy_lowers(x, eps, rates):
    return ascend(x, eps, rates, entropy=lambda s: -1.0)


@fit_by_samples.mistake(
    "unbiased too, with the prior of z in closed form; the task asks to sample it"
)
def prior_in_closed_form(x, eps, rates):
    m, log_s, trace = 0.0, 0.0, []
    for e, rate in zip(eps, rates, strict=True):
        s = np.exp(log_s)
        slope = x.sum() - len(x) * np.exp(m + s * e)
        m, log_s = m + rate * (slope.mean() - m), log_s + rate * ((slope * s * e).mean() + 1 - s**2)
        trace.append([m, log_s])
    return np.array(trace)
