"""What makes a model or a q a frozen value, also for whoever copies, pickles or changes around it.

A copy of a frozen value is the value itself. What is unpickled is made anew from its fields, so
that it is checked, its arrays refuse writing, and nothing computed before comes along. A q that is
a formula about data notices where the data have been changed since.
"""

import zlib
from dataclasses import fields

import numpy as np

# A mark is taken of so many rows, spread evenly: of all of them in data of this size or less.
MARKED_ROWS = 2000


class Value:
    """Copying and pickling of a frozen dataclass."""

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return _made, (type(self), {f.name: getattr(self, f.name) for f in fields(self) if f.init})


def _made(kind: type, values: dict):
    return kind(**values)


class Followed:
    """Data that a q refers to and does not copy: it can be asked for as long as it is unchanged.

    Of more than 2,000 rows that many are compared.
    """

    def __init__(self, x: np.ndarray):
        self._x, self._mark = x, _mark(x)

    def array(self) -> np.ndarray:
        """Return the data. Raises `ValueError` where they are not what they were."""
        if _mark(self._x) != self._mark:
            raise ValueError(
                "x was changed in place after this q was inferred from it; infer again, or look at "
                "q.probs before x is changed"
            )
        return self._x

    def reduced(self, q, theta, looked_at: str) -> tuple:
        """Return what pickle makes q of again: θ, the data, and what was computed, if it was.

        Raises as `array` does where nothing was.
        """
        known = {name: value for name, value in vars(q).items() if name == looked_at}
        return _looked_at, (type(q), theta, self._x if known else self.array(), known)

    def is_about(self, x: np.ndarray) -> bool:
        """Tell whether this is about the very same array. Raises as `array` does."""
        return self._x is x and self.array() is x


def _looked_at(kind: type, theta, x: np.ndarray, known: dict):
    q = kind(theta, x)
    for value in known.values():
        for array in value if isinstance(value, tuple) else (value,):
            array.flags.writeable = False
    vars(q).update(known)
    return q


def _mark(x: np.ndarray) -> int:
    some = x[:: -(-len(x) // MARKED_ROWS)]
    return zlib.crc32(np.ascontiguousarray(some))
