"""The book's linter: what every chapter must have, checked without a kernel; and the build's configuration."""

import ast
import base64
import copy
import importlib.util
import re
import types
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
PARAMETERS = ["prior", "task", "level", "steps", "num_images", "seed", "device", "out_dir"]
DRAWS = re.compile(r"(?:\bshow|figures\.panel|charts\.\w+|loss_curves|plt\.subplots|plt\.figure)\(")
MAX_BYTES = 300_000
EXERCISES = ("By hand", "Code", "Refute", "Project")  # of every chapter
MAX_LINE = 88  # characters of code that fit a page of 1280 px without a scroll bar


def lint(notebook: nbformat.NotebookNode, more: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a chapter, one line each; `more` names parameters beyond the agreed ones."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [*_lint_stripped(notebook, code), *_lint_parameters(code, more), *_lint_cells(code), *_lint_prose(prose)]


def _lint_stripped(notebook: nbformat.NotebookNode, code: list) -> list[str]:
    wrong = [f"cell {c.id}: stored outputs" for c in code if c.outputs or c.execution_count is not None]
    if "widgets" in notebook.metadata:
        wrong.append("widget state is stored")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        wrong.append("the kernel must be python3")
    return wrong


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _lint_parameters(code: list, more: tuple[str, ...]) -> list[str]:
    tagged = [i for i, cell in enumerate(code) if "parameters" in _tags(cell)]
    if tagged != [1]:
        return [f"the parameters cell must be the second code cell and the only one, found {tagged}"]
    names = re.findall(r"^(\w+): (?:str|int) = ", code[1].source, re.M)
    expected = [*PARAMETERS, *more]
    return [] if names == expected else [f"parameters are {names}, expected {expected}"]


def _lint_cells(code: list) -> list[str]:
    wrong = [
        f"cell {cell.id}: {len(line)} characters in a line, at most {MAX_LINE} fit a page: {line.strip()[:30]}..."
        for cell in code
        for line in cell.source.split("\n")
        if len(line) > MAX_LINE
    ]
    if "install" not in _tags(code[0]) or '"google.colab" in sys.modules' not in code[0].source:
        wrong.append("the first code cell must be the install cell, and act in Colab only")
    for cell in code[1:]:
        if re.search(r"https?://|^\s*[!%]", cell.source, re.M):
            wrong.append(f"cell {cell.id}: an address or a shell command outside the install cell")
        if re.search(r"(?<![\w.])(?:/home|/root|/tmp|/work|[A-Z]:\\)", cell.source):
            wrong.append(f"cell {cell.id}: a path of one machine")
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if DRAWS.search(cell.source) and len(alt) < 20:
            wrong.append(f"cell {cell.id}: a figure without alt text")
    keys = [key for cell in code for key in set(re.findall(r'figures\.glue\("([^"]+)"', cell.source))]
    wrong += [f"glue key {key}: two cells set it" for key in sorted({key for key in keys if keys.count(key) > 1})]
    if not any("assert " in cell.source for cell in code):
        wrong.append("no cell asserts anything")
    if not any(re.search(r"\b(?:compare|timeline)\(", cell.source) for cell in code):
        wrong.append("no interactive figure")
    return wrong + _lint_predictions(code)


def _lint_predictions(code: list) -> list[str]:
    """Each prediction is resolved once, later on the page; both cells fold their source, which tells the answer."""
    kinds = (("asked", r'= figures\.predict\(\s*"([^"]+)"'), ("told", r"^asked\.(verdict)\("))
    found = [
        (kind, cell, word) for cell in code for kind, rule in kinds for word in re.findall(rule, cell.source, re.M)
    ]
    keys = [word for kind, _, word in found if kind == "asked"]
    wrong = [f"prediction {key}: two cells ask it" for key in sorted({key for key in keys if keys.count(key) > 1})]
    if not found or [kind for kind, *_ in found] != ["asked", "told"] * (len(found) // 2):
        wrong.append(f"predictions {keys}: expected one or more, each followed by its verdict")
    return wrong + [f"cell {cell.id}: hide-input is missing" for _, cell, _ in found if "hide-input" not in _tags(cell)]


def _lint_prose(prose: str) -> list[str]:
    wrong = []
    found = re.findall(r"\{exercise-start\} (.*)\n:label: (\S+)", prose)
    exercises = [label for title, label in found if not title.startswith("Project: ")]
    solutions = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", prose)
    if sorted(exercises) != sorted(solutions):
        wrong.append(f"exercises {exercises} and folded solutions {solutions}: expected in pairs, projects excepted")
    levels = {title.partition(": ")[0] for title, _ in found}
    if levels != set(EXERCISES):
        wrong.append(f"exercises of the levels {sorted(levels)}, expected {', '.join(EXERCISES)}")
    if prose.count("A good answer has") != sum(title.startswith("Project: ") for title, _ in found):
        wrong.append("a project without its list of what a good answer has")
    for kind in ("exercise", "solution"):
        if prose.count(f"{{{kind}-start}}") != prose.count(f"{{{kind}-end}}"):
            wrong.append(f"an {kind} does not end")
    for words in ("In this chapter you will", "## Summary", "## Exercises"):
        if words not in prose:
            wrong.append(f"no {words!r}")
    if not re.search(r"Used here: [^\n]*\]\(\.\./rusr_core/[\w/]+\.py\)", prose):
        wrong.append("no 'Used here:' with links to the library")
    if re.search(r"\]\(\.\./[^)]*\.(?:md|ipynb)", prose):
        wrong.append("a link to a page that is not in the book")
    if re.search(r"<img|!\[\]\(", prose):
        wrong.append("a picture without alt text")
    return wrong


def _defines(file: Path, name: str) -> bool:
    pattern = rf"^(?: *(?:def|class) {name}\b|{name}\b(?::[^=]+)? =)"
    return re.search(pattern, file.read_text(encoding="utf-8"), re.M) is not None


def missing_names(notebook: nbformat.NotebookNode) -> list[str]:
    """What a chapter imports, names or links to in the library although it is not there."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code" and "%pip" not in cell.source)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    tree, modules, wrong = ast.parse(code), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {a.asname or a.name: importlib.import_module(a.name) for a in node.names if "rusr" in a.name}
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("rusr_core"):
            for name in (alias.name for alias in node.names):
                found = getattr(importlib.import_module(node.module), name, None) or _submodule(node.module, name)
                if found is None:
                    wrong.append(f"from {node.module} import {name}")
                modules[name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if isinstance(module, types.ModuleType) and not hasattr(module, node.attr):
                wrong.append(f"{node.value.id}.{node.attr}")
    for words, target in re.findall(r"\[`([\w.]+)`\]\(\.\./(rusr_core/[\w/]+\.py)\)", prose):
        if not (ROOT / target).is_file() or not _defines(ROOT / target, words.split(".")[-1]):
            wrong.append(f"{words} in {target}")
    return wrong


def _submodule(package: str, name: str) -> types.ModuleType | None:
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError:
        return None


def cited(text: str) -> set[str]:
    """The keys of all `{cite}` roles."""
    groups = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)
    return {key.strip() for group in groups for key in group.split(",")}


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


def _without_alt(notebook):
    cell = next(c for c in notebook.cells if "mystnb" in c.metadata)
    cell.metadata.pop("mystnb")


def _with_address(notebook):
    notebook.cells[2].source += '\nurl = "https://example.org"'


def _without_solutions(notebook):
    for cell in notebook.cells:
        cell.source = cell.source.replace("{solution-start}", "{note}")


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
        (_with_another_parameter, "'speed'"),
        (_with_a_key_twice, "two cells set it"),
        (_with_a_link_outside, "not in the book"),
        (_with_widgets, "widget state"),
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


def script(name: str):
    """A script beside the chapters as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"book/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_slides_hold_drawn_figures_and_recorded_sheets():
    about = {"mystnb": {"figure": {"name": "n", "caption": "c"}, "image": {"alt": "a"}}}
    cells = []
    for kind, metadata in (("image/png", about), ("image/jpeg", about), ("image/png", {}), ("text/plain", about)):
        output = nbformat.v4.new_output("display_data", {kind: base64.b64encode(kind.encode()).decode()})
        cells.append(nbformat.v4.new_code_cell(metadata=metadata, outputs=[output]))
    found = script("slides").figures(nbformat.v4.new_notebook(cells=cells))
    assert found == [("n.png", "c", "a", b"image/png"), ("n.jpg", "c", "a", b"image/jpeg")]


def test_repository_address_comes_from_the_environment():
    configure = script("configure")
    for elsewhere in ({}, {"RUSR_REPOSITORY": "https://example.org/me/book"}):
        plain = configure.configuration(elsewhere)
        assert "launch_buttons" not in plain and "repository" not in plain
    address = "https://github.example.org/me/book"
    forked = configure.configuration({"RUSR_REPOSITORY": address + "/", "RUSR_BRANCH": "work"})
    assert forked["repository"] == {"url": address, "branch": "work", "path_to_book": ""}
    assert forked["launch_buttons"]["colab_url"] and forked["execute"] == plain["execute"]


def test_the_first_page_shows_every_task_and_maps_every_chapter():
    landing = script("landing")
    shown = landing.slider()
    assert shown.count('type="radio"') == 4 == shown.count('class="rusr-compare"') and shown.count(" checked") == 1
    assert not re.search(r"https?:|<script", shown)
    assert set(landing.CHAPTERS) == {path.stem for path in CHAPTERS}
    places = [file.removeprefix("book/") for file in _toc_files()]
    for name, about in landing.CHAPTERS.items():  # a chapter stands after those that it builds on
        assert all(places.index(each) < places.index(name) for each in about.needs), name
        assert landing.chapter_map().count(f'href="{name}.html"') == 1
    assert landing.numbers().count("<strong>") == 3 and "95 % interval" in landing.numbers()


def test_lines_that_do_not_fit_a_page_are_found():
    fit = script("fit")
    sentence, columns = "word " * 40, "name" + "     1.0" * 12
    page = '<div class="output stream highlight"><div class="highlight"><pre><span></span>{}</pre></div></div>'
    assert fit.too_wide(page.format(sentence)) == [] and fit.too_wide(page.format(columns[:84])) == []
    assert fit.too_wide(page.format(columns)) == [columns]
    code = '<div class="cell_input docutils"><div class="highlight"><pre><span></span>x = "{}"</pre></div></div>'
    assert fit.too_wide(code.format("a" * 80)) == [] and len(fit.too_wide(code.format("a" * 90))) == 1


def test_version_is_the_same_everywhere():
    import rusr_core

    assert f'version = "{rusr_core.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
