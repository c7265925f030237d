"""StyleGAN2: a mapping network and a synthesis network, in plain PyTorch.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, https://arxiv.org/abs/1912.04958.
Parameters carry the names of NVIDIA's stylegan2-ada-pytorch, so that a state dict fits without a key map.

The latent space is the rank of the tensor given to the synthesis network (L vectors, D numbers each):

    W    [N, D]        one vector for all layers
    W+   [N, L, D]     one vector per layer
    W++  [N, 1, R, D]  one vector per convolution output filter: the rows of all layers one after another

R counts the filters that exist (`Generator.rows` says how many each of the L vectors serves). The published code
keeps 512 rows for each vector; the rows that no filter reads have no influence and are not stored here.

Chapter: book/generator.ipynb.
"""

import json
import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core import randomness
from rusr_core.errors import RusrError

SQRT2 = math.sqrt(2)
SPACES = ("W", "W+", "W++")  # by freedom; the rank of a latent tensor tells them apart


class LatentError(RusrError):
    """A latent tensor that fits none of W, W+ and W++ of the generator it was given to."""


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
        blocks = int(math.log2(self.resolution)) - 1 if self.resolution > 0 else 0
        if blocks < 1 or self.resolution != 2 ** (blocks + 1):
            raise RusrError(f"resolution {self.resolution}: expected a power of two, 4 or more")
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


class FullyConnected(nn.Module):
    """Linear layer with equalised learning rate; `activation` adds the leaky ReLU of gain sqrt(2)."""

    def __init__(self, inputs: int, outputs: int, activation: bool = False, lr: float = 1.0, bias: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs).div_(lr))
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))
        self.weight_gain, self.bias_gain, self.activation = lr / math.sqrt(inputs), lr, activation

    def forward(self, x: Tensor) -> Tensor:  # [..., inputs] -> [..., outputs]
        bias = self.bias if self.bias_gain == 1 else self.bias * self.bias_gain
        if not self.activation:
            return F.linear(x * self.weight_gain, self.weight, bias)
        return F.leaky_relu(F.linear(x, self.weight * self.weight_gain, bias), 0.2) * SQRT2


def normalize_second_moment(x: Tensor) -> Tensor:
    """Scale each row [N, D] to mean square 1."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


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


def fir_kernel(taps: tuple[float, ...]) -> Tensor:
    """Separable two-dimensional low-pass kernel [4, 4] of sum 1.

    Computed in Python: arithmetic on the "meta" device, where checkpoints build their generator, would make torch
    import its compiler, which takes seconds.
    """
    total = sum(taps) ** 2
    return torch.tensor([[a * b / total for b in taps] for a in taps], dtype=torch.float32)


def upsample_image(x: Tensor, kernel: Tensor) -> Tensor:
    """Double the sides of [N, C, H, W]: zero insertion, then the FIR `kernel` [4, 4] with zero padding, gain 4."""
    channels, side = x.shape[1], kernel.shape[0]
    weight = (kernel * 4).expand(channels, 1, side, side)
    return F.conv_transpose2d(x, weight, stride=2, padding=side // 2 - 1, groups=channels)


def _blur(x: Tensor, kernel: Tensor) -> Tensor:
    """FIR after a transposed convolution, [N, C, 2H+1, 2W+1] -> [N, C, 2H, 2W], gain 4."""
    channels, side = x.shape[1], kernel.shape[0]
    weight = (kernel.flip(0, 1) * 4).expand(channels, 1, side, side)
    return F.conv2d(x, weight.to(x.dtype), padding=side // 2 - 1, groups=channels)


def _convolve(x: Tensor, weight: Tensor, kernel: Tensor | None, groups: int = 1) -> Tensor:
    """Convolve [N, G*I, H, W] with [G*O, I, k, k]; with a `kernel`, transposed with stride 2, then the FIR."""
    if kernel is None:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)
    total, inputs, k, _ = weight.shape
    if groups > 1:  # conv_transpose2d wants [G*I, O, k, k]
        outputs = total // groups
        weight = weight.reshape(groups, outputs, inputs, k, k).transpose(1, 2).reshape(-1, outputs, k, k)
    else:
        weight = weight.transpose(0, 1)
    return _blur(F.conv_transpose2d(x, weight, stride=2, groups=groups), kernel)


class ModulatedConv(nn.Module):
    """Convolution whose weights are scaled by a style, w -> s = A w + b (CVPR 2020, section 2.2).

    With one style per image the activations are scaled instead of the weights, which gives the same output and
    spares the gradient of the weights. With one style per output filter (W++) each image has its own weights
    theta[o, i] * s_o[i]: row o of the latent modulates filter o alone.
    """

    def __init__(self, config: GeneratorConfig, inputs: int, outputs: int, size: int, up: bool = False):
        super().__init__()
        self.outputs, self.up = outputs, up
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = FullyConnected(config.w_dim, inputs, bias=1)
        self.clamp = config.conv_clamp

    def styles(self, w: Tensor) -> Tensor:
        """w [N, D] -> [N, I], or the rows [N, rows, D] of W++ -> [N, O, I]."""
        return self.affine(w if w.ndim == 2 else w[:, : self.outputs])

    def modulated(self, x: Tensor, s: Tensor, kernel: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x [N, I, H, W], styles [N, I] or [N, O, I] -> output [N, O, H', W'] and the demodulation it must still be
        multiplied with, [N, O, 1, 1] (None: done): the caller does that in one pass with the bias."""
        power = self.weight.square().sum((2, 3))  # [O, I]
        if s.ndim == 2:
            x = _convolve(x * s.to(x.dtype)[:, :, None, None], self.weight, kernel)
            return x, torch.rsqrt(s.square() @ power.t() + 1e-8).to(x.dtype)[:, :, None, None]
        # by the power of the modulated weights, without forming their squares
        s = s * torch.rsqrt((s.square() * power).sum(2, keepdim=True) + 1e-8)
        num, outputs = s.shape[:2]
        if num == 1:  # no groups, and the memory format is kept
            return _convolve(x, (self.weight * s[0, :, :, None, None]).to(x.dtype), kernel), None
        weight = (self.weight * s[..., None, None]).flatten(0, 1)  # [N*O, I, k, k]
        x = _convolve(x.reshape(1, -1, *x.shape[2:]), weight.to(x.dtype), kernel, groups=num)
        return x.reshape(num, outputs, *x.shape[2:]), None


