"""StyleGAN2 from its layers: a mapping network and a synthesis network."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from rusr_core.generator.base import StyleGenerator, split_latents
from rusr_core.generator.config import GeneratorConfig
from rusr_core.generator.layers import ModulatedConv, Skip, SynthesisLayer, ToRGB, fir_kernel, upsample_image
from rusr_core.generator.mapping import Mapping


class SynthesisBlock(nn.Module):
    """All layers of one resolution. The ToRGB layer shares its latent vector with the next block's first layer."""

    def __init__(self, config: GeneratorConfig, index: int):
        super().__init__()
        resolution, outputs = 4 * 2**index, config.channels[index]
        last = index == len(config.channels) - 1
        self.first, self.architecture = index == 0, config.architecture
        self.register_buffer("resample_filter", fir_kernel(config.resample_filter))
        if self.first:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
        else:
            inputs = config.channels[index - 1]
            self.conv0 = SynthesisLayer(config, inputs, outputs, resolution, up=True)
            if config.architecture == "resnet":
                self.skip = Skip(config, inputs, outputs)
        self.conv1 = SynthesisLayer(config, outputs, outputs, resolution)
        self.torgb = ToRGB(config, outputs) if last or config.architecture == "skip" else None

    def layers(self) -> list[ModulatedConv]:
        """Layers in the order in which they take latent vectors."""
        convs = [self.conv1] if self.first else [self.conv0, self.conv1]
        return convs if self.torgb is None else [*convs, self.torgb]

    def forward(self, x: Tensor | None, img: Tensor | None, ws: list[Tensor], **noise) -> tuple[Tensor, Tensor | None]:
        if self.first:
            x = self.const.unsqueeze(0).expand(ws[0].shape[0], -1, -1, -1)
            x = self.conv1(x, ws[0], **noise)
        elif self.architecture == "resnet":
            y = self.skip(x, gain=math.sqrt(0.5))
            x = y + self.conv1(self.conv0(x, ws[0], **noise), ws[1], **noise, gain=math.sqrt(0.5))
        else:
            x = self.conv1(self.conv0(x, ws[0], **noise), ws[1], **noise)
        if img is not None:
            img = upsample_image(img, self.resample_filter)
        if self.torgb is not None:
            rgb = self.torgb(x, ws[-1]).float()
            img = rgb if img is None else img + rgb
        return x, img


class Synthesis(nn.Module):
    """Latents of W, W+ or W++ to an image."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.names = [f"b{4 * 2**i}" for i in range(len(config.channels))]
        for i, name in enumerate(self.names):
            self.add_module(name, SynthesisBlock(config, i))
        blocks = [getattr(self, name) for name in self.names]
        convs = [1 if block.first else 2 for block in blocks]
        self._starts = [sum(convs[:i]) for i in range(len(blocks))]  # first latent vector of each block
        self.num_ws = sum(convs) + 1
        rows = [0] * self.num_ws
        for start, block in zip(self._starts, blocks, strict=True):
            for k, layer in enumerate(block.layers(), start):
                rows[k] = max(rows[k], layer.outputs)
        self.rows = tuple(rows)

    def split(self, ws: Tensor) -> list[Tensor]:
        """Latents of each of the L vectors: [N, D] each for W and W+, [N, rows, D] each for W++."""
        return split_latents(ws, self.rows, self.config.w_dim)

    def vectors(self, resolution: int) -> range:
        """Which of the L latent vectors the block of this resolution takes; the last one serves the next block, too."""
        index = self.names.index(f"b{resolution}")
        return range(self._starts[index], self._starts[index] + len(getattr(self, self.names[index]).layers()))

    def section(
        self,
        latents: list[Tensor | None],
        state: tuple[Tensor | None, Tensor | None] = (None, None),
        first: int = 4,
        last: int | None = None,
        noise_mode: str = "const",
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The blocks of `first` to `last` px (default: all) on the `state` that the block before them left.

        `latents` are those of all L vectors, as `split` gives them; what other blocks take may be None. A state is the
        features [N, C, S, S] and the image [N, img_channels, S, S], which only 'skip' has before the last block.
        """
        x, img = state
        for resolution, name in ((4 * 2**i, name) for i, name in enumerate(self.names)):
            if first <= resolution <= (last or self.config.resolution):
                used = [latents[k] for k in self.vectors(resolution)]
                x, img = getattr(self, name)(x, img, used, mode=noise_mode, generator=generator)
        return x, img

    def forward(
        self,
        ws: Tensor,
        noise_mode: str = "const",
        generator: torch.Generator | None = None,
        max_resolution: int | None = None,
    ) -> Tensor:
        """-> [N, img_channels, R, R], about [-1, 1], not clamped. `max_resolution` stops at that block ('skip')."""
        return self.section(self.split(ws), last=max_resolution, noise_mode=noise_mode, generator=generator)[1]


class Generator(StyleGenerator):
    """StyleGAN2: z -> w -> image."""

    CITES: ClassVar[tuple[str, ...]] = ("karras2020analyzing",)

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.synthesis = Synthesis(config)
        self.mapping = Mapping(config, self.synthesis.num_ws)
