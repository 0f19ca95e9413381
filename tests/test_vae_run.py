"""The VAE in one process and in two: steps on batches that belong together, gone on with."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from deep import same
from torch import nn
from torchrun import alone, run, vae

from lfm import data, distributed, training
from lfm.scale import sealed, vae_run
from lfm.vae import VAE, BernoulliPixels, SharedGaussian

X = np.random.default_rng(0).normal(size=(90, 5))
GREY = np.random.default_rng(1).integers(256, size=(90, 16)).astype(np.uint8)


def options(folder, checkpoint=None, **change):
    same = {"data": folder, "checkpoint": checkpoint, "latent": 2, "hidden": [8], "epochs": 2}
    return Namespace(**(same | {"batch_size": 30, "lr": 0.01, "seed": 3} | change))


@pytest.fixture
def folder(tmp_path):
    data.write_shards(tmp_path / "x", X, rows=30)
    return tmp_path / "x"


# ------------------------------------------------------------------ one process


@pytest.mark.parametrize(
    ("x", "decoder", "binarise"),
    [(X, SharedGaussian, False), (X.astype(np.float32), SharedGaussian, False),
     (GREY, BernoulliPixels, True), (GREY > 99, BernoulliPixels, False)],
)  # fmt: skip
def test_the_kind_of_the_data_chooses_the_decoder(x, decoder, binarise, tmp_path):
    data.write_shards(tmp_path / "x", x, rows=40)
    made = vae_run.shared_run(options(tmp_path / "x"), 0, 1)
    assert type(made.vae.decoder) is decoder
    assert made.binarise == binarise
    assert made.x.shape == x.shape
    assert not made.replays
    start = VAE.dense(x.shape[1], 2, [8], rng=3, decoder=decoder)
    assert same(made.vae, start)
    assert (made.lr, made.batch_size, made.per_epoch) == (0.01, 30, 3)


def test_each_process_has_the_files_that_are_its_own(folder):
    shards = data.Shards(folder)
    for world in (1, 2, 3):
        parts = [vae_run.part_of_data(shards, rank, world) for rank in range(world)]
        assert sum(map(len, parts)) == 90
        for rank, part in enumerate(parts):
            np.testing.assert_array_equal(part, np.concatenate(list(shards.part(rank, world))))


def test_numbers_of_two_sizes_are_numbers(tmp_path):
    (tmp_path / "x").mkdir()
    np.save(tmp_path / "x" / "0.npy", X)
    np.save(tmp_path / "x" / "1.npy", X.astype(np.float32))
    assert vae_run.part_of_data(data.Shards(tmp_path / "x"), 0, 1).shape == (180, 5)


def test_the_terms_of_the_module_are_those_of_the_vae():
    model = VAE.dense(5, 2, (8,), rng=0, decoder=SharedGaussian)
    x, eps = torch.tensor(X, dtype=torch.float32), torch.zeros(1, 90, 2)
    for found, wanted in zip(vae_run.Terms(model)(x, eps), model.terms(x, eps), strict=True):
        assert torch.equal(found, wanted)
    assert next(vae_run.Terms(model).parameters()) is next(model.parameters())
    assert isinstance(vae_run.Terms(model), nn.Module)


def order_of(folder, seed, epoch, rank):
    """Return the bound of an epoch, which is of its order and noise."""
    made = vae_run.shared_run(options(folder), 0, 1)
    made.epoch = epoch
    vae_run.one_epoch(made, seed, rank)
    return made.trace.bound[0]


def test_order_and_noise_come_from_seed_epoch_and_rank(folder):
    wheres = [(3, 0, 0), (4, 0, 0), (3, 1, 0), (3, 0, 1), (0, 3, 0)]
    found = [order_of(folder, *where) for where in wheres]
    assert len(set(found)) == len(wheres)
    assert [order_of(folder, *where) for where in wheres] == found


@pytest.mark.parametrize("first", [0, 1, 2])
def test_it_goes_on_to_the_weights_that_it_would_have_had(folder, first, tmp_path, capsys):
    whole, parts = tmp_path / "whole.lfm", tmp_path / "parts.lfm"
    vae_run.train_vae(options(folder, whole, epochs=3), 0, 1)
    vae_run.train_vae(options(folder, parts, epochs=first), 0, 1)
    capsys.readouterr()
    vae_run.train_vae(options(folder, parts, epochs=3), 0, 1)
    said = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [f"epoch {e}" for e in range(first + 1, 4)]
    assert same(training.load(parts), training.load(whole))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "with seed 3; this run has 4|with rng 3; this run has 4"),
        ({"lr": 0.1}, "with lr 0.01; this run has 0.1"),
        ({"batch_size": 10}, "with batch_size 30; this run has 10"),
        ({"hidden": [9]}, "with other networks"),
    ],
)
def test_another_run_is_refused_and_the_checkpoint_kept(folder, change, message, tmp_path):
    path = tmp_path / "run.lfm"
    vae_run.train_vae(options(folder, path, epochs=1), 0, 1)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        vae_run.train_vae(options(folder, path, **change), 0, 1)
    assert path.read_bytes() == before


def test_of_several_processes_the_number_and_all_data_must_be_the_same(folder, monkeypatch):
    made = vae_run.shared_run(options(folder), 0, 1)
    one = vae_run.about(made, 3, 1)
    assert one["world"] == 1
    assert one["seed"] == 3
    assert one["rows"] == "as in `data`"
    assert vae_run.about(made, 3, 2) != one
    monkeypatch.setattr(vae_run, "together", lambda: True)
    told = []
    monkeypatch.setattr(vae_run, "from_all", lambda value: [told.append(value), "all of it"])
    assert "all of it" in vae_run.about(made, 3, 2)["data"]
    assert told == [(90, one["data"])]


def test_where_nothing_can_be_written_nothing_is_trained(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(training.Run, "one_epoch", lambda *_, **__: pytest.fail("it trained"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        vae_run.train_vae(options(folder, tmp_path / "file" / "run.lfm"), 0, 1)
    with pytest.raises(ValueError, match="epochs is -1"):
        vae_run.train_vae(options(folder, epochs=-1), 0, 1)


def test_another_rank_trains_and_neither_prints_nor_writes(folder, tmp_path, capsys):
    vae_run.train_vae(options(folder, tmp_path / "run.lfm"), 1, 2)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "run.lfm").exists()


def test_the_file_is_the_whole_run(folder, tmp_path):
    vae_run.train_vae(options(folder, tmp_path / "run.lfm"), 0, 1)
    assert sealed.read(tmp_path / "run.lfm")["kind"] == "training"
    assert training.load(tmp_path / "run.lfm").n_factors == 2


# ------------------------------------------------------------------ two processes, and the shell


def by_hand(parts, epochs):
    """Return what two ranks compute, by one process with the whole of each batch."""
    model = VAE.dense(5, 2, (8,), rng=3, decoder=SharedGaussian)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        drawn = []
        for rank, x in enumerate(parts):
            seed = int(np.random.default_rng([3, epoch, rank]).integers(2**62))
            generator = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(x), generator=generator)
            rows = order[: len(order) // 30 * 30].split(30)
            drawn.append([(x[r], torch.randn(1, 30, 2, generator=generator)) for r in rows])
        for batches in zip(*drawn, strict=False):  # as many as the smaller part has
            x, eps = torch.cat([x for x, _ in batches]), torch.cat([e for _, e in batches], 1)
            optimiser.zero_grad()
            model.loss(x, eps).backward()
            optimiser.step()
    return model


def test_two_processes_train_the_vae_that_one_trains_on_their_batches_together(tmp_path):
    rng = np.random.default_rng(0)
    x = np.tanh(rng.normal(size=(430, 2)) @ rng.normal(size=(2, 5))) + 0.1
    shards = data.write_shards(tmp_path / "x", x, rows=100)
    path = tmp_path / "run.lfm"
    run(*vae(tmp_path / "x", path, 1))
    out = run(*vae(tmp_path / "x", path, 3))  # goes on from there
    assert [line.split(":")[0] for line in out.splitlines()] == ["epoch 2", "epoch 3"]
    two = training.load(path).state_dict()
    split = [np.concatenate(list(shards.part(rank, 2))) for rank in (0, 1)]
    assert [len(part) for part in split] == [230, 200]
    one = by_hand([torch.tensor(part, dtype=torch.float32) for part in split], 3).state_dict()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


def test_the_vae_alone_takes_bytes_as_images(tmp_path, capsys):
    images = (255 * (np.random.default_rng(0).random((90, 16)) < 0.3)).astype(np.uint8)
    data.write_shards(tmp_path / "x", images)
    alone(vae(tmp_path / "x", tmp_path / "vae.lfm", 2))
    assert isinstance(training.load(tmp_path / "vae.lfm").decoder, BernoulliPixels)
    assert capsys.readouterr().out.startswith("epoch 1: bound -")


def test_files_of_several_kinds_are_not_mixed(tmp_path):
    (tmp_path / "x").mkdir()
    np.save(tmp_path / "x" / "0.npy", GREY)
    np.save(tmp_path / "x" / "1.npy", GREY / 255)
    with pytest.raises(SystemExit, match=r"data holds float64 and uint8 files; wanted .* one kind"):
        distributed.main(["vae", "--data", str(tmp_path / "x"), "--latent", "2", "--epochs", "1"])
