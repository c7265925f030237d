"""A Sphinx extension: what a line of a page keeps together.

A browser may break a line on both sides of a formula and at every space. A comma at the beginning of a line and a
number without its unit are hard to read, so a formula keeps the letters that touch it, and a number its unit.
"""

import re

from docutils import nodes

UNIT = re.compile(r"\s(?=%(?!\w))|(?:(?<=\d)|\A)\s(?=(?:dB|px|min|MB)\b)")  # at \A a number of a run comes before
TIMES = re.compile(r"(?<=\d)\sx\s(?=\d)")
CODE = (nodes.literal, nodes.FixedTextElement, nodes.math, nodes.raw, nodes.comment)
SHORT = 20  # letters of code that fit a line on a phone, so that they need no break; words of them need none inside
TOUCHING = 12  # letters that a formula keeps; more would be a word, which may begin a line of its own


def kept_together(text: str) -> str:
    """A text with spaces that do not break between a number and its unit, and in 4 x 4."""
    return TIMES.sub("\u00a0x\u00a0", UNIT.sub("\u00a0", text))


def join(_app, doctree: nodes.document, _page: str) -> None:
    """Join numbers and units in all prose of a page; in code nothing changes."""
    for text in list(doctree.findall(nodes.Text)):
        joined = kept_together(text)
        if joined != text and _is_prose(text):
            text.parent.replace(text, nodes.Text(joined))


def set_page(_app, doctree: nodes.document) -> None:
    """Formulas and short code of a page that was just read."""
    for formula in list(doctree.findall(nodes.math)):
        _join(formula)
    for word in doctree.findall(nodes.literal):
        if len(word.astext()) <= SHORT:
            word["classes"].append("rusr-whole")
        elif max(map(len, word.astext().split())) <= SHORT:
            word["classes"].append("rusr-words")


def _is_prose(text: nodes.Text) -> bool:
    node = text.parent
    while node is not None and not isinstance(node, CODE):
        node = node.parent
    return node is None


def _join(formula: nodes.math) -> None:
    """Put a formula in one piece with the letters that touch it on either side."""
    parent, place = formula.parent, formula.parent.index(formula)
    whole = nodes.inline(classes=["rusr-whole"])
    for at, pattern in ((place - 1, r"\S+\Z"), (place + 1, r"\A\S+")):
        neighbour = parent[at] if 0 <= at < len(parent) else None
        touching = re.search(pattern, neighbour) if isinstance(neighbour, nodes.Text) else None
        if touching and len(touching[0]) <= TOUCHING:
            parent[at] = nodes.Text(neighbour[: touching.start()] + neighbour[touching.end() :])
            whole += nodes.Text(touching[0])
        if at < place:
            whole += formula.deepcopy()
    if len(whole) > 1:
        parent[place] = whole


def setup(app) -> dict:
    """What Sphinx calls; numbers late, when those of a run stand in their sentences."""
    app.connect("doctree-read", set_page)
    app.connect("doctree-resolved", join, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
