"""Previews of links: every page has a title, a sentence and a picture that exists, and no invented address."""

import re
import subprocess
import sys

import pytest
import yaml
from docutils import nodes
from docutils.utils import new_document
from sources import ROOT, script

previews = script("previews")


def test_the_first_sentence_is_that_of_a_paragraph_of_the_page():
    page = new_document("page")
    page += nodes.section("", nodes.title("", "Title"), nodes.paragraph("", "Is 0.5 dB\nmuch? It is."))
    assert previews.first_sentence(page) == "Is 0.5 dB much?"
    assert previews.first_sentence(new_document("empty")) == ""


def test_without_a_site_there_is_no_address():
    assert "og:url" not in previews.tags("T", "S.", "_static/demo.jpg")
    assert previews.tags("T", "S.", "i", "https://example.org/a.html")["og:url"] == "https://example.org/a.html"
    configured = script("configure").configuration
    assert "baseurl" not in configured({})["html"]
    assert configured({"RUSR_SITE": "https://example.org/b/"})["html"]["baseurl"] == "https://example.org/b"


@pytest.mark.slow
@pytest.mark.parametrize("site", ["", "https://example.org/b"])
def test_every_built_page_has_its_own(tmp_path, site):
    (tmp_path / "a.png").write_bytes((ROOT / "data/portraits/test/000.png").read_bytes())
    (tmp_path / "one.md").write_text("# One & two\n\nA sentence. More.\n\n![a face](a.png)\n", encoding="utf-8")
    own = '---\nmyst:\n  html_meta:\n    "property=og:title": "Own"\n---\n# Other\n\nWords stand here.\n'
    (tmp_path / "two.md").write_text(own, encoding="utf-8")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    kept = {"title": "T", "logo": "", "html": {"baseurl": site} if site else {}, "only_build_toc_files": True}
    config = kept | {"sphinx": {"local_extensions": {"previews": str(ROOT / "book")}}}
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: one\nchapters:\n- file: two\n", encoding="utf-8")
    words = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(tmp_path), "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    html = tmp_path / "_build/html"
    found = {}
    for name in ("one", "two"):
        text = (html / f"{name}.html").read_text(encoding="utf-8")
        pairs = re.findall(
            r'<meta (?:content="([^"]*)" )?(?:name|property)="((?:og|twitter):\w+)"(?: content="([^"]*)")?', text
        )
        assert len(pairs) == len({key for _, key, _ in pairs})  # none twice
        found[name] = {key: before or after for before, key, after in pairs}
        image = found[name]["og:image"]
        assert image.startswith(site) and (html / image.removeprefix(site).lstrip("/")).is_file()
        assert found[name].get("og:url", "") == (f"{site}/{name}.html" if site else "")
    assert found["one"]["og:title"] == "One &amp; two" and found["one"]["og:description"] == "A sentence."
    assert found["one"]["og:image"].endswith("_images/a.png") and found["two"]["og:image"].endswith("demo.jpg")
    assert found["two"]["og:title"] == "Own" and found["two"]["twitter:title"] == "Other"
