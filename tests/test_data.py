"""The data: bundled files are what they say, generated sets true to what they say of themselves.

The only network here is a server on 127.0.0.1.
"""

import gzip
import hashlib
import re
from dataclasses import FrozenInstanceError

import mirror
import numpy as np
import pytest
from damage import TIMES, damaged, idx, refused

from lfm import data
from lfm.faces import CONTINUOUS, FACTORS

README = (data.BUNDLED / "README.md").read_text(encoding="utf-8")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------ bundled sets


def readme_sha256(label: str) -> str:
    return re.search(rf"\| {re.escape(label)} \| ([0-9a-f]{{64}}) \|", README).group(1)


@pytest.mark.parametrize("name", list(data.SHA256))
def test_bundled_files_code_and_readme_agree(name):
    found = sha256((data.BUNDLED / name).read_bytes())
    assert found == data.SHA256[name] == readme_sha256(f"`{name}`")


def test_no_file_is_bundled_without_being_described():
    files = {path.name for path in data.BUNDLED.iterdir()} - {"README.md"}
    assert files == set(data.SHA256)


@pytest.mark.parametrize("file", [*data.FULL_SHA256["mnist"]])
def test_the_readme_names_the_checksums_of_the_full_sets(file):
    mnist, fashion = (data.FULL_SHA256[name][file] for name in ("mnist", "fashion-mnist"))
    row = f"| `{file}-ubyte.gz` | {mnist} | {fashion} |"
    assert row in README


ARRAYS = {
    "`faithful.csv` (float64)": lambda: data.old_faithful(),
    "`digits8x8.npz` images": lambda: data.digits().images,
    "`digits8x8.npz` labels": lambda: data.digits().labels,
    "`mnist5k.npz` images": lambda: data.mnist().images,
    "`mnist5k.npz` labels": lambda: data.mnist().labels,
    "`fashion5k.npz` train_images": lambda: data.fashion().images,
    "`fashion5k.npz` train_labels": lambda: data.fashion().labels,
    "`fashion5k.npz` test_images": lambda: data.fashion(train=False).images,
    "`fashion5k.npz` test_labels": lambda: data.fashion(train=False).labels,
}


@pytest.mark.parametrize("label", list(ARRAYS))
def test_bundled_arrays_are_those_of_the_readme_and_fresh(label):
    array = ARRAYS[label]()
    assert sha256(np.ascontiguousarray(array).tobytes()) == readme_sha256(label)
    array[:] = 0
    assert sha256(np.ascontiguousarray(ARRAYS[label]()).tobytes()) == readme_sha256(label)


def test_old_faithful_is_the_geyser():
    x = data.old_faithful()
    assert x.shape == (272, 2)
    assert x.dtype == np.float64
    np.testing.assert_array_equal(x[0], [3.6, 79])
    np.testing.assert_allclose(x.mean(axis=0), [3.487783, 70.897059], atol=1e-6)


@pytest.mark.parametrize(
    ("images", "shape", "each"),
    [
        (data.digits, (1797, 8, 8), None),
        (data.mnist, (5000, 28, 28), 500),
        (data.fashion, (5000, 28, 28), 500),
        (lambda: data.fashion(train=False), (1000, 28, 28), 100),
    ],
)
def test_images_have_one_shape_and_one_scale(images, shape, each):
    images = images()
    assert images.images.shape == shape
    assert images.images.dtype == images.labels.dtype == np.uint8
    counts = np.bincount(images.labels)
    assert len(counts) == 10
    assert counts.sum() == shape[0]
    assert each is None or (counts == each).all()
    x = images.x
    assert x.shape == (shape[0], shape[1] * shape[2])
    assert x.dtype == np.float64
    assert (x.min(), x.max()) == (0, 1)
    np.testing.assert_array_equal(x[7].reshape(shape[1:]) * images.white, images.images[7])
    with pytest.raises(FrozenInstanceError):
        images.labels = None


def test_a_missing_checkout_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "BUNDLED", tmp_path)
    for read in (data.old_faithful, data.digits, data.mnist, data.fashion):
        with pytest.raises(FileNotFoundError, match="beside lfm/ in the folder of the course"):
            read()


