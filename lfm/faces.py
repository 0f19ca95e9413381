"""Small grey cartoon faces, drawn from factors that we know: the running example of the course.

Each feature is a distance to its outline (negative inside), painted over what lies behind with
one pixel of transition, so that edges are smooth. The canvas spans [-1, 1]²; y points down.
"""

from dataclasses import dataclass

import numpy as np

from lfm.engine import constants, validate
from lfm.engine.progress import watched

Array = np.ndarray

SIZE = 32
PIXEL = 2 / SIZE
HAIR_SHAPES = ("straight", "curly", "spiky")

# What -1 and +1 mean. Glasses (0, 1) and hair_shape (an index above) are kinds, not quantities.
CONTINUOUS = {
    "face_width": "narrow to wide",
    "hair_length": "short to long",
    "hair_tone": "dark to fair",
    "eye_size": "small to large",
    "eye_spacing": "close to far apart",
    "brow_angle": "worried to angry",
    "mouth_curve": "sad to smiling",
}
FACTORS = (*CONTINUOUS, "glasses", "hair_shape")


@dataclass(frozen=True, eq=False)
class Faces:
    """Images and the factors that they were drawn from."""

    images: Array  # (N, 32, 32) uint8, 255 white
    factors: Array  # (N, 9) float64: seven in [-1, 1], glasses in {0, 1}, hair_shape in {0, 1, 2}
    names: tuple[str, ...] = FACTORS

    @property
    def x(self) -> Array:
        """The images as data, (N, 1024) float64 in [0, 1]."""
        return self.images.reshape(len(self.images), -1) / 255

    def column(self, name: str) -> Array:
        """Return one factor, shape (N,)."""
        if validate.text(name, "name") not in self.names:
            raise ValueError(f"name is {name!r}; wanted one of {', '.join(self.names)}")
        return self.factors[:, self.names.index(name)]


def faces(n: int, *, rng, **fixed) -> Faces:
    """Return n faces with independent factors: uniform, a fair coin, one of three hair shapes.

    The seven of `CONTINUOUS` are uniform on [-1, 1]; glasses is 0 or 1; hair_shape is 0, 1 or 2
    (straight, curly, spiky).
    Keywords fix a factor, for all faces by a number or for each by n numbers:
    `faces(5, rng=0, glasses=1, mouth_curve=np.linspace(-1, 1, 5))`. What is fixed does not change
    what is drawn for the other factors. The same seed gives the same bytes.
    Raises `ValueError` for a factor that does not exist or a value out of its range.
    """
    n, rng = validate.count(n, "n"), validate.generator(rng)
    draws = [rng.uniform(-1, 1, n) for _ in CONTINUOUS]
    factors = np.column_stack([*draws, rng.integers(2, size=n), rng.integers(3, size=n)])
    for name, value in fixed.items():
        if name not in FACTORS:
            raise ValueError(f"{name} is no factor of a face; wanted one of {', '.join(FACTORS)}")
        factors[:, FACTORS.index(name)] = _checked(value, name, n)
    images = np.empty((n, SIZE, SIZE), dtype=np.uint8)
    for start in watched(range(0, n, constants.FACES_AT_ONCE), "drawing faces"):
        part = slice(start, start + constants.FACES_AT_ONCE)
        images[part] = _draw(factors[part])
    return Faces(images, factors)


def _checked(value, name: str, n: int) -> Array:
    value = validate.finite(validate.numeric(value, name), name)
    if value.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {value.shape}; wanted one number or {n}")
    if name in CONTINUOUS:
        wrong, wanted = np.abs(value) > 1, "between -1 and 1"
    else:
        kinds = (0, 1) if name == "glasses" else (0, 1, 2)
        wrong, wanted = ~np.isin(value, kinds), f"one of {kinds}"
    if wrong.any():
        raise ValueError(f"{name} is {np.extract(wrong, value)[0]:g}; wanted {wanted}")
    return value


def _draw(factors: Array) -> Array:
    """Paint one face for each row, from back to front; uint8 (n, 32, 32)."""
    at = (np.arange(SIZE) + 0.5) * PIXEL - 1
    x, y = at[None, None, :], at[None, :, None]
    by_name = dict(zip(FACTORS, factors.T[:, :, None, None], strict=True))  # each (n, 1, 1)
    w = 0.53 + 0.09 * by_name["face_width"]  # half the width of the face

    image = np.broadcast_to(0.86 - 0.07 * y - 0.05 * x**2, (len(factors), SIZE, SIZE)).copy()
    _head(image, x, y, w, by_name)
    _eyes(image, x, y, w, by_name)
    _mouth(image, x, y, by_name["mouth_curve"])
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _head(image, x, y, w, by_name) -> None:
    length, shape = by_name["hair_length"], by_name["hair_shape"]
    hair = 0.37 + 0.27 * by_name["hair_tone"]
    curls = np.where(shape == 1, 0.09 * np.sin(17 * x + 1) * np.sin(17 * y), 0)
    side = np.abs(x)
    _paint(image, _hair_behind(x, y, w, length, shape), 0.80 * hair + curls)
    _paint(image, _ellipse(x, y - 1.10, 0.74, 0.30), 0.50)  # shoulders
    _paint(image, _box(x, y - 0.80, 0.16, 0.20), 0.74)  # neck
    _paint(image, _ellipse(side - w, y - 0.12, 0.09, 0.13), 0.80)  # ears
    face = _ellipse(x, y - 0.10, w, 0.63)
    _paint(image, face, 0.93 - 0.09 * np.clip(1 + face / 0.22, 0, 1))  # darker towards the edge
    blush = np.exp(-((side - 0.66 * w) ** 2 + (y - 0.32) ** 2) / 0.018)
    image -= 0.08 * blush * _cover(face)
    shine = np.exp(-((y + 0.58 - 0.3 * x**2) ** 2) / 0.008 - (x - 0.12) ** 2 / 0.07)
    _paint(image, _fringe(x, y, w, shape), hair + curls + 0.16 * shine * (shape != 1))


