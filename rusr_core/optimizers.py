"""The optimisers of the search. Latents are rows: the last axis is one vector of the generator's W space.

A learning rate is a length in that space: how far one row moves in one step. So the rates of all optimisers are
of one kind, and carry over to generators of another width or radius. Chapter: book/phases.ipynb.
"""

import functools
import inspect
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.limits import check_positive

# Makes the optimiser of a phase: of the latents, one tensor [1, ...] an image, and the length of a row's step.
OptimizerFactory = Callable[[list[Tensor], float], torch.optim.Optimizer]


class OptimizerError(RusrError):
    """An optimiser that is not known, or that cannot be made."""


class NormalizedGradientDescent(torch.optim.Optimizer):
    """p <- p - lr g / |g| for each row g of the gradient (CVPR 2023): every row moves exactly `lr`.

    A row whose norm is zero or not finite stays where it is, as in the published code.
    """

    def __init__(self, params: Iterable[Tensor], lr: float):
        check_positive("lr", lr, OptimizerError)
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step; `closure`, if given, computes the loss and its gradients anew, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                norm = p.grad.square().sum(-1, keepdim=True).sqrt()  # [..., 1]
                moves = (norm > 0) & norm.isfinite()
                direction = torch.where(moves, p.grad / norm, 0.0).nan_to_num(0.0)
                p.sub_(direction, alpha=group["lr"])
        return loss


def adam(latents: list[Tensor], lr: float) -> torch.optim.Optimizer:
    """Kingma & Ba, ICLR 2015, with torch's betas (0.9, 0.999). Each of a row's D numbers moves by about lr / sqrt(D):
    the row moves by about lr. Raises OptimizerError for a rate that is not positive."""
    check_positive("lr", lr, OptimizerError)
    return torch.optim.Adam(latents, lr / latents[0].shape[-1] ** 0.5)


def sgd(latents: list[Tensor], lr: float) -> torch.optim.Optimizer:
    """Gradient descent without momentum; the length of a step is lr |g|. Raises OptimizerError, as `adam` does."""
    check_positive("lr", lr, OptimizerError)
    return torch.optim.SGD(latents, lr)


CITES = {"adam": ("kingma2015adam",), "ngd": ("poirierginter2023robust",)}  # the papers of those that have one
OPTIMIZERS: dict[str, OptimizerFactory] = {"adam": adam, "ngd": NormalizedGradientDescent, "sgd": sgd}


def make_optimizer(optimizer: str | OptimizerFactory, latents: list[Tensor], lr: float) -> torch.optim.Optimizer:
    """The optimiser of a phase: by a name in OPTIMIZERS, or by a function of (latents, lr) of one's own.

    Latents whose gradient is None must stay where they are, as torch's optimisers leave them: those images have
    stopped. Raises OptimizerError for an optimiser that is not known, for a rate that is not positive, and for a
    function that makes something else, or what has to compute the losses itself, as L-BFGS does.
    """
    factory = OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer
    if factory is None:
        known = ", ".join(OPTIMIZERS)
        raise OptimizerError(f"optimiser {optimizer!r}: expected one of {known}, or a function of (latents, lr)")
    check_positive("lr", lr, OptimizerError)
    made = factory(latents, lr)
    if not isinstance(made, torch.optim.Optimizer):
        raise OptimizerError(f"{name_of(optimizer)} made {type(made).__name__}: expected a torch.optim.Optimizer")
    closure = inspect.signature(made.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:  # it would compute the losses of all images again
        raise OptimizerError(
            f"{type(made).__name__}.step needs a closure: expected an optimiser of one gradient a step"
        )
    return made


def name_of(optimizer: str | OptimizerFactory) -> str:
    """The name of an optimiser, as records show it: one of OPTIMIZERS, or "module:name" of a function."""
    if isinstance(optimizer, str):
        return optimizer
    while isinstance(optimizer, functools.partial):
        optimizer = optimizer.func
    return f"{optimizer.__module__}:{getattr(optimizer, '__qualname__', type(optimizer).__qualname__)}"
