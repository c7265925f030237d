"""BRGM and L-BRGM against the official code: each term, its gradient, the start, and five steps of Adam."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import golden, golden_generator, slow_if
from golden_table import compare

from rusr_core import baselines
from rusr_core.baselines import brgm, lbrgm, noise_maps
from rusr_core.baselines.descent import perceptual
from rusr_core.baselines.mapped import mapped
from rusr_core.degradations import parse
from rusr_core.prior import Prior

TASKS = ("sr4", "inpaint")


@pytest.fixture(scope="module")
def arrays():
    return golden("brgm")


@dataclass
class Official:
    """The code's two degradations: a bicubic that is not antialiased, and holes of 1 on the scale of 255."""

    task: str
    hole: torch.Tensor

    def forward(self, x):
        if self.task == "sr4":
            return F.interpolate(x, scale_factor=0.25, mode="bicubic", align_corners=False)
        return torch.where(self.hole, 1 / 255, x)


@pytest.fixture(scope="module")
def small(arrays):
    G = golden_generator(golden("stylegan2_r32_m2"), z_dim=32, w_dim=48)
    G.mapping.w_avg.copy_(arrays["out/brgm/w_avg"].flatten())
    G.w_std = arrays["out/brgm/s"].item()
    return G


@pytest.fixture
def world(small, vgg, monkeypatch, arrays):
    """The prior of the golden file, and noise maps as it holds them."""
    maps = [arrays[f"brgm/noise_{i}"] for i in range(7)]
    monkeypatch.setattr(noise_maps, "draw", lambda G, draws: maps)
    return Prior("golden", small, vgg, None, 1.0)


def run(method, prior, y, f, **settings):
    """The losses, latents and gradients of each step of a method, caught where its optimiser steps."""
    states, losses = [], []

    class Caught(torch.optim.Adam):
        def step(self, closure=None):
            leaves = self.param_groups[0]["params"]
            grads = [p.grad.clone() for p in leaves]
            super().step()
            states.append(([p.detach().clone() for p in leaves], grads))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", Caught)
        method(prior, y, f, callback=lambda s: losses.append(s.losses), side=256, **settings)
    return states, losses


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["pix", "perc", "w", "c", "total"])
def test_terms_of_brgm(task, name, arrays, small, vgg):
    """Each term and its gradient at a w far from the mean."""
    w = arrays["w"].clone().requires_grad_(True)
    x = noise_maps.picture(small, w, [arrays[f"brgm/noise_{i}"] for i in range(7)])
    made = Official(task, arrays["mask_hole"]).forward(x)
    y = arrays[f"out/brgm/{task}/target"] / 255
    compare("out/brgm/image_255", x * 255, arrays, 5e-6)
    terms = {
        "pix": lambda: 1e-3 * brgm.LEVELS * (made - y).square().mean(),
        "perc": lambda: 1e7 / brgm.FEATURES * perceptual(vgg, made, y, 256).sum(),
        "w": lambda: 100 * (w - small.w_mean).square().mean() / small.w_std**2,
        "c": lambda: 0.1 * brgm.cosines(w).sum(),
    }
    value = sum(term() for term in terms.values()) if name == "total" else terms[name]()
    value.backward()
    compare(f"out/brgm/{task}/f_of_x", made * 255, arrays, 5e-6)
    compare(f"out/brgm/{task}/loss_{name}", value, arrays, 3e-6)
    compare(f"out/brgm/{task}/grad_{name}", w.grad, arrays, 5e-4 if name in ("perc", "total") else 1e-5)


