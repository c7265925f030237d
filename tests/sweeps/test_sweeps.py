"""The benchmark: resumed after any death, never mixed, never done twice; what it writes and what it refuses.

The priors here are small and random: what is tested is the bookkeeping, not the pictures. The long kill test (50
rounds, worker processes) is `python -m benchmarks.kill`.
"""

import csv
import errno
import json
import math
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import random_generator

from benchmarks.record import record, write_rows
from rusr_core import commands, presets, restore, tasks
from rusr_core.checkpoints import load_portrait_net, save_generator, save_portrait_net
from rusr_core.errors import RusrError
from rusr_core.files import data_path
from rusr_core.images import load_image, resize, save_image
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from rusr_core.sweeps import results, storage
from rusr_core.sweeps.measurements import ImageFolder, seeds_of
from rusr_core.sweeps.plan import PlanError, SweepPlan, WorkBatch, parse_tasks
from rusr_core.sweeps.storage import StorageError, claim, read_record
from rusr_core.sweeps.work import BenchmarkError, Method, SweepConfig, run_batch
from rusr_core.sweeps.workers import run

SPAWNER = multiprocessing.get_context("forkserver")  # one import of torch for all children
SPAWNER.set_forkserver_preload(["rusr_core.sweeps.workers"])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A folder with a small prior, a small judge and five clean images of 32 px."""
    folder = tmp_path_factory.mktemp("world")
    save_generator(random_generator(), folder / "prior.safetensors", {"w_std": "12.0"})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = PortraitNetConfig(channels=(8, 8, 8, 8), embedding=8, resolution=32, perceptual_levels=2)
        save_portrait_net(PortraitNet(config), folder / "judge.safetensors")
    (folder / "images").mkdir()
    for i in range(5):
        name = f"{i:03d}.png"
        save_image(resize(load_image(data_path(f"portraits/test/{name}")), 32), folder / "images" / name)
    return folder


def methods(steps: int = 1) -> tuple[Method, ...]:
    return tuple(Method(name, presets.get(name).shortened(steps)) for name in ("report", "cvpr2023"))


def config_of(world: Path, out: Path) -> SweepConfig:
    files = {"prior": str(world / "prior.safetensors"), "judge": str(world / "judge.safetensors")}
    return SweepConfig(out, methods(), world / "images", perceptual="portraits", **files)


@pytest.fixture
def config(world, tmp_path) -> SweepConfig:
    return config_of(world, tmp_path / "out")


def plan(num_images: int = 2, seeds: int = 1, names=("denoising:M", "inpainting:S"), **options) -> SweepPlan:
    images = tuple(f"{i:03d}" for i in range(num_images))
    chosen = ("report", "cvpr2023")
    return SweepPlan(chosen, parse_tasks(names), images, tuple(range(seeds)), **options)


def contents(folder: Path) -> dict[str, tuple]:
    """Every file of a finished folder: records without what differs from run to run, and the pixels."""
    found = {}
    for path in sorted(folder.rglob("*.*")):
        if path.suffix == ".png":
            record = read_record(path)
            assert record is not None, path
            record.pop("run", None)
            found[str(path.relative_to(folder))] = (json.dumps(record), load_image(path).numpy().tobytes())
        elif path.name not in (storage.CLAIMS, "results.csv", "results.parquet"):
            found[str(path.relative_to(folder))] = (path.read_text(), b"")
    return found


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory) -> tuple[dict[str, tuple], float]:
    """What the sweep gives when nobody disturbs it, and how long it takes."""
    config = config_of(world, tmp_path_factory.mktemp("calm") / "out")
    begun = time.monotonic()
    assert run(config, sweep()).ok
    return contents(config.folder), time.monotonic() - begun


def sweep() -> SweepPlan:
    """24 units."""
    return plan(3, 2, ("denoising:M", "inpainting:S"))


def test_what_a_sweep_writes(config):
    seen = []
    summary = run(config, plan(), callback=lambda done, planned: seen.append((done, planned)))
    assert (summary.planned, summary.before, summary.failed) == (8, 0, ())
    assert seen == [(i, 8) for i in range(9)]
    rows = results.rows(config.folder)
    assert len(rows) == 8 and len({(r["method"], r["task"], r["image"], r["seed"]) for r in rows}) == 8
    row = next(r for r in rows if (r["method"], r["task"], r["image"]) == ("cvpr2023", "denoising M", "001"))
    result = config.folder / "units/cvpr2023/N-M/001_0.png"
    x, y = load_image(result), load_image(config.folder / "measurements/N-M/001_0.png")
    truth = load_image(config.images / "001.png")
    judge = load_portrait_net(config.judge)
    assert row["lpips"] == pytest.approx(judge.distance(x, truth).item(), rel=1e-4)
    assert row["psnr"] == pytest.approx(-10 * (x - truth).square().mean().log10().item(), rel=1e-4)
    f = tasks.get("denoising", "M")
    again = f.degrade(x, torch.Generator().manual_seed(row["noise_seed"]))
    assert row["fidelity"] == pytest.approx(judge.distance(again, y).item(), rel=1e-4)
    assert torch.equal(y, f.degrade(truth, torch.Generator().manual_seed(row["noise_seed"])))
    assert row["steps"] == 3 and row["preset"] == "cvpr2023@1" and row["seconds"] > 0 and not row["oracle"]
    for key in ("version", "commit", "code", "device", "device_name", "dtype", "torch", "threads", "peak_memory_mb"):
        assert key in row, key
    assert run(config, plan()).before == 8


def test_tables_hold_every_unit(config):
    run(config, plan(1))
    written = results.write_tables(config.folder)
    with open(written[0], newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4 and float(table[0]["lpips"]) == results.rows(config.folder)[0]["lpips"]
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(written[1]).to_pylist() == results.rows(config.folder)


def test_targets_are_made_once_and_are_the_same_for_all(config):
    run(replace(config, methods=methods()[:1]), replace(plan(), methods=("report",)))
    made = {path: path.stat().st_mtime_ns for path in (config.folder / "measurements").rglob("*.png")}
    assert len(made) == 4
    run(config, plan())  # gains a method
    assert made == {path: path.stat().st_mtime_ns for path in (config.folder / "measurements").rglob("*.png")}
    assert len(results.rows(config.folder)) == 8
    names = [seeds_of(name, seed) for name in ("000", "001") for seed in (0, 1)]
    assert len({word for pair in names for word in pair}) == 8


def test_a_batch_gives_what_single_images_give(config, tmp_path):
    batched = replace(config, folder=tmp_path / "batched")
    run(config, plan(3))
    run(batched, plan(3, batch_size=2))
    for one in results.read(config.folder):
        other = batched.folder / one.path.relative_to(config.folder)
        assert (load_image(one.path) - load_image(other)).abs().max() <= 1.01 / 255
        for key, value in one.record["scores"].items():
            assert read_record(other)["scores"][key] == pytest.approx(value, rel=0.02, abs=1e-4)


def test_killed_and_resumed(config, undisturbed):
    """SIGKILL at random moments, until a run comes through: nothing is missing, doubled or different."""
    expected, duration = undisturbed
    moments, kills = random.Random(0), 0
    while True:
        child = SPAWNER.Process(target=run, args=(config, sweep()))
        child.start()
        if kills < 4:
            child.join(moments.uniform(0.1, 0.4) * duration)
        else:
            child.join()
        if child.exitcode is not None:
            assert child.exitcode == 0
            break
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        kills += 1
        whole = [read_record(path) for path in (config.folder / "units").rglob("[0-9]*.png")]
        assert None not in whole, "a half-written result"
    assert kills >= 2
    assert contents(config.folder) == expected and len(results.rows(config.folder)) == 24


def test_two_at_once_do_nothing_twice(config, tmp_path):
    shared = replace(config, methods=tuple(Method(m.name, "test_sweeps:counted") for m in config.methods))
    arguments = (shared, sweep(), tmp_path / "counts")
    children = [SPAWNER.Process(target=_counting_run, args=arguments) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    lines = (tmp_path / "counts").read_text().split()
    assert len(lines) == 24 and len(set(lines)) == 2, "both were to have a share of the 24"
    assert len(results.rows(config.folder)) == 24


def _counting_run(config: SweepConfig, plan: SweepPlan, counts: Path) -> None:
    os.environ["RUSR_TEST_COUNTS"] = str(counts)
    assert run(config, plan).ok


def counted(prior, y, f, *, generator=None, callback=None):
    """A method that leaves a line each time it is called."""
    with open(os.environ["RUSR_TEST_COUNTS"], "a") as file:
        file.write(f"{os.getpid()}\n")
    return restore(prior, y, f, preset=presets.get("report").shortened(1), generator=generator)


def test_worker_processes_are_replaced_and_end_with_their_parent(config, undisturbed):
    """A worker is killed: a new one goes on. Their parent is killed: they end too, and the sweep can be resumed."""
    psutil = pytest.importorskip("psutil")
    child = SPAWNER.Process(target=run, args=(config, sweep()), kwargs={"workers": 2})
    child.start()
    _wait_for_results(config, child, 1)
    workers = _workers(psutil.Process(child.pid))
    workers[0].kill()
    _wait_for_results(config, child, len(list((config.folder / "units").rglob("[0-9]*.png"))) + 4)
    workers = _workers(psutil.Process(child.pid))
    assert child.exitcode is None, "the run went on"
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    assert 0 < run(config, sweep()).before < 24
    assert contents(config.folder) == undisturbed[0]


def _wait_for_results(config: SweepConfig, child, number: int) -> None:
    while child.exitcode is None and len(list((config.folder / "units").rglob("[0-9]*.png"))) < number:
        time.sleep(0.02)


def _workers(parent) -> list:
    found = [p for p in parent.children() if "spawn_main" in " ".join(p.cmdline())]
    assert len(found) == 2
    return found


def test_a_dask_cluster_gives_the_same(config, undisturbed):
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "dashboard_address": None, "protocol": "tcp", "host": "127.0.0.1"}
    with distributed.LocalCluster(1, threads_per_worker=2, **options) as cluster:
        summary = run(config, sweep(), scheduler=cluster.scheduler_address)
    assert summary.ok and contents(config.folder) == undisturbed[0]
    with pytest.raises(BenchmarkError, match="no Dask scheduler at tcp://127.0.0.1:9"):
        run(config, sweep_and_more(), scheduler="tcp://127.0.0.1:9")


def sweep_and_more() -> SweepPlan:
    return replace(sweep(), seeds=(0, 1, 2))


def test_damaged_results_are_done_again(config):
    run(config, plan())
    before = contents(config.folder)
    files = sorted((config.folder / "units").rglob("*.png"))
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 2])
    files[1].write_bytes(b"")
    flipped = bytearray(files[2].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    files[2].write_bytes(bytes(flipped))
    files[3].write_bytes(whole + b"more")
    (config.folder / "measurements/N-M/000_0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert [read_record(path) for path in files[:4]] == [None] * 4
    assert run(config, plan()).before == 4
    assert contents(config.folder) == before


CHANGES = {
    "steps": (lambda s: replace(s, methods=methods(2)), r"methods\.cvpr2023\.name was .*@1., is now .*@2."),
    "prior": (lambda s: replace(s, prior=s.prior.replace("prior.", "other.")), r"prior\.generator was"),
    "judge": (lambda s: replace(s, judge=None), r"judge\.perceptual was"),
    "image": (lambda s: replace(s, images=s.images.parent / "changed"), r"images\.000 was"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_refuse_to_mix(change, config, world, monkeypatch):
    G = random_generator(1)
    save_generator(G, world / "other.safetensors", {"name": "prior", "w_std": "12.0"})
    (world / "changed").mkdir(exist_ok=True)
    for i in range(2):
        image = load_image(world / "images" / f"{i:03d}.png")
        save_image(1 - image, world / "changed" / f"{i:03d}.png", force=True)
    other = load_portrait_net(data_path("portraits/features_a.safetensors"))
    monkeypatch.setattr("rusr_core.metrics.scores.judge", lambda: other)
    run(config, plan(1, names=("denoising:M",)))
    before = contents(config.folder)
    altered, message = CHANGES[change]
    with pytest.raises(StorageError, match=message):
        run(altered(config), plan(1, names=("denoising:M",)))
    assert contents(config.folder) == before


def test_another_version_refuses_to_mix(config, monkeypatch):
    run(config, plan(1, names=("denoising:M",)))
    monkeypatch.setattr("rusr_core.sweeps.work.code_digest", lambda: "0" * 64)
    with pytest.raises(StorageError, match=r"another configuration: code was .*, is now"):
        run(config, plan(1, names=("denoising:M",)))
    with pytest.raises(StorageError, match="batch_size was 1, is now 2"):
        monkeypatch.undo()
        run(config, plan(1, names=("denoising:M",), batch_size=2))


def test_strange_folders_are_left_alone(config):
    config.folder.mkdir()
    (config.folder / "thesis.tex").write_text("")
    with pytest.raises(StorageError, match="not empty and holds no bench.json"):
        run(config, plan(1))
    (config.folder / "bench.json").write_text("{")
    with pytest.raises(StorageError, match="cannot be read"):
        run(config, plan(1))
    with pytest.raises(StorageError, match="holds no bench.json"):
        list(results.read(config.images))


def fails_sometimes(prior, y, f, *, generator=None, callback=None):
    """A method that cannot do bright images."""
    if y.mean(dim=(1, 2, 3)).max() > float(os.environ["RUSR_TEST_LIMIT"]):
        raise ArithmeticError("too bright\nfor this method")
    return restore(prior, y, f, preset=presets.get("report").shortened(1), generator=generator)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_failing_unit_is_recorded_and_the_sweep_goes_on(batch, config, monkeypatch):
    brightness = sorted(load_image(path).mean().item() for path in ImageFolder(config.images).paths.values())
    monkeypatch.setenv("RUSR_TEST_LIMIT", str((brightness[-1] + brightness[-2]) / 2))
    names = tuple(f"{i:03d}" for i in range(5))
    wanted = SweepPlan(("mine",), parse_tasks(["deartifacting:XS"]), names, batch_size=batch)
    config = replace(config, methods=(Method("mine", "test_sweeps:fails_sometimes"),))
    summary = run(config, wanted)
    assert not summary.ok and len(summary.failed) == 1
    assert "ArithmeticError: too bright" in summary.failed[0] and "for this" not in summary.failed[0]
    assert len(results.rows(config.folder)) == 4
    errors = list((config.folder / "errors").rglob("*.json"))
    assert len(errors) == 1 and "fails_sometimes" in json.loads(errors[0].read_text())["traceback"]
    monkeypatch.setenv("RUSR_TEST_LIMIT", "2")
    culprit = next(batch for batch in wanted.batches() if errors[0].name[:3] in batch.images)
    summary = run(config, wanted)
    assert summary.ok and summary.before == 5 - len(culprit.images)
    assert not errors[0].exists() and len(results.rows(config.folder)) == 5


def test_disk_full(config, monkeypatch):
    """ENOSPC while the third result is written: one clear line, nothing half-written, resumed when there is room."""
    genuine, calls = os.fsync, []

    def fsync(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        genuine(fd)

    monkeypatch.setattr(storage.os, "fsync", fsync)
    with pytest.raises(StorageError, match=r"\.png: cannot be written \(No space left on device\)"):
        run(config, plan())
    monkeypatch.undo()
    assert not list(config.folder.rglob("*.tmp"))
    assert all(read_record(path) is not None for path in config.folder.rglob("*.png"))
    done = len(results.rows(config.folder))
    assert 0 < done < 8
    assert run(config, plan()).before == done


def interrupted(prior, y, f, *, generator=None, callback=None):
    """A search that Ctrl-C ends early: it returns what there is."""

    def interrupt(step):
        raise KeyboardInterrupt

    return restore(prior, y, f, preset=presets.get("report").shortened(2), callback=interrupt)


def test_ctrl_c_stores_nothing_unfinished(config):
    config = replace(config, methods=(Method("mine", "test_sweeps:interrupted"),))
    with pytest.raises(KeyboardInterrupt):
        run(config, replace(plan(1), methods=("mine",)))
    assert not list((config.folder).rglob("units/*")) and not (config.folder / "errors").exists()


def test_claims(tmp_path):
    with claim(tmp_path, "a") as mine, claim(tmp_path, "b") as other:
        assert mine and other
        with claim(tmp_path, "a") as again:
            assert not again, "threads of one process are told apart"
        child = SPAWNER.Process(target=_try_claims, args=(tmp_path, [("a", False), ("b", False), ("c", True)]))
        child.start()
        child.join()
        assert child.exitcode == 0
    holder = SPAWNER.Process(target=_hold, args=(tmp_path, "a"))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with claim(tmp_path, "a") as mine:
        assert not mine
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with claim(tmp_path, "a") as mine:
        assert mine, "a claim ends with its process"


def _try_claims(folder: Path, expected: list[tuple[str, bool]]) -> None:
    for name, free in expected:
        with claim(folder, name) as mine:
            assert mine == free


def _hold(folder: Path, name: str) -> None:
    with claim(folder, name):
        (folder / "held").touch()
        time.sleep(60)


def test_a_held_unit_is_waited_for(config):
    wanted = plan(1, names=("denoising:M",))
    run(config, replace(wanted, methods=("cvpr2023",)))  # makes the folder
    holder = SPAWNER.Process(target=_hold, args=(config.folder, "units/report/N-M/000_0.png"))
    holder.start()
    while not (config.folder / "held").exists():
        time.sleep(0.01)
    batch = WorkBatch("report", wanted.tasks[0], 0, ("000",))
    assert run_batch(config, batch) == ("taken", "")
    os.kill(holder.pid, signal.SIGKILL)
    assert run(config, wanted).ok and len(results.rows(config.folder)) == 2


def test_reports_from_a_folder(config, capsys):
    run(config, plan(3, names=("denoising:M", "upsampling:XS")))
    judge = results.judge_for(config.folder, config.judge)
    table = results.reports(config.folder, judge, crops=10, rounds=10)
    order = [(task, method) for task in ("upsampling XS", "denoising M") for method in ("cvpr2023", "report")]
    assert [(r.task, r.method) for r in table.reports] == order
    rows = [r for r in results.rows(config.folder) if (r["task"], r["method"]) == ("denoising M", "report")]
    score = table.reports[3].scores["lpips"]
    assert score.value == pytest.approx(sum(r["lpips"] for r in rows) / 3) and score.low <= score.value <= score.high
    assert all(math.isfinite(report.scores[key].value) for report in table.reports for key in ("fid", "pfid", "kid"))
    assert commands.main(["report", str(config.folder), "--no-realism"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("PERFORMANCE REPORT FOR TASK: denoising (M)") == 2 and "not measured" in shown
    assert commands.main(["report", str(config.folder), "--judge", config.judge, "--form", "csv", "--crops", "5"]) == 0
    assert Counter(line.split(",")[4] for line in capsys.readouterr().out.splitlines())["FID-portraits"] == 4


def test_a_recording_compares_methods_on_the_same_images(config, tmp_path):
    assert run(config, plan(2)).ok and run(config, replace(plan(3), methods=("report",))).ok
    out = tmp_path / "recording"
    record(config.folder, out)
    record(config.folder, out)  # replaces what is there
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["image_names"] == ["000", "001"] and facts["units"] == 8  # 002 lacks a method
    assert facts["images"] == "2" and facts["weights"]["judge"]
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and {row["image"] for row in rows} == {"000", "001"}
    with (out / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    assert {row["images"] for row in scores} == {"2"}
    mean = sum(float(r["lpips"]) for r in rows if (r["method"], r["task"]) == ("report", "denoising M")) / 2
    chosen = {"method": "report", "task": "denoising M", "question": "accuracy", "metric": "LPIPS-portraits"}
    (score,) = (row for row in scores if chosen.items() <= row.items())
    assert float(score["value"]) == pytest.approx(mean, rel=1e-3)
    assert sorted(p.name for p in out.glob("*.jpg")) == ["denoising.jpg", "inpainting.jpg"]
    assert not list(tmp_path.glob("*.new"))


def test_a_recording_keeps_the_tasks_that_rest_on_more_images(config, tmp_path):
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, replace(plan(2), tasks=parse_tasks(["denoising:M"]))).ok
    record(config.folder, out)
    before = (out / "results.csv").read_text().splitlines()[1:]
    assert run(second, plan(1)).ok
    record(second.folder, out, adding=True)
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["task"] for row in rows] == ["denoising M"] * 4 + ["inpainting S"] * 2
    assert (out / "results.csv").read_text().splitlines()[1:5] == before  # as they were, the commit too
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["images"] == "1 to 2" and facts["units"] == 6 and len(facts["commits"]) == 1
    with (out / "scores.csv").open() as file:
        assert {(row["task"], row["images"]) for row in csv.DictReader(file)} == {
            ("denoising M", "2"),
            ("inpainting S", "1"),
        }
    (out / "provenance.json").write_text(json.dumps(facts | {"weights": {}}))
    with pytest.raises(SystemExit, match="weights"):
        record(second.folder, out, adding=True)


def test_a_recording_is_joined_by_other_methods_of_a_comparable_run(config, tmp_path):
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, replace(plan(2), methods=("report",))).ok
    record(config.folder, out)
    known = {file: (out / file).read_text() for file in ("results.csv", "scores.csv", "provenance.json")}
    before = list(csv.DictReader(known["results.csv"].splitlines()))
    assert run(second, plan(1)).ok
    record(second.folder, out, adding=True)
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["method"] for row in rows) == {"report": 4, "cvpr2023": 2}
    assert all(row in rows for row in before)
    assert json.loads((out / "provenance.json").read_text())["methods"] == ["cvpr2023", "report"]
    with (out / "scores.csv").open() as file:
        scores = {(row["task"], row["method"], row["images"]) for row in csv.DictReader(file)}
    tasks_there = {row["task"] for row in before}
    assert scores == {(task, *pair) for task in tasks_there for pair in (("report", "2"), ("cvpr2023", "1"))}
    for changed, message in (
        ([row | {"method": "another"} for row in before], "repeats no recorded method"),
        (rows, "no method that is not recorded"),
        ([row | {"image": "009"} for row in before], "which is not recorded"),
        ([row | {"lpips": 1.005 * float(row["lpips"])} for row in before], r"LPIPS .*, recorded .*nothing is added"),
    ):
        for file, text in known.items():
            (out / file).write_text(text)
        write_rows(out / "results.csv", changed)
        found = (out / "results.csv").read_text()
        with pytest.raises(SystemExit, match=message):
            record(second.folder, out, adding=True)
        assert (out / "results.csv").read_text() == found


def test_a_recording_is_joined_by_a_run_on_another_device_and_by_other_tasks(config, tmp_path):
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, replace(plan(1), methods=("report",), tasks=parse_tasks(["denoising:M"]))).ok
    record(config.folder, out)
    facts, lines = json.loads((out / "provenance.json").read_text()), (out / "results.csv").read_text()
    assert run(second, plan(2)).ok
    with pytest.raises(SystemExit, match="001.*which is not recorded"):  # of a task that is there
        record(second.folder, out, adding=True)
    third = replace(config, folder=tmp_path / "third")
    assert run(third, plan(1)).ok
    (row,) = csv.DictReader(lines.splitlines())
    (out / "provenance.json").write_text(json.dumps(facts | {"device": "another"}))
    for factor, joined in ((1.05, False), (1.005, True)):
        write_rows(out / "results.csv", [row | {"device_name": "another", "lpips": factor * float(row["lpips"])}])
        with nullcontext() if joined else pytest.raises(SystemExit, match="nothing is added"):
            record(third.folder, out, adding=True)
    with (out / "results.csv").open() as file:
        found = [(row["task"], row["method"], row["image"]) for row in csv.DictReader(file)]
    assert sorted(found) == [(t, m, "000") for t in ("denoising M", "inpainting S") for m in ("cvpr2023", "report")]
    assert json.loads((out / "provenance.json").read_text())["device"].startswith("another; ")


def test_a_changed_method_of_ones_own_does_not_mix(config, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "a_method_of_a_test.py"
    own = replace(config, methods=(Method("own", "a_method_of_a_test:found"),))
    module.write_text("def found(prior, y, f, *, generator=None):\n    raise ValueError\n")
    alone = replace(plan(1), methods=("own",))
    assert not run(own, alone).ok
    module.write_text("def found(prior, y, f, *, generator=None):\n    raise TypeError\n")
    with pytest.raises(StorageError, match="methods"):
        run(own, alone)


def test_oracles_are_marked(config):
    oracle = replace(presets.get("report").shortened(1), name="oracle", identity_reference="clean")
    embedded = replace(config, methods=(Method("oracle", oracle),), identity="portraits")
    run(embedded, SweepPlan(("oracle",), parse_tasks(["denoising:M"]), ("000",)))
    assert results.rows(config.folder)[0]["oracle"] is True
    assert results.ORACLE in str(results.reports(config.folder))


def test_the_command(config, world, capsys):
    words = ["bench", str(config.folder), "--prior", config.prior, "--perceptual", "portraits"]
    words += ["--judge", config.judge, "--images", str(world / "images"), "--num-images", "1"]
    words += ["--tasks", "denoising:M", "UP", "--steps", "1"]
    assert commands.main(words) == 0
    assert "4 units: 0 were done, 0 units failed" in capsys.readouterr().out
    assert commands.main(words) == 0
    assert "4 units: 4 were done" in capsys.readouterr().out
    assert commands.main([*words, "--methods", "mine=test_sweeps:always_fails"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert commands.main([*words[:-1], "2"]) == 2
    assert "steps was 1, is now 2" in capsys.readouterr().err


def always_fails(prior, y, f, *, generator=None, callback=None):
    return 1 / 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: parse_tasks(["sharpening"]), "'sharpening'"),
        (lambda: parse_tasks(["denoising:XXL"]), "'XXL'"),
        (lambda: SweepPlan((), parse_tasks(["all"]), ("a",)), "methods: 0"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a", "a")), "images: 2, 1 different"),
        (lambda: SweepPlan(("../m",), parse_tasks(["all"]), ("a",)), r"'../m'"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a",), (-1,)), "seeds"),
        (lambda: Method("m", "no_such_module:f").function(), "module:function"),
        (lambda: ImageFolder(Path("nowhere")).paths, "nowhere"),
    ],
)
def test_bad_plans(call, message):
    with pytest.raises(RusrError, match=message) as caught:
        call()
    assert isinstance(caught.value, PlanError | BenchmarkError | tasks.TaskError)


def test_task_words():
    assert len(parse_tasks(["all"])) == 31 and len(parse_tasks(["single", "all"])) == 31
    names = [str(task) for task in parse_tasks(["upsampling:L", "UNA"])]
    assert names == ["upsampling L", "upsampling+denoising+deartifacting M"]
    assert len(parse_tasks(["denoising"])) == 5
