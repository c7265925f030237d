"""A Sphinx extension: a number and its per cent sign stand on one line, wherever that line ends."""

import re

from docutils import nodes

CODE = nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.comment


def joined(text: str) -> str:
    """The text with a space that does not break before each per cent sign that stands alone."""
    return re.sub(r"\s%(?!\w)", "\u00a0%", text)


def join(_app, doctree, _page) -> None:
    """Join them in all prose of a page; in code nothing changes."""
    for text in list(doctree.findall(nodes.Text)):
        if "%" in text and not any(isinstance(each, CODE) for each in _above(text)):
            text.parent.replace(text, nodes.Text(joined(str(text))))


def _above(node: nodes.Node):
    while (node := node.parent) is not None:
        yield node


def setup(app) -> dict:
    """What Sphinx calls; late, when numbers of a run stand in their sentences."""
    app.connect("doctree-resolved", join, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
