"""Networks are asked for what they need, looked at without a trace, and left as they were."""

import numpy as np
import pytest
import torch
from torch import nn

from lfm import evaluation, training
from lfm.vae import VAE, BernoulliPixels, DiagonalGaussian


def weights(vae):
    return torch.cat([w.detach().ravel() for w in vae.parameters()])


def own(layer):
    encoder = nn.Sequential(nn.Linear(6, 16), layer(), nn.ReLU(), nn.Linear(16, 4))
    decoder = nn.Sequential(nn.Linear(2, 16), layer(), nn.ReLU(), nn.Linear(16, 6))
    return VAE(DiagonalGaussian(encoder, floor=0.0), BernoulliPixels(decoder), 2)


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
