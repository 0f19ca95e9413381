"""The architecture of a VAE as data: it builds the same networks, and guesses at no others."""

import json

import pytest
import torch
from deep import Mine, changed, conditional, data_for, dense, each_pair, noise, weights
from torch import nn

from lfm import training
from lfm.scale.architectures import build, spec
from lfm.vae import (
    CONDITIONALS,
    VAE,
    BernoulliPixels,
    ConditionalVAE,
    DiagonalGaussian,
    FullGaussian,
    conv_decoder,
    conv_encoder,
    mlp,
)


@each_pair
def test_architecture_is_names_and_numbers_and_builds_the_same(encoder, decoder):
    vae = dense(encoder, decoder)
    again = build(spec(vae)).double()
    again.load_state_dict(vae.state_dict())
    x, eps = data_for(vae), noise(2, 5, 2)
    assert torch.equal(again.lower_bound(x, eps), vae.lower_bound(x, eps))


def test_an_architecture_of_the_users_own_is_not_guessed():
    vae = VAE(DiagonalGaussian(nn.Linear(3, 4)), DiagonalGaussian(nn.Linear(2, 6)), 2)
    assert vae.lower_bound(torch.zeros(1, 3), noise(1, 1, 2)).shape == (1,)
    with pytest.raises(ValueError, match="architecture of a Linear is not known"):
        spec(vae)
    with pytest.raises(ValueError, match=r"kind is 'os\.system'; wanted one of"):
        build({"kind": "os.system"})


def test_a_network_that_was_changed_is_not_rebuilt_as_it_was(tmp_path):
    vae = changed(VAE.dense(10, 2, (8,), rng=0))
    with pytest.raises(ValueError, match="is not known"):
        spec(vae)
    with pytest.raises(ValueError, match="is not known"):
        spec(
            Mine(
                DiagonalGaussian(mlp([10, 4], rng=0), 0.0), BernoulliPixels(mlp([2, 10], rng=1)), 2
            )
        )
    training.save(vae, tmp_path / "vae.lfm")
    with pytest.raises(ValueError, match="does not say how its networks are made"):
        training.load(tmp_path / "vae.lfm")
    again = training.load(tmp_path / "vae.lfm", changed(VAE.dense(10, 2, (8,), rng=1)))
    assert torch.equal(weights(again), weights(vae))


PAIRS = [
    (mlp([3, 8, 4], rng=0, activation="tanh"), "mlp"),
    (conv_encoder(8, 4, channels=3, rng=0), "conv_encoder"),
    (conv_decoder(2, 8, n_maps=2, channels=3, rng=0), "conv_decoder"),
]


@pytest.mark.parametrize(("network", "kind"), PAIRS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_network_is_its_function_and_what_it_was_given(network, kind):
    found = spec(network)
    assert found["kind"] == kind
    assert json.loads(json.dumps(found)) == found
    before = dict(found)
    again = build(found)
    assert found == before  # not used up
    assert repr(again) == repr(network)
    assert spec(again) == found


def test_every_kind_of_vae_and_of_conditional_is_built_again():
    for kind in CONDITIONALS.values():
        size = {"size": 2} if kind is FullGaussian else {}
        made = kind(mlp([2, 5], rng=0), **size)
        assert build(spec(made)).__class__ is kind
        assert spec(build(spec(made))) == spec(made)
    plain = VAE.dense(3, 2, (8,), rng=0, beta=3)
    found = spec(plain)
    assert list(found) == ["kind", "n_factors", "beta", "encoder", "decoder"]
    assert (found["kind"], found["n_factors"], found["beta"]) == ("VAE", 2, 3.0)
    given = spec(conditional(beta=0.5))
    assert (given["kind"], given["n_given"], given["beta"]) == ("ConditionalVAE", 2, 0.5)
    again = build(given)
    assert type(again) is ConditionalVAE
    assert (again.n_given, again.n_factors, again.beta) == (2, 2, 0.5)
    floor = DiagonalGaussian(mlp([3, 4], rng=0), floor=0.25)
    assert build(spec(floor)).floor == 0.25


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        (3, TypeError, "parts is int; wanted a dict"),
        ({}, ValueError, "kind is None; wanted one of VAE, ConditionalVAE, .*mlp, conv_encoder"),
        ({"kind": "VAE"}, ValueError, "parts do not describe a VAE: 'encoder'"),
        ({"kind": "mlp"}, ValueError, "parts do not describe a mlp"),
        ({"kind": "mlp", "sizes": [2, 3], "more": 1}, ValueError, "do not describe a mlp"),
        ({"kind": "DiagonalGaussian"}, ValueError, "do not describe a DiagonalGaussian"),
    ],
)
def test_what_is_no_architecture_is_named(parts, error, message):
    with pytest.raises(error, match=message):
        build(parts)
    with pytest.raises(TypeError, match="module is int; wanted a Module"):
        spec(3)
