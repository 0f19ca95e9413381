"""The command `python -m lfm.checks exam`: writes an exam and its key, both or neither."""

import argparse
import sys
from pathlib import Path

from lfm import checks
from lfm.engine import files, validate


def main(arguments: list[str] | None = None) -> None:
    """Write an exam and its key. Exit status 2 for wrong arguments, 1 where nothing was written."""
    parser = argparse.ArgumentParser(prog="python -m lfm.checks")
    command = parser.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "exam",
        help="write an exam and its key",
        description="Write exam-SEED.md and exam-SEED-key.md. The same seed gives the same exam.",
    )
    command.add_argument("--seed", type=int, required=True, help="what all numbers are drawn from")
    command.add_argument("--chapters", metavar="01,02,...", help="default: 01 to 10")
    command.add_argument("--questions", type=int, metavar="N", help="default: one a chapter")
    command.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="default: here")
    command.add_argument("--force", action="store_true", help="replace files that are there")
    options = parser.parse_args(arguments)
    try:
        _exam(command, options)
    except KeyboardInterrupt:
        print(f"\n{command.prog}: stopped; nothing was written", file=sys.stderr)
        raise SystemExit(130) from None


def _exam(command: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    try:
        texts = _texts(options)
    except ValueError as error:
        command.error(str(error))
    try:
        there = [str(path) for path in texts if path.exists()]
        if there and (not options.force or any(path.is_dir() for path in texts)):
            command.error(
                f"{' and '.join(there)} exists already; --force replaces, --out goes elsewhere"
            )
        for path in texts:
            validate.file_to_write(path, "--out")
        files.write_all({path: text.encode() for path, text in texts.items()})
    except OSError as error:
        raise SystemExit(f"{command.prog}: nothing was written: {error}") from None
    for path in texts:
        print(f"wrote {path}")


def _texts(options: argparse.Namespace) -> dict[Path, str]:
    """Return paper and key by the files that they belong in."""
    chapters = None
    if options.chapters is not None:
        chapters = [chapter.strip().zfill(2) for chapter in options.chapters.split(",")]
    paper, key = checks.exam(options.seed, chapters, options.questions)
    out = validate.path(options.out, "--out")
    return {out / f"exam-{options.seed}.md": paper, out / f"exam-{options.seed}-key.md": key}
