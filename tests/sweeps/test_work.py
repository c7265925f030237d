"""The work: what a unit leaves, alone and in a batch; what becomes of units that fail or are interrupted."""

import json
from dataclasses import replace

import pytest
import torch
from sweep_world import QUICK, contents, plan, presets_of, restoration

from rusr_core import presets, tasks
from rusr_core.checkpoints import load_portrait_net
from rusr_core.images import load_image
from rusr_core.sweeps import BenchmarkError, ImageFolder, Method, SweepPlan, parse_tasks, results, run
from rusr_core.sweeps.config import shared_arithmetic
from rusr_core.sweeps.measurements import seeds_of
from rusr_core.sweeps.storage import read_record

RUN = ("version", "commit", "code", "device", "device_name", "dtype", "arithmetic", "torch", "threads")


def test_what_a_sweep_writes(config):
    seen = []
    config = replace(config, methods=presets_of())
    wanted = plan(methods=("default", "cvpr2023"))
    summary = run(config, wanted, callback=lambda done, planned: seen.append((done, planned)))
    assert (summary.planned, summary.before, summary.failures) == (8, 0, ())
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
    assert row["terms"] == "lpips+l1" and row["diverged"] == ""
    assert all(key in row for key in RUN)
    assert row["process_peak_memory_mb"] > 0 and "peak_memory_mb" not in row, "a process's peak is not a unit's"
    assert run(config, wanted).before == 8


def test_where_the_truth_lies_among_samples_is_kept(config):
    several = replace(config, methods=(Method("several", "sweep_world:several"),))
    names = ("denoising:M",)
    assert run(several, replace(plan(2, names=names, methods=("several",)), batch_size=2)).ok
    first, second = sorted(results.rows(config.folder), key=lambda row: row["image"])
    assert first["samples"] == second["samples"] == 3 and "factor" not in second and second["inside"] < 0.05
    assert 0.2 < first["inside"] < 0.6 and 0.5 < first["factor"] < 10


def test_measurements_are_made_once_and_are_the_same_for_all(config):
    run(replace(config, methods=QUICK[:1]), plan(methods=("plain",)))
    made = {path: path.stat().st_mtime_ns for path in (config.folder / "measurements").rglob("*.png")}
    assert len(made) == 4
    run(config, plan())  # gains a method
    assert made == {path: path.stat().st_mtime_ns for path in (config.folder / "measurements").rglob("*.png")}
    assert len(results.rows(config.folder)) == 8
    names = [seeds_of(name, seed) for name in ("000", "001") for seed in (0, 1)]
    assert len({word for pair in names for word in pair}) == 8


@pytest.mark.slow
def test_a_batch_gives_what_single_images_give(config, tmp_path):
    """Of noise, of strokes (each image has its own) and of both."""
    wanted = plan(3, names=("denoising:M", "inpainting:S", "NP"))
    batched = replace(config, folder=tmp_path / "batched")
    run(config, wanted)
    run(batched, replace(wanted, batch_size=2))
    one, other = contents(config.folder), contents(batched.folder)
    assert {k: v for k, v in one.items() if k != "bench.json"} == {k: v for k, v in other.items() if k != "bench.json"}


