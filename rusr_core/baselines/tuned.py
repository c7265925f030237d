"""What `rusr tune` found for a method, and the method with it: NAME@one and NAME@tuned.

    default    NAME          the published settings
    one        NAME@one      the single setting that is best on average over all tasks
    tuned      NAME@tuned    the best setting for each task and level

`data/tuned/NAME.toml` holds both, the weights that they were found for, and how (`sweeps.tuning` writes it). A setting
whose value is None is left out there, since TOML knows no such value.
"""

import dataclasses
import tomllib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from rusr_core import tasks
from rusr_core.baselines import ours
from rusr_core.baselines.method import Baseline, BaselineError, Configured, Range
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.errors import RusrError, RusrWarning
from rusr_core.files import DataError, data_path
from rusr_core.limits import dotted, shown
from rusr_core.networks.digests import SHOWN, weights_digest
from rusr_core.presets import Preset
from rusr_core.prior import DiffusionPrior, Prior
from rusr_core.restore import restore
from rusr_core.results import Restoration

COLUMNS = ("one", "tuned")


def space_of(base: Preset | Baseline) -> Mapping[str, Range]:
    """What `rusr tune` searches of a method."""
    return ours.SPACE if isinstance(base, Preset) else base.space


def published(base: Preset | Baseline) -> dict[str, object]:
    """The published value of everything in the space."""
    settings = ours.settings(base) if isinstance(base, Preset) else base.settings
    return {name: settings[name] for name in space_of(base)}


def configured(base: Preset | Baseline, name: str, values: Mapping[str, object]) -> Preset | Configured:
    """The method with these values of some of its settings, called `name`. BaselineError for an unknown setting."""
    return ours.configured(base, name, values) if isinstance(base, Preset) else base.configured(name, **values)


def word_of(base: Preset | Baseline) -> str:
    """What `rusr tune` is given for a method."""
    return base.word if isinstance(base, Baseline) else base.name


def base_of(how: "Preset | Baseline | Configured | Tuned | object") -> "Preset | Baseline | object":
    """What a method is without its settings; a function of one's own is what it is."""
    how = how.base if isinstance(how, Tuned) else how
    return how.baseline if isinstance(how, Configured) else how


def prior_of(how: "Preset | Baseline | Configured | Tuned | object") -> str:
    """What a method restores with, one of `method.PRIORS`; a function of one's own is given the generator."""
    how = base_of(how)
    return how.prior if isinstance(how, Baseline) else "generator"


def draws_samples(how: "Preset | Baseline | Configured | Tuned | object") -> bool:
    """Whether a method gives several answers to one y: several searches of a preset, or draws of a posterior."""
    how = base_of(how)
    return how.samples if isinstance(how, Baseline) else isinstance(how, Preset)


def own_samples(how: "Preset | Baseline | Configured | Tuned | object") -> int:
    """How many answers to one y a method gives where nobody asks for a number: one, or what its settings say."""
    how = how.base if isinstance(how, Tuned) else how
    return how.settings.get("samples", 1) if isinstance(how, Baseline | Configured) else 1


def weights_of(prior: Prior | DiffusionPrior) -> dict[str, str]:
    """The digests of the networks that a method restores with, by their role."""
    if isinstance(prior, DiffusionPrior):
        return {"denoiser": weights_digest(prior.denoiser)}
    found = {role: weights_digest(getattr(prior, role)) for role in ("generator", "perceptual", "identity")}
    return {role: digest for role, digest in found.items() if digest is not None}


