"""The drawing is data of the course: whoever changes it changes every notebook."""

import inspect
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lfm import data, faces

# A neutral face; one with glasses and all else at 0.8; a third that is all at -0.6. Look at them!
KNOWN = Path(__file__).parent / "known_faces.png"
FIXED = [
    dict.fromkeys(faces.FACTORS, 0),
    dict.fromkeys(faces.FACTORS, 0.8) | {"glasses": 1, "hair_shape": 1},
    dict.fromkeys(faces.FACTORS, -0.6) | {"glasses": 1, "hair_shape": 2},
]


def drawn():
    return np.hstack([data.faces(1, rng=0, **fixed).images[0] for fixed in FIXED]).astype(int)


def known():
    return np.round(255 * plt.imread(KNOWN)).astype(int)  # (32, 96)


def is_known(image) -> bool:
    """Every pixel, but for a rounding on another machine."""
    return bool(np.abs(image - known()).max() <= 1)


def test_known_faces_have_known_pixels():
    assert known().shape == (32, 96)
    assert is_known(drawn())


STROKES = sum(line.strip().startswith("_paint(") for line in inspect.getsource(faces).splitlines())


@pytest.mark.parametrize("left_out", range(STROKES))
def test_no_stroke_can_vanish_unseen(left_out, monkeypatch):
    paint, calls = faces._paint, []

    def all_but_one(*args):
        calls.append(args)
        if (len(calls) - 1) % STROKES != left_out:
            paint(*args)

    monkeypatch.setattr(faces, "_paint", all_but_one)
    image = drawn()
    assert len(calls) == 3 * STROKES
    assert not is_known(image)


PARTS = {
    "the bridge of the glasses": ("np.minimum(rim, bridge)", "rim"),
    "the temples of the glasses": ("np.minimum(np.minimum(rim, bridge), temple)", "rim"),
    "the light in the eyes": ("0.04 * np.sign(x)", "0"),
    "the slope of the brows": ('- 0.55 * by_name["brow_angle"] * u', ""),
    "a rounded corner": ("round_=0.08", "round_=0.0"),
}


@pytest.mark.parametrize("part", PARTS)
def test_no_part_of_a_stroke_can_vanish_unseen(part, monkeypatch):
    source, (old, new) = inspect.getsource(faces), PARTS[part]
    assert source.count(old) == 1
    changed = dict(vars(faces))
    exec(compile(source.replace(old, new), "changed faces", "exec"), changed)
    monkeypatch.setattr(data, "faces", changed["faces"])
    assert not is_known(drawn())
