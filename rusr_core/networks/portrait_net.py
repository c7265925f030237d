"""The embedded feature net: one small network that says whether two images look alike and show the same person.

It offers what `Perceptual` asks for, `features(x)`: a list of maps, unit-normalised over channels and scaled by the
square root of learned channel weights, so that the distance of Zhang et al., "The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric" (CVPR 2018, eq. 1) is the plain squared difference of two such lists; and what
`Embedder` asks for, `embed(x)`. Its files are read and written by `rusr_core.checkpoints`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core.errors import RusrError
from rusr_core.images import in_words, resize
from rusr_core.limits import shown
from rusr_core.networks.frozen import frozen
from rusr_core.networks.perceptual import distance, unit_channels

SMALLEST = 16  # pixels; below it the last levels would have no extent
EPSILON = 1e-6  # added to the squared norm of a feature vector: a flat patch has a finite gradient


class FeatureError(RusrError):
    """A feature net's configuration, weights or input that are not what they should be."""


@dataclass(frozen=True)
class PortraitNetConfig:
    """Shape of a `PortraitNet`: one residual block a level, each halving the resolution.

    Anything but positive whole numbers, at most 16 levels and 65,536 of a kind, is a `FeatureError`.
    """

    channels: tuple[int, ...] = (24, 48, 80, 128, 192)
    embedding: int = 128
    resolution: int = 128  # side of the images that the identity embedding reads
    perceptual_levels: int = 4  # how many of the levels the perceptual distance compares

    def __post_init__(self) -> None:
        if not isinstance(self.channels, Sequence):
            raise FeatureError(f"channels are {shown(self.channels)}: expected those of each level")
        sizes = (*self.channels, self.embedding, self.resolution, self.perceptual_levels)
        if not all(type(v) is int and 0 < v <= 65536 for v in sizes) or not 0 < len(self.channels) <= 16:
            raise FeatureError(f"a feature net of the sizes {str(sizes)[:120]}: expected a few positive whole numbers")
        if self.perceptual_levels > len(self.channels):
            raise FeatureError(f"{self.perceptual_levels} perceptual levels, expected at most {len(self.channels)}")
        object.__setattr__(self, "channels", tuple(self.channels))

    def to_json(self) -> str:
        """The configuration as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "PortraitNetConfig":
        """Inverse of `to_json`; anything else is a `FeatureError`."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise FeatureError(f"not the configuration of a feature net: {str(error)[:120]}") from error


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the first of stride 2; the second adds to its own input."""

    def __init__(self, inputs: int, outputs: int, batch_norm: bool):
        super().__init__()
        self.reduce = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=not batch_norm)
        self.reduce_norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()
        self.reduce_slope = nn.PReLU(outputs)
        self.refine = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=not batch_norm)
        self.refine_norm = nn.BatchNorm2d(outputs) if batch_norm else nn.Identity()
        self.refine_slope = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C_in, H, W]` -> `[N, C_out, ceil(H / 2), ceil(W / 2)]`."""
        x = self.reduce_slope(self.reduce_norm(self.reduce(x)))
        return self.refine_slope(x + self.refine_norm(self.refine(x)))