def test_the_bundled_mnist_has_no_test_images():
    with pytest.raises(ValueError, match=r"train=False .* full=True"):
        data.mnist(train=False)


# ------------------------------------------------------------------ full sets


@pytest.fixture
def server():
    with mirror.serving() as server:
        yield server


@pytest.mark.parametrize(("name", "read"), [("mnist", data.mnist), ("fashion-mnist", data.fashion)])
def test_full_sets_come_from_a_mirror_once(tmp_path, server, monkeypatch, name, read):
    sets = {}
    for part, n in (("train", 5), ("t10k", 2)):
        sets[f"{part}-images-idx3"] = np.arange(n * 6).reshape(n, 2, 3) + n
        sets[f"{part}-labels-idx1"] = np.arange(n) + n
    server.files = {f"{k}-ubyte.gz": gzip.compress(idx(v)) for k, v in sets.items()}
    checksums = {k: sha256(server.files[f"{k}-ubyte.gz"]) for k in sets}
    monkeypatch.setitem(data.FULL_SHA256, name, checksums)
    monkeypatch.setitem(data.MIRRORS, name, ("http://127.0.0.1:1/", server.url))
    monkeypatch.setenv("LFM_CACHE", str(tmp_path))
    for train, part in ((True, "train"), (False, "t10k"), (True, "train")):
        images = read(full=True, train=train)
        np.testing.assert_array_equal(images.images, sets[f"{part}-images-idx3"])
        np.testing.assert_array_equal(images.labels, sets[f"{part}-labels-idx1"])
        images.images[:] = 0  # writable, and not what the next call returns
    assert set(server.asked.values()) == {1}
    assert {p.name for p in (tmp_path / name).iterdir()} == set(server.files)


def test_mirrors_are_folders_and_every_set_has_two():
    for name, mirrors in data.MIRRORS.items():
        assert len(mirrors) >= 2
        assert all(re.fullmatch(r"https?://.*/", mirror) for mirror in mirrors)
        assert len(set(data.FULL_SHA256[name].values())) == 4


# ------------------------------------------------------------------ faces

NEUTRAL = dict.fromkeys(FACTORS, 0)


def test_the_same_seed_draws_the_same_faces():
    one, two = data.faces(40, rng=5), data.faces(40, rng=np.random.default_rng(5))
    assert one.images.tobytes() == two.images.tobytes()
    assert one.factors.tobytes() == two.factors.tobytes()
    assert not np.array_equal(one.images, data.faces(40, rng=6).images)


def test_a_face_is_a_function_of_its_factors_alone():
    many = data.faces(70, rng=0)  # more than are drawn at once
    for i in (0, 31, 32, 69):
        alone = data.faces(1, rng=1, **dict(zip(FACTORS, many.factors[i], strict=True)))
        np.testing.assert_array_equal(alone.images[0], many.images[i])


def test_faces_have_the_shapes_that_they_say():
    faces = data.faces(7, rng=0)
    assert faces.images.shape == (7, 32, 32)
    assert faces.images.dtype == np.uint8
    assert faces.factors.shape == (7, 9)
    assert faces.factors.dtype == np.float64
    assert faces.names == FACTORS
    np.testing.assert_array_equal(faces.x, faces.images.reshape(7, 1024) / 255)
    np.testing.assert_array_equal(faces.column("glasses"), faces.factors[:, 7])
    with pytest.raises(ValueError, match="name is 'nose'; wanted one of face_width"):
        faces.column("nose")


def test_faces_use_the_range_of_grey():
    images = data.faces(500, rng=0).images
    assert images.min() < 30
    assert images.max() > 240
    assert images.std(axis=0).max() > 60  # pixels that vary much
    assert (images.std(axis=0) > 5).mean() > 0.4


