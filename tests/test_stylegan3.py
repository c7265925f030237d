"""StyleGAN3 and StyleGAN-XL against the official code (golden arrays): latents, layers, images, gradients, W++."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import golden
from stylegan3_examples import golden_network, random_stylegan3
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.generator import LatentError, Mapping, StyleGAN3, StyleGAN3Config, placement, stylegan3
from rusr_core.generator.alias_free import LayerShape, design_layers
from rusr_core.generator.stylegan_xl import nearest
from rusr_core.randomness import RandomnessError

NAMES = ("stylegan3_t_r32", "stylegan3_r_r32", "stylegan_xl_r32")
IMAGES = {NAMES[0]: 4e-5, NAMES[1]: 5e-6, NAMES[2]: 2e-5}  # five times the official float32 error
EXACT = dict(atol=1e-6, rtol=0)  # of the largest entry, in float64


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    """Name, golden arrays, and the network that they belong to."""
    arrays = golden(request.param)
    return request.param, arrays, golden_network(arrays)


@pytest.fixture(scope="module")
def double(network):
    """The same in float64, in which the official code made its arrays."""
    name, arrays, G = network
    return {k: v.double() if v.is_floating_point() else v for k, v in arrays.items()}, copy.deepcopy(G).double()


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Equal up to the rounding of the stored float32, of max(1, largest entry)."""
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found / scale, expected / scale, **EXACT)


def test_golden_mapping(network):
    _, arrays, G = network
    z, c = arrays["in/z"], arrays.get("in/c")
    for suffix, options in {"": {}, "_psi0.7": {"psi": 0.7}, "_psi0.7_cutoff3": {"psi": 0.7, "cutoff": 3}}.items():
        torch.testing.assert_close(G.mapping(z, c, **options), arrays[f"out/ws{suffix}"], atol=4e-6, rtol=0)


def test_golden_images(network):
    name, arrays, G = network
    near = dict(atol=IMAGES[name], rtol=0)
    for suffix in ("", "_psi0.7", "_psi0.7_cutoff3", "_mixed"):
        torch.testing.assert_close(G.synthesis(arrays[f"out/ws{suffix}"]), arrays[f"out/img{suffix}"], **near)
    torch.testing.assert_close(G.synthesis(arrays["in/ws_Wp"]), arrays["out/img_Wp"], **near)
    torch.testing.assert_close(G(arrays["in/z"], arrays.get("in/c")), arrays["out/img"], **near)
    one = G.synthesis(arrays["out/ws"][:1])
    torch.testing.assert_close(one, arrays["out/img_single0"], **near)
    assert list(G.rows) == arrays["meta/rows_per_ws"].tolist() and G.num_ws == arrays["out/ws"].shape[1]


def test_golden_transforms(network, double):
    name = network[0]
    for (arrays, G), tolerance in (((network[1], network[2]), IMAGES[name]), (double, 1e-6)):
        for suffix in ("", "_scale"):
            transform = arrays[f"in/transform{suffix}"]
            found = G.synthesis.input(arrays["out/ws"][:, 0], transform)
            torch.testing.assert_close(found[:, :3], arrays[f"out/input_transform{suffix}"], atol=2e-5, rtol=0)
            image = G.synthesis(arrays["out/ws"], transform)
            torch.testing.assert_close(image, arrays[f"out/img_transform{suffix}"], atol=tolerance * 5, rtol=0)
    arrays, G = double
    G = copy.deepcopy(G)  # the matrix that a network carries does the same
    G.synthesis.input.transform.copy_(arrays["in/transform"])
    assert_near(G.synthesis(arrays["out/ws"]), arrays["out/img_transform"])


def test_placement_is_the_inverse_of_what_the_user_asks(network):
    _, arrays, _ = network
    matrix = placement(20, (0.1, 0.0))
    torch.testing.assert_close(matrix.float(), arrays["in/transform"], atol=1e-7, rtol=0)
    torch.testing.assert_close(matrix.inverse(), arrays["in/user_matrix"], atol=1e-12, rtol=0)


def test_golden_layers(double):
    """Three channels of each layer, and the moments of all."""
    arrays, G = double
    latents = G.synthesis.split(arrays["out/ws"])
    x, seen = G.synthesis.input(latents[0]), 0
    for layer, w in zip([None, *G.synthesis.layers], latents, strict=True):
        x = x if layer is None else layer(x, w)
        at = f"out/layer/{'input' if layer is None else layer.shape.name}"
        assert_near(x[:1, :3], arrays[f"{at}/first3"])
        flat = x[0].flatten(1)
        assert_near(flat.mean(1), arrays[f"{at}/mean"])
        assert_near(flat.std(1, correction=0), arrays[f"{at}/std"])
        assert_near(flat.amin(1), arrays[f"{at}/min"])
        assert_near(flat.amax(1), arrays[f"{at}/max"])
        seen += 1
    assert seen == G.num_ws


