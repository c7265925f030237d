"""The benchmarks of the compared methods: what is asked of each, how a cost follows from two runs, one small sweep."""

import csv
import json

import pytest
from sources import ROOT

from benchmarks import beats_nothing, costs
from rusr_core.baselines import METHODS
from rusr_core.commands.options import CommandError
from rusr_core.files import data_path
from rusr_core.metrics import judge
from rusr_core.networks.digests import weights_digest
from rusr_core.priors import load_diffusion_prior, load_prior
from rusr_core.tasks import EVERY, find


def test_every_rival_is_asked_for_a_task_that_it_can_do():
    assert set(beats_nothing.CLAIMS) == set(METHODS) - {"nothing"}
    for name, claims in beats_nothing.CLAIMS.items():
        assert claims and set(claims) <= set(EVERY)
        assert [METHODS[name].can(find(task, "M").degradation()) for task in claims] == [None] * len(claims)


@pytest.mark.slow
def test_a_sweep_is_judged_and_resumed(world, tmp_path, capsys):
    words = [tmp_path / "out", "--methods", "pulse", "classical", "--steps", 2, "--num-images", 2]
    words += ["--images", world / "images", "--prior", world / "prior.safetensors", "--level", "S"]
    words += ["--judge", world / "judge.safetensors", "--perceptual", "portraits"]
    assert beats_nothing.main([str(word) for word in words]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    found = [tuple(line[:62].split()) for line in lines]
    assert found == [
        ("deartifacting", "S", "classical"),
        ("denoising", "S", "classical"),
        ("inpainting", "S", "classical"),
        ("upsampling", "S", "classical"),
        ("upsampling", "S", "pulse"),
    ]
    worse = [line for line in lines if line.endswith("not better than nothing")]
    for line in lines:
        number, before, after = int(line[62:].split()[0]), *map(float, line[71:].split()[:2])
        assert 0 <= number <= 2 and (line in worse or after <= before)
    assert ["2 of 100" in line for line in lines] == [False] * 4 + [True] and "none" in lines[0]
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "units").rglob("*.png")}
    kept = tmp_path / "kept"
    again = [str(word) for word in (*words, "--write", kept)]
    assert len(files) == 10 and beats_nothing.main(again) == 0
    assert all(path.stat().st_mtime_ns == moment for path, moment in files.items())
    check_what_is_kept(kept, again)
    capsys.readouterr()
    one = [str(word) for word in words if word != "pulse"]
    assert beats_nothing.main(one) == 0  # once a KeyError: the folder holds another command's method
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 6 and told[-1].endswith("holds pulse as well: name them with --methods to see them")


def check_what_is_kept(kept, words):
    """The table as a file: a second one stays beside it, and other weights are refused."""
    rows = [row.split(",") for row in (kept / "beats_nothing.csv").read_text().splitlines()]
    assert rows[0][:5] == ["task", "method", "steps", "published_steps", "portraits"] and len(rows) == 6
    assert rows[-1][:5] == ["upsampling S", "pulse", "2", "100", "2"]
    factors = [row[8:11] for row in rows]
    assert factors[0] == ["factor", "low", "high"]
    assert all(float(low) < float(value) < float(high) for value, low, high in factors[1:])
    (kept / "beats_nothing.csv").write_text((kept / "beats_nothing.csv").read_text().replace("pulse", "other"))
    assert beats_nothing.main(words) == 0
    assert len((kept / "beats_nothing.csv").read_text().splitlines()) == 7
    about = json.loads((kept / "provenance.json").read_text())
    (kept / "provenance.json").write_text(json.dumps(about | {"weights": {}}))
    with pytest.raises(CommandError, match="measured with the weights"):
        beats_nothing.main(words)