def test_statistics_of_w(small, arrays):
    """The official mean and size of W, of 10,000 z; ours are the generator's own."""
    z = torch.from_numpy(np.random.RandomState(123).randn(10_000, 32)).float()
    w = small.mapping.to_w(z).double()
    compare("out/brgm/w_avg", w.mean(0), arrays, 1e-5)
    compare("out/brgm/s", (w - w.mean(0)).square().sum(1).mean().sqrt(), arrays, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_five_steps_of_brgm(task, arrays, world):
    f = Official(task, arrays["mask_hole"])
    states, losses = run(brgm.brgm, world, arrays[f"out/brgm/{task}/target"] / 255, f, steps=5)
    compare(f"out/brgm/{task}/traj_w", torch.cat([w for (w,), _ in states]), arrays, 1e-4, relative=False)
    columns = [torch.stack([step[name].sum() for name in ("total", "pix", "perc", "w", "c")]) for step in losses]
    compare(f"out/brgm/{task}/traj_losses", torch.stack(columns), arrays, 1e-5)


def target(task, arrays):
    """What L-BRGM reads from its 8-bit file."""
    if task == "sr4":
        return arrays["lbrgm/sr4/target_u8"][None] / 255
    return torch.where(arrays["mask_hole"], 1 / 255, arrays["target_u8"][None] / 255)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_lbrgm(task, arrays, world, monkeypatch):
    """The start among six random z, and five steps of both variables."""
    f, y = Official(task, arrays["mask_hole"]), target(task, arrays)
    if task == "sr4":
        compare("out/lbrgm/sr4/target", y * 255, arrays, 1e-6)
    candidates, found, values = arrays["lbrgm/z_candidates"], {}, []
    monkeypatch.setattr(lbrgm.randomness, "normal", lambda shape, one, like: candidates)
    original = lbrgm.best_start

    def caught(G, draws, perception):
        def seen(x):
            values.append(perception(x))
            return values[-1]

        found["z"] = original(G, draws, seen)
        return found["z"].clone()

    monkeypatch.setattr(lbrgm, "best_start", caught)
    states, losses = run(lbrgm.lbrgm, world, y, f, steps=5, starts=6)
    compare(f"out/lbrgm/{task}/init_perceptual", 0.5 * torch.cat(values), arrays, 5e-6)
    compare(f"out/lbrgm/{task}/init_z", found["z"], arrays, 1e-6)
    compare(f"out/lbrgm/{task}/init_w", mapped(world.generator, found["z"]), arrays, 3e-6)
    compare(f"out/lbrgm/{task}/traj_w", torch.cat([w for (w, _), _ in states]), arrays, 1e-4, relative=False)
    compare(f"out/lbrgm/{task}/traj_z", torch.cat([z for (_, z), _ in states]), arrays, 1e-4, relative=False)
    columns = [torch.stack([s[name].sum() for name in ("total", "pix", "perc", "together", "norm")]) for s in losses]
    compare(f"out/lbrgm/{task}/traj_losses", torch.stack(columns), arrays, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", [slow_if(task != "inpaint", task) for task in TASKS])
def test_terms_of_lbrgm(task, arrays, world):
    w = arrays["w"].clone().requires_grad_(True)
    z = arrays["lbrgm/z"].clone().requires_grad_(True)
    seen = baselines.observation.observe(world, target(task, arrays), Official(task, arrays["mask_hole"]), 0)
    terms, _ = lbrgm.losses(world.generator, z, w, seen, world.perceptual, (2e-4, 2e7, 30.0, 0.4), 256)
    for ours, theirs in (("pix", "pix"), ("perc", "perc"), ("together", "mse"), ("norm", "norm"), ("total", "total")):
        compare(f"out/lbrgm/{task}/loss_{theirs}", terms[ours].sum(), arrays, 3e-6)
        grads = torch.autograd.grad(terms[ours].sum(), [w, z], retain_graph=True, allow_unused=True)
        for variable, grad in zip("wz", grads, strict=True):
            name = f"out/lbrgm/{task}/grad_{variable}_{theirs}"
            name = name if name in arrays else f"out/lbrgm/grad_{variable}_{theirs}"
            if name in arrays:
                grad = torch.zeros_like(arrays[name]) if grad is None else grad
                compare(name, grad, arrays, 5e-4 if theirs == "perc" else 1e-5)


@pytest.mark.slow
def test_brgm_as_their_repository_has_it(arrays, world, monkeypatch):
    """A rate of 0.01, the stored noise."""
    stored = [layer.noise_const for layer in noise_maps.layers(world.generator)]
    monkeypatch.setattr(noise_maps, "draw", lambda G, draws: stored)
    f, y = Official("sr4", arrays["mask_hole"]), target("sr4", arrays)
    states, _ = run(brgm.brgm, world, y, f, steps=2, lr=0.01)
    compare("out/lbrgm/brgm_class_sr4_traj_w", torch.cat([w for (w,), _ in states]), arrays, 1e-4, relative=False)


@pytest.mark.parametrize("name", ["brgm", "lbrgm"])
def test_it_fits_better_step_by_step(name, prior, truth):
    f, seen = parse("strokes:1,seed=1"), []
    y = f.degrade(truth[:2])
    values = {"starts": 3} if name == "lbrgm" else {}
    method = baselines.METHODS[name].configured(steps=8, lr=0.02, **values)
    result = method.restore(prior, y, f, callback=lambda s: seen.append(s.losses["total"]))
    assert (seen[-1] < seen[0]).all() and result.image.shape == truth[:2].shape and len(seen) == 8
    alone = method.restore(prior, y[1:], parse("strokes:1,seed=1")).image
    torch.testing.assert_close(result.image[1:], alone, atol=2e-3, rtol=0)


def test_a_prior_without_a_perceptual_network_is_refused(prior, truth):
    with pytest.raises(baselines.descent.RestorationError, match="has no perceptual network"):
        baselines.find("brgm@1").restore(replace(prior, perceptual=None), truth, parse("identity"))
