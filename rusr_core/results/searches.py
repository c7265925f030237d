"""What a search returns: a restoration with the phases that found it, or several answers to each image."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rusr_core.limits import is_whole, shown
from rusr_core.presets import Preset
from rusr_core.results.restoration import Restoration, ResultError, check_rows, check_size, check_value, in_size


@dataclass(frozen=True, eq=False)
class PhaseResult:
    """One phase's outcome. ResultError for parts that do not fit together."""

    space: str  # "W", "W+" or "W++"
    image: Tensor  # [N, 3, R, R] in [0, 1]
    latents: Tensor  # of rank 2, 3 or 4, see latents.py
    steps: list[int]  # steps that each image took
    history: dict[str, Tensor]  # each loss term, [steps, N] on the CPU, NaN after an image has stopped

    def __post_init__(self) -> None:
        check_size("the image of a phase", self.image, None, 3, None, None)
        num = len(self.image)
        rank = self.latents.dim() if isinstance(self.latents, Tensor) else 2
        check_size("the latents of a phase", self.latents, num, *[None] * (min(max(rank, 2), 4) - 1))
        check_rows("the steps of a phase", self.steps, num)
        for name, values in self.history.items():
            check_size(f"the {name} of a phase", values, None, num)

    def __repr__(self) -> str:
        return f"PhaseResult({self.space}, {in_size(self.image)}, steps={self.steps})"


@dataclass(frozen=True, eq=False, repr=False)
class Search(Restoration):
    """What `restore` returns: a restoration, and all phases of the search that found it."""

    phases: tuple[PhaseResult, ...] = field(kw_only=True)
    preset: Preset = field(kw_only=True)
    terms: dict[str, float] = field(kw_only=True)  # the loss terms that were active, and their weights
    diverged: list[str | None] = field(kw_only=True)  # of each image: where its search left the numbers, or None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rows("diverged", self.diverged, len(self.image))
        check_value("phases", self.phases)
        check_value("terms", self.terms)
        for phase in self.phases:
            check_size("the image of a phase", phase.image, *self.image.shape)

    @property
    def latents(self) -> Tensor:
        """The latents of the last phase, see latents.py for their rank."""
        return self.phases[-1].latents

    @property
    def history(self) -> dict[str, Tensor]:
        """Each loss term over all phases, [steps, N] on the CPU, NaN where an image had stopped."""
        searched = [phase.history for phase in self.phases if phase.history]
        return {name: torch.cat([each[name] for each in searched]) for name in (searched[0] if searched else ())}

    def _record(self) -> dict[str, object]:
        phases = [{"space": p.space, "steps": p.steps, "history": list(p.history)} for p in self.phases]
        values = {"preset": self.preset.values(), "terms": self.terms, "diverged": self.diverged}
        return super()._record() | values | {"phases": phases}

    def _tensors(self) -> dict[str, Tensor]:
        tensors = super()._tensors()
        for number, phase in enumerate(self.phases):
            parts = {"image": phase.image, "latents": phase.latents}
            parts |= {f"history/{name}": values for name, values in phase.history.items()}
            tensors |= {f"phases/{number}/{name}": value for name, value in parts.items()}
        tensors.pop(f"phases/{len(self.phases) - 1}/image")  # it is the result
        return tensors

    @classmethod
    def _read(cls, record: dict, tensors: dict[str, Tensor]) -> dict[str, object]:
        phases = []
        for number, values in enumerate(record["phases"]):
            at = f"phases/{number}/"
            history = {name: tensors[f"{at}history/{name}"] for name in values["history"]}
            image = tensors["image"] if number + 1 == len(record["phases"]) else tensors[f"{at}image"]
            phases.append(PhaseResult(values["space"], image, tensors[f"{at}latents"], values["steps"], history))
        own = {name: record[name] for name in ("terms", "diverged")}
        return (
            super()._read(record, tensors)
            | own
            | {
                "phases": tuple(phases),
                "preset": Preset.of_values(record["preset"]),
            }
        )


@dataclass(frozen=True, eq=False, repr=False)
class Samples(Search):
    """k answers to each of N images y. Rows of images and latents, N k, are the answers to the first y, then those to
    the second. Chapter: book/answers.ipynb."""

    samples: int = field(kw_only=True)  # k
    prior_spread: Tensor = field(kw_only=True)  # [1, 1, R, R], the spread of the prior's own images at each pixel

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("prior_spread", self.prior_spread, 1, 1, *self.image.shape[-2:])
        if not is_whole(self.samples) or self.samples < 1 or len(self.image) % self.samples:
            words = f"expected a whole number of answers that divides its {len(self.image)} images"
            raise ResultError(f"samples of a result is {shown(self.samples)}: {words}")

    @property
    def answers(self) -> Tensor:
        """The images of each y, [N, k, 3, R, R] in [0, 1]."""
        return self.image.unflatten(0, (-1, self.samples))

    @property
    def picture(self) -> Tensor:
        """The first search's restoration of each y, [N, 3, R, R] in [0, 1]."""
        return self.answers[:, 0]

    @property
    def invented(self) -> Tensor:
        """`invented_beside` the prior's own images, [N, 1, R, R]."""
        return self.invented_beside(self.prior_spread)

    @property
    def misfit(self) -> Tensor:
        """How far each answer is from explaining y, [N, k] on the CPU: the smallest loss of its last phase."""
        total = self.phases[-1].history["total"].nan_to_num(nan=float("inf"))
        return total.amin(0).unflatten(0, (-1, self.samples))

    def _record(self) -> dict[str, object]:
        return super()._record() | {"samples": self.samples}

    def _tensors(self) -> dict[str, Tensor]:
        return super()._tensors() | {"prior_spread": self.prior_spread}

    @classmethod
    def _read(cls, record: dict, tensors: dict[str, Tensor]) -> dict[str, object]:
        return super()._read(record, tensors) | {k: d[k] for k, d in (("samples", record), ("prior_spread", tensors))}
