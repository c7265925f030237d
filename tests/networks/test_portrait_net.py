"""The embedded feature net: protocol, folding of the batch normalisation, files."""

import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from rusr_core.checkpoints import CheckpointError, load_portrait_net, save_portrait_net
from rusr_core.files import data_path
from rusr_core.networks.portrait_net import FeatureError, PortraitNet, PortraitNetConfig

SMALL = PortraitNetConfig(channels=(4, 6, 8, 10, 12), embedding=16, resolution=32)


@pytest.fixture(autouse=True)
def own_random_numbers(process_is_left_alone):
    """The tests below draw freely, and put the global generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def trained() -> PortraitNet:
    """A small net with batch normalisation whose statistics are not trivial."""
    net = PortraitNet(SMALL, batch_norm=True)
    for _ in range(3):
        net.embed(torch.rand(8, 3, 32, 32))
    net.channel_weights[1].copy_(torch.rand(6))
    return net.eval()


def test_folding_changes_nothing(trained):
    x = torch.rand(3, 3, 40, 32)
    folded = trained.folded()
    assert not any(isinstance(m, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d) for m in folded.modules())
    assert torch.allclose(trained.embed(x), folded.embed(x), atol=1e-5)
    assert torch.allclose(trained.pooled(x), folded.pooled(x), atol=1e-4)
    for a, b in zip(trained.features(x), folded.features(x), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_features_are_unit_vectors_times_the_root_of_the_weights(trained):
    maps = trained.features(torch.rand(2, 3, 64, 64))
    assert [m.shape for m in maps] == [(2, 4, 32, 32), (2, 6, 16, 16), (2, 8, 8, 8), (2, 10, 4, 4)]
    assert maps[0].square().sum(1).max() <= 1 + 1e-5
    weight = trained.channel_weights[1]
    unit = maps[1] / weight.sqrt()[:, None, None]
    assert torch.allclose(unit.square().sum(1), torch.ones(2, 16, 16), atol=1e-2)


def test_distance_is_zero_for_equal_pictures_symmetric_and_grows_with_noise(trained):
    net, x = trained.folded(), torch.rand(2, 3, 32, 32)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    little, much = net.distance(x, x + 0.02 * noise), net.distance(x, x + 0.2 * noise)
    assert net.distance(x, x).abs().max() == 0
    assert torch.allclose(little, net.distance(x + 0.02 * noise, x))
    assert (much > little).all() and (little > 0).all()


def test_gradients_are_finite_on_a_flat_picture(trained):
    net, x = trained.folded(), torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    net.distance(x, torch.rand(1, 3, 16, 16)).sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0


def test_embedding_has_unit_norm_at_any_size(trained):
    net = trained.folded()
    for size in (16, 32, 80):
        e = net.embed(torch.rand(2, 3, size, size))
        assert e.shape == (2, 16) and torch.allclose(e.norm(dim=1), torch.ones(2), atol=1e-5)


def test_a_saved_net_comes_back_frozen(trained, tmp_path):
    save_portrait_net(trained, tmp_path / "net.safetensors")
    net, x = load_portrait_net(tmp_path / "net.safetensors"), torch.rand(2, 3, 32, 32)
    assert net.config == SMALL and not net.training
    assert not any(p.requires_grad for p in net.parameters())
    assert torch.allclose(net.embed(x), trained.embed(x), atol=5e-3)  # float16 on disk


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 15, 32)])
def test_wrong_pictures_are_refused(trained, shape):
    with pytest.raises(FeatureError, match="at least 16 px"):
        trained.features(torch.rand(shape))


def test_wrong_files_are_refused(trained, tmp_path):
    (tmp_path / "text.safetensors").write_text("not a net")
    with pytest.raises(CheckpointError, match="expected safetensors"):
        load_portrait_net(tmp_path / "text.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_portrait_net(tmp_path / "missing.safetensors")
    with pytest.raises(CheckpointError, match="format 'rusr-generator', expected 'rusr-portrait-net'"):
        load_portrait_net(data_path("portraits/generator.safetensors"))


def test_a_damaged_net_is_noticed(trained, tmp_path):
    """By the digest in the header; by the list beside it where the header has none."""
    path = tmp_path / "features_a.safetensors"
    save_portrait_net(trained, path)
    signed = path.read_bytes()
    with safe_open(path, "pt") as file:
        header = {key: value for key, value in file.metadata().items() if "sha256" not in key}
        save_file({key: file.get_tensor(key) for key in file.keys()}, path, header)  # noqa: SIM118
    unsigned = path.read_bytes()
    assert len(unsigned) < len(signed)
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(unsigned).hexdigest()}  features_a.safetensors\n")
    for good in (signed, unsigned):
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(CheckpointError, match="features_a.safetensors: damaged, SHA-256"):
            load_portrait_net(path)
    (tmp_path / "SHA256SUMS").unlink()  # a net of another tool, which nobody has signed
    assert load_portrait_net(path).config == trained.config


@pytest.mark.parametrize(
    "change",
    [dict(channels=()), dict(channels=(8, 0)), dict(channels=(8.0,)), dict(embedding=-1), dict(perceptual_levels=6)]
    + [dict(channels=(8,) * 17), dict(resolution=2**40), dict(embedding="16")],
)
def test_wrong_configurations_are_refused(change):
    with pytest.raises(FeatureError, match="expected"):
        PortraitNetConfig(**change)


def test_wrong_tensors_are_refused(trained):
    state = trained.folded().state_dict()
    for change in ({"project.bias": torch.zeros(3)}, {"surprise": torch.zeros(1)}):
        with pytest.raises(FeatureError, match=f"PortraitNet: '{next(iter(change))}' is"):
            PortraitNet.from_state(SMALL, state | change)
    for text in ("", "[]", "{}x", '{"channels": 3}', '{"depth": 3}'):
        with pytest.raises(FeatureError):
            PortraitNetConfig.from_json(text)


def test_frozen_slopes_take_reduced_precision(trained):
    """Training looks through the frozen net under autocast."""
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    folded = trained.folded()
    with torch.autocast("cpu", torch.bfloat16):
        reduced = sum(m.float().square().mean() for m in folded.activations(x))
    exact = sum(m.square().mean() for m in folded.activations(x))
    (a,), (b,) = (torch.autograd.grad(loss, x) for loss in (reduced, exact))
    assert torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.99


@pytest.mark.parametrize("size", [32, 48])
def test_one_look_gives_features_and_embedding(trained, size):
    x = torch.rand(2, 3, size, size)
    maps, embedding = trained.features_and_embedding(x)
    torch.testing.assert_close(embedding, trained.embed(x))
    for a, b in zip(maps, trained.features(x), strict=True):
        torch.testing.assert_close(a, b)
