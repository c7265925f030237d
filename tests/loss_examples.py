"""Small losses and images for the tests of losses."""

import torch

from rusr_core.losses import L1, IdentityLoss, MultiscaleLPIPS, RestorationLoss, Term


class Net:
    """A tiny perceptual and identity network that counts its calls."""

    def __init__(self):
        self.calls = 0
        self.filters = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))

    def features(self, x):
        self.calls += 1
        maps = torch.nn.functional.conv2d(x, self.filters).relu()
        return [maps / (maps.square().sum(1, keepdim=True) + 1e-6).sqrt()]

    def embed(self, x):
        self.calls += 1
        return torch.nn.functional.normalize(x.mean((2, 3)), dim=1)


def loss_of(perceptual, identity=None, weight=0.1, oracle=False):
    """LPIPS + 0.1 L1 + weight ID."""
    terms = [Term("lpips", 1.0, MultiscaleLPIPS(perceptual)), Term("l1", 0.1, L1())]
    if identity is not None:
        terms.append(Term("identity", weight, IdentityLoss(identity, oracle)))
    return RestorationLoss(tuple(terms))


def images(num=2, size=64, seed=1):
    return torch.rand(num, 3, size, size, generator=torch.Generator().manual_seed(seed))
