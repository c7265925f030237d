"""Measure what the live page costs and write the table of "About this book":

    python book/live/status.py _build/live/live _build/live_status.md

`make book` runs it. Opens the packed scripts in a headless browser, presses Start as a reader would, and waits for the
end of the search. Other work on the machine lengthens times by the clock more than those of the processor.
"""

import gzip
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from live_browser import missing, opened  # noqa: E402
from live_page import open_page, set_up, status, until  # noqa: E402

from rusr_core.sweeps.provenance import processor  # noqa: E402

BEFORE = ("live.css", "loader.js", "portraits.js", "app.js")  # of a page with a live figure
AFTER = ("weights.js", "wasm.js", "engine.js")  # when Start is pressed
PAGE = """<!doctype html><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="{scripts}/live.css"><script src="{scripts}/loader.js"></script>
<div class="rusr-live" data-live='{{"kind": "page"}}'></div>"""
GUESS = "document.querySelectorAll('.rl-row canvas')[2].getContext('2d').getImageData(64, 64, 1, 1).data[3] > 0"
DONE = "document.querySelector('.rl-studio > .rl-status').textContent.startsWith('Done')"
LONGEST = 900  # seconds that are waited for the end of the search


def used(driver) -> float:
    """Seconds of the processor that the browser has used, with all its processes that still run."""
    children = psutil.Process(driver.service.process.pid).children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


@contextmanager
def spent(clock: Callable[[], float]):
    """A list that gets the seconds of `clock` and those by the wall clock that the context took."""
    found: list[float] = []
    begin = clock(), time.monotonic()
    yield found
    found += [clock() - begin[0], time.monotonic() - begin[1]]


def weights(folder: Path) -> dict[str, tuple[float, float]]:
    """Megabytes of the scripts in `folder` before Start and of those that it adds: as they are, and with gzip."""
    found = {}
    for words, names in (("the figure before Start", BEFORE), ("Start adds", AFTER)):
        contents = [(folder / name).read_bytes() for name in names]
        found[words] = sum(map(len, contents)) / 1e6, sum(len(gzip.compress(content)) for content in contents) / 1e6
    return found


def times(folder: Path, steps: int) -> tuple[dict[str, tuple[float, float]], str]:
    """Seconds of the processor and by the clock of what a reader waits for, and the browser's name.

    The search is the one that the page offers, holes in W and W+, with `steps` steps a phase. AssertionError where the
    page does not come to its end.
    """
    with tempfile.TemporaryDirectory() as place, opened() as driver:
        page = Path(place) / "page.html"
        page.write_text(PAGE.format(scripts=folder.resolve().as_uri()), encoding="utf-8")
        with spent(lambda: used(driver)) as portraits:
            open_page(driver, page.as_uri())
        set_up(driver, "paint", steps, ("W", "W+"))
        with spent(lambda: used(driver)) as whole:
            with spent(lambda: used(driver)) as first:
                driver.execute_script("document.querySelector('.rl-bar .rl-main').click()")
                until(driver, GUESS, LONGEST)
            until(driver, DONE, LONGEST)
        taken = [part.split()[1] for part in status(driver).partition("Steps: ")[2].split(", ")]
        each = [(end - begin) / sum(map(int, taken)) for end, begin in zip(whole, first, strict=True)]
        browser = f"{driver.capabilities['browserName']} {driver.capabilities['browserVersion']}"
    words = f"from Start to the end of {' + '.join(taken)} steps, holes, with pictures and curve"
    found = {"from the address to the portraits": portraits, "from Start to the first picture": first}
    return found | {"a step": each, words: whole}, browser


def row(words: str, *values: float) -> str:
    """A row of a table; few digits, so that a phone need not break them."""
    return " | ".join([f"| {words}", *(f"{value:.2f}" if value < 10 else f"{value:.1f}" for value in values)]) + " |"


def table(folder: Path, steps: int = 30) -> str:
    """What was measured, as markdown; where there is no browser, or the search does not end, the reason."""
    machine = f"{time.strftime('%Y-%m-%d')}, {processor()}, {os.cpu_count()} cores, {platform.system()}"
    lines = ["| what is loaded | MB | gzip |", "|---|---|---|"]
    lines += [row(words, *sizes) for words, sizes in weights(folder).items()]
    reason, load = missing(), os.getloadavg()[0]
    if not reason:
        try:
            found, browser = times(folder, steps)
        except AssertionError as error:
            reason = f"the search did not end ({error})"
    if reason:
        return "\n".join([*lines, "", f"Times were not measured in this build: {reason}.", ""])
    lines += ["", "| what a reader waits for | s | CPU |", "|---|---|---|"]
    lines += [row(words, clock, cpu) for words, (cpu, clock) in found.items()]
    return "\n".join([*lines, "", f"Measured on {machine}, in headless {browser}; load average {load:.1f}.", ""])


if __name__ == "__main__":
    scripts, file = map(Path, sys.argv[1:])
    file.write_text(table(scripts), encoding="utf-8")
    print(file.read_text(encoding="utf-8"))
