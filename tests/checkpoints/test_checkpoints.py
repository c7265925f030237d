"""Every format is written and read back: equal tensors and pictures; relatives of StyleGAN2 are refused."""

import pickle

import pytest
import torch
from checkpoint_writers import (
    CONFIGS,
    SMALL,
    assert_same,
    nvidia_modules,
    nvidia_record,
    rosinality_state,
    torch_bytes,
    write_nvidia,
    write_rosinality,
)
from conftest import golden, golden_generator, random_generator

from rusr_core.checkpoints import CheckpointError, load_generator
from rusr_core.checkpoints.source import map_file
from rusr_core.checkpoints.torch_files import read_torch
from rusr_core.latents import sample_w


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_nvidia_pickle(tmp_path, name, protocol):
    G = random_generator(**CONFIGS[name])
    write_nvidia(G, tmp_path / "network.bin", protocol, channels_last=True)
    assert_same(G, load_generator(tmp_path / "network.bin"))


def test_nvidia_pickle_of_the_golden_network(tmp_path):
    arrays = golden("stylegan2_r32_m2")
    G = golden_generator(arrays, z_dim=32, w_dim=48)
    write_nvidia(G, tmp_path / "n.pkl")
    H = load_generator(tmp_path / "n.pkl")
    torch.testing.assert_close(H(arrays["in/z"]), arrays["out/img_const"], rtol=0, atol=5e-5)


def test_nvidia_raw_weights_on_request(tmp_path):
    G, raw = random_generator(0, **SMALL), random_generator(1, **SMALL)
    write_nvidia(G, tmp_path / "n.pkl", raw=raw)
    assert_same(raw, load_generator(tmp_path / "n.pkl", network="G"))
    with pytest.raises(CheckpointError, match="expected 'G_ema' or 'G'"):
        load_generator(tmp_path / "n.pkl", network="D")


def test_numpy_names_of_both_generations(tmp_path):
    """numpy 1 wrote numpy.core, numpy 2 numpy._core: both spellings, whichever is installed."""
    G = random_generator(**SMALL)
    write_nvidia(G, tmp_path / "n.pkl", protocol=3)
    data = (tmp_path / "n.pkl").read_bytes()
    old, new = b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"
    assert (old in data) != (new in data)
    other = data.replace(new, old) if new in data else data.replace(old, new)
    (tmp_path / "other.pkl").write_bytes(other)
    assert_same(G, load_generator(tmp_path / "other.pkl"))


def test_whole_module_saved_with_torch(tmp_path):
    """PTI and others torch.save the module itself: records in a zip archive."""
    G = random_generator(**SMALL)
    with nvidia_modules():
        torch.save(nvidia_record(G), tmp_path / "module.pt")
    assert_same(G, load_generator(tmp_path / "module.pt"))


def test_bare_state_dicts(tmp_path):
    G = random_generator(**SMALL)
    torch.save(G.state_dict(), tmp_path / "nvidia.pt")
    assert_same(G, load_generator(tmp_path / "nvidia.pt"))
    torch.save({f"module.{k}": v for k, v in rosinality_state(G).items()}, tmp_path / "rosinality.pt")
    torch.testing.assert_close(
        load_generator(tmp_path / "rosinality.pt").synthesis(torch.zeros(1, 20)),
        G.synthesis(torch.zeros(1, 20)),
    )


@pytest.mark.parametrize("resolution", [16, 32])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize("kind", ["converted", "psp"])
def test_rosinality_and_its_nvidia_twin(tmp_path, kind, zipped, resolution):
    G = random_generator(**(SMALL if resolution == 16 else {}))
    write_rosinality(G, tmp_path / "r.pt", kind, zipped)
    write_nvidia(G, tmp_path / "n.pkl")
    H, twin = load_generator(tmp_path / "r.pt"), load_generator(tmp_path / "n.pkl")
    assert_same(G, H)
    z = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(H(z, psi=0.7), twin(z, psi=0.7), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["training", "nada"])
def test_mean_latent_is_estimated_where_the_file_has_none(tmp_path, kind):
    G = random_generator(**SMALL)
    write_rosinality(G, tmp_path / "r.pt", kind)
    H = load_generator(tmp_path / "r.pt")
    expected = sample_w(G, 10_000, generator=torch.Generator().manual_seed(0)).mean(0)
    torch.testing.assert_close(H.mapping.w_avg, expected, rtol=0, atol=1e-6)
    H.mapping.w_avg.copy_(G.mapping.w_avg)
    assert_same(G, H)
    assert torch.equal(H.mapping.w_avg, G.mapping.w_avg)


def test_rosinality_with_another_width_of_the_mapping(tmp_path):
    G = random_generator(**SMALL, layer_features=30, mapping_layers=4)
    write_rosinality(G, tmp_path / "r.pt")
    assert_same(G, load_generator(tmp_path / "r.pt"))


