"""An epoch of the VAE 784-400-20 against other ways to train it, and against its matrix products.

Run it with `make bench`: one thread, rounds interleaved, medians. Each way trains the same network
on the same bytes, batch 128, and is charged for an epoch of 60,000. Goals: 2.2 times as fast as the
usual loop over a DataLoader, 1.4 times as pythae, 2.5 times as pyro; .65 of the speed of the bare
products at batch 128 and .85 at 1024. On a GPU `make gpu` measures the same network.
"""

import logging
import tempfile
import warnings

import numpy as np
import torch
from common import note_times, seconds
from PIL import Image
from torch import nn

from lfm import training
from lfm.vae import VAE

N, D, H, K, BATCH = 12_800, 784, 400, 20, 128
SCALE = 60_000 / N
ROUNDS = 5


def images(n=N):
    rng = np.random.default_rng(0)
    return (255 * (rng.random((n, D)) < 0.2)).astype(np.uint8)


# ------------------------------------------------------------------ ours, and what it must do


def ours(x, batch=BATCH, **options):
    """Seconds of the second epoch: the first one still warms up."""
    vae = VAE.dense(D, K, (H,), rng=0)
    options = {"device": "cpu"} | options
    return training.train(vae, x, epochs=2, batch_size=batch, rng=0, **options).seconds[-1]


def products(n, batch=BATCH):
    """Seconds of the matrix products of an epoch, forth and back, and of nothing else."""
    a, w = torch.rand, {"in": (D, H), "q": (H, 2 * K), "z": (K, H), "out": (H, D)}
    w = {name: a(shape) for name, shape in w.items()}
    x, h, code, z, g = a(batch, D), a(batch, H), a(batch, 2 * K), a(batch, K), a(batch, D)

    def step():
        x @ w["in"], h @ w["q"], z @ w["z"], h @ w["out"]  # forth
        g @ w["out"].T, h.T @ g, h @ w["z"].T, z.T @ h  # back through the decoder
        code @ w["q"].T, h.T @ code, x.T @ h  # and the encoder; the data need no slope

    for _ in range(3):
        step()
    return seconds(lambda: [step() for _ in range(n // batch)])


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

    return seconds(epoch)


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
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=batch)

    def guide(batch):
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(batch)):
            mean, log_var = encoder(batch).chunk(2, 1)
            pyro.sample("z", dist.Normal(mean, torch.exp(0.5 * log_var)).to_event(1))

    svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 1e-3}), pyro.infer.Trace_ELBO())
    everything = torch.from_numpy(x).float() / 255

    def epoch():
        for rows in torch.randperm(N).split(BATCH):
            svi.step(everything[rows])

    return seconds(epoch)


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
            train_dataset=BaseDataset(pixels, torch.zeros(N)),
            training_config=BaseTrainerConfig(
                output_dir=folder, num_epochs=1, per_device_train_batch_size=BATCH,
                learning_rate=1e-3, no_cuda=True,
            ),
        )  # fmt: skip
        trainer.prepare_training()
        time = seconds(lambda: trainer.train_step(1))
    logging.disable(logging.NOTSET)
    return time


def side_by_side():
    x = images()
    ways = {
        "lfm": ours, "lfm in bfloat16": lambda x: ours(x, bfloat16=True),
        "its products": lambda x: products(N), "DataLoader loop": data_loader,
        "pyro": by_pyro, "pythae": by_pythae,
    }  # fmt: skip
    times = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            try:
                times[name].append(SCALE * way(x))
            except ImportError:
                continue
    case = f"VAE {D}-{H}-{K}, an epoch of 60,000, batch "
    present = {name: t for name, t in times.items() if t}
    goals = {"DataLoader_loop": 2.2, "pyro": 2.5, "pythae": 1.4, "its_products": 0.65}
    note_times(f"{case}{BATCH}", present, "s", **goals)
    big = {"lfm": [], "lfm in bfloat16": [], "its products": []}
    for _ in range(ROUNDS):
        big["lfm"].append(SCALE * ours(x, 1024))
        big["lfm in bfloat16"].append(SCALE * ours(x, 1024, bfloat16=True))
        big["its products"].append(SCALE * products(N, 1024))
    note_times(f"{case}1024", big, "s", its_products=0.85)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        side_by_side()