def test_a_search_in_a_batch_gives_what_single_images_give(config, tmp_path):
    config = replace(config, methods=presets_of()[:1])
    wanted = plan(3, names=("inpainting:S",), methods=("default",))
    batched = replace(config, folder=tmp_path / "batched")
    run(config, wanted)
    run(batched, replace(wanted, batch_size=2))
    for one in results.read(config.folder):
        other = batched.folder / one.path.relative_to(config.folder)
        assert (load_image(one.path) - load_image(other)).abs().max() <= 1.01 / 255
        for key, value in one.record["scores"].items():
            assert read_record(other)["scores"][key] == pytest.approx(value, rel=0.02, abs=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_failing_unit_is_recorded_and_the_sweep_goes_on(batch, config, monkeypatch):
    brightness = sorted(load_image(path).mean().item() for path in ImageFolder(config.images).paths.values())
    monkeypatch.setenv("RUSR_TEST_LIMIT", str((brightness[-1] + brightness[-2]) / 2))
    wanted = plan(5, names=("deartifacting:XS",), methods=("mine",), batch_size=batch)
    config = replace(config, methods=(Method("mine", "sweep_world:fails_sometimes"),))
    summary = run(config, wanted)
    assert not summary.ok and len(summary.failures) == 1
    assert "ArithmeticError: too bright" in summary.failures[0] and "for this" not in summary.failures[0]
    assert len(results.rows(config.folder)) == 4
    errors = list((config.folder / "errors").rglob("*.json"))
    assert len(errors) == 1 and "fails_sometimes" in json.loads(errors[0].read_text())["traceback"]
    monkeypatch.setenv("RUSR_TEST_LIMIT", "2")
    culprit = next(batch for batch in wanted.batches() if errors[0].name[:3] in batch.images)
    summary = run(config, wanted)
    assert summary.ok and summary.before == 5 - len(culprit.images)
    assert not errors[0].exists() and len(results.rows(config.folder)) == 5


def test_every_failure_of_a_batch_is_named(config, monkeypatch):
    monkeypatch.setenv("RUSR_TEST_LIMIT", "0")
    config = replace(config, methods=(Method("mine", "sweep_world:fails_sometimes"),))
    summary = run(config, plan(3, names=("deartifacting:XS",), methods=("mine",), batch_size=3))
    assert [line.split("image ")[1][:3] for line in summary.failures] == ["000", "001", "002"]


@pytest.mark.parametrize(
    "method, message",
    [
        ("returns_an_image", "returned Tensor: expected a Restoration with the steps of 1 images"),
        ("restores_twice", "returned 2 steps: expected a Restoration with the steps of 1 images"),
        ("counts_no_steps", "ResultError: steps of a result is []: expected a list of 1, one for each image"),
        ("leaves", "SystemExit: 3"),
    ],
)
def test_what_is_no_restoration_fails_alone(config, method, message):
    config = replace(config, methods=(Method("mine", f"sweep_world:{method}"),))
    summary = run(config, plan(1, names=("deartifacting:XS",), methods=("mine",)))
    assert len(summary.failures) == 1 and message in summary.failures[0]


def test_ctrl_c_stores_nothing_unfinished(config):
    config = replace(config, methods=(Method("mine", "sweep_world:interrupted"),))
    with pytest.raises(KeyboardInterrupt):
        run(config, plan(1, methods=("mine",)))
    assert not list((config.folder).rglob("units/*")) and not (config.folder / "errors").exists()


def test_oracles_are_marked(config):
    oracle = replace(presets.get("default").shortened(1), name="oracle", identity_reference="clean")
    embedded = replace(config, methods=(Method("oracle", oracle),), identity="portraits")
    run(embedded, SweepPlan(("oracle",), parse_tasks(["denoising:M"]), ("000",)))
    assert results.rows(config.folder)[0]["oracle"] is True
    assert results.ORACLE in str(results.reports(config.folder))


def test_a_sweep_leaves_the_arithmetic_of_its_caller_alone(config):
    """Denormals are flushed inside a search only."""
    tiny = torch.tensor([1e-40])
    before = torch.get_num_threads()
    run(replace(config, methods=presets_of()[:1]), plan(1, names=("upsampling:XS",), methods=("default",)))
    assert (tiny * 1).item() != 0 and torch.get_num_threads() == before


def switches(prior, y, f, *, seed=0, callback=None):
    """A method that returns a white image where the arithmetic is exact, else a black one."""
    exact = not torch.backends.cudnn.allow_tf32 and torch.backends.cudnn.deterministic
    side = prior.generator.resolution
    return restoration(torch.full((len(y), 3, side, side), float(exact)))


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_sweep_computes_in_its_arithmetic_and_says_so(config, mode):
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    config = replace(config, methods=(Method("switches", "test_work:switches"),), arithmetic=mode)
    run(config, plan(1, names=("upsampling:XS",), methods=("switches",)))
    (result,) = results.read(config.folder)
    assert load_image(result.path).mean().item() == (mode == "exact")
    assert result.record["run"]["arithmetic"] == mode and result.record["run"]["dtype"] == "float32"
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before


def test_threads_of_one_sweep_share_its_arithmetic():
    """The first to finish does not take it from the others; another mode at the same time is refused."""
    before = torch.backends.cudnn.allow_tf32
    first, second = shared_arithmetic("exact"), shared_arithmetic("exact")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 is False
    with pytest.raises(BenchmarkError, match="another sweep of this process computes 'exact'"):
        shared_arithmetic("fast").__enter__()
    second.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 is before
