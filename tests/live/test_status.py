"""The table of what a live figure costs, which the build writes into "About this book"."""

import re

import pytest
from live_browser import ROOT, missing
from sources import script


def test_a_build_without_a_browser_says_so_and_weighs_the_scripts(built, monkeypatch):
    status = script("live/status")
    monkeypatch.setattr(status, "missing", lambda: "the browser's driver is not installed")
    text = status.table(built)
    assert "Times were not measured in this build: the browser's driver is not installed." in text
    raw = sum((built / name).stat().st_size for name in status.AFTER) / 1e6
    assert f"| Start adds | {raw:.1f} | " in text and "CPU" not in text


def test_a_search_that_does_not_end_is_told(built, monkeypatch):
    status = script("live/status")

    def stuck(_folder, _steps):
        raise AssertionError("the page says: Searching …")

    monkeypatch.setattr(status, "missing", lambda: None)
    monkeypatch.setattr(status, "times", stuck)
    assert "not measured in this build: the search did not end (the page says: Searching …)." in status.table(built)


@pytest.mark.slow
def test_times_are_measured_in_a_browser(built):
    if reason := missing():
        pytest.skip(reason)
    text = script("live/status").table(built, steps=1)
    rows = re.findall(r"^\| (.*?) \| ([\d.]+) \| ([\d.]+) \|$", text, re.M)
    assert [words for words, *_ in rows] == [
        "the figure before Start",
        "Start adds",
        "from the address to the portraits",
        "from Start to the first picture",
        "a step",
        "from Start to the end of 1 + 1 steps, holes, with pictures and curve",
    ]
    assert all(float(value) > 0 for _, *values in rows for value in values)
    assert float(rows[5][1]) > float(rows[3][1]) and re.search(r"in headless chrome \d+.*; load average", text)


def test_every_build_writes_the_table_that_its_page_includes():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    about = (ROOT / "book/about.md").read_text(encoding="utf-8")
    assert "```{include} ../_build/live_status.md" in about
    assert makefile.count("book/live/status.py") == makefile.count("jupyter-book build") == 2
