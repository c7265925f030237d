"""The course's decks: fifteen slides with notes each, which need no network."""

import re
import time

import nbformat
import pytest
from test_book import ROOT, script

SESSIONS = ("session1", "session2", "session3")
ROW = re.compile(r"^\| (\d+) min \| (?:(\d+)(?:(?: to|,) (\d+))? \| )?", re.M)
NAMED = re.compile(r"\]\((\w+\.ipynb)\),? (?:up to |the box |exercise )?(\"[^|;[\n]*)")


def titles(path) -> set[str]:
    """What a page calls its sections, boxes and exercises."""
    text = "\n\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    found = re.findall(r"^(?:#+|:::+\{admonition\}|```\{exercise-start\} \w[\w ]*:) (.+)$", text, re.M)
    return {title.replace("$", "") for title in found}


@pytest.mark.parametrize("page", ["course", "teaching"])
def test_the_run_sheets_add_up_and_name_what_is_there(page):
    text = (ROOT / f"book/{page}.md").read_text(encoding="utf-8")
    sheets = [sheet for sheet in re.split(r"^\| time ", text, flags=re.M)[1:]]
    assert len(sheets) == {"course": 3, "teaching": 1}[page]
    for sheet in sheets:
        rows = ROW.findall(sheet)
        assert sum(int(minutes) for minutes, *_ in rows) == 90
        slides = [i for _, first, last in rows if first for i in range(int(first), int(last or first) + 1)]
        assert slides == ([*range(1, 16)] if page == "course" else [])
    named = [(file, title) for file, rest in NAMED.findall(text) for title in re.findall(r'"([^"]+)"', rest)]
    assert len(named) > {"course": 15, "teaching": 0}[page]
    for file, title in named:
        there = titles(ROOT / "book" / file)
        assert title in there or any(each.startswith(f"{title}: ") for each in there), (file, title)


@pytest.mark.parametrize("session", SESSIONS)
def test_a_deck_has_fifteen_slides_with_notes(session):
    text = (ROOT / f"book/decks/{session}.md").read_text(encoding="utf-8")
    slides = re.split(r"^# ", text, flags=re.M)[1:]
    assert len(slides) == 15
    for slide in slides:
        notes = re.findall(r":::\{revealjs-notes\}\n(.+?)\n:::", slide, re.S)
        assert len(notes) == 1 and len(notes[0]) > 30, slide[:40]


@pytest.mark.slow
def test_the_decks_are_built_from_recordings_without_a_network(tmp_path):
    began = time.process_time()
    pages = script("decks/build").build(tmp_path / "decks")
    assert time.process_time() - began < 120  # of this process, which does all of it
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert len(re.findall(r'<aside class="notes">', html)) == 15
        used = re.findall(r'(?:src|href)="([^"#]+?)(?:\?[^"]*)?"', html)
        assert used and not [address for address in used if re.match(r"(?:https?:)?//", address)]
        assert all((page.parent / address).is_file() for address in used), used
