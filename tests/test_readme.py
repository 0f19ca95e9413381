"""What the README says is so: its pictures, its chapters, its example, its commands."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import pictures

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTERS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_the_pictures_are_those_that_the_notebooks_drew():
    drawn = pictures.drawn()
    stored = {p.stem: p.read_bytes() for p in pictures.FOLDER.glob("*.png")}
    assert set(stored) == set(pictures.wanted())
    for cell, png in stored.items():
        assert png == drawn[cell], f"{cell}: run `make refresh`"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_the_table_has_each_chapter_with_its_question_and_time(path):
    first = nbformat.read(path, as_version=4).cells[0].source
    question = re.search(r"\*\*The question\.\*\* (.+)", first)[1].replace("$", "")
    question = question.replace("\\theta", "θ")
    minutes = re.search(r"\*\*Time\.\*\* (\d+) minutes, and (\d+)", first).groups()
    row = next(line for line in README.splitlines() if f"(notebooks/{path.name})" in line)
    assert question in row
    assert row.rstrip(" |").endswith(f"{minutes[0]} min | {minutes[1]} min")


def test_the_hours_of_the_whole_course_are_those_of_its_chapters():
    minutes = re.findall(r"\| (\d+) min \| (\d+) min \|", README)
    assert len(minutes) == len(CHAPTERS)
    reading, exercises = (sum(map(int, column)) / 60 for column in zip(*minutes, strict=True))
    assert (
        f"about {round(reading)} hours to read and {round(exercises)} for the exercises"
        in " ".join(README.split())
    )


RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")


def test_times_in_the_readme_are_those_that_were_measured():
    table = README.split("| | lfm | scikit-learn")[1].split("\n\n")[0]
    figures = re.findall(r"[\d.,]+ (?:ms|s|MiB|×(?=\)))(?!\w)", table)
    assert len(figures) >= 12
    for figure in figures:
        assert f"| {figure} |" in RESULTS, figure
    ratios = re.findall(r"\| scikit-learn[^|]* over lfm \| (\S+) × \|", RESULTS)
    least, most = min(ratios, key=float), max(ratios, key=float)
    assert f"lfm was {least} to {most} times as fast as scikit-learn" in README
    ((missed, goals),) = re.findall(r"; (\d+) of (\d+) are missed here", RESULTS)
    said = f"Of {goals} goals, set beforehand on another processor, {missed} were missed"
    assert said in " ".join(README.split())


def test_times_of_a_gpu_are_those_that_were_measured():
    page = (ROOT / "benchmarks" / "GPU.md").read_text(encoding="utf-8")
    (found,) = re.findall(
        r"on one (\w+) it takes (\S+ µs), (\S+ ×) less .*?\s(\S+ ×) less", README, re.S
    )
    device, *figures = found
    assert f"one NVIDIA {device};" in page
    rows = ("a step, lfm", "eager, data on the device over lfm", "DataLoader loop over lfm")
    for row, figure in zip(rows, figures, strict=True):
        assert re.search(rf"\| {row} +\| {figure} +\|", page), row


def test_times_in_chapter_11_are_those_that_were_measured():
    cells = nbformat.read(CHAPTERS[11], as_version=4).cells
    source = next(c.source for c in cells if "# measured: benchmarks/RESULTS.md" in c.source)
    figures = re.findall(r'": ([\d.]+)', source)
    assert len(figures) == 5
    for figure in figures:
        assert f"| {figure} s |" in RESULTS, figure
    assert any(f"a_step = {figures[-2]} / steps" in c.source for c in cells)


def test_what_chapter_11_says_of_memory_speed_and_exchanges_was_measured():
    cells = nbformat.read(CHAPTERS[11], as_version=4).cells
    text = "\n".join(c.source for c in cells)
    for way, about, margin in (("streamed", "100", 10), ("in memory", "2,500", 50)):
        (peak,) = re.findall(rf"\| N = 10,000,000, {way} \| (\S+) MiB \|", RESULTS)
        assert f"peak was about {about} MiB" in text
        assert abs(float(peak.replace(",", "")) - float(about.replace(",", ""))) < margin
    (v,) = re.findall(r"\| streamed \| ([\d.]+) million rows a second \|", RESULTS)
    assert "a million data a second, which one of our cores exceeds" in text
    assert "v, trip, band = 1e6" in text
    assert float(v) > 1
    for what, unit in (("a process writes", "messages"), ("it takes", "ms")):
        rows = re.findall(rf"\| P = \d, {what} \| ([\d.]+) {unit} \|", RESULTS)
        assert f"np.array([{', '.join(rows)}])" in text
    (share,) = re.findall(r"\| P = 8, of it to one other \| (\d+)\.\d %", RESULTS)
    assert re.search(rf"with eight processes .* more than {share}% of them", text)
    for power, words in (("0.6", r"$\kappa = 0.6$"), ("1.0", "ends")):
        (gap,) = re.findall(rf"power {power}, \S+ s \| ([\d.]+) nats per datum", RESULTS)
        assert f"{words} {float(gap):.4f}".replace(" 0.0", " .0") in text
    page = (ROOT / "benchmarks" / "GPU.md").read_text(encoding="utf-8")
    (step,) = re.findall(r"(\d+ µs) a step on one H200, `benchmarks/GPU.md`", text)
    assert re.search(rf"\| a step, lfm +\| {step} +\|", page)


def test_the_examples_run_one_after_the_other(tmp_path):
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.S))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = re.findall(r"```text\n(.*?)```", README, flags=re.S)
    assert done.stdout == "".join(said)


def test_every_command_is_a_target_and_every_link_leads_somewhere():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
