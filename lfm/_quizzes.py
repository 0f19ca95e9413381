"""The quizzes of the course: a question, its options, and what to say to each."""

from dataclasses import dataclass
from typing import NamedTuple


class Option(NamedTuple):
    """One option: its text, and the reply to a reader who chose it."""

    text: str  # markdown, with formulas
    reply: str  # plain: it is printed


@dataclass(frozen=True)
class Quiz:
    """One question of multiple choice; `right` is the letter of the one option that is right."""

    name: str
    chapter: str
    question: str
    options: dict[str, Option]
    right: str

    def markdown(self) -> str:
        """Return question and options as they stand in the notebook."""
        lines = [f"- **{letter}** · {option.text}" for letter, option in self.options.items()]
        return "\n".join([f"**Quiz.** {self.question}", "", *lines])


def _quiz(name: str, chapter: str, question: str, right: str, *options: tuple[str, str]) -> Quiz:
    letters = "abcd"[: len(options)]
    return Quiz(
        name, chapter, question, dict(zip(letters, map(Option._make, options), strict=True)), right
    )


# ------------------------------------------------------------------ 00 latent factors

CHAPTER_00 = (
    _quiz(
        "which-question",
        "00",
        "We see the five numbers `x`, and we know $W$, the mean and the noise. We ask for the two "
        "numbers `z`. Which of the three questions is that?",
        "c",
        (
            "Learning: `z` is unknown, and is to be fitted to the data.",
            "learning asks for what all data share, the parameters; here those are known, and "
            "what is asked belongs to this one x",
        ),
        (
            "Generation: the story is run once more.",
            "running the story again makes another z and another x; here x is given and stays",
        ),
        (
            r"Inference: wanted is $p(z \mid x)$.",
            "the parameters are known, x is given, and the factors of this x are asked for. The "
            "answer is a distribution: noise leaves several z possible",
        ),
        (
            "None: because of the noise nobody can say anything about `z`.",
            "nobody can name z exactly; but some values of z explain x far better than others, "
            "and that can be said in probabilities",
        ),
    ),
    _quiz(
        "low-contrast",
        "00",
        "In 1,024 dimensions the relative contrast is 0.1. What does that say of the 500 points?",
        "a",
        (
            "The farthest is only a tenth farther away than the nearest.",
            "so who is nearest is nearly an accident, and carries little information",
        ),
        (
            "They lie close together: distances shrink as dimensions are added.",
            "distances grow with the dimension, for each adds a square. It is their differences "
            "that become small beside them",
        ),
        (
            "One point in ten is near, the others are far.",
            "the contrast compares two distances, the largest and the smallest; it counts no "
            "points",
        ),
        (
            "The points lie in a tenth of the dimensions.",
            "these points fill all 1,024 dimensions evenly; it is real data that do not",
        ),
    ),
    _quiz(
        "meaning-of-a-map",
        "00",
        "On the map of two components the nearest neighbour of a digit mostly shows the same "
        "digit. What may you conclude?",
        "b",
        (
            "Each of the two axes has a meaning that can be named.",
            "a map can keep like with like however it is turned, so good neighbours say nothing "
            "about the axes",
        ),
        (
            "The two directions hold part of what tells digits apart.",
            "and nobody asked for that: the labels served only to colour the points and to count",
        ),
        (
            "The components were computed with the help of the labels.",
            "look at the cell: the components come from the pixels alone",
        ),
        (
            "Two numbers are all that there is to know about a digit.",
            "about four digits in ten have a neighbour of another kind, and the map holds a part "
            "of the variance only",
        ),
    ),
)


# ------------------------------------------------------------------ 01 the lower bound

