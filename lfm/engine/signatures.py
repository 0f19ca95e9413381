"""What functions want of their arguments, said where it is read: in their signatures.

    @checked
    def mlp(sizes: Counts, *, rng: Rng): ...

An argument is checked, and made what it is to be, before the function sees it. `values.frozen` does
so for all methods of a class. Wanted is one of the kinds below or a dataclass, as q and statistics
are; all other annotations are words for the reader. In a method letters stand for sizes, D for the
columns of x and K for the factors as the value itself has them, N for the rows of the x that came.
"""

import __future__

import functools
import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np

from lfm.engine import validate

Sizes = dict[str, int]
Check = Callable[[Any, str, Sizes], Any]


# ------------------------------------------------------------------ kinds of arguments


def _data(look: Callable) -> Check:
    def check(x, name: str, sizes: Sizes):
        x = look(x, name, sizes.get("D"))
        sizes["N"] = len(x)
        return x

    return check


def _distributions(a, name: str, _):
    n_axes = validate.numeric(a, name).ndim
    return validate.probabilities(a, name, (None,) * max(n_axes, 1))


Data = Annotated[Any, _data(validate.data)]  # (N, D), each value looked at: finite, not too large
Rows = Annotated[Any, _data(validate.matrix)]  # (N, D), whose values show in what is made of them
Column = Annotated[Any, _data(lambda x, name, _: validate.data(x, name, 1))]  # (N, 1)
Distributions = Annotated[Any, _distributions]  # (..., K), each sums to 1
LogTable = Annotated[Any, lambda a, name, _: validate.log_table(a, name)]  # (..., K)
Numbers = Annotated[Any, lambda a, name, _: validate.finite(validate.numeric(a, name), name)]
Doubles = Annotated[Any, lambda x, name, _: validate.double(x, name)]  # (N, D), float64
Rng = Annotated[Any, lambda a, name, _: validate.generator(a, name)]  # a generator, or a seed
Count = Annotated[int, lambda a, name, _: validate.count(a, name)]  # 1 or more
Whole = Annotated[int, lambda a, name, _: validate.count(a, name, 0)]  # 0 or more
Counts = Annotated[Any, lambda a, name, _: validate.counts(a, name)]
Amount = Annotated[float, lambda a, name, _: validate.scalar(a, name, 0.0)]  # 0 or more
Switch = Annotated[bool, lambda a, name, _: validate.switch(a, name)]


def fits(a, name: str, kinds: tuple[type, ...], sizes: Sizes) -> Any:
    """Return a value of one of these dataclasses, whose arrays have the sizes that are known.

    Raises `TypeError` for another kind, `ValueError` for other sizes.
    """
    validate.one_of(a, name, kinds)
    for field, shape in letters(type(a)).items():
        found = np.shape(getattr(a, field))
        known = tuple(map(sizes.get, shape, found))  # what is not known may be as it is
        if len(found) != len(shape) or found != known:
            wanted = ", ".join(str(sizes.get(letter, "any")) for letter in shape)
            raise ValueError(
                f"{name} has {field} of shape {found}; wanted ({wanted}), as the model and its "
                "data have"
            )
    return a


@functools.cache
def letters(kind: type) -> dict[str, tuple[str, ...]]:
    """Return the letters for the sizes of the arrays of a dataclass, field by field."""
    own = kind.__dataclass_fields__.items()
    return {name: f.metadata["shape"] for name, f in own if "shape" in f.metadata}


# ------------------------------------------------------------------ the door


def checked(function: Callable, *, sizes_of: Callable[[Any], Sizes] = lambda _: {}) -> Callable:
    """Return a function that checks its arguments, those that are passed, before it runs.

    `sizes_of` returns the sizes that are known of its first argument. Raises `TypeError` where the
    module of the function makes annotations words, which say nothing to check.
    """
    if function.__code__.co_flags & __future__.annotations.compiler_flag:
        raise TypeError(f"{function.__qualname__} has `from __future__ import annotations`")
    wants = [
        (at, name, check)
        for at, (name, p) in enumerate(inspect.signature(function).parameters.items())
        if (check := _check_of(p.annotation))
    ]
    if not wants:
        return function

    @functools.wraps(function)
    def door(*args, **options):
        args = list(args)
        sizes = sizes_of(args[0]) if args else {}
        for at, name, check in wants:
            if at < len(args):
                args[at] = check(args[at], name, sizes)
            elif name in options:
                options[name] = check(options[name], name, sizes)
        return function(*args, **options)

    return door


def _check_of(annotation) -> Check | None:
    """Return the check that an annotation stands for, or None where it is words alone."""
    union = get_origin(annotation) in (Union, types.UnionType)
    parts = get_args(annotation) if union else (annotation,)
    checks = [part.__metadata__[0] for part in parts if get_origin(part) is Annotated]
    kinds = tuple(part for part in parts if hasattr(part, "__dataclass_fields__"))
    if not (kinds or checks):
        return None

    def check(a, name: str, sizes: Sizes):
        if a is None and types.NoneType in parts:
            return None
        other = checks and not isinstance(a, kinds)
        return checks[0](a, name, sizes) if other else fits(a, name, kinds, sizes)

    return check