# Where a factor may change the image (rows, columns); elsewhere it must not
WHERE = {
    "face_width": (slice(0, 29), slice(1, 31)),
    "hair_length": (slice(14, 32), slice(2, 30)),
    "hair_tone": (slice(0, 27), slice(2, 30)),
    "eye_size": (slice(12, 21), slice(8, 24)),
    "eye_spacing": (slice(11, 21), slice(7, 25)),
    "brow_angle": (slice(10, 16), slice(8, 24)),
    "mouth_curve": (slice(20, 27), slice(11, 21)),
    "glasses": (slice(12, 23), slice(6, 26)),
    "hair_shape": (slice(0, 27), slice(2, 30)),
}


@pytest.mark.parametrize("shape", [0, 1, 2])
@pytest.mark.parametrize("name", FACTORS)
def test_each_factor_is_seen_in_its_own_place(name, shape):
    low, high = {"glasses": (0, 1), "hair_shape": (shape, (shape + 1) % 3)}.get(name, (-1, 1))
    fixed = NEUTRAL | {"hair_shape": shape} | {name: [low, high]}
    a, b = data.faces(2, rng=0, **fixed).images.astype(int)
    change = np.abs(a - b)
    assert (change > 40).sum() >= 12  # pixels that change by what an eye sees
    change[WHERE[name]] = 0
    assert change.max() == 0


@pytest.mark.parametrize("name", list(CONTINUOUS))
def test_a_small_step_changes_a_face_a_little(name):
    steps = np.linspace(-1, 1, 41)
    images = data.faces(41, rng=0, **(NEUTRAL | {name: steps})).images.astype(float)
    change = np.abs(np.diff(images, axis=0)).mean(axis=(1, 2))
    assert change.min() > 0  # no dead range
    assert change.max() < 4  # of 255, so no jump


def test_factors_are_independent_and_distributed_as_stated():
    n = 4000
    factors = data.faces(n, rng=0).factors
    continuous, glasses, shape = factors[:, :7], factors[:, 7], factors[:, 8]
    assert np.abs(continuous).max() <= 1
    assert (np.abs(continuous).max(axis=0) > 0.99).all()
    assert (np.abs(continuous.mean(axis=0)) < 4.5 / np.sqrt(3 * n)).all()
    # The variance of u² for uniform u is 4/45
    assert (np.abs((continuous**2).mean(axis=0) - 1 / 3) < 4.5 * np.sqrt(4 / 45 / n)).all()
    assert set(glasses) == {0, 1}
    assert abs(glasses.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(n)
    assert set(shape) == {0, 1, 2}
    counts = np.bincount(shape.astype(int))
    assert (np.abs(counts / n - 1 / 3) < 4.5 * np.sqrt(2 / 9 / n)).all()
    correlation = np.corrcoef(factors.T) - np.eye(9)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(n)


def test_fixed_factors_hold_and_leave_the_others_alone():
    free = data.faces(5, rng=3)
    curve = np.linspace(-1, 1, 5)
    fixed = data.faces(5, rng=3, glasses=True, mouth_curve=curve, hair_shape=np.int8(2))
    np.testing.assert_array_equal(fixed.column("mouth_curve"), curve)
    np.testing.assert_array_equal(fixed.column("glasses"), 1)
    np.testing.assert_array_equal(fixed.column("hair_shape"), 2)
    np.testing.assert_array_equal(fixed.factors[:, :6], free.factors[:, :6])


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"nose": 0}, "nose is no factor of a face; wanted one of face_width"),
        ({"mouth_curve": 1.01}, "mouth_curve is 1.01; wanted between -1 and 1"),
        ({"mouth_curve": [0, 0, -2]}, "mouth_curve is -2; wanted between -1 and 1"),
        ({"eye_size": np.nan}, "eye_size has 1 values that are not finite"),
        ({"eye_size": [0, np.inf, 0]}, "eye_size has 1 values that are not finite"),
        ({"glasses": 0.5}, "glasses is 0.5; wanted one of"),
        ({"glasses": 2}, "glasses is 2; wanted one of"),
        ({"hair_shape": 3}, "hair_shape is 3; wanted one of"),
        ({"hair_tone": [0, 0]}, r"hair_tone has shape \(2,\); wanted one number or 3"),
        ({"hair_tone": [[0, 0, 0]]}, r"hair_tone has shape \(1, 3\)"),
    ],
)
def test_a_factor_that_cannot_be_is_refused(fixed, message):
    with pytest.raises(ValueError, match=message):
        data.faces(3, rng=0, **fixed)


