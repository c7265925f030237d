"""What the search minimises, a sum of terms (`terms`), each a function of one guess of the search (`guess`)."""

from rusr_core.losses.guess import Guess, LookOnce, LossError
from rusr_core.losses.terms import (
    L1,
    IdentityLoss,
    MultiscaleLPIPS,
    RestorationLoss,
    Target,
    Term,
    energy_score,
    l1,
)

__all__ = [
    "L1", "Guess", "IdentityLoss", "LookOnce", "LossError", "MultiscaleLPIPS", "RestorationLoss", "Target", "Term",
    "energy_score", "l1",
]  # fmt: skip
