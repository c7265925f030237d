"""What has to be known of a StyleGAN3 or a StyleGAN-XL before its weights are loaded."""

import json
import re
from dataclasses import asdict, dataclass

from rusr_core.errors import RusrError
from rusr_core.generator.alias_free import MARGIN, LayerDesign, LayerShape

NAME = re.compile(r"L\d{1,4}_\d{1,5}_\d{1,5}")


@dataclass(frozen=True)
class StyleGAN3Config:
    """Everything that is needed to rebuild a StyleGAN3 before its weights, frequencies and filters are loaded.

    The defaults are those of the published networks. `layers` is the chain in its order, the one to colours last.
    """

    layers: tuple[LayerShape, ...]
    z_dim: int = 512
    c_dim: int = 0  # length of the class label, 0: unconditional
    w_dim: int = 512
    mapping_layers: int = 2
    embed_features: int | None = None  # None: w_dim
    layer_features: int | None = None  # None: w_dim
    mapping_lr: float = 0.01
    conv_clamp: float | None = 256.0
    output_scale: float = 0.25

    def __post_init__(self) -> None:
        layers = tuple(LayerShape(**x) if isinstance(x, dict) else x for x in self.layers)
        object.__setattr__(self, "layers", layers)
        if not layers or not layers[-1].to_rgb or any(layer.to_rgb for layer in layers[:-1]):
            raise RusrError(f"{len(layers)} layers: expected one to colours, and it to be the last")
        if self.img_channels not in (1, 3):
            raise RusrError(f"a generator of images with {self.img_channels} channels, expected 3 (RGB) or 1 (grey)")
        names = [layer.name for layer in layers]
        if len(set(names)) != len(names) or not all(NAME.fullmatch(name) for name in names):
            raise RusrError(f"layers {', '.join(names)[:80]}: expected different names such as L0_36_512")
        if layers[0].in_size <= 2 * MARGIN:
            raise RusrError(f"an input of {layers[0].in_size} px: expected more than its margins of {MARGIN} px")
        for before, layer in zip(layers[:-1], layers[1:], strict=True):
            if (before.out_channels, before.out_size) != (layer.in_channels, layer.in_size):
                raise RusrError(f"layer {layer.name} does not take what {before.name} gives: expected a chain")
        rate = layers[0].in_size - 2 * MARGIN
        for layer in layers:
            _ = layer.crop  # its check
            rate = rate * layer.up / layer.down
            if layer.out_size not in (rate + 2 * MARGIN, rate):
                expected = f"{rate + 2 * MARGIN:g} or {rate:g} px behind its filters"
                raise RusrError(f"layer {layer.name} of {layer.out_size} px: expected {expected}")

    @property
    def resolution(self) -> int:
        """R, the side of the images in pixels."""
        return self.layers[-1].out_size

    @property
    def img_channels(self) -> int:
        """3: RGB, 1: grey."""
        return self.layers[-1].out_channels

    @classmethod
    def of(cls, designs: tuple[LayerDesign, ...], **options: object) -> "StyleGAN3Config":
        """The configuration of a network with these layers."""
        return cls(tuple(design.shape for design in designs), **options)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "StyleGAN3Config":
        """Read what `to_json` wrote; unknown or missing entries are a RusrError."""
        try:
            return cls(**json.loads(text))
        except (TypeError, json.JSONDecodeError) as error:
            raise RusrError(f"not a generator configuration: {error}") from error


@dataclass(frozen=True)
class StyleGANXLConfig(StyleGAN3Config):
    """The same for a StyleGAN-XL, whose classes are rows of a table of image features."""

    table: tuple[int, int] | None = (1000, 320)  # rows, of which c_dim are used, and features; None: there is none

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.table is not None:
            object.__setattr__(self, "table", tuple(self.table))
        if self.c_dim and (self.table is None or self.table[0] < self.c_dim):
            raise RusrError(f"{self.c_dim} classes with a table of {self.table}: expected a row for each class")
