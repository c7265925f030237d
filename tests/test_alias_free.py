"""The design of alias-free layers against the tables of the official constructors: T, R, and StyleGAN-XL's chains."""

import json

import numpy as np
import pytest
import torch
from conftest import GOLDEN

from rusr_core.errors import RusrError
from rusr_core.generator import StyleGAN3, StyleGAN3Config
from rusr_core.generator.alias_free import FIRST_CUTOFF, LayerDesign, add_head, design_layers, low_pass

SHAPE = {"in_channels": "in_channels", "out_channels": "out_channels", "in_size": "in_size", "out_size": "out_size"}
SHAPE |= {"up_factor": "up", "down_factor": "down", "conv_kernel": "kernel", "down_radial": "radial"}
SHAPE |= {"is_torgb": "to_rgb"}
DESIGN = {"in_sampling_rate": "in_rate", "out_sampling_rate": "out_rate", "tmp_sampling_rate": "filter_rate"}
DESIGN |= {"is_critically_sampled": "critical"}


def table(name: str, prefix: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as data:
        return {k.removeprefix(prefix): data[k] for k in data.files if k.startswith(prefix)}


def assert_designed(layers: tuple[LayerDesign, ...], found: dict[str, np.ndarray]) -> None:
    """Every column of an official table, and the filters, where it has them, bit for bit."""
    filters = any(k.startswith("up_filter") for k in found)
    assert bytes(found["names"]).decode().split() == [layer.shape.name for layer in layers]
    for column, word in SHAPE.items():
        assert found[column].tolist() == [getattr(layer.shape, word) for layer in layers], column
    for column, word in DESIGN.items():
        assert found[column].tolist() == [getattr(layer, word) for layer in layers], column
    for column in ("in_cutoff", "out_cutoff", "in_half_width", "out_half_width"):
        np.testing.assert_allclose([getattr(layer, column) for layer in layers], found[column], rtol=1e-12)
    for i, layer in enumerate(layers):
        assert found["padding"][i].tolist() == [*layer.shape.padding] * 2
        assert layer.shape.crop >= 0
        for word in ("up_filter", "down_filter") if filters else ():
            expected = next((v for k, v in found.items() if k.startswith(word) and int(k.split("/")[1]) == i), None)
            actual = getattr(layer, word)
            assert (actual is None) == (expected is None), (layer.shape.name, word)
            assert actual is None or np.array_equal(actual.numpy(), expected), (layer.shape.name, word)


def designed(configuration: str, resolution: int, **settings) -> tuple[LayerDesign, ...]:
    """The layers of configuration T or R, with the published numbers of channels unless `settings` say others."""
    radial, channels = configuration == "r", 2 if configuration == "r" else 1
    settings = dict(channel_base=32768 * channels, channel_max=512 * channels) | settings
    return design_layers(resolution, **settings, kernel=1 if radial else 3, radial=radial)


@pytest.mark.parametrize("which", ["own", "default_32", "default_256", "default_1024"])
@pytest.mark.parametrize("configuration", ["t", "r"])
def test_golden_designs(configuration, which):
    found = table(f"stylegan3_{configuration}_r32", f"design/{which}/")
    settings = dict(num_layers=6, channel_base=320, channel_max=24) if which == "own" else {}
    layers = designed(configuration, 32 if which == "own" else int(which.split("_")[1]), **settings)
    assert_designed(layers, found)
    assert found["num_ws"] == len(layers) + 1


@pytest.mark.parametrize("resolution", [32, 256, 1024])
@pytest.mark.parametrize("configuration", ["t", "r"])
def test_golden_state_dicts(configuration, resolution):
    """A published network's tensors by name and shape, its parameters by number."""
    found = table(f"stylegan3_{configuration}_r32", f"design/default_{resolution}/")
    with torch.device("meta"):
        G = StyleGAN3(StyleGAN3Config.of(designed(configuration, resolution)))
    shapes = {name: list(tensor.shape) for name, tensor in G.state_dict().items()}
    assert shapes == json.loads(bytes(found["state_dict_shapes_json"]))
    assert sum(parameter.numel() for parameter in G.parameters()) == found["n_params"]
    first = G.synthesis.input
    seen = [len(first.weight), first.size, first.rate, FIRST_CUTOFF]
    assert seen == found["input_channels_size_rate_bandwidth"].tolist()


@pytest.mark.parametrize("chain", ["chain_small", "chain_imagenet"])
def test_golden_designs_of_heads(chain):
    stages = {k.split("/")[0] for k in table("stylegan_xl_r32", f"design/{chain}/") if "/" in k}
    meta = json.loads(bytes(table("stylegan_xl_r32", f"design/{chain}/")["meta_json"]))
    stem = meta["stem_kwargs"]
    options = {k: stem[k] for k in ("channel_base", "channel_max")}
    options |= dict(kernel=stem["conv_kernel"], radial=stem["use_radial_filters"])
    layers, side = design_layers(stem["img_resolution"], stem["num_layers"], **options), stem["img_resolution"]
    seen = 0
    for factor in [1, *meta["up_factors"]]:
        if factor > 1:
            side *= factor
            layers = add_head(layers, side, meta["head_layers"], **options)
        stage = f"stem_{side}" if factor == 1 else f"r{side}"
        if stage in stages:
            assert_designed(layers, table("stylegan_xl_r32", f"design/{chain}/{stage}/"))
            seen += 1
    assert seen == len(stages) == len(meta["up_factors"]) + 1


def test_filters_pass_what_lies_below_and_stop_what_lies_above():
    """Measured in the frequency domain: unit gain at 0, half amplitude near the cutoff, 40 dB down beyond."""
    rate, cutoff, width = 64, 8, 8
    for radial in (False, True):
        taps = low_pass(24, cutoff, width, rate, radial=radial)
        row = taps if taps.ndim == 1 else taps.sum(0)  # a projection: the response along one axis
        response = torch.fft.rfft(row.double(), 640).abs()  # one entry for each tenth of a cycle
        assert response[0] == pytest.approx(1, abs=1e-6)
        assert response[10 * cutoff] == pytest.approx(0.5, abs=0.05)
        assert response[10 * (cutoff + width) :].max() < 0.01
        assert torch.equal(taps, taps.flip(0))


@pytest.mark.parametrize("resolution, num", [(48, 14), (8, 14), (32, 2)])
def test_sizes_of_which_no_layers_can_be_made(resolution, num):
    with pytest.raises(RusrError, match=f"{resolution} px in {num} layers: expected a power of two"):
        design_layers(resolution, num)


def test_heads_enlarge():
    with pytest.raises(RusrError, match="a head of 16 px in 4 layers upon 16 px"):
        add_head(design_layers(16, 7), 16, 4)