def test_rosinality_raw_weights_and_missing_noise(tmp_path):
    G = random_generator(**SMALL)
    write_rosinality(G, tmp_path / "r.pt", "training")
    raw = load_generator(tmp_path / "r.pt", network="G")
    assert torch.equal(raw.synthesis.b8.conv0.weight, G.synthesis.b8.conv0.weight + 1)
    torch.save({"g_ema": rosinality_state(G, noises=False), "latent_avg": G.mapping.w_avg}, tmp_path / "quiet.pt")
    a, b = load_generator(tmp_path / "quiet.pt"), load_generator(tmp_path / "quiet.pt")
    assert torch.equal(a.synthesis.b16.conv1.noise_const, b.synthesis.b16.conv1.noise_const)
    w = torch.zeros(1, 20)
    torch.testing.assert_close(a.synthesis(w, noise_mode="none"), G.synthesis(w, noise_mode="none"))


def test_the_reader_agrees_with_torch(tmp_path):
    """Independent reference: torch's own loader, on every type and some awkward layouts."""
    base = torch.arange(60.0).reshape(3, 4, 5)
    content = {
        "view": base[1:, ::2, 1:4],
        "transposed": base.permute(2, 0, 1),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5),
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
        "whole": torch.arange(7),
        "truth": torch.tensor([True, False]),
        "nested": {"list": [1, 2.5, None, True, "text", b"bytes", (1, 2)], "big": 2**70},
    }
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pt"
        path.write_bytes(torch_bytes(content, zipped))
        found, expected = read_torch(map_file(path)), torch.load(path, weights_only=True)
        for name, value in expected.items():
            if name != "nested":
                loaded = found[name].load()
                assert loaded.dtype == value.dtype and torch.equal(loaded, value), name
        assert found["nested"]["big"] == 2**70
        assert [bytes(v) if isinstance(v, memoryview) else v for v in found["nested"]["list"]] == content["nested"][
            "list"
        ]


# ---- what is refused, in one line


class TFNetwork:
    """Stands for dnnlib.tflib.network.Network."""

    def __init__(self, build: str):
        self.__dict__.update(version=4, static_kwargs={}, build_module_src="x", build_func_name=build, variables=[])


def tensorflow_pickle(build: str) -> bytes:
    import sys
    import types

    names = ["dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"]
    sys.modules.update({name: types.ModuleType(name) for name in names})
    sys.modules[names[-1]].Network = TFNetwork
    old = TFNetwork.__module__, TFNetwork.__qualname__
    TFNetwork.__module__, TFNetwork.__qualname__ = names[-1], "Network"
    try:
        return pickle.dumps((TFNetwork(build), TFNetwork("D_stylegan2"), TFNetwork(build)), protocol=4)
    finally:
        TFNetwork.__module__, TFNetwork.__qualname__ = old
        for name in names:
            del sys.modules[name]


RELATIVES = {
    "stylegan2 tf": (tensorflow_pickle("training.networks_stylegan2.G_main"), "legacy.py"),
    "stylegan1 tf": (tensorflow_pickle("training.networks_stylegan.G_style"), "StyleGAN1"),
    "stylegan1 rosinality": (torch_bytes({"progression.0.conv1.conv.weight": torch.ones(1)}), "StyleGAN1"),
    "stylegan1 pulse": (torch_bytes({"synthesis.blocks.4x4.const": torch.ones(1)}), "StyleGAN1"),
    "gfpgan": (
        torch_bytes({"params_ema": {"stylegan_decoder.style_mlp.1.weight": torch.ones(1)}}),
        "GFPGAN: it restores",
    ),
    "codeformer": (
        torch_bytes({"params_ema": {"fuse_convs_dict.32.scale.0.weight": torch.ones(1)}}),
        "CodeFormer: it restores by itself and is no prior; expected a StyleGAN",
    ),
    "web page": (b"<!DOCTYPE html><html>Google Drive - Virus scan warning</html>", "web page"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "no generator": (torch_bytes({"d": {}, "args": 3}), "its entries are 'd', 'args'"),
    "another network": (torch_bytes({"features.0.weight": torch.ones(2)}), "no StyleGAN generator"),
    "a tensor": (torch_bytes(torch.ones(2)), "no StyleGAN generator: it is no container"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "expected an NVIDIA pickle"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_are_recognised(tmp_path, name):
    data, expected = RELATIVES[name]
    (tmp_path / "file.pkl").write_bytes(data)
    with pytest.raises(CheckpointError, match=expected) as caught:
        load_generator(tmp_path / "file.pkl")
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300 and "file.pkl" in message


def test_missing_and_wrong_tensors(tmp_path):
    G = random_generator(**SMALL)
    state = rosinality_state(G)
    for change, expected in (
        ({"convs.0.noise.weight": None}, "'convs.0.noise.weight' is missing"),
        ({"convs.1.conv.weight": torch.ones(1, 7, 6, 3, 3)}, "expected"),
        ({"surprise": torch.ones(2)}, "surprise"),
        ({"style.1.bias": torch.full((20,), float("nan"))}, "not finite"),
        ({"style.1.bias": torch.zeros(20, dtype=torch.int32)}, "torch.int32"),
    ):
        changed = {k: v for k, v in (state | change).items() if v is not None}
        torch.save({"g_ema": changed, "latent_avg": G.mapping.w_avg}, tmp_path / "r.pt")
        with pytest.raises(CheckpointError, match=expected):
            load_generator(tmp_path / "r.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_generator(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_generator(tmp_path)