class PortraitNet(nn.Module):
    """The embedded feature net: perceptual features, identity embedding and pooled features of one stack of blocks.

    It is trained with batch normalisation (`batch_norm=True`) and used with it folded into the convolutions
    (`folded`, `from_state`), which is also how it is stored.
    """

    def __init__(self, config: PortraitNetConfig | None = None, *, batch_norm: bool = False):
        super().__init__()
        self.config = config = config or PortraitNetConfig()
        widths = (3, *config.channels)
        self.blocks = nn.ModuleList(
            ResidualBlock(i, o, batch_norm) for i, o in zip(widths[:-1], widths[1:], strict=True)
        )
        grid = -(-config.resolution // 2 ** len(config.channels))
        self.project = nn.Linear(widths[-1] * grid * grid, config.embedding, bias=not batch_norm)
        self.project_norm = nn.BatchNorm1d(config.embedding) if batch_norm else nn.Identity()
        # One nonnegative weight a channel and perceptual level; ones until they are learned from triplets.
        for level, width in enumerate(config.channels[: config.perceptual_levels]):
            self.register_buffer(f"channel_weight{level}", torch.ones(width))

    def activations(self, x: Tensor, levels: int | None = None) -> list[Tensor]:
        """Raw maps `[N, C_l, H_l, W_l]` of the first `levels` blocks (None: all); x `[N, 3, H, W]` in [0, 1]."""
        shape = x.shape if isinstance(x, Tensor) and x.is_floating_point() else ()
        if len(shape) != 4 or shape[1] != 3 or min(shape[-2:]) < SMALLEST:
            expected = f"floats [N, 3, H, W] with sides of at least {SMALLEST} px"
            raise FeatureError(f"images must be {expected}, got {in_words(x)}")
        x = x * 2 - 1
        maps = []
        for block in self.blocks[:levels]:
            x = block(x)
            maps.append(x)
        return maps

    def features(self, x: Tensor) -> list[Tensor]:
        """Perceptual maps `[N, C_l, H_l, W_l]` of x `[N, 3, H, W]` in [0, 1], sides of at least 16 px.

        The perceptual distance of two images is `sum_l mean_hw sum_c (fa_l - fb_l)^2`.
        """
        return self._unit(self.activations(x, self.config.perceptual_levels))

    @property
    def channel_weights(self) -> list[Tensor]:
        """The nonnegative weights `[C_l]` of each perceptual level; the net's own, so that they change in place."""
        return [getattr(self, f"channel_weight{level}") for level in range(self.config.perceptual_levels)]

    def _unit(self, maps: list[Tensor]) -> list[Tensor]:
        return [unit_channels(m, weight, EPSILON) for m, weight in zip(maps, self.channel_weights, strict=False)]

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Perceptual distance `[N]` of two batches `[N, 3, H, W]` in [0, 1]; 0 for equal images, no unit."""
        return distance(self.features(a), self.features(b))

    def embed(self, x: Tensor) -> Tensor:
        """Identity embedding `[N, E]` of unit norm; x `[N, 3, H, W]` in [0, 1] is resized to the net's resolution."""
        side = self.config.resolution
        if x.shape[-2:] != (side, side):
            x = resize(x, side, mode="area" if min(x.shape[-2:]) >= side else "bilinear")
        return self._embedding(self.activations(x)[-1])

    def _embedding(self, last: Tensor) -> Tensor:
        return F.normalize(self.project_norm(self.project(last.flatten(1))), dim=1)

    def features_and_embedding(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """`features(x)` and `embed(x)`; at the net's resolution both come from one pass."""
        side = self.config.resolution
        if x.shape[-2:] != (side, side):
            return self.features(x), self.embed(x)
        maps = self.activations(x)
        return self._unit(maps), self._embedding(maps[-1])

    def pooled(self, x: Tensor) -> Tensor:
        """Spatial means of levels 3 and 4, `[N, C_3 + C_4]`: the features of the Frechet distance."""
        maps = self.activations(x, 4)
        return torch.cat([m.mean((2, 3)) for m in maps[2:]], 1)

    def folded(self) -> "PortraitNet":
        """The same function without batch normalisation, its statistics folded into weights; eval, frozen."""
        state = {}
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                norm = self.get_submodule(f"{name}_norm")
                state[f"{name}.weight"], state[f"{name}.bias"] = _fold(module, norm)
            elif isinstance(module, nn.PReLU):
                state[f"{name}.weight"] = module.weight.detach()
        state.update({name: b for name, b in self.named_buffers() if name.startswith("channel_weight")})
        return self.from_state(self.config, state)

    @classmethod
    def from_state(cls, config: PortraitNetConfig, state: dict[str, Tensor]) -> "PortraitNet":
        """The net of `config` with the tensors of `folded().state_dict()`: frozen, in eval mode, float32.

        A tensor that is missing, too many or of another shape is a `FeatureError`.
        """
        net = frozen(lambda: cls(config), state, FeatureError)
        return net.to(memory_format=torch.channels_last)  # about 1.3 times faster on a CPU, the same numbers


def _fold(layer: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of `norm(layer(x))` in eval mode as one linear layer."""
    weight = layer.weight.detach()
    if isinstance(norm, nn.Identity):
        return weight, layer.bias.detach()
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1)), norm.bias.detach() - norm.running_mean * scale
