"""The experiment of one setting works with tiny sizes, goes on where it stopped, and leaves no method out."""

import csv
import json

import pytest
import torch

from benchmarks import one_setting
from rusr_core.checkpoints import save_denoiser
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig
from rusr_core.priors import diffusion
from rusr_core.sweeps import results, rivals
from rusr_core.sweeps.recordings import Recording

TASKS = ("upsampling XS", "upsampling+deartifacting M")
TINY = DenoiserConfig((16,), 1, 4, features=2, head=4, embedding=8, coarse=4, modes=6, resolution=32)


@pytest.fixture
def words(world, tmp_path) -> list[str]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_denoiser(Denoiser(TINY), tmp_path / "denoiser.safetensors")
    found = [tmp_path / "out", "--prior", world / "prior.safetensors", "--judge", world / "judge.safetensors"]
    found += ["--perceptual", "portraits", "--images", world / "images", "--images-to-tune", world / "images"]
    found += ["--tasks", "upsampling:XS", "UA", "--tasks-of-one", "upsampling:XS", "--methods", "nothing", "classical"]
    return [str(word) for word in (*found, "ddrm", "--num-images", 2, "--portraits", 2, "--trials", 2)]


def shown(out) -> str:
    return (out / "distances.md").read_text()


@pytest.mark.parametrize(
    "option, value, said",
    [
        ("--images", "absent", "absent: no such folder"),
        ("--images-to-tune", "absent", "absent: no such folder"),
        ("--num-images", "6", "--num-images is 6, but"),
        ("--tasks", "upsampling:Q", "unknown level 'Q'"),
        ("--tasks-of-one", "nonsense", "unknown"),
    ],
)
def test_what_the_last_command_would_refuse_is_said_before_the_first(option, value, said, words, tmp_path, capsys):
    at = words.index(option) + 1
    words[at] = str(tmp_path / value) if value == "absent" else value
    assert one_setting.main(words) == 2
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == 1 and "$ rusr" not in told.out
    assert not (tmp_path / "out").exists()


def test_tables_that_cannot_be_written_are_said_first(words, tmp_path, capsys):
    (tmp_path / "out").write_text("a file")
    assert one_setting.main(words) == 2
    told = capsys.readouterr()
    assert "distances.md: cannot be written" in told.err and "$ rusr" not in told.out


def test_a_denoiser_without_a_use_is_said_before_the_first(words, tmp_path, capsys):
    words.remove("ddrm")
    assert one_setting.main([*words, "--denoiser", "x"]) == 2
    told = capsys.readouterr()
    assert "--denoiser x: nothing, classical restore without one" in told.err and "$ rusr" not in told.out


@pytest.mark.parametrize(
    "ran, lack", [(["brgm", "classical"], "no restoration of default is finished"), ([], "no rest")]
)
def test_tables_say_what_is_missing(ran, lack, tmp_path, monkeypatch, capsys):
    rows = [{"method": m, "task": TASKS[0], "image": i, "lpips": 0.1 * n} for m in ran for n, i in enumerate("abc", 1)]
    found = rivals.Comparison(Recording("sweep", tuple(rows), (), {}), {})
    monkeypatch.setattr(rivals.Comparison, "of_folder", lambda folder: found)
    assert one_setting.main([str(tmp_path / "out"), "--tables"]) == 2
    told = capsys.readouterr()
    assert f"error: {tmp_path / 'out/sweep'}: {lack}" in told.err and told.err.count("\n") == 1
    assert (tmp_path / "out/distances.md").exists() == bool(ran) and not (tmp_path / "out/differences.md").exists()
    assert not ran or told.err.rstrip().endswith("there are some of brgm, classical")
    default = {"method": "default", "task": TASKS[0], "image": "a", "lpips": 0.1}
    found = rivals.Comparison(Recording("sweep", (*rows, default), (), {}), {})
    assert one_setting.main([str(tmp_path / "out"), "--tables"]) == 0
    assert (tmp_path / "out/differences.md").exists()


@pytest.mark.slow
def test_the_whole_experiment(words, world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(diffusion, "DENOISER", "portraits/absent.safetensors")  # as long as none is shipped, and later
    assert one_setting.main(words) == 2
    said = capsys.readouterr()
    out = tmp_path / "out"
    assert f"2 of {world / 'images'} are in" in said.err, "tuned and tested on the same portraits"
    assert not out.exists(), "nothing was tuned before that was seen"
    others = tmp_path / "others"
    others.mkdir()
    for name in ("002", "003"):
        (others / f"{name}.png").write_bytes((world / "images" / f"{name}.png").read_bytes())
    words[words.index("--images") + 1] = str(others)
    assert one_setting.main(words) == 0
    once = {row["method"] for row in results.rows(out / "sweep")}
    assert once == {"nothing", "classical", "classical@one", "classical@tuned"}
    rows = list(csv.DictReader((out / "distances.csv").open()))
    every = [(task, name) for task in TASKS for name in ("classical", "nothing", "ddrm")]
    assert [(row["task"], row["method"]) for row in rows] == every
    of_ddrm = [row for row in rows if row["method"] == "ddrm"]
    assert all(row["default"] == "n/a" for row in of_ddrm), "without a denoiser it is n/a and not left out"
    assert "n/a: ddrm on upsampling XS: the denoiser of portraits-128 is not installed" in shown(out)
    assert "| classical | one | 2 |" in (out / "prices.md").read_text()
    before = {row["method"] + row["task"] + row["image"]: row["at"] for row in results.rows(out / "sweep")}
    assert one_setting.main([*words, "--denoiser", str(tmp_path / "denoiser.safetensors")]) == 0
    after = {row["method"] + row["task"] + row["image"]: row["at"] for row in results.rows(out / "sweep")}
    assert {name: after[name] for name in before} == before, "what was done is not done again"
    rows = {(row["task"], row["method"]): row for row in csv.DictReader((out / "distances.csv").open())}
    assert "[" in rows[TASKS[0], "ddrm"]["tuned"] and rows[TASKS[1], "ddrm"]["one"] == "n/a"
    manifest = out / "sweep/bench.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"code": "0" * 64}))
    assert one_setting.main(words) == 2 and "code" in capsys.readouterr().err, "another version of rusr made it"
    assert one_setting.main([*words, "--accept-code-change"]) == 0
