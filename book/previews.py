"""A Sphinx extension: what a link to a page shows elsewhere, its title, its first sentence and a picture.

A page's own `html_meta` comes first. The picture is the first figure of the page, or the demo's. Addresses are written
in full where the book knows its own (`RUSR_SITE`, see configure.py); without it there is none, and the picture's is
relative to the page.
"""

import re
import shutil
from html import escape
from pathlib import Path

from docutils import nodes

DEMO = Path(__file__).resolve().parent / "images/demo.jpg"
LONGEST = 300  # characters of a description
SENTENCE = re.compile(r".+?[.?!](?=\s+[A-Z]|\s*\Z)")
PICTURES = (".png", ".jpg", ".jpeg")


def first_sentence(doctree: nodes.document) -> str:
    """The first sentence of a page's first paragraph that has one, or nothing."""
    for paragraph in doctree.findall(nodes.paragraph):
        found = SENTENCE.match(" ".join(paragraph.astext().split()))
        if isinstance(paragraph.parent, nodes.section) and found:
            return found[0] if len(found[0]) <= LONGEST else found[0][:LONGEST].rsplit(" ", 1)[0] + " ..."
    return ""


def picture(doctree: nodes.document, images: dict[str, str]) -> str:
    """Where the first figure of a page lies below the root of the built book; else the demo."""
    names = [images.get(image["uri"], Path(image["uri"]).name) for image in doctree.findall(nodes.image)]
    known = [name for name in names if name in images.values() and name.endswith(PICTURES)]
    return f"_images/{known[0]}" if known else f"_static/{DEMO.name}"


def tags(title: str, sentence: str, image: str, address: str = "") -> dict[str, str]:
    """The tags of a page by name, of Open Graph (`og:`) and of Twitter's cards."""
    found = {"og:title": title, "og:type": "article", "og:description": sentence, "og:image": image}
    found |= {"og:url": address, "twitter:card": "summary_large_image", "twitter:title": title}
    found |= {"twitter:description": sentence, "twitter:image": image}
    return {name: value for name, value in found.items() if value}


def add(app, page: str, _template, context: dict, doctree) -> None:
    """Put the tags that a page does not have itself into its head."""
    if doctree is None:
        return
    site = app.config.html_baseurl.rstrip("/")
    title = next((node.astext() for node in doctree.findall(nodes.title)), "")
    image = picture(doctree, app.builder.images)
    place = f"{site}/{image}" if site else context["pathto"](image, 1)
    own = context.get("metatags") or ""
    for name, value in tags(title, first_sentence(doctree), place, f"{site}/{page}.html" if site else "").items():
        if f'"{name}"' not in own:
            kind = "property" if name.startswith("og:") else "name"
            own += f'\n<meta {kind}="{name}" content="{escape(value)}" />'
    context["metatags"] = own


def copy_demo(app, error) -> None:
    """The picture of pages that have none."""
    if error is None and app.builder.format == "html":
        shutil.copy(DEMO, Path(app.outdir) / "_static" / DEMO.name)


def setup(app) -> dict:
    """What Sphinx calls."""
    app.connect("html-page-context", add)
    app.connect("build-finished", copy_demo)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
