"""The programs of benchmarks/ and tools/portraits/: bad input is one line, numbers have limits, places are tried first,
and what is written appears whole or not at all."""

import argparse
import ast
import csv
import importlib
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from benchmarks import beats_nothing, calibration, costs, demo, estimates, faces, gpu, kill, record, resuming
from rusr_core import baselines
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError
from rusr_core.figures.saving import save_figure
from rusr_core.images import load_image
from tools.portraits import before_after, check, evaluate, evaluate_denoiser, judges, make, render, validation

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "tools/portraits").glob("*.py")])
PROGRAMS = [path for path in FILES if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]
NAMES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PROGRAMS]
ALONE = ("benchmarks.convert", "benchmarks.live")  # they change sys.path when they are imported
NUMBERS = ("-1", "nan", "inf", "1e30", "", "x", "2.5", str(10**30), "9" * 5000)
SECONDS = ("--minutes", "--seconds")  # numbers that need not be whole


class ParsedError(Exception):
    """A program has made its parser."""


def parser_of(name: str, monkeypatch) -> argparse.ArgumentParser:
    """The parser that a program makes."""

    def stop(parser, *_args):
        raise ParsedError(parser)

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", ["program"])
        with pytest.raises(ParsedError) as caught:
            importlib.import_module(name).main()
    return caught.value.args[0]


def test_the_programs_were_found():
    assert {"benchmarks.gpu", "benchmarks.record", "tools.portraits.evaluate", "tools.portraits.check"} <= set(NAMES)
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_a_program_ends_as_a_command_does(name):
    """Its last lines hand the work to `ended`, or its `main` does: no traceback for bad input or Ctrl-C."""
    tree = ast.parse((ROOT / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8"))
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")}
    assert "ended" in calls or name == "benchmarks.convert"  # whose work is a command of its own


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALONE])
def test_numbers_have_limits(name, monkeypatch, capsys):
    for action in parser_of(name, monkeypatch)._actions:
        if action.type in (None, str, Path) or {*SECONDS} & {*action.option_strings}:
            continue
        assert action.type not in (int, float), f"{action.option_strings} takes any number"
        for text in NUMBERS:
            with pytest.raises(argparse.ArgumentTypeError, match="expected "):
                action.type(text)
        assert action.default is None or isinstance(action.default, str) or action.type(str(action.default)) is not None


def failing(main, *words, monkeypatch) -> int:
    monkeypatch.setattr(sys, "argv", ["program", *map(str, words)])
    return ended(main)


@pytest.mark.parametrize(
    "main, words, message",
    [
        (calibration.main, ("{}/out", "--task", "nothing"), "unknown task 'nothing'"),
        (calibration.main, ("{}/out", "--preset", "mine"), "preset 'mine': expected one of default"),
        (calibration.main, ("{}/out", "--device", "cuda:77"), "cuda:77"),
        (costs.main, ("--keep", "{}/no/costs.json"), "no does not exist"),
        (costs.main, ("--keep", "{}/file"), "file: does not say what is done"),
        (costs.main, ("--methods", "nothing", "mine"), "method 'mine': expected one of"),
        (estimates.main, ("{}/file/estimates",), "file is not a folder"),
        (demo.main, ("--out", "{}/demo.txt"), "expected a name that ends in .png"),
        (demo.main, ("--out", "{}/file/demo.png"), "file is not a folder"),
        (gpu.main, ("{}/out", "--device", "cuda:77"), "cuda:77"),
        (gpu.main, ("{}/out", "--device", "cpu", "--minutes", "nan"), "--minutes is nan: expected a positive number"),
        (evaluate.main, ("--out", "{}/no/measured.json"), "no does not exist"),
        (evaluate.main, ("--out", "{}/file"), "file: holds no results"),
        (evaluate.main, ("--sheets", "{}/file/sheets"), "file is not a folder"),
        (before_after.main, ("--before", "{}", "--out", "{}/no"), "no does not exist"),
        (make.main, ("--work", "{}/work", "--seconds", "nan"), "--seconds is nan: expected a positive number"),
        (evaluate_denoiser.main, ("x", "--data", "{}", "--out", "{}/no/measured.json"), "no does not exist"),
        (evaluate_denoiser.main, ("x", "--data", "{}", "--sheet", "{}/sheet.txt"), "cannot write .txt"),
        (judges.main, ("--out", "{}/file/tables"), "file is not a folder"),
        (render.main, ("{}/sheet.txt",), "cannot write .txt"),
        (render.main, ("{}/file/portraits", "--files"), "file is not a folder"),
    ],
)
def test_bad_input_is_found_before_the_work(main, words, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("neither a folder nor JSON")
    status = failing(main, *(word.format(tmp_path) for word in words), monkeypatch=monkeypatch)
    out, err = capsys.readouterr()
    assert status == 2 and out == "" and err.count("\n") == 1 and message in err, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.parametrize(
    "main, words",
    [
        (evaluate.main, ("--only", "noise,")),
        (evaluate.main, ("--only", "speed")),
        (costs.main, ("--write", "--methods", "nothing")),
        (calibration.main, ("out", "--samples", "1")),
        (calibration.main, ("out", "--num-images", "101")),
        (judges.main, ("--out", "out", "--lpips-weights", "vgg16.pth")),
    ],
)
def test_what_a_parser_refuses(main, words, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="2"):
        failing(main, *words, monkeypatch=monkeypatch)
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"check": {"status": "done", "tiny": true}}', '{"check": 1}'])
def test_what_was_done_with_tiny_sizes_is_not_taken_for_the_real_thing(text, tmp_path):
    (tmp_path / gpu.STATE).write_text(text)
    with pytest.raises(CommandError, match=r"check was begun with .*; expected {'tiny': False}, or another folder"):
        gpu.main([str(tmp_path), "--device", "cpu"])