CHAPTER_01 = (
    _quiz(
        "the-obstacle",
        "01",
        r"$p(x, z \mid \theta)$ is a product of simple terms. Why is $\ln p(x \mid \theta)$ hard "
        "to maximise all the same?",
        "b",
        (
            "The sum over $z$ has too many terms.",
            "here it has three, and the trouble is there already; long sums come on top, in "
            "chapter 06",
        ),
        (
            "The logarithm stands before a sum, and does not reach the products inside.",
            "with the log inside, learning would be counting. The bound puts it there, at a price",
        ),
        (
            "The terms are so small that the computer takes them for 0.",
            "that is a matter of computing, and cured: the sum is taken in the log domain. The "
            "difficulty is there on paper, too",
        ),
        (
            "The logarithm moves the maximum to another place.",
            "the logarithm is monotone: what is highest before it is taken is highest after",
        ),
    ),
    _quiz(
        "without-the-entropy",
        "01",
        r"Suppose the entropy is forgotten, and $\mathbb E_q[\ln p(x, z)]$ alone is maximised "
        "over $q$. Which $q$ wins?",
        "d",
        (
            "The posterior.",
            "the posterior is the summit of the whole bound. Look at what is left of the bound "
            "here: an average, with nothing in it that rewards spreading out",
        ),
        (
            "The uniform distribution.",
            "that is what the entropy alone would choose; it is the other term that is left",
        ),
        (
            "The prior.",
            "the joint holds the likelihood too, so the average is not greatest at the prior",
        ),
        (
            "All on the one $z$ whose joint is greatest.",
            "an average is greatest where all the weight is on the largest term. The entropy is "
            "what pays for staying uncertain",
        ),
    ),
    _quiz(
        "raise-q-alone",
        "01",
        r"$\theta$ is held, and a better $q$ raises $L$ by 2 nats. What else has happened?",
        "a",
        (
            r"$\mathrm{KL}(q \,\|\, p(Z \mid X))$ has fallen by 2 nats; $\ln p(X)$ is what it was.",
            "the two share a fixed total: what one gains the other loses",
        ),
        (
            r"$\ln p(X)$ has risen by 2 nats.",
            "ln p(X | θ) does not know of q, and θ was held",
        ),
        (
            r"$\ln p(X)$ has risen by at least 2 nats.",
            "that resembles what learning does, when θ moves and q stays. Here it is q that moved",
        ),
        (
            "Nothing that can be said without computing the posterior.",
            "the decomposition holds for every q, and says it without the posterior being known",
        ),
    ),
)


# ------------------------------------------------------------------ 02 expectation maximization

CHAPTER_02 = (
    _quiz(
        "where-theta-stands",
        "02",
        r"The learning step maximises $Q(\theta, \theta_{old})$ over $\theta$. Where does "
        r"$\theta$ stand in it?",
        "c",
        (
            r"In $r_n$ and in $\ln p(x_n, z_n \mid \theta)$: both move.",
            "this is a common slip. If r moved along, this would be the log likelihood again, and "
            "as hard. Inference has turned r into numbers",
        ),
        (
            "In $r_n$ only: the bells themselves were fixed by the inference step.",
            "it is the other way round: ask which parameter value each of the two was computed at",
        ),
        (
            r"In $\ln p(x_n, z_n \mid \theta)$ only; $r_n$ was computed at $\theta_{old}$ and "
            "stays.",
            "that is why Q is a parabola here, with r as plain weights",
        ),
        (
            r"In $\ln p(x_n, z_n \mid \theta)$ and in the entropy of $q$.",
            "the entropy belongs to the bound and not to Q, and it is fixed once q is",
        ),
    ),
    _quiz(
        "after-learning",
        "02",
        r"$\theta$ has just moved to $\theta_{new}$, and $q$ has not been renewed yet. How does "
        r"$L$ stand to $\ln p(X \mid \theta_{new})$?",
        "b",
        (
            "Equal: both half-steps keep the bound at the likelihood.",
            "only one of the two half-steps closes the gap. Which q would be needed for that, and "
            "which one is there?",
        ),
        (
            r"Below: $q$ is the posterior of $\theta_{old}$.",
            "a KL has opened, and the next inference step will close it: the likelihood has "
            "gained more than the bound",
        ),
        (
            r"Above: $L$ was maximised, $\ln p(X)$ was not.",
            "L is a lower bound for every q and every θ, also at its maximum",
        ),
        (
            "Lower than before the step, since a gap has opened.",
            "L has risen: learning climbs it. It opened a gap because ln p(X) has risen by more",
        ),
    ),
    _quiz(
        "where-em-stops",
        "02",
        "EM has converged: neither half-step moves anything. What is certain about the place?",
        "a",
        (
            r"The slope of $\ln p(X \mid \theta)$ is zero there.",
            "by Fisher's identity it is the slope of the bound, which learning has brought to zero",
        ),
        (
            r"No other $\theta$ has a higher likelihood.",
            "EM climbs from where it starts; a landscape may have several summits, and a start "
            "can even stand still on a saddle",
        ),
        (
            r"It is the $\theta$ that made the data.",
            "even the highest summit is only the best explanation of a finite sample; 60 data "
            "gave 3.15 where 3 had made them",
        ),
        (
            "The posterior is certain of every $z_n$.",
            "between the bells r stays near a half for ever; certainty about z is not what the "
            "loop aims at",
        ),
    ),
)


