"""The README's examples run as they stand, and what it links to exists."""

import re
from pathlib import Path

import pytest
import torch

from rusr_core import figures, presets

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_examples(monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 2  # ten lines; an own degradation, which goes on from there
    shown = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(presets.PRESETS, "report", presets.get("report").with_steps(2))
    monkeypatch.setattr(figures, "show", lambda *images, titles: shown.append((len(images), titles)))
    names: dict = {}
    exec("\n".join(blocks), names)  # noqa: S102
    assert shown == [(5, ["input", "W", "W+", "W++", "truth"])]
    assert names["result"].image.shape == (1, 3, 128, 128) and torch.isfinite(names["result"].image).all()
    assert [phase.space for phase in names["result"].phases] == ["W", "W+", "W++"]


def test_links_and_targets_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.M), target
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", re.findall(r"^    (rusr .*)$", README, re.M))
def test_commands_parse(command, capsys):
    """Their files are missing here, so each must fail for that reason and no other."""
    import shlex

    from rusr_core import commands

    assert commands.main(shlex.split(command)[1:]) == 2
    assert "no such file" in capsys.readouterr().err
