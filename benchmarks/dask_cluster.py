"""Units on a Dask cluster of this machine: throughput of two workers against one, overhead a unit, and kills.

    python -m benchmarks.dask_cluster

1. The same sweep by 1 and by 2 workers of one thread: the ratio of their throughputs.
2. A sweep of units that take no time: what Dask, the folder and the bookkeeping cost a unit.
3. The scheduler is killed with SIGKILL in the middle of a sweep and started again; the sweep is resumed. Then a
   worker. Every unit must be there once, with the pixels of an undisturbed run.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rusr_core import presets
from rusr_core.commands.ending import ended
from rusr_core.prior import Prior, prior_shape
from rusr_core.restore import Restoration
from rusr_core.sweeps import Method, SweepConfig, SweepPlan, results, run

from .kill import done, pixels, small_plan, world

PORT = 18786
ADDRESS = f"tcp://127.0.0.1:{PORT}"


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen]:
    """`dask WORDS` in its own session, killed at the end."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    child = subprocess.Popen([sys.executable, "-m", "dask", *words], **quiet)
    try:
        yield child
    finally:
        kill(child)


def kill(child: subprocess.Popen) -> None:
    """SIGKILL to a process and its children."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def scheduler() -> tuple[str, ...]:
    return ("scheduler", "--host", "127.0.0.1", "--port", str(PORT), "--no-dashboard")


def worker() -> tuple[str, ...]:
    return ("worker", ADDRESS, "--nthreads", "1", "--no-dashboard", "--nanny")


def timed(config: SweepConfig, plan: SweepPlan, workers: int) -> float:
    """Seconds of a sweep by `workers` workers that have already loaded everything."""
    with process(*scheduler()):
        time.sleep(3)
        with ExitStack() as stack:
            for _ in range(workers):
                stack.enter_context(process(*worker()))
            warm = replace(plan, seeds=(99,))
            run(replace(config, folder=config.folder.with_name(f"warm{workers}")), warm, scheduler=ADDRESS)
            begun = time.perf_counter()
            assert run(config, plan, scheduler=ADDRESS).ok
            return time.perf_counter() - begun


def interrupted(config: SweepConfig, plan: SweepPlan, victim: str) -> str:
    """Kill the scheduler or a worker in the middle of a sweep, start it again, resume. -> what happened."""
    command = [sys.executable, "-m", "benchmarks.dask_cluster", "--sweep", str(config.folder)]
    with process(*scheduler()) as first:
        with process(*worker()) as one, process(*worker()):
            time.sleep(3)
            sweep = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while done(config) < len(plan) // 4 and sweep.poll() is None:
                time.sleep(0.02)
            kill(first if victim == "scheduler" else one)
            at = done(config)
            try:
                status = sweep.wait(60)
            except subprocess.TimeoutExpired:
                sweep.kill()
                status = "hung for 60 s, killed"
    after = done(config)
    with process(*scheduler()), process(*worker()), process(*worker()):
        time.sleep(3)
        assert run(config, plan, scheduler=ADDRESS).ok
    what = f"run ended with {status} at {after}, resumed to {done(config)}"
    return f"{victim} killed at {at} of {len(plan)} units, {what}"


def nothing(prior: Prior, y: Tensor, f: object, *, seed=0, callback=None) -> Restoration:
    """A method that takes no time: a grey picture."""
    return Restoration(torch.full(prior_shape(prior, len(y)), 0.5), 0.0, [0] * len(y), seed, "nothing")


def main() -> int:
    """Command line; -> the exit status: 0 if nothing was lost or changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", type=Path, help="run the kill test's sweep in this folder (used by the test itself)")
    args = parser.parse_args()
    if args.sweep is not None:
        summary = run(world(args.sweep.parent, args.sweep.name), small_plan(), scheduler=ADDRESS)
        return 0 if summary.ok else 1
    torch.set_num_threads(1)  # as Dask's workers: the number of threads changes the last bits
    with tempfile.TemporaryDirectory() as folder:
        calm = world(Path(folder), "calm")
        plan = small_plan()
        run(calm, plan)
        long = tuple(Method(m, presets.get(m).shortened(40)) for m in ("default", "cvpr2023"))
        one, two = (
            timed(replace(calm, folder=Path(folder) / f"by{n}", methods=long), small_plan(1), n) for n in (1, 2)
        )
        print(f"30 units of 120 steps: {one:.1f} s by one worker, {two:.1f} s by two, {one / two:.2f}", flush=True)
        nobody = (Method("nothing", "benchmarks.dask_cluster:nothing"),)
        empty = replace(calm, methods=nobody, folder=Path(folder) / "empty")
        short = replace(small_plan(10), methods=("nothing",))
        seconds = timed(empty, short, 1)
        print(f"{len(short)} units of no work by one worker: {1000 * seconds / len(short):.0f} ms a unit", flush=True)
        all_good = True
        for victim in ("scheduler", "worker"):
            config = world(Path(folder), victim)
            print(interrupted(config, plan, victim), flush=True)
            same = pixels(config) == pixels(calm) and len(results.rows(config.folder)) == len(plan)
            print("identical to the undisturbed run" if same else "DIFFERENT", flush=True)
            all_good = all_good and same
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(ended(main))
