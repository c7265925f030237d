"""LPIPS on VGG16 against the published pyramid (golden arrays) and the `lpips` package itself."""

import warnings

import pytest
import torch
from conftest import LAYERS, golden, seeded_vgg

from rusr_core.checkpoints import load_state
from rusr_core.errors import RusrError
from rusr_core.networks.perceptual import LPIPSFeatures, distance, unit_channels
from rusr_core.priors.load import lpips_heads


def test_channel_weights_are_the_published_ones(vgg):
    arrays = golden("multiscale_lpips")
    for level in range(5):
        assert torch.equal(getattr(vgg, f"weight{level}"), arrays[f"lin/lin{level}"])
    assert torch.equal(vgg.shift.flatten(), arrays["lin/shift"])
    assert torch.equal(vgg.scale.flatten(), arrays["lin/scale"])


@pytest.mark.parametrize("size", [64, 128])
def test_golden_layers(size, vgg):
    arrays = golden("multiscale_lpips")
    x, y = (arrays[f"r{size}/{name}"].unsqueeze(0) for name in "xy")
    terms = [distance([a], [b]).item() for a, b in zip(vgg.features(x), vgg.features(y), strict=True)]
    assert terms == pytest.approx(arrays[f"r{size}/nomask/layers_finest"].tolist(), abs=1e-7)


@pytest.mark.slow
def test_same_value_as_the_lpips_package(vgg):
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
    for level, head in enumerate(package.lins):
        assert torch.equal(lpips_heads()[f"lin{level}.model.1.weight"], head.model[-1].weight)
    state = seeded_vgg()
    for index in LAYERS:
        layer = next(getattr(package.net, s)[int(i)] for s, i in _places(package, index))
        layer.weight.data, layer.bias.data = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
    a, b = torch.rand(2, 2, 3, 48, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = package(a, b, normalize=True).flatten()
    torch.testing.assert_close(distance(vgg.features(a), vgg.features(b)), expected, atol=1e-7, rtol=1e-5)


def _places(package, index):
    for name in ("slice1", "slice2", "slice3", "slice4", "slice5"):
        if str(index) in dict(getattr(package.net, name).named_children()):
            yield name, list(dict(getattr(package.net, name).named_children())).index(str(index))


def test_equal_images_have_distance_zero(vgg):
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert distance(vgg.features(x), vgg.features(x)).item() == 0


def test_unit_channels_and_its_gradient():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, 4, generator=draw, dtype=torch.float64).requires_grad_()
    weight = torch.rand(5, generator=draw, dtype=torch.float64)
    expected = x / x.norm(dim=1, keepdim=True) * weight.sqrt()[:, None, None]
    torch.testing.assert_close(unit_channels(x, weight, 1e-20), expected)
    assert torch.autograd.gradcheck(lambda v: unit_channels(v, weight, 1e-3), x)


def test_a_flat_map_has_a_finite_gradient():
    x = torch.zeros(1, 5, 2, 2, requires_grad=True)
    unit_channels(x, torch.ones(5), 1e-20).square().sum().backward()
    assert (x.grad == 0).all()


def test_weights_from_a_file(tmp_path, vgg):
    state = seeded_vgg()
    state.pop("sha256")
    torch.save(state, tmp_path / "vgg.pth")
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    net = LPIPSFeatures(load_state(tmp_path / "vgg.pth"), lpips_heads())
    for a, b in zip(net.features(x), vgg.features(x), strict=True):
        assert torch.equal(a, b)


def test_wrong_weights_are_named(vgg):
    state = seeded_vgg()
    for vgg_state, heads, expected in (
        ({k: v for k, v in state.items() if k != "features.5.bias"}, lpips_heads(), "'features.5.bias' is missing"),
        (state | {"features.0.weight": torch.ones(64, 1, 3, 3)}, lpips_heads(), r"\(64, 1, 3, 3\), expected \(64, 3"),
        (state, {}, "'lin0.model.1.weight' is missing"),
    ):
        with pytest.raises(RusrError, match=expected):
            LPIPSFeatures(vgg_state, heads)


def test_small_images_are_refused(vgg):
    with pytest.raises(RusrError, match=r"\(1, 3, 8, 64\).*at least 16"):
        vgg.features(torch.zeros(1, 3, 8, 64))
