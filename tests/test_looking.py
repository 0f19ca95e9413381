"""Looking at a VAE: at rest, in parts that do not change the result, and with sound results."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lfm import data, evaluation, training
from lfm.engine import looking
from lfm.vae import VAE, DiagonalGaussian

GEYSER = data.old_faithful()


def test_nan_in_the_networks_is_not_blamed_on_x():
    vae, x = VAE.dense(4, 2, (8,), rng=0), GEYSER[:40] @ np.ones((2, 4)) / 400
    with torch.no_grad():
        vae.decoder.network[0].weight[0, 0] = torch.nan
    for call in (
        lambda: training.train(vae, x, epochs=1, batch_size=10, rng=0),
        lambda: evaluation.log_likelihood(vae, x, 3, rng=0),
        lambda: evaluation.reconstruct(vae, x),
    ):
        with pytest.raises(ValueError, match=r"vae has values .* in decoder\.network\.0\.weight"):
            call()


MEMORY = """
import resource, numpy as np
from lfm import evaluation, vae
rng = np.random.default_rng(0)
small = vae.VAE.dense(2, 2, rng=0, decoder=vae.DiagonalGaussian)
wide = vae.VAE.dense(784, 2, (100,), rng=0)
x, bits = rng.normal(size=(1000, 2)), rng.random((400, 784)) < 0.5
evaluation.gaps(small, x[:3], rng=0, steps=1, n_samples=3)  # what torch imports for it
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{call}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units")
@pytest.mark.parametrize(
    ("call", "limit"),
    [
        ("evaluation.log_likelihood(small, x, 300, rng=0)", 200),  # the layers' numbers: 960 MB
        ("evaluation.gaps(wide, bits[:10], rng=0, steps=1, n_samples=9000)", 400),  # at once: 1 GB
        ("evaluation.kl_split(small, x.repeat(3, 0), rng=0)", 200),  # N² K: 430 MB
        ("evaluation.log_prob_on_a_grid(wide, bits[:10], points=161)", 200),  # the grid's: 650 MB
    ],
)
def test_what_is_said_to_go_in_chunks_goes_in_chunks(call, limit):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY.format(call=call)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < limit  # MiB


def test_chunks_do_not_change_what_is_computed(monkeypatch):
    x = np.random.default_rng(0).normal(size=(60, 2))
    vae = VAE.dense(2, 2, (20,), rng=0, decoder=DiagonalGaussian)
    whole = evaluation.kl_split(vae, x, rng=0), evaluation.log_prob_on_a_grid(vae, x, points=21)
    refined = evaluation.gaps(vae, x, rng=0, steps=50, n_samples=400)
    monkeypatch.setattr(looking, "CHUNK", 2000)
    parts = evaluation.kl_split(vae, x, rng=0), evaluation.log_prob_on_a_grid(vae, x, points=21)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-9)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-5)
    in_parts = evaluation.gaps(vae, x, rng=0, steps=50, n_samples=400)
    for a, b in zip(in_parts, refined, strict=True):
        np.testing.assert_allclose(a.mean(), b.mean(), atol=0.1)
