"""Does a sweep survive? 60 small units, killed with SIGKILL again and again, resumed each time.

    python -m benchmarks.kill --rounds 50                     one process
    python -m benchmarks.kill --rounds 10 --workers 2         worker processes; the parent or a worker is killed
    python -m benchmarks.kill --rounds 10 --workers 2 --scheduler local     a Dask cluster; the same
    python -m benchmarks.kill --rounds 10 --methods pulse pti               compared methods in place of both presets

At the end every unit must be there once, with the pixels and scores of an undisturbed run, and none that was whole when
a run was killed may have been written again.
"""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from rusr_core import baselines, presets
from rusr_core.checkpoints import save_generator, save_portrait_net
from rusr_core.commands.ending import ended
from rusr_core.commands.options import processes, whole
from rusr_core.files import data_path
from rusr_core.generator import Generator, GeneratorConfig
from rusr_core.images import load_image, resize, save_image
from rusr_core.limits import MAX_COUNT
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from rusr_core.sweeps import Method, SweepConfig, SweepPlan, parse_tasks, results, run
from rusr_core.sweeps.storage import read_record
from rusr_core.sweeps.workers import PRELOADED


def main() -> int:
    """Command line; -> the exit status: 0 if nothing was lost, changed or done twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=whole(0, MAX_COUNT), default=50, help="kills")
    parser.add_argument("--workers", type=processes, default=1)
    parser.add_argument("--scheduler")
    parser.add_argument("--methods", nargs=2, default=list(presets.PRESETS), help="two, of two steps each")
    args = parser.parse_args()
    plan = small_plan(methods=tuple(args.methods))
    options = {"workers": args.workers, "scheduler": args.scheduler}
    with tempfile.TemporaryDirectory() as folder:
        calm, harsh = (world(Path(folder), name, args.methods) for name in ("calm", "harsh"))
        begun = time.monotonic()
        run(calm, plan)
        print(f"undisturbed: {len(plan)} units in {time.monotonic() - begun:.1f} s", flush=True)
        kills, victims, starts, again = harass(harsh, plan, args.rounds, options)
        same = pixels(calm) == pixels(harsh)
        found = len(results.rows(harsh.folder))
        left = len(list(harsh.folder.rglob("*.tmp")))
        print(f"{kills} kills ({victims} of them of a worker), {starts} starts; {found} units, {left} temporary files")
        print(f"{again} whole units written again")
        good = same and found == len(plan) and not again
        print("identical to the undisturbed run" if good else "DIFFERENT")
    return 0 if good else 1


def harass(config: SweepConfig, plan: SweepPlan, rounds: int, options: dict) -> tuple[int, int, int, int]:
    """Start the sweep and kill it, `rounds` times, and let it end -> kills, of workers, starts, units done twice."""
    spawner = multiprocessing.get_context("forkserver")  # torch is imported once for all rounds
    spawner.set_forkserver_preload(PRELOADED)
    moments, kills, starts, victims, again = random.Random(0), 0, 0, 0, 0
    while True:
        whole = moments_of(config)
        child = spawner.Process(target=run, args=(config, plan), kwargs=options)
        child.start()
        starts += 1
        while kills < rounds and child.exitcode is None and done(config) == len(whole) < len(plan) - 1:
            time.sleep(0.01)  # each run is to get something done, so that kills fall into the work
        if kills < rounds and child.exitcode is None:
            child.join(moments.uniform(0, 0.3))
        if kills >= rounds:
            child.join()
        ended, killed = child.exitcode, child.exitcode is None
        if killed:
            victims += kill(child.pid, moments)
            kills += 1
            child.join()
        now = moments_of(config)
        again += sum(now[path] != moment for path, moment in whole.items())
        if not killed and kills < rounds and done(config) == len(plan):
            thin(config, plan, moments)
        elif not killed and (ended == 0 or kills >= rounds):
            return kills, victims, starts, again


def small_plan(seeds: int = 2, methods: tuple[str, ...] = tuple(presets.PRESETS)) -> SweepPlan:
    """30 units a seed with two methods, on the images of `world`."""
    names = tuple(f"{i:03d}" for i in range(5))
    tasks = parse_tasks(["denoising:M", "inpainting:S", "deartifacting:M"])
    return SweepPlan(methods, tasks, names, tuple(range(seeds)))


def world(folder: Path, name: str, methods: Sequence[str] = tuple(presets.PRESETS)) -> SweepConfig:
    """A small random prior, a small judge, five images of 32 px; each method takes two steps."""
    if not (folder / "images").exists():
        (folder / "images").mkdir()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = GeneratorConfig(resolution=32, channels=(12, 12, 8, 6), z_dim=16, w_dim=20, mapping_layers=2)
            save_generator(Generator(config).eval(), folder / "prior.safetensors", {"w_std": "12.0"})
            save_portrait_net(PortraitNet(PortraitNetConfig((8, 8, 8, 8), 8, 32, 2)), folder / "judge.safetensors")
        for i in range(5):
            image = load_image(data_path(f"portraits/test/{i:03d}.png"))
            save_image(resize(image, 32), folder / "images" / f"{i:03d}.png")
    chosen = tuple(Method(word, baselines.find(word, 2)) for word in methods)
    files = {"prior": str(folder / "prior.safetensors"), "judge": str(folder / "judge.safetensors")}
    return SweepConfig(folder / name, chosen, folder / "images", perceptual="portraits", **files)


def moments_of(config: SweepConfig) -> dict[Path, int]:
    """When each result that is there was written, in ns."""
    return {path: path.stat().st_mtime_ns for path in (config.folder / "units").glob("*/*/[0-9]*.png")}


def done(config: SweepConfig) -> int:
    """Results that are there."""
    return len(moments_of(config))


def thin(config: SweepConfig, plan: SweepPlan, moments: random.Random) -> None:
    """Take 40 results away again, so that there is work for more rounds."""
    for path in moments.sample(sorted((config.folder / "units").glob("*/*/[0-9]*.png")), 40):
        path.unlink()


def kill(pid: int, moments: random.Random) -> int:
    """SIGKILL to the run, or to one of its workers in half the cases; -> 1 if it was a worker."""
    parent = psutil.Process(pid)
    started = [(p, " ".join(p.cmdline())) for p in parent.children(recursive=True)]
    workers = [p for p, words in started if "spawn_main" in words]  # Dask's
    workers += [p for server, words in started if "forkserver" in words for p in server.children()]
    if workers and moments.random() < 0.5:
        moments.choice(workers).kill()
        return 1
    parent.kill()
    return 0


def pixels(config: SweepConfig) -> dict:
    """Pictures and scores by unit."""
    found = {}
    for result in results.read(config.folder):
        record = read_record(result.path)
        record.pop("run")
        found[str(result.path.relative_to(config.folder))] = record, load_image(result.path).numpy().tobytes()
    return found


if __name__ == "__main__":
    sys.exit(ended(main))
