"""What must hold before a search begins, and what its result says of where it was made."""

from collections.abc import Callable
from types import UnionType

import torch
from torch import Tensor

from rusr_core import arithmetic, optimizers
from rusr_core.citations import cited
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.deepinv_physics import left_out
from rusr_core.degradations.free import found_numbers, free_stages
from rusr_core.degradations.operator import mask_of, shape_after
from rusr_core.degradations.resampling import Enlarged
from rusr_core.generator import SPACES
from rusr_core.latents import space
from rusr_core.limits import check_seed, shown
from rusr_core.losses.terms import RestorationLoss, Term
from rusr_core.optimizers import name_of
from rusr_core.presets import Preset
from rusr_core.prior import Prior, prior_shape
from rusr_core.search.objective import Objective
from rusr_core.search.stopping import RestorationError

HIDDEN = "the mask of {} hides the whole image: nothing but the prior decides what is found"
SCALED = -0.25  # a y of which a tenth lies below it is more likely scaled to [-1, 1] than noisy


def check_call(prior: object, kinds: type | UnionType, seed: object, callback: object) -> None:
    """RestorationError for what is no prior of these kinds, no seed, or cannot be called after a step."""
    if not isinstance(prior, kinds):
        names = " or a ".join(kind.__name__ for kind in getattr(kinds, "__args__", (kinds,)))
        raise RestorationError(f"the prior is a {type(prior).__name__}: expected a {names}, as priors.load_prior makes")
    check_seed(seed, RestorationError)
    if callback is not None and not callable(callback):
        raise RestorationError(f"callback is {shown(callback)}: expected a function of a Step, or None")


def images(y: object, name: str) -> Tensor:
    """Images [N, 3, h, w] of floats, as float32. RestorationError for anything else."""
    if not isinstance(y, Tensor) or y.ndim != 4 or y.shape[1] != 3 or not y.numel() or not y.is_floating_point():
        found = f"{tuple(y.shape)}, {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise RestorationError(f"{name} is {found}: expected floats [N, 3, h, w]")
    y = y.detach().float()
    return y.clone() if y.is_inference() else y  # no gradient could flow past a tensor of torch.inference_mode


def check_values(y: Tensor, notes: list[str]) -> None:
    """Every value is finite, and each image as a whole lies in [0, 1], though single values of a noisy one need not."""
    if not y.isfinite().all():
        raise RestorationError(f"y holds {int((~y.isfinite()).sum())} values of NaN or infinity: expected finite ones")
    means, span = y.mean((1, 2, 3)), f"y lies in [{y.min():.3g}, {y.max():.3g}]"
    wrong = ((means < 0) | (means > 1)).nonzero().flatten().tolist()
    if wrong:
        mean = f"with a mean of {means[wrong[0]]:.3g} in image {wrong[0]}"
        raise RestorationError(f"{span}, {mean}: expected images with values in [0, 1], give or take their noise")
    if (y < SCALED).float().mean() > 0.1:
        notes.append(f"{span}: images have values in [0, 1], give or take their noise; were these scaled to [-1, 1]?")


def mask_for(f: Degradation, y: Tensor, like: Tensor, notes: list[str]) -> Tensor | None:
    """The mask of f, if it has one, [N or 1, 1, h, w]. RestorationError if f, applied to images `like` [N, 3, R, R],
    cannot have made y, or gives the search no gradient to follow."""
    if not torch.is_grad_enabled():
        raise RestorationError(
            "gradients are off, as in torch.no_grad(): expected them on, since the method needs them"
        )
    made = shape_after(f, like)
    if made != tuple(y.shape):
        unsized = any(isinstance(stage.f, Enlarged) and not stage.f.after for stage in free_stages(f))
        hint = f"; right after a free factor, resize:{y.shape[2]}+{y.shape[3]} says its size" if unsized else ""
        raise RestorationError(f"f(G(w)) is {made} but y is {tuple(y.shape)}: f did not make y{hint}")
    for stage in f.stages:
        noise = left_out(getattr(stage, "f", None))
        if noise:
            notes.append(f"{noise} of {stage} has no surrogate: the search compares y with A(x), without noise")
    mask = mask_of(f, like)
    if mask is not None and not (mask > 0).any():
        notes.append(HIDDEN.format(f))
        return mask
    _check_gradient(f, like)
    return mask


def _check_gradient(f: Degradation, like: Tensor) -> None:
    """Tried on one image of noise, for an output that weighs its values differently."""
    draw = torch.Generator().manual_seed(0)
    x = torch.rand((1, *like.shape[1:]), generator=draw).to(like).requires_grad_(True)
    with torch.enable_grad():
        made = f.for_image(0).forward(x, draw)
    needed = "expected a differentiable surrogate as its forward, which the search can follow"
    if not made.requires_grad:
        raise RestorationError(f"f = {f} gives no gradient: {needed}")
    weights = torch.rand(made.shape, generator=torch.Generator().manual_seed(1)).to(made)
    (gradient,) = torch.autograd.grad((made * weights).sum(), x, allow_unused=True)
    if gradient is None or not gradient.any():
        raise RestorationError(f"the gradient of f = {f} is zero everywhere, as that of rounding is: {needed}")
    if not gradient.isfinite().all():
        raise RestorationError(f"the gradient of f = {f} holds NaN or infinity: {needed}")


