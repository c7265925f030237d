"""The presets with one part taken away, exchanged or scaled: what the ablation runs.

A variant differs from its preset in the part that its name says and in nothing else; no rate was tuned again for it.
`rusr bench OUT --methods variants` runs them all, `--methods rates` those whose rates are a quarter to four times
the preset's. Chapter: book/ablations.ipynb.
"""

import dataclasses
import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from rusr_core.degradations.base import Operator
from rusr_core.latents import sample_w
from rusr_core.limits import check_positive
from rusr_core.losses.guess import visible
from rusr_core.losses.terms import MultiscaleLPIPS, PyramidTarget, RestorationLoss
from rusr_core.presets import Phase, Preset, PresetError, get
from rusr_core.prior import Prior
from rusr_core.restore import Restoration, Step, restore


def in_spaces(preset: Preset, *spaces: str) -> tuple[Phase, ...]:
    """The preset's phases in these spaces only; they share the steps of all its phases equally."""
    steps = sum(phase.steps for phase in preset.phases) // len(spaces)
    known = {phase.space: phase for phase in preset.phases}
    return tuple(dataclasses.replace(known[space], steps=steps) for space in spaces)


def scaled(preset: Preset, *, lr: float = 1.0, steps: float = 1.0, space: str | None = None) -> tuple[Phase, ...]:
    """The preset's phases with learning rates and numbers of steps multiplied, those of one space or of all.

    A phase keeps at least one step. Raises PresetError for a factor that is not positive.
    """
    for name, factor in (("lr", lr), ("steps", steps)):
        check_positive(name, factor, PresetError)
    return tuple(
        dataclasses.replace(phase, lr=phase.lr * lr, steps=max(1, round(phase.steps * steps)))
        if space in (None, phase.space)
        else phase
        for phase in preset.phases
    )


def _variants() -> dict[str, Preset]:
    ours, published = get("default"), get("cvpr2023")
    changes: dict[str, tuple[Preset, dict]] = {
        "default": (ours, {}),
        "cvpr2023": (published, {}),
        # fewer phases; no other order, since a latent can be widened, never narrowed
        "W": (ours, {"phases": in_spaces(ours, "W")}),
        "W+": (ours, {"phases": in_spaces(ours, "W+")}),
        "W++": (ours, {"phases": in_spaces(ours, "W++")}),
        "W++-fast": (ours, {"phases": (dataclasses.replace(in_spaces(ours, "W++")[0], lr=ours.phases[0].lr),)}),
        "W-W+": (ours, {"phases": in_spaces(ours, "W", "W+")}),
        "W-W++": (ours, {"phases": in_spaces(ours, "W", "W++")}),
        "W+-W++": (ours, {"phases": in_spaces(ours, "W+", "W++")}),
        # the optimiser, at the same rates
        "default-ngd": (ours, {"optimizer": "ngd"}),
        "default-sgd": (ours, {"optimizer": "sgd"}),
        # the loss
        "default-noid": (ours, {"identity_weight": 0.0}),
        "default-oracle": (ours, {"identity_reference": "clean"}),  # ORACLE: it is shown the truth
        "default-single": (ours, {"lpips_levels": 1}),
        # random degradations: one draw a step, as published, or the energy score of two
        "default-draws1": (ours, {"draws": 1}),
        "cvpr2023-draws2": (published, {"draws": 2}),
        # early stopping
        "default-nostop": (ours, {"patience": None}),
    }
    for base, spaces in ((ours, (None, "W", "W+", "W++")), (published, (None,))):
        for space in spaces:  # None: all phases at once
            part = base.name if space is None else f"{base.name}-{space}"
            for label, factor in (("05", 0.5), ("2", 2.0)):
                changes[f"{part}-lr{label}"] = base, {"phases": scaled(base, lr=factor, space=space)}
                changes[f"{part}-steps{label}"] = base, {"phases": scaled(base, steps=factor, space=space)}
    return {name: dataclasses.replace(base, name=name, **change) for name, (base, change) in changes.items()}


VARIANTS: dict[str, Preset] = _variants()

FACTORS = {"025": 0.25, "05": 0.5, "2": 2.0, "4": 4.0}  # of all learning rates at once, beside 1


def _rates() -> dict[str, Preset]:
    """Both presets with all their rates multiplied: {name: preset}, with `NAME` itself in the middle."""
    found: dict[str, Preset] = {}
    for base in (get("default"), get("cvpr2023")):
        scales = sorted([*FACTORS.items(), ("", 1.0)], key=lambda pair: pair[1])
        for label, factor in scales:
            name = f"{base.name}-lr{label}" if label else base.name
            found[name] = dataclasses.replace(base, name=name, phases=scaled(base, lr=factor))
    return found


RATES: dict[str, Preset] = _rates()  # how much a rate matters; `rusr bench OUT --methods rates`


def random_start(
    prior: Prior,
    y: Tensor,
    f: Operator,
    *,
    preset: str | Preset = "default",
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
) -> Restoration:
    """`restore` from a random w instead of the mean: the variant "default-random", which no preset can say.

    An image's w follows from the seed and the image's own bytes, so that each has its own, alone or in a batch.
    """
    draws = [torch.Generator().manual_seed(_word(seed, image)) for image in y]
    start = torch.cat([sample_w(prior.generator, 1, generator=draw) for draw in draws])
    return restore(prior, y, f, preset=preset, seed=seed, callback=callback, start=start)


@dataclasses.dataclass(frozen=True)
class BlackHoles(MultiscaleLPIPS):
    """LPIPS that sees holes as they are, black in both images, where the published one fills them with noise."""

    def target(self, y: Tensor, mask: Tensor | None = None, clean: Tensor | None = None) -> PyramidTarget:
        """As if there were no mask, of y [N, 3, h, w] with black holes."""
        return super().target(visible(y, mask), None, clean)


def black_holes(
    prior: Prior,
    y: Tensor,
    f: Operator,
    *,
    preset: str | Preset = "default",
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
) -> Restoration:
    """`restore` with `BlackHoles` in the preset's loss: the variant "default-black".

    Where f hides nothing, it is the same search.
    """
    loss = get(preset).loss(prior)
    terms = (
        dataclasses.replace(term, loss=BlackHoles(**vars(term.loss)))
        if isinstance(term.loss, MultiscaleLPIPS)
        else term
        for term in loss.terms
    )
    return restore(prior, y, f, preset=preset, seed=seed, callback=callback, loss=RestorationLoss(tuple(terms)))


FUNCTIONS = {"default-random": random_start, "default-black": black_holes}  # variants that no preset can say


def _word(seed: int, image: Tensor) -> int:
    """A seed from a seed and an image [3, h, w]."""
    data = (image.detach().cpu() * 255).round().byte().contiguous().numpy().tobytes()
    return int.from_bytes(hashlib.sha256(f"{seed} ".encode() + data).digest()[:8], "big")
