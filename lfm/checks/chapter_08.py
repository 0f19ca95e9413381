"""The exercises of chapter 08: the variational autoencoder."""

import numpy as np

from lfm.checks.exercise import Exercise

standard_normal_kl = Exercise(
    "standard-normal-kl",
    chapter="08",
    hint="Average ln q - ln p under q, one factor at a time, then add.",
    praise="0 for the prior itself, and never below",
)


@standard_normal_kl.draw
def code(rng):
    return rng.normal(size=4), rng.normal(size=4)


@standard_normal_kl.reference
def divergence(mean, log_var):
    return 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum()


@standard_normal_kl.mistake("the sign: a divergence is never negative")
def negative_divergence(mean, log_var):
    return -divergence(mean, log_var)


@standard_normal_kl.mistake("ln σ where ln σ² belongs; ln σ² is what you were given")
def log_std_for_log_var(mean, log_var):
    return divergence(mean, log_var) + 0.25 * log_var.sum()


@standard_normal_kl.mistake("ln σ² is what you were given, not ln σ: σ² is e^(ln σ²)")
def log_var_as_log_std(mean, log_var):
    return divergence(mean, 2 * log_var)


@standard_normal_kl.mistake("σ where σ² belongs: tr Σ sums variances")
def std_for_variance(mean, log_var):
    return 0.5 * (np.exp(0.5 * log_var) + mean**2 - 1 - log_var).sum()


@standard_normal_kl.mistake("-K is missing: the divergence must be 0 for mean 0 and variance 1")
def constant_forgotten(mean, log_var):
    return divergence(mean, log_var) + 0.5 * len(mean)


@standard_normal_kl.mistake("the sum over factors, not their mean")
def mean_over_factors(mean, log_var):
    return divergence(mean, log_var) / len(mean)


@standard_normal_kl.mistake("the ½ before the sum is missing")
def half_forgotten(mean, log_var):
    return 2 * divergence(mean, log_var)


@standard_normal_kl.mistake("this is the divergence of the prior from q; wanted is KL(q ‖ prior)")
def other_way_round(mean, log_var):
    return 0.5 * ((1 + mean**2) * np.exp(-log_var) - 1 + log_var).sum()


@standard_normal_kl.mistake("the 1 counts once for each of the K factors: -K in all")
def one_for_all_factors(mean, log_var):
    return divergence(mean, log_var) + 0.5 * (len(mean) - 1)


@standard_normal_kl.mistake("the means are missing: a q far from 0 is far from the prior")
def means_forgotten(mean, log_var):
    return divergence(0 * mean, log_var)


@standard_normal_kl.mistake("the means enter by their squares")
def means_not_squared(mean, log_var):
    return 0.5 * (np.exp(log_var) + mean - 1 - log_var).sum()


@standard_normal_kl.mistake("-ln σ² is missing: without it the best σ would be 0")
def log_var_left_out(mean, log_var):
    return divergence(mean, log_var) + 0.5 * log_var.sum()


@standard_normal_kl.mistake("ln σ² has the wrong sign: q narrower than the prior costs, too")
def log_var_added(mean, log_var):
    return divergence(mean, log_var) + log_var.sum()


reparametrised = Exercise(
    "reparametrised",
    chapter="08",
    hint="Which power of e^(ln σ²) is σ? It multiplies the noise.",
    praise="the most frequent mistake of all VAE code, avoided",
)


@reparametrised.draw
def three_vectors(rng):
    return rng.normal(size=5), rng.normal(size=5), rng.normal(size=5)


@reparametrised.reference
def moved_by_noise(mean, log_var, eps):
    return mean + np.exp(0.5 * log_var) * eps


@reparametrised.mistake("σ² for σ: it is the standard deviation that multiplies the noise")
def variance_for_deviation(mean, log_var, eps):
    return mean + np.exp(log_var) * eps


@reparametrised.mistake("this is the log of the variance; it may even be negative")
def log_var_for_deviation(mean, log_var, eps):
    return mean + log_var * eps


