"""What a restoration costs with each method: generator passes, seconds of one core, memory.

    python -m benchmarks.costs                          print the table
    python -m benchmarks.costs --write                  put it into benchmarks/README.md, in place of the one there
    python -m benchmarks.costs --methods pti default    these methods; without --write, which needs all
    python -m benchmarks.costs --keep costs.json        keep each row; given again, it measures what is missing
                                                        (`data/results/costs/costs.json` is what the book reads)

One portrait, inpainting M, each method in a process of its own with one thread. Two short runs give what the start and
what a step costs, and so the published number of steps; nothing is taken off for a search that may stop early. Seconds
are those that the processor worked, not those that passed: other jobs beside hardly count, but the caches that they
share do. Measure on an idle machine. A pass is one picture by the generator's last block, with its way back or without
it; for diffusion methods it is one look of the denoiser.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.resuming import noted
from rusr_core import baselines, priors, tasks
from rusr_core.baselines.tuned import prior_of
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError
from rusr_core.files import check_writable, data_path, write_atomic
from rusr_core.generator import Generator
from rusr_core.images import load_image
from rusr_core.presets import PRESETS
from rusr_core.prior import DiffusionPrior, Prior
from rusr_core.priors.diffusion import denoiser_beside
from rusr_core.priors.zoo import ZooError
from rusr_core.restore import restore
from rusr_core.sweeps.provenance import process_peak_memory, provenance

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"
LENGTHS = {"na_nhmc": (4, 8), "pti": (16, 32), "ddrm": (10, 20), "dps": (10, 20), "daps": (10, 20)}
SETTINGS = {"na_nhmc": {"samples": 1}, "pti": {"enough": 0.0}}  # so that a short run is one, and no run stops early


def numbers(how: object) -> int | None:
    """The steps that a method takes at most, None for one without steps."""
    if hasattr(how, "phases"):
        return sum(phase.steps for phase in how.phases)
    return how.settings.get("steps")


def shortened(name: str, steps: int) -> object:
    """The method with so many steps (a preset: in each phase)."""
    if name in PRESETS:
        return baselines.find(name, steps)
    return baselines.METHODS[name].configured(steps=steps, **SETTINGS.get(name, {}))


def once(name: str, how: object, generator: Generator, prior: Prior | DiffusionPrior, x: Tensor) -> dict:
    """One restoration of an image x that was painted over: steps, passes, seconds of the processor, MB at most.

    `generator` is the one that is counted, `prior` what the method restores with.
    """
    seen = []
    last = getattr(generator.synthesis, generator.synthesis.names[-1])
    counter = last.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[2][0])))
    f = tasks.get("inpainting", "M")
    y = f.degrade(x, torch.Generator().manual_seed(0))
    begun = time.process_time()
    result = restore(prior, y, f, preset=how) if name in PRESETS else how.restore(prior, y, f)
    seconds, memory = time.process_time() - begun, process_peak_memory()
    counter.remove()
    passes = result.info.get("network_passes", sum(seen))
    found = {"steps": result.steps[0], "passes": passes, "seconds": seconds}
    return found | {"memory": None if memory is None else memory / 2**20}


def alone(name: str, file: str, image: str) -> dict:
    """The row of a method, found in a process that does nothing else, with one thread."""
    torch.set_num_threads(1)
    prior, how, x = priors.load_prior(file), baselines.find(name), load_image(image)
    used = denoiser_beside(prior, file) if prior_of(how) == "diffusion" else prior
    if numbers(how) is None:
        return once(name, how, prior.generator, used, x) | {"per step": None}
    each = [shortened(name, steps) for steps in LENGTHS.get(name, (5, 20))]
    once(name, each[0], prior.generator, used, x)  # torch's own start is not counted
    short, long = (once(name, one, prior.generator, used, x) for one in each)
    return line(short, long, numbers(how))


def line(short: dict, long: dict, steps: int) -> dict:
    """From two runs the cost of `steps` steps."""
    more = long["steps"] - short["steps"]
    each = {key: (long[key] - short[key]) / more for key in ("passes", "seconds")}
    whole = {key: long[key] + each[key] * (steps - long["steps"]) for key in each}
    return {"steps": steps, "per step": each["seconds"], "memory": long["memory"]} | whole


def cost(name: str, file: str, image: str) -> dict:
    """The row of a method, with the prior in a file or of that name."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(alone, name, file, image).result()


def table(rows: dict[str, dict]) -> str:
    """The rows as markup, the cheapest first."""
    head = ("method", "steps at most", "passes", "seconds of one core", "of a step", "peak memory, MB")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, row in sorted(rows.items(), key=lambda item: item[1]["seconds"]):
        step = "" if row["per step"] is None else f"{row['per step']:.3f}"
        memory = "" if row["memory"] is None else f"{row['memory']:.0f}"
        cells = (f"`{name}`", row["steps"], round(row["passes"]), f"{row['seconds']:.1f}", step, memory)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def written(text: str, page: str) -> str:
    """The page with the text between its two marks. CommandError if it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise CommandError(f"expected {BEGIN} and {END} in the page")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main() -> int:
    """Command line; -> the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(baselines.names()))
    parser.add_argument("--prior", default=priors.EMBEDDED)
    parser.add_argument("--keep", type=Path, help="JSON file of the rows, which grows")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    args = parser.parse_args()
    page = written("", README.read_text(encoding="utf-8")) if args.write else ""
    if args.keep:
        check_writable(args.keep, force=True)
    rows = noted(args.keep, prior=args.prior) if args.keep else {}
    for name in args.methods:  # names that are none, before the work
        baselines.find(name)
    if args.write and (left := [name for name in baselines.names() if name not in (*args.methods, *rows)]):
        parser.error(f"--write needs all methods, and {', '.join(left)} are missing")
    image = str(data_path("portraits/test/000.png"))
    here = provenance(torch.device("cpu"), torch.float32, "exact") | {
        "threads": 1,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    origin = {key: here[key] for key in ("commit", "device_name", "threads", "torch", "date")}
    for name in (word for word in args.methods if word not in rows):
        try:
            rows[name] = {"prior": args.prior} | cost(name, args.prior, image) | origin
        except ZooError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        print(name, rows[name], flush=True)
        if args.keep:
            write_atomic(args.keep, json.dumps(rows, indent=1).encode())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    day, cores = f"{datetime.now(UTC):%Y-%m-%d}", f"{platform.machine()}, {os.cpu_count()} cores"
    about = f"Measured by `benchmarks.costs` on {day}, torch {torch.__version__}, {cores}, load at the end {load:.0f}."
    text = f"{about}\n\n{table(rows)}"
    print(text)
    if args.write:
        write_atomic(README, written(text, page).encode())
    return 0


if __name__ == "__main__":
    sys.exit(ended(main))
