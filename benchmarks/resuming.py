"""Measurements that are kept one a file, whole or not at all: the same command resumes, with the same settings only."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rusr_core.commands.options import CommandError
from rusr_core.files import json_object, write_atomic
from rusr_core.networks.digests import weights_digest
from rusr_core.prior import Prior
from rusr_core.sweeps.provenance import provenance

Measurement = dict[str, object]  # plain JSON values


def fill(
    paths: Sequence[Path],
    settings: Measurement,
    measure: Callable[[list[int]], list[Measurement]],
    *,
    tell: Callable[[Measurement], str],
    batch: int = 1,
) -> list[Measurement]:
    """The measurement in each of `paths`; those that are missing are made, `batch` at once, and written.

    `measure` gets their places in `paths`; `tell` says a new measurement in a few words, which are printed. Raises
    CommandError if a file that is there was made with other `settings`, or holds no measurement.
    """
    found = {i: read(path, settings) for i, path in enumerate(paths) if path.exists()}
    missing = [i for i in range(len(paths)) if i not in found]
    for begin in range(0, len(missing), batch):
        part = missing[begin : begin + batch]
        for i, one in zip(part, measure(part), strict=True):
            write_atomic(paths[i], json.dumps({"settings": settings} | one, indent=1).encode())
            print(f"{paths[i].stem}: {tell(one)}", flush=True)
            found[i] = one
    return [found[i] for i in range(len(paths))]


def stored(path: Path) -> Measurement:
    """What a JSON file holds. Raises CommandError if it is damaged."""
    try:
        return json_object(path.read_bytes())
    except ValueError as error:
        raise CommandError(f"{path}: does not say what is done ({error}); take it away, and it is made again") from None


def noted(path: Path, **settings: object) -> Measurement:
    """What a list of jobs has noted in a file, by job; nothing yet if there is none.

    Raises CommandError if it is damaged, or if a job was begun with other `settings`, which it has noted: such a job
    would count as done.
    """
    jobs = stored(path) if path.exists() else {}
    for name, about in jobs.items():
        made_with = {word: about.get(word) for word in settings} if isinstance(about, dict) else about
        if made_with != settings:
            raise CommandError(f"{path}: {name} was begun with {made_with}; expected {settings}, or another folder")
    return jobs


def read(path: Path, settings: Measurement) -> Measurement:
    """A measurement that is there. Raises CommandError if it was made with other `settings`."""
    one = stored(path)
    made_with = one.pop("settings", None)
    if made_with != settings:
        raise CommandError(f"{path}: made with {made_with}; expected {settings}, or another folder")
    return one


def summed_up(path: Path, record: Measurement, prior: Prior) -> None:
    """Write what the measurements say together, with the code, the machine and the weights that they come from."""
    origin = provenance(prior.device, prior.generator.w_mean.dtype, "exact")
    origin |= {"weights": weights_digest(prior.generator)}
    write_atomic(path, json.dumps(record | {"provenance": origin}, indent=1).encode())