class SynthesisLayer(ModulatedConv):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU."""

    def __init__(self, config: GeneratorConfig, inputs: int, outputs: int, resolution: int, up: bool = False):
        super().__init__(config, inputs, outputs, 3, up)
        self.use_noise, self.resolution = config.use_noise, resolution
        self.register_buffer("resample_filter", fir_kernel(config.resample_filter))
        if config.use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))

    def noise(self, x: Tensor, mode: str, generator: torch.Generator | None) -> Tensor | None:
        if mode == "none" or not self.use_noise:
            return None
        if mode == "const":
            return self.noise_const * self.noise_strength
        if mode == "random":  # drawn on the CPU: one seed gives one picture on every device
            shape = (x.shape[0], 1, self.resolution, self.resolution)
            return randomness.normal(shape, generator, self.noise_strength) * self.noise_strength
        raise RusrError(f"noise mode {mode!r}: expected 'const', 'none' or 'random'")

    def forward(self, x: Tensor, w: Tensor, mode: str, generator: torch.Generator | None, gain: float = 1) -> Tensor:
        x, scale = self.modulated(x, self.styles(w), self.resample_filter if self.up else None)
        gain = SQRT2 * gain  # taken before the activation, where it costs no pass of its own
        bias = (self.bias * gain).to(x.dtype)[:, None, None]
        x = torch.add(bias, x, alpha=gain) if scale is None else torch.addcmul(bias, x, scale * gain)
        noise = self.noise(x, mode, generator)
        if noise is not None:
            x = x.add_((noise * gain).to(x.dtype))
        x = F.leaky_relu_(x, 0.2)
        return x if self.clamp is None else x.clamp(-self.clamp * gain / SQRT2, self.clamp * gain / SQRT2)


class ToRGB(ModulatedConv):
    """Modulated 1 x 1 convolution to colours, not demodulated: a matrix product of its few modulated weights."""

    def __init__(self, config: GeneratorConfig, inputs: int):
        super().__init__(config, inputs, config.img_channels, 1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.styles(w) * (1 / math.sqrt(self.weight.shape[1]))
        weight = self.weight.flatten(1) * (styles.unsqueeze(1) if styles.ndim == 2 else styles)  # [N, 3, I]
        weight, bias = weight.to(x.dtype), self.bias.to(x.dtype)
        if len(x) == 1 and x.is_contiguous(memory_format=torch.channels_last):  # so that the gradient is, too
            x = F.conv2d(x, weight[0, :, :, None, None], bias)
        else:
            x = torch.bmm(weight, x.flatten(2)).unflatten(2, x.shape[2:]) + bias[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Skip(nn.Module):
    """Residual branch of the architecture 'resnet': 1 x 1 convolution, then up-sampling."""

    def __init__(self, config: GeneratorConfig, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.register_buffer("resample_filter", fir_kernel(config.resample_filter))
        self.clamp = config.conv_clamp

    def forward(self, x: Tensor, gain: float) -> Tensor:
        x = F.conv2d(x, self.weight * (1 / math.sqrt(self.weight.shape[1])))
        x = upsample_image(x, self.resample_filter) * gain
        return x if self.clamp is None else x.clamp(-self.clamp * gain, self.clamp * gain)


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
