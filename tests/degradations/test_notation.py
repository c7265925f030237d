"""Degradations in words, and back; bad input is one line with what was found and what was expected."""

import sys

import pytest
import torch
from conftest import seeded
from degradation_examples import ARRAYS, EVERY, PUBLISHED, half_mask, images, picture

from rusr_core.degradations import (
    JPEG,
    Compose,
    DegradationError,
    Downsample,
    Mask,
    PoissonBernoulliNoise,
    Resize,
    Strokes,
    notation,
)
from rusr_core.errors import RusrError
from rusr_core.images import save_image


@pytest.mark.parametrize("name", [name for name in EVERY if "own" not in name and name[:4] != "mask"])
def test_notation_is_read_back(name):
    f = EVERY[name]
    assert notation.parse(str(f)) == f


def test_notation(tmp_path):
    f = notation.parse(" downsample:8,bicubic | noise:24, 0.16|JPEG:quality=12 | strokes:9,seed=3,width=0.1 ")
    expected = (Downsample(8, "bicubic"), PoissonBernoulliNoise(24, 0.16), JPEG(12), Strokes(9, 3, 0.1))
    assert f == Compose(*expected)
    assert str(f) == "downsample:8,filter=bicubic | noise:24,0.16 | jpeg:12 | strokes:9,seed=3,width=0.1"
    assert notation.parse("jpeg:12,compat=cvpr2023") == JPEG(12, compat=PUBLISHED)
    assert notation.parse("resize:24+40,area") == Resize((24, 40), "area")
    assert notation.parse("strokes:9,seed=3+4") == Strokes(9, seed=(3, 4))
    save_image(half_mask().expand(1, 3, -1, -1), tmp_path / "m.png")
    assert str(notation.parse(f"mask:{tmp_path}/m.png | jpeg:9")) == f"mask:{tmp_path}/m.png | jpeg:9"


