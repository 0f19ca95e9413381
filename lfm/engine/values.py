"""Frozen values: what a model, a q or a prior is made of, checked once and then read-only.

    @frozen
    class FactorAnalysis:
        loadings: Array = array("D", "K")
        noise: Array = positive("D")

A field says what it wants. Letters stand for sizes: the first field that has one fixes it. An
array is copied and refuses writing. A copy of a frozen value is the value itself, and what is
unpickled is made anew from its fields, so that it is checked too. Methods say what they want of
their arguments in their signatures, see `signatures`.
"""

import zlib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from types import FunctionType
from typing import Any, dataclass_transform

import numpy as np

from lfm.engine import constants, signatures, validate
from lfm.engine.signatures import Sizes

Array = np.ndarray


# ------------------------------------------------------------------ what a field wants


def _wants(check: signatures.Check, default: Any = MISSING, **more):
    return field(default=default, metadata={"check": check} | more)


def _shaped(check: Callable, shape: tuple[str, ...]) -> Any:
    """Return a field for an array whose shape is given in letters, known so far or not."""

    def checked(value, name: str, sizes: Sizes) -> Array:
        array = check(value, name, tuple(sizes.get(letter) for letter in shape))
        sizes.update(zip(shape, array.shape, strict=True))
        return array

    return _wants(checked, shape=shape)


def array(*shape: str) -> Any:
    """Return a field of finite numbers, with a letter for each dimension."""
    return _shaped(validate.parameter, shape)


def positive(*shape: str, what: str = "variances") -> Any:
    """Return a field of numbers above 0."""

    def check(value, name, sizes):
        return validate.above(validate.parameter(value, name, sizes), name, 0.0, what)

    return _shaped(check, shape)


def probabilities(*shape: str) -> Any:
    """Return a field of probabilities that sum to 1 along the last dimension."""
    return _shaped(validate.probabilities, shape)


def switches(*shape: str) -> Any:
    """Return a field of probabilities, each by itself between 0 and 1."""
    return _shaped(validate.unit_interval, shape)


def covariances(*shape: str) -> Any:
    """Return a field of covariances, symmetric and positive definite."""

    def check(value, name, sizes):
        cov = validate.covariance(value, name, sizes)
        validate.parameter(cov, name, (*cov.shape[:-1], cov.shape[-2]))
        validate.cholesky(cov, name)
        return cov

    return _shaped(check, shape)


def number(low: float = -np.inf, default: Any = MISSING) -> Any:
    """Return a field of one number above `low`. With `default=None`, `_default` gives its value."""

    def check(value, name, sizes):
        return validate.scalar(value, name, low, strict=True)

    return _wants(check, default, filled=default is None)


def switch(default: bool) -> Any:
    """Return a field that is True or False."""
    return _wants(lambda value, name, _: validate.switch(value, name), default)


def instance(kind: type, *, optional: bool = False) -> Any:
    """Return a field that holds a value of a class, or None where it is optional."""

    def check(value, name, sizes):
        if optional and value is None:
            return None
        validate.one_of(value, name, (kind, type(None)) if optional else (kind,))
        for letter, size in getattr(value, "_sizes", {}).items():
            sizes.setdefault(letter, size)
        return value

    return _wants(check, None if optional else MISSING)


def sums(*shape: str) -> Any:
    """Return a field of statistics, an array with a letter for each dimension. It is not checked.

    Methods that take the statistics compare its sizes with their own.
    """
    return field(metadata={"shape": shape})


# ------------------------------------------------------------------ the decorator


OWN = ("__post_init__", "__reduce__", "__copy__", "__deepcopy__")


@dataclass_transform(
    frozen_default=True,
    eq_default=False,
    field_specifiers=(array, positive, probabilities, switches, covariances, number, switch),
)
def frozen(cls: type | None = None, *, eq: bool = False) -> Any:
    """Make a class a frozen dataclass: its fields are checked when a value is made.

    So are the arguments of its methods when they are called, as their signatures say. A class may
    have `_default(name)`, which returns the value of a field that was left None, and `_check()`,
    which raises where fields do not go together. With `eq`, values that agree in all fields are
    equal. Raises `TypeError` for a class with a `__post_init__`, or a way to copy or to pickle, of
    its own.
    """
    if cls is None:
        return lambda c: frozen(c, eq=eq)
    if mine := [name for name in OWN if name in vars(cls)]:
        raise TypeError(f"{cls.__name__} has its own {mine[0]}, which frozen makes; see _check")
    cls.__post_init__, cls.__reduce__ = _check_fields, _reduce
    cls.__copy__, cls.__deepcopy__ = _itself, _itself
    for name, method in list(vars(cls).items()):
        if isinstance(method, classmethod):
            setattr(cls, name, classmethod(signatures.checked(method.__func__)))
        elif isinstance(method, FunctionType):
            setattr(cls, name, signatures.checked(method, sizes_of=_sizes_of))
    return dataclass(frozen=True, eq=eq)(cls)


def _check_fields(self) -> None:
    sizes: Sizes = {}
    for f in fields(self):
        value = getattr(self, f.name)
        if value is None and f.metadata.get("filled"):
            value = self._default(f.name)
        if "check" in f.metadata:
            object.__setattr__(self, f.name, f.metadata["check"](value, f.name, sizes))
    object.__setattr__(self, "_sizes", sizes)
    if hasattr(self, "_check"):
        self._check()


def _sizes_of(self) -> Sizes:
    return dict(self._sizes)


def _itself(self, memo=None):
    return self


def _reduce(self):
    return _made, (type(self), {f.name: getattr(self, f.name) for f in fields(self) if f.init})


def _made(kind: type, values: dict):
    return kind(**values)


# ------------------------------------------------------------------ a q that is a formula


class Deferred:
    """What `model.infer(x)` returns, computed when it is asked for, and then kept.

    So a fit of a million data need not hold its q. Asking raises `ValueError` where x has been
    changed in place by then; of more than 2,000 rows a sample of at least half as many is compared.
    """

    def __init__(self, model, x: Array):
        self._model, self._x, self._mark, self._q = model, x, _mark(x), None

    def evaluate(self) -> Any:
        """Return q itself."""
        if self._q is None:
            if _mark(self._x) != self._mark:
                raise ValueError(
                    "x was changed in place after this q was inferred from it; infer again, or "
                    "look at q before x is changed"
                )
            self._q = self._model.infer(self._x)
            self._model = self._x = None  # neither is needed any more
        return self._q


class Late:
    """A field of a dataclass that may be given a `Deferred`, or a list of them.

    Who reads the field gets what they stand for: a q like any other.
    """

    def __set_name__(self, owner: type, name: str):
        self.name = name

    def __set__(self, value, given):
        vars(value)[self.name] = given

    def __get__(self, value, owner: type):
        if value is None:
            if "__dataclass_fields__" not in vars(owner):  # `dataclass` asks for a default
                raise AttributeError(f"{self.name} of {owner.__name__} has no default")
            return self
        given = vars(value)[self.name]
        return [_evaluated(q) for q in given] if isinstance(given, list) else _evaluated(given)


def _evaluated(q):
    return q.evaluate() if isinstance(q, Deferred) else q


def _mark(x: Array) -> int:
    some = x[:: -(-len(x) // constants.MARKED_ROWS)]
    return zlib.crc32(np.ascontiguousarray(some))
