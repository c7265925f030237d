"""The codec of the public code of DDRM for JPEG, written from its description: what the golden trajectories used.

RGB in [-1, 1]; luma in 8 x 8 blocks, of colours every second sample; tables of the standard in natural order, scaled
as libjpeg does; nothing is clamped or rounded but the coefficients; decoded colours are repeated.
"""

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch import Tensor

TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])  # four digits there
TO_RGB = np.linalg.inv(TO_YCC)


def coefficients(x: Tensor, tables: np.ndarray) -> list[np.ndarray]:
    """Rounded quotients of Y `[N, 1, H, W]` and of Cb and Cr `[N, 2, H / 2, W / 2]`; tables `[2, 64]`."""
    pixels = (x.double().numpy() + 1) / 2 * 255
    ycc = np.einsum("ij,njhw->nihw", TO_YCC, pixels)
    parts = ycc[:, :1] - 128, ycc[:, 1:, ::2, ::2]
    return [np.round(_blocks(part, dctn) / table) for part, table in zip(parts, _tiles(parts, tables), strict=True)]


def round_trip(x: Tensor, tables: np.ndarray) -> Tensor:
    """J(x): `x` `[N, 3, H, W]` in [-1, 1] encoded and decoded."""
    quotients = coefficients(x, tables)
    luma, chroma = (
        _blocks(part * table, idctn) for part, table in zip(quotients, _tiles(quotients, tables), strict=True)
    )
    chroma = chroma.repeat(2, 2).repeat(2, 3)
    ycc = np.concatenate([luma + 128, chroma], 1)
    pixels = np.einsum("ij,njhw->nihw", TO_RGB, ycc)
    return torch.from_numpy(pixels / 255 * 2 - 1).to(x)


def _tiles(parts: list[np.ndarray], tables: np.ndarray) -> list[np.ndarray]:
    tables = tables.reshape(2, 8, 8)
    return [np.tile(t, (p.shape[2] // 8, p.shape[3] // 8)) for p, t in zip(parts, tables, strict=True)]


def _blocks(x: np.ndarray, transform) -> np.ndarray:
    n, c, h, w = x.shape
    blocks = transform(x.reshape(n, c, h // 8, 8, w // 8, 8), axes=(3, 5), norm="ortho")
    return blocks.reshape(n, c, h, w)
