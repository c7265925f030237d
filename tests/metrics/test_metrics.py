"""Metrics against independent implementations and cases worked by hand."""

import copy
import warnings

import numpy as np
import pytest
import torch
from conftest import seeded, small_portrait_net
from scipy import linalg
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from rusr_core import metrics
from rusr_core.degradations import Compose, Downsample, PoissonBernoulliNoise
from rusr_core.errors import RusrError
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.metrics import judges, realism
from rusr_core.networks.perceptual import to_device_of
from rusr_core.networks.portrait_net import PortraitNet


@pytest.fixture(scope="module")
def net() -> PortraitNet:
    """A small stand-in for the judging net."""
    return small_portrait_net()


@pytest.fixture(scope="module")
def portraits() -> torch.Tensor:
    return torch.cat([load_image(data_path(f"portraits/test/{i:03d}.png")) for i in range(3)])


@pytest.fixture(scope="module")
def noisy(portraits) -> torch.Tensor:
    return PoissonBernoulliNoise(48, 0.08).degrade(portraits, seeded())


def as_numpy(x: torch.Tensor) -> np.ndarray:
    return x.permute(1, 2, 0).double().numpy()


def test_psnr_and_ssim_are_those_of_scikit_image(portraits, noisy):
    for i, (psnr, ssim) in enumerate(zip(metrics.psnr(noisy, portraits), metrics.ssim(noisy, portraits), strict=True)):
        a, b = as_numpy(noisy[i]), as_numpy(portraits[i])
        assert psnr.item() == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-4)
        options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=2)
        assert ssim.item() == pytest.approx(structural_similarity(a, b, **options), abs=1e-6)


def test_equal_images(portraits, net):
    assert metrics.psnr(portraits, portraits).isinf().all()
    torch.testing.assert_close(metrics.ssim(portraits, portraits), torch.ones(3))
    assert (metrics.lpips(portraits, portraits, net) == 0).all()
    torch.testing.assert_close(metrics.identity(portraits, portraits, net), torch.ones(3))
    features = realism.image_features(portraits, net.pooled)
    assert realism.frechet(features, features) == pytest.approx(0, abs=1e-8)
    assert realism.kernel_interval(features, features, paired=True) == pytest.approx((0, 0, 0), abs=1e-12)


