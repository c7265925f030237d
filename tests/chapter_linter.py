"""What a chapter of the book must have, and what it must not."""

import ast
import importlib.util
import re
import types
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent


PARAMETERS = ["prior", "task", "level", "steps", "num_images", "seed", "device", "out_dir"]


DRAWS = re.compile(r"(?:\bshow|figures\.panel|(?:charts|comparisons)\.\w+|loss_curves|plt\.subplots|plt\.figure)\(")


MAX_BYTES = 300_000


EXERCISES = ("By hand", "Code", "Refute", "Project")  # of every chapter


MINUTES = re.compile(r"(?:Five|Ten|Fifteen|Twenty|Thirty|Forty) minutes\b")  # how a timed exercise begins


FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # by Colab and by JupyterLab


MAX_LINE = 88  # characters of code that fit a page of 1280 px without a scroll bar


def lint(notebook: nbformat.NotebookNode, more: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a chapter, one line each; `more` names parameters beyond the agreed ones."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = [*_lint_stripped(notebook, code), *_lint_parameters(code, more), *_lint_cells(code), *_lint_folded(code)]
    return found + _lint_prose(prose)


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
        if re.search(r":\.\d%", cell.source):
            wrong.append(f"cell {cell.id}: a number in per cent without a space, expected {{100 * x:.0f}} %")
        if re.search(r"(?<![\w.])(?:/home|/root|/tmp|/work|[A-Z]:\\)", cell.source):
            wrong.append(f"cell {cell.id}: a path of one machine")
        shown = cell.metadata.get("mystnb", {})
        alt = shown.get("image", {}).get("alt", "")
        if "name" in shown.get("figure", {}) and "display(" in cell.source:
            wrong.append(f"cell {cell.id}: two things under one figure's name, show the first in a cell before it")
        if DRAWS.search(cell.source) and len(alt) < 20:
            wrong.append(f"cell {cell.id}: a figure without alt text")
    keys = [key for cell in code for key in set(re.findall(r'figures\.glue\("([^"]+)"', cell.source))]
    wrong += [f"glue key {key}: two cells set it" for key in sorted({key for key in keys if keys.count(key) > 1})]
    if not any("assert " in cell.source for cell in code):
        wrong.append("no cell asserts anything")
    if not any(re.search(r"\b(?:compare|timeline)\(", cell.source) for cell in code):
        wrong.append("no interactive figure")
    return wrong + _lint_predictions(code)


def _lint_folded(code: list) -> list[str]:
    """Bookkeeping is folded, on the page by its tag and in a notebook that is opened by what Colab and JupyterLab read;
    the parameters stay in sight there, since they are to be changed.
    """
    wrong = []
    for cell in code:
        tags, found = _tags(cell), {key: cell.metadata[key] for key in FOLDED if key in cell.metadata}
        expected = FOLDED if {"hide-input", "remove-cell"} & {*tags} and "parameters" not in tags else {}
        if found != expected:
            wrong.append(
                f"cell {cell.id}: tags {tags} and {found or 'not folded'}, expected {expected or 'not folded'}"
            )
        if "figures.glue(" in cell.source and not {"hide-input", "remove-cell"} & {*tags}:
            wrong.append(
                f"cell {cell.id}: numbers for the text in a shown cell, expected in one of their own, remove-cell"
            )
        if "remove-cell" in tags and DRAWS.search(cell.source):
            wrong.append(f"cell {cell.id}: a figure in a cell that the page leaves out")
    return wrong


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
    wrong = ["a number in per cent without a space"] if re.search(r"\{glue:text\}`[^`]*%`", prose) else []
    found = re.findall(r"\{exercise-start\} (.*)\n:label: (\S+)", prose)
    exercises = [label for title, label in found if not title.startswith("Project: ")]
    solutions = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", prose)
    labels = [label for _, label in found]
    wrong += [f"exercise {label}: two have this label" for label in sorted({k for k in labels if labels.count(k) > 1})]
    if sorted(exercises) != sorted(solutions):
        wrong.append(f"exercises {exercises} and folded solutions {solutions}: expected in pairs, projects excepted")
    levels = list(dict.fromkeys(title.partition(": ")[0] for title, _ in found))
    if levels != list(EXERCISES):
        wrong.append(f"exercises of the levels {', '.join(levels)}, expected {', '.join(EXERCISES)}")
    timed = re.findall(r"\{exercise-start\} (?:By hand|Code): .*\n:label: (\S+)\n```\s+(.*)", prose)
    wrong += [f"exercise {label}: does not begin with its minutes" for label, text in timed if not MINUTES.match(text)]
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
