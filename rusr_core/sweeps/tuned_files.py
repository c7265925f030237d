"""`METHOD.toml`: what finished studies found, with all that it rests on. `baselines.tuned` reads it."""

import math
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from rusr_core.baselines.tuned import published
from rusr_core.files import check_writable
from rusr_core.sweeps.config import SweepConfig, load
from rusr_core.sweeps.provenance import provenance
from rusr_core.sweeps.storage import write_atomic
from rusr_core.sweeps.trials import Trials, TuningError, optuna
from rusr_core.sweeps.tuning import ONE, TuningPlan

OBJECTIVE = "LPIPS{} by the judging net: mean over portraits, geometric mean over tasks"


def check_place(folder: Path, method: str) -> None:
    """METHOD.toml can be written into `folder`. Raises FileError, and TuningError if tomlkit is missing."""
    _tomlkit()
    check_writable(_path(folder, method), force=True, new_folders=True)


def _path(folder: Path, method: str) -> Path:
    return Path(folder) / f"{method}.toml"


def _tomlkit() -> ModuleType:
    try:
        import tomlkit
    except ImportError as error:
        raise TuningError("rusr tune needs tomlkit: pip install 'rusr[tune]'") from error
    return tomlkit


def write(folder: Path, config: SweepConfig, plan: TuningPlan, studies: dict[str, Trials]) -> Path:
    """Write METHOD.toml into `folder`, whole or not at all; -> the file. TuningError if tomlkit is missing."""
    tomlkit, path = _tomlkit(), _path(folder, plan.base.name)
    write_atomic(path, tomlkit.dumps(contents(config, plan, studies)).encode())
    return path


def contents(config: SweepConfig, plan: TuningPlan, studies: dict[str, Trials]) -> dict[str, object]:
    """What the file says. Settings whose value is None are left out, since TOML knows no such value."""
    prior, judge = load(config)
    known = next(iter(studies.values())).configuration()
    origin = provenance(prior.device, prior.generator.w_mean.dtype, config.arithmetic)
    named = ("commit", "code", "version", "python", "torch", "platform", "device", "device_name", "threads")
    about = {"date": datetime.now(UTC).date().isoformat(), "optuna": optuna().__version__}
    about |= {name: origin[name] for name in named if origin[name] is not None}
    about |= {name: known[name] for name in ("arithmetic", "batch_size", "seed", "race")}
    about |= {"judge": known["weights"]["judge"]}
    about |= {name: known[name] for name in ("function", "source") if known.get(name)}  # of somebody's own method
    changes = [change for study in studies.values() for change in study.accepted_changes()]
    found = {name: _study(study) for name, study in studies.items() if study.best() is not None}
    failed = sorted(studies.keys() - found.keys())
    return {
        "method": plan.base.name,
        "prior": known["prior"],
        "objective": OBJECTIVE.format(judge.suffix),
        **({"without_an_image": failed} if failed else {}),  # studies all of whose trials failed
        "weights": {role: value for role, value in known["weights"].items() if role != "judge"},
        "portraits": known["portraits"],
        "provenance": about | ({"accepted_changes": changes} if changes else {}),
        "space": known["space"],
        "published": _told(published(plan.base)),
        **({ONE: {"tasks": studies[ONE].configuration()["tasks"]} | found[ONE]} if ONE in found else {}),
        "tasks": {name: about for name, about in found.items() if name != ONE},
    }


def _study(study: Trials) -> dict[str, object]:
    """What one study found."""
    trials, (settings, score) = study.finished(), study.best()
    return {
        "score": round(score, 6),
        "published_score": round(trials[0][1], 6),
        "trials": len(trials),
        "ended_early": study.ended_early(),
        "failed": sum(1 for _, value in trials if not math.isfinite(value)),
        "seconds": round(sum(score[1] for score in study.scores().values()), 1),
        "settings": _told(settings),
    }


def _told(settings: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in settings.items() if value is not None}


def failures(studies: dict[str, Trials]) -> list[str]:
    """A line for each study of which no setting gave an image, with what the last one has said."""
    found = []
    for name, study in studies.items():
        if study.best() is None:
            said = [score[2] for score in study.scores().values() if len(score) > 2] or ["no reason given"]
            found.append(f"{name}: none of {len(study.finished())} settings gave an image ({said[-1]})")
    return found


def summary(path: Path) -> str:
    """A file in a few lines: what was found for each task, beside the published settings."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    lines = [f"{found['method']}, {found['objective']}; {len(found['portraits'])} portraits"]
    studies = ({"one setting": found[ONE]} if ONE in found else {}) | found["tasks"]
    for name, about in studies.items():
        scores = f"published {about['published_score']:.4f}, found {about['score']:.4f}"
        trials = f"{about['trials']} trials, {about.get('ended_early', 0)} ended early"
        lines.append(f"{name}: {scores} ({trials}, {about['seconds']:.0f} s)")
    return "\n".join(lines)
