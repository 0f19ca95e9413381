"""Write quizzes and exam questions for learning systems: `make export`.

- `build/export/moodle.xml`: Moodle's question bank, a category for each chapter.
- `build/export/qti.zip`: the same as a package of items in QTI 2.1, which others read.

Each exam question without a figure comes with the numbers and words of several seeds. Formulas stay
LaTeX, between \\( and \\), which MathJax sets in either system. `--seeds 1 2 3` chooses the seeds.
"""

import argparse
import re
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import mistune

from lfm.checks import exams, quiz
from lfm.checks.questions.kinds import Part, Posed, written
from tools import course

OUT = course.BUILD / "export"
SEEDS = (1, 2, 3)
# A last digit that is off by one costs nothing, as every exam says; what is whole has to be right.
OFF_BY_ONE = "0.0011"
QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"
PACKAGE = "http://www.imsglobal.org/xsd/imscp_v1p1"

_html = mistune.create_markdown(plugins=["math", "table"])


def html(text: str) -> str:
    r"""Return markdown as HTML, its formulas between \( and \) or \[ and \]."""
    made = re.sub(r"\$\$\s*(.*?)\s*\$\$", r"\\[\1\\]", _html(text), flags=re.S)
    return re.sub(r' style="[^"]*"', "", made).strip()


