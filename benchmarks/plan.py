"""How long a large sweep takes to plan and to resume, and how much memory: 100,000 units, restorations stubbed.

    python -m benchmarks.plan [--images 500] [--side 2]

"plan": list the units and find that none is done. "first start": the same with all results but the last 1000 there,
none of which has a stamp, so that each file is read whole and its checksums are compared. "next start": the same again,
with stamps, as `rusr bench` finds its own results. The results are stubs: random pixels with a record of the usual
size, written without waiting for the disk; their writing is not measured.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.commands.ending import ended
from rusr_core.commands.options import side, whole
from rusr_core.limits import MAX_COUNT
from rusr_core.sweeps import SweepPlan, storage
from rusr_core.sweeps.plan import WorkUnit
from rusr_core.sweeps.prepare import remaining
from rusr_core.sweeps.provenance import process_peak_memory, provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", type=whole(6, MAX_COUNT), default=500, help="times 10 methods and 20 tasks (default: %(default)s)"
    )
    parser.add_argument("--side", type=side, default=2, help="of the results in pixels (default: %(default)s)")
    args = parser.parse_args()
    methods = tuple(f"method{i}" for i in range(10))
    plan = SweepPlan(methods, tasks.SINGLE, tuple(f"{i:05d}" for i in range(args.images)))
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        left = remaining(Path(folder), plan)
        print(f"units {len(plan)}; plan {time.perf_counter() - begun:.1f} s", flush=True)
        os.fsync = lambda fd: None
        origin = provenance(torch.device("cpu"), torch.float32, "exact")
        image = torch.rand(1, 3, args.side, args.side, generator=torch.Generator().manual_seed(0))
        for batch in left[:-1000]:
            for unit in batch.units:
                storage.write_result(Path(folder) / unit.path, image, stub(unit, origin))
        size = (Path(folder) / left[0].units[0].path).stat().st_size
        print(f"results of {size} bytes", flush=True)
        for start in ("first", "next"):
            begun = time.perf_counter()
            left = remaining(Path(folder), plan)
            print(f"left {len(left)}; {start} start {time.perf_counter() - begun:.1f} s", flush=True)
    peak = process_peak_memory()
    print("peak memory unknown" if peak is None else f"peak memory {peak / 2**20:.0f} MB")


def stub(unit: WorkUnit, origin: dict) -> dict:
    """A record of the usual size."""
    scores = dict.fromkeys(("lpips", "fidelity", "psnr", "ssim", "lpips_optimised", "identity"), 0.123456789)
    named = {"method": unit.method, "task": str(unit.task), "image": unit.image, "seed": unit.seed}
    return named | {"scores": scores, "run": origin}


if __name__ == "__main__":
    sys.exit(ended(main))
