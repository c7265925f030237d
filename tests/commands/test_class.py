"""`--class` on the commands, for each family of conditional generators: what it searches, says and refuses."""

import json
from pathlib import Path

import pytest
import torch
from conftest import failure, random_generator, run
from stylegan3_examples import random_stylegan3

from rusr_core import presets, restore
from rusr_core.checkpoints import save_generator
from rusr_core.degradations import Downsample
from rusr_core.errors import RusrWarning
from rusr_core.images import load_image, quantize, save_image
from rusr_core.priors import load_prior


@pytest.fixture(params=["stylegan2", "t", "xl"])
def animals(request, tmp_path) -> Path:
    """A generator of 32 px with four classes in a file."""
    kind = request.param
    G = random_generator(c_dim=4) if kind == "stylegan2" else random_stylegan3(kind=kind, c_dim=4)
    save_generator(G, tmp_path / "animals.safetensors")
    return tmp_path / "animals.safetensors"


@pytest.fixture
def words(animals, tmp_path) -> list[object]:
    """Restore a picture of 8 px with one step a phase."""
    y = save_image(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), tmp_path / "y.png")
    options = ["--degradation", "downsample:4", "--prior", animals, "--perceptual", "portraits", "--steps", 1]
    return ["restore", y, tmp_path / "x.png", *options]


@pytest.mark.slow
def test_a_restoration_in_one_class_and_in_all(words, animals, cache, capsys):
    """The picture is the library's for that class; without one it begins at the mean of all, which is said."""
    y, out = load_image(words[1]), words[2]
    pictures = {}
    for chosen, name in (([], "animals"), (["--class", 2], "animals, class 2"), (["--class", 0], "animals, class 0")):
        assert run(*words, *chosen, "--force") == 0
        said = capsys.readouterr().err
        assert ("animals has 4 classes: a search begins at the mean of all of them" in said) == (not chosen)
        assert json.loads(out.with_suffix(".json").read_text())["prior"] == name
        pictures[name] = load_image(out)
    prior = load_prior(animals, perceptual="portraits", label=2)
    with pytest.warns(RusrWarning, match="goes without"):
        found = restore(prior, y, Downsample(4), preset=presets.get("default").shortened(1), seed=0)
    expected = quantize(found.image.clamp(0, 1))
    torch.testing.assert_close(pictures["animals, class 2"], expected, atol=1.01 / 255, rtol=0)
    others = [picture for name, picture in pictures.items() if name != "animals, class 2"]
    assert all((picture - expected).abs().max() > 0.02 for picture in others)


@pytest.mark.parametrize("label", [4, 10**9])
def test_classes_beyond_the_last(words, cache, capsys, label):
    expected = f"class {label}: expected a whole number from 0 to 3"
    assert expected in failure(capsys, *words, "--class", label)
    assert not words[2].exists()


@pytest.mark.parametrize("label", ["-1", "cat", "1.5", ""])
def test_words_that_are_no_class(tmp_path, capsys, label):
    error = failure(capsys, "restore", tmp_path / "y.png", tmp_path / "x.png", "--class", label)
    assert f"argument --class: '{label}': expected a whole number from 0, below 2^63" in error


@pytest.mark.parametrize("kind", ["stylegan2", "r"])
def test_generators_without_classes(kind, tmp_path, cache, capsys):
    G = random_generator() if kind == "stylegan2" else random_stylegan3(kind=kind)
    save_generator(G, tmp_path / "g.safetensors")
    y = save_image(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)), tmp_path / "y.png")
    options = ["--degradation", "downsample:4", "--prior", tmp_path / "g.safetensors", "--perceptual", "portraits"]
    error = failure(capsys, "restore", y, tmp_path / "x.png", *options, "--class", 0)
    assert "class 0: this generator has no classes, expected none" in error
    assert not (tmp_path / "x.png").exists()