def test_a_factor_is_a_number():
    for wrong in ("wide", None):
        with pytest.raises(TypeError, match="face_width"):
            data.faces(3, rng=0, face_width=wrong)


# ------------------------------------------------------------------ bars and toys


def test_bars_have_the_mean_and_covariance_of_their_model():
    n, size, prob, noise = 20000, 3, 0.3, 0.2
    bars = data.bars(n, rng=0, size=size, prob=prob, noise=noise)
    w = bars.loadings
    assert bars.x.shape == (n, 9)
    assert bars.z.shape == (n, 6)
    assert w.shape == (9, 6)
    np.testing.assert_array_equal(w[:, 0].reshape(3, 3), [[1, 1, 1], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(w[:, 5].reshape(3, 3), [[0, 0, 1], [0, 0, 1], [0, 0, 1]])
    assert set(bars.z.ravel()) == {0, 1}
    mean, cov = w.sum(axis=1) * prob, w @ w.T * prob * (1 - prob) + noise**2 * np.eye(9)
    assert_moments(bars.x, mean, cov)
    assert_moments(bars.z, np.full(6, prob), prob * (1 - prob) * np.eye(6))
    assert_moments(bars.x - bars.z @ w.T, np.zeros(9), noise**2 * np.eye(9))


def test_bars_are_on_once_an_orientation_unless_told_otherwise():
    bars = data.bars(5000, rng=0)
    assert bars.x.shape == (5000, 16)
    assert abs(bars.z.mean() - 1 / 4) < 4.5 * np.sqrt(3 / 16 / bars.z.size)
    clean = data.bars(50, rng=0, prob=1, noise=0)
    np.testing.assert_array_equal(clean.x, 2)  # every pixel lies on two bars
    np.testing.assert_array_equal(data.bars(50, rng=0, prob=0.0, noise=0.0).x, 0)


TOYS = [data.three_blobs, data.overlapping, data.thin_blobs]


@pytest.mark.parametrize("toy", TOYS)
def test_toys_are_drawn_from_the_mixture_that_they_state(toy):
    n = 20000
    toy = toy(n, rng=0)
    k = len(toy.weights)
    assert toy.x.shape == (n, 2)
    assert toy.z.shape == (n,)
    assert toy.means.shape == (k, 2)
    assert toy.covs.shape == (k, 2, 2)
    assert toy.weights.sum() == pytest.approx(1, abs=1e-15)
    shares = np.bincount(toy.z, minlength=k) / n
    assert (np.abs(shares - toy.weights) < 4.5 * np.sqrt(toy.weights / n)).all()
    for j in range(k):
        assert_moments(toy.x[toy.z == j], toy.means[j], toy.covs[j])


def test_the_toys_show_what_they_are_for():
    blobs = data.three_blobs(2000, rng=0)
    distance = np.linalg.norm(blobs.x[:, None] - blobs.means, axis=2)
    assert (distance.argmin(axis=1) == blobs.z).mean() > 0.95  # well separated
    cross = data.overlapping(2000, rng=0)
    np.testing.assert_array_equal(cross.means[0], cross.means[1])  # no centre tells them apart
    for cov in data.thin_blobs(10, rng=0).covs:
        assert np.linalg.cond(cov) == pytest.approx(1e6)


def assert_moments(x, mean, cov):
    """Sample mean and covariance agree with the truth within 5 standard errors of this sample."""
    n, centred = len(x), x - mean
    products = centred[:, :, None] * centred[:, None, :]
    for sample, truth in ((centred, 0), (products, cov)):
        error = np.abs(sample.mean(axis=0) - truth)
        assert (error <= 5 * sample.std(axis=0) / np.sqrt(n) + 1e-15).all()


GENERATED = [data.faces, data.bars, *TOYS]


@pytest.mark.parametrize("generate", GENERATED)
def test_generated_sets_are_the_same_for_the_same_seed(generate):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two, other = generate(9, rng=4), generate(9, rng=4), generate(9, rng=5)
    np.testing.assert_array_equal(one.x, two.x)
    assert not np.array_equal(one.x, other.x)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    rng = np.random.default_rng(4)
    np.testing.assert_array_equal(generate(9, rng=rng).x, one.x)
    assert not np.array_equal(generate(9, rng=rng).x, one.x)  # the generator has moved on


@pytest.mark.parametrize("generate", GENERATED)
@pytest.mark.parametrize(
    ("n", "rng", "kind", "message"),
    [
        (0, 0, ValueError, "n is 0; wanted at least 1"),
        (-3, 0, ValueError, "n is -3"),
        (True, 0, TypeError, "n is True"),
        (2.0, 0, TypeError, "n is 2.0"),
        (None, 0, TypeError, "n is None"),
        (2, None, TypeError, "rng is None"),
        (2, True, TypeError, "rng is True"),
        (2, "seed", TypeError, "rng is 'seed'"),
        (2, -1, ValueError, "rng is -1"),
    ],
)
def test_generated_sets_refuse_bad_counts_and_seeds(generate, n, rng, kind, message):
    with pytest.raises(kind, match=message):
        generate(n, rng=rng)


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"size": 0}, ValueError, "size is 0"),
        ({"size": True}, TypeError, "size is True"),
        ({"size": 2.5}, TypeError, "size is 2.5"),
        ({"prob": -0.1}, ValueError, "prob is -0.1"),
        ({"prob": 1.1}, ValueError, "prob is 1.1; wanted a number between 0 and 1"),
        ({"prob": np.nan}, ValueError, "prob is nan"),
        ({"prob": "often"}, TypeError, "prob is 'often'"),
        ({"noise": -1}, ValueError, "noise is -1"),
        ({"noise": np.inf}, ValueError, "noise is inf"),
        ({"noise": None}, TypeError, "noise is None"),
    ],
)
def test_bars_refuse_what_cannot_be(wrong, kind, message):
    with pytest.raises(kind, match=message):
        data.bars(3, rng=0, **wrong)