@reparametrised.mistake("the noise is missing: this is always the same point")
def noise_forgotten(mean, log_var, eps):
    return mean + np.exp(0.5 * log_var)


@reparametrised.mistake("the mean is missing: this is a sample about 0")
def mean_forgotten(mean, log_var, eps):
    return np.exp(0.5 * log_var) * eps


@reparametrised.mistake("the noise is not scaled: it has variance 1, wanted is σ²")
def noise_unscaled(mean, log_var, eps):
    return mean + eps


@reparametrised.mistake("this is ln σ; the noise is multiplied by σ, its exponential")
def log_std_for_deviation(mean, log_var, eps):
    return mean + 0.5 * log_var * eps


@reparametrised.mistake("this is the root of ln σ²; σ is the root of σ² = e^(ln σ²)")
def root_of_the_log(mean, log_var, eps):
    return mean + np.sqrt(log_var) * eps


@reparametrised.mistake("the exponent has the wrong sign: this divides the noise by σ")
def noise_divided(mean, log_var, eps):
    return mean + np.exp(-0.5 * log_var) * eps


@reparametrised.mistake("σ is e^(½ ln σ²); this has a 2 where the ½ belongs")
def squared_once_more(mean, log_var, eps):
    return mean + np.exp(2 * log_var) * eps


@reparametrised.mistake("the mean is scaled, too; σ multiplies the noise alone")
def mean_scaled(mean, log_var, eps):
    return (mean + eps) * np.exp(0.5 * log_var)


@reparametrised.mistake("the noise is subtracted; the task adds it to the mean")
def noise_subtracted(mean, log_var, eps):
    return mean - np.exp(0.5 * log_var) * eps


gaussian_log_likelihood = Exercise(
    "gaussian-log-likelihood",
    chapter="08",
    hint="D independent Gaussians: add their log densities.",
    praise="a log density: it may be positive",
)

gaussian_log_likelihood.draw(three_vectors)


@gaussian_log_likelihood.reference
def log_density(x, mean, log_var):
    squares = (x - mean) ** 2 / np.exp(log_var)
    return -0.5 * (np.log(2 * np.pi) + log_var + squares).sum()


@gaussian_log_likelihood.mistake("ln 2π counts once for each of the D pixels")
def one_log_2_pi(x, mean, log_var):
    return log_density(x, mean, log_var) + 0.5 * (len(x) - 1) * np.log(2 * np.pi)


@gaussian_log_likelihood.mistake("the sum over pixels, not their mean, or it is no log density")
def mean_over_pixels(x, mean, log_var):
    return log_density(x, mean, log_var) / len(x)


@gaussian_log_likelihood.mistake("ln|Σ| is missing: then nothing keeps the variance from growing")
def log_var_forgotten(x, mean, log_var):
    return log_density(x, mean, log_var) + 0.5 * log_var.sum()


@gaussian_log_likelihood.mistake("σ² is e^(ln σ²) already; it was squared once more")
def variance_squared(x, mean, log_var):
    return log_density(x, mean, 2 * log_var)


@gaussian_log_likelihood.mistake("the sign: this is the loss")
def negative_log_density(x, mean, log_var):
    return -log_density(x, mean, log_var)


@gaussian_log_likelihood.mistake("the ½ before the sum is missing")
def density_without_half(x, mean, log_var):
    return 2 * log_density(x, mean, log_var)


@gaussian_log_likelihood.mistake("ln 2π is missing: without it the density does not integrate to 1")
def log_2_pi_forgotten(x, mean, log_var):
    return log_density(x, mean, log_var) + 0.5 * len(x) * np.log(2 * np.pi)


@gaussian_log_likelihood.mistake("the square is divided by σ², not by σ")
def divided_by_std(x, mean, log_var):
    squares = (x - mean) ** 2 / np.exp(0.5 * log_var)
    return -0.5 * (np.log(2 * np.pi) + log_var + squares).sum()