@dataclass(frozen=True)
class Tuned:
    """A method with settings that were searched: one for everything, or one for each task that was tuned."""

    name: str  # as tables show it: "brgm@tuned"
    base: Preset | Baseline
    settings: Mapping[str, Mapping[str, object]]  # by task as `tasks.find` reads it; "" is for every task
    weights: Mapping[str, str]  # of the networks that they were found with, by role
    portraits: Mapping[str, str]  # SHA-256 of the files that they were found on, by name
    source: str  # the file, for messages

    def chosen(self, f: AnyOperator) -> Preset | Configured:
        """The method as it is run on images that f degraded. BaselineError with the reason if it is not."""
        reason = self.reason(f)
        if reason is not None:
            raise BaselineError(f"{self.name} is n/a for {as_operator(f)}: {reason}")
        return configured(self.base, self.name, self.settings["" if "" in self.settings else self._task(f)])

    def reason(self, f: AnyOperator) -> str | None:
        """Why the method is n/a for f, or None: it cannot invert f, or was not tuned for it."""
        reason = None if isinstance(self.base, Preset) else self.base.reason(f)
        if reason is not None or "" in self.settings or self._task(f) is not None:
            return reason
        return f"it was tuned for {', '.join(self.settings)} only"

    def _task(self, f: AnyOperator) -> str | None:
        """Which of the tuned tasks f is; where the strokes of a mask lie makes no difference."""
        wanted = _kind(as_operator(f))
        return next((word for word in self.settings if _kind(tasks.get(word)) == wanted), None)

    def check(self, prior: Prior | DiffusionPrior) -> None:
        """Raise BaselineError if the settings were found with other weights than the prior's.

        A method that restores without a prior has none that could differ.
        """
        if prior_of(self) == "none":
            return
        found = weights_of(prior)
        for role in sorted(self.weights.keys() | found.keys()):
            known, now = (each.get(role, "none") for each in (self.weights, found))
            if known != now:
                raise BaselineError(
                    f"{self.name} was tuned with the {role} {known[:SHOWN]}, this prior has {now[:SHOWN]}: tune it "
                    f"again (rusr tune {word_of(self.base)}), or use {word_of(self.base)}, the published settings"
                )

    def restore(
        self,
        prior: Prior | DiffusionPrior,
        y: Tensor,
        f: AnyOperator,
        *,
        seed: int = 0,
        callback: Callable | None = None,
        samples: int | None = None,
    ) -> Restoration:
        """Restore y [N, 3, h, w] with the settings for f; the result's `method` is this one's name.

        `samples` as `restore` and `Configured.restore` have it; None is one, or the method's own number. Raises
        BaselineError for other weights than those it was tuned with, and where it is n/a.
        """
        how = self.chosen(f)
        self.check(prior)
        if isinstance(how, Preset):
            return restore(
                prior, y, f, preset=how, seed=seed, callback=callback, samples=1 if samples is None else samples
            )
        return how.restore(prior, y, f, seed=seed, callback=callback, samples=samples)

    def check_samples(self, samples: int | None) -> None:
        """Raise BaselineError for a number of samples that the method cannot draw with settings that were found."""
        if not isinstance(self.base, Preset):
            for values in self.settings.values():
                configured(self.base, self.name, values).check_samples(samples)

    def values(self) -> dict[str, object]:
        """All that determines its restorations, as plain JSON."""
        return {"base": self.base.name, "settings": {word: dict(v) for word, v in self.settings.items()}}


def _kind(f: Degradation) -> tuple[str, ...]:
    """What a degradation does, without the seed of its strokes."""
    return tuple(str(dataclasses.replace(s, seed=0) if hasattr(s, "seed") else s) for s in f.stages)


def load(base: Preset | Baseline, column: str, folder: str | Path | None = None) -> Tuned:
    """A method's column "one" or "tuned", from NAME.toml in `folder`, by default data/tuned.

    Raises BaselineError if the file is not there, does not hold the column, or holds a setting outside the space.
    """
    path = _file(base, folder)
    try:
        known = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaselineError(f"{path}: not the file of a tuned method ({error})") from error
    if known.get("method") != base.name:
        found = shown(known.get("method"))
        raise BaselineError(
            f"{path}: not the file of a tuned method: holds settings of {found}, expected {base.name!r}"
        )
    _check_origin(base, known, path)
    weights, portraits = (_words(known, name, path) for name in ("weights", "portraits"))
    if column == "one":
        places = {"": ("one", "settings")} if "one" in known else {}
    else:
        places = {_task_word(word, path): ("tasks", word, "settings") for word in _table(known, path, "tasks")}
    if not places:
        raise BaselineError(f"{path}: holds no column {column!r}{_why_not(known, column, base)}")
    settings = {word: _checked(base, _table(known, path, *place), path, place) for word, place in places.items()}
    return Tuned(f"{base.name}@{column}", base, settings, weights, portraits, str(path))


