"""Pictures for chapters: panels, loss curves, charts, tables, questions, and interactive figures without a server."""

from rusr_core.figures import narrow
from rusr_core.figures.answers import answers, heat
from rusr_core.figures.book import glue, is_static
from rusr_core.figures.chapters import chapter_link
from rusr_core.figures.interactive import Frames, Html, compare, explorer, live, timeline
from rusr_core.figures.painting import brush
from rusr_core.figures.panels import PHASE_COLOURS, STYLE, FigureError, loss_curves, panel, show
from rusr_core.figures.questions import Prediction, predict, self_check
from rusr_core.figures.tables import table

__all__ = [
    "PHASE_COLOURS", "STYLE", "FigureError", "Frames", "Html", "Prediction", "answers", "brush", "chapter_link",
    "compare", "explorer", "glue", "heat", "is_static", "live", "loss_curves", "panel", "predict", "self_check", "show",
    "table", "timeline",
]  # fmt: skip

if is_static():  # the book's pages are read on phones, too
    narrow.offer()
