"""Factors and portraits for training, and the processes that share a batch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from tools.portraits.training.render_training_set import factors

HELD_OUT = 48  # the last people of the training set are never trained on: they fill the sheets


@dataclass(frozen=True)
class World:
    """The rank of this process and the number of processes that share each batch."""

    rank: int = 0
    size: int = 1

    def average(self, parameters: list[Tensor]) -> None:
        """Replace gradients by their mean over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat.div_(self.size).split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def load_images(path: Path, device: torch.device) -> np.ndarray | Tensor:
    """The pictures, uint8 `[identities, views, 3, 128, 128]`: read in place on a CPU, all in the memory of a GPU."""
    images = np.load(path, mmap_mode="r")
    return images if device.type == "cpu" else torch.from_numpy(np.array(images)).to(device)


def pick(images: np.ndarray | Tensor, people: Tensor, views: Tensor) -> Tensor:
    """Some of the pictures of `load_images`, uint8 `[n, 3, 128, 128]`."""
    if isinstance(images, Tensor):
        return images[people, views]
    pairs = zip(people.tolist(), views.tolist(), strict=True)
    return torch.from_numpy(np.stack([images[i, v] for i, v in pairs]))


class TrainingSet:
    """Factors with their portraits, with and without fine detail, drawn by seed and step."""

    def __init__(self, folder: Path, batch: int, seed: int, world: World, device: torch.device):
        self.images, self.flat = (load_images(folder / name, device) for name in ("images.npy", "flat.npy"))
        self.z = factors(*self.images.shape[:2]).to(device)
        self.size, self.seed, self.world, self.device = batch, seed, world, device

    def batch(self, seen: int) -> tuple[Tensor, Tensor, Tensor]:
        """This process's part of the batch after `seen` images: z `[n, Z_DIM]`; pictures with fine detail and without
        it, `[n, 3, 128, 128]` in [-1, 1]."""
        g = torch.Generator().manual_seed(self.seed * 1_000_003 + seen)
        people = torch.randint(len(self.images) - HELD_OUT, (self.size,), generator=g)
        views = torch.randint(self.images.shape[1], (self.size,), generator=g)
        mine = slice(self.world.rank, None, self.world.size)
        return self._rows(people[mine], views[mine])

    def held_out(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same of people that training never sees, one view each."""
        people = torch.arange(len(self.images) - HELD_OUT, len(self.images))
        return self._rows(people, torch.zeros_like(people))

    def _rows(self, people: Tensor, views: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        people, views = people.to(self.device), views.to(self.device)
        pictures = (pick(images, people, views).float() / 127.5 - 1 for images in (self.images, self.flat))
        return self.z[people, views], *pictures
