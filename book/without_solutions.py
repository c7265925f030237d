"""Write the book without its solutions: `make book-without-solutions`, or

    python book/without_solutions.py _build/students

The folder gets what a build needs: the chapters without the cells between `{solution-start}` and `{solution-end}`, the
pages without their folded answers and without what stands between `<!-- teachers -->` and `<!-- /teachers -->`, the
table of contents without the pages in `TEACHERS`, and no decks. `RUSR_SOLUTIONS=0` leaves the answers of self-checks
out while that book is built, and no page shows their source; a page can still tell whether a number is right.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEACHERS = ("book/exam",)
LEFT_OUT = ("decks",)  # their notes hold the answers of the votes
OPENED, CLOSED = "```{solution-start}", "```{solution-end}\n```"
ANSWER = re.compile(r"^:::\{admonition\} Answer\n:class: dropdown\n.*?^:::\n?", re.S | re.M)
PRIVATE = re.compile(r"<!-- teachers -->.*?<!-- /teachers -->\n?", re.S)


def chapter(notebook: dict) -> dict:
    """A notebook without the cells, and the parts of cells, that belong to a solution."""
    cells, inside = [], False
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            source, inside = _outside(source, inside)
            if source.strip():
                cells.append(cell | {"source": source.strip("\n").splitlines(keepends=True)})
        elif not inside:
            cells.append(_without_source(cell) if "figures.self_check(" in source else cell)
    if inside:
        raise ValueError("a solution does not end")
    return notebook | {"cells": cells}


def _without_source(cell: dict) -> dict:
    """A cell of which the built page shows the output only: the source of a self-check holds its answer."""
    tags = [tag for tag in cell["metadata"].get("tags", []) if tag != "hide-input"]
    return cell | {"metadata": cell["metadata"] | {"tags": [*tags, "remove-input"]}}


def _outside(source: str, inside: bool) -> tuple[str, bool]:
    """What of a text lies outside solutions, and whether its end lies inside one."""
    kept = ""
    while source:
        before, mark, source = source.partition(CLOSED if inside else OPENED)
        kept += "" if inside else before
        inside ^= bool(mark)
    return kept, inside


def page(text: str) -> str:
    """A page without folded answers and without what is for teachers."""
    return ANSWER.sub("", PRIVATE.sub("", text))


def contents() -> dict:
    """The table of contents without the teachers' pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        part["chapters"] = [each for each in part["chapters"] if each["file"] not in TEACHERS]
    return toc


def write(folder: Path) -> int:
    """Write the sources of that book into a folder, in place of what is there; -> the number of its pages."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("__pycache__", ".*", *LEFT_OUT))
    for path in (folder / "book").glob("*.ipynb"):
        kept = chapter(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for path in (folder / "book").glob("*.md"):
        path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name in TEACHERS:
        (folder / f"{name}.md").unlink()
    (folder / "_toc.yml").write_text(yaml.safe_dump(contents(), sort_keys=False), encoding="utf-8")
    (folder / "rusr_core").symlink_to(ROOT / "rusr_core")  # chapters link to its files
    return sum(len(list((folder / "book").glob(f"*.{suffix}"))) for suffix in ("ipynb", "md"))


if __name__ == "__main__":
    print(f"{write(Path(sys.argv[1]))} pages without solutions in {sys.argv[1]}")
