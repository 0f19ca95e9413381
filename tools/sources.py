"""The works that the course names, from `notebooks/bibliography.toml`: what to read, where, why."""

import functools
import re
import tomllib
from dataclasses import dataclass

from tools import course

FILE = course.ROOT / "notebooks" / "bibliography.toml"


@dataclass(frozen=True)
class Work:
    """A book, a paper or a thesis."""

    key: str
    authors: tuple[str, ...]
    year: int
    title: str
    where: str
    doi: str = ""
    arxiv: str = ""
    url: str = ""

    @property
    def link(self) -> str:
        """Return an address: of the publisher if there is one, else of the preprint."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url

    @property
    def surnames(self) -> list[str]:
        """Return the last names; "van der Maaten" is sorted, and cited, under M."""
        return [name.split()[-1] for name in self.authors]

    def markdown(self) -> str:
        """Return author, year, title and where, on one line."""
        names = self.surnames if len(self.authors) <= 3 else [f"{self.surnames[0]} et al."]
        who = " and ".join([", ".join(names[:-1]), names[-1]]).removeprefix(" and ")
        title = f"[*{self.title}*]({self.link})" if self.link else f"*{self.title}*"
        return f"{who} ({self.year}), {title}, {self.where}"

    def bibtex(self) -> str:
        """Return the work for those who write with LaTeX."""
        fields = {"author": " and ".join(self.authors), "title": f"{{{self.title}}}"}
        fields |= {"year": self.year, "howpublished": self.where.replace("–", "--")}
        fields |= {"doi": self.doi, "eprint": self.arxiv, "url": self.url}
        fields |= {"archiveprefix": "arXiv"} if self.arxiv else {}
        lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
        return f"@misc{{{self.key},\n" + ",\n".join(lines) + "\n}\n"


@functools.cache
def works() -> dict[str, Work]:
    """Return every work by its key, in the order of surnames and years."""
    found = [Work(key, **fields) for key, fields in _read()["works"].items()]
    return {w.key: w for w in sorted(found, key=lambda w: (w.surnames[0].lower(), w.year))}


@functools.cache
def reading() -> dict[str, list[tuple[Work, str]]]:
    """Return {chapter number: [(work, what to read in it)]}."""
    found = _read()["reading"].items()
    return {n: [(works()[item["work"]], item["what"]) for item in items] for n, items in found}


@functools.cache
def _read() -> dict:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def further(number: str) -> str:
    """Return the text "Further reading" of a chapter."""
    items = [f"- {work.markdown()}: {what}" for work, what in reading()[number]]
    return "\n".join(["**Further reading**", "", *items])


def cited(text: str) -> set[tuple[str, int]]:
    """Return (last surname, year) of what a text cites: "Neal and Hinton (1998)", "Wu 1983"."""
    names = r"([A-ZÀ-Þ][\w'-]+)(?: et al\.)?,? \(?((?:1[89]|20)\d\d)\b"
    return {(name, int(year)) for name, year in re.findall(names, text)}


def page() -> str:
    """Return the page of the site: what to read after each chapter, then every work."""
    lines = [
        "# Bibliography",
        "",
        "What to read after each chapter, then every work that is named.",
    ]
    lines.append('<a href="files/bibliography.bib" download>All of it for LaTeX</a>.')
    for path in course.chapters():
        lines += ["", f"## {course.title(path)}", "", *further(path.stem[:2]).splitlines()[2:]]
    lines += ["", "## Every work", "", *(f"- {work.markdown()}." for work in works().values())]
    return "\n".join(lines) + "\n"


def bibtex() -> str:
    """Return every work in BibTeX's form."""
    return "\n".join(work.bibtex() for work in works().values())