# ------------------------------------------------------------------ 03 Gaussian mixture

CHAPTER_03 = (
    _quiz(
        "average-two-fits",
        "03",
        "Two runs end at the same likelihood, with the components in the opposite order. You "
        "average the parameters of the two runs, component by component. What do you get?",
        "d",
        (
            "A better estimate: averages are less noisy.",
            'averages help where runs estimate the same thing. What do "component 0" of the one '
            "run and of the other stand for?",
        ),
        (
            "The same model: each has the same likelihood, so their mean has it too.",
            "the likelihood has two equal summits there; between two summits there may be a valley",
        ),
        (
            "A mixture of four components.",
            "the parameters are averaged, so there are as many components as before",
        ),
        (
            "Two components in the middle that describe neither clump.",
            "each averages one clump with the other. Match the components first",
        ),
    ),
    _quiz(
        "no-maximum",
        "03",
        "Without a prior, one component narrows onto a single datum and the bound climbs and "
        "climbs. What is wrong?",
        "b",
        (
            "The learning step: a correct one would end at the maximum.",
            "the step is correct, and that is the trouble: it climbs what it was told to climb",
        ),
        (
            "The objective: this likelihood has no maximum to end at.",
            "so the cure has to change the objective, by saying what one believes about "
            "covariances beforehand",
        ),
        (
            "The arithmetic: the log of a density cannot rise above 0.",
            "a density may exceed 1, and does so wherever it is narrow; its log is then positive",
        ),
        (
            "The number of components: with the right $K$ it cannot happen.",
            "it can happen for every K from 2 on; two components were enough in the picture",
        ),
    ),
    _quiz(
        "what-k-means-lacks",
        "03",
        "One clump is long and thin, another is small and round. K-means cuts a piece off the "
        "long one, the mixture does not. Why?",
        "c",
        (
            "K-means has stopped in a bad local maximum; more starts would cure it.",
            "both can stop in one. But K-means prefers this cut even at its best",
        ),
        (
            "Its memberships are one-hot; soft ones with the same distances would not cut.",
            "with equal round covariances soft memberships share the long clump out in the same "
            "way, only more gently",
        ),
        (
            "It measures all clumps by the same round distance.",
            "all covariances are the same εI; the mixture learns a shape and a weight for each "
            "clump",
        ),
        (
            r"Its $\varepsilon$ is not small enough yet.",
            "K-means is the limit itself, ε has gone to 0; a smaller one changes nothing",
        ),
    ),
)


# ------------------------------------------------------------------ 04 factor analysis

