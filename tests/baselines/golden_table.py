"""A line for each golden array that a test compares: what it checks, how far ours is off, and what is allowed."""

import torch


def compare(name: str, ours: torch.Tensor, arrays: dict, tolerance: float, *, relative: bool = True) -> None:
    """Assert that ours agrees with the array `name`, within `tolerance`, times its scale if `relative`."""
    wanted = arrays[name].double()
    ours = torch.as_tensor(ours).detach().double().reshape(wanted.shape)
    scale = wanted.abs().max().item() if relative else 1.0
    error = (ours - wanted).abs().max().item()
    print(f"{name:48} scale {wanted.abs().max().item():9.3g}  off {error:8.1e}  allowed {tolerance * scale:8.1e}")
    assert error <= tolerance * scale, f"{name}: off by {error:.2e}, allowed {tolerance * scale:.2e}"