def tag(name: str, *children, **attributes) -> ET.Element:
    """Return an element; a first child that is a text is its text."""
    made = ET.Element(name, {key: str(value) for key, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            made.text = child
        else:
            made.append(child)
    return made


def block(text: str) -> ET.Element:
    """Return markdown as an element."""
    return ET.fromstring(f"<div>{html(text)}</div>")


def tolerance(value: float) -> str:
    """Return by how much an answer may differ from the value as the key gives it."""
    return "0" if isinstance(value, int) else OFF_BY_ONE


def posed(chapter: str, seeds) -> Iterator[tuple[str, Posed]]:
    """Yield (name, question) of the exam questions of a chapter, with the numbers of each seed.

    Those with a figure are left out: a learning system wants its pictures in ways of its own.
    """
    for template in exams.templates():
        if template.chapter == chapter and template.kind != "figure":
            for seed in seeds:
                yield f"{template.name}-{seed}", template.pose(seed)


def asked(p: Posed) -> tuple[list[tuple[Part, float | str]], tuple[Part, ...]]:
    """Return the parts that want a value, each with its value, and those answered in words."""
    n = len(p.values)
    return list(zip(p.parts, p.values, strict=False)), p.parts[n:]


def quizzes(chapter: str) -> list[quiz.Quiz]:
    """Return the quizzes of a chapter."""
    return [q for q in quiz.registered().values() if q.chapter == chapter]


# ------------------------------------------------------------------ Moodle


def text(name: str, content: str) -> ET.Element:
    """Return one of Moodle's texts in HTML."""
    return tag(name, tag("text", content), format="html")


def question(kind: str, name: str, content: str, *parts: ET.Element) -> ET.Element:
    """Return a question of Moodle's."""
    head = [tag("name", tag("text", name)), text("questiontext", content)]
    return tag("question", *head, *parts, type=kind)


def moodle_quiz(q: quiz.Quiz) -> ET.Element:
    """Return a quiz as a question of multiple choice, with the reply to each option."""
    answers = [
        tag(
            "answer",
            tag("text", html(option.text)),
            text("feedback", _escaped(option.reply)),
            fraction=100 * (letter == q.right),
            format="html",
        )
        for letter, option in q.options.items()
    ]
    facts = {
        "defaultgrade": 1,
        "single": "true",
        "shuffleanswers": "true",
        "answernumbering": "abc",
    }
    parts = [tag(key, str(value)) for key, value in facts.items()]
    return question("multichoice", q.name, html(q.question), *parts, *answers)


def moodle_exam(name: str, p: Posed) -> list[ET.Element]:
    """Return an exam question as Moodle's: its numbers, and what is answered in words."""
    numbers, words = asked(p)
    found = []
    if numbers:
        fields = [f"- {part.asked} {{{part.points}:{blank(value)}}}" for part, value in numbers]
        content = html("\n".join([p.text, "", *fields]))
        found.append(question("cloze", name, content, text("generalfeedback", html(p.working))))
    facts = {"responseformat": "editor", "responserequired": 1, "responsefieldlines": 5}
    for part in words:
        given = {"defaultgrade": part.points, "attachments": 0} | facts
        parts = [tag(key, str(value)) for key, value in given.items()]
        content = html("\n\n".join(filter(None, [p.text, part.asked])))
        parts.append(text("graderinfo", html(part.answer)))
        found.append(question("essay", f"{name}-words", content, *parts))
    return found


def blank(value: float | str) -> str:
    """Return what Moodle wants to know of a blank: the answer, and how near it must be."""
    if isinstance(value, str):
        return f"SHORTANSWER:={value}"
    return f"NUMERICAL:={written(value)}:{tolerance(value)}"


def moodle(seeds=SEEDS) -> ET.Element:
    """Return all of Moodle's question bank."""
    made = tag("quiz")
    for path in course.chapters():
        chapter = path.stem[:2]
        kinds = {
            "quizzes": [moodle_quiz(q) for q in quizzes(chapter)],
            "exam": [part for pair in posed(chapter, seeds) for part in moodle_exam(*pair)],
        }
        for kind, questions in kinds.items():
            if questions:
                name = f"$course$/top/Latent factor models/{course.title(path)}/{kind}"
                made.append(tag("question", tag("category", tag("text", name)), type="category"))
                made.extend(questions)
    return made


def _escaped(plain: str) -> str:
    return plain.replace("&", "&amp;").replace("<", "&lt;")


# ------------------------------------------------------------------ QTI 2.1


def item(name: str, responses: list, body: list, processing: list, *feedback) -> ET.Element:
    """Return an item of QTI."""
    score = tag("outcomeDeclaration", identifier="SCORE", cardinality="single", baseType="float")
    outcomes = [score]
    if feedback:
        kind = {"cardinality": "single", "baseType": "identifier"}
        outcomes.append(tag("outcomeDeclaration", identifier="FEEDBACK", **kind))
    parts = [*responses, *outcomes, tag("itemBody", *body)]
    parts += [tag("responseProcessing", *processing), *feedback]
    facts = {"identifier": name, "title": name, "adaptive": "false", "timeDependent": "false"}
    return tag("assessmentItem", *parts, xmlns=QTI, **facts)


def declared(name: str, kind: str, value: str | None = None) -> ET.Element:
    """Return the declaration of a response, with the right one if there is one."""
    right = [] if value is None else [tag("correctResponse", tag("value", value))]
    facts = {"identifier": name, "cardinality": "single", "baseType": kind}
    return tag("responseDeclaration", *right, **facts)


def points(condition: ET.Element, n: int) -> ET.Element:
    """Return the rule that adds points where a condition holds."""
    more = tag(
        "sum", tag("variable", identifier="SCORE"), tag("baseValue", str(n), baseType="float")
    )
    given = tag("setOutcomeValue", more, identifier="SCORE")
    return tag("responseCondition", tag("responseIf", condition, given))


def qti_quiz(q: quiz.Quiz) -> ET.Element:
    """Return a quiz as an item, with the reply to each option."""
    choices = [tag("simpleChoice", block(o.text), identifier=k) for k, o in q.options.items()]
    facts = {"responseIdentifier": "RESPONSE", "shuffle": "true", "maxChoices": 1}
    body = [block(q.question), tag("choiceInteraction", *choices, **facts)]
    right = tag(
        "match", tag("variable", identifier="RESPONSE"), tag("correct", identifier="RESPONSE")
    )
    chosen = tag("setOutcomeValue", tag("variable", identifier="RESPONSE"), identifier="FEEDBACK")
    replies = [
        tag("modalFeedback", o.reply, outcomeIdentifier="FEEDBACK", identifier=k, showHide="show")
        for k, o in q.options.items()
    ]
    responses = [declared("RESPONSE", "identifier", q.right)]
    return item(q.name, responses, body, [points(right, 1), chosen], *replies)


def qti_exam(name: str, p: Posed) -> ET.Element:
    """Return an exam question as an item: numbers to fill in, and answers in words."""
    body, responses, processing = [block(p.text)] if p.text else [], [], []
    numbers, words = asked(p)
    for letter, (part, value) in zip("ABCDEF", numbers, strict=False):
        entry = block(part.asked)
        entry.append(tag("p", tag("textEntryInteraction", responseIdentifier=letter)))
        body.append(entry)
        kind = "string" if isinstance(value, str) else "float"
        responses.append(declared(letter, kind, written(value)))
        processing.append(points(compared(letter, value), part.points))
    for part in words:
        answer = tag("extendedTextInteraction", responseIdentifier="WORDS", expectedLines=5)
        key = block("\n\n".join(filter(None, [part.answer, p.working])))
        body += [block(part.asked), answer, tag("rubricBlock", key, view="scorer")]
        responses.append(declared("WORDS", "string"))
    return item(name, responses, body, processing)


def compared(letter: str, value: float | str) -> ET.Element:
    """Return the condition that an answer is right."""
    given = [tag("variable", identifier=letter), tag("correct", identifier=letter)]
    if isinstance(value, str):
        return tag("match", *given)
    near = {"toleranceMode": "absolute", "tolerance": " ".join([tolerance(value)] * 2)}
    return tag("equal", *given, **near)


def qti(seeds=SEEDS) -> dict[str, ET.Element]:
    """Return {file: element} of the whole package."""
    found = {}
    for path in course.chapters():
        chapter = path.stem[:2]
        found |= {f"{chapter}/{q.name}.xml": qti_quiz(q) for q in quizzes(chapter)}
        found |= {f"{chapter}/{name}.xml": qti_exam(name, p) for name, p in posed(chapter, seeds)}
    resources = [
        tag(
            "resource",
            tag("file", href=name),
            identifier="R-" + name.removesuffix(".xml").replace("/", "-"),
            type="imsqti_item_xmlv2p1",
            href=name,
        )
        for name in found
    ]
    kind = tag("metadata", tag("schema", "QTIv2.1 Package"), tag("schemaversion", "1.0.0"))
    parts = [kind, tag("organizations"), tag("resources", *resources)]
    return {"imsmanifest.xml": tag("manifest", *parts, xmlns=PACKAGE, identifier="lfm")} | found


def main(arguments: list[str] | None = None) -> None:
    """Write build/export."""
    parser = argparse.ArgumentParser(prog="python -m tools.export", description="See the top.")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, metavar="SEED")
    seeds = parser.parse_args(arguments).seeds
    OUT.mkdir(parents=True, exist_ok=True)
    options = {"encoding": "utf-8", "xml_declaration": True}
    (OUT / "moodle.xml").write_bytes(ET.tostring(moodle(seeds), **options))
    items = qti(seeds)
    with zipfile.ZipFile(OUT / "qti.zip", "w", zipfile.ZIP_DEFLATED) as package:
        for name, element in items.items():
            made = ET.tostring(element, **options)
            package.writestr(zipfile.ZipInfo(name), made, zipfile.ZIP_DEFLATED)
    print(f"{len(items) - 1} items in build/export")


if __name__ == "__main__":
    main()
