"""The book for students: nothing of a solution is left in it, and it stands without them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from test_book import CHAPTERS, ROOT, script

without = script("without_solutions")


def prose(notebook: dict) -> str:
    return "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def code(notebook: dict) -> str:
    return "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_stands_without_its_solutions(path):
    whole = json.loads(path.read_text(encoding="utf-8"))
    kept = without.chapter(whole)
    nbformat.validate(nbformat.from_dict(kept))
    assert "{solution" not in prose(kept)
    asked = [cell["metadata"]["tags"] for cell in kept["cells"] if "self_check(" in "".join(cell["source"])]
    assert all("remove-input" in tags and "hide-input" not in tags for tags in asked)  # the answer stands there
    labels = r"\{exercise-start\}.*\n:label: (\S+)"
    assert re.findall(labels, prose(kept)) == re.findall(labels, prose(whole))
    assert len(kept["cells"]) < len(whole["cells"])
    glued = set(re.findall(r'figures\.glue\(\s*f?"([^"]+)"', code(kept)))
    told = set(re.findall(r"\{glue:text\}`([^:`]+)", prose(kept)))
    from_loops = tuple(key.split("{")[0] for key in glued if "{" in key or key.endswith("-"))
    assert all(key in glued or key.startswith(from_loops) for key in told)
    figures = {cell["metadata"]["mystnb"]["figure"]["name"] for cell in kept["cells"] if _has_figure(cell)}
    figures |= set(re.findall(r"\{figure\} \S+\n:name: (\S+)", prose(kept)))
    assert set(re.findall(r"\{numref\}`([^`]+)`", prose(kept))) <= figures


def _has_figure(cell: dict) -> bool:
    return "figure" in cell["metadata"].get("mystnb", {})


def test_no_name_is_missing_where_a_solution_is_gone(tmp_path):
    for path in CHAPTERS:
        kept = without.chapter(json.loads(path.read_text(encoding="utf-8")))
        (tmp_path / path.name).write_text(json.dumps(kept), encoding="utf-8")
    words = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_cells_between_the_two_marks_are_left_out():
    def cell(kind, text):
        return {"cell_type": kind, "source": text.splitlines(keepends=True), "metadata": {}}

    opened, closed = "```{solution-start} a\n:class: dropdown\n```\n", "```{solution-end}\n```\n"
    cells = [
        cell("markdown", f"Question.\n\n{opened}A hint."),
        cell("code", "secret = 1"),
        cell("markdown", f"Why.\n{closed}\nNext question.\n\n{opened}Second.\n{closed}After."),
        cell("code", "shown = 1"),
    ]
    kept = without.chapter({"cells": cells})["cells"]
    assert ["".join(each["source"]) for each in kept] == ["Question.", "Next question.\n\n\nAfter.", "shown = 1"]
    with pytest.raises(ValueError, match="does not end"):
        without.chapter({"cells": cells[:2]})


def test_pages_lose_their_answers():
    text = "**1.** Why?\n:::{admonition} Answer\n:class: dropdown\nBecause.\n:::\n\n**2.** "
    assert without.page(text + "<!-- teachers -->x<!-- /teachers -->") == "**1.** Why?\n\n**2.** "


@pytest.mark.slow
def test_the_students_book_is_built(tmp_path):
    assert without.write(tmp_path) > 20
    book = tmp_path / "book"
    assert not any((tmp_path / f"{name}.md").exists() for name in without.TEACHERS)
    assert not (book / "decks").exists()  # their notes tell the answers of the votes
    files = [entry["file"] for part in without.contents()["parts"] for entry in part["chapters"]]
    assert not set(files) & set(without.TEACHERS)
    links = [link for path in book.glob("*.*") if path.suffix in (".md", ".ipynb") for link in
             re.findall(r"\]\((\w+\.(?:ipynb|md))[)#]", path.read_text(encoding="utf-8"))]  # fmt: skip
    assert links and all((book / link).is_file() for link in links)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] = {"execute_notebooks": "off"}
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/teaching\n", encoding="utf-8")
    words = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(tmp_path), "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    page = (tmp_path / "_build/html/book/teaching.html").read_text(encoding="utf-8")
    assert "Quiz" in page and "admonition-answer" not in page


def test_make_builds_it_from_these_sources():
    makefile = Path(ROOT / "Makefile").read_text(encoding="utf-8")
    rule = makefile.split("book-without-solutions: $(READY)")[1].split("\n\n")[0]
    assert "book/without_solutions.py $(STUDENTS)" in rule and "RUSR_SOLUTIONS=0" in rule and "-W" in rule