CHAPTER_04 = (
    _quiz(
        "why-g-in-learning",
        "04",
        r"Learning uses $\mathbb E[zz^\top] = G + \mathbb E[z]\,\mathbb E[z]^\top$. What is $G$ "
        "needed for?",
        "a",
        (
            "It keeps the regression from taking the inferred factors for known ones.",
            "the mean of a square is more than the square of the mean, by exactly what inference "
            "does not know",
        ),
        (
            "It keeps the matrix invertible, like a ridge; any small multiple of $I$ would do.",
            "it does help to invert, but it is no choice of ours: with another matrix the step is "
            "not the maximum of the bound, and the bound may fall",
        ),
        (
            "It brings the covariance of the factors back to $I$, their prior's.",
            "averaged over data it does come to I at the end of the climb; but that is a result, "
            "and not what G is put in for",
        ),
        (
            r"It stands for the errors of the exams, $\Psi$.",
            "the errors have a parameter of their own; G is about z, in the space of factors",
        ),
    ),
    _quiz(
        "an-exam-by-dice",
        "04",
        "A seventh exam is marked by throwing dice, with a variance larger than those of all the "
        "others together. What becomes of it?",
        "d",
        (
            "Both PCA and factor analysis give it their first direction.",
            "right for one of the two: the one that looks for variance",
        ),
        (
            "Neither takes notice, since it goes along with no other exam.",
            "right for one of the two. The other does not ask whether exams go along with each "
            "other",
        ),
        (
            "Factor analysis gives it a factor of its own, PCA drops it.",
            "a factor is for what exams share. And PCA looks for the largest variance",
        ),
        (
            "PCA gives it its first axis, factor analysis calls it noise.",
            "one looks for variance, the other for what columns share",
        ),
    ),
    _quiz(
        "more-pupils",
        "04",
        "Forty thousand pupils in place of four hundred. What does factor analysis then know "
        "better?",
        "c",
        (
            'Which direction is "verbal ability".',
            "every turned set of axes has the same likelihood, for any number of pupils",
        ),
        (
            "The abilities of each single pupil.",
            "each pupil still has six exams; the width of the posterior depends on W and Ψ, not "
            "on N",
        ),
        (
            "The plane that the loadings span, and the error of each exam.",
            "these are in the density of x. Where the axes lie in the plane is not",
        ),
        (
            "Nothing: $W$ and $WR$ remain equally likely.",
            "R is the only thing that stays open; lengths and angles of the loadings are in the "
            "data",
        ),
    ),
)


# ------------------------------------------------------------------ 05 variational Bayes

CHAPTER_05 = (
    _quiz(
        "what-was-assumed",
        "05",
        "What does mean field assume?",
        "b",
        (
            "That the posterior is a product.",
            "if it were, there would be no gap; the table above has one. It is q that is "
            "restricted",
        ),
        (
            "That $q$ is a product; what its factors look like, the model decides.",
            "their form falls out of the average of the log joint: Gaussian, gamma, a table",
        ),
        (
            "That $q$ is a product of Gaussians.",
            "no form was chosen anywhere: in the table above the factors are plain lists of "
            "numbers",
        ),
        (
            "That the unknowns are independent a priori.",
            "the prior may couple them as it likes; nothing in the derivation asks about it",
        ),
    ),
    _quiz(
        "how-wide",
        "05",
        r"A product $q$ has the least $\mathrm{KL}(q \,\|\, p)$ from a Gaussian $p$ with strong "
        "correlation. How do its variances compare with the marginal variances of $p$?",
        "a",
        (
            "They are smaller.",
            "each is the variance given the other factor. The bound's KL punishes q wherever p is "
            "small, so q keeps within p",
        ),
        (
            "They are equal: the means are right, and so is the rest.",
            "that the means arrive says nothing about the widths; look at what 1/Λ_ii is the "
            "variance of",
        ),
        (
            "They are larger: $q$ has to cover all of $p$.",
            "covering is what the other direction, KL(p‖q), asks for",
        ),
        (
            "Smaller for positive correlation, larger for negative.",
            "the sign turns the ellipse to the other diagonal; the widths see only its square",
        ),
    ),
    _quiz(
        "why-components-idle",
        "05",
        r"With $\alpha_0 = 0.001$ four of the six components explain nothing. What made them idle?",
        "d",
        (
            "A threshold: small weights are set to zero.",
            "nothing is cut off anywhere; all six are still there, with tiny weights",
        ),
        (
            "A bad start: other starts would use all six.",
            "five starts ended with the same number in use",
        ),
        (
            "The data alone: there are two kinds of eruption, whatever the prior.",
            "with other priors three or six were in use, for the same data",
        ),
        (
            "The bound: leaving the prior costs KL, and they had too little to explain for it.",
            "with this prior on the weights; with a larger α₀ the same data keep more of them busy",
        ),
    ),
)


