"""Looking at a VAE: at rest, in parts that do not change the result, and with sound results."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from lfm import data, evaluation, training
from lfm.engine import constants, looking
from lfm.vae import VAE, BernoulliPixels, DiagonalGaussian, FullGaussian, SharedGaussian


def small(decoder=DiagonalGaussian, encoder=DiagonalGaussian, d=3, k=2, hidden=(8,)):
    return VAE.dense(d, k, hidden, rng=0, decoder=decoder, encoder=encoder)


def test_a_function_sees_networks_at_rest_and_leaves_them_as_they_were():
    @looking.at_rest
    def seen(vae, a, *, b):
        """What it says."""
        assert not vae.training
        assert not torch.is_grad_enabled()
        return a + b

    vae = small().train()
    assert seen(vae, 1, b=2) == 3
    assert vae.training
    assert torch.is_grad_enabled()
    assert (seen.__name__, seen.__doc__) == ("seen", "What it says.")
    with pytest.raises(TypeError, match="vae is Linear; wanted a VAE"):
        seen(nn.Linear(2, 2), 1, b=2)


@pytest.mark.parametrize(
    ("vae", "widest"),
    [
        (small(hidden=(50,)), 50),
        (small(d=30, decoder=SharedGaussian), 30),
        (small(k=6, hidden=(5,)), 36),  # a covariance of factors
        (small(d=9, hidden=(5,), decoder=FullGaussian), 81),  # one of columns
    ],
)
def test_the_widest_layer_is_found_and_no_hook_is_left(vae, widest):
    x = torch.zeros(4, vae.decoder.network[-1].out_features)[
        :, : vae.encoder.network[0].in_features
    ]
    assert looking.width(vae, x) == widest
    assert not any(module._forward_hooks for module in vae.modules())


def test_parts_are_as_many_rows_as_fit(monkeypatch):
    vae, x = small(hidden=(50,)), np.zeros((23, 3))
    assert looking.parts(vae, x) == [slice(0, 23)]
    monkeypatch.setattr(constants, "LAYER_NUMBERS", 500)
    assert looking.parts(vae, x) == [slice(0, 10), slice(10, 20), slice(20, 23)]
    assert looking.parts(vae, x[:10], each=2) == [slice(0, 5), slice(5, 10)]
    assert looking.parts(vae, x[:2], each=100) == [slice(0, 1), slice(1, 2)]  # one at least


@pytest.mark.parametrize("rows", [4, 23])
def test_what_is_made_of_each_part_lies_one_below_the_other(rows, monkeypatch):
    vae, x = small(), np.random.default_rng(0).normal(size=(23, 3))
    monkeypatch.setattr(constants, "LAYER_NUMBERS", 8 * rows)
    seen = []

    def work(part):
        seen.append(len(part))
        return 2 * part

    found = looking.each(vae, x, work)
    assert sum(seen) == 23
    assert max(seen) == rows
    assert found.dtype == float
    np.testing.assert_allclose(found, 2 * x, rtol=1e-6)
    bits = small(decoder=BernoulliPixels)  # not asked to be bits
    np.testing.assert_allclose(looking.each(bits, x, lambda part: part), x, rtol=1e-6)


def test_results_that_are_not_finite_are_of_weights_or_of_data():
    vae, result = small(), np.ones(3)
    assert looking.sound(vae, result) is result
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="x is beyond what the networks of vae compute with"):
            looking.sound(vae, [1.0, bad])
    with torch.no_grad():
        vae.decoder.network[0].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="vae has values that are not finite"):
        looking.sound(vae, np.nan)


# ------------------------------------------------------------------ in use

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
    monkeypatch.setattr(constants, "LAYER_NUMBERS", 2000)
    parts = evaluation.kl_split(vae, x, rng=0), evaluation.log_prob_on_a_grid(vae, x, points=21)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-9)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-5)
    in_parts = evaluation.gaps(vae, x, rng=0, steps=50, n_samples=400)
    for a, b in zip(in_parts, refined, strict=True):
        np.testing.assert_allclose(a.mean(), b.mean(), atol=0.1)
