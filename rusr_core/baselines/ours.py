"""Our presets as methods that can be tuned: which of their numbers `rusr tune` searches.

The presets are meant to be used as they are, on every task. They are tuned like all others so that the price of one
setting is known for them, too: how much worse it is than the best setting for each task.
"""

import dataclasses
from collections.abc import Mapping

from rusr_core.baselines.method import BaselineError, Range, Real, Whole
from rusr_core.presets import Phase, Preset

RATES = {"W": "lr_w", "W+": "lr_wplus", "W++": "lr_wplusplus"}  # the setting that is a phase's rate
SPACE: dict[str, Range] = {
    "lr_w": Real(0.02, 1.0, log=True),
    "lr_wplus": Real(0.005, 0.5, log=True),
    "lr_wplusplus": Real(0.001, 0.2, log=True),
    "steps": Whole(50, 300, log=True),  # of each phase
    "l1_weight": Real(0.01, 1.0, log=True),
    "identity_weight": Real(0.0, 1.0),
}


def settings(preset: Preset) -> dict[str, object]:
    """The preset's values of the settings in `SPACE`. BaselineError if its phases differ in their number of steps."""
    steps = {phase.steps for phase in preset.phases}
    if len(steps) > 1 or [phase.space for phase in preset.phases] != list(RATES):
        found = ", ".join(f"{phase.space} {phase.steps}" for phase in preset.phases)
        raise BaselineError(f"preset {preset.name!r} has the phases {found}: expected W, W+, W++ with as many steps")
    rates = {RATES[phase.space]: phase.lr for phase in preset.phases}
    return rates | {"steps": steps.pop()} | {name: getattr(preset, name) for name in ("l1_weight", "identity_weight")}


def configured(preset: Preset, name: str, values: Mapping[str, object]) -> Preset:
    """The preset with other values of some settings in `SPACE`, called `name`. BaselineError for another setting."""
    if unknown := [word for word in values if word not in SPACE]:
        raise BaselineError(f"preset {preset.name!r} has no setting {unknown[0]!r}: expected one of {', '.join(SPACE)}")
    chosen = settings(preset) | dict(values)
    phases = tuple(Phase(space, chosen[rate], chosen["steps"]) for space, rate in RATES.items())
    weights = {word: chosen[word] for word in ("l1_weight", "identity_weight")}
    return dataclasses.replace(preset, name=name, phases=phases, **weights)
