"""Diffusion priors by name or by path: the denoiser of the embedded portraits, or one of our training's files."""

from pathlib import Path

import torch

from rusr_core.arithmetic import gradients, usable_device
from rusr_core.checkpoints.networks import load_denoiser
from rusr_core.files import DataError, data_path
from rusr_core.prior import DiffusionPrior, Prior
from rusr_core.priors.zoo import EMBEDDED, ZooError

DENOISER = "portraits/denoiser.safetensors"  # of the embedded prior, in data/


@gradients()  # weights that are made in torch.inference_mode let no gradient through
def load_diffusion_prior(name_or_path: str | Path = EMBEDDED, *, device: str | torch.device = "cpu") -> DiffusionPrior:
    """The prior that the diffusion rivals restore with: frozen, float32, on `device`.

    `name_or_path` is "portraits-128", or a file that `checkpoints.save_denoiser` wrote. ZooError for another name, and
    where the denoiser's weights are not installed; CheckpointError for a file that cannot be read; DeviceError.
    """
    device = usable_device(device)
    path = Path(name_or_path)
    if str(name_or_path) == EMBEDDED:
        path = _embedded()
    elif not path.is_file() and not path.suffix:
        raise ZooError(f"diffusion prior {str(name_or_path)!r}: expected {EMBEDDED!r} or the file of a denoiser")
    name = EMBEDDED if str(name_or_path) == EMBEDDED else path.stem
    return DiffusionPrior(name, load_denoiser(path).to(device), device)


def denoiser_beside(prior: Prior, name_or_path: str, denoiser: str | Path | None = None) -> DiffusionPrior:
    """What diffusion methods restore with where others use `prior`, which was loaded as `name_or_path`.

    It is the file `denoiser`, or that of the embedded prior. ZooError if there is none, or one for another resolution.
    """
    if denoiser is None and str(name_or_path) != EMBEDDED:
        raise ZooError(f"no denoiser is known for the prior {str(name_or_path)!r}: expected its file, --denoiser")
    found = load_diffusion_prior(EMBEDDED if denoiser is None else denoiser, device=prior.device)
    if found.resolution != prior.resolution:
        sides = f"{found.resolution} px, the prior {prior.name!r} makes images of {prior.resolution} px"
        raise ZooError(f"the denoiser {found.name!r} is for {sides}: expected the same")
    return found


def _embedded() -> Path:
    try:
        return data_path(DENOISER)
    except DataError:
        raise ZooError(
            f"the denoiser of {EMBEDDED} is not installed: expected data/{DENOISER}, or --denoiser FILE, which "
            "python -m tools.portraits.training.train_denoiser --data RENDERS --out FOLDER trains"
        ) from None