@pytest.mark.parametrize("latents", ["out/ws", "in/ws_Wp"])
def test_golden_gradients(latents, double):
    arrays, G = double
    ws = G.mapping(arrays["in/z"], arrays.get("in/c")) if latents == "out/ws" else arrays[latents].clone()
    ws.requires_grad_()
    loss = (G.synthesis(ws) * arrays["in/R"]).sum()
    (gradient,) = torch.autograd.grad(loss, ws)
    assert_near(gradient, arrays["out/grad_ws" if latents == "out/ws" else "out/grad_Wp"])


def test_golden_gradients_of_w_and_under_a_transform(double):
    arrays, G = double
    w = arrays["out/ws"][:, 0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad((G.synthesis(w) * arrays["in/R"]).sum(), w)
    assert_near(gradient, arrays["out/grad_w"])
    ws = G.mapping(arrays["in/z"], arrays.get("in/c")).requires_grad_()  # exactly, not as stored
    moved = G.synthesis(ws, arrays["in/transform"])
    (gradient,) = torch.autograd.grad((moved * arrays["in/R"]).sum(), ws)
    assert_near(gradient, arrays["out/grad_ws_transform"])


def test_golden_rows_of_w_plus_plus(network, double):
    """One latent for each filter: the official layers, run once for each row, give the same image and gradient."""
    name, arrays, G = network
    near = dict(atol=IMAGES[name], rtol=0)
    rows = arrays["in/rows_Wpp"].unsqueeze(1)
    torch.testing.assert_close(G.synthesis(rows), arrays["out/img_Wpp_by_selection"], **near)
    widened = G.widen(arrays["out/ws"], "W++")
    assert widened.shape == (2, 1, sum(G.rows), 48)
    torch.testing.assert_close(G.synthesis(widened), arrays["out/wpp_from_W"], **near)
    arrays, G = double
    rows = arrays["in/rows_Wpp"].unsqueeze(1).requires_grad_()
    image = G.synthesis(rows)
    assert_near(image, arrays["out/img_Wpp_by_selection"])
    (gradient,) = torch.autograd.grad((image * arrays["in/R"]).sum(), rows)
    assert_near(gradient.squeeze(1), arrays["out/grad_Wpp_by_selection"])


def test_golden_clamp(double):
    arrays, G = double
    G = copy.deepcopy(G)
    for layer in G.synthesis.layers:
        layer.clamp = arrays["meta/clamp"].item()
    assert_near(G.synthesis(arrays["out/ws"]), arrays["out/img_clamp"])


def test_golden_moving_averages(network, double):
    """What one pass of training does to the mean w and to the magnitudes, which act in the same pass."""
    arrays, G = double
    G = copy.deepcopy(G)
    ws = G.mapping(arrays["in/z"], arrays.get("in/c"))
    G.mapping.track(ws[:, 0], arrays.get("in/c"))
    assert_near(G.synthesis(ws, track=True), arrays["out/img_update_emas"])
    assert_near(G.mapping.w_avg, arrays["out/w_avg_after"])
    found = torch.stack([layer.magnitude_ema for layer in G.synthesis.layers])
    assert_near(found, arrays["out/magnitude_ema_after"])


def test_the_image_is_the_same_in_all_spaces(network):
    name, arrays, G = network
    w = arrays["out/ws"][:, 0]
    image = G.image(w)
    torch.testing.assert_close(image, arrays["out/img"] / 2 + 0.5, atol=IMAGES[name], rtol=0)
    for space in ("W+", "W++"):
        torch.testing.assert_close(G.image(G.widen(w, space)), image, atol=2 * IMAGES[name], rtol=0)
    with pytest.raises(LatentError, match=r"W\+\+ \[N, 1, "):
        G.image(torch.zeros(2, 3, 48))


def test_golden_conditional_mapping():
    """StyleGAN3's own conditional mapping, where soft labels count as they are."""
    arrays = golden("stylegan3_t_r32")
    options = dict(z_dim=24, c_dim=5, w_dim=40, mapping_layers=3)
    with torch.device("meta"):
        mapping = Mapping(StyleGAN3Config.of(design_layers(32, 6), **options), 8)
    state = {k.removeprefix("cond/param/mapping."): v for k, v in arrays.items() if k.startswith("cond/param/")}
    mapping.load_state_dict(state, strict=True, assign=True)
    z, c = arrays["cond/in/z"], arrays["cond/in/c"]
    torch.testing.assert_close(mapping(z, c), arrays["cond/out/ws"], atol=4e-6, rtol=0)
    truncated = mapping(z, c, psi=0.7, cutoff=3)
    torch.testing.assert_close(truncated, arrays["cond/out/ws_psi0.7_cutoff3"], atol=4e-6, rtol=0)


def test_golden_stem():
    """The stem of 16 px, whose critical layers the head has replaced, shares everything else."""
    arrays = golden("stylegan_xl_r32")
    stem = golden_network(arrays, stem=True)
    assert stem.resolution == 16
    ws = stem.mapping(arrays["in/z"], arrays["in/c"])
    torch.testing.assert_close(ws, arrays["stem/out/ws"], atol=4e-6, rtol=0)
    truncated = stem.mapping(arrays["in/z"], arrays["in/c"], psi=0.7)
    torch.testing.assert_close(truncated, arrays["stem/out/ws_psi0.7"], atol=4e-6, rtol=0)
    torch.testing.assert_close(stem.synthesis(ws), arrays["stem/out/img"], atol=2e-5, rtol=0)


def test_golden_modes_of_truncation():
    """Towards the class's own mean, and towards the nearest of given centroids."""
    arrays = golden("stylegan_xl_r32")
    mapping = golden_network(arrays).double().mapping
    z = arrays["in/z_multimodal"]
    c = torch.eye(5, dtype=torch.float64)[[3]].expand(len(z), -1)
    assert_near(mapping(z, c, psi=0.7), arrays["stem/out/ws_unimodal"].double())
    w = mapping.to_w(z, c)
    found = nearest(arrays["in/centroids"].double(), w).lerp(w, 0.7)
    assert_near(found, arrays["stem/out/ws_multimodal"].double()[:, 0])


def test_a_network_from_nothing():
    """The official start: a picture of order 1, from one seed the same, moved by nothing."""
    G, again, other = (random_stylegan3(seed=seed, disturbed=False) for seed in (0, 0, 1))
    w = G.mapping.sample(2, torch.Generator().manual_seed(0))
    assert torch.equal(G.image(w), again.image(w)) and not torch.equal(G.image(w), other.image(w))
    assert 0.01 < G.image(w).std() < 10
    torch.testing.assert_close(G.synthesis.input.matrix(w), torch.eye(3).expand(2, 3, 3))
    radii = random_stylegan3(channels=256, disturbed=False).synthesis.input.freqs.norm(dim=1)
    assert radii.max() <= 2 and np.isclose((radii < 1).float().mean(), 0.25, atol=0.15)  # a disc, nearly even


def test_a_layer_without_filters_is_a_plain_modulated_one():
    """As the official code makes them where the activation's rate is not doubled: no published network has any."""
    draw = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        layer = stylegan3.AliasFreeLayer(
            SimpleNamespace(w_dim=5, conv_clamp=0.7), LayerShape("L0_9_3", 4, 3, 9, 9, kernel=1, up=1, down=1)
        )
    layer.requires_grad_(False).bias.copy_(torch.randn(3, generator=draw))
    x, w = torch.randn(2, 4, 9, 9, generator=draw), torch.randn(2, 5, generator=draw)
    weight = layer.weight[..., 0, 0] * layer.affine(w)[:, None]  # [2, 3, 4]
    mixed = torch.einsum("noi,nihw->nohw", weight / weight.norm(dim=2, keepdim=True), x) + layer.bias[:, None, None]
    expected = (torch.where(mixed > 0, mixed, mixed / 5) * 2**0.5).clamp(-0.7, 0.7)
    torch.testing.assert_close(layer(x, w), expected)
    assert 0.1 < (expected.abs() == 0.7).float().mean() < 0.9  # both that and the gain can be seen


def test_designs_of_another_network_are_refused():
    with pytest.raises(RusrError, match="not those of the configuration's layers"):
        random_stylegan3().draw(design_layers(64, 6), torch.Generator())


def test_a_new_network_draws_from_the_generator_it_is_given():
    designs = design_layers(32, 6, channel_base=160, channel_max=8)
    one, same, other = (StyleGAN3.new(designs, torch.Generator().manual_seed(k), z_dim=4, w_dim=4) for k in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), same.state_dict().values(), strict=True))
    assert not torch.equal(one.synthesis.layers[0].weight, other.synthesis.layers[0].weight)
    assert not one.training and not any(p.requires_grad for p in one.parameters())
    with pytest.raises(RandomnessError, match="got None"):
        StyleGAN3.new(designs, None)
    with pytest.raises(RusrError, match="expected the same ones"):
        one.draw(designs[1:], torch.Generator())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t", "r", "xl"])
