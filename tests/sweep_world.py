"""What the tests of sweeps share: a small world, plans, methods that take next to no time, what a folder holds."""

import json
import multiprocessing
import os
import runpy
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from rusr_core import presets
from rusr_core.checkpoints import save_generator, save_portrait_net
from rusr_core.errors import RusrWarning
from rusr_core.files import data_path
from rusr_core.images import load_image, resize, save_image
from rusr_core.restore import Restoration, restore
from rusr_core.sweeps import Method, SweepConfig, SweepPlan, parse_tasks, run
from rusr_core.sweeps.claims import CLAIMS, claim
from rusr_core.sweeps.stamps import STAMPS
from rusr_core.sweeps.storage import read_record
from rusr_core.sweeps.workers import PRELOADED

SPAWNER = multiprocessing.get_context("forkserver")  # one import of torch for all children
SPAWNER.set_forkserver_preload(PRELOADED)

QUICK = (Method("plain", "sweep_world:enlarged"), Method("drawn", "sweep_world:with_noise"))


def build_world(folder: Path) -> Path:
    """A small random prior, a small judge and five clean images of 32 px; -> the folder."""
    from conftest import random_generator, small_portrait_net  # here: children that run methods need no pytest

    save_generator(random_generator(), folder / "prior.safetensors", {"w_std": "12.0"})
    save_portrait_net(small_portrait_net(), folder / "judge.safetensors")
    (folder / "images").mkdir()
    for i in range(5):
        name = f"{i:03d}.png"
        save_image(resize(load_image(data_path(f"portraits/test/{name}")), 32), folder / "images" / name)
    return folder


def config_of(world: Path, out: Path, **options) -> SweepConfig:
    """A sweep of the quick methods in the small world."""
    files = {"prior": str(world / "prior.safetensors"), "judge": str(world / "judge.safetensors")}
    fields = {"methods": QUICK, "images": world / "images", "perceptual": "portraits"} | files
    return SweepConfig(out, **(fields | options))


def presets_of(steps: int = 1) -> tuple[Method, ...]:
    """Both presets, shortened."""
    return tuple(Method(name, presets.get(name).shortened(steps)) for name in ("default", "cvpr2023"))


def plan(num_images: int = 2, seeds: int = 1, names=("denoising:M", "inpainting:S"), **options) -> SweepPlan:
    """Both quick methods on two tasks; `options` replace fields."""
    fields = {"methods": tuple(method.name for method in QUICK), "tasks": parse_tasks(names)}
    fields |= {"images": tuple(f"{i:03d}" for i in range(num_images)), "seeds": tuple(range(seeds))}
    return SweepPlan(**(fields | options))


def sweep() -> SweepPlan:
    """12 units."""
    return plan(3)


def restoration(image: torch.Tensor) -> Restoration:
    """The result of a method without phases."""
    return Restoration(image, 0.0, [0] * len(image), 0, "none")


