"""Which weights a network has: what recordings and tuned settings name, and are compared by."""

import hashlib

import torch
from torch import nn

SHOWN = 12  # digits of a digest that a message shows


def weights_digest(network: object) -> str | None:
    """SHA-256 of a network's tensors by name, wherever they came from; None for no network."""
    if not isinstance(network, nn.Module):
        return None if network is None else type(network).__qualname__
    sha = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
