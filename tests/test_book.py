"""The book's linter: what every chapter must have, checked without a kernel; and the build's configuration."""

import base64
import copy
import re
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from chapter_linter import MAX_BYTES, MAX_LINE, ROOT, cited, lint, missing_names
from docutils import nodes
from pybtex.database import parse_file
from sources import script

import rusr_core as rusr
from rusr_core import metrics
from rusr_core.figures.chapters import TITLES

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < MAX_BYTES
    assert lint(notebook, ("methods",) if path.stem == "benchmark" else ()) == []
    assert missing_names(notebook) == []
    known = re.findall(r"^@\w+\{(\S+),", (ROOT / "book/references.bib").read_text(encoding="utf-8"), re.M)
    assert cited(path.read_text(encoding="utf-8")) <= set(known)


def _without_tags(notebook):
    notebook.cells[2].metadata.pop("tags")


def _with_output(notebook):
    notebook.cells[2].execution_count = 3


def _without_a_level(notebook):
    for cell in notebook.cells:
        cell.source = cell.source.replace("{exercise-start} Refute: ", "{exercise-start} ")


def _without_minutes(notebook):
    for cell in notebook.cells:
        cell.source = re.sub(r"\w+ minutes, with the kernel\. ", "", cell.source)


def _in_another_order(notebook):
    for cell in notebook.cells:
        cell.source = cell.source.replace("{exercise-start} Code: ", "{exercise-start} Project: ")


def _without_alt(notebook):
    cell = next(c for c in notebook.cells if "mystnb" in c.metadata)
    cell.metadata.pop("mystnb")


def _with_address(notebook):
    notebook.cells[2].source += '\nurl = "https://example.org"'


def _without_solutions(notebook):
    for cell in notebook.cells:
        cell.source = cell.source.replace("{solution-start}", "{note}")


def _with_a_label_twice(notebook):
    """The builder fails where two exercises share a label."""
    for cell in notebook.cells:
        cell.source = cell.source.replace("start-exercise-project", "start-exercise-by-hand")


def _with_a_key_twice(notebook):
    for cell in notebook.cells[3:]:
        if cell.cell_type == "code":
            cell.source += '\nfigures.glue("twice", "1")'


def _with_a_link_outside(notebook):
    notebook.cells[0].source += " [card](../data/portraits/MODEL_CARD.md)"


def _with_another_parameter(notebook):
    notebook.cells[2].source += "\nspeed: int = 3"


def _without_verdict(notebook):
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("asked.verdict(")]


def _with_the_answer_in_sight(notebook):
    next(cell for cell in notebook.cells if cell.source.startswith("asked.verdict(")).metadata.pop("tags")


def _with_a_long_line(notebook):
    notebook.cells[-2].source += "\n# " + "a" * (MAX_LINE - 1)


def _with_numbers_in_sight(notebook):
    next(
        cell for cell in notebook.cells if cell.cell_type == "code" and not cell.metadata.get("tags")
    ).source += '\nfigures.glue("seen", "1")'


def _with_an_open_notebook(notebook):
    next(cell for cell in notebook.cells if "hide-input" in cell.metadata.get("tags", [])).metadata.pop("jupyter")


def _with_folded_parameters(notebook):
    next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])).metadata["cellView"] = "form"


def _with_a_figure_left_out(notebook):
    drawn = next(cell for cell in notebook.cells if "figures.panel(" in cell.source)
    drawn.metadata["tags"] = ["remove-cell"]


def _with_a_close_per_cent(notebook):
    notebook.cells[-2].source += '\nprint(f"{0.3:.0%}")'


def _with_a_close_per_cent_in_the_text(notebook):
    notebook.cells[0].source += " {glue:text}`start-share:.0%`"


def _with_widgets(notebook):
    notebook.metadata["widgets"] = {}


