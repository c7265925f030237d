"""The engine of the live pages beside the library: whole searches of four tasks, and what a page costs to open.

python -m benchmarks.live [--steps 30] [--phases 2] [--tasks U N A P] [--only page|searches]

Needs a browser and its driver, see tests/live_browser.py. Prints markdown: how far the two searches lie apart, seconds
of the processor and by the clock a step of each, and their ratios; then the page's weight before and after Start, and
the seconds from Start to the first picture and of a whole search. Other jobs on the machine lengthen times by the clock
and hardly those of the processor: compare ratios. What was measured stands in book/live/NOTES.md.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from live_browser import live_script, missing, opened, write_engine_page  # noqa: E402
from live_search import STAGES, Pair, by_browser, by_library, shortened  # noqa: E402

from rusr_core import priors  # noqa: E402
from rusr_core.commands.ending import ended  # noqa: E402
from rusr_core.commands.options import step_count  # noqa: E402

used, spent, table = (getattr(live_script("status"), name) for name in ("used", "spent", "table"))


def searches(folder: Path, letters: Sequence[str], steps: int, phases: int) -> None:
    """A row for each task: the same search by both, one after the other."""
    prior, preset = priors.load_prior(priors.EMBEDDED), shortened(steps, phases)
    print("| task | steps, library's | PSNR | losses | page: CPU, clock | library: CPU, clock | times CPU, clock |")
    print("|---|---|---|---|---|---|---|")
    with opened() as driver:
        driver.get(write_engine_page(folder))
        by_browser(driver, letters[0], shortened(1, phases))  # both are warm
        by_library(prior, letters[0], shortened(1, phases))
        for letter in letters:
            with spent(lambda: used(driver)) as page:
                found = by_browser(driver, letter, preset)
            with spent(time.process_time) as library:
                expected = by_library(prior, letter, preset)
            print(row(letter, Pair(found, expected), page, library), flush=True)


def row(letter: str, both: Pair, page: Sequence[float], library: Sequence[float]) -> str:
    """What is printed of a task."""
    steps = sum(phase["steps"] for phase in both.found["phases"]), sum(phase.steps[0] for phase in both.expected.phases)
    each = [[1000 * seconds / n for seconds in part] for part, n in zip((page, library), steps, strict=True)]
    cells = [letter, f"{steps[0]}, {steps[1]}", f"{both.difference:+.2f} dB"]
    cells.append(f"first {both.off[:3].max():.0e}, median {np.median(both.off):.0e}, largest {both.off.max():.0e}")
    cells += [f"{cpu:.0f}, {clock:.0f} ms" for cpu, clock in each]
    cells.append(", ".join(f"{mine / theirs:.1f}" for mine, theirs in zip(*each, strict=True)))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=step_count, default=30, help="of each phase (default: %(default)s)")
    parser.add_argument("--phases", type=int, default=2, choices=(1, 2, 3), help="W, W+, W++ (default: %(default)s)")
    parser.add_argument("--tasks", nargs="+", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--only", choices=("page", "searches"), help="the one half or the other")
    args = parser.parse_args()
    reason = missing()
    if reason:
        parser.error(reason)
    torch.set_num_threads(1)
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(f"load average {os.getloadavg()[0]:.1f} at the beginning", flush=True)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "live"
        live_script("pack").pack(folder)
        if args.only != "searches":
            print(table(folder), flush=True)
        if args.only != "page":
            searches(folder, args.tasks, args.steps, args.phases)
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    sys.exit(ended(main))