@gaussian_log_likelihood.mistake("divide by σ² = e^(ln σ²), not by its log")
def divided_by_log(x, mean, log_var):
    return -0.5 * (np.log(2 * np.pi) + log_var + (x - mean) ** 2 / log_var).sum()


@gaussian_log_likelihood.mistake("this is -½ of the squared error; each pixel has its own variance")
def squared_error(x, mean, log_var):
    return -0.5 * ((x - mean) ** 2).sum()


@gaussian_log_likelihood.mistake("every variance is taken for 1; each pixel has its own")
def all_variances_one(x, mean, log_var):
    return log_density(x, mean, 0 * log_var)


@gaussian_log_likelihood.mistake("ln σ² has the ½ as well: this is -ln σ², wanted -ln σ")
def log_var_without_half(x, mean, log_var):
    return log_density(x, mean, log_var) - 0.5 * log_var.sum()


@gaussian_log_likelihood.mistake("the square has the ½ as well")
def square_without_half(x, mean, log_var):
    return log_density(x, mean, log_var) - 0.5 * ((x - mean) ** 2 / np.exp(log_var)).sum()


@gaussian_log_likelihood.mistake("ln 2π has the ½ as well: this is -ln 2π for each pixel")
def log_2_pi_without_half(x, mean, log_var):
    return log_density(x, mean, log_var) - 0.5 * len(x) * np.log(2 * np.pi)


@gaussian_log_likelihood.mistake("ln 2π and ln|Σ| are both missing: this is the exponent alone")
def exponent_alone(x, mean, log_var):
    return -0.5 * ((x - mean) ** 2 / np.exp(log_var)).sum()


@gaussian_log_likelihood.mistake("the square is multiplied by σ²; it is divided by it")
def multiplied_by_variance(x, mean, log_var):
    return -0.5 * (np.log(2 * np.pi) + log_var + (x - mean) ** 2 * np.exp(log_var)).sum()


@gaussian_log_likelihood.mistake("this is the density; wanted is its log")
def density(x, mean, log_var):
    return np.exp(log_density(x, mean, log_var))


vae_bound = Exercise(
    "vae-bound",
    chapter="08",
    hint="ln p(x | z) = Σ x ln p + (1 - x) ln(1 - p) with p = sigmoid(logits); then less the KL.",
    praise="the loss of every Bernoulli VAE, with its sign turned",
)


@vae_bound.draw
def bits_and_code(rng):
    bits = (rng.random((6, 5)) < 0.4).astype(float)
    return bits, 2 * rng.normal(size=(6, 5)), rng.normal(size=(6, 3)), rng.normal(size=(6, 3))


def log_likelihoods(x, logits):
    return (x * logits - np.logaddexp(0, logits)).sum(axis=1)


def divergences(mean, log_var):
    return 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(axis=1)


@vae_bound.reference
def bound_of_each(x, logits, mean, log_var):
    return log_likelihoods(x, logits) - divergences(mean, log_var)


@vae_bound.mistake("the mean over pixels beside the sum over factors: that is no bound")
def pixels_averaged(x, logits, mean, log_var):
    return log_likelihoods(x, logits) / x.shape[1] - divergences(mean, log_var)


@vae_bound.mistake("the divergence is a price: it is subtracted")
def divergence_added(x, logits, mean, log_var):
    return log_likelihoods(x, logits) + divergences(mean, log_var)


@vae_bound.mistake("this is the loss; the bound is its negative")
def loss(x, logits, mean, log_var):
    return divergences(mean, log_var) - log_likelihoods(x, logits)


@vae_bound.mistake("the divergence is a sum over factors, not their mean")
def factors_averaged(x, logits, mean, log_var):
    return log_likelihoods(x, logits) - divergences(mean, log_var) / mean.shape[1]


@vae_bound.mistake("each datum pays for its own code: the sum over factors, not over the batch")
def divergence_of_the_batch(x, logits, mean, log_var):
    return log_likelihoods(x, logits) - divergences(mean, log_var).sum()


