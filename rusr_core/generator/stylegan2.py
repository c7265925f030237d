"""StyleGAN2 from its layers: a mapping network and a synthesis network."""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core import randomness
from rusr_core.errors import RusrError
from rusr_core.generator.config import GeneratorConfig
from rusr_core.generator.layers import (
    FullyConnected,
    ModulatedConv,
    Skip,
    SynthesisLayer,
    ToRGB,
    fir_kernel,
    normalize_second_moment,
    upsample_image,
)

SPACES = ("W", "W+", "W++")  # by freedom; the rank of a latent tensor tells them apart


class LatentError(RusrError):
    """A latent tensor that fits none of W, W+ and W++ of the generator it was given to."""


class Mapping(nn.Module):
    """z (and a class label c) to w, repeated for each layer, optionally truncated towards the mean w."""

    def __init__(self, config: GeneratorConfig, num_ws: int):
        super().__init__()
        self.num_ws, self.num_layers = num_ws, config.mapping_layers
        self.z_dim, self.c_dim = config.z_dim, config.c_dim
        embedded = (config.embed_features or config.w_dim) if config.c_dim else 0
        hidden = config.layer_features or config.w_dim
        widths = [config.z_dim + embedded] + [hidden] * (self.num_layers - 1) + [config.w_dim]
        if config.c_dim:
            self.embed = FullyConnected(config.c_dim, embedded)
        for i, (inputs, outputs) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            self.add_module(f"fc{i}", FullyConnected(inputs, outputs, activation=True, lr=config.mapping_lr))
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def _check_class(self, num: int, c: Tensor | None) -> None:
        classes, found = self.c_dim, None if c is None else tuple(c.shape)
        if classes and found != (num, classes):
            raise RusrError(f"a generator of {classes} classes needs c [{num}, {classes}], one-hot, got {found}")
        if not classes and c is not None and c.numel():
            raise RusrError(f"this generator has no classes, expected c=None, got {found}")

    def to_w(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """z [N, z_dim] (standard normal), c [N, c_dim] (one-hot) -> w [N, w_dim], not truncated.

        A conditional generator needs c, and only such a one takes it: RusrError otherwise.
        """
        self._check_class(len(z), c)
        x = normalize_second_moment(z)
        if hasattr(self, "embed"):
            x = torch.cat([x, normalize_second_moment(self.embed(c))], dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    def sample(self, num: int, generator: torch.Generator | None) -> Tensor:
        """w [num, w_dim] of standard normal z, not truncated. A conditional network maps a random class with each."""
        z = randomness.normal((num, self.z_dim), generator, self.w_avg)
        c = None
        if self.c_dim:
            label = torch.randint(self.c_dim, (num,), generator=generator)
            c = F.one_hot(label, self.c_dim).to(self.w_avg)
        return self.to_w(z, c)

    @torch.no_grad()
    def measure_std(self, num: int = 10_000, seed: int = 0) -> float:
        """Root mean square of |w - w_avg| over `num` samples, as NVIDIA's projector measures the size of W."""
        generator = torch.Generator().manual_seed(seed)
        total = 0.0
        for start in range(0, num, 1000):
            w = self.sample(min(1000, num - start), generator)
            total += (w - self.w_avg).double().square().sum().item()
        return (total / num) ** 0.5

    def forward(self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """-> [N, L, w_dim]; `psi` < 1 pulls the first `cutoff` layers (None: all) towards the mean (truncation)."""
        ws = self.to_w(z, c).unsqueeze(1).repeat(1, self.num_ws, 1)
        if psi != 1:
            ws[:, :cutoff] = self.w_avg.lerp(ws[:, :cutoff], psi)
        return ws


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
        depth = self.config.w_dim
        if ws.ndim == 2 and ws.shape[1] == depth:
            return [ws] * self.num_ws
        if ws.ndim == 3 and ws.shape[1:] == (self.num_ws, depth):
            return list(ws.unbind(1))
        if ws.ndim == 4 and ws.shape[1:] == (1, sum(self.rows), depth):
            return list(ws.squeeze(1).split(self.rows, dim=1))
        raise LatentError(
            f"latents of shape {tuple(ws.shape)}: expected W [N, {depth}], W+ [N, {self.num_ws}, {depth}] "
            f"or W++ [N, 1, {sum(self.rows)}, {depth}]"
        )

    def forward(
        self,
        ws: Tensor,
        noise_mode: str = "const",
        generator: torch.Generator | None = None,
        max_resolution: int | None = None,
    ) -> Tensor:
        """-> [N, img_channels, R, R], about [-1, 1], not clamped. `max_resolution` stops at that block ('skip')."""
        latents = self.split(ws)
        x = img = None
        for start, name in zip(self._starts, self.names, strict=True):
            block = getattr(self, name)
            used = latents[start : start + len(block.layers())]
            x, img = block(x, img, used, mode=noise_mode, generator=generator)
            if name == f"b{max_resolution}":
                break
        return img


class Generator(nn.Module):
    """z -> w -> image; `mapping` and `synthesis` are used on their own by everything that searches the latent space."""

    CITES: ClassVar[tuple[str, ...]] = ("karras2020analyzing",)

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.synthesis = Synthesis(config)
        self.mapping = Mapping(config, self.synthesis.num_ws)
        self._w_std: float | None = None

    @property
    def resolution(self) -> int:
        """R, the side of the images in pixels."""
        return self.config.resolution

    @property
    def w_mean(self) -> Tensor:
        """The mean of W, [D]."""
        return self.mapping.w_avg

    @property
    def w_std(self) -> float:
        """Root mean square of |w - w_mean|: the size of W. It is measured on 10,000 samples when it is first asked for,
        unless it was set, as by a loader that finds it beside the weights."""
        if self._w_std is None:
            self._w_std = self.mapping.measure_std()
        return self._w_std

    @w_std.setter
    def w_std(self, value: float) -> None:
        self._w_std = float(value)

    @property
    def num_ws(self) -> int:
        """L, the number of latent vectors that the synthesis network takes."""
        return self.synthesis.num_ws

    @property
    def rows(self) -> tuple[int, ...]:
        """For each of the L vectors, the number of convolution output filters that it serves."""
        return self.synthesis.rows

    def widen(self, ws: Tensor, space: str) -> Tensor:
        """Latents in another space that has their freedom or more: "W", "W+" or "W++" (CVPR 2023, section 3.2).

        W+ repeats w for each layer, W++ repeats each layer's vector for each of its filters: the image stays the same.
        """
        vectors, found = self.synthesis.split(ws), SPACES[ws.ndim - 2]
        wider = SPACES[ws.ndim - 2 :]
        if space not in wider:
            expected = " or ".join(wider)
            raise LatentError(f"{found} {tuple(ws.shape)} cannot be turned into {space}: expected {expected}")
        if space == found:
            return ws
        ws = torch.stack(vectors, dim=1)
        if space == "W+":
            return ws
        return ws.repeat_interleave(torch.tensor(self.rows, device=ws.device), dim=1).unsqueeze(1)

    def image(self, ws: Tensor, **kwargs) -> Tensor:
        """Latents of any of the three spaces -> image [N, 3, R, R], nominally in [0, 1], not clamped.

        A generator of grey images gives three equal channels.
        """
        x = self.synthesis(ws, **kwargs) * 0.5 + 0.5
        return x if x.shape[1] == 3 else x.repeat(1, 3, 1, 1)

    def forward(
        self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None, **kwargs
    ) -> Tensor:
        """z [N, z_dim], for a conditional generator c [N, c_dim] -> [N, img_channels, R, R], about [-1, 1]."""
        return self.synthesis(self.mapping(z, c, psi, cutoff), **kwargs)
