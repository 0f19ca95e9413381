"""Files under a seal: no altered one is believed, and no code in one runs."""

import os
import time

import numpy as np
import pytest

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
