"""Networks are asked for what they need, looked at without a trace, and left as they were."""

import numpy as np
import pytest
import torch
from deep import weights
from torch import nn

from lfm import evaluation, training
from lfm.engine import networks
from lfm.vae import VAE, BernoulliPixels, DiagonalGaussian


def own(layer):
    encoder = nn.Sequential(nn.Linear(6, 16), layer(), nn.ReLU(), nn.Linear(16, 4))
    decoder = nn.Sequential(nn.Linear(2, 16), layer(), nn.ReLU(), nn.Linear(16, 6))
    return VAE(DiagonalGaussian(encoder, floor=0.0), BernoulliPixels(decoder), 2)


def test_a_device_is_what_its_name_means(monkeypatch):
    for there, meant in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert networks.device("cpu") == torch.device("cpu")
        assert networks.device("auto") == torch.device(meant)
        if there:
            assert networks.device("cuda") == torch.device("cuda")
        else:
            with pytest.raises(ValueError, match="device is 'cuda', and torch sees no GPU"):
                networks.device("cuda")
    for name in ("gpu", None, torch.device("cpu")):
        with pytest.raises(ValueError, match="wanted 'auto', 'cpu' or 'cuda'"):
            networks.device(name)


def test_a_rehearsal_finds_what_training_would():
    vae, x = VAE.dense(6, 2, (4,), rng=0), torch.rand(5, 6)
    before = weights(vae)
    networks.rehearse(vae.train(), x)
    assert vae.training
    assert torch.equal(weights(vae), before)
    with pytest.raises(ValueError, match="x has 7 columns, which these networks do not take"):
        networks.rehearse(own(nn.Identity), torch.rand(5, 7))
    half = VAE.dense(6, 2, (4,), rng=0)
    half.encoder.requires_grad_(False)
    networks.rehearse(half, x)  # some of it learns
    with pytest.raises(ValueError, match=r"vae has no weights that learn: all are frozen"):
        networks.rehearse(half.requires_grad_(False), x)


@pytest.mark.parametrize("error", [*networks.MACHINE_FAILED, RuntimeError])
def test_a_machine_that_fails_is_not_blamed_on_the_columns(monkeypatch, error):
    vae = VAE.dense(6, 2, (4,), rng=0)

    def fail(*_):
        raise error("can't allocate memory")

    monkeypatch.setattr(vae, "lower_bound", fail)
    with pytest.raises(error, match="can't allocate memory"):
        networks.rehearse(vae, torch.rand(5, 6))


def test_too_little_memory_ends_a_program_in_one_line():
    for error in (torch.OutOfMemoryError("no more"), RuntimeError("cannot allocate memory: 9 TB")):
        with pytest.raises(SystemExit, match="me: the networks need more memory than there is"):
            networks.out_of_memory(error, "me")
    assert networks.out_of_memory(RuntimeError("another"), "me") is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_data_reside_as_bytes_or_like_the_weights(dtype):
    vae, cpu = VAE.dense(3, 2, (4,), rng=0, decoder=DiagonalGaussian).to(dtype), torch.device("cpu")
    x = np.random.default_rng(0).normal(size=(5, 3))
    x.flags.writeable = False
    for form in (x, torch.tensor(x, requires_grad=True)):
        found = networks.resident(vae, form, "x", cpu, bits=False, n_columns=3)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, x, rtol=1e-6)
    grey = np.array([[0, 9, 255]], np.uint8)
    found = networks.resident(vae, grey, "x", cpu, bits=True)
    assert found.dtype == torch.uint8
    assert found.tolist() == grey.tolist()
    for call, message in (
        (lambda: networks.resident(vae, x, "y", cpu, bits=True), "y is from .*; wanted 0 to 1"),
        (lambda: networks.resident(vae, x, "y", cpu, bits=False, n_columns=4), "wanted 4"),
        (lambda: networks.resident(vae, x[:, :2], "y", cpu, bits=False), "y has 2 columns"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    if dtype == torch.float32:
        with pytest.raises(ValueError, match=r"y is too large for torch\.float32"):
            networks.resident(vae, x * 1e39, "y", cpu, bits=False)


@pytest.mark.parametrize("mode", [True, False])
def test_modes_are_put_back_one_by_one_also_after_an_error(mode):
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Linear(2, 2))).train(mode)
    net[1][0].train(not mode)
    modes = [m.training for m in net.modules()]
    with networks.evaluating(net):
        assert not any(m.training for m in net.modules())
    assert [m.training for m in net.modules()] == modes
    with pytest.raises(KeyError), networks.modes_kept(net):
        raise_after(net.train(not mode))
    assert [m.training for m in net.modules()] == modes


def raise_after(_):
    raise KeyError


