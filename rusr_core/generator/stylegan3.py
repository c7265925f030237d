"""StyleGAN3: alias-free layers in a single chain, from Fourier features to colours.

Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021, https://arxiv.org/abs/2106.12423.
Configurations T (3 x 3 convolutions) and R (1 x 1, radial filters) differ in their layers only, see `alias_free`.
"""

import math
from collections.abc import Callable
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rusr_core.errors import RusrError
from rusr_core.generator.alias_free import FIRST_CUTOFF, MARGIN, LayerDesign, LayerShape
from rusr_core.generator.base import StyleGenerator, split_latents
from rusr_core.generator.layers import SQRT2, FullyConnected
from rusr_core.generator.mapping import Mapping
from rusr_core.generator.resample import downsample, upsample
from rusr_core.generator.stylegan3_config import StyleGAN3Config
from rusr_core.randomness import normal, uniform

KEPT = 2**27  # numbers (half a gigabyte of float32) of an activation above which a search does not keep it


def placement(degrees: float = 0.0, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """The matrix [3, 3] for `transform` that turns the picture counter-clockwise about its middle, then moves it.

    `shift` (right, down) is in widths of the picture: 0.5 / R is half a pixel. A StyleGAN3 draws the picture there; of
    configuration T only the shift has that effect, since its 3 x 3 filters do not turn. float64.
    """
    angle = math.radians(degrees)
    c, s, (right, down) = math.cos(angle), math.sin(angle), shift
    # the input needs the inverse: where in the unmoved picture each point lies
    inverse = [[c, -s, s * down - c * right], [s, c, -s * right - c * down], [0.0, 0.0, 1.0]]
    return torch.tensor(inverse, dtype=torch.float64)


def again(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """function(*inputs), of which nothing is kept but the inputs: the way back computes it again.

    At 1024 px the activations of all layers of configuration R are 10 GB, those of StyleGAN-XL 17 GB.
    """
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)


class FourierInput(nn.Module):
    """Fourier features on a grid that w turns and moves, and the user, too; the channels are mixed (section 3.2)."""

    def __init__(self, config: StyleGAN3Config):
        super().__init__()
        first = config.layers[0]
        self.size, self.rate = first.in_size, first.in_size - 2 * MARGIN
        self.weight = nn.Parameter(torch.zeros(first.in_channels, first.in_channels))
        self.affine = FullyConnected(config.w_dim, 4)
        self.register_buffer("transform", torch.zeros(3, 3))
        self.register_buffer("freqs", torch.zeros(first.in_channels, 2))
        self.register_buffer("phases", torch.zeros(first.in_channels))

    def matrix(self, w: Tensor, transform: Tensor | None = None) -> Tensor:
        """Where the grid's points lie, [N, 3, 3]: the turn and the shift that w [N, D] asks for, then the user's."""
        a = self.affine(w)
        cosine, sine, x, y = (a / a[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], dim=1)
        shift = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], dim=1)
        user = (self.transform if transform is None else transform).to(a)
        return turn.unflatten(1, (3, 3)) @ shift.unflatten(1, (3, 3)) @ user

    def forward(self, w: Tensor, transform: Tensor | None = None) -> Tensor:
        """w [N, D], `transform` [3, 3] or [N, 3, 3] (default: the stored one, which files keep as the identity)
        -> features [N, C, size, size]."""
        matrix = self.matrix(w, transform)
        freqs, phases = self.freqs.to(w), self.phases.to(w)
        phases = phases + (freqs @ matrix[:, :2, 2:]).squeeze(2)  # [N, C]
        freqs = freqs @ matrix[:, :2, :2]  # [N, C, 2]
        # what the user's matrix moves beyond the band that the grid can carry, is damped
        amplitudes = 1 - (freqs.norm(dim=2) - FIRST_CUTOFF) / (self.rate / 2 - FIRST_CUTOFF)
        at = (torch.arange(self.size, device=w.device, dtype=w.dtype) + 0.5 - self.size / 2) / self.rate
        angles = freqs[..., :1, None] * at + (freqs[..., 1:, None] * at[:, None] + phases[..., None, None])
        x = torch.sin(angles * (2 * math.pi)) * amplitudes.clamp(0, 1)[..., None, None]
        return torch.einsum("nchw,dc->ndhw", x, self.weight / math.sqrt(len(self.weight)))


