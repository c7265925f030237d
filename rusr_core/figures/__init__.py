"""Pictures for chapters: panels of images, loss curves, charts, and two interactive figures that need no server."""

from rusr_core.figures.answers import answers, heat
from rusr_core.figures.book import glue, is_static
from rusr_core.figures.interactive import Frames, Html, compare, explorer, timeline
from rusr_core.figures.panels import PHASE_COLOURS, STYLE, FigureError, loss_curves, panel, show

__all__ = [
    "PHASE_COLOURS", "STYLE", "FigureError", "Frames", "Html", "answers", "compare", "explorer", "glue", "heat",
    "is_static", "loss_curves", "panel", "show", "timeline",
]  # fmt: skip
