"""Write the glossary as a script for the pages: `python book/terms.py _build/live/terms.js`. `make book` does.

The script holds {word: [anchor, definition]}; book/_static/glossary.js shows a definition where its word is met first
on a page. So a definition is written once, in book/glossary.md, and no chapter has to mark its words.
"""

import json
import re
import sys
from pathlib import Path

GLOSSARY = Path(__file__).resolve().parent / "glossary.md"
LETTERS = re.compile(r"[A-Za-z]\+*$")  # W and W+ alone would be met in every formula


def entries(text: str) -> dict[str, str]:
    """{term: definition} of a glossary in MyST, the definitions as they are written."""
    body = re.search(r"```\{glossary\}\n(.*?)\n```", text, re.S)[1]
    found = {}
    for block in re.split(r"\n\n(?=\S)", body.strip()):
        term, *lines = block.splitlines()
        found[term] = " ".join(line.strip() for line in lines)
    return found


def plain(definition: str) -> str:
    """A definition without markup: citations go, links and terms keep their words, formulas their letters."""
    text = re.sub(r" ?\{cite(?::\w+)?\}`[^`]+`", "", definition)
    text = re.sub(r"\{term\}`([^`<]+?)(?: <[^`]*)?`", r"\1", text)
    text = re.sub(r" ?See \[[^]]+\]\([^)]+\)\.", "", text)
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    text = re.sub(r"\\([A-Za-z]+)(?:_\{(\d+)\})?", r"\1\2", text)
    return re.sub(r"[$`*]", "", text).strip()


def names(term: str) -> list[str]:
    """The words under which a term is met: "normalised gradient descent (NGD)" is met under two."""
    outside, _, inside = term.partition(" (")
    words = [*outside.split(", "), *([inside.rstrip(")")] if inside else [])]
    return [word for word in words if not LETTERS.fullmatch(word) or word == "W++"]


def anchor(term: str) -> str:
    """The anchor that Sphinx gives a term of a glossary."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", term).strip("-")
    return f"term-{slug}" if slug else ""


def script(text: str) -> str:
    """The glossary as JavaScript."""
    words = {
        name: [anchor(term), plain(definition)] for term, definition in entries(text).items() for name in names(term)
    }
    return f"window.RUSR_TERMS = {json.dumps(words, ensure_ascii=False, indent=0)};\n"


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(script(GLOSSARY.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{out}: the glossary's words")