def check_followed(total: Tensor) -> None:
    """RestorationError for a loss [n] that the latents do not change: one's own may be computed without a gradient."""
    if not total.requires_grad:
        raise RestorationError("the loss gives no gradient: expected a term that depends on the guess by torch's means")


def loss_for(
    prior: Prior,
    preset: Preset,
    y: Tensor,
    masked: bool,
    clean: Tensor | None,
    loss: RestorationLoss | Callable[..., Tensor] | None,
    notes: list[str],
) -> tuple[RestorationLoss, Tensor | None]:
    """The sum of terms that can act on y, and the clean images if one of them looks at these. What was asked for and
    cannot act becomes a note."""
    if loss is None:
        loss = preset.loss(prior)
        for name, weight, network in (
            ("lpips", 1, prior.perceptual),
            ("identity", preset.identity_weight, prior.identity),
        ):
            if weight and network is None:
                notes.append(f"preset {preset.name!r} asks for the term {name!r}, but the prior {prior.name!r} has no "
                             "network for it: the search goes without")  # fmt: skip
    elif not isinstance(loss, RestorationLoss):
        if not callable(loss):
            found = type(loss).__name__
            raise RestorationError(f"loss is {found}: expected a RestorationLoss or a function of a Guess")
        loss = RestorationLoss((loss if isinstance(loss, Term) else Term("loss", 1.0, loss),))
    size = tuple(y.shape[2:])
    blind = loss.blind(size)
    if blind:
        notes.append(f"y of {size[1]}x{size[0]} px is too small for {' and '.join(blind)}: the search goes without")
    loss = loss.fit(size, masked)
    if not loss.terms:
        raise RestorationError(f"no term of the loss can act on y of {size[1]}x{size[0]} px: expected one or more")
    return loss, _reference(prior, loss, clean, len(y), preset, notes)


def _reference(
    prior: Prior, loss: RestorationLoss, clean: Tensor | None, num: int, preset: Preset, notes: list[str]
) -> Tensor | None:
    """The clean images if a term is an oracle, else None."""
    if not any(getattr(term.loss, "oracle", False) for term in loss.terms):
        if clean is not None:
            notes.append(f"clean= is not looked at: no term of preset {preset.name!r} is an oracle here")
        return None
    if clean is None:
        raise RestorationError("identity_reference='clean' is an oracle: restore(..., clean=...) is needed")
    shape = prior_shape(prior, num)
    clean = images(clean, "clean")
    if clean.shape != shape:
        raise RestorationError(f"clean is {tuple(clean.shape)}: expected an image for each y, {shape}")
    if not clean.isfinite().all():
        raise RestorationError(f"clean holds {int((~clean.isfinite()).sum())} values of NaN or infinity: expected none")
    return clean.to(prior.device)


def first_latents(prior: Prior, preset: Preset, num: int, start: Tensor | None) -> Tensor:
    """Where the search begins: the mean of W [N, D], or `start` in a space that the first phase can widen."""
    mean = prior.generator.w_mean.detach().expand(num, -1).clone()
    if start is None:
        return mean
    first = preset.phases[0].space
    allowed = SPACES[: SPACES.index(first) + 1]
    shapes = {name: tuple(prior.generator.widen(mean, name).shape) for name in allowed}
    expected = " or ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    if not isinstance(start, Tensor) or tuple(start.shape) not in shapes.values():
        found = type(start).__name__
        if isinstance(start, Tensor):
            found = f"{space(start)} {tuple(start.shape)}" if 2 <= start.ndim <= 4 else f"{tuple(start.shape)}"
        raise RestorationError(f"start is {found}: expected {expected}, since the first phase searches {first}")
    if not start.is_floating_point():
        raise RestorationError(f"start is of {start.dtype}: expected floats")
    if not start.isfinite().all():
        raise RestorationError("start holds NaN or infinity: expected finite latents")
    return start.detach().clone().to(mean)


def facts_of_unknown(f: Degradation, objective: Objective, samples: int) -> dict[str, object]:
    """What a result records of the free numbers of f, if it has any."""
    return {"free": found_numbers(f, objective.unknown, samples)} if objective.unknown else {}


def facts(
    prior: Prior, f: Degradation, preset: Preset, loss: RestorationLoss, twice: bool, notes: list[str]
) -> dict[str, object]:
    """What a result records of itself, as plain JSON values. `twice`: f was drawn twice a step."""
    functions = [term.loss for term in loss.terms]
    looked_at = [getattr(function, "network", None) for function in functions]
    networks = [getattr(network, "network", network) for network in looked_at]  # LookOnce holds another
    papers = cited(preset, prior.generator, *functions, *networks, *f.stages)
    papers += optimizers.CITES.get(name_of(preset.optimizer), ())
    papers += ["gneiting2007strictly"] if twice else []
    return {
        "prior": prior.name,
        "lr_scale": prior.lr_scale,
        "degradation": str(f),
        "device": str(prior.device),
        "threads": torch.get_num_threads(),
        "arithmetic": arithmetic.description(),
        "torch": torch.__version__,
        "warnings": list(notes),
        "references": list(dict.fromkeys(papers)),
    }
