"""Face embedders: who is in the picture."""

from typing import Protocol

from torch import Tensor


class Embedder(Protocol):
    """What the identity loss and metric ask of a face-recognition network."""

    def embed(self, x: Tensor) -> Tensor:
        """x [N, 3, H, W] in [0, 1] -> [N, E] of unit norm."""
