"""StyleGAN3's and StyleGAN-XL's files: read back to equal tensors and images, with nothing executed."""

import json
import pickle
import pickletools
import re

import dill
import pytest
import torch
from checkpoint_writers import nvidia_modules
from conftest import golden
from stylegan3_examples import golden_network, random_stylegan3
from stylegan3_writers import OldDillScalar, instantaneous, record, write_stylegan3, write_stylegan_xl

from rusr_core.checkpoints import CheckpointError, load_generator, read_metadata, save_generator
from rusr_core.checkpoints.safetensors import write_tensors
from rusr_core.commands import main
from rusr_core.errors import RusrWarning
from rusr_core.generator import StyleGAN3

UNCONDITIONAL = dict(c_dim=0, table=(6, 10))


def assert_same(G: StyleGAN3, H: StyleGAN3) -> None:
    """Every tensor, the configuration and the image equal; frozen."""
    assert type(G) is type(H) and G.config == H.config
    left, right = G.state_dict(), H.state_dict()
    assert set(left) == set(right) and all(torch.equal(left[name], right[name]) for name in left)
    w = G.mapping.sample(1, torch.Generator().manual_seed(0))
    assert torch.equal(G.image(w), H.image(w)) and torch.equal(G.w_mean, H.w_mean)
    assert not any(p.requires_grad for p in H.parameters()) and not H.training


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    "kind, options", [("t", {}), ("r", {}), ("t", dict(c_dim=3, embed_features=20, layer_features=12))]
)
def test_nvidias_pickles(tmp_path, kind, options, protocol):
    G = random_stylegan3(kind=kind, **dict(layer_features=20) | options)
    write_stylegan3(G, tmp_path / "n.pkl", protocol)
    assert_same(G, load_generator(tmp_path / "n.pkl"))
    assert_same(instantaneous(G), load_generator(tmp_path / "n.pkl", network="G"))


@pytest.mark.parametrize(
    "options", [dict(conv_clamp=None), dict(conv_clamp=0.5), dict(output_scale=0.5, mapping_lr=0.02)], ids=str
)
@pytest.mark.parametrize("kind", ["t", "xl"])
def test_options_that_no_tensor_states(tmp_path, kind, options):
    """A file of a training in float32 has no clamp, others one of their own, which holds in float32, too."""
    G = random_stylegan3(kind=kind, layer_features=20, **options)
    (write_stylegan_xl if kind == "xl" else write_stylegan3)(G, tmp_path / "n.pkl")
    H = load_generator(tmp_path / "n.pkl")
    assert_same(G, H)
    plain = random_stylegan3(kind=kind, layer_features=20, conv_clamp=256.0)
    w = G.mapping.sample(1, torch.Generator().manual_seed(0))
    assert torch.equal(H.image(w), plain.image(w)) == (options == dict(conv_clamp=None))


@pytest.mark.parametrize("options", [{}, UNCONDITIONAL], ids=["classes", "none"])
def test_files_of_dill(tmp_path, options):
    """The discriminator's closures and code objects lie before G_ema, the storages are a GPU's."""
    G = random_stylegan3(kind="xl", layer_features=20, **options)
    write_stylegan_xl(G, tmp_path / "xl.pkl")
    names = {str(argument) for _, argument, _ in pickletools.genops((tmp_path / "xl.pkl").read_bytes())}
    assert {"_create_function", "_create_code", "_create_cell"} <= names  # the file is what the test says it is
    assert (tmp_path / "xl.pkl").read_bytes().count(b"cuda:0") > 50
    H = load_generator(tmp_path / "xl.pkl")
    assert_same(G, H)
    assert not (tmp_path / "executed").exists()
    assert_same(instantaneous(G), load_generator(tmp_path / "xl.pkl", network="G"))


def test_golden_networks_through_their_files(tmp_path):
    arrays = golden("stylegan_xl_r32")
    G = golden_network(arrays)
    write_stylegan_xl(G, tmp_path / "xl.pkl")
    H = load_generator(tmp_path / "xl.pkl")
    assert H.config.layers == G.config.layers  # the magnitudes' own rates among them
    torch.testing.assert_close(H(arrays["in/z"], arrays["in/c"]), arrays["out/img"], atol=2e-5, rtol=0)
    for name, tolerance in (("stylegan3_r_r32", 5e-6), ("stylegan3_t_r32", 4e-5)):
        arrays = golden(name)
        G = golden_network(arrays)
        write_stylegan3(G, tmp_path / "n.pkl")
        H = load_generator(tmp_path / "n.pkl")
        assert H.config.layers == G.config.layers and H.config.layers[0].magnitude_beta == 0.9
        torch.testing.assert_close(H(arrays["in/z"]), arrays["out/img"], atol=tolerance, rtol=0)