# ------------------------------------------------------------------ 06 variational EM

CHAPTER_06 = (
    _quiz(
        "when-it-splits",
        "06",
        "For which binary factors would the sum over $2^K$ states be easy?",
        "c",
        (
            r"For $\pi_k = \frac12$: all states are equally probable a priori.",
            "the prior is a product for every π. What couples switches comes in with x",
        ),
        (
            "For independent data.",
            "they are independent already, and that splits ln p(X) into terms, one a datum; the "
            "2^K states are inside each",
        ),
        (
            r"For loadings that do not overlap, $w_j^\top w_k = 0$.",
            "then the term with z_j z_k is gone, and each switch has a sum of two terms to itself",
        ),
        (
            "For very little noise.",
            "less noise makes fewer states matter; but which ones must still be found, and the "
            "coupling grows with 1/σ²",
        ),
    ),
    _quiz(
        "which-may-fall",
        "06",
        r"Every half-step of variational EM raises $L$. What of $\ln p(X \mid \theta)$?",
        "b",
        (
            "It rises as well: chapter 02 proved it.",
            "that proof used that L touches ln p(X) after inference. Does it here?",
        ),
        (
            "It may fall, at a learning step.",
            "L starts from below ln p(X), so it can rise while the gap shrinks by more",
        ),
        (
            "It may fall, at an inference step.",
            "inference moves q; ln p(X | θ) has no q in it",
        ),
        (
            "It is a constant, as in chapter 05.",
            "it was constant there because no θ was left to move; here one is learned",
        ),
    ),
    _quiz(
        "square-of-a-switch",
        "06",
        "$q$ says that a switch is on with $m_k = 0.3$. What stands for it on the diagonal of "
        r"$\mathbb E[zz^\top]$?",
        "a",
        (
            "0.3",
            "the square of a switch is the switch: m² and m(1 - m) sum to m",
        ),
        (
            "0.09",
            "this is the square of the mean; the regression would believe that the switch is known",
        ),
        (
            "0.21",
            "this is the variance of the switch alone; a second moment has the squared mean in "
            "it, too",
        ),
        (
            "1",
            "z² is 1 only where the switch is on; wanted is the average over both cases",
        ),
    ),
)


# ------------------------------------------------------------------ 07 gradients through samples

