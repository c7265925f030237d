"""The layers of StyleGAN2: equalised linear layers, FIR resampling, modulated convolutions.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, https://arxiv.org/abs/1912.04958.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core import randomness
from rusr_core.errors import RusrError
from rusr_core.generator.config import GeneratorConfig

SQRT2 = math.sqrt(2)


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
    """Residual branch of the architecture 'resnet': 1 x 1 convolution, then upsampling."""

    def __init__(self, config: GeneratorConfig, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.register_buffer("resample_filter", fir_kernel(config.resample_filter))
        self.clamp = config.conv_clamp

    def forward(self, x: Tensor, gain: float) -> Tensor:
        x = F.conv2d(x, self.weight * (1 / math.sqrt(self.weight.shape[1])))
        x = upsample_image(x, self.resample_filter) * gain
        return x if self.clamp is None else x.clamp(-self.clamp * gain, self.clamp * gain)
