"""How words show numbers: placeholders are filled in as `str.format` does, arrays as well."""

import string

import numpy as np


def filled(text: str, shown: dict) -> str:
    """Return a text with its placeholders filled in. Raises `KeyError` for an unknown one."""
    return _FORMATTER.vformat(_unbroken(text), (), shown)


def _unbroken(text: str) -> str:
    """Return a text with its paragraphs on one line each; tables stay as they are."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p if p.startswith("|") else " ".join(p.split()) for p in paragraphs)


def _list(values) -> str:
    return ", ".join(f"{v:g}" for v in np.ravel(values))


def _vector(values) -> str:
    return f"({_list(values)})"


def _matrix(rows) -> str:
    return "[" + "; ".join(_list(row) for row in rows) + "]"


def _many(values) -> str:
    return ", ".join(f"{v:.4f}" for v in np.ravel(values))


def _row(values) -> str:
    return " | ".join(map(str, values))


ARRAYS = {"list": _list, "vector": _vector, "matrix": _matrix, "many": _many, "row": _row}


class _Formatter(string.Formatter):
    def format_field(self, value, format_spec: str) -> str:
        if format_spec in ARRAYS:
            return ARRAYS[format_spec](value)
        return super().format_field(value, format_spec)


_FORMATTER = _Formatter()
