"""Files of tensors and numbers under a seal: a checksum over every byte, and no code can run.

A file is the line `MAGIC`, the sha256 of the rest in hexadecimal digits, a line's end, and what
`torch.save` makes of a dictionary.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lfm.engine import files, validate

MAGIC = b"lfm checkpoint 1\n"
# How long the seal is, in bytes: the line, 64 digits, a line's end.
HEAD = len(MAGIC) + 65


def write(path: Path, state: dict) -> None:
    """Write a state, whole or not at all. Raises `OSError` where it cannot be written."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    files.write(path, sealed(buffer.getvalue()))


def sealed(body: bytes) -> bytes:
    """Return bytes under their seal."""
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def read(path: Path) -> dict:
    """Return what `write` wrote, its bytes verified first. Raises `ValueError` for any others."""
    path = validate.file_to_read(path, "path", "a file that lfm.training wrote")
    content = path.read_bytes()
    if not content.startswith(MAGIC) or len(content) <= HEAD:
        raise ValueError(f"{path} is no checkpoint of lfm, or was cut to {len(content)} bytes")
    body = content[HEAD:]
    if content != sealed(body):
        raise ValueError(
            f"{path} was altered or cut: the checksum of its {len(content)} bytes is another; use "
            "an earlier copy, or remove it and train again"
        )
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything, of its own kinds and of pickle's
        raise ValueError(
            f"{path} holds more than weights and numbers, and was not loaded: {error}"
        ) from None
    with understood(path):
        return validate.kind(state, "what it holds", dict)


def saved_before(path: Path | None) -> dict | None:
    """Return what a run before this one has saved, if any, and remove what it left half-written."""
    if path is None:
        return None
    validate.file_to_write(path, "checkpoint")
    files.remove_debris(path)
    return read(path) if path.exists() else None


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Say of which file it is that what is in it makes no sense."""
    try:
        yield
    except Exception as error:  # of any kind: bytes with a right checksum may still say anything
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} does not hold what lfm writes: {error!r}") from error
