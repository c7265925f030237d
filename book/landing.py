"""What the first page shows: a slider over recorded restorations, three numbers, and the map of the chapters.

The pictures are those of the recorded sheets, and the numbers are computed from the recordings, so that they are made
anew with them. book/index.md calls these functions when the book is built.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from rusr_core.figures import Html, compare
from rusr_core.figures.chapters import TITLES
from rusr_core.sweeps import factors, findings, recordings
from rusr_core.tasks import SINGLE

ROOT = Path(__file__).resolve().parent.parent
NAMES = tuple(dict.fromkeys(task.name for task in SINGLE if task.name != "deblurring"))
PRIOR = "portraits-128"
NEEDS = {1: "no formulas needed", 2: "formulas and means", 3: "derivatives and matrices"}  # what a text asks


@dataclass(frozen=True)
class About:
    """What the map says of a chapter: minutes to read it with its exercises left out, the level of its mathematics, a
    place in `NEEDS`, and what it builds on.
    """

    minutes: int
    level: int
    needs: tuple[str, ...] = ()


CHAPTERS = {
    "start": About(20, 1),
    "measures": About(5, 1, ("start",)),
    "problem": About(35, 3, ("start",)),
    "plane": About(25, 3, ("problem",)),
    "generator": About(45, 3, ("start",)),
    "degradations": About(40, 2, ("problem",)),
    "near": About(25, 2, ("start",)),
    "losses": About(35, 3, ("degradations", "near")),
    "energy": About(10, 2, ("losses",)),
    "phases": About(45, 3, ("generator", "losses")),
    "upsampling": About(35, 3, ("phases",)),
    "denoising": About(45, 3, ("energy", "phases")),
    "inpainting": About(30, 2, ("phases",)),
    "deartifacting": About(35, 2, ("phases",)),
    "composed": About(30, 2, ("denoising", "deartifacting")),
    "metrics": About(45, 2, ("start",)),
    "benchmark": About(20, 2, ("metrics",)),
    "rivals": About(40, 3, ("phases", "metrics")),
    "one_setting": About(40, 2, ("rivals",)),
    "ablations": About(35, 2, ("phases", "metrics")),
    "findings": About(15, 1, ("start",)),
    "unknown": About(20, 2, ("degradations", "phases")),
    "answers": About(25, 2, ("phases", "metrics")),
    "own_image": About(25, 1, ("start",)),
    "responsible": About(35, 1, ("start",)),
    "lab": About(90, 2, ("degradations",)),
}


def slider(level: str = "L") -> Html:
    """Before and after for each of the four tasks, chosen by a radio button; no kernel and no script is needed."""
    buttons, views, rules = "", "", ""
    for i, name in enumerate(NAMES):
        sheet = recordings.sheet(PRIOR, name)
        picture = compare(
            sheet.picture(level, "input"), sheet.picture(level, "default"), labels=("given", "restored"),
            alt=f"A drawn portrait before and after {name} at level {level}, recorded", width=360,
        )  # fmt: skip
        checked = " checked" if i == 0 else ""
        buttons += f'<input type="radio" name="rusr-task" id="rusr-task-{i}"{checked}>'
        buttons += f'<label for="rusr-task-{i}">{name}</label>'
        views += f'<div class="rusr-view rusr-view-{i}">{picture}</div>'
        rules += f"#rusr-task-{i}:checked ~ .rusr-view-{i}{{display:block}}"
    style = f"<style>.rusr-switch .rusr-view{{display:none}}{rules}</style>"
    return Html(f'{style}<div class="rusr-switch" role="group" aria-label="task">{buttons}{views}</div>')


def numbers() -> Html:
    """Three numbers and where they come from; they are recomputed whenever the page is built."""
    main = recordings.load(PRIOR)
    found = findings.recorded(PRIOR)
    count = len({unit["task"] for unit in main.units if unit["method"] == "default"})
    published = found["published"]
    shown = (
        ("1 setting", f"for {count} recorded tasks; nothing is tuned to the damage"),
        (
            factors.per_cent(published.value, published.low, published.high).replace("-", "\u2212"),
            "distance to the truth over all of them, beside the setting that was published; less is nearer"
            " (95 % interval)",
        ),
        ("0 photographs", "stand behind these numbers: all is about drawn portraits and a small generator"),
    )
    cards = "".join(f"<div><strong>{number}</strong><span>{words}</span></div>" for number, words in shown)
    return Html(f'<div class="rusr-numbers">{cards}</div>')


def chapter_map() -> Html:
    """Chapters in the order of the table of contents, each with its minutes, its level and what it builds on."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = ""
    for part in toc["parts"]:
        names = [chapter["file"].removeprefix("book/") for chapter in part["chapters"]]
        cards = "".join(_card(name) for name in names if name in CHAPTERS)
        parts += f'<div class="rusr-part"><h4>{part["caption"]}</h4>{cards}</div>' if cards else ""
    return Html(f'<div class="rusr-map">{parts}</div>')


def opening(name: str) -> str:
    """The line of Markdown that stands below the first paragraph of a chapter."""
    about = CHAPTERS[name]
    links = [f"[{TITLES[each]}]({each}{_suffix(each)})" for each in about.needs]
    after = f" It builds on {' and '.join(links)}." if links else ""
    return f"*About {about.minutes} minutes. Level {about.level} of 3: {NEEDS[about.level]}.{after}*"


def _suffix(name: str) -> str:
    return ".ipynb" if (ROOT / "book" / f"{name}.ipynb").exists() else ".md"


def _card(name: str) -> str:
    about = CHAPTERS[name]
    needs = ", ".join(TITLES[each] for each in about.needs)
    after = f" \u00b7 after {needs}" if needs else ""
    level = f"level {about.level}"
    return f'<a href="{name}.html"><b>{TITLES[name]}</b><span>{about.minutes} min \u00b7 {level}{after}</span></a>'