def test_the_list_for_a_gpu_says_if_its_state_is_damaged(tmp_path):
    (tmp_path / gpu.STATE).write_text("[1, 2")
    with pytest.raises(CommandError, match=f"{gpu.STATE}: does not say what is done"):
        gpu.main([str(tmp_path), "--device", "cpu"])
    assert (tmp_path / gpu.STATE).read_text() == "[1, 2"


@pytest.mark.parametrize("text", ["", "[1]", '{"place": 1', '{"place": 1}'])
def test_a_damaged_measurement_is_named(text, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(CommandError, match="a.json: (does not say what is done|made with None)"):
        resuming.fill([path], {"level": 1}, lambda part: [], tell=str)


def test_pictures_to_tune_on_are_whole_or_absent(tmp_path, monkeypatch):
    """The experiment of one setting counts them when it is started again."""
    monkeypatch.setattr(validation, "render", lambda z: torch.zeros(len(z), 3, 8, 8))
    validation.main([str(tmp_path), "--count", "2"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000.png", "001.png"]
    monkeypatch.setattr("rusr_core.files.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        validation.main([str(tmp_path / "more"), "--count", "3"])
    assert not list((tmp_path / "more").iterdir())


def test_adding_to_no_recording_is_refused(tmp_path):
    with pytest.raises(CommandError, match="does not exist: --add needs a recording"):
        record.record(tmp_path, tmp_path / "none", adding=True)


def test_the_list_of_digests(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "SUMS", tmp_path / "SHA256SUMS")
    with pytest.raises(check.SumsError, match="SHA256SUMS: cannot be read"):
        check.problems()
    check.SUMS.write_text("no digest\n")
    with pytest.raises(check.SumsError, match="expected lines of a digest and a name"):
        check.problems()
    check.SUMS.write_text("".join(f"0  {name}\n" for name in ("b.safetensors", "a.safetensors")))
    assert check.problems()[:2] == ["a.safetensors: missing", "b.safetensors: missing"]  # the same at every start


def test_results_that_are_there_are_kept(tmp_path):
    out = tmp_path / "measured.json"
    out.write_text(json.dumps({"noise": {"samples": 2}}))
    assert evaluate.known_so_far(out) == {"noise": {"samples": 2}} and evaluate.known_so_far(None) == {}
    assert evaluate.parts_of("noise,cost") == ["noise", "cost"]


def test_a_sweep_that_lost_something_does_not_end_well(tmp_path, monkeypatch, capsys):
    """The program that kills a sweep says by its exit status, too, whether it survived."""
    for again, status in ((0, 0), (1, 1)):
        monkeypatch.setattr(kill, "harass", lambda *_, again=again: (3, 1, 4, again))
        monkeypatch.setattr(kill, "run", lambda *_: None)
        monkeypatch.setattr(kill, "pixels", lambda _: {})
        monkeypatch.setattr(kill.results, "rows", lambda _: range(60))
        assert failing(kill.main, monkeypatch=monkeypatch) == status
        assert ("DIFFERENT" in capsys.readouterr().out) == bool(status)


def test_the_middle_of_an_even_number_of_scenes():
    rows = [{"found": True, "outside_identical": True} | dict.fromkeys(("landmarks", "corners", "centre", "psnr"), v)
            for v in (4.0, 1.0, 2.0, 9.0)]  # fmt: skip
    found = faces.summary(rows)
    assert found["landmarks"] == {"median": 3.0, "worst": 9.0} and found["psnr"] == {"median": 3.0, "worst": 1.0}


def check_that_a_denoiser_may_be_new_and_no_other(place, facts, row, how):
    """Rows of methods that restore with one join the others, and each row keeps its own commit."""
    table, about = place / "kept" / beats_nothing.TABLE, json.loads((place / "kept/provenance.json").read_text())
    (place / "kept/provenance.json").write_text(json.dumps(about | {"commit": "c", "on": "before"}))
    lines = [",".join(line.split(",")[:-2]) for line in table.read_text().splitlines()]
    table.write_text("\n".join(lines) + "\n")  # as tables were that say nothing of a row's commit
    how = how | {"ddrm": baselines.find("ddrm")}
    for denoiser, task in (("d", "denoising M"), ("d", "denoising M"), ("e", "deartifacting M")):
        (place / "bench.json").write_text(json.dumps(facts | {"methods": {"ddrm": {"denoiser": denoiser}}}))
        with nullcontext() if denoiser == "d" else pytest.raises(CommandError, match="measured with the weights"):
            beats_nothing.write(place / "kept", [row | {"task": task, "method": "ddrm"}], how, place)
    assert json.loads((place / "kept/provenance.json").read_text())["weights"]["denoiser"] == "d"
    (place / "bench.json").write_text(json.dumps(facts))
    beats_nothing.write(place / "kept", [row | {"task": "denoising S"}], how, place)
    assert json.loads((place / "kept/provenance.json").read_text())["weights"]["denoiser"] == "d"
    rows = {each["task"]: each for each in csv.DictReader(table.read_text().splitlines())}
    assert (rows["upsampling M"]["on"], rows["upsampling M"]["commit"]) == ("before", "c")
    assert rows["denoising M"]["on"] == rows["denoising S"]["on"] != "before"


def test_a_table_of_rivals_is_never_without_its_provenance(tmp_path, monkeypatch):
    weights = dict.fromkeys(("generator", "perceptual", "identity"), "x")
    facts = {"prior": weights, "judge": {"perceptual": "y"}, "device": "cpu", "arithmetic": "exact", "code": "z"}
    facts["methods"] = {"classical": {}}
    (tmp_path / "bench.json").write_text(json.dumps(facts))
    numbers = {"nearer": 1, "of": 2, "better": True, "before": 0.4, "after": 0.3}
    numbers |= {"factor": 0.7, "low": 0.6, "high": 0.8}
    row, how = {"task": "upsampling M", "method": "classical"} | numbers, {"classical": baselines.find("classical")}
    genuine = beats_nothing.write_atomic

    def once(path: Path, data: bytes) -> None:
        genuine(path, data)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(beats_nothing, "write_atomic", once)
        beats_nothing.write(tmp_path / "kept", [row], how, tmp_path)
    beats_nothing.write(tmp_path / "kept", [row], how, tmp_path)
    assert "upsampling M,classical" in (tmp_path / "kept" / beats_nothing.TABLE).read_text()
    check_that_a_denoiser_may_be_new_and_no_other(tmp_path, facts, row, how)
    (tmp_path / "kept/provenance.json").write_text("[1")
    with pytest.raises(CommandError, match="provenance.json: does not say what is done"):
        beats_nothing.write(tmp_path / "kept", [row], how, tmp_path)


@pytest.mark.parametrize("failing_at", [None, "write_atomic", "rename"])
def test_what_is_shipped_is_replaced_whole_or_stays(failing_at, tmp_path, monkeypatch):
    data, work = tmp_path / "data", tmp_path / "work"
    for place, word in ((data, "old"), (work, "new")):
        (place / "test").mkdir(parents=True)
        (place / "test/000.png").write_text(word)
        (place / make.WEIGHTS[0]).write_text(word)
    monkeypatch.setattr(make, "DATA", data)
    if failing_at is None:
        make.install(work)
    else:
        where = make if failing_at == "write_atomic" else Path
        genuine, calls = getattr(where, failing_at), []

        def interrupted(*words):
            calls.append(words)
            if len(calls) == 2:  # a network is there, or the old folder aside already
                raise KeyboardInterrupt
            return genuine(*words)

        monkeypatch.setattr(where, failing_at, interrupted)
        with pytest.raises(KeyboardInterrupt):
            make.install(work)
    assert (data / make.WEIGHTS[0]).read_text() == "new"
    assert (data / "test/000.png").read_text() == ("old" if failing_at else "new")
    assert sorted(path.name for path in data.iterdir()) == sorted([make.WEIGHTS[0], "test"])


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    figure, path = Figure((1, 1)), tmp_path / "a.png"
    save_figure(figure, path, dpi=20)
    before = path.read_bytes()
    assert load_image(path).shape == (1, 3, 20, 20)

    def broken(file, **_options):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(figure, "savefig", broken)
    with pytest.raises(KeyboardInterrupt):
        save_figure(figure, path)
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["a.png"]