@pytest.mark.parametrize(
    "damage, words",
    [
        (_without_tags, "second code cell"),
        (_with_output, "stored outputs"),
        (_without_alt, "alt text"),
        (_with_address, "outside the install cell"),
        (_without_solutions, "in pairs"),
        (_without_a_level, "expected By hand, Code, Refute, Project"),
        (_without_minutes, "start-exercise-level: does not begin with its minutes"),
        (_in_another_order, "By hand, Project, Refute, expected By hand"),
        (_with_another_parameter, "'speed'"),
        (_with_a_key_twice, "two cells set it"),
        (_with_a_label_twice, "two have this label"),
        (_with_a_link_outside, "not in the book"),
        (_with_widgets, "widget state"),
        (_with_a_close_per_cent, "per cent without a space, expected {100 * x:.0f} %"),
        (_with_a_close_per_cent_in_the_text, "a number in per cent without a space"),
        (_with_numbers_in_sight, "numbers for the text in a shown cell"),
        (_with_an_open_notebook, "expected {'cellView': 'form', 'jupyter': {'source_hidden': True}}"),
        (_with_folded_parameters, "and {'cellView': 'form'}, expected not folded"),
        (_with_a_figure_left_out, "a figure in a cell that the page leaves out"),
        (_without_verdict, "followed by its verdict"),
        (_with_the_answer_in_sight, "hide-input is missing"),
        (_with_a_long_line, "89 characters in a line"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_linter_sees(damage, words):
    notebook = copy.deepcopy(nbformat.read(ROOT / "book/start.ipynb", as_version=4))
    damage(notebook)
    assert any(words in line for line in lint(notebook)), lint(notebook)


def test_names_that_are_gone_are_seen():
    notebook = copy.deepcopy(nbformat.read(ROOT / "book/start.ipynb", as_version=4))
    notebook.cells[4].source += "\nfrom rusr_core.tasks import old\nmetrics.older(rusr.restore)"
    notebook.cells[3].source += "\n[`losses.gone`](../rusr_core/losses/terms.py), [`restore`](../rusr_core/moved.py)"
    expected = ["from rusr_core.tasks import old", "metrics.older", "losses.gone in rusr_core/losses/terms.py"]
    assert missing_names(notebook) == [*expected, "restore in rusr_core/moved.py"]


def _toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    entries = [{"file": toc["root"]}, *toc.get("chapters", [])]
    entries += [chapter for part in toc.get("parts", []) for chapter in part["chapters"]]
    return [entry["file"] for entry in entries]


def test_every_chapter_is_in_the_table_of_contents_once():
    files = _toc_files()
    assert len(files) == len(set(files))
    assert {f"book/{path.stem}" for path in CHAPTERS} <= set(files)
    for file in files:  # what a launch button of that page opens
        assert (ROOT / f"{file}.ipynb").exists() or (ROOT / f"{file}.md").exists(), file


def test_figures_of_every_chapter_carry_its_number():
    """Only in a numbered part: the Lab, among the unnumbered pages of the course, had a "Fig. 1"."""
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    numbered = {chapter["file"] for part in parts if part.get("numbered") for chapter in part["chapters"]}
    assert {f"book/{path.stem}" for path in CHAPTERS} <= numbered


def test_slides_hold_captioned_figures():
    about = {"mystnb": {"figure": {"name": "n", "caption": "c"}, "image": {"alt": "a"}}}
    cells = []
    for kind, metadata in (("image/png", about), ("image/png", {}), ("text/plain", about)):
        output = nbformat.v4.new_output("display_data", {kind: base64.b64encode(kind.encode()).decode()})
        cells.append(nbformat.v4.new_code_cell(metadata=metadata, outputs=[output]))
    found = script("slides").figures(nbformat.v4.new_notebook(cells=cells))
    assert found == [("n.png", "c", "a", b"image/png")]


def test_repository_address_comes_from_the_environment():
    configure = script("configure")
    for elsewhere in ({}, {"RUSR_REPOSITORY": "https://example.org/me/book"}):
        plain = configure.configuration(elsewhere)
        assert "launch_buttons" not in plain and "repository" not in plain
    address = "https://github.example.org/me/book"
    forked = configure.configuration({"RUSR_REPOSITORY": address + "/", "RUSR_BRANCH": "work"})
    assert forked["repository"] == {"url": address, "branch": "work", "path_to_book": ""}
    assert forked["launch_buttons"]["colab_url"] and forked["execute"] == plain["execute"]


def test_each_script_stands_once_in_a_page():
    """Twice the same `const` would be an error in the console of every page."""
    text, other = "const a = 1", "const b = 2"
    names = (None, text), ("a.js", None), ("", text), ("a.js", None), ("b.js", None), ("", other)
    context = {"script_files": [SimpleNamespace(filename=name, attributes={"body": body}) for name, body in names]}
    script("scripts_once").unrepeated(None, "page", "page.html", context, None)
    kept = [(one.filename, one.attributes["body"]) for one in context["script_files"]]
    assert kept == [(None, text), ("a.js", None), ("b.js", None), ("", other)]
    added = script("configure").configuration({})["sphinx"]["local_extensions"]
    assert added == dict.fromkeys(("scripts_once", "author_year", "typesetting", "previews"), str(ROOT / "book"))


def test_no_line_begins_with_a_per_cent_sign():
    words, code = nodes.paragraph(), nodes.literal("", "a %")
    words += [nodes.Text("about "), nodes.inline("", "95"), nodes.Text(" % of a\n% b; %s"), code]
    script("typesetting").join(None, words, "page")
    assert words.astext() == "about 95\u00a0% of a\u00a0% b; %sa %"


def test_every_citation_says_which_work_is_meant():
    entries = parse_file(str(ROOT / "book/references.bib")).entries.values()
    labels = script("author_year").Labels().format_labels(sorted(entries, key=lambda entry: entry.fields["title"]))
    assert len(set(labels)) == len(labels) > 50
    assert {
        "Efron, 1979",
        "Blau and Michaeli, 2018",
        "van der Walt et al., 2014",
        "Bi\u0144kowski et al., 2018",
    } <= set(labels)
    assert {"Menon et al., 2020a", "Menon et al., 2020b", "Karras et al., 2019"} <= set(labels)


def test_the_first_page_shows_every_task_and_maps_every_chapter():
    landing = script("landing")
    shown = landing.slider()
    assert shown.count('type="radio"') == 4 == shown.count('class="rusr-compare"') and shown.count(" checked") == 1
    assert not re.search(r"https?:|<script", shown)
    assert set(landing.CHAPTERS) == {path.stem for path in CHAPTERS} | {"measures", "energy"}
    assert list(landing.CHAPTERS) == list(TITLES)
    places = [file.removeprefix("book/") for file in _toc_files()]
    for name, about in landing.CHAPTERS.items():  # a chapter stands after those that it builds on
        assert all(places.index(each) < places.index(name) for each in about.needs), name
        assert landing.chapter_map().count(f'href="{name}.html"') == 1
        path = ROOT / "book" / f"{name}.ipynb"
        text = nbformat.read(path, 4).cells[0].source if path.exists() else path.with_suffix(".md").read_text("utf-8")
        assert text.split("\n\n")[2] == landing.opening(name)
        assert re.search(r"^# (.*)$", text, re.MULTILINE)[1].startswith(TITLES[name])
    assert landing.numbers().count("<strong>") == 3 and "95 % interval" in landing.numbers()


def test_a_build_reads_every_page_anew():
    """Once the first page kept the -20 % of an earlier recording beside today's -18 %, since its own text was old."""
    builds = [line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if "jupyter-book build" in line]
    assert len(builds) == 2 and all(" --all " in line for line in builds)


def test_the_yardstick_of_the_perceptual_distance_is_what_the_pages_say():
    people = rusr.portraits(range(12))
    assert 3.5 < metrics.lpips(people, people.roll(1, 0)).mean() < 4.5
    for page in ("measures.md", "start.ipynb"):
        assert "about 4 " in (ROOT / "book" / page).read_text("utf-8")


def test_lines_that_do_not_fit_a_page_are_found():
    fit = script("fit")
    sentence, columns = "word " * 40, "name" + "     1.0" * 12
    page = '<div class="output stream highlight"><div class="highlight"><pre><span></span>{}</pre></div></div>'
    assert fit.too_wide(page.format(sentence)) == [] and fit.too_wide(page.format(columns[:66])) == []
    assert fit.too_wide(page.format(columns)) == [columns]
    assert fit.too_wide(page.format(columns[:76])) == [columns[:76]]  # on a phone
    terminal = "$ rusr zoo list\n"
    assert fit.too_wide(page.format(terminal + columns[:84])) == []
    assert fit.too_wide(page.format(terminal + columns)) == [columns]
    code = '<div class="cell_input docutils"><div class="highlight"><pre><span></span>x = "{}"</pre></div></div>'
    assert fit.too_wide(code.format("a" * 80)) == [] and len(fit.too_wide(code.format("a" * 90))) == 1


def test_version_is_the_same_everywhere():
    import rusr_core

    assert f'version = "{rusr_core.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