def _eyes(image, x, y, w, by_name) -> None:
    """Eyes, brows and glasses: right and left at once, as mirror images."""
    apart, size = 0.255 + 0.055 * by_name["eye_spacing"], 0.130 + 0.045 * by_name["eye_size"]
    side = np.abs(x)
    u, v = side - apart, y - 0.094  # from the middle of the eye, u outwards
    _paint(image, _ellipse(u, v + 0.03, 1.04 * size, 1.1 * size), 0.30)  # lashes
    _paint(image, _ellipse(u, v, size, 1.1 * size), 1.0)
    pupil = 0.035 + 0.43 * size
    _paint(image, _ellipse(u, v - 0.005, pupil, 1.15 * pupil), 0.05)
    # The light comes from the left for both eyes, which brings the face to life
    _paint(image, _ellipse(u + 0.04 * np.sign(x), v + 0.04, 0.22 * size, 0.22 * size), 1.0)

    slope = 1.2 * u**2 - 0.55 * by_name["brow_angle"] * u  # inner ends down: angry
    brow = np.maximum(np.abs(v + 0.31 - slope) - 0.032, np.abs(u) - 0.135)
    _paint(image, brow, 0.20)

    rim = np.abs(_ellipse(u, v, 0.205, 0.205)) - 0.022
    bridge = np.maximum(np.abs(v + 0.02) - 0.022, u + 0.205)
    temple = np.maximum(np.abs(v + 0.02) - 0.022, np.maximum(0.205 - u, side - w))
    _paint(image, np.minimum(np.minimum(rim, bridge), temple), 0.10, by_name["glasses"])


def _mouth(image, x, y, curve) -> None:
    _paint(image, _ellipse(x, y - 0.28, 0.06, 0.032), 0.72)  # nose
    half, bend = 0.22, 0.13 * curve
    lip = y - 0.47 + bend * ((x / half) ** 2 - 0.5)
    lip = np.abs(lip) / np.sqrt(1 + (2 * bend * x / half**2) ** 2) - 0.032
    _paint(image, np.maximum(lip, np.abs(x) - half), 0.22)


def _hair_behind(x, y, w, length, shape) -> Array:
    crown = _ellipse(x, y + 0.06, w + 0.12, 0.78)
    end = 0.42 + 0.42 * length  # where the hair ends
    strands = _box(x, y - end / 2, w + 0.12, end / 2 + 0.06)
    straight = np.minimum(np.maximum(crown, y - end), strands)
    angle = np.arctan2(x, -(y - 0.05))  # 0 at the top of the head
    curly = straight - 0.12 * np.abs(np.cos(5.5 * angle))
    wave = 2 * np.abs((angle * 8 / np.pi) % 1 - 0.5)  # a zigzag in [0, 1]
    spiky = straight + 0.04 - 0.20 * wave * np.clip(-2 * y, 0, 1)
    return np.where(shape == 0, straight, np.where(shape == 1, curly, spiky))


def _fringe(x, y, w, shape) -> Array:
    cap = _ellipse(x, y + 0.05, w + 0.06, 0.75)
    away = x / w
    straight = y + 0.61 - 0.34 * np.sqrt(np.abs(away + 0.35))  # parted at one side
    curly = y + 0.41 - 0.10 * np.abs(np.cos(8 * x)) - 0.25 * away**4
    spiky = y + 0.43 - 0.24 * np.abs((x * 4.5) % 1 - 0.5) - 0.15 * away**4
    edge = np.where(shape == 0, straight, np.where(shape == 1, curly, spiky))
    return np.maximum(cap, edge)


def _ellipse(x, y, a, b) -> Array:
    """Distance to an ellipse with half axes a, b, to first order (negative inside)."""
    k = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    return k * (k - 1) / np.maximum(np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2), 1e-9)


def _box(x, y, a, b, round_=0.08) -> Array:
    """Distance to a box with half sides a, b and rounded corners (negative inside)."""
    round_ = np.minimum(round_, np.minimum(a, b))
    dx, dy = np.abs(x) - a + round_, np.abs(y) - b + round_
    outside = np.sqrt(np.maximum(dx, 0) ** 2 + np.maximum(dy, 0) ** 2)
    return outside + np.minimum(np.maximum(dx, dy), 0) - round_


def _cover(distance: Array) -> Array:
    """Return the share of each pixel that lies inside an outline."""
    return np.clip(0.5 - distance / PIXEL, 0, 1)


def _paint(image: Array, distance: Array, grey, opacity=1.0) -> None:
    cover = opacity * _cover(distance)
    image += cover * (grey - image)
