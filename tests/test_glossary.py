"""The glossary on the pages: its words with their definitions, and the anchors that a press leads to."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from live_browser import missing, opened
from test_book import ROOT, script

terms = script("terms")
TEXT = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
PAGE = """<!doctype html><meta charset="utf-8"><style>{style}</style><body><article>
<h1>LPIPS</h1><p id="first">By LPIPS and by <code>PSNR</code> the ill posed problem, twice LPIPS, in W++.</p>
<p id="second">LPIPS again; a phase, a Phase.</p></article><script>{words}</script><script>{script}</script></body>"""


def words() -> dict:
    return json.loads(terms.script(TEXT).removeprefix("window.RUSR_TERMS = ").removesuffix(";\n"))


def test_every_word_has_a_definition_without_markup():
    found = words()
    assert len(found) > 40 and {"NGD", "normalised gradient descent", "W++", "JPEG"} <= set(found)
    assert "W" not in found
    for word, (anchor, definition) in found.items():
        assert anchor.startswith("term-") and len(definition) > 15, word
        assert not re.search(r"[`$\\]|\]\(|\{", definition), (word, definition)


def test_markup_is_taken_off():
    text = "Up to $-10 \\log_{10}$ of {term}`LPIPS` {cite}`a2020b`; `code`. See [Metrics](metrics.ipynb)."
    assert terms.plain(text) == "Up to -10 log10 of LPIPS; code."


@pytest.mark.slow
def test_the_anchors_are_those_of_the_page(tmp_path):
    (tmp_path / "book").mkdir()
    for name in ("glossary.md", "references.bib"):
        (tmp_path / "book" / name).write_bytes((ROOT / "book" / name).read_bytes())
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["html"].pop("favicon"), config.pop("logo")
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/glossary\n", encoding="utf-8")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    page = (tmp_path / "_build/html/book/glossary.html").read_text(encoding="utf-8")
    assert {anchor for anchor, _ in words().values()} <= set(re.findall(r'<dt id="([^"]+)"', page))


@pytest.mark.slow
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_word_shows_its_definition_where_it_is_met_first(tmp_path):
    static = ROOT / "book/_static"
    style, code = ((static / name).read_text(encoding="utf-8") for name in ("rusr.css", "glossary.js"))
    text = PAGE.format(style=style, words=terms.script(TEXT), script=code)
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    with opened() as driver:
        driver.get((tmp_path / "page.html").as_uri())
        links = driver.find_elements("css selector", "a.rusr-term")
        assert [link.text for link in links] == ["LPIPS", "ill posed", "W++", "phase"]
        tip = driver.find_element("id", "rusr-tip")
        assert not tip.is_displayed()
        driver.execute_script("arguments[0].focus()", links[0])  # by keyboard
        assert tip.is_displayed() and tip.text.startswith("Learned perceptual image patch similarity")
        assert links[0].get_attribute("aria-describedby") == tip.get_attribute("id")
        assert links[0].get_attribute("href").endswith("glossary.html#term-LPIPS")
        driver.switch_to.active_element.send_keys("\ue00c")  # Escape
        assert not tip.is_displayed()
        (tmp_path / "exam.html").write_text(text, encoding="utf-8")  # where a definition may be the answer
        driver.get((tmp_path / "exam.html").as_uri())
        assert not driver.find_elements("css selector", "a.rusr-term")
