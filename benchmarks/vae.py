"""An epoch of the VAE 784-400-20 against other ways to train it, and against its matrix products.

Run it with `make bench`: one thread, its own time, rounds interleaved, medians. Each way trains the
same network on the same digits, and has taken 1,000 steps before it is timed: moments of silent
units are denormal by then, where nobody releases them. All are charged for an epoch of 60,000.
On a GPU `make gpu` measures the same network.
"""

import logging
import tempfile
import warnings
from statistics import median

import numpy as np
import torch
from common import note, note_times, thread_seconds
from PIL import Image
from torch import nn

from lfm import data, training
from lfm.engine import optimisers
from lfm.vae import VAE

N, D, H, K, BATCH = 5000, 784, 400, 20, 128
SCALE = 60_000 / N
BEFORE = 1000 // (N // BATCH) + 1  # epochs, for 1,000 steps
ROUNDS = 5


def digits():
    """Return real images as bytes (N, D): at random bits no unit falls silent."""
    return data.mnist().images.reshape(-1, D)[:N]


def images(n):
    rng = np.random.default_rng(0)
    return (255 * (rng.random((n, D)) < 0.2)).astype(np.uint8)


# ------------------------------------------------------------------ ours, and what it must do


def ours(x, batch=BATCH, *, device="cpu", **options):
    """Return what trains for an epoch."""
    vae = VAE.dense(D, K, (H,), rng=0)
    options = {"batch_size": batch, "lr": 1e-3, "rng": 0, "device": device} | options
    return training.Run(vae, x, **options).one_epoch


