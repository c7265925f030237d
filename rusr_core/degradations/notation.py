"""Degradations in words, for commands and tables: "downsample:8 | noise:24,0.16 | jpeg:12 | strokes:9".

The grammar, the same wherever a degradation is named:

    degradation   stage | stage | ...             applied left to right; "identity" does nothing
    stage         NAME:argument,argument,...      a name of `NAMES` and the arguments of its class, in order or as
                                                  name=value: "downsample:8,bicubic", "strokes:9,seed=3"
                  MODULE:NAME                     your own, imported: a function, an object, or a class that needs no
                                                  arguments; see `operator.as_operator`
    argument      a number or a word; several numbers joined by +: "resize:64+48" (height, width), "seed=3+4+5" (one
                  for each image); in double quotes, with \\" and \\\\ for " and \\, where it holds , | = or quotes:
                  mask:"my,mask.png"; LOW..HIGH or LOW..HIGH@START for a number that is not known, see `free`:
                  "blur:0.5..4@1.5"
"""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from difflib import get_close_matches

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.blur import Blur
from rusr_core.degradations.checks import DegradationError, check
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.fade import Fade
from rusr_core.degradations.foreign import Foreign
from rusr_core.degradations.free import Range, free
from rusr_core.degradations.inpainting import Mask, Strokes
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise, ReadNoise
from rusr_core.degradations.operator import as_operator
from rusr_core.degradations.resampling import Downsample, Resize
from rusr_core.errors import in_a_line
from rusr_core.own_code import OwnCodeError, find_object

NAMES = {
    kind.name: kind
    for kind in (
        Downsample,
        PoissonBernoulliNoise,
        JPEG,
        Strokes,
        Resize,
        Mask,
        Blur,
        Fade,
        ReadNoise,
    )
}

FREE = {name for kind in NAMES.values() for name in kind.free_numbers}


def parse(notation: str, *, seed: int | tuple[int, ...] = 0) -> Degradation:
    """A degradation from words, see the grammar above. Strokes that name no seed take `seed`.

    `str(f)` gives the words back. A mask that is a tensor, and an operator that was not named by MODULE:NAME, have no
    notation. Raises `DegradationError`.
    """
    check(isinstance(notation, str), "a notation", "text, as 'downsample:8 | jpeg:30'", notation)
    if notation.strip() == "identity":
        return Compose()
    stages = [_parse_stage(part.strip(), seed) for part in split(notation, "|")]
    return stages[0] if len(stages) == 1 else Compose(*stages)


def _parse_stage(words: str, seed: int | tuple[int, ...]) -> Degradation:
    name, _, rest = words.partition(":")
    name, rest = name.strip(), rest.strip()
    kind = NAMES.get(name.lower())
    if kind is None and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", f"{name}:{rest}"):
        return _imported(name, rest)
    if kind is None:
        raise _unknown(name)
    known = [item.name for item in fields(kind) if item.init]
    arguments = {}
    for place, word in enumerate(part.strip() for part in split(rest, ",") if rest):
        key, equals, value = word.partition("=")
        if not (equals and key in known):
            key, value = (known[place] if place < len(known) else ""), word
        if not key or key in arguments:
            raise DegradationError(f"{words!r}: cannot use {word!r}; {kind.name} takes {', '.join(known)}")
        arguments[key] = _value(words, key, value.strip())
    if "seed" in known:
        arguments.setdefault("seed", seed)
    missing = [item.name for item in fields(kind) if item.default is MISSING and item.name not in arguments]
    if missing:
        raise DegradationError(f"{words!r}: {', '.join(missing)} missing; {kind.name} takes {', '.join(known)}")
    ranges = {key: value.checked(key) for key, value in arguments.items() if isinstance(value, Range)}
    whole = [key for key in ranges if KINDS[key] is WHOLE]  # between whole numbers a range may start, its class not
    starts = {key: max(1, round(found.start)) if key in whole else found.start for key, found in ranges.items()}
    f = kind(**(arguments | starts))
    return free(f, **{key: (found.low, found.high, found.start) for key, found in ranges.items()}) if ranges else f


def _unknown(name: str, more: str = "") -> DegradationError:
    close = get_close_matches(name.lower(), NAMES, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return DegradationError(
        f"unknown degradation {name!r}; expected one of {', '.join(NAMES)}, or MODULE:NAME{more}{hint}"
    )


def _imported(module: str, name: str) -> Degradation:
    """The operator that MODULE:NAME means."""
    words = f"{module}:{name}"
    try:
        found = find_object(words)
    except OwnCodeError as error:
        cause = error.__cause__
        lacking = (cause.name or "") if isinstance(cause, ModuleNotFoundError) else ""
        if lacking and (module == lacking or module.startswith(f"{lacking}.")):
            raise _unknown(module, f"; no module {module!r} is found") from None  # or a misspelt name
        raise DegradationError(str(error)) from error
    try:
        found = found() if isinstance(found, type) else found
    except (Exception, SystemExit) as error:  # whatever their code does when it is made
        raise DegradationError(f"{words!r} cannot be made: {in_a_line(error)}") from error
    try:
        f = as_operator(found)
    except DegradationError as error:
        raise DegradationError(f"{words!r}: {error}") from error
    return Foreign(found, notation=words) if isinstance(f, Foreign) else f


def split(words: str, separator: str) -> list[str]:
    """The parts of `words` between the separators outside of quotes. Raises `DegradationError` for an open quote."""
    parts, quoted, escaped = [""], False, False
    for letter in words:
        if letter == separator and not quoted:
            parts.append("")
            continue
        parts[-1] += letter
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = quoted and letter == "\\" and not escaped
    if quoted:
        raise DegradationError(f'{words!r}: a quote is open; expected another "')
    return parts


def _value(words: str, key: str, value: str) -> object:
    """The text `value` of the argument `key` as its type."""
    if re.fullmatch(r"<[\dx]* tensor>", value):
        raise DegradationError(f"{words!r}: a tensor has no notation; save it as a picture and name the file")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    kind, expected = KINDS.get(key, (str, ""))
    try:
        if key in FREE and ".." in value:
            bounds, _, start = value.partition("@")
            low, _, high = bounds.partition("..")
            return Range(float(low), float(high), float(start) if start else None)
        return kind(value)
    except ValueError:
        raise DegradationError(f"{words!r}: {key} must be {expected}, got {value!r}") from None


def _several(kind: type) -> Callable[[str], int | float | tuple]:
    """Reads the text "3" as 3, "3+4+5" as (3, 4, 5), "3+" as (3,)."""

    def read(value: str) -> int | float | tuple:
        numbers = tuple(kind(number) for number in value.removesuffix("+").split("+"))
        return numbers if "+" in value else numbers[0]

    return read


WHOLE, NUMBER = (int, "a whole number"), (float, "a number")
WHOLES = (_several(int), "a whole number, or several joined by +")
NUMBERS = (_several(float), "a number, or several joined by +")
KINDS = {
    "factor": WHOLE,
    "quality": WHOLES,
    "count": WHOLE,
    "photons": NUMBER,
    "p": NUMBER,
    "width": NUMBER,
    "seed": WHOLES,
    "size": WHOLES,
    "sigma": NUMBER,
    "length": NUMBER,
    "direction": NUMBER,
    "gain": NUMBERS,
    "offset": NUMBERS,
    "gamma": NUMBERS,
}
