"""The generator against NVIDIA's (golden arrays), and the properties that the arrays do not show."""

import copy

import pytest
import torch
from conftest import golden, golden_generator, latent, random_generator

from rusr_core.errors import RusrError
from rusr_core.generator import Generator, GeneratorConfig, LatentError
from rusr_core.latents import sample_w, to_w_plus, to_w_plus_plus

TOLERANCE = dict(atol=5e-5, rtol=0)  # five times the official float32 error, see the golden README


@pytest.fixture(scope="module")
def plain():
    arrays = golden("stylegan2_r32_m2")
    return arrays, golden_generator(arrays, z_dim=32, w_dim=48)


@pytest.fixture(scope="module")
def conditional():
    arrays = golden("stylegan2_r32_m2_cond")
    return arrays, golden_generator(arrays, z_dim=24, w_dim=40, c_dim=5, embed_features=20, layer_features=36)


@pytest.mark.parametrize("which", ["plain", "conditional"])
def test_golden_mapping(which, request):
    arrays, G = request.getfixturevalue(which)
    z, c = arrays["in/z"], arrays.get("in/c")
    for name, options in {"": {}, "_psi0.7": {"psi": 0.7}, "_psi0.7_cutoff3": {"psi": 0.7, "cutoff": 3}}.items():
        torch.testing.assert_close(G.mapping(z, c, **options), arrays[f"out/ws{name}"], atol=4e-6, rtol=0)


@pytest.mark.parametrize("which", ["plain", "conditional"])
def test_golden_images(which, request):
    arrays, G = request.getfixturevalue(which)
    ws = arrays["out/ws"]
    torch.testing.assert_close(G.synthesis(ws), arrays["out/img_const"], **TOLERANCE)
    torch.testing.assert_close(G.synthesis(ws), arrays["out/img_const_nonfused"], **TOLERANCE)
    torch.testing.assert_close(G.synthesis(ws, noise_mode="none"), arrays["out/img_none"], **TOLERANCE)
    torch.testing.assert_close(G.synthesis(arrays["out/ws_psi0.7"]), arrays["out/img_const_psi0.7"], **TOLERANCE)
    torch.testing.assert_close(G.synthesis(arrays["out/ws_mixed"]), arrays["out/img_const_mixed"], **TOLERANCE)
    torch.testing.assert_close(G(arrays["in/z"], arrays.get("in/c")), arrays["out/img_const"], **TOLERANCE)


@pytest.mark.parametrize("which", ["plain", "conditional"])
def test_golden_blocks(which, request):
    arrays, G = request.getfixturevalue(which)
    latents, x, img = G.synthesis.split(arrays["out/ws"]), None, None
    for start, name in zip(G.synthesis._starts, G.synthesis.names, strict=True):
        block = getattr(G.synthesis, name)
        x, img = block(x, img, latents[start : start + len(block.layers())], mode="const", generator=None)
        torch.testing.assert_close(x, arrays[f"out/feat_{name}"], **TOLERANCE)
        torch.testing.assert_close(img, arrays[f"out/rgb_{name}"], **TOLERANCE)


@pytest.mark.parametrize("space", ["W", "Wp", "Wpp"])
def test_golden_images_and_gradients(space, published):
    arrays, G = published
    ws = latent(arrays, space).clone().requires_grad_()
    image = G.image(ws)
    torch.testing.assert_close(image, arrays[f"out/img_{space}"], atol=2.5e-5, rtol=0)
    (gradient,) = torch.autograd.grad((image * arrays["in/R"]).sum(), ws)
    expected = arrays[f"out/grad_sum_{space}"].view_as(gradient)
    torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=0)  # scale 31, float32 error 1.5e-5


def test_golden_w_plus_plus(published):
    arrays, G = published
    wpp = to_w_plus_plus(arrays["in/wp"], G)
    assert wpp.shape == (2, 1, sum(G.rows), 512)
    assert list(G.rows) == arrays["meta/used_rows_per_group"].tolist()
    torch.testing.assert_close(G.image(wpp), arrays["out/img_Wpp_from_Wp"], atol=2.5e-5, rtol=0)
    raw = G.synthesis(latent(arrays, "Wpp"), noise_mode="none")
    torch.testing.assert_close(raw, arrays["out/img_raw_none_Wpp"], **TOLERANCE)