def test_ssim_worked_by_hand():
    """Flat images have no variance: only the factor of the means is left."""
    a, b = torch.full((1, 3, 16, 16), 0.25), torch.full((1, 3, 16, 16), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert metrics.ssim(a, b).item() == pytest.approx(expected, abs=1e-6)
    assert metrics.psnr(a, b).item() == pytest.approx(20 * np.log10(2), abs=1e-5)


def test_fidelity_uses_the_true_degradation_and_the_stated_seed(portraits, net):
    f = PoissonBernoulliNoise(24, 0.16)
    y = f.degrade(portraits, seeded(4))
    assert (metrics.fidelity(portraits, y, f, seeded(4), net) == 0).all()
    assert (metrics.fidelity(portraits, y, f, seeded(5), net) > 0).all()
    small = Downsample(2, "bicubic")
    assert (metrics.fidelity(portraits, small.degrade(portraits), small, net=net) == 0).all()
    tiny = Downsample(32, "bicubic")  # 4 px
    scores = metrics.fidelity(portraits, tiny.degrade(portraits.flip(0)), tiny, net=net)
    assert (scores[[0, 2]] > 0).all() and scores[1] == 0


def gaussians(features: int = 12, num: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    mix = torch.randn(features, features, generator=seeded(1), dtype=torch.float64)
    a = torch.randn(num, features, generator=seeded(2), dtype=torch.float64)
    b = torch.randn(num, features, generator=seeded(3), dtype=torch.float64) @ mix + 0.5
    return a, b


def test_frechet_distance_is_that_of_scipys_sqrtm():
    a, b = gaussians()
    p, q = realism.statistics(a), realism.statistics(b)
    for ours, x in ((p, a), (q, b)):
        np.testing.assert_allclose(ours.covariance, np.cov(x.numpy(), rowvar=False), atol=1e-12)
    root = linalg.sqrtm(p.covariance.numpy() @ q.covariance.numpy()).real
    expected = ((p.mean - q.mean) ** 2).sum() + p.covariance.trace() + q.covariance.trace() - 2 * np.trace(root)
    assert realism.frechet_distance(p, q) == pytest.approx(expected.item(), rel=1e-9)
    assert realism.frechet_distance(q, p) == pytest.approx(expected.item(), rel=1e-9)


def test_frechet_distance_worked_by_hand():
    """Diagonal covariances: sum of (difference of means)^2 + (difference of deviations)^2."""
    eye = torch.eye(2, dtype=torch.float64)
    a = realism.Statistics(torch.tensor([0.0, 0.0]).double(), eye * torch.tensor([1.0, 4.0]).double())
    b = realism.Statistics(torch.tensor([3.0, 0.0]).double(), eye * torch.tensor([9.0, 1.0]).double())
    assert realism.frechet_distance(a, b) == pytest.approx(9 + (1 - 3) ** 2 + (2 - 1) ** 2)


def test_fewer_samples_than_features():
    a = torch.randn(5, 20, generator=seeded(1))
    assert realism.frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert realism.frechet(a, a + 2) == pytest.approx(20 * 4, rel=1e-6)


def test_frechet_and_kernel_distance_are_those_of_clean_fid():
    fid = pytest.importorskip("cleanfid.fid")
    a, b = (x.numpy() for x in gaussians())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls SciPy in a way that SciPy is about to drop
        theirs = fid.frechet_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False))
    ours = [torch.from_numpy(x) for x in (a, b)]
    assert realism.frechet(*ours) == pytest.approx(theirs, rel=1e-9)
    # with one subset as large as the sets it draws an order only, which does not matter
    state = np.random.get_state()
    assert realism.kernel_distance(*ours, paired=False) == pytest.approx(fid.kernel_distance(a, b, 1, len(a)), rel=1e-9)
    np.random.set_state(state)


def test_kernel_distance_worked_by_hand():
    """One feature: kernel (xy + 1)^3. Sets {0, 1} and {0, 2}: 1 + 1 - 2 (1 + 1 + 1 + 27) / 4, without the pairs (0, 0)
    and (1, 2) it is 1 + 1 - 1 - 1."""
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    assert realism.kernel_distance(a, b, paired=False) == pytest.approx(1 + 1 - 2 * (1 + 1 + 1 + 27) / 4)
    assert realism.kernel_distance(a, b, paired=True) == pytest.approx(0)


