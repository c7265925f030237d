"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the library."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (Add a \w+)\n(.*?)(?=^## )", TEXT, re.M | re.S))
NEW = {"rusr_core/baselines/mine.py", "book/mine.ipynb", "rusr_core/degradations/box_blur.py"}  # what a recipe makes
RUN = """import json, sys
from rusr_core.commands import main
for words in json.loads(sys.argv[1]):
    print("$ rusr", *words, flush=True)
    assert main(words) == 0"""


def block(recipe: str, language: str) -> str:
    """The code of a recipe."""
    (found,) = re.findall(rf"^ +```{language}\n(.*?)^ +```", RECIPES[recipe], re.M | re.S)
    return textwrap.dedent(found)


def commands(recipe: str) -> list[list[str]]:
    """The commands of a recipe, without their first word."""
    return [line.split()[1:] for line in re.findall(r"^ {7}(rusr .*)$", RECIPES[recipe].replace('"', ""), re.M)]


@pytest.fixture
def clone(tmp_path) -> Path:
    """What the recipes change, as a copy, and the data that they read."""
    shutil.copytree(ROOT / "rusr_core", tmp_path / "rusr_core", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "data").mkdir()
    for name in ("portraits", "results"):
        (tmp_path / "data" / name).symlink_to(ROOT / "data" / name)
    shutil.copy(ROOT / "data/zoo.toml", tmp_path / "data")
    return tmp_path


def run(clone: Path, *commands: list[str], after: str = "") -> str:
    """What the commands print, each after its own line, in one process, and then Python's lines in `after`."""
    environment = os.environ | {"PYTHONPATH": str(clone), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", f"{RUN}\n{after}", json.dumps(commands)]
    done = subprocess.run(words, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name}: {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_every_recipe_is_there():
    assert list(RECIPES) == ["Add a degradation", "Add a prior", "Add a method", "Add a chapter"]
    for name in re.findall(r"`((?:rusr_core|tests|data|book|tools|benchmarks)/[\w./]*)`", TEXT):
        assert (ROOT / name).exists() or name in NEW, name


@pytest.mark.slow
def test_a_degradation(clone):
    wing = clone / "rusr_core/degradations"
    (wing / "box_blur.py").write_text(block("Add a degradation", "python"), encoding="utf-8")
    notation = wing / "notation.py"
    edit(notation, "\n\nNAMES = {", "\nfrom rusr_core.degradations.box_blur import BoxBlur\n\nNAMES = {")
    edit(notation, "(Downsample, PoissonBernoulliNoise,", "(Downsample, BoxBlur, PoissonBernoulliNoise,")
    edit(notation, "KINDS = {\n", 'KINDS = {\n    "pixels": WHOLE,\n')
    degrade, restore = commands("Add a degradation")
    rusr = [*degrade[:4], " ".join(degrade[4:])], [*restore[:4], " ".join(restore[4:]), "--steps", "1"]
    imports = "import torch; from scipy.ndimage import uniform_filter; from rusr_core.degradations import parse"
    reference = "torch.tensor(uniform_filter(x, (0, 0, 9, 9), mode='mirror'))"
    compare = f"x = torch.rand(1, 3, 20, 24); print(float((parse('boxblur:9')(x) - {reference}).abs().max()))"
    assert float(run(clone, *rusr, after=f"{imports}; {compare}").splitlines()[-1]) < 1e-5
    assert (clone / "sharp.png").exists()


@pytest.mark.slow
def test_a_prior(clone):
    with (clone / "data/zoo.toml").open("a", encoding="utf-8") as zoo:
        zoo.write("\n" + block("Add a prior", "toml"))
    listed, info = run(clone, ["zoo", "list"], ["zoo", "info", "pets-256"]).split("$ rusr zoo info")
    assert "pets-256" in listed and "Pets, a StyleGAN2 of 256 px" in info


@pytest.mark.slow
def test_a_method(clone):
    (clone / "mine.py").write_text(block("Add a method", "python"), encoding="utf-8")
    bench, report = commands("Add a method")
    few = {"--num-images": "1", "--steps": "1"}
    words = [few.get(before, word) for before, word in zip(["", *bench], bench, strict=False)]
    assert "mean-face" in run(clone, words, report).split("$ rusr report")[1]