@pytest.mark.parametrize("module", ["numpy.core._multiarray_umath", "numpy._core._multiarray_umath"])
def test_numbers_of_old_dill(tmp_path, module):
    G = random_stylegan3(kind="xl", layer_features=20)
    write_stylegan_xl(G, tmp_path / "xl.pkl", {"output_scale": OldDillScalar(0.5, module)})
    H = load_generator(tmp_path / "xl.pkl")
    w = G.mapping.sample(1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(H.synthesis(w), 2 * G.synthesis(w))
    write_stylegan_xl(G, tmp_path / "xl.pkl", {"output_scale": OldDillScalar(0.5, "os")})
    with pytest.raises(CheckpointError, match="an option of the generator is a Record, expected a number"):
        load_generator(tmp_path / "xl.pkl")


def test_numpy_names_of_both_generations(tmp_path):
    G = random_stylegan3(layer_features=20)
    write_stylegan3(G, tmp_path / "n.pkl")
    data = (tmp_path / "n.pkl").read_bytes()
    old, new = b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"
    assert (old in data) != (new in data)
    for name in (old, new):
        (tmp_path / "n.pkl").write_bytes(data.replace(new, name).replace(old, name))
        assert_same(G, load_generator(tmp_path / "n.pkl"))


def test_state_dicts_in_any_order(tmp_path):
    """Layers go by their numbers, of which a seam has left one out; as text L10 would stand before L2."""
    G = random_stylegan3(kind="xl", layers=9, layer_features=20)
    numbers = [int(layer.name[1:].split("_")[0]) for layer in G.config.layers]
    assert numbers == [*range(7), *range(8, 13)]
    state = {f"module.{name}": tensor for name, tensor in reversed(G.state_dict().items())}
    torch.save({"g_ema": state}, tmp_path / "state.pt")
    assert_same(G, load_generator(tmp_path / "state.pt"))


@pytest.mark.parametrize("kind", ["t", "r", "xl"])
def test_safetensors_and_back(tmp_path, kind):
    G = random_stylegan3(kind=kind)
    save_generator(G, tmp_path / "g", {"w_std": "3.5"})
    assert_same(G, load_generator(tmp_path / "g"))
    assert read_metadata(tmp_path / "g")["family"] == ("stylegan-xl" if kind == "xl" else "stylegan3")
    save_generator(load_generator(tmp_path / "g"), tmp_path / "again", {"w_std": "3.5"})
    assert (tmp_path / "g").read_bytes() == (tmp_path / "again").read_bytes()


@pytest.mark.parametrize("kind", ["t", "r", "xl"])
def test_the_command_converts_them_and_back(tmp_path, kind):
    """The official file, `rusr zoo convert`, and the official layout again: each holds the same network."""
    G = random_stylegan3(kind=kind, layer_features=20)
    write = write_stylegan_xl if kind == "xl" else write_stylegan3
    write(G, tmp_path / "n.pkl")
    assert main(["zoo", "convert", str(tmp_path / "n.pkl"), str(tmp_path / "g.safetensors")]) == 0
    converted, header = load_generator(tmp_path / "g.safetensors"), read_metadata(tmp_path / "g.safetensors")
    assert_same(G, converted)
    assert type(G.config).from_json(header["config"]) == G.config
    assert float(header["w_std"]) == G.mapping.measure_std()
    write(converted, tmp_path / "again.pkl")
    assert_same(G, load_generator(tmp_path / "again.pkl"))


def test_headers_that_ask_for_too_much(tmp_path):
    G = random_stylegan3(kind="xl")
    config = json.loads(G.config.to_json())
    first, *others = config["layers"]
    for change in (
        {"layers": [first | {"in_size": 10**9}, *others]},
        {"layers": [first | {"out_channels": 10**9}, *others]},
        {"layers": [first | {"up": 3}, *others]},
        {"layers": [first | {"name": "../x"}, *others]},
        {"layers": [first | {"surprise": 1}, *others]},
        {"layers": others[:-1]},
        {"layers": [first] * 300},
        {"layers": [1]},
        {"layers": []},
        {"table": [10**9, 2]},
        {"table": None},
        {"w_dim": -1},
    ):
        text = json.dumps(config | change)
        metadata = {"format": "rusr-generator", "family": "stylegan-xl", "config": text}
        write_tensors(G.state_dict(), tmp_path / "g", metadata)
        with pytest.raises(CheckpointError, match="onfiguration") as caught:
            load_generator(tmp_path / "g")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    write_tensors(G.state_dict(), tmp_path / "g", metadata | {"family": "stylegan9"})
    with pytest.raises(CheckpointError, match="family 'stylegan9', expected one of stylegan2, stylegan3, stylegan-xl"):
        load_generator(tmp_path / "g")


def test_damaged_networks_end_in_one_line(tmp_path):
    G = random_stylegan3(layer_features=20)
    state, first = G.state_dict(), f"synthesis.{G.config.layers[0].name}"
    for change, expected in (
        ({f"{first}.weight": None}, "expected a chain|does not take|no such tensor"),
        ({f"{first}.weight": torch.ones(4, 16, 3, 3)}, r"expected \[16, I, k, k\]"),
        ({f"{first}.up_filter": torch.ones(13)}, "expected a multiple of 6 taps"),
        ({f"{first}.up_filter": torch.ones(24)}, "of 36 px: expected 52 or 32 px behind its filters"),
        ({f"{first}.up_filter": None}, "sizes 36 and 36 px do not fit its filters"),
        ({"synthesis.L0_36_7.weight": torch.ones(7, 16, 3, 3)}, "two layers of one number"),
        ({"synthesis.input.affine.weight": torch.ones(4)}, "expected two dimensions"),
        ({"synthesis.input.phases": torch.ones(9)}, "expected"),
        ({"mapping.w_avg": torch.full((20,), float("nan"))}, "not finite"),
        ({"synthesis.surprise": torch.ones(2)}, "no such tensor"),
        ({name: None for name in state if re.search(r"\.L\d+_", name)}, "without layers"),
    ):
        changed = {k: v for k, v in (state | change).items() if v is not None}
        torch.save(changed, tmp_path / "s.pt")
        with pytest.raises(CheckpointError, match=expected) as caught:
            load_generator(tmp_path / "s.pt")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_stub_is_refused_only_where_a_tensor_is_needed(tmp_path):
    G = random_stylegan3(layer_features=20)
    with nvidia_modules():
        good, bad = record(G), record(G)
        good.state["hook"] = lambda x: x  # an attribute
        bad.state["_modules"]["synthesis"].state["_modules"]["input"].state["_buffers"]["phases"] = lambda x: x
        for network, name in ((good, "good"), (bad, "bad")):
            (tmp_path / name).write_bytes(dill.dumps({"G_ema": network}, protocol=4))
    assert_same(G, load_generator(tmp_path / "good"))
    with pytest.raises(CheckpointError, match="synthesis.input.phases' is a '.*', where a tensor is needed"):
        load_generator(tmp_path / "bad")


def test_a_stored_transform_is_told(tmp_path):
    G = random_stylegan3(layer_features=20)
    G.synthesis.input.transform[0, 2] = 0.25
    write_stylegan3(G, tmp_path / "n.pkl")
    with pytest.warns(RusrWarning, match="own transform turns or moves the picture: it is kept"):
        H = load_generator(tmp_path / "n.pkl")
    assert_same(G, H)


@pytest.mark.parametrize("band", [1.5, "wide"])
def test_an_input_of_another_band_is_refused(tmp_path, band):
    """What damps the frequencies that a transform moves is no tensor: another value must not be read as 2."""
    with nvidia_modules():
        network = record(random_stylegan3(layer_features=20))
        network.state["_modules"]["synthesis"].state["_modules"]["input"].state["bandwidth"] = band
        (tmp_path / "n.pkl").write_bytes(pickle.dumps({"G_ema": network}))
    expected = "expected a number" if band == "wide" else "an input of bandwidth 1.5, expected 2"
    with pytest.raises(CheckpointError, match=expected):
        load_generator(tmp_path / "n.pkl")


def test_layers_of_unlike_clamps_are_refused(tmp_path):
    """A head that was trained otherwise than its stem: one clamp for both would be another network."""
    G = random_stylegan3(kind="xl", layer_features=20)
    with nvidia_modules():
        network = record(G)
        layers = network.state["_modules"]["synthesis"].state["_modules"]
        layers[G.config.layers[-1].name].state["conv_clamp"] = None
        (tmp_path / "n.pkl").write_bytes(pickle.dumps({"G_ema": network}))
    with pytest.raises(CheckpointError, match="layers with the clamps 256.0, None: expected one for all"):
        load_generator(tmp_path / "n.pkl")


def test_the_files_are_live(tmp_path):
    """Python's unpickler does call what these files name: the tests above would notice."""
    write_stylegan3(random_stylegan3(), tmp_path / "n.pkl")
    with pytest.raises((AssertionError, ModuleNotFoundError)):
        pickle.loads((tmp_path / "n.pkl").read_bytes())
