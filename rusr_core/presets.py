"""Presets: ONE setting for every task, level and composition. Nothing here depends on the degradation."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from rusr_core.errors import RusrError
from rusr_core.latents import SPACES
from rusr_core.limits import MAX_SIDE, MAX_STEPS, check_positive, check_whole, is_number, is_whole, shown, whole_words
from rusr_core.losses.terms import L1, IdentityLoss, MultiscaleLPIPS, RestorationLoss, Term
from rusr_core.optimizers import OPTIMIZERS, OptimizerFactory, name_of
from rusr_core.prior import Prior

REFERENCES = ("input", "clean")


class PresetError(RusrError):
    """A preset that no search can follow."""


def _check(good: bool, what: str, expected: str, value: object) -> None:
    if not good:
        raise PresetError(f"{what} is {shown(value)}: expected {expected}")


@dataclass(frozen=True)
class Phase:
    """Search in one latent space."""

    space: str  # "W", "W+" or "W++"
    lr: float  # the length of a row's step in FFHQ's W; a prior's lr_scale multiplies it
    steps: int

    def __post_init__(self) -> None:
        _check(self.space in SPACES, "a phase's space", f"one of {', '.join(SPACES)}", self.space)
        check_positive(f"the rate lr of phase {self.space}", self.lr, PresetError)
        check_whole(f"the steps of phase {self.space}", self.steps, 1, MAX_STEPS, PresetError)


@dataclass(frozen=True)
class Preset:
    """All hyper-parameters of a restoration. PresetError for a value that no search can follow."""

    CITES: ClassVar[tuple[str, ...]] = ("poirierginter2023robust",)  # phases, rates or loss, whatever was changed

    name: str
    phases: tuple[Phase, ...]  # a latent can be widened, never narrowed: in the order W, W+, W++
    optimizer: str | OptimizerFactory  # "adam", "ngd", "sgd" or a function of (latents, lr), see optimizers.py
    patience: int | None  # early stopping of each phase; None: all steps
    lpips_levels: int  # 1: plain LPIPS
    lpips_smallest: int  # LPIPS is computed on sides above this, px
    l1_weight: float
    identity_weight: float
    draws: int = 1  # of a random f in each step; 2: energy scores, see losses.energy_score
    identity_reference: str = "input"  # "input": E(f(G(w))) against E(y); "clean": an ORACLE, E(G(w)) against E(x)

    def __post_init__(self) -> None:
        _check(isinstance(self.phases, tuple | list), "phases of a preset", "a tuple of presets.Phase", self.phases)
        object.__setattr__(self, "phases", tuple(self.phases))

        def check(good: bool, field: str, expected: str) -> None:
            _check(good, f"{field} of preset {self.name!r}", expected, getattr(self, field))

        check(isinstance(self.name, str) and self.name != "", "name", "a word")
        check(all(isinstance(phase, Phase) for phase in self.phases), "phases", "a tuple of presets.Phase")
        spaces = [phase.space for phase in self.phases]
        if not spaces or spaces != sorted(spaces, key=SPACES.index):
            found, order = ", ".join(spaces) or "none", ", ".join(SPACES)
            raise PresetError(
                f"phases of preset {self.name!r} are {found}: a latent can only be widened, expected the order {order}"
            )
        known = callable(self.optimizer) or self.optimizer in OPTIMIZERS or ":" in str(self.optimizer)
        check(known, "optimizer", f"one of {', '.join(OPTIMIZERS)}, or a function of (latents, lr)")
        patient = self.patience is None or (is_whole(self.patience) and 1 <= self.patience <= MAX_STEPS)
        check(patient, "patience", f"{whole_words(1, MAX_STEPS)}, or None")
        for field in ("lpips_levels", "lpips_smallest"):
            check_whole(f"{field} of preset {self.name!r}", getattr(self, field), 1, MAX_SIDE, PresetError)
        for field in ("l1_weight", "identity_weight"):
            check(is_number(getattr(self, field)) and getattr(self, field) >= 0, field, "a number from 0")
        check(is_whole(self.draws) and self.draws in (1, 2), "draws", "1 or 2")
        check(self.identity_reference in REFERENCES, "identity_reference", " or ".join(map(repr, REFERENCES)))

    def shortened(self, steps: int) -> "Preset":
        """The preset `NAME@STEPS`: `steps` in each phase, for quick looks and not for results.

        It is another setting, and its name says so: with fewer steps each is longer, so that a latent can still go as
        far. Rates grow by the share of steps that is missing, at most `MAX_STRETCH` times. (30 steps of the old length
        stay beside the mean face; steps that are longer still overshoot.) More steps than the preset's keep its rates.

        A shortened preset is shortened again from the registered one, never from itself; PresetError if it was changed
        after it had been shortened: change it first, then shorten it.
        """
        check_whole(f"the steps of {self.name!r} when shortened", steps, 1, MAX_STEPS, PresetError)
        name, at, number = self.name.partition("@")
        if at:
            whole = PRESETS.get(name)
            if whole is None or not number.isdecimal() or whole.shortened(int(number)) != self:
                raise PresetError(
                    f"preset {self.name!r} was shortened already, and no registered preset has its values: expected "
                    f"the preset that it was made from, or one of {', '.join(PRESETS)}"
                )
            return whole.shortened(steps)
        phases = tuple(
            Phase(phase.space, phase.lr * min(max(phase.steps / steps, 1), MAX_STRETCH[phase.space]), steps)
            for phase in self.phases
        )
        return dataclasses.replace(self, name=f"{self.name}@{steps}", phases=phases)

    def loss(self, prior: Prior) -> RestorationLoss:
        """The loss that the preset asks for, on the prior's networks; no term where the prior has no network for it.

        `restore(..., loss=preset.loss(prior) + Term(...))` adds one's own.
        """
        pyramid = (self.lpips_levels, self.lpips_smallest)
        terms = [Term("l1", self.l1_weight, L1(*pyramid))]
        if prior.perceptual is not None:
            terms.insert(0, Term("lpips", 1.0, MultiscaleLPIPS(prior.perceptual, *pyramid)))
        if prior.identity is not None:
            oracle = self.identity_reference == "clean"
            identity = IdentityLoss(prior.identity, oracle, self.lpips_smallest)
            terms.append(Term("identity", self.identity_weight, identity))
        return RestorationLoss(tuple(terms))

    def values(self) -> dict[str, object]:
        """All values as plain JSON, as records hold them; `Preset.of_values` reads them."""
        phases = [dataclasses.asdict(phase) for phase in self.phases]
        return vars(self) | {"optimizer": name_of(self.optimizer), "phases": phases}

    @classmethod
    def of_values(cls, values: dict) -> "Preset":
        """The preset that `values` wrote. PresetError for anything else."""
        try:
            return cls(**{**values, "phases": tuple(Phase(**phase) for phase in values["phases"])})
        except (TypeError, KeyError) as error:
            raise PresetError(f"not the values of a preset: {error}") from error


# Of factors 1 to 4, by LPIPS on one portrait: 30 steps a phase for four tasks at level M, 12 for three of them.
MAX_STRETCH = {"W": 4, "W+": 4, "W++": 2}

# How far a free number of f may go in a first phase, as u in `degradations.free`: from the middle of its bounds to two
# percent before an end. Later phases go slower, as the latents do.
PATH_OF_UNKNOWN = 4.0


def rate_of_unknown(phase: Phase, first: Phase) -> float:
    """The learning rate of free numbers of f, the same for all of them and for all degradations."""
    return PATH_OF_UNKNOWN / phase.steps * phase.lr / first.lr


PRESETS = {
    # The setting of this project, whose algorithm an unpublished project report describes (Adam, LPIPS + 0.1 L1 +
    # lambda_ID ID, patience 15 in every phase): hence its other name, "report". The report gives neither rates nor
    # lambda_ID. The rates are ours, of nine sets tried on rendered portraits outside Portraits-X: larger ones fit
    # JPEG better, and what the input hardly determines worse. The number of steps is the published one: half as many
    # cost 9 % in LPIPS or more, a third of them 16 % or more (benchmarks/README.md). lambda_ID was not tuned. LPIPS is
    # the published pyramid: on one level the search escapes from pixel noise into colours that have little of it
    # (denoising M: 15 dB instead of 24). Two draws of a random f, since strong noise wins over three levels (128 px),
    # too: with smaller rates, on a rendered portrait, denoising M, XL and UN reached 25.5, 22.7 and 22.4 dB, and with
    # one draw 21.8, 7.1 and 18.1.
    "default": Preset(
        name="default",
        phases=(Phase("W", 0.24, 150), Phase("W+", 0.12, 150), Phase("W++", 0.04, 150)),
        optimizer="adam",
        patience=15,
        lpips_levels=6,
        lpips_smallest=16,
        l1_weight=0.1,
        identity_weight=0.1,
        draws=2,
    ),
    # The published method: its rates, steps and loss.
    "cvpr2023": Preset(
        name="cvpr2023",
        phases=(Phase("W", 0.08, 150), Phase("W+", 0.02, 150), Phase("W++", 0.005, 150)),
        optimizer="ngd",
        patience=None,
        lpips_levels=6,
        lpips_smallest=16,
        l1_weight=0.1,
        identity_weight=0.0,
    ),
}

LONGEST = 40  # figures of a number of steps in a name
ALIASES = {"report": "default"}  # other names of presets; recordings and results of before hold them


def known_as(name: str) -> str:
    """The name of a preset, of a shortened one or of a variant, where it is given by an alias; others as they are.

    "report" -> "default", "report@30" -> "default@30", "report-ngd" -> "default-ngd".
    """
    for alias, preset in ALIASES.items():
        if name == alias or name.startswith((f"{alias}@", f"{alias}-")):
            return preset + name.removeprefix(alias)
    return name


def get(preset: str | Preset) -> Preset:
    """A preset by name, "default@30" for one that is shortened to 30 steps a phase; a `Preset` is returned as it is.

    "report" is another name of "default". Raises PresetError for a name that is none, and for a number of steps.
    """
    if isinstance(preset, Preset):
        return preset
    name, at, steps = known_as(str(preset)).partition("@")
    if name not in PRESETS or (at and not (steps.isdecimal() and len(steps) < LONGEST)):
        raise PresetError(f"preset {shown(preset)}: expected one of {', '.join(PRESETS)}, or NAME@STEPS")
    return PRESETS[name].shortened(int(steps)) if at else PRESETS[name]
