"""Files under a seal: no altered one is believed, and no code in one runs."""

import hashlib
import os
import time

import numpy as np
import pytest
import torch

from lfm.engine import files
from lfm.scale import sealed
from lfm.training import load, save, train
from lfm.vae import VAE, SharedGaussian


def gaussian(seed=0, decoder=SharedGaussian):
    return VAE.dense(6, 2, (16,), rng=seed, decoder=decoder)


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


def test_no_code_in_a_file_can_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "done"),)

    sealed.write(tmp_path / "vae.lfm", {"kind": "VAE", "architecture": "null", "model": Evil()})
    with pytest.raises(ValueError, match="holds more than weights and numbers"):
        load(tmp_path / "vae.lfm")
    assert not (tmp_path / "done").exists()


def test_debris_of_a_kill_is_removed_and_nothing_else(tmp_path):
    path, old = tmp_path / "run.lfm", tmp_path / f".run.lfm.{'0' * 32}"
    living = tmp_path / f".run.lfm.{'1' * 32}"  # another run may be writing it just now
    for part in (old, living, tmp_path / ".run.lfm.notes"):
        part.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * files.STALE,) * 2)
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
