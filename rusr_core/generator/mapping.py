"""The mapping network, z to w, which StyleGAN2 and StyleGAN3 share.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, https://arxiv.org/abs/1912.04958.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core import randomness
from rusr_core.errors import RusrError
from rusr_core.generator.layers import FullyConnected, normalize_second_moment

SAMPLES = 10_000  # on which means and sizes are measured


class MappingConfig(Protocol):
    """What the configuration of any family says of its mapping network."""

    z_dim: int
    c_dim: int  # length of the class label, 0: unconditional
    w_dim: int
    mapping_layers: int
    embed_features: int | None  # None: w_dim
    layer_features: int | None  # None: w_dim
    mapping_lr: float


class Mapping(nn.Module):
    """z (and a class label c) to w, repeated for each layer, optionally truncated towards the mean w."""

    def __init__(self, config: MappingConfig, num_ws: int):
        super().__init__()
        self.num_ws, self.num_layers = num_ws, config.mapping_layers
        self.z_dim, self.c_dim = config.z_dim, config.c_dim
        hidden = config.layer_features or config.w_dim
        widths = [config.z_dim + self._embedding(config)] + [hidden] * (self.num_layers - 1) + [config.w_dim]
        for i, (inputs, outputs) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            self.add_module(f"fc{i}", FullyConnected(inputs, outputs, activation=True, lr=config.mapping_lr))
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def _embedding(self, config: MappingConfig) -> int:
        """Make what turns a class into numbers that stand beside z -> how many these are."""
        embedded = (config.embed_features or config.w_dim) if config.c_dim else 0
        if config.c_dim:
            self.embed = FullyConnected(config.c_dim, embedded)
        return embedded

    def embedded(self, c: Tensor) -> Tensor:
        """c [N, c_dim] -> the numbers beside z, of mean square 1."""
        return normalize_second_moment(self.embed(c))

    def _check_class(self, num: int, c: Tensor | None) -> None:
        classes, found = self.c_dim, None if c is None else tuple(c.shape)
        if classes and found != (num, classes):
            raise RusrError(f"a generator of {classes} classes needs c [{num}, {classes}], one-hot, got {found}")
        if not classes and c is not None and c.numel():
            raise RusrError(f"this generator has no classes, expected c=None, got {found}")

    def check_label(self, label: int | None) -> None:
        """RusrError unless `label` is None or a class that the network has."""
        if label is None:
            return
        if not self.c_dim:
            raise RusrError(f"class {label}: this generator has no classes, expected none")
        if type(label) is not int or not 0 <= label < self.c_dim:
            raise RusrError(f"class {label!r}: expected a whole number from 0 to {self.c_dim - 1}")

    def to_w(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """z [N, z_dim] (standard normal), c [N, c_dim] (one-hot) -> w [N, w_dim], not truncated.

        A conditional generator needs c, and only such a one takes it: RusrError otherwise.
        """
        self._check_class(len(z), c)
        x = normalize_second_moment(z)
        if self.c_dim:
            x = torch.cat([x, self.embedded(c)], dim=1)
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    def sample(self, num: int, generator: torch.Generator | None, label: int | None = None) -> Tensor:
        """w [num, w_dim] of standard normal z, not truncated. A conditional network maps a random class with each,
        or the class `label` with all."""
        self.check_label(label)
        z = randomness.normal((num, self.z_dim), generator, self.w_avg)
        c = None
        if self.c_dim:
            labels = torch.randint(self.c_dim, (num,), generator=generator)
            c = F.one_hot(labels if label is None else torch.full_like(labels, label), self.c_dim).to(self.w_avg)
        return self.to_w(z, c)

    def centre(self, label: int | None = None) -> Tensor:
        """The mean of w, [w_dim], over all classes or in one, where it is that of 10,000 samples, seed 0."""
        return self.w_avg if label is None else self._sampled_mean(label)

    @torch.no_grad()
    def _sampled_mean(self, label: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        parts = [self.sample(1000, generator, label).double().mean(0) for _ in range(SAMPLES // 1000)]
        return torch.stack(parts).mean(0).to(self.w_avg)

    @torch.no_grad()
    def measure_std(self, num: int = SAMPLES, seed: int = 0, label: int | None = None) -> float:
        """Root mean square of |w - mean| over `num` samples, as NVIDIA's projector measures the size of W; of all
        classes together, or of the class `label` about its own mean."""
        centre, generator = self.centre(label), torch.Generator().manual_seed(seed)
        total = 0.0
        for start in range(0, num, 1000):
            w = self.sample(min(1000, num - start), generator, label)
            total += (w - centre).double().square().sum().item()
        return (total / num) ** 0.5

    @torch.no_grad()
    def track(self, w: Tensor, c: Tensor | None = None, beta: float = 0.998) -> None:
        """Move the mean w towards these w [N, w_dim], as training does."""
        self.w_avg.copy_(w.mean(0).lerp(self.w_avg, beta))

    def towards(self, w: Tensor, c: Tensor | None) -> Tensor:
        """What truncation pulls w [N, w_dim] towards, [w_dim] or [N, w_dim]: the mean over all classes."""
        return self.w_avg

    def forward(self, z: Tensor, c: Tensor | None = None, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """-> [N, L, w_dim]; `psi` < 1 pulls the first `cutoff` layers (None: all) towards the mean (truncation)."""
        w = self.to_w(z, c)
        ws = w.unsqueeze(1).repeat(1, self.num_ws, 1)
        if psi != 1:
            centre = self.towards(w, c)
            centre = centre if centre.ndim == 1 else centre.unsqueeze(1)
            ws[:, :cutoff] = centre.lerp(ws[:, :cutoff], psi)
        return ws
