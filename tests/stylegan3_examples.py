"""StyleGAN3 and StyleGAN-XL networks for tests: those of the golden arrays, and small random ones."""

import json

import torch
from torch import Tensor

from rusr_core.generator import StyleGAN3, StyleGAN3Config, StyleGANXL, StyleGANXLConfig
from rusr_core.generator.alias_free import add_head, design_layers


def _text(array: Tensor) -> str:
    return bytes(array.numpy()).decode()


def golden_network(arrays: dict[str, Tensor], stem: bool = False) -> StyleGAN3 | StyleGANXL:
    """The network whose parameters a golden file holds; `stem`: the one below StyleGAN-XL's head."""
    xl = "meta/stem_init_kwargs_json" in arrays
    made = json.loads(_text(arrays["meta/stem_init_kwargs_json" if xl else "meta/init_kwargs_json"]))
    radial, channels = made["use_radial_filters"], dict(channel_base=made["channel_base"])
    channels |= dict(channel_max=made["channel_max"], kernel=made["conv_kernel"], radial=radial)
    beta = made["magnitude_ema_beta"]
    layers = design_layers(made["img_resolution"], made["num_layers"], **channels, magnitude_beta=beta)
    options = {key: made[key] for key in ("z_dim", "c_dim", "w_dim")}
    state = {k.removeprefix("param/"): v for k, v in arrays.items() if k.startswith("param/")}
    if not xl:
        return _loaded(StyleGAN3, StyleGAN3Config.of(layers, **options), state)
    if stem:
        shared = set(_text(arrays["meta/stem_shared_names"]).split())
        own = {k.removeprefix("stem/param/"): v for k, v in arrays.items() if k.startswith("stem/param/")}
        state = {k: v for k, v in state.items() if k in shared or k.startswith("mapping.")} | own
    else:
        head = json.loads(_text(arrays["meta/init_kwargs_json"]))
        layers = add_head(layers, head["img_resolution"], head["head_layers"], **channels)
    return _loaded(StyleGANXL, StyleGANXLConfig.of(layers, table=(7, 20), **options), state)


def _loaded(kind: type, config: StyleGAN3Config, state: dict[str, Tensor]) -> StyleGAN3:
    with torch.device("meta"):
        G = kind(config)
    G.load_state_dict(state, strict=True, assign=True)
    return G.eval().requires_grad_(False)


def random_stylegan3(
    seed: int = 0,
    *,
    kind: str = "t",
    resolution: int = 32,
    channels: int = 16,
    layers: int = 6,
    disturbed: bool = True,
    **options,
) -> StyleGAN3 | StyleGANXL:
    """A small network of kind "t", "r" or "xl" (a stem of 16 px and a head of four layers) with random weights.

    `disturbed`: the biases, the mean of w and what the input reads of w are not those of a network before training.
    """
    radial = kind == "r"
    sizes = dict(channel_base=channels * 16, channel_max=channels, kernel=1 if radial else 3, radial=radial)
    designs = design_layers(16 if kind == "xl" else resolution, layers, **sizes)
    options = dict(z_dim=16, w_dim=20, mapping_layers=2) | options
    if kind == "xl":
        designs = add_head(designs, resolution, 4, **sizes)
        options = dict(c_dim=4, table=(6, 10)) | options
    generator = torch.Generator().manual_seed(seed)
    G = (StyleGANXL if kind == "xl" else StyleGAN3).new(designs, generator, **options)
    if disturbed:
        for name, parameter in G.named_parameters():
            if name.endswith("bias") or name == "synthesis.input.affine.weight":
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        G.mapping.w_avg.copy_(0.1 * torch.randn(G.mapping.w_avg.shape, generator=generator))
    return G
