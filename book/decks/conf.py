# How Sphinx builds the decks; book/decks/build.py calls it.
project = "Robust unsupervised StyleGAN image restoration"
extensions = ["myst_parser", "sphinx.ext.mathjax", "sphinx_revealjs"]
root_doc = "session1"
myst_enable_extensions = ["dollarmath", "colon_fence"]
mathjax_path = "mathjax/tex-svg.js"
suppress_warnings = ["toc.not_included"]  # the three decks stand beside one another
revealjs_static_path = ["static"]
revealjs_css_files = ["deck.css"]
revealjs_style_theme = "white"
revealjs_script_conf = {"hash": True, "slideNumber": "c/t", "center": True, "transition": "none"}
revealjs_script_plugins = [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}]