def products(n, batch=BATCH):
    """Return the matrix products of an epoch, forth and back, and Adam's step: no way is faster."""
    a, w = torch.rand, {"in": (D, H), "q": (H, 2 * K), "z": (K, H), "out": (H, D)}
    w = {name: a(shape) for name, shape in w.items()}
    x, h, code, z, g = a(batch, D), a(batch, H), a(batch, 2 * K), a(batch, K), a(batch, D)
    moved = list(VAE.dense(D, K, (H,), rng=0).parameters())
    for weights in moved:
        weights.grad = torch.rand_like(weights)
    adam = torch.optim.Adam(moved, fused=True)

    def step():
        x @ w["in"], h @ w["q"], z @ w["z"], h @ w["out"]  # forth
        g @ w["out"].T, h.T @ g, h @ w["z"].T, z.T @ h  # back through the decoder
        code @ w["q"].T, h.T @ code, x.T @ h  # and the encoder; the data need no slope
        adam.step()

    return lambda: [step() for _ in range(n // batch)]


# ------------------------------------------------------------------ others


class Plain(nn.Module):
    """The network as most examples write it."""

    def __init__(self):
        super().__init__()
        self.into, self.mean, self.log_var = nn.Linear(D, H), nn.Linear(H, K), nn.Linear(H, K)
        self.back, self.out = nn.Linear(K, H), nn.Linear(H, D)

    def forward(self, x):
        h = torch.relu(self.into(x))
        mean, log_var = self.mean(h), self.log_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return torch.sigmoid(self.out(torch.relu(self.back(z)))), mean, log_var


class Pixels(torch.utils.data.Dataset):
    """One image at a time, made a picture and then numbers, as image data sets do it."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        picture = Image.fromarray(self.x[i].reshape(28, 28), mode="L")
        pixels = torch.from_numpy(np.array(picture)).view(28, 28, 1).permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div(255), 0


def data_loader(x, device="cpu"):
    """The usual loop: a DataLoader that shuffles, Adam as it comes, the loss read at every step."""
    model = Plain().to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = torch.utils.data.DataLoader(Pixels(x), batch_size=BATCH, shuffle=True)

    def epoch():
        total = 0.0
        for batch, _ in loader:
            optimiser.zero_grad()
            batch = batch.view(-1, D).to(device)
            decoded, mean, log_var = model(batch)
            loss = nn.functional.binary_cross_entropy(decoded, batch, reduction="sum")
            loss = loss - 0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum()
            loss.backward()
            total += loss.item()
            optimiser.step()

    return epoch


def by_pyro(x):
    import pyro
    import pyro.distributions as dist

    pyro.clear_param_store()
    encoder = nn.Sequential(nn.Linear(D, H), nn.ReLU(), nn.Linear(H, 2 * K))
    decoder = nn.Sequential(nn.Linear(K, H), nn.ReLU(), nn.Linear(H, D))

    def model(batch):
        pyro.module("decoder", decoder)
        with pyro.plate("data", len(batch)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(batch), K), 1.0).to_event(1))
            pixels = dist.Bernoulli(logits=decoder(z), validate_args=False)  # of greys, not bits
            pyro.sample("x", pixels.to_event(1), obs=batch)

    def guide(batch):
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(batch)):
            mean, log_var = encoder(batch).chunk(2, 1)
            pyro.sample("z", dist.Normal(mean, torch.exp(0.5 * log_var)).to_event(1))

    svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), pyro.infer.Trace_ELBO())
    everything = torch.from_numpy(x).float() / 255

    def epoch():
        for rows in torch.randperm(len(x)).split(BATCH):
            svi.step(everything[rows])

    return epoch


def by_pythae(x):
    from pythae import models
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.into, self.mean, self.log_var = nn.Linear(D, H), nn.Linear(H, K), nn.Linear(H, K)

        def forward(self, x):
            h = torch.relu(self.into(x))
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.back, self.out = nn.Linear(K, H), nn.Linear(H, D)

        def forward(self, z):
            return ModelOutput(reconstruction=torch.sigmoid(self.out(torch.relu(self.back(z)))))

    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        config = models.VAEConfig(input_dim=(D,), latent_dim=K, reconstruction_loss="bce")
        pixels = torch.from_numpy(x).float() / 255
        trainer = BaseTrainer(
            models.VAE(config, Encoder(), Decoder()),
            train_dataset=BaseDataset(pixels, torch.zeros(len(x))),
            training_config=BaseTrainerConfig(
                output_dir=folder, num_epochs=1, per_device_train_batch_size=BATCH,
                learning_rate=1e-3, no_cuda=True,
            ),
        )  # fmt: skip
        trainer.prepare_training()
    return lambda: trainer.train_step(1)


# ------------------------------------------------------------------ side by side


def timed(ways, before, rounds=ROUNDS):
    """Return the seconds of an epoch of 60,000, by name, a value a round; peers may be missing."""
    epochs = {}
    for name, way in ways.items():
        try:
            epochs[name] = way()
        except ImportError:
            continue
        for _ in range(before):
            epochs[name]()
    times = {name: [] for name in epochs}
    for _ in range(rounds):
        for name, epoch in epochs.items():
            times[name].append(SCALE * thread_seconds(epoch))
    return times


def side_by_side(x):
    case = f"VAE {D}-{H}-{K} on digits, an epoch of 60,000, batch "
    ways = {
        "lfm": lambda: ours(x), "its products and Adam": lambda: products(len(x)),
        "DataLoader loop": lambda: data_loader(x),
        "pyro": lambda: by_pyro(x), "pythae": lambda: by_pythae(x),
    }  # fmt: skip
    goals = {"DataLoader_loop": 2.25, "pyro": 1.6, "pythae": 1.6, "its_products_and_Adam": 0.7}
    note_times(f"{case}{BATCH}", timed(ways, BEFORE), "s", **goals)
    big = {"lfm": lambda: ours(x, 1024), "its products and Adam": lambda: products(len(x), 1024)}
    times = timed(big, BEFORE, 2 * ROUNDS)
    note_times(f"{case}1024", times, "s", its_products_and_Adam=0.78)
    half = {"lfm": lambda: ours(x, 1024), "lfm in bfloat16": lambda: ours(x, 1024, bfloat16=True)}
    # No warm-up: a processor without its instructions takes many times as long in bfloat16.
    note_times(f"{case}1024, in two precisions", timed(half, 1, 1), "s")


def curve(x, epochs=40):
    """Note how an epoch's time grows where Adam's moments are kept, and where they are released."""
    release, both = optimisers.release, {"released": ours(x), "kept": ours(x)}
    found = {name: [] for name in both}
    for _ in range(epochs):
        for name, epoch in both.items():
            optimisers.release = release if name == "released" else lambda optimiser: None
            found[name].append(SCALE * thread_seconds(epoch))
    optimisers.release = release
    case = f"VAE {D}-{H}-{K} on digits, {epochs} epochs of 60,000, silent units' moments"
    for name, values in found.items():
        for i in (1, 10, 20, epochs - 5):  # the first one warms up
            note(case, f"{name}, epochs {i + 1} to {i + 5}", median(values[i : i + 5]), "s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        side_by_side(digits())
        curve(digits())