class AliasFreeLayer(nn.Module):
    """Modulated convolution, then a leaky ReLU at twice the sampling rate, between low-pass filters (section 3.2)."""

    def __init__(self, config: StyleGAN3Config, shape: LayerShape):
        super().__init__()
        self.shape, self.clamp = shape, config.conv_clamp
        self.weight = nn.Parameter(torch.randn(shape.out_channels, shape.in_channels, shape.kernel, shape.kernel))
        self.bias = nn.Parameter(torch.zeros(shape.out_channels))
        self.affine = FullyConnected(config.w_dim, shape.in_channels, bias=1)
        self.register_buffer("magnitude_ema", torch.ones([]))
        for name, taps in (("up_filter", shape.up_shape), ("down_filter", shape.down_shape)):
            self.register_buffer(name, None if taps is None else torch.zeros(taps))

    def parts(self, n: int) -> int:
        """How many parts, by channels, the activation of `n` pictures is computed in.

        1 where it may be kept for the way back, or where there is no way back.
        """
        if not torch.is_grad_enabled():
            return 1
        shape = self.shape
        side = (shape.out_size - 1) * shape.down + (shape.down_shape or (1,))[0]  # where it is filtered
        return min(shape.out_channels, math.ceil(n * shape.out_channels * side**2 / KEPT))

    @torch.no_grad()
    def track(self, x: Tensor) -> None:
        """Move the mean square of the layer's input towards that of `x`, as training does before each pass."""
        self.magnitude_ema.copy_(
            x.square().mean().to(self.magnitude_ema).lerp(self.magnitude_ema, self.shape.magnitude_beta)
        )

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x [N, I, h, h], w [N, D] or one row for each filter [N, O, D] -> [N, O, h', h']."""
        s = self.affine(w)
        if self.shape.to_rgb:
            s = s * (1 / math.sqrt(self.weight[0].numel()))
        x = self._convolved(x, s)
        if (parts := self.parts(len(x))) == 1:
            return self._activated(x)
        each = (again(self._activated, part) for part in x.tensor_split(parts, dim=1))
        return torch.cat(tuple(each), dim=1)

    def _convolved(self, x: Tensor, s: Tensor) -> Tensor:
        """The modulated convolution and its bias; styles [N, I] or [N, O, I] as in `layers.ModulatedConv`.

        The official code normalises weights and styles before it multiplies them, the styles over the batch. The
        demodulation cancels that; half precision is what it is for.
        """
        gain, margin = self.magnitude_ema.to(s).rsqrt(), self.shape.kernel - 1
        power = self.weight.square().sum((2, 3))  # [O, I]
        bias = self.bias[:, None, None]
        if s.ndim == 2:
            x = F.conv2d(x * s[:, :, None, None], self.weight, padding=margin)
            scale = gain.expand(len(s), 1) if self.shape.to_rgb else gain * (s.square() @ power.t() + 1e-8).rsqrt()
            return torch.addcmul(bias, x, scale[:, :, None, None])
        if not self.shape.to_rgb:
            s = s * ((s.square() * power).sum(2, keepdim=True) + 1e-8).rsqrt()
        weight = self.weight * (s * gain)[..., None, None]  # [N, O, I, k, k]
        x = F.conv2d(x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1), padding=margin, groups=len(s))
        return x.reshape(len(s), -1, *x.shape[2:]) + bias

    def _activated(self, x: Tensor) -> Tensor:
        """Upsampled and filtered, leaky ReLU of gain sqrt(2), clamped, filtered and downsampled. Colours: clamped.

        The gain goes before the ReLU, where it does the same: what the ReLU gives is then what the clamp takes, and a
        search keeps one such tensor a layer, not two; at 1024 px each has up to 1.3 GB.
        """
        if not self.shape.to_rgb:
            if self.up_filter is None:
                x = x * SQRT2
            else:
                x = upsample(x, self.up_filter, self.shape.up, self.shape.crop, SQRT2)
            x = F.leaky_relu_(x, 0.2)
        if self.clamp is not None:
            x = x.clamp(-self.clamp, self.clamp)
        return x if self.down_filter is None else downsample(x, self.down_filter, self.shape.down)


class AliasFreeSynthesis(nn.Module):
    """Latents of W, W+ or W++ to an image: a flat chain, without noise, skips or residuals."""

    def __init__(self, config: StyleGAN3Config):
        super().__init__()
        self.config = config
        self.input = FourierInput(config)
        for shape in config.layers:
            self.add_module(shape.name, AliasFreeLayer(config, shape))
        # the input reads four numbers of its vector: there are no filters that could have rows of their own
        self.rows = (1, *(shape.out_channels for shape in config.layers))

    @property
    def layers(self) -> list[AliasFreeLayer]:
        """In the order in which they take latent vectors, from the second on; the first is the input's."""
        return [getattr(self, shape.name) for shape in self.config.layers]

    def split(self, ws: Tensor) -> list[Tensor]:
        """Latents of each of the L vectors: [N, D] each for W and W+, [N, rows, D] each for W++, the input's [N, D]."""
        first, *others = split_latents(ws, self.rows, self.config.w_dim)
        return [first if first.ndim == 2 else first.squeeze(1), *others]

    def forward(self, ws: Tensor, transform: Tensor | None = None, track: bool = False) -> Tensor:
        """-> [N, img_channels, R, R], about [-1, 1], not clamped.

        Args:
            transform: where the picture is to be, see `placement`; default: where the network puts it.
            track: move each layer's mean square of its input, as training does.
        """
        latents = self.split(ws)
        x = self.input(latents[0], transform)
        for layer, w in zip(self.layers, latents[1:], strict=True):
            if track:
                layer.track(x)
            x = layer(x, w) if layer.parts(len(x)) == 1 else again(layer, x, w)
        return x * self.config.output_scale