def test_large_layers_are_computed_again_instead_of_kept(kind, monkeypatch):
    """The same bits of the image, and of the gradient but for R, in W and W++, from less than half of the memory."""

    def searched(ws: Tensor, kept_numbers: int) -> tuple[Tensor, Tensor, int]:
        monkeypatch.setattr(stylegan3, "KEPT", kept_numbers)
        ws, kept = ws.clone().requires_grad_(), {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            image = G.synthesis(ws)
        image.square().sum().backward()
        return image.detach(), ws.grad, sum(kept.values())

    G = random_stylegan3(kind=kind)
    draw = torch.Generator().manual_seed(1)
    for ws in (torch.randn(2, G.num_ws, 20, generator=draw), torch.randn(2, 1, sum(G.rows), 20, generator=draw)):
        plain, again = searched(ws, 2**40), searched(ws, 2**15)
        assert torch.equal(plain[0], again[0])
        # the way back through radial filters adds in an order that depends on the number of channels
        near = dict(rtol=0, atol=1e-6 * plain[1].abs().max().item() if kind == "r" else 0)
        torch.testing.assert_close(again[1], plain[1], **near)
        assert again[2] < plain[2] / 2
    layers = G.synthesis.layers
    monkeypatch.undo()
    assert all(layer.parts(2) == 1 for layer in layers)
    assert layers[1].parts(2**27) > 1