CHAPTER_07 = (
    _quiz(
        "why-leave-one-out",
        "07",
        "Why is the baseline of a sample the mean of the *other* values, and not of all?",
        "d",
        (
            "Because the mean of all is a noisier estimate.",
            "it is the less noisy one of the two, having one value more. What is wrong with it is "
            "not noise",
        ),
        (
            r"Because it is a better estimate of $\mathbb E[f]$.",
            "both estimate it without bias; it is their product with the score that differs",
        ),
        (
            "Because with the mean of all the gradients cancel to zero.",
            "they do not cancel; a share 1/S of the gradient is lost, and the cell above shows it",
        ),
        (
            "Because a baseline that depends on the sample itself biases the gradient.",
            "E[b ∇ ln q] is zero only where b_s and z_s are independent",
        ),
    ),
    _quiz(
        "a-factor-of-sigma",
        "07",
        r"Which matrices $L$ make $\mu + L\varepsilon$ a sample of $\mathcal N(\mu, \Sigma)$?",
        "c",
        (
            r"$L = \Sigma$.",
            "that has covariance ΣΣᵀ: in one dimension, the variance where the deviation belongs",
        ),
        (
            "The Cholesky factor and no other.",
            "it is the handiest, being triangular; but where in the proof was a triangle needed?",
        ),
        (
            r"Every $L$ with $LL^\top = \Sigma$.",
            "turn ε first and nothing changes, for its distribution is round: that is the freedom "
            "left in L",
        ),
        (
            r"Every $L$ with $L^\top L = \Sigma^{-1}$.",
            "such a matrix takes a sample back to noise; here noise is to become a sample",
        ),
    ),
    _quiz(
        "slope-of-a-switch",
        "07",
        r"$z$ is a switch, on with probability $m$. How can the slope of $\mathbb E[f(z)]$ in $m$ "
        "be had from samples?",
        "b",
        (
            "Along the path: write $z = [u < m]$ and let automatic differentiation do it.",
            "z as a function of m is flat but for one jump, so every sample would say 0",
        ),
        (
            r"By the score: weigh $f(z)$ with $\nabla \ln q(z)$.",
            "it asks f only for its values, and q has a slope in m although z has none",
        ),
        (
            "Not at all: something discrete has no slope.",
            "z has none, but its average m f(1) + (1 - m) f(0) is a straight line in m",
        ),
    ),
)


# ------------------------------------------------------------------ 08 the variational autoencoder

CHAPTER_08 = (
    _quiz(
        "mean-over-pixels",
        "08",
        r"A loss takes the **mean** over 784 pixels of $-\ln p(x_d \mid z)$ and adds the **sum** "
        "over 20 factors of the KL. Up to its scale, what is it?",
        "d",
        (
            "The bound: a scale does not move a maximum.",
            "it would not, if both terms had been scaled; only one was",
        ),
        (
            "The bound with the divergence weighted 784/20-fold.",
            "the 20 factors were summed, as they should be; only the pixels were averaged",
        ),
        (
            "The bound with the reconstruction weighted 784-fold.",
            "the other way round: which of the two was made smaller?",
        ),
        (
            "The bound with the divergence weighted 784-fold.",
            "multiply by 784 and see. Hardly any nat of the code is worth that much",
        ),
    ),
    _quiz(
        "positive-log-density",
        "08",
        r"For a face of 1,024 grey pixels a trained VAE gives $\ln p(x \mid z) = +1640$ nats. "
        "What does this tell you?",
        "b",
        (
            "There is a bug: a probability is at most 1.",
            "a probability is. This is a density, and where the predicted σ is small it has to be "
            "high, or its integral would not be 1",
        ),
        (
            "The log density of a pixel is 1.6 nats on average, as that of a narrow Gaussian may "
            "be.",
            "1640/1024 = 1.6. In other units of grey it would be another number",
        ),
        (
            "The model is sure of this face, with a probability of nearly 1.",
            "a density is no probability: only its integral over a region is one",
        ),
        (
            "The sign of the loss is wrong: $J$ must not be negative.",
            "J is minus the bound, and the bound holds the log of a density; so J may have either "
            "sign",
        ),
    ),
    _quiz(
        "who-moves",
        "08",
        "One backward pass through $J$, one step of the optimiser. Which gradient moved the "
        "**encoder**?",
        "a",
        (
            "That of both terms of $J$.",
            "the KL is a function of φ, and the reconstruction is one too, through z = μ + σ ε. "
            "That is what the path of chapter 07 was for",
        ),
        (
            "That of the KL term; the reconstruction term moves the decoder.",
            "so the braces under the loss may suggest. But z came out of the encoder: how well it "
            "is decoded depends on φ",
        ),
        (
            "That of the reconstruction term; the KL has no weights in it.",
            "the KL is computed from the mean and the variance that the encoder returns",
        ),
        (
            "None: the encoder is held while the decoder learns, as in EM.",
            "turns are what EM takes; here both are pushed up the same hill at once",
        ),
    ),
)


