"""How long a large sweep takes to plan and to resume, and how much memory: 100,000 units, restorations stubbed.

    python -m benchmarks.plan

"plan": list the units and find that none is done. "resume": the same with all results but the last 1000 there, each
file read and its checksums compared, as `rusr bench` does when it starts. The results are stubs: 2 x 2 px with a real
record, written without waiting for the disk; their writing is not measured.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.sweeps import storage
from rusr_core.sweeps.plan import SweepPlan, WorkUnit
from rusr_core.sweeps.provenance import peak_memory, provenance
from rusr_core.sweeps.work import remaining


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500, help="times 10 methods and 20 tasks (default: %(default)s)")
    args = parser.parse_args()
    methods = tuple(f"method{i}" for i in range(10))
    plan = SweepPlan(methods, tasks.SINGLE, tuple(f"{i:05d}" for i in range(args.images)))
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        left = remaining(Path(folder), plan)
        print(f"units {len(plan)}; plan {time.perf_counter() - begun:.1f} s", flush=True)
        os.fsync = lambda fd: None
        origin, image = provenance(torch.device("cpu")), torch.rand(1, 3, 2, 2)
        for batch in left[:-1000]:
            for unit in batch.units:
                storage.write_result(Path(folder) / unit.path, image, stub(unit, origin))
        size = (Path(folder) / left[0].units[0].path).stat().st_size
        begun = time.perf_counter()
        left = remaining(Path(folder), plan)
        print(f"left {len(left)} of results of {size} bytes; resume {time.perf_counter() - begun:.1f} s")
    print(f"peak memory {peak_memory() / 2**20:.0f} MB")


def stub(unit: WorkUnit, origin: dict) -> dict:
    """A record of the usual size."""
    scores = dict.fromkeys(("lpips", "fidelity", "psnr", "ssim", "lpips_optimised", "identity"), 0.123456789)
    named = {"method": unit.method, "task": str(unit.task), "image": unit.image, "seed": unit.seed}
    return named | {"scores": scores, "run": origin}


if __name__ == "__main__":
    main()
