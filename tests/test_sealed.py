"""Files under a seal: no altered one is believed, and no code in one runs."""

import hashlib
import os
import time

import numpy as np
import pytest
import torch
from damage import TIMES, Trap, damaged, refused, refused_or_read, saved, traps, zipped
from deep import gaussian

from lfm import distributed, em
from lfm.engine import constants
from lfm.gaussian_mixture import GaussianMixture
from lfm.scale import mixture_run, sealed
from lfm.training import load, save, train
from lfm.vae import VAE, SharedGaussian


def test_every_altered_file_is_refused(tmp_path):
    path = tmp_path / "vae.lfm"
    save(gaussian(), path)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    changed = [good[:n] for n in (0, 1, 17, 81, 82, 83, len(good) // 2, len(good) - 1)]
    changed += [good + b"\0", good + good, b"\0" + good, good[1:]]
    for at in [*range(90), *rng.integers(len(good), size=210)]:
        flipped = bytearray(good)
        flipped[at] ^= 1 << rng.integers(8)
        changed.append(bytes(flipped))
    for content in changed:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"was altered or cut|is no checkpoint of lfm"):
            load(path)
    path.write_bytes(good)
    load(path)


def test_debris_of_a_kill_is_removed_and_nothing_else(tmp_path):
    path, old = tmp_path / "run.lfm", tmp_path / f".run.lfm.{'0' * 32}"
    living = tmp_path / f".run.lfm.{'1' * 32}"  # another run may be writing it just now
    for part in (old, living, tmp_path / ".run.lfm.notes"):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * constants.STALE,) * 2)
    x = np.random.default_rng(0).normal(size=(64, 6))
    train(gaussian(), x, epochs=1, batch_size=32, rng=0, device="cpu", checkpoint=path)
    assert {p.name for p in tmp_path.iterdir()} == {"run.lfm", living.name, ".run.lfm.notes"}


def test_a_seal_is_a_line_the_digest_and_the_bytes(tmp_path):
    found = sealed.sealed(b"body")
    digest = hashlib.sha256(b"body").hexdigest().encode()
    assert found == b"lfm checkpoint 1\n" + digest + b"\nbody"
    assert found[sealed.HEAD :] == b"body"
    state = {"a": torch.arange(3), "n": 4, "text": "words"}
    sealed.write(tmp_path / "s", state)
    read = sealed.read(tmp_path / "s")
    assert read.pop("a").tolist() == [0, 1, 2]
    assert read == {"n": 4, "text": "words"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no checkpoint of lfm, or was cut to 0 bytes"),
        (sealed.sealed(b""), "is no checkpoint of lfm, or was cut to 82 bytes"),
        (sealed.sealed(b"body")[:-1], "was altered or cut"),
        (b"x" + sealed.sealed(b"body"), "is no checkpoint"),
        (sealed.sealed(b"body"), "holds more than weights and numbers"),
    ],
)
def test_what_is_not_sealed_or_no_state_is_named(content, message, tmp_path):
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        sealed.read(tmp_path / "s")
    with pytest.raises(ValueError, match=message):
        sealed.saved_before(tmp_path / "s")


def test_what_was_saved_before_is_none_or_read(tmp_path):
    assert sealed.saved_before(None) is None
    assert sealed.saved_before(tmp_path / "new" / "s") is None
    assert (tmp_path / "new").is_dir()
    sealed.write(tmp_path / "s", {"n": 1})
    assert sealed.saved_before(tmp_path / "s") == {"n": 1}
    sealed.write(tmp_path / "s", [1, 2])
    with pytest.raises(ValueError, match="does not hold what lfm writes: TypeError"):
        sealed.read(tmp_path / "s")


def test_errors_name_the_file_once(tmp_path):
    path = tmp_path / "s"
    with pytest.raises(KeyError, match="s"), sealed.understood(path):
        {}[str(path)]
    with (
        pytest.raises(ValueError, match=r"s does not hold what lfm writes: KeyError\('a'\)"),
        sealed.understood(path),
    ):
        {}["a"]


# ------------------------------------------------------------------ damaged and hostile files


X = np.random.default_rng(0).normal(size=(20, 3))


def vae():
    return VAE.dense(3, 1, (4,), rng=0, decoder=SharedGaussian)


def trained(path, model=None):
    return train(model or vae(), X, epochs=2, batch_size=5, rng=0, checkpoint=path, device="cpu")


def write_vae(path):
    save(vae(), path)


def write_mixture(path):
    model = GaussianMixture.init(X, 2, rng=0)
    fit = em.fit(model, X, max_iter=2)
    sealed.write(path, mixture_run.state(fit.model, list(fit.bounds), {}))


SPARE = vae()


LOADERS = {
    "training.load": (write_vae, load),
    "training.load into a VAE": (write_vae, lambda path: load(path, SPARE)),
    "resume": (trained, lambda path: trained(path, SPARE)),
    "distributed.load": (write_mixture, distributed.load),
}


@pytest.fixture(params=LOADERS)
def loader(request, tmp_path):
    """A way to load, a file of its own, and its good bytes."""
    write, loading = LOADERS[request.param]
    path = tmp_path / "file.lfm"
    write(path)
    return loading, path, path.read_bytes()


def test_no_damaged_checkpoint_is_loaded(loader):
    loading, path, good = loader
    for bad in damaged(good, 6, 200 * TIMES):
        refused(loading, path, bad)
        assert path.read_bytes() == bad  # and not replaced: it may be of use to somebody
    head = sealed.HEAD
    for n in [*range(1, head + 20), *range(head + 20, len(good), max(1, len(good) // 30))]:
        refused(loading, path, good[:n])
    refused(loading, path, b"")


def test_sealed_pickles_run_no_code(loader, tmp_path):
    loading, path, _ = loader
    trap = tmp_path / "trapped"
    for code in traps(trap):
        members = {
            "archive/data.pkl": code,
            "archive/version": b"3\n",
            "archive/byteorder": b"little",
        }
        for body in (code, zipped(members), saved({"kind": "VAE", "model": Trap(trap)})):
            refused(loading, path, sealed.sealed(body))
    assert not trap.exists()


def test_sealed_nonsense_is_refused_or_other_numbers(loader):
    """The checksum is right, and what is inside is not what was saved."""
    loading, path, good = loader
    state = sealed.read(path)
    head = sealed.HEAD
    bodies = [b"", b"x", b"PK\5\6" + bytes(18), good, saved(None), saved([]), saved({}), saved(3.0)]
    for key in state:
        bodies.append(saved({k: v for k, v in state.items() if k != key}))
        for value in (None, "nonsense", "3", 7, [], {}, torch.zeros(3), torch.tensor(float("nan"))):
            bodies.append(saved(state | {key: value}))
    for body in bodies:
        refused_or_read(loading, path, sealed.sealed(body))
    for bad in damaged(good[head:], 7, 100 * TIMES):  # altered, and the checksum made to fit
        refused_or_read(loading, path, sealed.sealed(bad))


def test_what_is_refused_leaves_the_vae_as_it_was(tmp_path):
    path, model = tmp_path / "file.lfm", VAE.dense(3, 1, (4,), rng=5, decoder=SharedGaussian)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    trained(path)
    state = sealed.read(path)
    for key in ("model", "optimiser", "generator", "progress", "trace"):
        path.write_bytes(sealed.sealed(saved(state | {key: {}})))
        for loading in (trained, load) if key == "model" else (trained,):
            with pytest.raises(ValueError, match=r"file\.lfm"):
                loading(path, model)
            assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
