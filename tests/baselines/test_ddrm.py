"""DDRM and DDRM for JPEG against the official code, step by step; singular values; what cannot be said.

The golden arrays (ddrm.npz) come from the public code in double precision. Their network is a formula, eps(x, t) =
sqrt(1 - abar) x + sqrt(abar) / 2 conv(tanh x), and their images have 16 px.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import golden
from published_jpeg_codec import coefficients, round_trip

from rusr_core.baselines import ddrm_jpeg
from rusr_core.baselines.ddrm import can, recursion
from rusr_core.baselines.diffusion import alphas_bar, sigma_of
from rusr_core.baselines.spectra import ROUNDING, Spectrum, SpectrumError, spectrum
from rusr_core.degradations import (
    JPEG,
    Blur,
    Compose,
    Downsample,
    Mask,
    PoissonBernoulliNoise,
    ReadNoise,
    Resize,
    Strokes,
)
from rusr_core.degradations.jpeg import tables as ijg

A = golden("ddrm")
TASKS = ("sr2_s0", "sr2_s0.2", "sr4_s0", "sr4_s0.1", "inp_s0", "inp_s0.2", "deno_s0.5", "bic2_s0.1")


def images(rows: torch.Tensor) -> torch.Tensor:
    return rows.double().view(-1, 3, 16, 16)


class Network:
    """D(x; sigma) of the golden network; it remembers what the official one was given, x_t."""

    def __init__(self):
        self.inputs = []

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        abar = 1 / (1 + sigma**2)
        x_t = abar**0.5 * x
        self.inputs.append(x_t)
        found = (1 - abar) ** 0.5 * x_t + 0.5 * abar**0.5 * F.conv2d(x_t.tanh(), A["net_K"].double(), padding=1)
        return (x_t - (1 - abar) ** 0.5 * found) / abar**0.5


def axis(factor: int) -> torch.Tensor:
    """Means of `factor` pixels as a matrix."""
    return torch.eye(16 // factor, dtype=torch.float64).repeat_interleave(factor, 1) / factor


def bicubic() -> torch.Tensor:
    """The official bicubic matrix [8, 16]: kernel of 8 taps, stride 2, mirrored with the border pixel repeated."""
    matrix, kernel = torch.zeros(8, 16, dtype=torch.float64), A["bicubic2_kernel"].double()
    for i in range(8):
        for tap, weight in enumerate(kernel):
            j = 2 * i + 1 + tap - len(kernel) // 2
            j = -j - 1 if j < 0 else 31 - j if j > 15 else j
            matrix[i, j] += weight
    return matrix


def measurement(task: str) -> Spectrum:
    """The same measurement as ours: y of the golden file in our basis."""
    name, sigma = task.split("_s")
    y, sigma = A[f"out/traj/{task}/y"].double(), torch.tensor(float(sigma), dtype=torch.float64).view(1, 1, 1, 1)
    if name in ("inp", "deno"):
        keep = A["inpaint_keep_mask"] if name == "inp" else torch.ones(16, 16, dtype=torch.bool)
        seen = torch.zeros(1, 3, 16, 16, dtype=torch.float64)
        if name == "inp":  # kept values in the order height, width, channel
            seen.permute(0, 2, 3, 1)[0][keep] = y.view(-1, 3)
        else:
            seen = y.view(1, 3, 16, 16)
        return Spectrum(None, None, keep.double()[None, None], seen, sigma)
    matrix = bicubic() if name == "bic2" else axis(int(name[2:]))
    left, values, right = torch.linalg.svd(matrix)
    values = torch.cat([torch.where(values < 0.03, 0.0, values), torch.zeros(16 - len(values), dtype=torch.float64)])
    side = len(matrix)
    seen = torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    seen[..., :side, :side] = left.T @ y.view(1, 3, side, side) @ left
    singular = (values[:, None] * values)[None, None]
    return Spectrum(right.T, right.T, singular, torch.where(singular > 0, seen, 0.0), sigma)


def official_back(name: str, coefficients: torch.Tensor) -> torch.Tensor:
    """V of the official operators: coefficients [768] in their order -> an image [1, 3, 16, 16]."""
    if name == "deno":
        return coefficients.view(1, 3, 16, 16)
    if name == "inp":  # height, width, channel: kept values first
        missing = A["inpaint_missing_indices_hwc"]
        flat, kept = torch.empty(768, dtype=torch.float64), torch.ones(768, dtype=torch.bool)
        kept[missing] = False
        flat[kept], flat[missing] = coefficients.split([468, 300])
        return flat.view(1, 16, 16, 3).permute(0, 3, 1, 2)
    factor = int(name[2:])
    side = 16 // factor
    coarse, rest = coefficients.split([3 * side**2, 768 - 3 * side**2])
    patches = torch.cat([coarse[:, None], rest.view(3 * side**2, -1)], 1) @ A[f"out/op/{name}/V_small"].double().T
    return patches.view(1, 3, side, side, factor, factor).transpose(3, 4).reshape(1, 3, 16, 16)


def noise_of(task: str) -> torch.Tensor:
    """The official normal draws as images [21, 3, 16, 16].

    Each step draws three times: for all coefficients, for those whose y is noisier than the level, and for all that are
    measured, of which those count whose y is less noisy.
    """
    name, sigma = task.split("_s")
    if name == "bic2":
        return images(A[f"out/traj/{task}/noise_pixel"])
    pool, measured = A["noise_pool"].double(), len(A[f"out/op/{name}/singulars"])
    found = [pool[60]]
    for step, (noisier, clearer) in enumerate(A[f"traj/{task}/n_after_n_before"].tolist()):
        every, those, seen = pool[3 * step : 3 * step + 3].clone()
        if noisier or clearer:  # neither at the last level, where y has no noise
            every[:measured] = those[:measured] if noisier else seen[:measured]
        found.append(every)
    return torch.cat([official_back(name, coefficients) for coefficients in found])


@pytest.mark.parametrize("name", ("sr2", "sr4", "inp", "deno"))
def test_official_bases(name):
    """The golden operators as this file reads them, and our singular values and measured parts."""
    expected = images(A[f"out/op/{name}/V_vec"])
    assert (official_back(name, A["vec"][0].double()) - expected).abs().max() < 2e-6
    x = A["x_true"].double()
    f = {"sr2": Downsample(2), "sr4": Downsample(4), "inp": Mask(A["inpaint_keep_mask"].float()), "deno": Compose()}
    m = spectrum(f[name], f[name].forward(x / 2 + 0.5), 16)
    values = m.singular.expand(1, 3, 16, 16).flatten().sort(descending=True).values
    official = A[f"out/op/{name}/singulars"].double()
    assert torch.allclose(values[: len(official)], official, atol=1e-6) and not values[len(official) :].any()
    pinv = m.back(m.over_singular(m.measured))
    assert (pinv - images(A[f"out/op/{name}/H_pinv_y"])).abs().max() < 2e-6
    x = x.requires_grad_(True)  # what f does to images in [-1, 1], without its offset, and its adjoint
    y = official_order(name, 2 * f[name].forward(x / 2 + 0.5) - 1)
    assert (y - A[f"out/op/{name}/H_x_true"][0].double()).abs().max() < 2e-6
    (adjoint,) = torch.autograd.grad((y * A["vec"][0, : len(y)].double()).sum(), x)
    assert (adjoint - images(A[f"out/op/{name}/Ht_vec"])).abs().max() < 2e-6


def official_order(name: str, y: torch.Tensor) -> torch.Tensor:
    """The measured values [1, 3, h, w] as the official code lists them."""
    return y.permute(0, 2, 3, 1)[0][A["inpaint_keep_mask"].bool()].flatten() if name == "inp" else y.flatten()


def test_the_official_bicubic():
    matrix, x = bicubic(), A["x_true"][0].double()
    y = matrix @ x @ matrix.T
    assert (y.flatten() - A["out/op/bic2/H_x_true"][0].double()).abs().max() < 2e-6
    adjoint = matrix.T @ A["vec"][0, :192].double().view(3, 8, 8) @ matrix
    assert (adjoint - images(A["out/op/bic2/Ht_vec"])).abs().max() < 2e-6
    values = torch.linalg.svdvals(matrix)
    assert (values - A["out/op/bic2/singulars_small"].double()).abs().max() < 1e-6
    inverse = torch.linalg.pinv(matrix)
    assert (inverse @ y @ inverse.T - images(A["out/op/bic2/H_pinv_y"])).abs().max() < 2e-5


@pytest.mark.parametrize("task", TASKS)
def test_trajectories_of_the_official_code(task):
    network, m, noise = Network(), measurement(task), noise_of(task)
    if (stored := A.get(f"out/traj/{task}/noise_pixel")) is not None:
        assert (noise - images(stored)).abs().max() < 2e-6
    levels = [sigma_of(abar) for abar in A["out/abar"][A["timesteps"] + 1].double().tolist()]
    estimates = [x for x, _ in recursion(network, m, levels, iter(noise.split(1)), 0.85, 1.0)]
    expected = images(A[f"out/traj/{task}/xs"])
    found = torch.cat([*network.inputs, estimates[-1]])
    assert found.shape == expected.shape == (21, 3, 16, 16)
    error, first = (found - expected).abs().max(), (estimates[0] - images(A[f"out/traj/{task}/x0_first"])).abs().max()
    print(f"{task}: x_t within {error:.1e}, first estimate within {first:.1e}")
    assert error < 3e-5 and first < 3e-4
    assert (estimates[-1] - images(A[f"out/traj/{task}/x0_last"])).abs().max() < 3e-5


def test_levels_are_the_official_ones():
    assert (alphas_bar() - A["out/abar"][1:].double()).abs().max() < 1e-6
    assert torch.equal(torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64).float(), A["betas"])
    assert A["timesteps"].tolist() == list(range(950, -1, -50))


@pytest.mark.parametrize("t", (0, 500, 950))
def test_the_network_of_the_test_is_the_official_one(t):
    abar, x = A["out/abar"][t + 1].item(), A["x_true"].double()
    sigma = sigma_of(abar)
    found = (x / abar**0.5 - Network()(x / abar**0.5, sigma)) / sigma
    assert (found - A[f"out/net_of_x_true_t{t}"]).abs().max() < 1e-5


@pytest.mark.parametrize("quality", (5, 10, 40, 80))
def test_published_codec(quality):
    tables = A[f"out/jpeg/qtables_q{quality}"].double().numpy()
    luma, chroma = coefficients(A["jpeg/x32"], tables)
    assert np.array_equal(luma, A[f"out/jpeg/luma_q{quality}"].double().numpy())
    assert np.array_equal(chroma, A[f"out/jpeg/chroma_q{quality}"].double().numpy())
    assert (round_trip(A["jpeg/x32"], tables) - A[f"out/jpeg/decoded_q{quality}"]).abs().max() < 5e-6


JPEG_CASES = [("q10", 10, 1.0, 0.4), ("q20_eta.85_etab.7", 20, 0.85, 0.7)]


@pytest.mark.parametrize(("case", "quality", "eta", "eta_b"), JPEG_CASES)
def test_jpeg_trajectories_of_the_official_code(case, quality, eta, eta_b):
    network, noise = Network(), A["noise_pool"][:21].double().view(21, 1, 3, 16, 16)
    tables = ijg_tables(quality)
    y, expected = A[f"out/jpegtraj/{case}/y"].double(), images(A[f"out/jpegtraj/{case}/xs"])
    assert (round_trip(A["x_true"].double(), tables) - y).abs().max() < 5e-6
    abars = A["out/abar"][A[f"jpegtraj/{case}/timesteps"] + 1].double().tolist()
    steps = ddrm_jpeg.recursion(network, lambda x: round_trip(x, tables), y, abars, iter(noise), eta, eta_b)
    last = [x for x, _ in steps][-1]
    error = (torch.cat([*network.inputs, last]) - expected).abs().max()
    print(f"JPEG {case}: x_t within {error:.1e}")
    assert error < 5e-5
    clean = network(network.inputs[-1] / abars[-1] ** 0.5, sigma_of(abars[-1]))
    assert (clean - images(A[f"out/jpegtraj/{case}/x0_last"])).abs().max() < 5e-5


def ijg_tables(quality: int) -> np.ndarray:
    """Both tables of libjpeg at a quality, [2, 64] in natural order."""
    return np.stack([table.reshape(-1).double().numpy() for table in ijg(quality)])


def test_official_bicubic_and_our_resizing_have_spectra():
    """A resize and a blur in their singular vectors: the measurement is s times the coefficients of x."""
    x = A["x_true"].double()
    for f in (Resize(8), Resize((4, 8), "area"), Blur(1.5), Compose(Blur(0.8), Downsample(2)), Resize(6, "lanczos")):
        m = spectrum(f, f.forward(x / 2 + 0.5), 16)
        assert (m.measured - m.singular * m.to(x))[m.known.expand_as(x)].abs().max() < 1e-5
        assert (m.back(m.to(x)) - x).abs().max() < 1e-9


def test_masks_noise_and_missing_pixels_are_read_off():
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    mask = torch.ones(16, 16)
    mask[:, :5], mask[:, 5] = 0, 0.5
    f = Compose(Mask(mask), ReadNoise(0.1))
    m = spectrum(f, f.stages[0].forward(x), 16)
    assert torch.allclose(m.measured, mask * (2 * x - 1), atol=1e-6) and torch.equal(m.known[0, 0], mask > 0)
    assert m.sigma.flatten().tolist() == pytest.approx([(0.2**2 + ROUNDING**2) ** 0.5] * 2)
    y = x.clone()
    y[0, :, 3, 4] = 0.0
    m = spectrum(PoissonBernoulliNoise(24, 0.1), y, 16)
    assert not m.known[0, 0, 3, 4] and m.known.sum() == 3 * (2 * 256 - 1)
    kept = y[0][:, y[0].sum(0) > 0].mean().item()
    assert m.sigma[0].item() == pytest.approx((4 * kept / 24 + ROUNDING**2) ** 0.5, rel=1e-5)


def test_what_cannot_be_said_has_a_reason():
    sayable = (Downsample(4), Strokes(3), PoissonBernoulliNoise(24, 0.1), JPEG(30), Compose())
    for f in (*sayable, Compose(Resize(64), Blur(1))):
        assert can(f) is None, f
    mixed, noisy = Compose(Strokes(3), Downsample(2)), Compose(Downsample(2), PoissonBernoulliNoise(24, 0.1))
    for f, reason in (
        (Compose(Downsample(2), JPEG(30)), "jpeg:30 is not linear"),
        (Compose(ReadNoise(0.1), Downsample(2)), "readnoise:0.1 is not linear"),
        (mixed, "a mask and a change of size"),
        (noisy, "missing pixels after a change of size"),
        (lambda x: x, "is not linear"),
        (Blur(length=5), "is not linear with a cheap"),
    ):
        assert reason in can(f), f
    with pytest.raises(SpectrumError, match="images become larger, 32 from 16 px"):
        spectrum(Resize(32), torch.zeros(1, 3, 32, 32), 16)
