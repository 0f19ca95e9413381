"""The command `python -m lfm.checks exam`: writes an exam, all of its files or none."""

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
        help="write an exam, its key and its figures",
        description="Write the paper, exam-SEED.md, with its figures, exam-SEED-question-N.png, "
        "and for the teacher exam-SEED-key.md: answers with working, and marking schemes line by "
        "line. Half of the questions ask to compute, half to derive, to find a mistake, or to "
        "read a figure. The same seed gives the same exam. Two seeds share no question in words "
        "unless they differ by a multiple of 3: the seeds 7, 8 and 9 will do for three years.",
    )
    command.add_argument("--seed", type=int, required=True, help="what all is drawn from")
    command.add_argument("--chapters", metavar="01,02,...", help="default: 01 to 12")
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
        contents = _contents(options)
    except ValueError as error:
        command.error(str(error))
    try:
        there = [str(path) for path in contents if path.exists()]
        if there and (not options.force or any(path.is_dir() for path in contents)):
            command.error(
                f"{' and '.join(there)} exists already; --force replaces, --out goes elsewhere"
            )
        for path in contents:
            validate.file_to_write(path, "--out")
        files.write_all(contents)
    except OSError as error:
        raise SystemExit(f"{command.prog}: nothing was written: {error}") from None
    for path in contents:
        print(f"wrote {path}")


def _contents(options: argparse.Namespace) -> dict[Path, bytes]:
    """Return paper, key and figures by the files that they belong in."""
    chapters = None
    if options.chapters is not None:
        chapters = [chapter.strip().zfill(2) for chapter in options.chapters.split(",")]
    paper, key, figures = checks.exam(options.seed, chapters, options.questions)
    texts = {f"exam-{options.seed}.md": paper, f"exam-{options.seed}-key.md": key}
    out = validate.path(options.out, "--out")
    return {out / name: text.encode() for name, text in texts.items()} | {
        out / name: png for name, png in figures.items()
    }
