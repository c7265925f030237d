"""Arguments of a wrong kind: every public function says what it got and what it expects, as a RusrError on one line,
before it begins. Numbers that cannot be are in test_limits.py."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import random_prior, small_portrait_net

import rusr_core as rusr
from rusr_core import degradations, figures, latents, metrics, photos, presets, tasks
from rusr_core.degradations import Blur, Downsample, Mask, PoissonBernoulliNoise, ReadNoise, Strokes, free, jpeg
from rusr_core.figures import charts
from rusr_core.generator import GeneratorConfig
from rusr_core.images import fit_image, to_uint8
from rusr_core.losses import L1, RestorationLoss, Term
from rusr_core.metrics import realism, report
from rusr_core.networks import Denoiser, DenoiserConfig, PortraitNetConfig
from rusr_core.photos import align, masks, paste
from rusr_core.prior import DiffusionPrior
from rusr_core.sweeps.config import SweepConfig

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
ARRAY, NAN = np.zeros((8, 8)), X * float("nan")
PICTURE, QUAD, NAMES = (X[0] * 255).byte(), align.corners(16), {"xlabel": "a", "ylabel": "b"}
RESULT = rusr.Restoration(X, 1.0, [1, 1], 0, "mine")
ORACLE = dataclasses.replace(presets.get("default@1"), name="own", identity_reference="clean")


def restored(prior: object = None, **options: object) -> object:
    prior = random_prior() if prior is None else prior
    return rusr.restore(prior, X[..., ::2, ::2], Downsample(2), **{"preset": "default@1", **options})


def denoised(x: object, sigma: object) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):  # new layers draw initial weights
        config = DenoiserConfig((16,), blocks=1, features=2, head=4, embedding=8, coarse=8, modes=4, resolution=32)
        return Denoiser(config)(x, sigma)


def moved(result: object) -> object:
    """A mask behind an operator whose `transform_mask` gives `result`."""
    operator = SimpleNamespace(forward=lambda x: x, transform_mask=lambda mask: result)
    return degradations.mask_of(degradations.Compose(Strokes(2), operator), X)


def generator_of(size: object) -> SimpleNamespace:
    return SimpleNamespace(resolution=8, w_mean=None, w_std=size, widen=None, image=None)


CALLS = {
    "restore(prior), a name": (lambda: restored("portraits-128"), "the prior is a str: expected a Prior"),
    "restore(prior), a denoiser": (
        lambda: restored(DiffusionPrior("a", None, None)),
        "a DiffusionPrior: expected a Pr",
    ),
    "restore(callback)": (lambda: restored(callback=5), "callback is 5: expected a function of a Step, or None"),
    "restore(clean)": (
        lambda: restored(preset=ORACLE, clean=NAN),
        "clean holds 6144 values of NaN or infinity: expect",
    ),
    "load_prior(None)": (lambda: rusr.load_prior(None), "prior None: expected 'portraits-128', a name of the zoo, or"),
    "load_prior(device)": (
        lambda: rusr.load_prior(device="gpu"),
        "device 'gpu' is not available here; expected cpu or",
    ),
    "load_prior(meta)": (
        lambda: rusr.load_prior(device="meta"),
        "device 'meta' is not available here; expected cpu or",
    ),
    "load_prior(perceptual)": (lambda: rusr.load_prior(perceptual=True), "perceptual True: expected a name, a file"),
    "load_prior(''), perceptual": (lambda: rusr.load_prior(perceptual=""), "perceptual network '': expected 'lpips'"),
    "judge(device)": (lambda: metrics.judge("gpu"), "device 'gpu' is not available here; expected cpu or cuda"),
    "portraits, of none": (lambda: rusr.portraits([]), r"portraits \[\]: expected one or more numbers from 0 to 99"),
    "portraits, a number": (lambda: rusr.portraits(3), "portraits 3: expected one or more numbers from 0 to 99"),
    "portraits, 100": (
        lambda: rusr.portraits([1, 100]),
        "portrait's number is 100: expected a whole number from 0 to 99",
    ),
    "portraits, True": (
        lambda: rusr.portraits([True]),
        "portrait's number is True: expected a whole number from 0 to 99",
    ),
    "Prior.of": (
        lambda: rusr.Prior.of(generator_of("a")),
        "w_std of SimpleNamespace is 'a': expected a positive number",
    ),
    "save_image": (lambda: rusr.save_image(ARRAY, "a.png"), r"one image \[1, 3, H, W\] or \[3, H, W\], got ndarray"),
    "resize": (lambda: rusr.resize(ARRAY, 4), r"expected images \[N, C, H, W\] of floats, got ndarray"),
    "resize, huge": (lambda: rusr.resize(X, 2**26), "size must be 1 to 67108864 pixels, got 67108864x67108864 px"),
    "fit_image": (
        lambda: fit_image(X[0], 32),
        r"expected images \[N, C, H, W\] of floats, got \[3, 32, 32\] torch.float",
    ),
    "to_uint8": (lambda: to_uint8(ARRAY), r"expected a tensor of floats in \[0, 1\], got ndarray"),
    "Mask": (lambda: Mask(ARRAY), "a mask must be a real tensor or the path of a picture, got ndarray"),
    "Mask, complex": (
        lambda: Mask(torch.ones(8, 8) * 1j),
        "a mask must be a real tensor or the path of a picture, got",
    ),
    "Blur(kernel)": (lambda: Blur(kernel=5), "kernel must be a real tensor or the path of a picture, got int"),
    "parse": (lambda: degradations.parse(None), "a notation must be text, as 'downsample:8 | jpeg:30', got None"),
    "free, one number": (
        lambda: free(Blur(1.5), width=3),
        r"bounds of width must be \(low, high\) or \(low, high, start",
    ),
    "free, four": (
        lambda: free(Blur(1.5), width=(1, 2, 3, 4)),
        r"bounds of width must be \(low, high\) or \(low, high",
    ),
    "free, not f's": (lambda: free(Blur(1.5), width=(-3, 4)), r"width must be in \[0, 1024\] px, got -3"),
    "free, photons": (
        lambda: free(PoissonBernoulliNoise(24, 0), photons=(-3, 99)),
        "photons must be a number in .*got -3",
    ),
    "free, sigma": (lambda: free(ReadNoise(0.1), sigma=(0.05, 40)), r"sigma must be a number in \[0, 1\], got 40"),
    "transform_mask, None": (lambda: moved(None), r"transform_mask gives None; expected \[1, 1, 32, 32\] in \[0, 1\]"),
    "transform_mask, values": (
        lambda: moved(7 * torch.ones(1, 1, 32, 32)),
        "transform_mask gives .*; expected .* in .0, 1",
    ),
    "transform_mask, array": (lambda: moved(np.ones((1, 1, 32, 32))), "transform_mask gives array.*; expected"),
    "differentiable_jpeg": (
        lambda: jpeg.differentiable_jpeg(X, 5, "4:1:1"),
        "sampling must be one of 4:2:0, .*'4:1:1'",
    ),
    "file_round_trip": (lambda: jpeg.file_round_trip(None, 0), "quality must be a whole number from 1 to 100, got 0"),
    "three_tables": (lambda: jpeg.three_tables(()), "quality must be one, two or three tables of 64 whole numbers"),
    "tasks.own, ''": (lambda: tasks.own(lambda x: x, name=""), "a task is called '': expected a word"),
    "tasks.own, 5": (lambda: tasks.own(Downsample(2), name=5), "a task is called 5: expected a word"),
    "tasks.get(compat)": (lambda: tasks.get("blur", compat="no"), "compat must be None or 'cvpr2023', got 'no'"),
    "space": (lambda: latents.space([1.0]), r"latents as a list: expected rank 2 \(W\), 3 \(W\+\) or 4"),
    "mean_interval": (lambda: metrics.mean_interval([1.0, 2.0]), "mean_interval: got list: expected a tensor of real"),
    "patch_features(side)": (
        lambda: realism.patch_features(X, torch.flatten, side=0),
        "32x32 px is 0: expected a whole",
    ),
    "patch_features": (
        lambda: realism.patch_features([X], torch.flatten),
        "patch_features: got list, expected a tensor",
    ),
    "frechet": (lambda: realism.frechet([1.0], [2.0]), "features are list: expected a tensor of real numbers"),
    "frechet, complex": (
        lambda: realism.frechet(X[0, 0] * 1j, X[0, 0]),
        "features are torch.complex64: expected a tensor",
    ),
    "load_image": (lambda: rusr.load_image(None), "a file is None: expected its path"),
    "save_image(path)": (lambda: rusr.save_image(X[0], 5), "a file is 5: expected its path"),
    "estimate": (lambda: photos.estimate(5), "a file is 5: expected its path"),
    "Restoration.save": (lambda: RESULT.save(None), "a file is None: expected its path"),
    "Restoration.load": (lambda: rusr.Restoration.load(5), "a file is 5: expected its path"),
    "lpips(net)": (
        lambda: metrics.lpips(X, X, 5),
        r"lpips: net is int, which has no features\(x\): expected a network",
    ),
    "identity(net)": (lambda: metrics.identity(X, X, "arcface"), r"identity: net is str, which has no embed\(x\)"),
    "frechet_distance": (
        lambda: realism.frechet_distance(X, X),
        "got Tensor: expected the Statistics of a set of features",
    ),
    "KID(paired)": (
        lambda: realism.kernel_distance(X[0, 0], X[0, 1], paired="no"),
        "paired is 'no': expected True or False",
    ),
    "KID of nothing": (
        lambda: realism.kernel_distance(X[0, 0, :, :0], X[0, 0, :, :0], paired=True),
        r"features \(32, 0\)",
    ),
    "citation": (lambda: rusr.citation(None), "a result is NoneType: expected a Restoration"),
    "citation(references)": (
        lambda: rusr.citation(dataclasses.replace(RESULT, info={"references": "a b"})),
        "the references of a result are 'a b': expected a list of texts",
    ),
    "restore(loss), without gradient": (
        lambda: restored(loss=lambda guess: torch.ones(len(guess.degraded))),
        "the loss gives no gradient: expected a term that depends on the guess",
    ),
    "Preset(optimizer), L-BFGS": (
        lambda: restored(preset=dataclasses.replace(presets.get("default@1"), name="own", optimizer=torch.optim.LBFGS)),
        "LBFGS.step needs a closure: expected an optimiser of one gradient a step",
    ),
    "Report.score": (
        lambda: report.Report("U M", "mine", "", 1, {}).score("lpip"),
        "score 'lpip': expected one of lpips",
    ),
    "Denoiser(sigma), three": (
        lambda: denoised(X, torch.ones(3)),
        "sigma must be one positive number, or one an image",
    ),
    "Denoiser(sigma), text": (lambda: denoised(X, "1"), "sigma must be one positive number, or one an image, got '1'"),
    "Denoiser(x)": (
        lambda: denoised((X * 255).long(), 0.5),
        r"images must be floats \[N, 3, 32, 32\], got .* torch.int64",
    ),
    "DenoiserConfig": (lambda: DenoiserConfig(16), "widths are 16: expected those of each level"),
    "PortraitNetConfig": (lambda: PortraitNetConfig(16), "channels are 16: expected those of each level"),
    "panel": (lambda: figures.panel(None), r"expected images \[N, 3, H, W\], got NoneType"),
    "panel(titles)": (lambda: figures.panel(X[:1], titles="a"), "titles is 'a': expected a list of 1"),
    "loss_curves": (
        lambda: figures.loss_curves(RESULT),
        "no losses were recorded in Restoration.*: expected what restore",
    ),
    "answers": (lambda: figures.answers(X, RESULT), "one answer is in a Restoration: expected a result of"),
    "heat": (lambda: figures.heat(X, 1.0), r"a map of \[2, 3, 32, 32\] torch.float32: expected finite numbers \[N, 1"),
    "heat, NaN": (lambda: figures.heat(NAN[:, :1], 1.0), "a map of .*: expected finite numbers"),
    "lines(log)": (lambda: charts.lines([1], {"a": [1]}, **NAMES, log="z"), "log is 'z': expected the letters of"),
    "lines": (lambda: charts.lines([1, 2], {"a": [1]}, **NAMES), "line 'a' has 1 values for 2 positions"),
    "bars, text": (lambda: charts.bars({"a": "b"}, xlabel="a"), "the value of 'a' is 'b': expected a number or"),
    "bars, two": (
        lambda: charts.bars({"a": (1, 2)}, xlabel="a"),
        r"the value of 'a' is \(1, 2\): expected a number or",
    ),
    "predict": (lambda: figures.predict("a", "q", "xy"), "choices are 'xy': expected a list of two or more"),
    "table(rows)": (lambda: figures.table("abc", ["a"]), "rows are 'abc': expected a list of them"),
    "table(columns)": (lambda: figures.table([[1, 2]], "ab"), "columns are 'ab': expected a list of them"),
    "align, floats": (
        lambda: align.align(X[0], QUAD, 8),
        r"expected a picture \[3, H, W\] of torch.uint8, got \[3, 32, 32",
    ),
    "align, corners": (lambda: align.align(PICTURE, QUAD[:3], 8), r"expected finite corners \[4, 2\], got \[3, 2\]"),
    "align, NaN": (lambda: align.align(PICTURE, QUAD * float("nan"), 8), r"expected finite corners \[4, 2\]"),
    "enlarged": (lambda: paste.enlarged(X[0], 2), r"expected a picture \[3, H, W\] of torch.uint8, got \[3, 32, 32\]"),
    "fit_mask": (lambda: masks.fit_mask(X, 8, "crop"), r"expected a mask \[1, 1, H, W\], got \[2, 3, 32, 32\]"),
    "align_mask": (lambda: masks.align_mask(X, QUAD, 8), r"expected a mask \[1, 1, H, W\], got \[2, 3, 32, 32\]"),
    "PortraitNet, bytes": (
        lambda: small_portrait_net().features(PICTURE[None]),
        r"floats \[N, 3, H, W\] .* torch.uint8",
    ),
    "PortraitNet, array": (
        lambda: small_portrait_net().features(ARRAY),
        r"must be floats \[N, 3, H, W\] .* got ndarray",
    ),
    "RestorationLoss": (lambda: RestorationLoss(("a",)), r"terms of a loss are \('a',\): expected a tuple of Term"),
    "RestorationLoss, one": (
        lambda: RestorationLoss(Term("a", 1.0, L1())),
        "terms of a loss are Term.*: expected a tuple",
    ),
    "Preset(phases)": (
        lambda: dataclasses.replace(ORACLE, phases=None),
        "phases of a preset is None: expected a tuple",
    ),
    "GeneratorConfig": (lambda: GeneratorConfig(8, 5), "channels are 5: expected those of each resolution"),
    "GeneratorConfig, text": (lambda: GeneratorConfig(8, ("a", "b")), "a number of channels is 'a': expected a whole"),
    "G.image": (lambda: random_prior().generator.image([1.0]), "latents as a list: expected a tensor in W"),
    "SweepConfig": (lambda: SweepConfig(Path("a"), "default"), "methods are 'default': expected a tuple of Method"),
    "for_image": (lambda: degradations.for_image(Strokes(2, (1, 2)), 1.5), "the image must be one of the 2 .* got 1.5"),
    "timeline": (
        lambda: figures.timeline([X, X[..., :9]], ["a", "b"], alt="a"),
        r"frames of \(32, 9\), \(32, 32\) px: expected one size",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_argument_of_a_wrong_kind(name):
    call, message = CALLS[name]
    with pytest.raises(rusr.RusrError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_prior_may_do_without_a_perceptual_network():
    assert rusr.load_prior(perceptual=False).perceptual is None
    assert rusr.load_prior().perceptual is not None


def test_a_mask_that_is_handed_out_is_the_callers():
    for f in (Mask(torch.ones(32, 32)), Strokes(3)):
        kept = f(X)
        degradations.mask_of(f, X).zero_()
        f.mask(X.shape).zero_()
        assert torch.equal(f(X), kept) and kept.any()


def test_numbers_of_16_bits_are_resized():
    for kind in (torch.float16, torch.bfloat16):
        x = X.to(kind)
        for mode in ("bicubic", "lanczos", "area"):
            assert torch.equal(rusr.resize(x, 16, mode), rusr.resize(x.float(), 16, mode).to(kind))


def test_without_dead_pixels_none_dies(monkeypatch):
    monkeypatch.setattr(degradations.noise.randomness, "uniform", lambda shape, generator, like: torch.zeros(shape))
    bright = PoissonBernoulliNoise(1e6, 0.0).forward(X + 0.1, torch.Generator().manual_seed(0))
    assert bright.min() > 0.05


def test_what_cannot_be_drawn_leaves_no_figure_open():
    """A notebook would show it, empty."""
    open_ones, result = plt.get_fignums(), SimpleNamespace(image=X, phases=[SimpleNamespace(history={})])
    for draw in (lambda: charts.lines([1, 2], {"a": [1]}, **NAMES), lambda: figures.loss_curves(result, term="none")):
        with pytest.raises(figures.FigureError):
            draw()
    assert plt.get_fignums() == open_ones
