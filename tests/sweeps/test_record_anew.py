"""Methods that a recording has, taken anew from a sweep: another measure of the same, or another denoiser."""

import csv
import json
from dataclasses import replace
from operator import itemgetter

import pytest
from sweep_world import plan

from benchmarks.record import record
from benchmarks.recorded_rows import add
from benchmarks.recorded_sheets import widened
from rusr_core.commands.options import CommandError
from rusr_core.images import load_image, save_image
from rusr_core.sweeps import results, run

pytestmark = pytest.mark.slow


def test_a_measure_that_came_later_enters_with_its_method(config, tmp_path):
    """`--anew`: the rows of a recorded method are the sweep's, if it found the same; all others stay."""
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, plan(2)).ok and run(second, plan(2)).ok
    record(config.folder, out, judge=config.judge)
    with (out / "results.csv").open() as file:
        before = list(csv.DictReader(file))
    facts = json.loads((out / "provenance.json").read_text())
    rows = [row | ({"samples": 7} if row["method"] == "drawn" else {}) for row in results.rows(second.folder)]
    found, *_ = add(out, rows, [], dict(facts), ["drawn"])
    assert {(r["method"], r.get("samples")) for r in found} == {("plain", None), ("drawn", 7)}
    unit = itemgetter("task", "image", "method")
    assert sorted(map(unit, found)) == sorted(map(unit, before))
    assert [row for row in before if row["method"] == "plain"] == [row for row in found if row["method"] == "plain"]
    for changed, message in (
        ([row for row in rows if (row["method"], row["image"]) != ("drawn", "001")], "lacks .*001.*nothing is taken"),
        ([row | {"lpips": 2 * row["lpips"]} for row in rows], "LPIPS .*, recorded .*nothing is added"),
    ):
        with pytest.raises(CommandError, match=message):
            add(out, changed, [], dict(facts), ["drawn"])
    more = facts | {"settings": {name: known | {"samples": 7} for name, known in facts["settings"].items()}}
    with pytest.raises(CommandError, match="gave its own number of answers to each image in .*, the sweep 7: expected"):
        add(out, rows, [], dict(more))
    _, _, told, _ = add(out, rows, [], dict(more), ["drawn"])
    assert {name: known.get("samples") for name, known in told["settings"].items()} == {"plain": None, "drawn": 7}
    with pytest.raises(CommandError, match="other is not in .*; expected methods of the sweep"):
        record(second.folder, out, judge=second.judge, adding=True, anew=["other"])


def test_a_method_that_restores_with_another_denoiser_is_taken_anew(config, tmp_path):
    """Its rows and its pictures are the sweep's; all others stay, and the runs are compared by another method."""
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, plan(1)).ok and run(second, plan(1)).ok
    for folder, denoiser in ((config.folder, "old"), (second.folder, "new")):
        sweep = json.loads((folder / "bench.json").read_text())
        sweep["methods"]["drawn"]["denoiser"] = denoiser
        (folder / "bench.json").write_text(json.dumps(sweep))
    record(config.folder, out, judge=config.judge)
    facts, before = json.loads((out / "provenance.json").read_text()), load_image(out / "denoising.jpg")
    with pytest.raises(CommandError, match="drawn has another denoiser than in .*after --anew"):
        record(second.folder, out, judge=second.judge, adding=True)
    said = facts | {"denoisers": {"drawn": "new"}}
    rows = [
        row | {"lpips": 2 * row["lpips"]} if row["method"] == "drawn" else row for row in results.rows(second.folder)
    ]
    found, _, told, renewed = add(out, rows, [], dict(said), ["drawn"])
    assert told["denoisers"] == {"drawn": "new"} and renewed == {"drawn"}
    assert {row["lpips"] for row in found if row["method"] == "drawn"} == {
        row["lpips"] for row in rows if row["method"] == "drawn"
    }
    with pytest.raises(CommandError, match="repeats no recorded method"):
        add(out, [row for row in rows if row["method"] == "drawn"], [], dict(said), ["drawn"])
    (picture,) = (second.folder / "units/drawn/N-M").glob("*.png")
    save_image(1 - load_image(picture)[0], picture, force=True)
    labels = facts["sheets"]["denoising"]
    assert widened(second.folder, rows, "denoising", labels, out, {"drawn"}) == labels
    columns, old = (sheet.chunk(len(labels["columns"]), 3) for sheet in (load_image(out / "denoising.jpg"), before))
    for name, one, other in zip(labels["columns"], columns, old, strict=True):
        assert ((one - other).abs().mean() > 0.1) == (name == "drawn"), name