# ------------------------------------------------------------------ damaged and hostile files


def test_bundled_files_that_were_altered_are_refused(tmp_path, monkeypatch):
    readers = {"faithful.csv": data.old_faithful, "digits8x8.npz": data.digits,
               "mnist5k.npz": data.mnist, "fashion5k.npz": data.fashion}  # fmt: skip
    originals = {name: (data.BUNDLED / name).read_bytes() for name in readers}
    monkeypatch.setattr(data, "BUNDLED", tmp_path)
    for i, (name, read) in enumerate(readers.items()):
        for bad in damaged(originals[name], i, 21 * TIMES):
            refused(lambda _, read=read: read(), tmp_path / name, bad)


def test_a_file_of_the_cache_that_was_altered_is_fetched_again_or_refused(tmp_path, monkeypatch):
    good = gzip.compress(idx(np.zeros((2, 3, 3))), mtime=0)
    labels = gzip.compress(idx(np.zeros(2)), mtime=0)
    both = {"train-images-idx3": good, "train-labels-idx1": labels}
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in both.items()}
    monkeypatch.setitem(data.FULL_SHA256, "mnist", wanted)
    monkeypatch.setitem(data.MIRRORS, "mnist", ("nowhere://",))
    monkeypatch.setenv("LFM_CACHE", str(tmp_path))
    path, other = (tmp_path / "mnist" / f"{name}-ubyte.gz" for name in both)
    path.parent.mkdir()
    other.write_bytes(labels)
    for bad in damaged(good, 4, 70 * TIMES):
        refused(lambda _: data.mnist(full=True), path, bad, errors=OSError)
        assert path.read_bytes() == bad  # it stays as it was
    path.write_bytes(good)
    assert data.mnist(full=True).images.shape == (2, 3, 3)