@vae_bound.mistake("a pixel that is off has a probability too: ln(1 - p)")
def off_pixels_forgotten(x, logits, mean, log_var):
    return (x * logits).sum(axis=1) - divergences(mean, log_var)


@vae_bound.mistake("only pixels that are on were counted: add (1 - x) ln(1 - p)")
def only_pixels_that_are_on(x, logits, mean, log_var):
    return -(x * np.logaddexp(0, -logits)).sum(axis=1) - divergences(mean, log_var)


@vae_bound.mistake("ln σ² is what you were given for the divergence, not ln σ")
def bound_with_log_std(x, logits, mean, log_var):
    return log_likelihoods(x, logits) - divergences(mean, 2 * log_var)


@vae_bound.mistake("the divergence is missing: this is ln p(x | z) alone")
def pixels_alone(x, logits, mean, log_var):
    return log_likelihoods(x, logits)


@vae_bound.mistake("the ½ of the divergence is missing")
def divergence_without_half(x, logits, mean, log_var):
    return log_likelihoods(x, logits) - 2 * divergences(mean, log_var)


@vae_bound.mistake("sums over pixels and over factors are wanted; these are means of both")
def both_averaged(x, logits, mean, log_var):
    return log_likelihoods(x, logits) / x.shape[1] - divergences(mean, log_var) / mean.shape[1]


@vae_bound.mistake("each datum has its own pixels: the sum over a row, not over the batch")
def pixels_of_the_batch(x, logits, mean, log_var):
    return log_likelihoods(x, logits).sum() - divergences(mean, log_var)


@vae_bound.mistake("each datum pays for its own code; here all pay the mean of the batch")
def mean_divergence(x, logits, mean, log_var):
    return log_likelihoods(x, logits) - divergences(mean, log_var).mean()


@vae_bound.mistake("the sigmoid is taken twice: the logits become probabilities once")
def sigmoid_twice(x, logits, mean, log_var):
    return log_likelihoods(x, 1 / (1 + np.exp(-logits))) - divergences(mean, log_var)


@vae_bound.mistake("on and off are exchanged: x ln p + (1 - x) ln(1 - p)")
def bits_exchanged(x, logits, mean, log_var):
    return log_likelihoods(1 - x, logits) - divergences(mean, log_var)


@vae_bound.mistake("this is a squared error; bits have the log density of a coin")
def squares_for_coins(x, logits, mean, log_var):
    errors = ((x - 1 / (1 + np.exp(-logits))) ** 2).sum(axis=1)
    return -errors - divergences(mean, log_var)


training_loop = Exercise(
    "training-loop",
    chapter="08",
    hint="in each step z = m + sε and J = ½(x - wz)² + ½(s² + m² - 1 - ln s²). Chain rule, three "
    "times, all at the old values; then the step, then the next noise.",
    praise="inference and learning in one loop",
)


@training_loop.draw
def weights_datum_and_noise(rng):
    return (*rng.normal(size=4), rng.normal(size=4), float(rng.uniform(0.05, 0.2)))


def slopes_at(x, w, m, log_s, noise, *, path=1.0, prior=1.0, in_log=True, noisy=True):
    """Return the slopes of J in w, m and ln s; the options are the known slips."""
    s = np.exp(log_s)
    z = m + s * noise
    pull = path * -(x - w * z) * w  # the slope of the reconstruction term in z
    own = np.array([-(x - w * z) * z, pull, pull * s * (noise if noisy else 1.0)])
    slopes = own + prior * np.array([0.0, m, s**2 - 1])
    return slopes if in_log else slopes / np.array([1.0, 1.0, s])


def steps(x, w, m, log_s, eps, lr, **slip):
    at = np.array([w, m, log_s], dtype=float)
    for noise in eps:
        at = at - lr * slopes_at(x, *at, noise, **slip)
    return at


@training_loop.reference
def trained(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, lr)


@training_loop.mistake("this goes uphill in J: the loss is to fall")
def uphill(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, -lr)