def enlarged(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A method: y at the prior's resolution."""
    return restoration(resize(y, prior.generator.resolution, "bicubic").clamp(0, 1))


def with_noise(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A method that draws from the seed it is given, the same for each image."""
    shape = (1, 3, prior.generator.resolution, prior.generator.resolution)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return restoration((enlarged(prior, y, f).image + 0.1 * noise).clamp(0, 1))


def several(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A method that draws three samples and returns their mean; of the second image they are equal."""
    drawn = torch.stack([with_noise(prior, y, f, seed=seed + i).image for i in range(3)], 1)
    drawn[1:] = drawn[1:, :1]
    return replace(restoration(drawn.mean(1)), drawn=drawn)


def warns(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A method that says the same of each image."""
    warnings.warn("said of each image", RusrWarning, stacklevel=1)
    return with_noise(prior, y, f, seed=seed)


def slow(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A method that can be killed at work."""
    time.sleep(0.1)  # so long that a busy machine finds it at work
    return with_noise(prior, y, f, seed=seed)


def counted(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A method that leaves a line with its process each time it is called."""
    counts = Path(os.environ["RUSR_TEST_COUNTS"])
    with counts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    expected = int(os.environ["RUSR_TEST_PROCESSES"])
    wait_until(lambda: len(set(counts.read_text().split())) >= expected, f"{expected} processes")
    return slow(prior, y, f, seed=seed)


def fails_sometimes(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A method that cannot do bright images."""
    if y.mean(dim=(1, 2, 3)).max() > float(os.environ["RUSR_TEST_LIMIT"]):
        raise ArithmeticError("too bright\nfor this method")
    return enlarged(prior, y, f)


def always_fails(prior, y, f, *, seed=0, callback=None) -> Restoration:
    return 1 / 0


def interrupted(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """A search that Ctrl-C ends early: it returns what there is."""

    def interrupt(step):
        raise KeyboardInterrupt

    return restore(prior, y, f, preset=presets.get("default").shortened(2), callback=interrupt)


def contents(folder: Path) -> dict[str, tuple]:
    """Every file of a finished folder: records without what differs from run to run, and the pixels."""
    found = {}
    for path in sorted(folder.rglob("*.*")):
        if path.suffix == ".png" and not path.name.startswith("."):
            record = read_record(path)
            assert record is not None, path
            record.pop("run", None)
            found[str(path.relative_to(folder))] = (json.dumps(record), load_image(path).numpy().tobytes())
        elif not path.name.startswith(".") and path.name not in (CLAIMS, STAMPS, "results.csv", "results.parquet"):
            found[str(path.relative_to(folder))] = (path.read_text(), b"")
    return found


def results_in(folder: Path) -> list[Path]:
    return sorted((folder / "units").rglob("[0-9]*.png"))


def counting_run(config: SweepConfig, plan: SweepPlan, counts: Path, threads: int = 1, processes: int = 1) -> None:
    """Run a sweep, in several threads if asked, with a line in the file `counts` for each call of a method.

    No call ends before that many `processes` have each begun one.
    """
    os.environ |= {"RUSR_TEST_COUNTS": str(counts), "RUSR_TEST_PROCESSES": str(processes)}
    run_in_threads(config, plan, threads)


def run_in_threads(config: SweepConfig, plan: SweepPlan, threads: int) -> None:
    """The same sweep in several threads of this process. Exits with status 1 if one of them fails."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        summaries = [future.result() for future in [pool.submit(run, config, plan) for _ in range(threads)]]
    assert all(summary.ok for summary in summaries)


def run_module(words: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
    """`python -m WORDS` in this process, a fork, in a folder; what it prints is added to a file."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


def run_with_errors_in(config: SweepConfig, wanted: SweepPlan, workers: int, log: Path) -> None:
    """A run in this process, a fork, whose workers' errors go to a file, too: they have those of their fork server."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    assert run(config, wanted, workers=workers, threads=1).ok


def hold(folder: Path, name: str) -> None:
    """Hold a claim for a minute; the file "held" says that it is held."""
    with claim(folder, name):
        (folder / "held").touch()
        time.sleep(60)


def wait_for(path: Path) -> None:
    wait_until(path.exists, path)


def wait_until(condition: Callable[[], bool], what: object) -> None:
    """TimeoutError with `what` if the condition does not come true within half a minute."""
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError(what)


def counting_tune(config: SweepConfig, plan: object, counts: Path) -> None:
    """Tune a method, with a line in the file `counts` for each evaluation that begins; it can be killed at work."""
    from rusr_core.sweeps import tuning

    evaluate = tuning.evaluate

    def counted(config: SweepConfig, item: tuning.Evaluation) -> dict[str, list]:
        with counts.open("a") as file:
            file.write(f"{json.dumps(item.method.how.settings, sort_keys=True)} {item.names}\n")
        time.sleep(0.03)
        return evaluate(config, item)

    tuning.evaluate = counted
    try:
        tuning.tune(config, plan)
    finally:
        tuning.evaluate = evaluate


def returns_an_image(prior, y, f, *, seed=0, callback=None) -> torch.Tensor:
    """No method: it returns the image alone."""
    return enlarged(prior, y, f).image


def restores_twice(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """No method: it gives two images for each."""
    return enlarged(prior, y.repeat(2, 1, 1, 1), f)


def counts_no_steps(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """No method: it says nothing of the steps of its images."""
    return Restoration(enlarged(prior, y, f).image, 0.0, [], 0, "none")


def leaves(prior, y, f, *, seed=0, callback=None) -> Restoration:
    """No method: it ends the program."""
    raise SystemExit(3)
