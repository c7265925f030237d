"""MODULE:NAME as a prior: a generator of somebody's own, a whole `Prior`, or what gives one of them."""

import re
from pathlib import Path

import torch

from rusr_core.errors import RusrError, in_a_line
from rusr_core.own_code import find_object, source_digest
from rusr_core.prior import LatentGenerator, Prior, PriorError

WORDS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_own(name: object) -> bool:
    """Whether a prior's name is MODULE:NAME, and no file is called so."""
    return isinstance(name, str) and WORDS.fullmatch(name) is not None and not Path(name).is_file()


def origin(name: object) -> dict[str, str | None]:
    """What determines a prior of somebody's own beside its weights: the digest of its source; {} for any other."""
    return {"prior_source": source_digest(name.partition(":")[0])} if is_own(name) else {}


def own_generator(reference: str, device: torch.device) -> Prior | LatentGenerator:
    """The generator or the whole prior that "module:name" names, or gives when it is called without arguments.

    A generator that is a torch module comes frozen and on the device. Raises OwnCodeError for what cannot be imported,
    PriorError for what fails, and for a generator that does not live on the device.
    """
    found = find_object(reference)
    if isinstance(found, type) or (callable(found) and not isinstance(found, Prior | LatentGenerator)):
        try:
            found = found()
        except RusrError:
            raise
        except (Exception, SystemExit) as error:  # whatever their code does
            raise PriorError(f"{reference}() fails: {in_a_line(error)}") from error
    generator = found.generator if isinstance(found, Prior) else found
    if isinstance(generator, torch.nn.Module):
        generator.to(device).eval().requires_grad_(False)
    where = getattr(getattr(generator, "w_mean", None), "device", device)
    if where.type != device.type:
        raise PriorError(f"{reference} lives on {where}: expected {device}")
    return found