# ------------------------------------------------------------------ 09 what the factors mean

CHAPTER_09 = (
    _quiz(
        "informative-but",
        "09",
        "A model's codes score 1.0 for informativeness and 0.1 for the MIG. What do you know?",
        "c",
        (
            "Each code stands for one factor.",
            "then each factor would have one code far ahead of the others, which is what the MIG "
            "measures",
        ),
        (
            "The codes say little about the factors.",
            "a regression from the codes finds all factors: that is the first score",
        ),
        (
            "The codes hold all about the factors, but spread each over several codes.",
            "as a rotation does, or saying everything twice",
        ),
        (
            "One of the scores was computed wrongly.",
            "they answer different questions, and may differ; known answers above show both at "
            "once",
        ),
    ),
    _quiz(
        "same-bound",
        "09",
        "The turned VAE has the same bound for every datum, and other codes. What follows?",
        "a",
        (
            "Raising the bound cannot by itself single out axes that mean something.",
            "whatever prefers one set of axes comes from elsewhere: a diagonal q, the networks' "
            "shape, luck, labels",
        ),
        (
            "With more data the two bounds would differ.",
            "they are equal datum by datum, so also for any number of data",
        ),
        (
            "The turned codes have lost information about the faces.",
            "turning can be undone, and the decoder does it; nothing is lost but the axes",
        ),
        (
            r"The prior $\mathcal N(0, I)$ must have been turned as well.",
            "it is round: turned, it is the same prior",
        ),
    ),
    _quiz(
        "an-independent-judge",
        "09",
        "Why is the judge trained on faces, without the conditional VAE, and tested on real faces "
        "first?",
        "b",
        (
            "So that the conditional VAE can learn from its verdicts.",
            "then it would learn to please the judge, and the verdict would be worth nothing",
        ),
        (
            "So that a good verdict can only come from what the picture shows.",
            "a judge taught by the model's own pictures would accept its mistakes; an untested "
            "one might see nothing at all",
        ),
        (
            "So that it can judge any picture, also far from all that it has seen.",
            "that it cannot: it knows only what its own faces showed it, as the chapter shows "
            "further down",
        ),
    ),
)


# ------------------------------------------------------------------ 10 closing the gap

CHAPTER_10 = (
    _quiz(
        "too-tight",
        "10",
        r"$L_S$ is nearer to $\ln p(x)$ the larger $S$. What speaks against *training* with $S = "
        "1000$, apart from the time it takes?",
        "c",
        (
            "Nothing: a tighter bound is always the better objective.",
            "for θ it is. But the bound has to teach the encoder, too: what does a bound say "
            "about q if it is tight whatever q is?",
        ),
        (
            r"$L_S$ may rise above $\ln p(x)$.",
            "on average it stays below for every S; single estimates scatter, for S = 1 as well",
        ),
        (
            r"The gradient in $\varphi$ fades faster than its noise.",
            "with many samples it hardly matters which q drew them, and so φ is hardly told "
            "anything",
        ),
        (
            r"The gradient in $\theta$ becomes biased.",
            "it is the gradient of a better bound, hence nearer to that of ln p(x)",
        ),
    ),
    _quiz(
        "why-it-died",
        "10",
        r"In a linear VAE $\sigma^2$ is fixed at 3, and a direction of the data has the variance "
        "2. Its factor is dead. Why?",
        "d",
        (
            "The KL term has pressed it down; the likelihood alone would use it.",
            "it is often said. Ask probabilistic PCA, which has no KL term, what it does with "
            "this direction",
        ),
        (
            "Training stopped too early, or in a local maximum.",
            "the closed form, which needs no training, has no use for it either",
        ),
        (
            "The encoder is too weak to infer it.",
            "a linear encoder is exact here; it would infer the factor if there were one",
        ),
        (
            "Noise of variance 3 explains that direction already: the likelihood wants no column.",
            "λ - σ² is negative. Let σ² be learned, and the factor comes back",
        ),
    ),
    _quiz(
        "price-of-beta",
        "10",
        r"$\beta = 2$ in place of 1. What does it cost, here above all?",
        "b",
        (
            "Correlation between the codes, and nothing else.",
            "that was the hope. β presses on the whole divergence, and this is one of three parts",
        ),
        (
            "Information about the data that the codes used to hold.",
            "it was the largest part of the divergence by far. What the codes do not hold cannot "
            "be reconstructed",
        ),
        (
            r"Nothing: $L_\beta$ is a lower bound as well, only less tight.",
            "below ln p(x) it is; but with other θ and other q at its top, which is a matter of "
            "what is modelled and not of tightness",
        ),
        (
            "Tightness: $q$ moves away from the prior.",
            "weighing the divergence more draws q nearer to the prior",
        ),
    ),
)


