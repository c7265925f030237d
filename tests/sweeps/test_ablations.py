"""Each variant differs from its preset in what its name says, and in nothing else."""

import dataclasses

import pytest
import torch
from conftest import random_generator, small_portrait_net

from rusr_core import presets
from rusr_core.degradations import JPEG, Downsample, Strokes
from rusr_core.errors import RusrError
from rusr_core.prior import Prior
from rusr_core.restore import restore
from rusr_core.sweeps import ablations
from rusr_core.sweeps.config import BenchmarkError
from rusr_core.sweeps.methods import parse_methods

VARIANTS = ablations.VARIANTS


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_changes_one_thing(name):
    base = presets.get("cvpr2023" if name.startswith("cvpr2023") else "default")
    variant = VARIANTS[name]
    fields = [f.name for f in dataclasses.fields(base) if f.name != "name"]
    changed = [field for field in fields if getattr(variant, field) != getattr(base, field)]
    assert variant.name == name and len(changed) == (0 if name in presets.PRESETS else 1)


@pytest.mark.parametrize("base", ["default", "cvpr2023"])
def test_rates_from_a_quarter_to_four_times(base):
    names = [f"{base}-lr025", f"{base}-lr05", base, f"{base}-lr2", f"{base}-lr4"]
    assert [name for name in ablations.RATES if name.startswith(base)] == names
    whole = presets.get(base)
    for name, factor in zip(names, (0.25, 0.5, 1, 2, 4), strict=True):
        changed = dataclasses.replace(whole, name=name, phases=ablations.scaled(whole, lr=factor))
        assert ablations.RATES[name] == changed
    assert all(ablations.RATES[name] == VARIANTS[name] for name in names[1:4])


def test_scaled_and_reduced_phases():
    report = presets.get("default")
    for name, lr, steps in (("default-lr05", 0.5, 1), ("default-lr2", 2, 1), ("default-steps05", 1, 0.5)):
        for phase, base in zip(VARIANTS[name].phases, report.phases, strict=True):
            assert (phase.lr, phase.steps) == (pytest.approx(base.lr * lr), base.steps * steps)
    alone = {"default-W-lr05": (0, 0.5, 1), "default-W+-steps2": (1, 1, 2), "default-W++-lr2": (2, 2, 1)}
    for name, (changed, lr, steps) in alone.items():
        for i, (phase, base) in enumerate(zip(VARIANTS[name].phases, report.phases, strict=True)):
            factors = (lr, steps) if i == changed else (1, 1)
            assert (phase.lr / base.lr, phase.steps / base.steps) == pytest.approx(factors)
    for name in ("W", "W+", "W++", "W-W+", "W-W++", "W+-W++"):
        phases = VARIANTS[name].phases
        assert [p.space for p in phases] == name.split("-") and sum(p.steps for p in phases) == 450


def test_a_random_start_is_reproducible_and_each_image_has_its_own():
    G = random_generator()
    net = small_portrait_net(8, 8)
    prior = Prior("random", G, net, net, lr_scale=1.0)
    f, preset = Downsample(2, "bilinear"), presets.get("default").shortened(1)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    y = f.degrade(x)
    both = ablations.random_start(prior, y, f, preset=preset)
    alone = ablations.random_start(prior, y[1:], f, preset=preset)
    assert torch.equal(both.image[1:], alone.image)
    assert not torch.equal(both.latents[0], both.latents[1])
    assert not torch.equal(both.image, restore(prior, y, f, preset=preset).image)


@pytest.mark.slow
def test_black_holes_differ_where_there_are_holes_and_nowhere_else():
    net = small_portrait_net(8, 8)
    prior = Prior("random", random_generator(), net, net, lr_scale=1.0)
    preset = presets.get("default").shortened(2)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    y = Strokes(3, seed=(1, 2)).degrade(x)
    hidden = Strokes(3, seed=(1, 2))
    black, filled = (search(prior, y, hidden, preset=preset) for search in (ablations.black_holes, restore))
    assert not torch.equal(black.image, filled.image)
    again = ablations.black_holes(prior, y, hidden, preset=preset, seed=1)
    assert torch.equal(black.phases[0].history["lpips"], again.phases[0].history["lpips"])  # no noise is drawn
    same = [search(prior, x, JPEG(40), preset=preset).image for search in (ablations.black_holes, restore)]
    assert torch.equal(*same)


def test_the_benchmark_knows_the_variants():
    every = parse_methods(["variants"])
    assert [m.name for m in every] == [*VARIANTS, "default-random", "default-black"]
    assert [m.name for m in parse_methods(["rates"])] == list(ablations.RATES)
    (short,) = parse_methods(["default-draws1"], 7)
    assert short.name == "default-draws1@7" and short.how == VARIANTS["default-draws1"].shortened(7)
    for name in ablations.FUNCTIONS:
        (found,) = parse_methods([name])
        assert found.name == name and found.how == f"rusr_core.sweeps.ablations:{ablations.FUNCTIONS[name].__name__}"
    with pytest.raises(BenchmarkError, match="default-random with 7 steps: it has the steps of the preset default"):
        parse_methods(["variants"], 7)
    with pytest.raises(RusrError, match="'unheard'.*default"):
        parse_methods(["unheard"])
