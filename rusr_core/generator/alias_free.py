"""The design of alias-free layers: cutoffs, sampling rates and sizes of each, and the low-pass filters between them.

Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021, https://arxiv.org/abs/2106.12423, appendix C;
the heads of Sauer et al., "StyleGAN-XL: Scaling StyleGAN to Large Diverse Datasets", SIGGRAPH 2022,
https://arxiv.org/abs/2202.00273. All frequencies and rates are in cycles and samples per width of the picture.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rusr_core.errors import RusrError

MARGIN = 10  # pixels around the picture on each side, in all layers but the last two
TAPS = 6  # of a filter, for each sample it inserts or drops
FIRST_CUTOFF = 2.0
FIRST_STOPBAND = 2**2.1
STOPBAND = 2**0.3  # minimum stopband of the last layers, in units of their cutoff
CRITICAL = 2  # layers at the end that are sampled at their Nyquist rate


@dataclass(frozen=True)
class LayerShape:
    """What has to be known of a layer before its weights and filters are loaded; sizes in pixels, square."""

    name: str  # L{number}_{out_size}_{out_channels}
    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    kernel: int
    up: int  # factors around the activation, 1: no filter
    down: int
    radial: bool = False  # of the down filter: two-dimensional, not separable
    to_rgb: bool = False
    magnitude_beta: float = 0.999  # of the moving mean square of its input, in training

    @property
    def up_shape(self) -> tuple[int, ...] | None:
        """Of the up filter's taps, None if there is none."""
        return None if self.up == 1 else (TAPS * self.up,)

    @property
    def down_shape(self) -> tuple[int, ...] | None:
        """Of the down filter's taps, None if there is none."""
        taps = TAPS * self.down
        return None if self.down == 1 else (taps, taps) if self.radial else (taps,)

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros before and after the upsampled rows and columns, negative where they are cropped."""
        taps = (self.up_shape or (1,))[0] + (self.down_shape or (1,))[0]
        total = (self.out_size - 1) * self.down + 1 - (self.in_size + self.kernel - 1) * self.up + taps - 2
        low = (total + self.up) // 2
        return low, total - low

    @property
    def crop(self) -> int:
        """Samples that a transposed convolution with the up filter leaves out at each end, to give the same.

        RusrError if there is no such number, which happens to sizes that nobody designed.
        """
        low, high = self.padding
        taps = (self.up_shape or (1,))[0]
        before, after = taps - 1 - low, taps - self.up - high
        if before != after or before < 0 or (self.to_rgb and (self.up, self.down, before) != (1, 1, 0)):
            raise RusrError(f"layer {self.name}: sizes {self.in_size} and {self.out_size} px do not fit its filters")
        return before


@dataclass(frozen=True)
class LayerDesign:
    """One layer as it is designed: its shape, and the bands that its filters keep."""

    shape: LayerShape
    in_rate: int
    out_rate: int
    in_cutoff: float
    out_cutoff: float
    in_half_width: float
    out_half_width: float
    critical: bool

    @property
    def filter_rate(self) -> int:
        """The sampling rate at which the activation is evaluated."""
        return max(self.in_rate, self.out_rate) * (1 if self.shape.to_rgb else 2)

    @property
    def up_filter(self) -> Tensor | None:
        """Taps of the up filter, None if there is none."""
        shape = self.shape.up_shape
        return shape and low_pass(shape[0], self.in_cutoff, 2 * self.in_half_width, self.filter_rate)

    @property
    def down_filter(self) -> Tensor | None:
        """Taps of the down filter, None if there is none."""
        shape, band = self.shape.down_shape, (self.out_cutoff, 2 * self.out_half_width, self.filter_rate)
        return shape and low_pass(shape[0], *band, radial=self.shape.radial)


def low_pass(taps: int, cutoff: float, width: float, rate: float, *, radial: bool = False) -> Tensor:
    """Kaiser-windowed low-pass filter of gain 1 at frequency 0: [taps], or radially symmetric [taps, taps] (jinc).

    `width` is that of the whole transition band. scipy.signal designs it, but for the jinc, which it does not know.
    """
    import scipy.signal  # late: the import takes longer than that of the whole library
    import scipy.special

    if not radial:
        found = scipy.signal.firwin(numtaps=taps, cutoff=cutoff, width=width, fs=rate)
        return torch.as_tensor(found, dtype=torch.float32)
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    r = np.hypot(*np.meshgrid(x, x))
    found = scipy.special.j1(2 * cutoff * (np.pi * r)) / (np.pi * r)
    beta = scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, width / (rate / 2)))
    window = np.kaiser(taps, beta)
    found *= np.outer(window, window)
    found /= np.sum(found)
    return torch.as_tensor(found, dtype=torch.float32)


def design_layers(
    resolution: int,
    num_layers: int = 14,
    *,
    channel_base: int = 32768,
    channel_max: int = 512,
    kernel: int = 3,
    radial: bool = False,
    img_channels: int = 3,
    magnitude_beta: float = 0.999,
) -> tuple[LayerDesign, ...]:
    """The layers of a StyleGAN3, `num_layers` and the one to colours. The defaults are configuration T's; R has twice
    the channels, kernel 1 and radial filters. RusrError for sizes of which no layers can be made."""
    if resolution < 16 or resolution & (resolution - 1) or num_layers <= CRITICAL:
        raise RusrError(
            f"{resolution} px in {num_layers} layers: expected a power of two from 16, and 3 layers or more"
        )
    cutoffs, stopbands = _bands(resolution, num_layers, FIRST_CUTOFF, FIRST_STOPBAND)
    options = dict(channel_base=channel_base, channel_max=channel_max, kernel=kernel, radial=radial)
    options["magnitude_beta"] = magnitude_beta
    return _layers(resolution, cutoffs, stopbands, img_channels=img_channels, **options)


def add_head(
    layers: tuple[LayerDesign, ...],
    resolution: int,
    head_layers: int,
    *,
    channel_base: int = 32768,
    channel_max: int = 512,
    kernel: int = 3,
    radial: bool = False,
) -> tuple[LayerDesign, ...]:
    """StyleGAN-XL's super-resolution: the critical layers make room for `head_layers` + 1 new ones, up to `resolution`.

    The numbers in their names leave one out at the first seam, as the official code does.
    """
    kept = tuple(layer for layer in layers if not layer.critical)
    last, img_channels = kept[-1], layers[-1].shape.out_channels
    if resolution < 2 * layers[-1].shape.out_size or resolution & (resolution - 1) or head_layers <= CRITICAL:
        raise RusrError(f"a head of {resolution} px in {head_layers} layers upon {layers[-1].shape.out_size} px")
    start = (last.out_cutoff, last.out_cutoff + last.out_half_width)
    cutoffs, stopbands = _bands(resolution, head_layers, *start)
    options = dict(channel_base=channel_base, channel_max=channel_max, kernel=kernel, radial=radial)
    return kept + _layers(resolution, cutoffs, stopbands, last, len(kept) + 1, img_channels=img_channels, **options)


def _bands(resolution: int, num: int, cutoff: float, stopband: float) -> tuple[np.ndarray, np.ndarray]:
    """Cutoffs and minimum stopbands of `num` + 1 layers, geometric from the given ones to those of the last."""
    last = resolution / 2
    exponents = np.minimum(np.arange(num + 1) / (num - CRITICAL), 1)
    return cutoff * (last / cutoff) ** exponents, stopband * (last * STOPBAND / stopband) ** exponents


def _layers(
    resolution: int,
    cutoffs: np.ndarray,
    stopbands: np.ndarray,
    before: LayerDesign | None = None,
    number: int = 0,
    *,
    channel_base: int,
    channel_max: int,
    kernel: int,
    radial: bool,
    img_channels: int,
    magnitude_beta: float = 0.999,
) -> tuple[LayerDesign, ...]:
    """Layers from their bands; `before` is what the first of them continues, `number` the one in its name."""
    rates = np.exp2(np.ceil(np.log2(np.minimum(stopbands * 2, resolution))))
    channels = np.append(np.rint(np.minimum(channel_base / 2 / cutoffs[:-1], channel_max)), img_channels)
    if before is not None:
        rates[0], channels[0] = before.out_rate, before.shape.out_channels
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = np.append(rates[:-2] + MARGIN * 2, [resolution] * 2)
    last, layers = len(cutoffs) - 1, []
    for i in range(len(cutoffs)):
        at, critical, to_rgb = max(i - 1, 0), i >= last - CRITICAL, i == last
        top = max(rates[at], rates[i]) * (1 if to_rgb else 2)
        shape = LayerShape(
            name=f"L{number + i}_{int(sizes[i])}_{int(channels[i])}",
            in_channels=int(channels[at]),
            out_channels=int(channels[i]),
            in_size=int(sizes[at]),
            out_size=int(sizes[i]),
            kernel=1 if to_rgb else kernel,
            up=int(top // rates[at]),
            down=int(top // rates[i]),
            radial=radial and not critical and not to_rgb,
            to_rgb=to_rgb,
            magnitude_beta=magnitude_beta,
        )
        bands = (float(values[j]) for values in (cutoffs, half_widths) for j in (at, i))
        layers.append(LayerDesign(shape, int(rates[at]), int(rates[i]), *bands, critical=critical))
    return tuple(layers)
