"""What a restoration needs to know of a prior. Where priors come from: `rusr_core.priors`."""

from dataclasses import dataclass

from rusr_core.generator import Generator
from rusr_core.networks.perceptual import Perceptual
from rusr_core.networks.recognition import Embedder


@dataclass(frozen=True)
class Prior:
    """What a restoration needs to know: frozen networks, and the scale of the learning rates."""

    name: str
    generator: Generator
    perceptual: Perceptual  # what looks alike
    identity: Embedder | None  # who it is; None: a domain without an identity network
    w_radius: float  # root mean square of |w - w_avg|
    lr_scale: float  # w_radius / 12; FFHQ, whose rates were published, keeps 1
