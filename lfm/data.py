"""Data sets: bundled with the course, generated with their truth, or downloaded when asked.

And `Shards`: data of any size, in a folder of files.

Nothing here needs a network but `mnist(full=True)`, `fashion(full=True)` and `fetch`. Where files
come from, and under which licence, stands in data/README.md.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lfm.engine import files, validate
from lfm.engine.files import cache_folder, fetch, load
from lfm.faces import Faces, faces

# Data of any size: behind a door that opens only for those who ask.
_SHARDS = ("Shards", "write_shards")

__all__ = [
    "Bars",
    "Faces",
    "Images",
    "ToyMixture",
    "bars",
    "cache_folder",
    "digits",
    "faces",
    "fashion",
    "fetch",
    "load",
    "mnist",
    "old_faithful",
    "overlapping",
    "thin_blobs",
    "three_blobs",
    *_SHARDS,
]

Array = np.ndarray


def _bundled_folder() -> Path:
    """Return where the data lie: inside an installed package, or beside it in the course."""
    package = Path(__file__).parent
    installed = package / "bundled"  # see pyproject.toml
    return installed if installed.is_dir() else package.parent / "data"


BUNDLED = _bundled_folder()


def __getattr__(name: str):
    """Import `Shards` and `write_shards` when they are first asked for."""
    if name in _SHARDS:
        from lfm.scale import shards

        return getattr(shards, name)
    raise AttributeError(f"lfm.data has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@dataclass(frozen=True, eq=False)
class Images:
    """Grey images with the label of each."""

    images: Array  # (N, H, W) uint8, from 0 to `white`
    labels: Array  # (N,) uint8, 0 to 9
    white: int = 255

    @property
    def x(self) -> Array:
        """The images as data, (N, H W) float64 in [0, 1]."""
        return self.images.reshape(len(self.images), -1) / self.white


@dataclass(frozen=True, eq=False)
class ToyMixture:
    """Draws from a known Gaussian mixture in the plane, and its truth."""

    x: Array  # (N, 2)
    z: Array  # (N,) the component of each
    weights: Array  # π (K,)
    means: Array  # μ (K, 2)
    covs: Array  # Σ (K, 2, 2)


@dataclass(frozen=True, eq=False)
class Bars:
    """Images that are sums of bars, and which bars each shows."""

    x: Array  # (N, size²) float64
    z: Array  # (N, 2 size) in {0, 1}: horizontal bars first
    loadings: Array  # W (size², 2 size): one bar a column


# ------------------------------------------------------------------ bundled data

SHA256 = {
    "faithful.csv": "a78cc186d2d1c2460cb5ab212c22ebfbc525ec919daa006452961802d2867037",
    "digits8x8.npz": "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e",
    "mnist5k.npz": "246e0c30eeea57c8d0037d3f38c8e00651ec204cc61b8022563e9aeeb9d756f4",
    "fashion5k.npz": "1064eff4cef408fe773c6040772d7cb7c114c2d2b60accb705d268cbecb8d44e",
}


def old_faithful() -> Array:
    """Return 272 eruptions: how long each was and the wait for the next, minutes, (272, 2).

    Source: Azzalini and Bowman 1990, Applied Statistics 39, 357-365.
    """
    return _bundled("faithful.csv")


def digits() -> Images:
    """Return 1,797 handwritten digits of 8×8 pixels, grey values 0 (paper) to 16 (ink).

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI), test part.
    """
    name = "digits8x8.npz"
    return Images(_bundled(name, "images"), _bundled(name, "labels"), white=16)


def mnist(full: bool = False, train: bool = True) -> Images:
    """Return handwritten digits of 28×28 pixels: the bundled 5,000, 500 of each.

    With `full` the 60,000 for training or the 10,000 for testing, downloaded once and kept in
    `cache_folder()`. Raises `OSError` where no mirror can be reached.
    Source: LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86, 2278-2324.
    """
    full, train = validate.switch(full, "full"), validate.switch(train, "train")
    if full:
        return _full("mnist", train)
    if not train:
        raise ValueError("train=False asks for test images, which only full=True has: it downloads")
    return Images(_bundled("mnist5k.npz", "images"), _bundled("mnist5k.npz", "labels"))


def fashion(full: bool = False, train: bool = True) -> Images:
    """Return pictures of clothing, 28×28: the bundled 5,000, or 1,000 for testing.

    With `full` the 60,000 and 10,000, as in `mnist`; it raises the same.
    Source: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.
    """
    full, train = validate.switch(full, "full"), validate.switch(train, "train")
    if full:
        return _full("fashion-mnist", train)
    part = "train" if train else "test"
    return Images(*(_bundled("fashion5k.npz", f"{part}_{what}") for what in ("images", "labels")))


def _bundled(name: str, key: str | None = None) -> Array:
    path = BUNDLED / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: the data lie beside lfm/ in the folder of the course, and are "
            "part of the package that pip installs from there; install lfm again"
        )
    return load(path, SHA256[name], key=key)


MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
}

# sha256 of each file NAME-ubyte.gz, as every mirror has it
FULL_SHA256 = {
    "mnist": {
        "train-images-idx3": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}


def _full(name: str, train: bool) -> Images:
    part = "train" if train else "t10k"
    return Images(_idx(name, f"{part}-images-idx3"), _idx(name, f"{part}-labels-idx1"))


def _idx(name: str, file: str) -> Array:
    sha256, file_name = FULL_SHA256[name][file], f"{file}-ubyte.gz"
    mirrors = [mirror + file_name for mirror in MIRRORS[name]]
    path = fetch(mirrors, cache_folder() / name / file_name, sha256)
    return files.parse_idx(gzip.decompress(files.read(path, sha256)), file_name)


# ------------------------------------------------------------------ generated data


def bars(n: int, *, rng, size: int = 4, prob: float | None = None, noise: float = 0.1) -> Bars:
    """Return n images of size × size: each bar is on with probability `prob`, and bars add up.

    `prob` is 1/size where not given. `noise` is the standard deviation of the Gaussian noise.
    Source: Földiák 1990, Biological Cybernetics 64, 165-170.
    """
    n, size, rng = validate.count(n, "n"), validate.count(size, "size"), validate.generator(rng)
    prob = 1 / size if prob is None else validate.scalar(prob, "prob", 0.0)
    if prob > 1:
        raise ValueError(f"prob is {prob}; wanted a number between 0 and 1")
    noise = validate.scalar(noise, "noise", 0.0)
    rows, columns = np.kron(np.eye(size), np.ones(size)), np.kron(np.ones(size), np.eye(size))
    loadings = np.vstack([rows, columns]).T  # W (size², 2 size)
    z = (rng.random((n, 2 * size)) < prob).astype(float)
    x = z @ loadings.T + noise * rng.standard_normal((n, size**2))
    return Bars(x, z, loadings)


def three_blobs(n: int, *, rng) -> ToyMixture:
    """Return n points of three round, well separated components of different size."""
    covs = [0.4 * np.eye(2), 0.2 * np.eye(2), 0.8 * np.eye(2)]
    return _toy(n, rng, [0.5, 0.3, 0.2], [[0, 0], [4, 0], [2, 4]], covs)


def overlapping(n: int, *, rng) -> ToyMixture:
    """Return n points of two components that cross each other: same mean, opposite slant."""
    covs = [[[2.0, 1.6], [1.6, 2.0]], [[2.0, -1.6], [-1.6, 2.0]]]
    return _toy(n, rng, [0.6, 0.4], [[0, 0], [0, 0]], covs)


def thin_blobs(n: int, *, rng) -> ToyMixture:
    """Return n points of two parallel needles, 1,000 times as long as wide."""
    covs = [[[1.0, 0.0], [0.0, 1e-6]]] * 2
    return _toy(n, rng, [0.5, 0.5], [[0, 0], [0, 0.01]], covs)


def _toy(n: int, rng, weights, means, covs) -> ToyMixture:
    n, rng = validate.count(n, "n"), validate.generator(rng)
    weights, means, covs = (np.array(a, dtype=float) for a in (weights, means, covs))
    z = rng.choice(len(weights), size=n, p=weights)
    factors = np.linalg.cholesky(covs)
    x = means[z] + np.einsum("nij,nj->ni", factors[z], rng.standard_normal((n, 2)))
    return ToyMixture(x, z, weights, means, covs)