class StyleGAN3(StyleGenerator):
    """StyleGAN3: z -> w -> image. Its filters and frequencies are part of its state; `new` makes them."""

    CITES: ClassVar[tuple[str, ...]] = ("karras2021alias",)
    CONFIG: ClassVar[type[StyleGAN3Config]] = StyleGAN3Config

    @classmethod
    def new(cls, designs: tuple[LayerDesign, ...], generator: torch.Generator | None, **options: object) -> Self:
        """A network of these layers as it is before training, frozen: random weights, w without effect on the place.

        `options` are fields of its configuration, such as `z_dim`, `w_dim` and `c_dim`. Raises RandomnessError without
        a `generator`, RusrError for layers or options that make no network.
        """
        with torch.device("meta"):  # no memory is taken twice and no number drawn
            G = cls(cls.CONFIG.of(designs, **options))
        return G.to_empty(device="cpu").draw(designs, generator).eval().requires_grad_(False)

    def __init__(self, config: StyleGAN3Config):
        super().__init__()
        self.config = config
        self.synthesis = AliasFreeSynthesis(config)
        self.mapping = self._mapping(config)

    def _mapping(self, config: StyleGAN3Config) -> Mapping:
        return Mapping(config, self.num_ws)

    def image(self, ws: Tensor, **kwargs) -> Tensor:
        """Latents of any of the three spaces -> image [N, 3, R, R], nominally in [0, 1], not clamped.

        `transform` is that of `AliasFreeSynthesis.forward`. A generator of grey images gives three equal channels.
        """
        return super().image(ws, **kwargs)

    @torch.no_grad()
    def draw(self, designs: tuple[LayerDesign, ...], generator: torch.Generator | None) -> Self:
        """Random weights and frequencies as before training, and the filters of the `designs`. Returns itself.

        Raises RandomnessError without a `generator`, RusrError unless the designs are those of the layers.
        """
        if tuple(design.shape for design in designs) != self.config.layers:
            raise RusrError("the designs are not those of the configuration's layers: expected the same ones")
        for name, parameter in self.named_parameters():
            lr = self.config.mapping_lr if name.startswith("mapping.fc") else 1
            if name.endswith("bias"):
                parameter.fill_(1.0 if ".affine." in name else 0.0)
            else:
                parameter.copy_(normal(parameter.shape, generator, parameter) / lr)
        self.mapping.w_avg.zero_()
        first = self.synthesis.input
        first.affine.weight.zero_()
        first.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))  # neither turned nor moved
        first.transform.copy_(torch.eye(3))
        freqs = normal(first.freqs.shape, generator, first.freqs)
        radii = freqs.norm(dim=1, keepdim=True)  # a disc of FIRST_CUTOFF, nearly evenly filled
        first.freqs.copy_(freqs / (radii * radii.square().exp().pow(0.25)) * FIRST_CUTOFF)
        first.phases.copy_(uniform(first.phases.shape, generator, first.phases) - 0.5)
        for layer, design in zip(self.synthesis.layers, designs, strict=True):
            layer.magnitude_ema.fill_(1)
            for buffer, taps in ((layer.up_filter, design.up_filter), (layer.down_filter, design.down_filter)):
                if taps is not None:
                    buffer.copy_(taps)
        return self
