"""A Sphinx extension: each script stands once in the head of a page.

Scripts that extensions add as text are listed twice by Sphinx, once when they are added and once with the builder. A
`const` that is declared twice is an error in the console of every page.
"""


def unrepeated(_app, _page, _template, context: dict, _doctree) -> None:
    """Keep the first of equal scripts in the page's `context`."""
    seen = set()
    scripts, context["script_files"] = context["script_files"], []
    for script in scripts:
        key = script.filename or "", script.attributes.get("body")
        if key not in seen:
            context["script_files"].append(script)
        seen.add(key)


def setup(app) -> dict:
    """What Sphinx calls; late, so that every other extension has added its scripts."""
    app.connect("html-page-context", unrepeated, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