def _table(known: Mapping[str, object], path: Path, *keys: str) -> Mapping[str, object]:
    """The table of the file below these keys. BaselineError if something else stands there, or above it."""
    for i, key in enumerate(keys, 1):
        if not isinstance(found := known.get(key), Mapping):
            told = f"{dotted(*keys[:i])} is {'missing' if found is None else shown(found)}"
            raise BaselineError(f"{path}: not the file of a tuned method: {told}, expected a table")
        known = found
    return known


def _words(known: Mapping[str, object], name: str, path: Path) -> dict[str, str]:
    """A table of digests. BaselineError for another one."""
    found = dict(_table(known, path, name))
    for key, value in found.items():
        if not isinstance(value, str):
            told = f"{dotted(name, key)} is {shown(value)}"
            raise BaselineError(f"{path}: not the file of a tuned method: {told}, expected a digest in quotes")
    return found


def _task_word(word: str, path: Path) -> str:
    """The word of a task that was tuned. BaselineError for what is none."""
    try:
        tasks.get(word)
    except RusrError as error:
        raise BaselineError(f"{path}: {dotted('tasks', word)} is no task: {error}") from error
    return word


def _check_origin(base: Preset | Baseline, known: Mapping[str, object], path: Path) -> None:
    """Of somebody's own method: BaselineError for what was found for another one of the same name, RusrWarning where
    its source has changed since."""
    wanted = base.origin() if isinstance(base, Baseline) else {}
    if not wanted or "provenance" not in known:
        return
    found = _table(known, path, "provenance")
    if (function := found.get("function", wanted["function"])) != wanted["function"]:
        told = f"holds settings of {shown(function)}, expected those of {wanted['function']!r}"
        raise BaselineError(f"{path}: {told}: tune it under another name, or again (rusr tune {word_of(base)})")
    if found.get("source") != wanted["source"]:
        told = f"{wanted['function']} has changed since {path} was found"
        warnings.warn(f"{told}: rusr tune {word_of(base)} into another folder tunes it again", RusrWarning, 4)


def _why_not(known: Mapping[str, object], column: str, base: Preset | Baseline) -> str:
    """Why a file lacks a column: no setting that was tried gave an image, or none was tried."""
    failed = known.get("without_an_image")
    failed = [word for word in failed if (word == "one") == (column == "one")] if isinstance(failed, list) else []
    if failed:
        return f"; no setting that was tried gave an image ({', '.join(map(str, failed))})"
    return f"; rusr tune {word_of(base)} finds it"


def _file(base: Preset | Baseline, folder: str | Path | None) -> Path:
    """The file of a method. BaselineError if it is not there."""
    name = base.name
    try:
        path = data_path(f"tuned/{name}.toml") if folder is None else Path(folder) / f"{name}.toml"
    except DataError:
        path = Path("data/tuned") / f"{name}.toml"
    if not path.is_file():
        told = f"{path}, which rusr tune {word_of(base)} writes" + (", or --tuned FOLDER" if folder is None else "")
        raise BaselineError(f"{name} has not been tuned: expected {told}")
    return path


def _checked(
    base: Preset | Baseline, values: Mapping[str, object], path: Path, place: tuple[str, ...]
) -> dict[str, object]:
    """The settings at one place of the file, None for those that are left out. BaselineError outside the space."""
    space, found = space_of(base), {}
    if unknown := [name for name in values if name not in space]:
        told = f"{dotted(*place)}: {base.name} has no setting {unknown[0]!r}"
        raise BaselineError(f"{path}: {told}: expected {', '.join(space) or 'none'}")
    for name, range_ in space.items():
        found[name] = values.get(name)
        if not range_.holds(found[name]):
            told = "missing" if found[name] is None else shown(found[name])
            raise BaselineError(f"{path}: {dotted(*place, name)} is {told}, expected a value in {range_}")
    try:
        configured(base, base.name, found)
    except RusrError as error:
        raise BaselineError(f"{path}: {dotted(*place)}: {error}") from error
    return found
