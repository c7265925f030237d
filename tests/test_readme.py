"""The README's examples run as they stand, and what it links to exists."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from rusr_core import commands, figures, presets
from rusr_core.images import load_image, save_image

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_examples(monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 2  # ten lines; an own degradation, which goes on from there
    shown = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setitem(presets.PRESETS, "default", presets.get("default").shortened(2))
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


@pytest.mark.slow
def test_commands(tmp_path, monkeypatch, capsys):
    """The commands of the README, in its order, on the files that they name; the restorations shortened."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "data/portraits/test/000.png", "portrait.png")
    (tmp_path / "inputs").mkdir()
    (tmp_path / "photos").mkdir()
    for name in ("group.jpg", "photos/one.png", "painted.png"):
        shutil.copy("portrait.png", name)
    paint = torch.zeros(1, 3, 128, 128)
    paint[..., 40:60, 30:90] = 1  # white in the hole: --invert-mask
    save_image(paint, "paint.png")
    rusr = [shlex.split(line)[1:] for line in re.findall(r"^    (rusr .*)$", README, re.M)]
    expected = "degrade restore inspect restore restore restore inspect photo photo sheet"
    assert [words[0] for words in rusr] == expected.split()
    for words in rusr:
        if "inputs/" in words:
            f = words[words.index("--degradation") + 1]
            assert commands.main(["degrade", "portrait.png", "inputs/a.png", "--degradation", f]) == 0
        few = ["--steps", "1"] if words[0] in ("restore", "photo") else []
        assert commands.main([*words, *few]) == 0, capsys.readouterr().err
    sizes = {
        name: load_image(name).shape[-1]
        for name in ("small.png", "restored.png", "outputs/a.png", "several.answer4.png")
    }
    assert sizes == {"small.png": 16, "restored.png": 128, "outputs/a.png": 128, "several.answer4.png": 128}
