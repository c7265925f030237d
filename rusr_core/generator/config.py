"""What has to be known of a generator before its weights are loaded."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rusr_core.errors import RusrError
from rusr_core.limits import MAX_COUNT, check_positive, check_whole, shown


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that is needed to rebuild a generator before its weights are loaded.

    `channels` lists the feature maps of each block, from 4 x 4 up to `resolution` (any configuration is allowed).
    The defaults are those of FFHQ's networks.
    """

    resolution: int
    channels: tuple[int, ...]
    z_dim: int = 512
    c_dim: int = 0  # length of the class label, 0: unconditional
    w_dim: int = 512
    mapping_layers: int = 8
    embed_features: int | None = None  # None: w_dim
    layer_features: int | None = None  # None: w_dim
    mapping_lr: float = 0.01  # learning-rate multiplier of the mapping network (CVPR 2020, appendix B)
    architecture: str = "skip"  # "skip", "resnet" or "orig"
    conv_clamp: float | None = None
    resample_filter: tuple[float, ...] = (1, 3, 3, 1)
    use_noise: bool = True
    img_channels: int = 3  # 3: RGB, 1: grey

    def __post_init__(self) -> None:
        for name in ("resolution", "z_dim", "w_dim", "mapping_layers"):
            check_whole(name, getattr(self, name), 1, MAX_COUNT)
        check_whole("c_dim", self.c_dim, 0, MAX_COUNT)
        check_positive("mapping_lr", self.mapping_lr)
        blocks = int(math.log2(self.resolution)) - 1 if self.resolution > 0 else 0
        if blocks < 1 or self.resolution != 2 ** (blocks + 1):
            raise RusrError(f"resolution {self.resolution}: expected a power of two, 4 or more")
        if isinstance(self.channels, str) or not isinstance(self.channels, Sequence):
            raise RusrError(f"channels are {shown(self.channels)}: expected those of each resolution")
        for count in self.channels:
            check_whole("a number of channels", count, 1, MAX_COUNT)
        if len(self.channels) != blocks:
            raise RusrError(f"{len(self.channels)} channel counts: {self.resolution} px needs {blocks} (4 px and up)")
        if self.img_channels not in (1, 3):
            raise RusrError(f"a generator of images with {self.img_channels} channels, expected 3 (RGB) or 1 (grey)")
        if self.architecture not in ("skip", "resnet", "orig"):
            raise RusrError(f"architecture {self.architecture!r}: expected 'skip', 'resnet' or 'orig'")
        object.__setattr__(self, "channels", tuple(self.channels))
        object.__setattr__(self, "resample_filter", tuple(self.resample_filter))

    @staticmethod
    def published_channels(resolution: int, channel_base: int, channel_max: int = 512) -> tuple[int, ...]:
        """NVIDIA's rule min(channel_base / r, channel_max); FFHQ at 1024 px has channel_base 32768."""
        return tuple(min(channel_base // 2**i, channel_max) for i in range(2, int(math.log2(resolution)) + 1))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "GeneratorConfig":
        """Read what `to_json` wrote; unknown or missing entries are a RusrError."""
        try:
            return cls(**json.loads(text))
        except (TypeError, json.JSONDecodeError) as error:
            raise RusrError(f"not a generator configuration: {error}") from error
