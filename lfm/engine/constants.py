"""The package's numerical limits and sizes, each with its reason.

Read as `constants.NAME` where it is used, so that a test can change it there.
"""

import numpy as np

# ------------------------------------------------------------------ numbers as they are stored

EPS = np.finfo(float).eps
TINY = np.finfo(float).tiny
# The largest number whose square can be added up a million times.
LARGEST = np.sqrt(np.finfo(float).max) / 1e3
# The step from 1 to the next number, where a kind of number is coarser than float64.
RESOLUTION = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# ln 0 for a state that cannot be: finite, so that 0 times it is 0, and exp gives exactly 0.
LOG_ZERO = -1e30
# A bound is a sum over N data: rounding is relative to its size, and to N where terms cancel.
ROUNDING = 1e-10

# ------------------------------------------------------------------ what counts as singular

# A direction with this share of the variance cannot be told from none: a bound, or a regression
# on it, would be rounding.
SINGULAR = 1e-12
# A deviation of this share of all data's comes from responsibilities that are all but zero.
TRACE = 1e-20
# No noise variance goes below this share of its column's variance: the maximum may lie at zero,
# where inference would divide by it. See `FactorAnalysis.learn`.
FLOOR = 1e-6
# EM needs thousands of steps down to the floor, so a column that is on its way there is reported
# from this share on, the limit that factor analysts have long used.
SUSPECT = 0.005
# Data so many times their rounding away from 0 have a variance that is but rounding.
FAR = 8

# ------------------------------------------------------------------ chunks of data

# What a chunk may occupy with its T(y), scores, r and spares, in bytes. T(y) is read twice, so it
# should stay in the cache: with less, products of wide data become too thin to be fast.
CACHE_BYTES = 4_000_000
# The same for rows of data beside what a model computes of them: here a chunk is read once.
CHUNK_BYTES = 3_000_000
# Above this κ, scores about one shared origin lose more than about 1e-10 nats to cancellation.
SHARED_LIMIT = 1e6
# T(y) has about D²/2 rows; beyond this D a chunk of it would no longer hold enough data.
SHARED_COLUMNS = 128
# Squared distance of origin and mean, over the smallest variance: rounding is 1e-16 of it.
CANCEL_LIMIT = 1e5
# So many rows say well enough where the data are.
ORIGIN_ROWS = 1024
# A mark of data is taken of so many rows, spread evenly: of all of them where there are no more.
MARKED_ROWS = 2000

# ------------------------------------------------------------------ where an algorithm stops

# Exact inference sums over 2^K states; beyond this K a datum would cost more than a second.
MOST_SWITCHES = 15
# From a cold start a datum is done when a sweep moves none of its probabilities by more than this.
SWEEP_TOL = 1e-6
SWEEPS = 100

# ------------------------------------------------------------------ training

# A mean gradient below this moves a weight by 1e-12 of the learning rate, for Adam divides it by
# no less than 1e-8; it is still far from the denormal numbers of float32, below 1e-38.
STILL = 1e-20
# A batch whose bound is this many times further down than the first one's has exploded.
EXPLODED = 1e3
# Held-out data that are looked at together: a few MB in the widest layer.
VALIDATION_ROWS = 1000
# No standard deviation of a Gaussian decoder goes below this, in the units of the data. Where some
# pixel can be predicted exactly the density has no upper limit, and training would chase it.
STD_FLOOR = 0.01
# Steps before a recording: torch sets itself up in the first ones, which must not be recorded.
WARM_UP = 3
# How far the same networks' bound of one datum may differ between two machines: in nats, and as a
# part of the bound.
SAME_BEHAVIOUR = 1e-3

# ------------------------------------------------------------------ looking at a deep model

# Numbers that a layer may return for what passes through the networks at once.
LAYER_NUMBERS = 4_000_000
# Draws of z for each datum in a step that refines its q.
SAMPLES_A_STEP = 8
# Draws of the prior that are shown at a run's end, in a square.
SHOWN = 64

# ------------------------------------------------------------------ files and bars

# Seconds after which what lies half-written beside a file is debris: the run that began it was
# killed. What is younger, another run may be writing at this moment.
STALE = 3600
# Deflate cannot pack more bytes than this into one: what an archive may unfold to.
MOST_DEFLATED = 1032
# Seconds that a mirror may keep silent.
SILENCE = 30
# Rows of a file that `write_shards` makes: 16 MB of eight columns.
SHARD_ROWS = 2**18
# What the start of a mixture is found from: enough for k-means, and soon read.
START_ROWS = 20_000
# How many rows of a file tell it from another.
OUTLINE_ROWS = 2000
# Faces drawn at once: their canvases fit the cache, three times as fast as 256.
FACES_AT_ONCE = 32
# Seconds until a bar appears, for what is quick needs none, and from one picture of it to the next.
BAR_DELAY = 2.0
BAR_REDRAWN = 0.5