def test_inception_takes_clean_fids_file_and_resize(tmp_path, portraits):
    """A stand-in network in the form of clean-fid's file; the published weights are not here."""
    pytest.importorskip("cleanfid")
    from cleanfid.resize import make_resizer

    class Layers(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), (32, 64)).flatten(1)

    class Base(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = Layers()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    with pytest.raises(realism.RealismError, match=r"inception-2015-12-05.pt.*nothing is downloaded"):
        realism.inception_features(tmp_path)
    torch.jit.script(Base()).save(str(tmp_path / realism.INCEPTION))
    found = realism.image_features(portraits[:1], realism.inception_features(tmp_path))
    resized = make_resizer("PIL", False, "bicubic", (299, 299))((as_numpy(portraits[0]) * 255).round().astype(np.uint8))
    expected = Layers()((torch.from_numpy(resized).permute(2, 0, 1)[None].float() - 128) / 128)
    assert found.shape == (1, 2048)
    torch.testing.assert_close(found.float(), expected, atol=1e-4, rtol=0)


def test_crops_are_seeded_parts_of_the_image(portraits, net):
    crops = realism.random_crops(portraits, 16, 50, seed=1)
    assert crops.shape == (3, 50, 3, 16, 16)
    windows = portraits[0].unfold(1, 16, 1).unfold(2, 16, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    assert (windows == crops[0, 7]).flatten(1).all(1).any()
    assert torch.equal(crops, realism.random_crops(portraits, 16, 50, seed=1))
    assert not torch.equal(crops, realism.random_crops(portraits, 16, 50, seed=2))
    assert torch.equal(crops[1:], realism.random_crops(portraits[1:], 16, 50, seed=1, start=1))
    assert realism.crop_side(1024) == 128 and realism.crop_side(128) == 16 and realism.crop_side(32) == 16
    features = realism.patch_features(portraits, net.pooled, 50, seed=1)
    torch.testing.assert_close(features[2], net.pooled(crops[2]).double())
    assert realism.frechet(features, features) == pytest.approx(0, abs=1e-8)
    blurred = Downsample(2, "bicubic").degrade(portraits).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert realism.frechet(features, realism.patch_features(blurred, net.pooled, 50, seed=1)) > 1e-6


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: metrics.psnr(x, x[:1]), r"\(2, 3, 20, 20\) and \(1, 3, 20, 20\)"),
        (lambda x: metrics.ssim(x[..., :8], x[..., :8]), "8x20 px.*at least 11 px"),
        (lambda x: metrics.spread(lambda i: 0.0, 0), "num is 0"),
        (lambda x: metrics.spread(lambda i: 0.0, 3, rounds=1), "rounds is 1"),
        (lambda x: metrics.mean_interval(torch.zeros(0)), "0 values"),
        (lambda x: metrics.mean_interval(torch.tensor([1.0, torch.inf, torch.nan])), "2 of 3 values are not finite"),
        (lambda x: metrics.fidelity(x, x, Downsample(2, "bicubic")), r"fidelity: f makes .*10, 10.*y is .*20, 20"),
        (
            lambda x: realism.random_crops(x, 21),
            "crops of images of 20x20 px is 21: expected a whole number from 1 to 20",
        ),
        (lambda x: realism.statistics(torch.zeros(1, 4)), "at least 2 samples"),
        (lambda x: realism.frechet(torch.eye(3), torch.eye(4)), "3 and 4 numbers"),
        (lambda x: realism.kernel_distance(torch.eye(3), torch.eye(4), paired=False), "3 and 4 numbers"),
        (lambda x: realism.kernel_distance(torch.eye(3), torch.eye(3)[:2], paired=True), "3 and 2 images.*same number"),
        (lambda x: realism.kernel_distance(torch.eye(3), torch.eye(3)[:1], paired=False), "2 samples|3 and 1 images"),
        (lambda x: realism.frechet(torch.eye(3), torch.eye(3) / 0), "9 features are NaN or infinite"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(RusrError, match=message):
        call(torch.zeros(2, 3, 20, 20))


WRONG = {
    "uint8": (lambda x: (x * 255).to(torch.uint8), r"torch.uint8, expected floating point in \[0, 1\]"),
    "0 to 255": (lambda x: x * 255, r"values in \[\S+, 2\d\d\S*\], expected \[0, 1\]"),
    "-1 to 1": (lambda x: x * 2 - 1, r"values in \[-\S+, \S+\], expected \[0, 1\]"),
    "NaN": (lambda x: x * float("nan"), "nan, nan"),
    "numpy": (lambda x: x.numpy(), "ndarray, expected a tensor"),
    "one image": (lambda x: x[0], r"\(3, 128, 128\)"),
}
CALLS = {
    "psnr": lambda a, b, net: metrics.psnr(a, b),
    "ssim": lambda a, b, net: metrics.ssim(a, b),
    "lpips": metrics.lpips,
    "identity": metrics.identity,
    "fidelity": lambda a, b, net: metrics.fidelity(a, b, Compose(), net=net),
    "image_features": lambda a, b, net: realism.image_features(a, net.pooled),
    "random_crops": lambda a, b, net: realism.random_crops(a, 16),
    "set_scores": lambda a, b, net: judges.set_scores(a, b, judges.portraits_judge(net)),
    "image_scores": lambda a, b, net: judges.image_scores(a, b, b, Compose(), None, judges.portraits_judge(net)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wrong", WRONG)
def test_images_that_are_not_in_the_range_are_refused_by_name(name, wrong, portraits, net):
    """Once metrics.lpips(255 x, 255 y) was a third of lpips(x, y), without a word."""
    change, message = WRONG[wrong]
    bad = change(portraits.clone())
    with pytest.raises(RusrError, match=f"^{name}: .*{message}"):
        CALLS[name](bad, portraits, net)
    if name not in ("image_features", "random_crops"):
        with pytest.raises(RusrError, match=f"^{name}: .*{message}"):
            CALLS[name](portraits, bad, net)


def test_images_that_were_not_clamped_and_other_precisions_are_taken(portraits, noisy, net):
    for metric in (metrics.psnr, metrics.ssim, lambda a, b: metrics.lpips(a, b, net)):
        expected = metric(noisy, portraits)
        for a, b in ((noisy.double(), portraits), (noisy, portraits.double()), (noisy.bfloat16(), portraits)):
            found = metric(a, b)
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, expected, rtol=0.02, atol=1e-3)
        assert metric(noisy * 1.2 - 0.1, portraits).isfinite().all()


def test_lpips_of_small_images_is_that_of_fidelity(portraits, net):
    """DESIGN's example, accuracy and fidelity in one line, for an f that leaves 4 px."""
    f = Downsample(32, "bicubic")
    y = f.degrade(portraits)
    seen = metrics.lpips(f.degrade(portraits.flip(0)), y, net)
    torch.testing.assert_close(seen, metrics.fidelity(portraits.flip(0), y, f, net=net))
    assert metrics.lpips(f(portraits), y, net).isfinite().all()


def test_large_images_are_measured_one_by_one(net):
    """At 1024 px a batch costs the memory of one image."""
    sizes = []

    class Counting(torch.nn.Module):
        def features(self, x):
            sizes.append(x.shape)
            return [x[:, :, ::64, ::64]]

        def embed(self, x):
            return self.features(x)[0].flatten(1)

        def pooled(self, x):
            return self.embed(x)

    x = torch.rand(3, 3, 1024, 1024, generator=seeded())
    counting = Counting()
    assert len(metrics.lpips(x, x, counting)) == len(metrics.identity(x, x, counting)) == 3
    assert realism.image_features(x, counting.pooled).shape[0] == 3
    assert {tuple(size) for size in sizes} == {(1, 3, 1024, 1024)}
    assert metrics.psnr(x, x).isinf().all()
    sizes.clear()
    realism.patch_features(x, counting.pooled, 100)
    assert max(size[0] for size in sizes) <= 64 and {size[-1] for size in sizes} == {128}


def test_images_go_to_the_device_of_the_net(portraits, net):
    elsewhere = copy.deepcopy(net).to("meta")  # a device that every machine has
    assert {x.device.type for x in to_device_of(elsewhere, portraits, portraits)} == {"meta"}
    assert realism.portrait_features(elsewhere)(portraits).device.type == "meta"
    assert to_device_of(object(), portraits)[0] is portraits


def test_frechet_of_few_samples_is_that_of_the_covariances():
    g = seeded(3)
    a, b = torch.randn(9, 40, generator=g), 2 * torch.randn(12, 40, generator=g) + 1
    few = realism.frechet_distance(realism.statistics(a), realism.statistics(b))
    assert realism.frechet(a, b) == pytest.approx(few, rel=1e-6)
    assert realism.frechet(a, a) == pytest.approx(0, abs=1e-9)
