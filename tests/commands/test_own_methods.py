"""`rusr restore --method MODULE:FUNCTION`: somebody's own function restores pictures, and is told what is wrong."""

from pathlib import Path

import pytest
import torch

from rusr_core import commands
from rusr_core.images import load_image
from rusr_core.photos.records import read_record
from rusr_core.sweeps import storage

OWN = '''
import torch
from rusr_core.baselines import Baseline
from rusr_core.restore import Restoration


def grey(prior, y, f, *, seed=0, callback=None, steps=2, shade=0.5):
    """An image of one shade."""
    side = prior.generator.resolution
    assert callback is not None and len(y) == 1
    return Restoration(torch.full((len(y), 3, side, side), shade), 0.0, [steps] * len(y), seed, "grey")


def without_callback(prior, y, f, seed=0):
    return grey(prior, y, f, seed=seed, callback=print)


class Called:
    """An object that can be called, with whatever options."""

    def __call__(self, prior, y, f, **options):
        return grey(prior, y, f, **options)


called = Called()


class Net(torch.nn.Module):
    """A network, whose `forward` restores."""

    def forward(self, prior, y, f, seed=0, steps=3):
        return grey(prior, y, f, seed=seed, callback=print, steps=steps)


def asked(f):
    raise KeyError("asked")


net = Net()
unasked = Baseline("unasked", grey, can=asked)
agrees = Baseline("agrees", grey, can=lambda f: True)
draws = Baseline("draws", lambda prior, y, f, seed=0, where=grey: without_callback(prior, y, f, seed), samples=True)
only_jpeg = Baseline("only-jpeg", grey, can=lambda f: None if "jpeg" in str(f) else "it knows JPEG alone", samples=True)
denoises = Baseline("denoises", grey, prior="diffusion")


def spoils(prior, y, f, *, seed=0, callback=None):
    y.zero_()
    return grey(prior, y, f, seed=seed, callback=print)


def image(prior, y, f, *, seed=0, callback=None):
    return y


def small(prior, y, f, *, seed=0, callback=None):
    return Restoration(y[..., ::2, ::2], 0.0, [0] * len(y), seed, "small")


def hole(prior, y, f, *, seed=0, callback=None):
    return grey(prior, y, f, callback=print, shade=float("nan"))


def fails(prior, y, f, *, seed=0, callback=None):
    return torch.zeros(3) @ torch.zeros(4)


def ends(prior, y, f, *, seed=0, callback=None):
    raise SystemExit(3)


def narrow(prior, y):
    return None
'''
FAULT = 1 + OWN[: OWN.index("torch.zeros(3) @")].count("\n")  # the line in the file


@pytest.fixture
def words(config, tmp_path, monkeypatch) -> list[str]:
    """`rusr restore` of an image of 32 px in the small world, in a folder that holds own_methods.py."""
    (tmp_path / "own_methods.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    found = ["restore", str(config.images / "000.png"), "out.png", "--prior", config.prior, "--perceptual", "portraits"]
    return [*found, "--degradation", "jpeg:30", "--method"]


def test_a_function_restores_a_picture_with_its_own_settings(words, tmp_path, capsys):
    assert commands.main([*words, "own_methods:grey"]) == 0
    assert load_image(tmp_path / "out.png").sub(0.5).abs().max() < 1 / 255
    assert "2 steps" in capsys.readouterr().out and read_record(tmp_path / "out.png")["method"] == "own_methods:grey"
    assert commands.main([*words, "own_methods:grey", "--steps", "1", "--force"]) == 0
    assert read_record(tmp_path / "out.png")["method"] == "own_methods:grey@1"
    assert commands.main([*words, "own_methods:net", "--steps", "1", "--force"]) == 0
    for name in ("without_callback", "called", "only_jpeg"):
        assert commands.main([*words, f"own_methods:{name}", "--force"]) == 0
    assert torch.equal(load_image(tmp_path / "out.png")[0, :, 0, 0], torch.full((3,), 128 / 255))


def test_what_a_method_does_to_its_input_is_nobody_elses(words, tmp_path):
    """How well the result explains the input is measured after it."""
    found = []
    for name in ("called", "spoils"):
        assert commands.main([*words, f"own_methods:{name}", "--force"]) == 0
        found.append(read_record(tmp_path / "out.png")["misfit"])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "name, message",
    [
        ("narrow", "own_methods:narrow takes (prior, y), expected (prior, y, f, *, seed=0, callback=None)"),
        ("missing", "own_methods has no 'missing'"),
        ("image", "own_methods:image returned Tensor: expected a Restoration with the steps of 1 images"),
        ("small", "own_methods:small returned images (1, 3, 16, 16), expected (1, 3, 32, 32) of finite numbers"),
        ("hole", "own_methods:hole returned images (1, 3, 32, 32) with NaN or infinity, expected finite numbers"),
        ("fails", f"own_methods.py, line {FAULT})"),
        ("denoises", "own_methods:denoises restores with a denoiser, expected a method of the generator"),
        ("only_jpeg --degradation blur:1", "own_methods:only_jpeg is n/a for blur:width=1: it knows JPEG alone"),
        ("unasked", "can of method 'own_methods:unasked' fails: KeyError: 'asked'"),
        ("agrees", "can of method 'own_methods:agrees' gives True: expected None, or why it cannot"),
        ("builtins:max", "builtins:max: TypeError: "),
        ("ends", "own_methods:ends: SystemExit: 3 ("),
        ("image --steps 3", "method 'own_methods:image' takes no steps that could be shortened to 3"),
        ("grey --samples 2", "--samples 2: own_methods:grey draws no samples; expected a preset"),
        ("grey --denoiser x", "--denoiser x: own_methods:grey restores without one"),
    ],
)
def test_what_is_wrong_is_one_line(words, tmp_path, capsys, name, message):
    name, *more = name.split()
    assert commands.main([*words, name if ":" in name else f"own_methods:{name}", *more]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not (tmp_path / "out.png").exists()


def test_a_baseline_of_ones_own_is_not_asked_for_what_it_cannot_do(words, config, capsys):
    """In a sweep it has a row with the reason; of a picture it gives as many draws as are wanted."""
    bench = ["bench", str(config.folder), "--prior", config.prior, "--perceptual", "portraits", "--judge", config.judge]
    bench += ["--images", str(config.images), "--num-images", "1", "--tasks", "U:XS,deartifacting:M"]
    assert commands.main([*bench, "--methods", "mine=own_methods:only_jpeg"]) == 1, "it wants a callback"
    out, err = capsys.readouterr()
    assert "n/a: mine on upsampling XS: it knows JPEG alone" in out and "1 units: 0 were done, 1 failed" in out
    assert "AssertionError" in err
    several = [*bench[:-2], "--tasks", "deartifacting:M", "--samples", "2", "--methods", "mine=own_methods:draws"]
    several[1] = "several"
    assert commands.main([*several, "theirs=own_methods:without_callback"]) == 0
    err = capsys.readouterr().err
    assert "--samples 2 does not reach theirs" in err and "reach mine" not in err
    (path,) = Path("several/units/mine").glob("*/000_0.png")
    assert storage.read_record(path)["samples"] == 2
    assert commands.main([*several, "--steps", "3"]) == 2
    assert "--steps 3: reaches none of mine" in capsys.readouterr().err
    assert commands.main([*words, "own_methods:only_jpeg", "--samples", "2"]) == 0
    assert "out.answer2.png" in {path.name for path in Path.cwd().iterdir()}
