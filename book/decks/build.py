"""Build the course's decks: `make decks`, or

    python book/decks/build.py _build/decks

Each of session1.md to session3.md becomes a deck of reveal.js with speaker notes (press S), made by sphinx-revealjs,
which brings reveal.js along; formulas are drawn by the book's own MathJax. Nothing is fetched and nothing is restored:
the pictures come from the recordings in data/results, so this takes seconds.
"""

import shutil
import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure
from sphinx.cmd.build import main as sphinx

from rusr_core import figures, save_image
from rusr_core.figures import charts
from rusr_core.sweeps import findings, recordings

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import landing  # noqa: E402  beside this folder

SESSIONS = ("session1", "session2", "session3")
PRIOR = "portraits-128"
SHOWN = {  # a finding of the page What we found, and its words on a slide
    "start": "a random start",
    "early stopping": "no early stopping",
    "draws": "one draw of the noise",
    "identity term": "no identity term",
}


def pictures(folder: Path) -> None:
    """Write the decks' pictures: recorded sheets as they are, damaged inputs from them, and charts of recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    main = recordings.load(PRIOR)
    for task in ("upsampling", "denoising"):
        _levels(task).savefig(folder / f"{task}.png", dpi=160)
    inputs = [recordings.sheet(PRIOR, task).picture("L", "input") for task in landing.NAMES]
    save_image(torch.cat(inputs, 3), folder / "inputs.jpg", force=True)
    found = findings.recorded(PRIOR)
    drawn = {words: (found[key].value, found[key].low, found[key].high) for key, words in SHOWN.items()}
    label = "times as far from the truth (right: worse)"
    # smaller than in the book, so that the letters are larger on a slide
    bars = charts.bars({"the whole": 1.0} | drawn, xlabel=label, reference="the whole", size=(4.4, 1.9))
    bars.savefig(folder / "ablation.png", dpi=220)
    panels = charts.by_level(main, "LPIPS-portraits", tasks=("upsampling", "deartifacting"), log=True)
    panels.set_size_inches(5.8, 2.6)
    panels.savefig(folder / "levels.png", dpi=220)


def _levels(task: str) -> Figure:
    """A recorded sheet turned on its side, with letters that can be read from the last row of a room."""
    sheet = recordings.sheet(PRIOR, task)
    chosen = {"input": "input", "default": "restored", "truth": "truth"}
    columns = [torch.cat([sheet.picture(level, column) for column in chosen]) for level in sheet.rows]
    return figures.panel(*columns, titles=sheet.rows, rows=tuple(chosen.values()), size=1.0)


def build(folder: Path) -> list[Path]:
    """Write the decks into a folder, in place of what is there; -> their pages. RuntimeError if Sphinx warns."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    source.mkdir(parents=True)
    for name in ("conf.py", "deck.css", *(f"{session}.md" for session in SESSIONS)):
        shutil.copy(HERE / name, source / name)
    shutil.copytree(HERE.parent / "_static/mathjax", source / "static/mathjax")
    shutil.move(source / "deck.css", source / "static/deck.css")
    pictures(source / "pictures")
    if sphinx(["-q", "-W", "--keep-going", "-b", "revealjs", str(source), str(folder)]):
        raise RuntimeError("the decks were not built")
    shutil.rmtree(source)
    return [folder / f"{session}.html" for session in SESSIONS]


if __name__ == "__main__":
    for page in build(Path(sys.argv[1]).absolute()):
        print(page)