def test_rows_of_the_ffhq_generator():
    with torch.device("meta"):
        G = Generator(GeneratorConfig(1024, GeneratorConfig.published_channels(1024, 32768)))
    assert G.num_ws == 18
    assert sum(G.rows) == 5571


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_one_image_from_all_three_spaces(architecture, clamp):
    G = random_generator(architecture=architecture, conv_clamp=clamp)
    w = sample_w(G, 2, generator=torch.Generator().manual_seed(0))
    image = G.image(w)
    assert image.shape == (2, 3, 32, 32) and image.std() > 0.01
    torch.testing.assert_close(G.image(to_w_plus(w, G)), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(G.image(to_w_plus_plus(w, G)), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("widen", [lambda w, G: w, to_w_plus, to_w_plus_plus])
def test_the_memory_format_changes_nothing(widen, small_generator):
    """One image of a channels-last generator takes its own path to colours."""
    G = small_generator
    other = copy.deepcopy(G).to(memory_format=torch.channels_last)
    found = []
    for net in (G, other):
        ws = widen(sample_w(net, 1, generator=torch.Generator().manual_seed(3)), net).requires_grad_()
        x = net.image(ws)
        found.append((x, *torch.autograd.grad((x * torch.linspace(0, 1, x.shape[-1])).sum(), ws)))
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_every_row_of_w_plus_plus_matters(small_generator):
    G = small_generator
    w = sample_w(G, 1, generator=torch.Generator().manual_seed(1))
    wpp = to_w_plus_plus(w, G).requires_grad_()
    (gradient,) = torch.autograd.grad(G.image(wpp).square().sum(), wpp)
    assert (gradient.norm(dim=-1) > 0).all()


def test_conv_clamp_limits_the_activations():
    free, clamped = random_generator(), random_generator(conv_clamp=0.05)
    w = sample_w(free, 1, generator=torch.Generator().manual_seed(0))
    assert clamped.synthesis(w).abs().max() < free.synthesis(w).abs().max()
    assert clamped.synthesis(w).abs().max() <= 0.05 * 4 + 1e-6  # one clamped ToRGB a block, none amplified


def test_random_noise_is_seeded(small_generator):
    w = sample_w(small_generator, 1, generator=torch.Generator().manual_seed(0))

    def draw(seed):
        return small_generator.image(w, noise_mode="random", generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_max_resolution(small_generator):
    w = sample_w(small_generator, 1, generator=torch.Generator().manual_seed(0))
    assert small_generator.synthesis(w, max_resolution=16).shape == (1, 3, 16, 16)


@pytest.mark.parametrize("shape", [(2, 21), (2, 7, 20), (2, 1, 5, 20), (2, 2, 2, 2, 2)])
def test_wrong_latents_name_both_shapes(shape, small_generator):
    with pytest.raises(LatentError, match=rf"\({shape[0]}, {shape[1]}.*W\+\+ \[N, 1, "):
        small_generator.image(torch.zeros(shape))


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(resolution=48, channels=(8, 8, 8)), "48.*power of two"),
        (dict(resolution=32, channels=(8, 8)), "2 channel counts.*needs 4"),
        (dict(resolution=8, channels=(8, 8), architecture="unet"), "'unet'.*'skip'"),
    ],
)
def test_wrong_configurations(settings, message):
    with pytest.raises(RusrError, match=message):
        GeneratorConfig(**settings)


def test_configuration_round_trip():
    config = GeneratorConfig(8, (6, 5), c_dim=3, conv_clamp=256)
    assert GeneratorConfig.from_json(config.to_json()) == config
    with pytest.raises(RusrError, match="not a generator configuration"):
        GeneratorConfig.from_json('{"resolution": 8}')


def test_conditional_generators_ask_for_a_label(conditional):
    arrays, G = conditional
    with pytest.raises(RusrError, match=r"a generator of 5 classes needs c \[2, 5\], one-hot, got None"):
        G(arrays["in/z"])


def test_wrong_noise_mode(small_generator):
    with pytest.raises(RusrError, match="'loud'.*'const'"):
        small_generator.image(torch.zeros(1, 20), noise_mode="loud")
