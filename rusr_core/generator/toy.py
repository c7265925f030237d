"""A generator whose latents are one number and whose pictures are points of a plane: for seeing, not for restoring.

A picture has two pixels, with brightnesses x_1 and x_2 above mid-grey. Two layers draw them with three filters, each
of which reads one number:

    x_1 = w_1                of layer 1
    x_2 = w_a^2 - w_b        of the two filters of layer 2

    W    [N, 1]        w_1 = w_a = w_b     the pictures are a parabola, x_2 = x_1^2 - x_1: the manifold
    W+   [N, 2, 1]     w_a = w_b           all pictures with x_2 >= -1/4
    W++  [N, 1, 3, 1]  all three free      all pictures

So every word of the search can be drawn on paper, and its steps computed by hand. Chapter: book/plane.ipynb.
"""

import torch
from torch import Tensor

from rusr_core.generator.base import LatentError

CONTRAST = 0.25  # of a picture's values in [0, 1] for a brightness of one


class ToyGenerator:
    """A `prior.LatentGenerator` that needs no weights: it draws pictures of 2 x 2 px with two equal rows.

    The left column shows x_1, the right one x_2, in grey: value = 1/2 + x / 4.
    """

    resolution = 2
    w_std = 0.5

    def __init__(self) -> None:
        self.w_mean = torch.tensor([0.2], dtype=torch.float64)

    def widen(self, ws: Tensor, space: str) -> Tensor:
        """Latents in W or W+ in the `space` "W", "W+" or "W++": the same pictures. LatentError if that is narrower."""
        ranks = {"W": 2, "W+": 3, "W++": 4}
        if space not in ranks or ws.dim() > ranks[space] or ws.dim() not in ranks.values():
            raise LatentError(f"latents {tuple(ws.shape)} in {space!r}: expected a space of {', '.join(ranks)} as wide")
        if ws.dim() == 2 and space != "W":
            ws = ws[:, None].expand(-1, 2, -1)  # one number a layer
        if ws.dim() == 3 and space == "W++":
            ws = ws[:, [0, 1, 1]][:, None]  # one number a filter: layer 2 has two
        return ws

    def brightness(self, ws: Tensor) -> Tensor:
        """Latents of any of the three spaces -> points of the plane [N, 2], (x_1, x_2)."""
        first, a, b = self.widen(ws, "W++")[:, 0, :, 0].unbind(1)
        return torch.stack([first, a.square() - b], 1)

    def image(self, ws: Tensor) -> Tensor:
        """Latents of any of the three spaces -> pictures [N, 3, 2, 2], nominally in [0, 1]."""
        return picture_of(self.brightness(ws))


def picture_of(points: Tensor) -> Tensor:
    """Points of the plane [N, 2] as pictures [N, 3, 2, 2]."""
    return (0.5 + CONTRAST * points)[:, None, None].expand(-1, 3, 2, -1)


def point_of(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, 2, 2] as points of the plane [N, 2], the mean of their equal values."""
    return (pictures.mean((1, 2)) - 0.5) / CONTRAST
