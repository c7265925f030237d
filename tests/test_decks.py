"""The course's decks: fifteen slides with notes each, which need no network."""

import re
import time

import pytest
from test_book import ROOT, script

SESSIONS = ("session1", "session2", "session3")


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
