"""What all style-based generators have in common: their latent spaces, the mean and the size of W, the steps between.

The latent space is the rank of the tensor given to the synthesis network, see `rusr_core.generator`.
"""

import torch
from torch import Tensor, nn

from rusr_core.errors import RusrError
from rusr_core.generator.mapping import Mapping

SPACES = ("W", "W+", "W++")  # by freedom; the rank of a latent tensor tells them apart


class LatentError(RusrError):
    """A latent tensor that fits none of W, W+ and W++ of the generator it was given to."""


def split_latents(ws: Tensor, rows: tuple[int, ...], depth: int) -> list[Tensor]:
    """Latents of each of the L vectors: [N, D] each for W and W+, [N, rows, D] each for W++. LatentError otherwise.

    `rows`: how many rows of W++ each of the L vectors serves; `depth`: D.
    """
    if not isinstance(ws, Tensor):
        raise LatentError(f"latents as a {type(ws).__name__}: expected a tensor in W, W+ or W++")
    if ws.ndim == 2 and ws.shape[1] == depth:
        return [ws] * len(rows)
    if ws.ndim == 3 and ws.shape[1:] == (len(rows), depth):
        return list(ws.unbind(1))
    if ws.ndim == 4 and ws.shape[1:] == (1, sum(rows), depth):
        return list(ws.squeeze(1).split(rows, dim=1))
    raise LatentError(
        f"latents of shape {tuple(ws.shape)}: expected W [N, {depth}], W+ [N, {len(rows)}, {depth}] "
        f"or W++ [N, 1, {sum(rows)}, {depth}]"
    )


class StyleGenerator(nn.Module):
    """z -> w -> image. A family gives `config`, `mapping` and `synthesis`, which has `rows` and `split`.

    The mapping and the synthesis network are used on their own by everything that searches the latent space.
    """

    mapping: Mapping

    def __init__(self) -> None:
        super().__init__()
        self.label: int | None = None
        self._w_std: float | None = None
        self.register_buffer("_class_mean", None, persistent=False)  # [D] of the class that was chosen

    @property
    def resolution(self) -> int:
        """R, the side of the images in pixels."""
        return self.config.resolution

    @property
    def w_mean(self) -> Tensor:
        """The mean of W, [D]: of the class that was chosen, else of all."""
        return self.mapping.centre() if self._class_mean is None else self._class_mean

    @property
    def w_std(self) -> float:
        """Root mean square of |w - w_mean|: the size of W. It is measured on 10,000 samples when it is first asked for,
        unless it was set, as by a loader that finds it beside the weights."""
        if self._w_std is None:
            self._w_std = self.mapping.measure_std(label=self.label)
        return self._w_std

    @w_std.setter
    def w_std(self, value: float) -> None:
        self._w_std = float(value)

    def choose(self, label: int | None) -> None:
        """Take one class of a conditional generator, from 0, or None for all of them, as a new generator does.

        From then on `w_mean` and `w_std` are those of the class, and samples are drawn from it. A class that the
        generator does not have is a RusrError.
        """
        self.mapping.check_label(label)
        self.label, self._w_std = label, None
        self._class_mean = None if label is None else self.mapping.centre(label).detach().clone()

    @property
    def num_ws(self) -> int:
        """L, the number of latent vectors that the synthesis network takes."""
        return len(self.rows)

    @property
    def rows(self) -> tuple[int, ...]:
        """For each of the L vectors, how many rows W++ has of it: the filters of the widest layer that it serves."""
        return self.synthesis.rows

    def widen(self, ws: Tensor, space: str) -> Tensor:
        """Latents in another space that has their freedom or more: "W", "W+" or "W++" (CVPR 2023, on three phases).

        W+ repeats w for each layer, W++ repeats each layer's vector for each of its filters: the image stays the same.
        """
        vectors, found = self.synthesis.split(ws), SPACES[ws.ndim - 2]
        wider = SPACES[ws.ndim - 2 :]
        if space not in wider:
            allowed = " or ".join(wider)
            raise LatentError(f"{found} {tuple(ws.shape)} cannot be turned into {space}, only into {allowed}")
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
