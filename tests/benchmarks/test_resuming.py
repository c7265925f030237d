"""Measurements that are kept one a file: what is there is not measured again, and never mixed with other settings."""

import json
import sys

import pytest

from benchmarks import costs
from benchmarks.resuming import fill, noted
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError


def test_only_what_is_missing_is_measured(tmp_path, capsys):
    parts = []

    def measure(part):
        parts.append(part)
        return [{"place": i} for i in part]

    paths = [tmp_path / f"{i}.json" for i in range(5)]
    options = {"tell": lambda one: f"place {one['place']}", "batch": 2}
    assert fill(paths[:2], {"level": 1}, measure, **options) == [{"place": 0}, {"place": 1}]
    paths[0].unlink()
    assert fill(paths, {"level": 1}, measure, **options) == [{"place": i} for i in range(5)]
    assert parts == [[0, 1], [0, 2], [3, 4]]
    assert json.loads(paths[4].read_text()) == {"settings": {"level": 1}, "place": 4}
    assert capsys.readouterr().out.splitlines()[-1] == "4: place 4"
    with pytest.raises(CommandError, match="0.json: made with .*1.*expected .*2"):
        fill(paths, {"level": 2}, measure, **options)


def test_what_was_measured_before_a_failure_is_kept(tmp_path):
    def measure(part):
        if 1 in part:
            raise ValueError("not today")
        return [{} for _ in part]

    paths = [tmp_path / f"{i}.json" for i in range(2)]
    with pytest.raises(ValueError, match="not today"):
        fill(paths, {}, measure, tell=str)
    assert [path.exists() for path in paths] == [True, False]


def test_what_another_job_has_noted_does_not_mix(tmp_path, monkeypatch, capsys):
    """Rows of costs that were measured with one prior are refused with another."""
    path, rows = tmp_path / "costs.json", {"nothing": {"prior": "mine", "seconds": 1.0}}
    assert noted(path, prior="mine") == {}
    path.write_text(json.dumps(rows))
    assert noted(path, prior="mine") == rows
    monkeypatch.setattr(sys, "argv", ["costs", "--keep", str(path), "--prior", "other"])
    assert ended(costs.main) == 2
    told = "nothing was begun with {'prior': 'mine'}; expected {'prior': 'other'}, or another folder"
    assert told in capsys.readouterr().err
