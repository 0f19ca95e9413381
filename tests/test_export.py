"""What is written for learning systems: whole, well formed, formulas as they were."""

import re
import zipfile
from xml.etree import ElementTree as ET

import pytest

from lfm.checks import exams, quiz
from lfm.checks.questions.kinds import written
from tools import course, export

SEEDS = (1, 4)
MOODLE = export.moodle(SEEDS)
QTI = export.qti(SEEDS)
QUIZZES = quiz.registered()
TEMPLATES = [t for t in exams.templates() if t.kind != "figure"]
TEXTS = [q.question for q in QUIZZES.values()]
TEXTS += [option.text for q in QUIZZES.values() for option in q.options.values()]


def formulas(markdown: str) -> list[str]:
    return [" ".join(f.split()) for f in re.findall(r"\$\$?(.+?)\$\$?", markdown, flags=re.S)]


def delimited(text: str) -> list[str]:
    found = re.findall(r"\\\((.+?)\\\)|\\\[(.+?)\\\]", text, flags=re.S)
    return [" ".join("".join(pair).split()) for pair in found]


def test_formulas_are_as_they_were():
    assert sum(map(len, map(formulas, TEXTS))) >= 100
    for text in TEXTS:
        assert delimited("".join(export.block(text).itertext())) == formulas(text)
    assert export.html(
        "$a_k^* < b$ and *c*"
    ) == r'<p><span class="math">\(a_k^* &lt; b\)</span> ' + ("and <em>c</em></p>")
    assert export.html("$$\nx\n$$") == r'<div class="math">\[x\]</div>'


def by_name(kind: str) -> dict[str, ET.Element]:
    return {q.findtext("name/text"): q for q in MOODLE.findall(f"question[@type='{kind}']")}


def test_moodle_gets_every_quiz_with_its_options_and_replies():
    found = by_name("multichoice")
    assert list(found) == list(QUIZZES)
    for name, q in QUIZZES.items():
        answers = found[name].findall("answer")
        right = [a.get("fraction") for a in answers]
        assert right == ["100" if letter == q.right else "0" for letter in q.options]
        for answer, option in zip(answers, q.options.values(), strict=True):
            assert answer.findtext("text") == export.html(option.text)
            reply = ET.fromstring(f"<p>{answer.findtext('feedback/text')}</p>").text
            assert reply == option.reply
        assert found[name].findtext("single") == "true"


BLANK = r"\{(\d):(?:NUMERICAL:=(-?[\d.]+):([\d.]+)|SHORTANSWER:=(\w+))\}"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
def test_moodle_gets_every_exam_question_with_the_numbers_of_each_seed(template, seed):
    p, name = template.pose(seed), f"{template.name}-{seed}"
    numbers, words = export.asked(p)
    wanted = [
        (str(part.points), "", "", value)
        if isinstance(value, str)
        else (str(part.points), written(value), export.tolerance(value), "")
        for part, value in numbers
    ]
    cloze = by_name("cloze").get(name)
    found = [] if cloze is None else re.findall(BLANK, cloze.findtext("questiontext/text"))
    assert found == wanted
    (part,) = words
    essay = by_name("essay")[f"{name}-words"]
    assert essay.findtext("graderinfo/text") == export.html(part.answer)
    assert essay.findtext("defaultgrade") == str(part.points)


def test_categories_are_the_chapters():
    names = [q.findtext("category/text") for q in MOODLE.findall("question[@type='category']")]
    titles = {course.title(path) for path in course.chapters()}
    assert {name.split("/")[3] for name in names} == titles
    assert len(set(names)) == len(names)


def within(name: str) -> str:
    """Return a name of an element of the package as it is after parsing."""
    return name.replace("{}", f"{{{export.QTI}}}")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Return {file: parsed root} of the archive that is written."""
    out = tmp_path_factory.mktemp("build") / "export"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "OUT", out)
        export.main(["--seeds", *map(str, SEEDS)])
    with zipfile.ZipFile(out / "qti.zip") as archive:
        found = {name: ET.fromstring(archive.read(name)) for name in archive.namelist()}
    assert ET.fromstring((out / "moodle.xml").read_bytes()).tag == "quiz"
    return found


def test_the_manifest_names_every_file(package):
    manifest = package["imsmanifest.xml"]
    space = f"{{{export.PACKAGE}}}"
    resources = manifest.findall(f"{space}resources/{space}resource")
    assert {r.get("href") for r in resources} == set(package) - {"imsmanifest.xml"}
    assert len({r.get("identifier") for r in resources}) == len(resources)
    assert {r.get("type") for r in resources} == {"imsqti_item_xmlv2p1"}
    assert len(package) == 1 + len(QUIZZES) + len(TEMPLATES) * len(SEEDS)


ORDER = ["responseDeclaration", "outcomeDeclaration", "itemBody", "responseProcessing"]
ORDER += ["modalFeedback"]


def test_items_have_the_parts_of_qti_in_their_order(package):
    for name, root in package.items():
        if name == "imsmanifest.xml":
            continue
        assert root.tag == within("{}assessmentItem")
        assert re.fullmatch(r"[A-Za-z_][\w.-]*", root.get("identifier")), name
        parts = [child.tag.removeprefix(f"{{{export.QTI}}}") for child in root]
        assert parts == sorted(parts, key=ORDER.index)
        responses = {r.get("identifier") for r in root.findall(within("{}responseDeclaration"))}
        asked = {e.get("responseIdentifier") for e in root.iter() if e.get("responseIdentifier")}
        assert asked == responses
        used = {e.get("identifier") for e in root.iter(within("{}variable"))}
        assert used <= responses | {"SCORE"}
        assert len(responses) - ("WORDS" in responses) == len(used - {"SCORE"})


def test_the_right_choice_is_the_right_one(package):
    for q in QUIZZES.values():
        root = package[f"{q.chapter}/{q.name}.xml"]
        assert root.find(".//" + within("{}correctResponse/{}value")).text == q.right
        assert len(root.findall(within("{}modalFeedback"))) == len(q.options)
