"""The families of generators: which one a header or a configuration is of, and a network from its tensors."""

import json

import torch
from torch import Tensor

from rusr_core.checkpoints.source import CheckpointError
from rusr_core.generator import (
    Generator,
    GeneratorConfig,
    StyleGAN3,
    StyleGAN3Config,
    StyleGANXL,
    StyleGANXLConfig,
    StyleGenerator,
)
from rusr_core.latents import sample_w

STYLEGAN2 = "stylegan2"  # what a header without a family is of
FAMILIES: dict[str, tuple[type, type]] = {
    STYLEGAN2: (GeneratorConfig, Generator),
    "stylegan3": (StyleGAN3Config, StyleGAN3),
    "stylegan-xl": (StyleGANXLConfig, StyleGANXL),
}
LIMITS = {
    "resolution": 4096,
    "z_dim": 65536,
    "c_dim": 65536,
    "w_dim": 65536,
    "mapping_layers": 64,
    "img_channels": 64,
    "embed_features": 65536,
    "layer_features": 65536,
}
LAYER_LIMITS = {"in_channels": 65536, "out_channels": 65536, "in_size": 8192, "out_size": 8192}
LAYER_LIMITS |= {"kernel": 15, "up": 64, "down": 64}
MAX_LAYERS = 256

Config = GeneratorConfig | StyleGAN3Config | StyleGANXLConfig


def header(G: StyleGenerator) -> dict[str, str]:
    """The entries of a header from which the network is rebuilt."""
    family = next(name for name, (config, _) in FAMILIES.items() if type(G.config) is config)
    return {"config": G.config.to_json()} | ({} if family == STYLEGAN2 else {"family": family})


def config_of(metadata: dict[str, str]) -> Config:
    """The configuration in a header, its numbers bounded before anything is built from them."""
    family = metadata.get("family", STYLEGAN2)
    if family not in FAMILIES:
        raise CheckpointError(f"a generator of the family {family[:40]!r}, expected one of {', '.join(FAMILIES)}")
    text = metadata.get("config", "")
    try:
        fields = json.loads(text)
        bounded = [(fields, LIMITS), *((layer, LAYER_LIMITS) for layer in fields.get("layers", ()))]
        if len(bounded) > MAX_LAYERS or len(fields.get("channels", ())) > 16:
            raise ValueError("more layers than any generator has")
        for channels in (*fields.get("channels", ()), *(fields.get("table") or ())):
            _bound("channels", channels, 65536)
        for values, limits in bounded:
            for name, limit in limits.items():
                _bound(name, values.get(name) or 1, limit)
        return FAMILIES[family][0].from_json(text)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"not a generator's configuration: {str(error)[:120]}") from error


def _bound(name: str, value: object, limit: int) -> None:
    if type(value) is not int or not 0 < value <= limit:
        raise ValueError(f"{name} {str(value)[:20]}: expected a whole number from 1 to {limit}")


def build(config: Config, state: dict[str, Tensor]) -> StyleGenerator:
    """A frozen generator of `config` that takes exactly the tensors of `state`, as float32."""
    kind = next(kind for form, kind in FAMILIES.values() if type(config) is form)
    with torch.device("meta"):  # shapes only: no memory is taken and no random number drawn
        G = kind(config)
    estimate = "mapping.w_avg" not in state
    if estimate:
        state = state | {"mapping.w_avg": torch.zeros(G.mapping.w_avg.shape)}
    wanted = {name: tuple(t.shape) for name, t in G.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in state.items()}
    for name in [*wanted, *found]:
        if wanted.get(name) != found.get(name):
            expected = wanted.get(name, "no such tensor")
            raise CheckpointError(f"{name[:80]!r} is {found.get(name, 'missing')}, expected {expected}")
    state = {name: t.float() for name, t in state.items()}
    for name, t in state.items():
        if not torch.isfinite(t).all():
            raise CheckpointError(f"{name} holds numbers that are not finite: damaged")
    G.load_state_dict(state, strict=True, assign=True)
    G.eval().requires_grad_(False)
    if estimate:
        G.mapping.w_avg.copy_(sample_w(G, 10_000, generator=torch.Generator().manual_seed(0)).mean(0))
    return G