def test_a_table_that_is_kept_takes_another_denoiser_for_all_its_rows_only(tmp_path):
    """Once a new denoiser was refused whatever was measured with it."""
    lines = ["task,method,steps", "upsampling M,ddrm,20", "inpainting M,dps,1000", "upsampling M,pulse,100"]
    (tmp_path / beats_nothing.TABLE).write_text("\n".join(lines))
    before, after = ({"generator": "g", "denoiser": name} for name in ("old", "new"))
    about = {"weights": before, "on": "2026-01-01", "commit": "c"}
    (tmp_path / "provenance.json").write_text(json.dumps(about))
    both = {("upsampling M", "ddrm"), ("inpainting M", "dps")}
    found, weights = beats_nothing.kept(tmp_path, after, both)
    assert weights == after and len(found) == 3 and found["upsampling M", "pulse"]["commit"] == "c"
    for some in ({("upsampling M", "ddrm")}, {("upsampling M", "ddrm"), ("inpainting M", "daps")}):
        with pytest.raises(CommandError, match="'denoiser': 'old'.*expected .*'denoiser': 'new'"):
            beats_nothing.kept(tmp_path, after, some)
    assert beats_nothing.kept(tmp_path, before, set())[1] == before
    assert beats_nothing.kept(tmp_path, {"generator": "g"}, set())[1] == before  # of methods without a denoiser
    with pytest.raises(CommandError, match="'generator': 'g'"):
        beats_nothing.kept(tmp_path, after | {"generator": "other"}, both)


@pytest.mark.parametrize("name", ["rivals", "claims"])
def test_the_recorded_table_is_of_the_shipped_weights(name):
    about = json.loads(data_path(f"results/{name}/provenance.json").read_text(encoding="utf-8"))
    prior = load_prior()
    parts = {"generator": prior.generator, "perceptual": prior.perceptual, "identity": prior.identity, "judge": judge()}
    parts["denoiser"] = load_diffusion_prior().denoiser
    assert about["weights"] == {name: weights_digest(part) for name, part in parts.items()}


def test_a_cost_follows_from_two_runs():
    """100 s before the first step, 2 s and 3 passes a step."""
    short, long = ({"steps": n, "passes": 3 * n + 1, "seconds": 100 + 2.0 * n, "memory": 500.0} for n in (10, 20))
    row = costs.line(short, long, 450)
    assert row == {"steps": 450, "passes": 1351, "seconds": 1000, "per step": 2, "memory": 500}
    rows = {"long": row, "nothing": {"steps": 0, "passes": 0, "seconds": 0.01, "per step": None, "memory": None}}
    assert costs.table(rows).splitlines()[2:] == [
        "| `nothing` | 0 | 0 | 0.0 |  |  |",
        "| `long` | 450 | 1351 | 1000.0 | 2.000 | 500 |",
    ]


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "steps" in method.settings])
def test_short_runs_are_valid_settings(name):
    for steps in costs.LENGTHS.get(name, (5, 20)):
        assert costs.shortened(name, steps).settings["steps"] == steps


def test_the_table_has_its_place_in_the_page():
    page = costs.README.read_text(encoding="utf-8")
    changed = costs.written("new", page)
    assert f"{costs.BEGIN}\nnew\n{costs.END}" in changed
    assert changed.partition(costs.BEGIN)[0] == page.partition(costs.BEGIN)[0]
    assert changed.partition(costs.END)[2] == page.partition(costs.END)[2]
    with pytest.raises(ValueError, match="expected <!-- costs"):
        costs.written("new", "no marks")


def test_the_recorded_claims_have_all_steps():
    """What Rivals says of each paper's own tasks rests on the published numbers, on four portraits or more."""
    with data_path("results/claims/beats_nothing.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(row["steps"] == row["published_steps"] and int(row["portraits"]) >= 4 for row in rows)
    there = {(row["method"], row["task"]) for row in rows}
    claimed = {(name, f"{task} M") for name, tasks in beats_nothing.CLAIMS.items() for task in tasks}
    assert there == claimed


def test_passes_of_one_restoration_are_counted(prior, truth):
    """Two runs of PULSE differ by one pass a step for each of two images."""
    runs = [costs.once("pulse", costs.shortened("pulse", n), prior.generator, prior, truth[:2]) for n in (1, 3)]
    assert [run["steps"] for run in runs] == [1, 3] and [run["passes"] for run in runs] == [2, 6]
    assert all(run["seconds"] > 0 for run in runs)


def test_the_readme_has_the_recorded_table():
    """Retraining a net once left it behind: the recording was remade, and the table was not."""
    with data_path("results/rivals/beats_nothing.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8").replace("**", "")
    for name in {row["method"] for row in rows} | {"nothing"}:
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |") and line.count("|") == 8)
        kept = rows if name == "nothing" else [row for row in rows if row["method"] == name]
        recorded = sorted({f"{float(row['before' if name == 'nothing' else 'after']):.2f}" for row in kept})
        assert sorted({cell.strip() for cell in line.split("|")[3:8]} - {"n/a"}) == recorded, name