@training_loop.mistake(
    "z moves with m and ln s: the reconstruction has a slope in them, by the path"
)
def path_forgotten(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, lr, path=0.0)


@training_loop.mistake("the divergence has slopes too: m, and s² - 1 in ln s")
def divergence_forgotten(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, lr, prior=0.0)


@training_loop.mistake("one step only: there is one for each number in eps")
def first_step_alone(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps[:1], lr)


@training_loop.mistake(
    "w was moved before the slopes of m and ln s were taken: all three belong to the old values"
)
def one_after_the_other(x, w, m, log_s, eps, lr):
    at = np.array([w, m, log_s], dtype=float)
    for noise in eps:
        at[0] -= lr * slopes_at(x, *at, noise)[0]
        at[1:] -= lr * slopes_at(x, *at, noise)[1:]
    return at


@training_loop.mistake("m's slope was taken with the new w: all three belong to the old values")
def new_weight_for_m(x, w, m, log_s, eps, lr):
    for noise in eps:
        s = np.exp(log_s)
        z = m + s * noise
        r = x - w * z
        w = w + lr * r * z
        m, log_s = m + lr * (r * w - m), log_s + lr * (r * w * s * noise - s**2 + 1)
    return np.array([w, m, log_s])


@training_loop.mistake("s changes with ln s: take it anew in each step")
def first_s_kept(x, w, m, log_s, eps, lr):
    s = np.exp(log_s)
    for noise in eps:
        z = m + s * noise
        r = x - w * z
        slopes = np.array([-r * z, -r * w + m, -r * w * s * noise + s**2 - 1])
        w, m, log_s = np.array([w, m, log_s]) - lr * slopes
    return np.array([w, m, log_s])


@training_loop.mistake("this is the slope in s; the third number is ln s: multiply by s")
def slope_in_s(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, lr, in_log=False)


@training_loop.mistake(
    "the slope of s² in ln s is 2s², and the ½ of the divergence halves it: s² - 1"
)
def divergence_twice(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, lr, prior=np.array([1.0, 1.0, 2.0]))


@training_loop.mistake("z moves with ln s by sε: the ε is missing")
def noise_left_out(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, lr, noisy=False)


@training_loop.mistake("the third number is ln s; this is s")
def s_returned(x, w, m, log_s, eps, lr):
    w, m, log_s = trained(x, w, m, log_s, eps, lr)
    return np.array([w, m, np.exp(log_s)])


@training_loop.mistake("the slopes of all steps so far are added up: `zero_grad` in every step")
def slopes_added_up(x, w, m, log_s, eps, lr):
    at, total = np.array([w, m, log_s], dtype=float), 0.0
    for noise in eps:
        total = total + slopes_at(x, *at, noise)
        at = at - lr * total
    return at


@training_loop.mistake("this is always the first noise; each step takes the next")
def first_noise_kept(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, np.full_like(eps, eps[0]), lr)


@training_loop.mistake("one step is missing: there is one for each number in eps")
def last_step_missing(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps[:-1], lr)


@training_loop.mistake("the divergence is added in J: its slopes have the wrong sign")
def divergence_subtracted(x, w, m, log_s, eps, lr):
    return steps(x, w, m, log_s, eps, lr, prior=-1.0)


@training_loop.mistake("the ½ before (x - wz)² cancels the 2: its slopes are twice too large")
def squares_without_half(x, w, m, log_s, eps, lr):
    at = np.array([w, m, log_s], dtype=float)
    for noise in eps:
        own = slopes_at(x, *at, noise, prior=0.0)
        at = at - lr * (slopes_at(x, *at, noise) + own)
    return at


@training_loop.mistake("the -ln s² of the divergence has a slope, too: -1 in ln s")
def log_forgotten(x, w, m, log_s, eps, lr):
    at = np.array([w, m, log_s], dtype=float)
    for noise in eps:
        at = at - lr * (slopes_at(x, *at, noise) + np.array([0.0, 0.0, 1.0]))
    return at