BAD = {
    "jpg:12": (lambda: notation.parse("jpg:12"), "unknown degradation 'jpg'.*did you mean 'jpeg'"),
    "jpeg:high": (lambda: notation.parse("jpeg:high"), "quality must be a whole number, or several.*got 'high'"),
    "jpeg": (lambda: notation.parse("jpeg"), "'jpeg': quality missing; jpeg takes quality, sampling, compat"),
    "empty": (lambda: notation.parse(""), "unknown degradation ''"),
    "trailing bar": (lambda: notation.parse("jpeg:12 |"), "unknown degradation ''"),
    "too many": (lambda: notation.parse("noise:24,0.16,x,9"), "compat must be|cannot use"),
    "twice": (lambda: notation.parse("jpeg:12,quality=9"), "cannot use 'quality=9'"),
    "noise:24": (lambda: notation.parse("noise:24"), "p missing"),
    "noise:24,nan": (lambda: notation.parse("noise:24,nan"), r"p must be a number in \[0, 1\), got nan"),
    "seeds": (lambda: notation.parse("strokes:9,seed=a+b"), "seed must be a whole number, or several"),
    "mask file": (lambda: notation.parse("mask:nowhere.png"), "nowhere.png: no such file"),
    "factor": (lambda: Downsample(0), "factor must be a whole number from 1 to 8192, got 0"),
    "factor type": (lambda: Downsample(2.5), "factor must be a whole number from 1 to 8192, got 2.5"),
    "filter": (lambda: Downsample(2, "cubic"), "filter must be one of bilinear.*got 'cubic'"),
    "photons": (lambda: PoissonBernoulliNoise(0, 0.1), r"photons must be a number in \[0.01, 1e\+09\], got 0"),
    "p": (lambda: PoissonBernoulliNoise(6, 1.0), r"p must be a number in \[0, 1\), got 1.0"),
    "quality": (lambda: JPEG(101), "quality must be a whole number from 1 to 100, got 101"),
    "compat": (lambda: JPEG(12, compat="2023"), "compat must be None or 'cvpr2023', got '2023'"),
    "count": (lambda: Strokes(-1), "count must be a whole number from 0 to 10000, got -1"),
    "width": (lambda: Strokes(1, width=0), "width must be .*got 0"),
    "seed": (lambda: Strokes(1, seed=-1), "seed must be .*got -1"),
    "resize": (lambda: Resize(0), "size must be .*got 0"),
    "mode": (lambda: Resize(8, "cubic"), "mode must be one of area.*got 'cubic'"),
    "mask range": (lambda: Mask(torch.full((4, 4), 255.0)), r"must lie in \[0, 1\], got \[255, 255\]"),
    "mask NaN": (lambda: Mask(torch.full((4, 4), float("nan"))), "must lie in"),
    "mask shape": (lambda: Mask(torch.rand(1, 3, 4, 4, generator=seeded())), r"got \[1, 3, 4, 4\]"),
    "mask size": (lambda: Mask(half_mask(32))(picture()), "the mask is 1 x 32x32 px, the image 1 x 64x64 px"),
    "seeds of a batch": (lambda: Strokes(1, seed=(1, 2))(picture()), "2 seeds for 1 images"),
    "not divisible": (lambda: Downsample(3)(picture()), "64x64 px cannot be reduced by 3"),
    "not divisible, true": (lambda: Downsample(3).degrade(picture()), "64x64 px cannot be reduced by 3"),
    "no batch": (
        lambda: JPEG(12)(picture()[0]),
        r"expected images \[N, 3, H, W\] of floats, got \[3, 64, 64\]",
    ),
    "bytes": (lambda: JPEG(12).degrade(ARRAYS["in/image_u8"][None]), "of floats, got .* torch.uint8"),
    "NaN": (lambda: JPEG(12).degrade(picture() * float("nan")), "the image holds NaN"),
    "not a degradation": (lambda: Compose(JPEG(12), 3), r"a function of x or has a method forward\(x\); 3 has none"),
    "a class": (lambda: Compose(JPEG), r"JPEG is a class; expected a degradation, as JPEG\(...\)"),
    "text": (lambda: Compose("jpeg:12"), "got the text 'jpeg:12'; degradations.parse makes one of it"),
    "generators": (lambda: PoissonBernoulliNoise(6, 0.1)(picture(), [seeded()]), "expected one torch.Generator on"),
    "generator type": (lambda: PoissonBernoulliNoise(6, 0.1)(picture(), 3), "expected one torch.Generator .* got 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line(name):
    call, message = BAD[name]
    with pytest.raises(RusrError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_seed_is_read_back_whatever_the_default(seed):
    for f in (
        Strokes(9),
        Strokes(9, seed=0),
        Strokes(9, seed=(4,)),
        Compose(JPEG(7, "4:4:4"), Strokes(2, seed=(0, 1))),
    ):
        assert notation.parse(str(f), seed=seed) == f


@pytest.mark.parametrize("name", ["my,mask.png", "a|b.png", "source=x.png", 'quo"te.png', "back\\slash.png", " .png"])
def test_any_file_name_can_be_said(name, tmp_path):
    path = tmp_path / name
    save_image(half_mask().expand(1, 3, -1, -1), path)
    f = notation.parse(str(Compose(Mask(path), JPEG(9))))
    assert f.stages[0].source == str(path) and str(f).endswith("| jpeg:9")
    assert torch.equal(f.stages[0].visible[0, 0], half_mask())


def test_quotes_by_hand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image(half_mask().expand(1, 3, -1, -1), tmp_path / "my,mask.png")
    assert notation.parse('mask:"my,mask.png" | jpeg:75,"4:4:4"').stages[1] == JPEG(75, "4:4:4")
    assert notation.parse('mask:source="my,mask.png"').source == "my,mask.png"


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    text = """
import torch
from rusr_core.degradations import JPEG, Degradation
class Grey:
    def forward(self, x): return x.mean(1, keepdim=True).expand_as(x)
class Needs:
    def __init__(self, what): pass
class Ends:
    def __init__(self): raise SystemExit
class Bare(Degradation):
    def forward(self, x, generator=None): return x / 2
def half(x): return x / 2
grain = lambda x: x + 0.1 * torch.randn_like(x)
strong = JPEG(5)
number = 3
"""
    (tmp_path / "own_operators.py").write_text(text)
    (tmp_path / "own_broken.py").write_text("1 / 0")
    (tmp_path / "own_exits.py").write_text("raise SystemExit(0)")
    (tmp_path / "own_lacks.py").write_text("import own_other")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_operators", None)


def test_own_operators_by_module_and_name(own_module):
    x = images(1)
    f = notation.parse("own_operators:Grey | own_operators:half | jpeg:12")
    assert torch.equal(f(x), JPEG(12)((x.mean(1, keepdim=True) / 2).expand_as(x)))
    assert str(f) == "own_operators:Grey | own_operators:half | jpeg:12" == str(notation.parse(str(f)))
    noisy = notation.parse("own_operators:grain")
    assert torch.equal(noisy(x, seeded(1)), noisy(x, seeded(1))) and not torch.equal(noisy(x, seeded(2)), x)
    assert notation.parse("own_operators:strong") == JPEG(5)
    assert torch.equal(notation.parse("own_operators:Bare").degrade(x), (255 * x / 2).round() / 255)


@pytest.mark.parametrize(
    "words, message",
    [
        ("own_operators:Nothing", "'own_operators:Nothing': own_operators has no 'Nothing'"),
        ("own_operators:Needs", "'own_operators:Needs' cannot be made: TypeError: .*missing 1 required"),
        (
            "own_operators:number",
            r"'own_operators:number': a degradation is a function of x or has a method forward\(x\); 3 has none",
        ),
        ("own_broken:f", "'own_broken:f': cannot import own_broken .ZeroDivisionError"),
        ("own_exits:f", r"'own_exits:f': cannot import own_exits \(SystemExit: 0\)"),
        ("own_lacks:f", r"'own_lacks:f': cannot import own_lacks \(ModuleNotFoundError: No module named 'own_other'"),
        ("own_operators:Ends", "'own_operators:Ends' cannot be made: SystemExit"),
        ("own_missing:f", "unknown degradation 'own_missing'; expected .*, or MODULE:NAME; no module 'own_missing' is"),
    ],
)
def test_own_operators_that_are_none(own_module, words, message):
    with pytest.raises(DegradationError, match=message) as caught:
        notation.parse(words)
    assert "\n" not in str(caught.value)
