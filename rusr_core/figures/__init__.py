"""Pictures for chapters: panels of images, loss curves, charts, tables, and interactive figures without a server."""

from rusr_core.figures.answers import answers, heat
from rusr_core.figures.book import glue, is_static
from rusr_core.figures.interactive import Frames, Html, compare, explorer, live, timeline
from rusr_core.figures.panels import PHASE_COLOURS, STYLE, FigureError, loss_curves, panel, show
from rusr_core.figures.tables import table

__all__ = [
    "PHASE_COLOURS", "STYLE", "FigureError", "Frames", "Html", "answers", "compare", "explorer", "glue", "heat",
    "is_static", "live", "loss_curves", "panel", "show", "table", "timeline",
]  # fmt: skip
