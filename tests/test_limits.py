"""Numbers that cannot be: every public function names the value and what it expects, as a RusrError on one line."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from conftest import random_prior

import rusr_core as rusr
from rusr_core import app, degradations, figures, latents, limits, optimizers, presets, randomness, tasks
from rusr_core.figures import charts, painting, plane, questions
from rusr_core.generator import GeneratorConfig
from rusr_core.images import fit_image
from rusr_core.losses import terms
from rusr_core.metrics import intervals, realism
from rusr_core.networks import recognition
from rusr_core.photos import align, earlier, faces, jpeg_file, masks, paste, records
from rusr_core.photos.estimate import ImageError, estimate, shrinking
from rusr_core.sweeps import ablations, measurements, plan, results, tuning, workers

NEVER = (float("nan"), float("inf"), "", "x", "3", True, [], 10**5000)  # no function takes these as a number
IMAGE, FEATURES = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.eye(8)
PICTURE = (IMAGE[0] * 255).byte()
PRESET = presets.PRESETS["default"]
MASK, NAMES = torch.ones(1, 1, 8, 8), {"xlabel": "a", "ylabel": "b"}
RESULT = SimpleNamespace(image=IMAGE, phases=())
WHERE = (tasks.find("upsampling:M"),), ("a.png",)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def latent() -> list[torch.Tensor]:
    return [torch.zeros(1, 4, requires_grad=True)]


def search(**options: object) -> object:
    prior, f = random_prior(), degradations.Downsample(4)
    return rusr.restore(prior, f.degrade(IMAGE, generator()), f, preset=PRESET.shortened(1), **options)


def serve(port: object) -> None:
    with app.serve(random_prior(), port=port):
        pass


def executor(workers_: object, threads: object) -> None:
    with workers.executor(workers_, threads, None, "cpu"):
        pass


# name: (a function of the number, more that it does not take, what it does take)
FUNCTIONS = {
    "with_interval(digits)": (lambda v: intervals.with_interval(1.0, 0.5, 2.0, digits=v), (-1, 2.5, 101, None), (0, 3)),
    "crop_face(side)": (lambda v: recognition.crop_face(IMAGE, v), (0, -1, 2.5, 10**30, None), (8,)),
    "restore(seed)": (lambda v: search(seed=v), (-1, 0.5, None, 2**63), ()),
    "restore(samples)": (lambda v: search(samples=v), (0, 1001, None), ()),
    "Phase(lr)": (lambda v: presets.Phase("W", v, 3), (0, -1, None), (0.1, 1)),
    "Phase(steps)": (lambda v: presets.Phase("W", 0.1, v), (0, 2.5, 10**30, None), (1, 100_000)),
    "shortened": (PRESET.shortened, (0, 2.5, 10**30, None), (1, 30)),
    "Preset(patience)": (lambda v: replace(PRESET, name="own", patience=v), (0, 2.5, 10**30), (1, None)),
    "Preset(lpips_levels)": (lambda v: replace(PRESET, name="own", lpips_levels=v), (0, 2.5, 10**30), (1,)),
    "Preset(lpips_smallest)": (lambda v: replace(PRESET, name="own", lpips_smallest=v), (0, 2.5, 10**30), (1,)),
    "Preset(l1_weight)": (lambda v: replace(PRESET, name="own", l1_weight=v), (-1, None), (0, 2.5)),
    "Preset(draws)": (lambda v: replace(PRESET, name="own", draws=v), (0, 3, 1.0), (1, 2)),
    "Prior(lr_scale)": (lambda v: replace(random_prior(), lr_scale=v), (0, -1, None), (1, 0.5)),
    "GeneratorConfig(resolution)": (lambda v: GeneratorConfig(v, (4,)), (0, 3, 2.5, 2**40), (4,)),
    "GeneratorConfig(w_dim)": (lambda v: GeneratorConfig(4, (4,), w_dim=v), (0, 2.5, 10**30, None), (1,)),
    "mean_w(num)": (lambda v: latents.mean_w(random_prior().generator, v), (-1, 2.5, 10**30), (1,)),
    "sample_w(num)": (
        lambda v: latents.sample_w(random_prior().generator, v, generator=generator()),
        (-1, 2.5, 10**30),
        (1,),
    ),
    "sample_w(psi)": (
        lambda v: latents.sample_w(random_prior().generator, 1, v, generator=generator()),
        (None, 101, -1e300),
        (0.5, 2),
    ),
    "seeds(seed)": (lambda v: randomness.seeds(v, 2), (-1, 2.5, 2**63, None), (0, 2**63 - 1)),
    "generators(num)": (lambda v: randomness.generators(0, v), (-1, 2.5, 10**30, None), (2,)),
    "seeds(start)": (lambda v: randomness.seeds(0, 1, v), (-1, 2.5, 10**30, None), (2,)),
    "Downsample": (degradations.Downsample, (0, 2.5, 10**30, None), (1,)),
    "Resize": (degradations.Resize, (0, 2.5, 10**30, None, (1, 2, 3)), (1, (2, 3))),
    "JPEG": (degradations.JPEG, (0, 101, 2.5, 10**30), (1, 100)),
    "PoissonBernoulliNoise(photons)": (
        lambda v: degradations.PoissonBernoulliNoise(v, 0.1),
        (0, -1, None, 1e-300, 2e9),
        (96, 2.5),
    ),
    "Blur(direction)": (lambda v: degradations.Blur(length=3, direction=v), (361, 1e300, None), (-90, 360)),
    "tables": (degradations.jpeg.tables, (0, 101, 2.5, 10**30, None), (1, 100)),
    "PoissonBernoulliNoise(p)": (lambda v: degradations.PoissonBernoulliNoise(96, v), (-1, 2), (0, 0.5)),
    "Strokes(count)": (degradations.Strokes, (-1, 2.5, 10**30, None), (0, 3)),
    "Strokes(width)": (lambda v: degradations.Strokes(3, width=v), (0, -1, 2), (0.1,)),
    "Strokes(seed)": (lambda v: degradations.Strokes(3, v), (-1, 2.5, 2**63), (0, (1, 2))),
    "resize": (lambda v: rusr.resize(IMAGE, v), (0, -1, 2.5, 10**30, None, (1, 2, 3), (4, 0)), (4, (4, 5), [4, 5])),
    "fit_image": (lambda v: fit_image(IMAGE, v), (0, -1, 2.5, 10**30, 10**6), (4, (4, 4), None)),
    "Term(weight)": (lambda v: terms.Term("a", v, terms.L1()), (-1, None), (0, 0.5)),
    "L1(levels)": (terms.L1, (0, -1, 2.5, 10**30, None), (1,)),
    "MultiscaleLPIPS(smallest)": (lambda v: terms.MultiscaleLPIPS(None, 1, v), (0, 2.5, 10**30, None), (1,)),
    "IdentityLoss(smallest)": (lambda v: terms.IdentityLoss(None, smallest=v), (0, 2.5, 10**30, None), (1,)),
    "NormalizedGradientDescent": (lambda v: optimizers.NormalizedGradientDescent(latent(), v), (0, -1, None), (1,)),
    "make_optimizer(adam)": (lambda v: optimizers.make_optimizer("adam", latent(), v), (0, -1, None), (0.1,)),
    "make_optimizer(sgd)": (lambda v: optimizers.make_optimizer("sgd", latent(), v), (0, -1, None), (0.1,)),
    "mean_interval(level)": (lambda v: intervals.mean_interval(torch.ones(3), level=v), (0, 1, -1, None), (0.9,)),
    "student(num)": (lambda v: intervals.student(1.0, 1.0, v), (1, 2.5, 10**30, None), (2,)),
    "spread(num)": (lambda v: intervals.spread(lambda i: 1.0, v), (0, 2.5, 10**30, None), (1,)),
    "spread(rounds)": (lambda v: intervals.spread(lambda i: 1.0, 5, rounds=v), (1, -1, 2.5, 10**30), (0, 2)),
    "kernel_interval(level)": (
        lambda v: realism.kernel_interval(FEATURES, FEATURES, paired=True, level=v),
        (0, 1, None),
        (0.9,),
    ),
    "random_crops(side)": (lambda v: realism.random_crops(IMAGE, v), (0, 33, 2.5, None), (8,)),
    "random_crops(count)": (lambda v: realism.random_crops(IMAGE, 8, v), (0, 2.5, 10**30, None), (2,)),
    "random_crops(seed)": (lambda v: realism.random_crops(IMAGE, 8, 2, v), (-1, 2.5, 2**63, None), (2,)),
    "crop_side": (realism.crop_side, (0, 2.5, 10**30, None), (128,)),
    "image_features(batch)": (
        lambda v: realism.image_features(IMAGE, lambda x: x.mean((2, 3)), v),
        (0, 2.5, 10**30, None),
        (1,),
    ),
    "Frame(scale)": (align.Frame, (0, -1, None), (1, 0.5)),
    "Frame(right)": (lambda v: align.Frame(1.0, v), (None,), (-1, 0.5)),
    "Frame.wider": (align.FFHQ.wider, (0, -1, None), (2,)),
    "corners": (align.corners, (0, -1, None), (4, 2.5)),
    "align(size)": (lambda v: align.align(PICTURE, align.corners(16), v), (0, -1, 2.5, 10**30, None), (4, (4, 5))),
    "enlarged": (lambda v: paste.enlarged(PICTURE, v), (0, 2.5, 10**30, None), (1, 2)),
    "SweepPlan(batch_size)": (lambda v: plan.SweepPlan(("a",), *WHERE, (0,), v), (0, 2.5, 10**30, None), (1,)),
    "SweepPlan(seeds)": (lambda v: plan.SweepPlan(("a",), *WHERE, (v,)), (-1, 2.5, 2**63, None), (1,)),
    "TuningPlan(trials)": (lambda v: tuning.TuningPlan(PRESET, *WHERE, v), (0, 2.5, 10**30, None), (1,)),
    "TuningPlan(seed)": (lambda v: tuning.TuningPlan(PRESET, *WHERE, 1, v), (-1, 2.5, 2**63, None), (0,)),
    "TuningPlan(batch_size)": (lambda v: tuning.TuningPlan(PRESET, *WHERE, 1, 0, v), (0, 2.5, 10**30, None), (1,)),
    "executor(workers)": (lambda v: executor(v, None), (0, 2.5, 10**30, None), (1,)),
    "executor(threads)": (lambda v: executor(1, v), (0, 2.5, 10**30), (1, None)),
    "panel(size)": (lambda v: figures.panel(IMAGE, size=v), (0, -1, 1e30, None), ()),
    "plane(size)": (lambda v: plane.plane(size=v), (0, -1, 1e30, None), ()),
    "compare(width)": (lambda v: figures.compare(IMAGE, IMAGE, alt="a", width=v), (0, 2.5, 10**30, None), (384,)),
    "timeline(width)": (lambda v: figures.timeline([IMAGE], ["a"], alt="a", width=v), (0, 2.5, 10**30, None), (384,)),
    "brush(width)": (lambda v: painting.brush(IMAGE, width=v), (0, 2.5, 10**30, None), ()),
    "app.serve(port)": (lambda v: serve(v), (0, 65536, 2.5), ()),
    "Frames(every)": (figures.Frames, (0, 2.5, 10**30, None), (1,)),
    "loss_curves(image)": (lambda v: figures.loss_curves(RESULT, image=v), (-1, 1, 2.5, None), (0,)),
    "lines(size)": (lambda v: charts.lines([1], {"a": [1]}, **NAMES, size=v), (3, (1, 2, 3), None), ((2, 1),)),
    "lines(height)": (lambda v: charts.lines([1], {"a": [1]}, **NAMES, size=(2, v)), (0, -1, 1e30), (1,)),
    "bars(size)": (lambda v: charts.bars({"a": 1.0}, xlabel="a", size=v), (3, (1, 2, 3)), (None, (2, 1))),
    "heat(top)": (lambda v: figures.heat(IMAGE[:, :1], v), (-1, None), (0, 1.5)),
    "observed(truth)": (lambda v: plane.observed("upsampling", (0.1, v)), (None,), (-1, 0.5)),
    "plane(truth)": (lambda v: plane.plane(truth=v), (3, (1, 2, 3)), ()),
    "plane.search(start)": (lambda v: plane.search("inpainting", torch.zeros(1, 3, 1, 2), start=v), (), ()),
    "self_check(answer)": (lambda v: questions.self_check("a", v), (None,), (-1, 0.5)),
    "self_check(within)": (lambda v: questions.self_check("a", 1.0, within=v), (-1, None), (0, 0.5)),
    "table(digits)": (lambda v: figures.table([[1.5]], ["a"], digits=v), (-1, 2.5, 10**30, None), (0, 3)),
    "corners(height)": (lambda v: align.corners(4, v), (0, -1), (4, None)),
    "pixel_centres": (lambda v: align.pixel_centres(3, v), (0, -1, 2.5, 10**30, None), (4,)),
    "gaussian_blur(sigma)": (lambda v: align.gaussian_blur(IMAGE, v, 3), (0, -1, None), (0.5, 2)),
    "gaussian_blur(reach)": (lambda v: align.gaussian_blur(IMAGE, 0.5, v), (-1, 2.5, 10**30, None), (0, 2)),
    "shrinking": (lambda v: shrinking(8, v), (0, -1, 2.5, 10**30, None), (4, 8)),
    "chosen": (lambda v: faces.chosen(["a", "b"], v, (9, 9)), (0, -1, 3, 2.5), (1, 2, None)),
    "turned": (lambda v: jpeg_file.turned(50, "4:2:0", v), (0, -1, 9, 2.5, None), (1, 8)),
    "as_stored": (lambda v: jpeg_file.as_stored(PICTURE.numpy(), v), (0, -1, 9, 2.5, None), (1, 8)),
    "fit_mask": (lambda v: masks.fit_mask(MASK, v, "crop"), (0, -1, 2.5, (1, 2, 3), None), (4, (8, 8))),
    "align_mask": (lambda v: masks.align_mask(MASK, align.corners(8), v), (0, -1, 2.5, 10**30), ((4, 4),)),
    "find_earlier(last)": (lambda v: earlier.find_earlier(PICTURE.permute(1, 2, 0).numpy(), v), (0, 101, 2.5), (50,)),
    "misfits(seed)": (lambda v: records.misfits(None, IMAGE, IMAGE, degradations.Downsample(1), v), (-1, 2.5), ()),
    "scaled(lr)": (lambda v: ablations.scaled(PRESET, lr=v), (0, -1, None), (1, 0.5)),
    "scaled(steps)": (lambda v: ablations.scaled(PRESET, steps=v), (0, -1, None), (1, 0.5)),
    "seeds_of": (lambda v: measurements.seeds_of("a", v), (-1, 2.5, 2**63, None), (0,)),
    "portraits": (lambda v: rusr.portraits([v]), (-1, 100, 2.5, None), (0, 99)),
    "degrade(seed)": (
        lambda v: measurements.degrade(degradations.Downsample(4), IMAGE, v, IMAGE.device),
        (-1, 2.5, 2**63, None),
        (0,),
    ),
    "reports(crops)": (lambda v: results.reports(None, crops=v), (0, -1, 2.5, 10**30, None), ()),
    "reports(rounds)": (lambda v: results.reports(None, rounds=v), (1, -1, 2.5, 10**30, None), ()),
    "explorer(steps)": (lambda v: figures.explorer(None, IMAGE, steps=v), (0, 100_001, 2.5, None), ()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_number_that_cannot_be(name):
    function, others, good = FUNCTIONS[name]
    for value in (*NEVER, *others):
        with pytest.raises(rusr.RusrError) as caught:
            function(value)
        message = str(caught.value)
        assert "\n" not in message and len(message) < 300, message
        assert "expected" in message or "must be" in message, message
        assert limits.shown(value)[:40].strip("[]'") in message, message
    for value in good:
        function(value)


@pytest.mark.parametrize("window", [(0, 0, 65, 8), (-1, 0, 8, 8), (8, 0, 8, 8), (0, 0, 8), (0, 0, 2.5, 8), 8, [0] * 4])
def test_a_window_that_cannot_be(window, tmp_path):
    rusr.save_image(IMAGE.repeat(1, 1, 2, 2), tmp_path / "a.png")
    with pytest.raises(ImageError, match="window is .*: expected"):
        estimate(tmp_path / "a.png", window=window)


def test_values_are_shown_on_one_short_line():
    assert limits.shown("a\nb") == r"'a\nb'" and limits.shown(torch.zeros(2, 1)) == "tensor([[0.], [0.]])"
    assert limits.shown(10**5000) == "a number of 16610 bits" and len(limits.shown("x" * 10**6)) < 60
    assert limits.shown((1, 10**5000)) == "(1, a number of 16610 bits)" and limits.shown({10**5000}) == "a set"
    assert not limits.is_number(10**400) and limits.is_number(1e300) and not limits.is_whole(True)


def test_the_names_of_nested_settings():
    assert limits.dotted("methods", "default@one", "lr_w") == "methods.default@one.lr_w"
    assert limits.dotted("settings", "", "nlm") == 'settings."".nlm'
    assert (
        limits.dotted("tasks", "denoising L", "downsample:2 | fade:0.5")
        == 'tasks."denoising L"."downsample:2 | fade:0.5"'
    )
