"""The titles of the book's chapters, and links to them: for pages, and for cells that run with the library alone."""

from rusr_core.figures.interactive import Html
from rusr_core.figures.panels import FigureError
from rusr_core.limits import shown

TITLES = {  # by the name of the chapter's file, without its ending
    "start": "Start here",
    "measures": "Five measures in short",
    "problem": "The problem",
    "plane": "The whole search on a plane",
    "generator": "The generator",
    "degradations": "Degradations",
    "near": "What is near?",
    "losses": "The loss of the search",
    "energy": "Two draws, one score",
    "phases": "Three phases",
    "upsampling": "Upsampling",
    "denoising": "Denoising",
    "inpainting": "Inpainting",
    "deartifacting": "Deartifacting",
    "composed": "Composed degradations",
    "metrics": "Metrics",
    "benchmark": "Benchmark",
    "rivals": "Rivals",
    "one_setting": "One setting",
    "ablations": "Ablations",
    "findings": "What we found",
    "unknown": "When f is not known",
    "answers": "Several answers",
    "own_image": "Your own image",
    "responsible": "Responsible use",
    "lab": "Lab: your damage, your f",
}


def chapter_link(name: str) -> Html:
    """The title of a chapter as a link from another page of the book. FigureError for what is no chapter."""
    if not isinstance(name, str) or name not in TITLES:
        raise FigureError(f"chapter {shown(name)}: expected one of {', '.join(TITLES)}")
    return Html(f'<a href="{name}.html">{TITLES[name]}</a>')
