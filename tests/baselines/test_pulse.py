"""PULSE against the official code: Gaussian, angles, spheres, schedule, and three whole trajectories."""

import pytest
import torch
import torch.nn.functional as F
from conftest import golden, golden_generator
from golden_table import compare

from rusr_core import baselines
from rusr_core.baselines import noise_maps
from rusr_core.baselines.descent import mean_square, one_cycle
from rusr_core.baselines.pulse import Gaussian, Spheres, clamped, geocross, search, total_of
from rusr_core.degradations import parse


@pytest.fixture(scope="module")
def arrays():
    return golden("pulse")


@pytest.fixture(scope="module")
def small():
    return golden_generator(golden("stylegan2_r32_m2"), z_dim=32, w_dim=48)


def bicubic_taps(factor: int) -> torch.Tensor:
    t = ((torch.arange(4 * factor, dtype=torch.float64) + 0.5) / factor - 2).abs()
    taps = torch.where(t <= 1, 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2)
    return taps / taps.sum()


def bicubic(x: torch.Tensor, factor: int) -> torch.Tensor:
    """The official D: a separable bicubic of 4 x factor taps, a = -0.5, mirrored borders (the test's own)."""
    taps = bicubic_taps(factor).to(x)
    pad = 4 * factor - factor
    x = F.pad(x, (pad // 2, pad - pad // 2, pad // 2, pad - pad // 2), mode="reflect")
    weight = torch.outer(taps, taps).expand(3, 1, -1, -1)
    return F.conv2d(x, weight, stride=factor, groups=3)


@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize("side", [64, 32])
def test_the_down_sampler_of_the_test_is_the_official_one(side, factor, arrays):
    x = arrays[f"bicubic/x{side}"].clone().requires_grad_(True)
    y = bicubic(x, factor)
    compare(f"out/bicubic/y_{side}_x{factor}", y, arrays, 3e-6)
    compare(f"out/bicubic/kernel_x{factor}", bicubic_taps(factor), arrays, 1e-6)
    if side == 32:
        (y * arrays[f"bicubic/R_32_x{factor}"]).sum().backward()
        compare(f"out/bicubic/grad_32_x{factor}", x.grad, arrays, 3e-6)


def test_gaussian(arrays):
    gaussian = Gaussian.of(arrays["proxy/w"])
    compare("out/proxy/mean", gaussian.mean, arrays, 1e-6)
    compare("out/proxy/std", gaussian.std, arrays, 1e-6)
    compare("out/proxy/w_of_v", gaussian.w(arrays["proxy/v"]), arrays, 1e-6)


@pytest.mark.parametrize("size", ["18x512", "8x48"])
def test_angles(size, arrays):
    w = arrays[f"loss/latent_{size}"].clone().requires_grad_(True)
    value = geocross(w).sum()
    value.backward()
    compare(f"out/loss/geocross_{size}", value, arrays, 1e-5)
    compare(f"out/loss/geocross_grad_{size}", w.grad, arrays, 1e-4)


def test_clamped_error(arrays):
    x = arrays["loss/gen_lr"].clone().requires_grad_(True)
    errors = clamped(mean_square(x, arrays["loss/ref"]), arrays["loss/eps"].item())
    errors.sum().backward()
    compare("out/loss/l2", errors.sum(), arrays, 1e-6)
    compare("out/loss/l2_sample0", errors[0], arrays, 1e-6)
    compare("out/loss/l2_sample1", errors[1], arrays, 1e-6)
    compare("out/loss/l2_grad", x.grad, arrays, 1e-6)


@pytest.mark.parametrize("name, lr", [("sgd", 0.5), ("adam", 0.4)])
def test_spheres(name, lr, arrays):
    values = [arrays[f"sphere/p{i}"].clone() for i in range(2)]
    spheres = Spheres(values)
    optimizer = (torch.optim.SGD if name == "sgd" else torch.optim.Adam)(values, lr)
    for step in range(3):
        for i, value in enumerate(values):
            value.grad = arrays[f"sphere/grads{i}"][step].clone()
        optimizer.step()
        spheres()
        for i, value in enumerate(values):
            compare(f"out/sphere/{name}_p{i}_after{step + 1}", value, arrays, 3e-6)


@pytest.mark.parametrize("steps", [100, 37])
def test_schedules(steps, arrays):
    for name, drop in (("linear1cycledrop", True), ("linear1cycle", False)):
        found = torch.tensor([one_cycle(step, steps, drop) for step in range(steps)])
        compare(f"schedule/{name}_T{steps}", found, arrays, 1e-6)


def toy(arrays):
    """The golden file's own generator of case A."""

    def picture(w, maps):
        h = (w @ arrays["A/A"]).unflatten(2, (3, 2, 2))
        h = F.interpolate(h.flatten(0, 1), size=32, mode="nearest").unflatten(0, h.shape[:2])
        x = (arrays["A/B"][None, :, None] * h).sum(1)
        x = x + sum(nu * F.interpolate(m, size=32, mode="nearest") for nu, m in zip(arrays["A/nu"], maps, strict=False))
        return (torch.tanh(x) + 1) / 2

    return picture


def trajectory(case, arrays, picture, v, maps, gaussian, num_ws, steps, **options):
    """Run a case of the golden file and compare the state after each stored step."""
    y = arrays["B/y" if case == "C" else f"{case}/y"]
    l1 = options.pop("l1", 0.0)

    def losses(x, w):
        down = bicubic(x, 4)
        terms = total_of(mean_square(down, y), w, 2e-3, 100, 0.05)
        more = l1 * 10 * (down - y).abs().flatten(1).mean(1).clamp_min(2e-3)
        return terms | {"total": terms["total"] + more}

    record = {"total": [], "l2": [], "geocross": []}
    for step, terms, image in search(picture, gaussian, v, num_ws, maps, losses, steps, 0.4, **options):
        for name, values in record.items():
            values.append(terms[name].sum())
        if step == 0:
            compare(f"out/{case}/grad0_latent", v.grad, arrays, 1e-4)
            for i in range(5 if case != "C" else 0):
                compare(f"out/{case}/grad0_noise{i}", maps[i].grad, arrays, 1e-4)
            compare(f"out/{case}/gen_im_step0", image, arrays, 1e-5, relative=False)
        if f"out/{case}/latent_after{step + 1}" in arrays:
            compare(f"out/{case}/latent_after{step + 1}", v, arrays, 3e-5, relative=False)
            for i in range(5 if case != "C" else 0):
                compare(f"out/{case}/noise{i}_after{step + 1}", maps[i], arrays, 3e-5, relative=False)
    compare(f"out/{case}/gen_im_last", image, arrays, 3e-5, relative=False)
    rates = torch.tensor([0.4 * options.get("cycle", one_cycle)(step, steps) for step in range(1, steps)])
    name = f"out/{case}/lr_after_step"  # the rate of the step that follows; the last one's is used by none
    compare(name, rates, {name: arrays[name][: steps - 1]}, 1e-6)
    for name, word in (("total", "loss"), ("l2", "l2"), ("geocross", "geo")):
        compare(f"out/{case}/{word}", torch.stack(record[name]), arrays, 1e-5)


def test_trajectory_of_the_unmodified_code(arrays):
    v = arrays["A/latent0"].clone().requires_grad_(True)
    maps = [arrays[f"A/noise0_{i}"].clone() for i in range(6)]
    gaussian = Gaussian(arrays["A/mean"], arrays["A/std"])
    trajectory("A", arrays, toy(arrays), v, maps, gaussian, 18, 10)


def given(arrays):
    gaussian = Gaussian(arrays["out/proxy/mean"], arrays["out/proxy/std"])
    maps = [arrays[f"B/noise0_{i}"].clone() for i in range(6)]
    return gaussian, [*maps, torch.zeros(1, 1, 32, 32)]


def test_trajectory_on_stylegan2(arrays, small):
    gaussian, maps = given(arrays)
    v = arrays["B/latent0"].clone().requires_grad_(True)
    trajectory("B", arrays, lambda w, m: noise_maps.picture(small, w, m), v, maps, gaussian, 8, 20)


def test_trajectory_of_a_tiled_latent(arrays, small):
    gaussian, maps = given(arrays)
    v = arrays["B/latent0"][:, :1].clone().requires_grad_(True)

    def fixed(w, _):
        return noise_maps.picture(small, w, [m.detach() for m in maps])

    def cycle(step, steps):
        return one_cycle(step, steps, drop=False)

    others = [torch.zeros_like(m) for m in maps]  # the loop may search these, which nobody looks at
    trajectory("C", arrays, fixed, v, others, gaussian, 8, 5, l1=1.0, cycle=cycle)


def test_it_gives_the_best_image(prior, truth):
    f, seen = parse("downsample:4,bilinear"), []
    y = f.degrade(truth[:2])
    result = baselines.find("pulse@6").restore(
        prior, y, f, callback=lambda s: seen.append((s.losses["total"], s.image()))
    )
    totals = torch.stack([losses for losses, _ in seen])
    for i, step in enumerate(totals.argmin(0).tolist()):
        assert torch.equal(result.image[i], seen[step][1][i])
        assert result.info["loss"][i] == pytest.approx(totals[step, i].item())
    assert result.steps == [6, 6] and result.method == "pulse@6" and "menon2020pulse" in result.info["references"]
