"""An equation has one name, and stands under it in a notebook, in the code and on a test."""

import ast
import re
from collections import Counter
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent


def tags_in_notebooks() -> Counter:
    found = Counter()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                found.update(re.findall(r"\\tag\{([a-z0-9-]+)\}", cell.source))
    return found


def names_in_docstrings() -> set[str]:
    found = set()
    for path in sorted((ROOT / "lfm").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                found.update(re.findall(r"Eq\. ([a-z][a-z0-9-]*[a-z0-9])", text))
    return found


def names_on_tests() -> set[str]:
    text = "".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").glob("test_*.py"))
    )
    return set(re.findall(r"mark\.equation\(\s*\"([a-z0-9-]+)\"", text))


def test_no_equation_is_tagged_twice():
    assert [name for name, times in tags_in_notebooks().items() if times > 1] == []


def test_notebooks_code_and_tests_name_the_same_equations():
    tagged, documented, tested = set(tags_in_notebooks()), names_in_docstrings(), names_on_tests()
    assert tagged == documented, tagged ^ documented
    assert tagged == tested, tagged ^ tested
    assert len(tagged) >= 16  # so that an empty reading cannot pass


def test_solutions_tag_nothing():
    for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb")):
        assert "\\tag{" not in path.read_text(encoding="utf-8").replace("\\\\", "\\"), path.name