# ------------------------------------------------------------------ 11 scaling out

CHAPTER_11 = (
    _quiz(
        "what-to-send",
        "11",
        "Two machines hold 1,000 and 10 of the data of a mixture. What should they exchange, so "
        "that the learning step is that of all 1,010?",
        "a",
        (
            "Their expected sufficient statistics, to be added.",
            "sums of sums are the sums over all data; learning sees nothing else",
        ),
        (
            "Their new parameters, to be averaged.",
            "then ten data would count as much as a thousand; and a mean of covariances forgets "
            "how far the means are apart",
        ),
        (
            "Their data: the step needs all of them in one place.",
            "learning sees the data through a sum of fixed size only",
        ),
        (
            "Their responsibilities, to be multiplied.",
            "each responsibility belongs to one datum, and no datum is on both machines",
        ),
    ),
    _quiz(
        "one-theta-a-pass",
        "11",
        r"Data are read in batches, and their statistics added up. When may $\theta$ be renewed, "
        "if each iteration is to be exact EM?",
        "c",
        (
            "After each batch: the sooner the better.",
            "it may well be faster, but then the statistics of different batches come from "
            "different q's: that is another algorithm, with another proof",
        ),
        (
            "Before each batch, from that batch alone.",
            "then the other batches are forgotten, and a batch decides about all",
        ),
        (
            r"After the last batch: all of them must be inferred with the same $\theta$.",
            "the sum is then that of one inference step over all data, in any order and on any "
            "number of machines",
        ),
    ),
    _quiz(
        "mean-of-means",
        "11",
        "Four workers train one VAE. Each computes the mean loss of its part of the batch; then "
        "gradients are averaged over workers. When is that the gradient of the whole batch's mean?",
        "d",
        (
            "Always: the mean of means is the mean.",
            "try it with parts of 3 data and of 1: whose datum counts most?",
        ),
        (
            "Never: gradients have to be added, as statistics are.",
            "the loss is a mean here, and dividing a sum by what it counts is harmless if it is "
            "done rightly",
        ),
        (
            "If all workers draw the same noise.",
            "then their errors would go together in place of averaging out. No datum needs "
            "another's noise",
        ),
        (
            "If all parts are equally large.",
            "then each datum has the same weight. The last batch of an epoch is where it goes "
            "wrong",
        ),
    ),
)


ALL = (
    *CHAPTER_00,
    *CHAPTER_01,
    *CHAPTER_02,
    *CHAPTER_03,
    *CHAPTER_04,
    *CHAPTER_05,
    *CHAPTER_06,
    *CHAPTER_07,
    *CHAPTER_08,
    *CHAPTER_09,
    *CHAPTER_10,
    *CHAPTER_11,
)
