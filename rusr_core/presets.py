"""Presets: ONE setting for every task, level and composition. Nothing here depends on the degradation."""

import dataclasses
from dataclasses import dataclass

from rusr_core.errors import RusrError


@dataclass(frozen=True)
class Phase:
    """Search in one latent space. `lr` is the length of a row's step in FFHQ's W; a prior's lr_scale multiplies it."""

    space: str  # "W", "W+" or "W++"
    lr: float
    steps: int
    whole: tuple[float, int] | None = None  # rate and steps before `Preset.with_steps` shortened the phase


@dataclass(frozen=True)
class Preset:
    """All hyper-parameters of a restoration."""

    name: str
    phases: tuple[Phase, ...]
    optimizer: str  # "adam", "ngd" or "sgd"
    patience: int | None  # early stopping of each phase; None: all steps
    lpips_levels: int  # 1: plain LPIPS
    lpips_smallest: int  # LPIPS is computed on sides above this, px
    l1_weight: float
    identity_weight: float
    draws: int = 1  # of a random f in each step; 2: energy scores, see losses.energy_score
    identity_reference: str = "input"  # "input": E(f(G(w))) against E(y); "clean": an ORACLE, E(G(w)) against E(x)

    def __post_init__(self) -> None:
        if self.draws not in (1, 2):
            raise RusrError(f"preset {self.name!r} has {self.draws} draws a step: expected 1 or 2")

    def with_steps(self, steps: int) -> "Preset":
        """The same preset with another number of steps in each phase (for quick looks; not for results).

        With fewer steps each is longer, so that a latent can still go as far: rates grow by the share that is missing,
        at most `MAX_STRETCH` times (30 steps of the old length stay beside the mean face; longer ones overshoot).
        """
        return dataclasses.replace(self, phases=tuple(_resized(phase, steps) for phase in self.phases))


def _resized(phase: Phase, steps: int) -> Phase:
    """The phase with another number of steps, always measured against the whole one."""
    lr, planned = phase.whole or (phase.lr, phase.steps)
    stretch = min(max(planned / steps, 1), MAX_STRETCH[phase.space])
    return dataclasses.replace(phase, lr=lr * stretch, steps=steps, whole=(lr, planned))


# Of factors 1 to 4, by LPIPS on one portrait: 30 steps a phase for four tasks at level M, 12 for three of them.
MAX_STRETCH = {"W": 4, "W+": 4, "W++": 2}

PRESETS = {
    # The report ("Algorithm"): Adam, LPIPS + 0.1 L1 + lambda_ID ID, patience 15 in every phase. It gives neither rates
    # nor lambda_ID. The rates are ours, of nine sets tried on rendered portraits outside Portraits-X: larger ones fit
    # JPEG better, and what the input hardly determines worse. The number of steps is the published one: half as many
    # cost 9 % in LPIPS or more, a third of them 16 % or more (benchmarks/README.md). lambda_ID was not tuned. LPIPS is
    # the published pyramid: on one level the search escapes from pixel noise into colours that have little of it
    # (denoising M: 15 dB instead of 24). Two draws of a random f, since strong noise wins over three levels (128 px),
    # too: with smaller rates, on a rendered portrait, denoising M, XL and UN reached 25.5, 22.7 and 22.4 dB, and with
    # one draw 21.8, 7.1 and 18.1.
    "report": Preset(
        name="report",
        phases=(Phase("W", 0.24, 150), Phase("W+", 0.12, 150), Phase("W++", 0.04, 150)),
        optimizer="adam",
        patience=15,
        lpips_levels=6,
        lpips_smallest=16,
        l1_weight=0.1,
        identity_weight=0.1,
        draws=2,
    ),
    # The published method: rates and steps of section 4.2, loss of section 3.3.
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


def get(preset: str | Preset) -> Preset:
    """A preset by name; a `Preset` is returned as it is."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise RusrError(f"preset {preset!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[preset]
