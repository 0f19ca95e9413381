"""The model of the IWAE paper, trained for as long as there is time, and its score on test data.

Burda, Grosse and Salakhutdinov 2016: one layer of 50 factors, two hidden layers of 200 tanh units
each way. They report 88.71 nats for the VAE on statically binarised MNIST.
"""

import time
from pathlib import Path

import numpy as np
from gpu_kinds import train
from gpu_rows import Rows

from lfm import data, evaluation, training
from lfm.vae import VAE

D, K, HIDDEN, BATCH = 784, 50, (200, 200), 100
PARTS = ("train", "valid", "test")
PAPER, GOAL = 88.71, 88.0  # nats
# Adam's step size falls from the first to the second in pieces of equal length.
LR, PIECES = (1e-3, 1e-4), 16
TO_EVALUATE = 45.0  # seconds kept for it
HELD_OUT = 1000  # that is as many as the bound needs, to choose the best weights


def iwae(rows: Rows, options) -> None:
    small = options.device == "cpu"
    x, held_out, test, grey = static_bits(options.data) if options.data else bundled()
    what = f"{len(x):,} / {len(held_out):,} / {len(test):,} " + (
        "of the bundled digits, binarised anew at each use: not the paper's data"
        if grey
        else "images of statically binarised MNIST"
    )
    if small:
        x, held_out, test = x[:200], held_out[:20], test[:10]
    rows.say("data: training, validation, test", "bundled" if grey else "static bits", what)
    vae = VAE.dense(D, K, HIDDEN, rng=0, activation="tanh")
    bound = pieces(vae, x, held_out[:HELD_OUT], grey, options, rows)
    rows.measure("bound on validation data", bound, "nats", remark="weights are those of the best")
    vae.to(options.device)
    score(rows, vae, test, 20 if small else 5000, grey)
    active = int(evaluation.active_units(vae, test).sum())
    rows.measure("factors that are active", active, f"of {K}")
    training.save(vae.cpu(), options.out / "iwae.lfm")


def pieces(vae: VAE, x, held_out, grey: bool, options, rows: Rows) -> float:
    """Train for as long as there is time; leave the weights of the best bound, and return it."""
    n = 2 if options.device == "cpu" else PIECES
    how = {"batch_size": BATCH, "binarise": grey, "validation": held_out}
    pilot = VAE.dense(D, K, HIDDEN, rng=1, activation="tanh")
    pace = min(train(pilot, x, options.device, epochs=2, **how)[0].seconds)  # of an epoch
    end, done, best, kept = options.end - TO_EVALUATE, 0, -np.inf, None
    for i in range(n):
        left = (end - time.perf_counter()) / (n - i)
        epochs = 1 if options.device == "cpu" else max(1, int(left / pace))
        lr = LR[0] * (LR[1] / LR[0]) ** (i / (n - 1))
        trace, _ = train(vae, x, options.device, epochs=epochs, lr=lr, **how | {"rng": i})
        pace, done = sum(trace.seconds) / epochs, done + epochs
        if (bound := trace.validation[-1]) > best:
            best, kept = bound, {name: v.clone() for name, v in vae.state_dict().items()}
    vae.load_state_dict(kept)
    rows.measure(f"epochs, batch {BATCH}, Adam from {LR[0]:g} down to {LR[1]:g}", done)
    rows.measure("a step", 1e6 * pace / (len(x) // BATCH), "µs", remark="with validation")
    return best


def score(rows: Rows, vae: VAE, test, samples: int, grey: bool) -> None:
    for s in (1, samples):
        start = time.perf_counter()
        values = -evaluation.log_likelihood(vae, test, s, rng=1)
        error, took = values.std(ddof=1) / len(values) ** 0.5, time.perf_counter() - start
        goal = {} if grey or s == 1 else {"most": GOAL}
        remark = f"± {error:.2f} over data; {took:.1f} s; the paper: {PAPER}"
        what = f"negative log likelihood of test data, {s:,} sample{'s' if s > 1 else ''}"
        rows.measure(what, values.mean(), "nats", remark=remark, **goal)


# ------------------------------------------------------------------ data


def bundled() -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Return grey values for training and validation, and bits for testing."""
    images = data.mnist().images.reshape(-1, D)
    images = images[np.random.default_rng(0).permutation(len(images))]
    test = np.random.default_rng(1).random((500, D)) < images[-500:] / 255
    return images[:4000], images[4000:4500], 255 * test.astype(np.uint8), True


def static_bits(folder) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Return the bits of a folder, as bytes 0 and 255. Raises `ValueError` where it has not them.

    Read are `binarized_mnist_{train,valid,test}.amat`, the text files of Larochelle, or
    `mnist_static_binarised_{train,valid,test}.npz` with `bits` (N, 98), eight to a byte.
    """
    found = []
    for part in PARTS:
        text = Path(folder) / f"binarized_mnist_{part}.amat"
        packed = Path(folder) / f"mnist_static_binarised_{part}.npz"
        if text.is_file():
            signs = np.frombuffer(text.read_bytes(), np.uint8)
            bits = signs[(signs == ord("0")) | (signs == ord("1"))].reshape(-1, D) - ord("0")
        elif packed.is_file():
            bits = np.unpackbits(np.load(packed)["bits"], axis=1)[:, :D]
        else:
            raise ValueError(f"{folder} has neither {text.name} nor {packed.name}")
        found.append(255 * bits)
    return *found, False
