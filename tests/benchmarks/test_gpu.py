"""The GPU list's script: it goes on where it stopped, and every item works with tiny sizes on a CPU."""

import json
import os
import time

import pytest
from sweep_world import SPAWNER, run_module

from benchmarks import device_check, gpu


def state(out) -> dict:
    return json.loads((out / gpu.STATE).read_text())


@pytest.fixture
def items(monkeypatch):
    """Items that leave a line; the second one needs two starts, the third fails at first."""
    done = []

    def first(run):
        done.append("first")

    def second(run):
        run.parts("second", {"a": lambda: done.append("a") or [device_check.row("a", 1, "none", True)]}, 0.0)
        if done.count("a") and len(done) < 4:
            done.append("cut")
            raise gpu.TimeIsUpError
        run.parts("second", {"b": lambda: done.append("b") or [device_check.row("b", 1, "none", True)]}, 0.0)

    def third(run):
        done.append("third")
        if done.count("third") == 1:
            raise ValueError("not today")

    monkeypatch.setattr(gpu, "ITEMS", {"first": first, "second": second, "third": third})
    return done


def test_it_goes_on_where_it_stopped(items, tmp_path):
    words = [str(tmp_path), "--device", "cpu"]
    assert gpu.main(words) == gpu.CONTINUE
    assert items == ["first", "a", "cut"] and state(tmp_path)["second"]["status"] == "begun"
    items.append("again")
    assert gpu.main(words) == 1, "the third failed"
    assert items == ["first", "a", "cut", "again", "b", "third"], "what was done is not done again"
    assert "not today" in state(tmp_path)["third"]["error"]
    assert gpu.main(words) == 0 and items[-1] == "third"
    assert {about["status"] for about in state(tmp_path).values()} == {"done"}
    assert gpu.main(words) == 0 and items.count("first") == 1


def test_a_program_is_stopped_in_time_and_a_failure_says_why(tmp_path):
    run = gpu.Run(tmp_path, "cpu", True, time.monotonic() + 2 * gpu.GRACE + 0.5, {})
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match="no_such_module_of_ours ended with 1: .*No module named"):
        run.program("x", "no_such_module_of_ours")
    run.deadline = time.monotonic() + gpu.GRACE + 1.5
    with pytest.raises(gpu.TimeIsUpError):
        run.program("x", "timeit")  # too little time to begin
    assert time.monotonic() - begun < 15


def in_a_fork(run, item, *words):
    """What `Run.program` does, in a fork of a process that has made the imports, which each program would make anew."""
    log = run.out / f"{item}.log"
    child = SPAWNER.Process(target=run_module, args=(list(map(str, words)), gpu.ROOT, dict(os.environ), log))
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"{words[0]} ended with {child.exitcode}: {log.read_text()[-2000:]}")


@pytest.mark.slow
@pytest.mark.parametrize("item", [name for name in gpu.ITEMS if name != "speed"])
def test_every_item_works_with_tiny_sizes(item, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")  # compiling the renderer takes a minute and changes no pixel
    monkeypatch.setattr(gpu.Run, "program", in_a_fork)  # the test above starts real ones
    words = [str(tmp_path), "--device", "cpu", "--tiny", "--only", item]
    assert gpu.main(words) == 0, state(tmp_path)
    about = state(tmp_path)[item]
    assert about["status"] == "done"
    if item == "check":
        assert set(about["found"]) == set(device_check.CHECKS)
    if item in ("recordings", "ablation"):
        assert (tmp_path / f"{item}-recording" / "scores.csv").exists()
    if item in ("blind", "calibration"):
        assert (tmp_path / item / {"blind": "blind.json", "calibration": "inpainting.json"}[item]).exists()
    if item == "at_1024":
        assert set(about["found"]) == {"stylegan2, upsampling", "stylegan3-t, upsampling"}
        lines = [line["check"] for line in about["found"]["stylegan3-t, upsampling"]]
        assert lines == [f"{space}, {what}" for space in ("W", "W+", "W++") for what in ("seconds", "peak memory, GB")]


def test_a_check_out_of_its_bounds_fails_and_is_measured_again(tmp_path, monkeypatch):
    found = [[device_check.row("x", 2, "at most 1", False)], [device_check.row("x", 1, "at most 1", True)]]
    monkeypatch.setattr(device_check, "CHECKS", {"x": lambda bench: found.pop(0)})
    monkeypatch.setattr(device_check.Bench, "of", classmethod(lambda *_: None))
    words = [str(tmp_path), "--device", "cpu", "--tiny", "--only", "check"]
    assert gpu.main(words) == 1 and "out of bounds: x" in state(tmp_path)["check"]["error"]
    assert gpu.main(words) == 0 and "error" not in state(tmp_path)["check"]
