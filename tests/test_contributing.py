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
import torch
from conftest import random_generator

from rusr_core.checkpoints.generators import save_generator
from rusr_core.commands import main
from rusr_core.priors import ZooError, load_prior

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (Add a \w+)\n(.*?)(?=^## )", TEXT, re.M | re.S))
NEW = {  # what the recipes make
    "rusr_core/baselines/mine.py",
    "tests/baselines/test_mine.py",
    "book/mine.ipynb",
    "rusr_core/degradations/box_blur.py",
    "tests/degradations/test_box_blur.py",
}
RUN = """import json, sys
from rusr_core.commands import main
for words in json.loads(sys.argv[1]):
    print("$ rusr", *words, flush=True)
    assert main(words) == 0"""


def block(recipe: str, language: str, number: int = 0) -> str:
    """The code of a recipe."""
    return textwrap.dedent(re.findall(rf"^ +```{language}\n(.*?)^ +```", RECIPES[recipe], re.M | re.S)[number])


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
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__", "golden"))
    (tmp_path / "tests/golden").symlink_to(ROOT / "tests/golden")
    for name in ("benchmarks", "book", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(clone: Path, *commands: list[str], after: str = "") -> str:
    """What the commands print, each after its own line, in one process, and then Python's lines in `after`."""
    environment = os.environ | {"PYTHONPATH": str(clone), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", f"{RUN}\n{after}", json.dumps(commands)]
    done = subprocess.run(words, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    return done.stdout


def pytest_lines(*words: str) -> str:
    """Python's lines that run tests."""
    return f"import pytest; assert pytest.main(['-q', '-n0', '-p', 'no:cacheprovider', *{words}]) == 0"


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
    imported = "from rusr_core.degradations.box_blur import BoxBlur\n"
    for name, line in (("notation", "\n\nNAMES = {"), ("__init__", "\n\n__all__ = [")):
        edit(wing / f"{name}.py", line, f"\n{imported}{line}")
    edit(wing / "notation.py", "        ReadNoise,\n", "        ReadNoise,\n        BoxBlur,\n")
    edit(wing / "notation.py", "KINDS = {\n", 'KINDS = {\n    "pixels": WHOLE,\n')
    examples, own = clone / "tests/degradation_examples.py", clone / "tests/degradations/test_box_blur.py"
    edit(examples, "EVERY = {\n", f'{imported}EVERY = {{\n    "box blur": BoxBlur(9),\n')
    own.write_text(block("Add a degradation", "python", 1), encoding="utf-8")
    degrade, restore = commands("Add a degradation")
    rusr = [*degrade[:4], " ".join(degrade[4:])], [*restore[:4], " ".join(restore[4:]), "--steps", "1"]
    done = run(clone, *rusr, after=pytest_lines("tests/degradations/test_every_degradation.py", str(own), "-k", "box"))
    assert "passed" in done and "failed" not in done
    assert (clone / "sharp.png").exists()


def test_a_prior(tmp_path, monkeypatch, capsys):
    text = (ROOT / "data/zoo.toml").read_text(encoding="utf-8") + "\n" + block("Add a prior", "toml")
    (tmp_path / "zoo.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("rusr_core.priors.zoo.data_path", lambda name: tmp_path / name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert main(["zoo", "list"]) == 0 and "pets-256" in capsys.readouterr().out
    assert main(["zoo", "info", "pets-256"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["title"] == "Pets, a StyleGAN2 of 256 px" and lines["state"] == "supply a path"
    with pytest.raises(ZooError, match=f"no verified address: supply a path, or put its file at {lines['path']}"):
        load_prior("pets-256")
    Path(lines["path"]).parent.mkdir(parents=True)
    made = random_generator()
    save_generator(made, tmp_path / "made.safetensors", {})
    shutil.copy(tmp_path / "made.safetensors", lines["path"])
    found = load_prior("pets-256", perceptual="portraits")
    assert found.name == "pets-256" and torch.equal(found.generator.w_mean, made.w_mean)
    assert main(["zoo", "fetch", "pets-256"]) == 0 and "put there by hand" in capsys.readouterr().out


@pytest.mark.slow
def test_a_method(clone):
    (clone / "mine.py").write_text(block("Add a method", "python"), encoding="utf-8")
    bench, report = commands("Add a method")
    few = {"--num-images": "1", "--steps": "1"}
    words = [few.get(before, word) for before, word in zip(["", *bench], bench, strict=False)]
    assert "mean-face" in run(clone, words, report).split("$ rusr report")[1]


@pytest.mark.slow
def test_a_published_method(clone):
    wing = clone / "rusr_core"
    (wing / "baselines/mine.py").write_text(block("Add a method", "python", 1), encoding="utf-8")
    edit(wing / "baselines/__init__.py", "import brgm, classical", "import mine, brgm, classical")
    edit(wing / "baselines/__init__.py", "ddrm, dps, daps)\n", "ddrm, dps, daps, mine)\n")
    paper = '    "nobody2020title": Paper("misc", "Nobody, N.", "Title", "A journal", 2020),\n'
    edit(wing / "citations.py", "PAPERS = {\n", f"PAPERS = {{\n{paper}")
    known = "from rusr_core.baselines import find; print(find('mine').settings)"
    files = (
        "tests/baselines/test_registry.py",
        "tests/baselines/test_settings.py",
        "tests/baselines/test_generators.py",
    )
    done = run(clone, after=f"{known}\n{pytest_lines(*files, '-k', 'mine or sound')}")
    assert "{'steps': 100, 'lr': 0.05}" in done and "passed" in done and "failed" not in done
