"""The next thing on the list for a GPU (benchmarks/GPU.md), within a time limit; given again, it goes on.

    python -m benchmarks.gpu OUT --minutes 12                the next items, in the list's order
    python -m benchmarks.gpu OUT --minutes 12 --only check   these items
    python -m benchmarks.gpu OUT --device cpu --tiny         all items on a CPU with tiny sizes: does the script work?

`OUT/gpu.json` says what is done and what was found. Where a machine's disk is lost at the end, keep OUT and put it
back before the next start. Exit status 0: everything asked for is done; 3: time is up, start it again; 1: something
failed, the file says what, and the next start tries it again.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from benchmarks import device_check, step_1024
from benchmarks.kill import world
from benchmarks.resuming import noted
from benchmarks.sharing import sharing
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError, device_of
from rusr_core.files import write_atomic
from rusr_core.limits import check_positive

ROOT = Path(__file__).resolve().parents[1]
STATE = "gpu.json"
GRACE = 20.0  # s before the end of the time limit at which programs are asked to stop
CONTINUE = 3  # exit status: time is up


class TimeIsUpError(Exception):
    """An item is not finished; it goes on at the next start."""


@dataclass
class Run:
    """One start of the script."""

    out: Path
    device: str
    tiny: bool
    deadline: float  # of time.monotonic()
    state: dict

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def save(self) -> None:
        write_atomic(self.out / STATE, (json.dumps(self.state, indent=1) + "\n").encode())

    def parts(self, item: str, steps: dict[str, Callable[[], list[dict]]], longest: float) -> dict[str, list[dict]]:
        """Do the steps of an item that are not done, each `longest` seconds at most; -> what all of them found."""
        found = self.state[item].setdefault("found", {})
        for name, step in steps.items():
            if name in found:
                continue
            if self.left() < longest:
                raise TimeIsUpError
            found[name] = step()
            for line in found[name]:
                print(f"{name}: {line['check']}: {line['value']} ({line['bound']})", flush=True)
            self.save()
        return found

    def program(self, item: str, *words: object) -> None:
        """Run a program that resumes when it is started again. Raises TimeIsUpError, RuntimeError if it fails."""
        if self.left() < 2 * GRACE:
            raise TimeIsUpError
        (self.out / "logs").mkdir(exist_ok=True)
        path = self.out / "logs" / f"{item}.log"
        command = [sys.executable, "-m", *map(str, words)]
        with open(path, "a", encoding="utf-8") as log:
            print("$", *command[1:], file=log, flush=True)
            options = {"stdout": log, "stderr": subprocess.STDOUT, "start_new_session": True, "cwd": ROOT}
            child = subprocess.Popen(command, **options)
            try:
                status = child.wait(max(self.left() - GRACE, 1))
            except subprocess.TimeoutExpired:
                raise TimeIsUpError from None
            finally:
                _stop(child)
        if status:
            last = path.read_text(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"{words[0]} ended with {status}: {''.join(last)}; see {path}")


def _stop(child: subprocess.Popen) -> None:
    """End a program and the processes that it started, at first politely."""
    for number, seconds in ((signal.SIGINT, 10), (signal.SIGKILL, 5)):
        if child.poll() is not None:
            break
        os.killpg(child.pid, number)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def check(run: Run) -> None:
    """(a) The device check: two minutes on a large GPU."""
    bench = device_check.Bench.of(run.device, run.out, run.tiny)
    steps = {name: lambda one=one: one(bench) for name, one in device_check.CHECKS.items()}
    found = run.parts("check", steps, 1 if run.tiny else 90)
    bad = [line["check"] for lines in found.values() for line in lines if not line["ok"]]
    if bad:
        run.state["check"].pop("found")  # measured anew at the next start
        raise RuntimeError(f"out of bounds: {'; '.join(bad)}")


def prior(run: Run) -> None:
    """(b) More of the adversarial stage for the shipped generator, for half of the time that is left; the result stays
    in OUT/prior until somebody installs it. Tiny: only the first program of it, on one person.
    """
    work = run.out / "prior"
    if run.tiny:
        program = "tools.portraits.training.render_training_set"
        run.program("prior", program, work / "data", "--identities", 1, "--views", 1, "--processes", 1)
        return
    seconds = ("--seconds", round(run.left() / 2))
    run.program("prior", "tools.portraits.make", "--work", work, "--device", run.device, "--sharpen-shipped", *seconds)


def _tiny(run: Run, name: str) -> tuple:
    """Words for a tiny prior, its judge and its images."""
    tiny = world(run.out, name)
    return ("--prior", tiny.prior, "--judge", tiny.judge, "--perceptual", "portraits", "--images", tiny.images)


def recordings(run: Run) -> None:
    """(c) The recorded results: 31 tasks, both presets, twenty portraits."""
    size = ("--tasks", "upsampling:XS", "--steps", 1) if run.tiny else ()
    _sweep(run, "recordings", ("--num-images", 2 if run.tiny else 20, "--batch", 2 if run.tiny else 20, *size))


def ablation(run: Run) -> None:
    """(d) The ablation, with upsampling at a level where LPIPS acts at 128 px."""
    if run.tiny:
        _sweep(run, "ablation", ("--methods", "W", "--tasks", "upsampling:XS", "--num-images", 2, "--steps", 1), False)
        return
    tasks = ("upsampling:S", "UNAP", "denoising:M", "deartifacting:M", "inpainting:M")
    words = ("--methods", "variants", "--tasks", *tasks, "--num-images", 10, "--batch", 10)
    _sweep(run, "ablation", words, False)


def _sweep(run: Run, name: str, words: tuple, sheets: bool = True) -> None:
    """A sweep into OUT/NAME, and its recording in OUT/NAME-recording when it is complete."""
    sweep, network = run.out / name, _tiny(run, name) if run.tiny else ()
    workers = () if run.device == "cpu" else ("--workers", len(os.sched_getaffinity(0)))
    run.program(name, "rusr_core", "bench", sweep, "--device", run.device, *workers, *network, *words)
    options = () if sheets else ("--no-sheets",)
    options = (*options, "--no-realism") if run.tiny else options
    run.program(name, "benchmarks.record", sweep, run.out / f"{name}-recording", *options)


def speed(run: Run) -> None:
    """(e) Seconds a restoration and memory, alone and in batches of twenty."""
    bench = device_check.Bench.of(run.device, run.out, run.tiny)
    run.parts("speed", device_check.speeds(bench, (1,) if run.tiny else (1, 20)), 1 if run.tiny else 60)


def denoiser(run: Run) -> None:
    """(f) The denoiser of the portraits, the diffusion rivals' prior, on a training set of its own; measured at the
    end. The results stay in OUT/denoiser until somebody installs them. Tiny: two steps on pictures of noise.
    """
    work, device = run.out / "denoiser", ("--device", run.device)
    data, weights = work / "data", work / "denoiser.safetensors"
    size = ("--batch", 256, "--images", 4_000_000, "--flat-images", 500_000, "--log-every", 200_000)
    out = ("--out", work / "measured.json", "--sheet", work / "samples.png", "--samples", 5_000)
    if run.tiny:
        data.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(256, size=(50, 1, 3, 128, 128), dtype=np.uint8)
        np.save(data / "images.npy", noise)
        size, out = ("--batch", 2, "--images", 4), ("--out", work / "measured.json", "--held-out", 2, "--samples", 0)
    else:
        rendering = "tools.portraits.training.render_training_set"
        run.program("denoiser", rendering, data, "--identities", 40_000, "--views", 4, *device)
    run.program("denoiser", "tools.portraits.training.train_denoiser", "--data", data, "--out", work, *device, *size)
    run.program("denoiser", "tools.portraits.evaluate_denoiser", weights, "--data", data, *device, *out)


def at_1024(run: Run) -> None:
    """(g) Seconds and memory of one search step in each phase at 1024 px, with StyleGAN2, StyleGAN3 and StyleGAN-XL."""
    size = (32, 64) if run.tiny else (step_1024.SIDE, 1)

    def measured(kind: str, task: str) -> list[dict]:
        found: list[dict] = []
        prior = step_1024.random_prior(kind, run.device, *size)
        for _ in range(2):  # the first warms up
            found.clear()
            step_1024.steps(prior, task, "XS" if run.tiny else "M", "cvpr2023", found.append)
        return [
            device_check.row(f"{one['phase']}, {name}", one[key], "none", True)
            for one in found
            for name, key in (("seconds", "seconds"), ("peak memory, GB", "peak_gb"))
        ]

    pairs = [(kind, task) for kind in step_1024.GENERATORS for task in ("upsampling", "inpainting")]
    pairs = pairs[:1] + pairs[2:3] if run.tiny else pairs
    run.parts("at_1024", {f"{k}, {t}": lambda k=k, t=t: measured(k, t) for k, t in pairs}, 1 if run.tiny else 60)


def blind(run: Run) -> None:
    """(h) What it costs not to know f: known, estimated, blind and wrong, six cases, eight portraits."""
    size = ("--cases", "photons", "--preset", "default@1", "--num-images", 1) if run.tiny else ("--batch", 8)
    run.program("blind", "benchmarks.blind", run.out / "blind", "--device", run.device, *size)


def calibration(run: Run) -> None:
    """(i) How often the truth lies where four answers say, twenty portraits."""
    size = ("--preset", "default@1", "--samples", 2, "--num-images", 1) if run.tiny else ("--batch", 20)
    run.program("calibration", "benchmarks.calibration", run.out / "calibration", "--device", run.device, *size)


def beats_nothing(run: Run) -> None:
    """(j) Whether each compared method, with its published setting, beats doing nothing; the log says it."""
    size = ("--num-images", 8, "--batch", 8, "--workers", 6)
    if run.tiny:
        size = (*_tiny(run, "beats_nothing"), "--methods", "pulse", "--level", "S", "--steps", 1, "--num-images", 1)
    run.program("beats_nothing", "benchmarks.beats_nothing", run.out / "beats_nothing", "--device", run.device, *size)


def one_setting(run: Run) -> None:
    """(k) The experiment of one setting: all 31 tasks, 100 portraits. Tiny: two methods on one task."""
    words: tuple = ("--tasks", "all", "--num-images", 100, "--batch", 20, "--workers", 16)
    if run.tiny:
        tiny, tested = world(run.out, "one_setting"), run.out / "tested"
        tested.mkdir(exist_ok=True)
        shutil.copy(tiny.images / "004.png", tested)
        words = ("--prior", tiny.prior, "--judge", tiny.judge, "--perceptual", "portraits", "--images", tested)
        words += ("--images-to-tune", tiny.images, "--tasks", "upsampling:XS", "--tasks-of-one", "upsampling:XS")
        words += ("--methods", "nothing", "classical", "--num-images", 1, "--portraits", 2, "--trials", 2)
    run.program("one_setting", "benchmarks.one_setting", run.out / "one_setting", "--device", run.device, *words)


ITEMS: dict[str, Callable[[Run], None]] = {
    item.__name__: item
    for item in (check, prior, recordings, ablation, speed, denoiser, at_1024)
    + (blind, calibration, beats_nothing, one_setting)
}


def go_on(run: Run, names: list[str]) -> int:
    """Do what is not done, as long as there is time; -> the exit status."""
    failed = False
    for name in names:
        about = run.state.setdefault(name, {"status": "waiting", "seconds": 0, "tiny": run.tiny})
        if about["status"] == "done":
            continue
        begun = time.monotonic()
        try:
            ITEMS[name](run)
            about["status"], about["at"] = "done", datetime.now(UTC).isoformat(timespec="seconds")
            about.pop("error", None)
        except TimeIsUpError:
            about["status"] = "begun"
            print(f"{name}: time is up; the same command goes on", flush=True)
            return CONTINUE
        except Exception as error:  # the next item may do
            about["status"], about["error"], failed = "failed", f"{type(error).__name__}: {error}", True
            print(f"{name}: {about['error']}", flush=True)
        finally:
            about["seconds"] = round(about["seconds"] + time.monotonic() - begun, 1)
            about["device"] = torch.cuda.get_device_name() if run.device.startswith("cuda") else "cpu"
            run.save()
    return 1 if failed else 0


def main(words: list[str] | None = None) -> int:
    """Command line; -> the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--only", nargs="+", choices=tuple(ITEMS), default=list(ITEMS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, which show that the script works")
    args = parser.parse_args(words)
    check_positive("--minutes", args.minutes, CommandError)
    out, device = args.out.absolute(), device_of(args.device)
    out.mkdir(parents=True, exist_ok=True)
    state = noted(out / STATE, tiny=args.tiny)
    run = Run(out, device, args.tiny, time.monotonic() + 60 * args.minutes, state)
    with sharing(out / "mps") if device.startswith("cuda") else nullcontext():
        return go_on(run, [name for name in ITEMS if name in args.only])


if __name__ == "__main__":
    sys.exit(ended(main))
