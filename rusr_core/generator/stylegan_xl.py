"""StyleGAN-XL: StyleGAN3's layers in stages, and classes that a classifier's features describe.

Sauer et al., "StyleGAN-XL: Scaling StyleGAN to Large Diverse Datasets", SIGGRAPH 2022,
https://arxiv.org/abs/2202.00273. A stem of 16 px is trained first, then super-resolution heads, one upon the other
(`alias_free.add_head`); what is loaded here is the whole chain.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from rusr_core.generator.layers import FullyConnected, normalize_second_moment
from rusr_core.generator.mapping import Mapping
from rusr_core.generator.stylegan3 import StyleGAN3
from rusr_core.generator.stylegan3_config import StyleGANXLConfig


class ClassTable(nn.Module):
    """The table of class features, [rows, features]; of rows beyond the classes nothing is used."""

    def __init__(self, rows: int, features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, features))


class XLMapping(Mapping):
    """Mapping network with a table of class features and one mean of w for each class.

    The table stands in the files of unconditional networks, too, and is not read there.
    """

    def __init__(self, config: StyleGANXLConfig, num_ws: int):
        super().__init__(config, num_ws)
        if config.c_dim:
            self.w_avg = torch.zeros(config.c_dim, config.w_dim)

    def _embedding(self, config: StyleGANXLConfig) -> int:
        if config.table is not None:
            self.embed = ClassTable(*config.table)
        if not config.c_dim:
            return 0
        self.embed_proj = FullyConnected(config.table[1], config.z_dim, activation=True)
        return config.z_dim

    def embedded(self, c: Tensor) -> Tensor:
        """c [N, c_dim] -> the features of its largest entry's class beside z; soft labels are not mixed."""
        return normalize_second_moment(self.embed_proj(self.embed.weight[c.argmax(1)]))

    def centre(self, label: int | None = None) -> Tensor:
        """The mean of w, [w_dim], that training kept: of one class, or the mean over all of them."""
        if not self.c_dim:
            return self.w_avg
        return self.w_avg.mean(0) if label is None else self.w_avg[label]

    @torch.no_grad()
    def track(self, w: Tensor, c: Tensor | None = None, beta: float = 0.998) -> None:
        """Move the mean w of each one's class, one after another, as training does."""
        if c is None or not self.c_dim:
            return super().track(w, c, beta)
        for value, label in zip(w, c.argmax(1), strict=True):
            self.w_avg[label] = value.lerp(self.w_avg[label], beta)

    def towards(self, w: Tensor, c: Tensor | None) -> Tensor:
        """What truncation pulls w towards: the mean of each one's class."""
        return self.w_avg if c is None or not self.c_dim else self.w_avg[c.argmax(1)]


def nearest(centroids: Tensor, w: Tensor) -> Tensor:
    """For each w [N, D] the nearest of the `centroids` [M, D], [N, D]: what multi-modal truncation pulls it
    towards (Mokady et al., "Self-Distilled StyleGAN", SIGGRAPH 2022). StyleGAN-XL publishes centroids for ImageNet."""
    return centroids[torch.cdist(w, centroids.to(w)).argmin(1)].to(w)


class StyleGANXL(StyleGAN3):
    """StyleGAN-XL: z and a class -> w -> image."""

    CITES: ClassVar[tuple[str, ...]] = ("sauer2022styleganxl", "karras2021alias")
    CONFIG: ClassVar[type[StyleGANXLConfig]] = StyleGANXLConfig

    def _mapping(self, config: StyleGANXLConfig) -> Mapping:
        return XLMapping(config, self.num_ws)
