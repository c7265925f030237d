"""deepinv, both ways (the extra `rusr[deepinv]`; https://deepinv.org, version 0.5).

Their physics are degradations for us as they are: `restore(prior, y, physics)`. Here our side becomes theirs: a
degradation a `deepinv.physics.Physics`, the restoration a `deepinv.models.Reconstructor`.
"""

import torch
from torch import Tensor

from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.errors import RusrError
from rusr_core.limits import check_seed
from rusr_core.presets import Preset, get
from rusr_core.prior import Prior
from rusr_core.randomness import checked
from rusr_core.restore import restore

try:
    from deepinv.models import Reconstructor
    from deepinv.physics import Physics
except ImportError as error:
    raise RusrError(f"rusr_core.interop needs deepinv ({error}): pip install 'rusr[deepinv]'") from error


class DegradationPhysics(Physics):
    """A degradation of ours, or whatever `as_operator` takes for one, as a nonlinear `Physics`.

    `A(x)` is the surrogate with its noise at its mean, for x `[N, 3, H, W]` about [0, 1]; `A_vjp(x, v)` its
    vector-Jacobian product. The call `physics(x)` is the true operation, 8 bit and noise included, without gradient.

    Args:
        f: the degradation. A random one must say its mean, by `expected(x)`.
        generator: one `torch.Generator` on the CPU, of which the noise of `physics(x)` is drawn; where f draws nothing,
            None. `physics(x, seed=3)` seeds it first, as deepinv's noise models do.
    """

    def __init__(self, f: AnyOperator, generator: torch.Generator | None = None):
        super().__init__()
        self.f = as_operator(f)
        self.generator = generator

    def A(self, x: Tensor, **kwargs: object) -> Tensor:  # noqa: N802, deepinv's name
        """The surrogate without noise: x `[N, 3, H, W]` about [0, 1] -> `[N, 3, h, w]`, with gradient."""
        return self.f.expected(x)

    def forward(self, x: Tensor, seed: int | None = None, **kwargs: object) -> Tensor:
        """The measurement y: x `[N, 3, H, W]` in [0, 1] -> `[N, 3, h, w]`, 8-bit values, without gradient."""
        if seed is not None:
            check_seed(seed)
            checked(self.generator).manual_seed(seed)
        return self.f.degrade(x, self.generator)


class RUSRReconstructor(Reconstructor):
    """The restoration as a model of deepinv: `model(y, physics)` searches for the image that explains y.

    `physics` is any `Physics` whose images are the prior's, `[N, 3, R, R]` in [0, 1]: theirs, or a
    `DegradationPhysics`, of which the search follows the surrogate with its noise. Settings as in `restore.restore`.
    y is brought to the prior's device, and the images come back to y's.
    """

    def __init__(self, prior: Prior, preset: str | Preset = "default", seed: int = 0):
        super().__init__()
        check_seed(seed)
        self.prior, self.preset, self.seed = prior, get(preset), seed

    def forward(self, y: Tensor, physics: Physics, **kwargs: object) -> Tensor:
        """y `[N, 3, h, w]`, about [0, 1] -> images `[N, 3, R, R]` in [0, 1], without gradient.

        Raises what `restore` raises.
        """
        f = physics.f if isinstance(physics, DegradationPhysics) else physics
        result = restore(self.prior, y.detach(), f, preset=self.preset, seed=self.seed)
        return result.image.to(y.device)