def test_what_is_counted_and_drawn_leaves_no_trace():
    net, state = nn.BatchNorm1d(2), torch.get_rng_state()
    before = net.running_mean.clone()
    with networks.untouched(net, torch.device("cpu")):
        net(torch.rand(5, 2) + 3)
        assert not torch.equal(net.running_mean, before)
    assert torch.equal(net.running_mean, before)
    assert net.num_batches_tracked == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_a_copy_of_a_state_shares_nothing_with_it():
    a = torch.ones(2, requires_grad=True)
    state = {"a": a, "list": [a, {"b": a}], "tuple": (a,), "n": 3, "none": None}
    twin = networks.copied(state)
    with torch.no_grad():
        a += 1
    held = [twin["a"], twin["list"][0], twin["list"][1]["b"], twin["tuple"][0]]
    assert [t.tolist() for t in held] == [[1, 1]] * 4
    assert not any(t.requires_grad for t in held)
    assert (twin["n"], twin["none"]) == (3, None)


# ------------------------------------------------------------------ in use


@pytest.mark.parametrize("layer", [lambda: nn.BatchNorm1d(16), lambda: nn.Dropout(0.5)])
@pytest.mark.parametrize("mode", [True, False])
def test_networks_with_modes_train_and_come_back_in_the_mode_they_were_in(layer, mode, tmp_path):
    x = (np.random.default_rng(0).random((200, 6)) < 0.5).astype(float)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    trained = []
    for validation in (None, x):
        torch.manual_seed(1)
        vae = own(layer).train(mode)
        vae.encoder.network[1].eval()  # one layer may be in another mode than the rest
        modes = [m.training for m in vae.modules()]
        torch.manual_seed(8 if validation is None else 9)  # of no effect
        before = torch.get_rng_state()
        training.train(
            vae, x, epochs=2, batch_size=50, rng=0, validation=validation, progress=False
        )
        assert [m.training for m in vae.modules()] == modes
        assert torch.equal(torch.get_rng_state(), before)
        for score in (
            lambda v: evaluation.reconstruct(v, x),
            lambda v: evaluation.log_likelihood(v, x, 3, rng=0),
            lambda v: evaluation.active_units(v, x),
            lambda v: evaluation.kl_split(v, x, rng=0),
            lambda v: evaluation.gaps(v, x[:5], rng=0, steps=2, n_samples=5).best,
            lambda v: v.sample(3, rng=0)[0],
        ):
            np.testing.assert_array_equal(score(vae), score(vae))
        assert [m.training for m in vae.modules()] == modes
        assert torch.equal(torch.get_rng_state(), before)
        trained.append(weights(vae))
    assert torch.equal(*trained)
    torch.set_rng_state(state)


class Twice(nn.Module):
    """A network without parameters: of the column x it makes the outputs (x, x)."""

    def forward(self, x):
        return torch.cat([x, x], -1)


@pytest.mark.parametrize(
    "call",
    [
        lambda vae, x: training.train(vae, x, epochs=1, batch_size=2, rng=0),
        lambda vae, x: training.Run(vae, x, batch_size=2, lr=1e-3, rng=0),
        lambda vae, x: vae.infer(x),
        lambda vae, _: vae.sample(2, rng=0),
        lambda vae, x: vae.log_prob(x, np.zeros((1, len(x), 1))),
        lambda vae, x: evaluation.log_likelihood(vae, x, 2, rng=0),
        lambda vae, x: evaluation.reconstruct(vae, x),
        lambda vae, x: evaluation.gaps(vae, x, rng=0),
    ],
)
def test_networks_without_parameters_are_named(call):
    vae = VAE(DiagonalGaussian(Twice()), DiagonalGaussian(Twice()), 1)
    assert list(vae.parameters()) == []
    with pytest.raises(ValueError, match=r"vae has no weights that learn: .* have no parameters"):
        call(vae, np.arange(5.0)[:, None])


def test_what_cannot_be_trained_is_named():
    x = (np.random.default_rng(0).random((64, 6)) < 0.5).astype(float)
    frozen = VAE.dense(6, 2, (4,), rng=0).requires_grad_(False)
    with pytest.raises(ValueError, match="vae has no weights that learn"):
        training.train(frozen, x, epochs=1, batch_size=32, rng=0)
    poisoned = own(lambda: nn.BatchNorm1d(16))
    poisoned.decoder.network[1].running_mean[0] = torch.nan
    with pytest.raises(ValueError, match=r"not finite in decoder\.network\.1\.running_mean"):
        training.train(poisoned, x, epochs=1, batch_size=32, rng=0)
    with pytest.raises(ValueError, match=r"not finite in decoder\.network\.1\.running_mean"):
        evaluation.reconstruct(poisoned, x)
    lazy = VAE(DiagonalGaussian(nn.LazyLinear(4), 0.0), BernoulliPixels(nn.Linear(2, 6)), 2)
    with pytest.raises(ValueError, match="no size yet in encoder"):
        training.train(lazy, x, epochs=1, batch_size=32, rng=0)


def test_networks_that_know_only_a_batchs_statistics_can_be_trained():
    norm = nn.BatchNorm1d(8, track_running_stats=False)
    net = nn.Sequential(nn.Linear(6, 8), norm, nn.Linear(8, 4))
    v = VAE(DiagonalGaussian(net), BernoulliPixels(nn.Linear(2, 6)), 2)
    training.train(v, np.random.default_rng(0).random((60, 6)), epochs=1, batch_size=20, rng=0)
