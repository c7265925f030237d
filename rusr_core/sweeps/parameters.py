"""The parameters of a notebook: what its parameters cell declares, and values that fit.

A parameters cell is Python, `level: str = "M"`, in a cell with the tag "parameters". The type is what the annotation
says, or else that of the default. Values in text, as a command line gives them, are read by that type, so that "False"
for a `bool` is False and not a text, which would be true.
"""

import ast
import numbers
import os
from collections.abc import Iterator
from dataclasses import dataclass

from rusr_core.errors import RusrError
from rusr_core.limits import shown

Value = str | bool | int | float | list | tuple | dict | None

ANYTHING = ast.Name("Any")
WORDS = {"true": True, "false": False, "none": None, "null": None}
CONTAINERS = {"list": list, "Sequence": (list, tuple), "tuple": tuple, "set": set, "dict": dict, "Mapping": dict}
BRACKETS = {"[": "]", "(": ")", "{": "}"}


class NotebookError(RusrError):
    """A notebook that cannot be run or that fails, or papermill that is not installed."""


class ParameterError(NotebookError):
    """A parameter that a notebook does not have, or a value that does not fit it."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, and its type as an expression of Python."""

    name: str
    kind: ast.expr

    @property
    def expected(self) -> str:
        """The type in words."""
        return "any value" if self.kind is ANYTHING else ast.unparse(self.kind)

    def check(self, value: object) -> Value:
        """`value`, if it fits; numbers of other libraries and paths as Python's own. Raises ParameterError."""
        value = _plain(value)
        if not _fits(value, self.kind):
            raise ParameterError(f"parameter {self.name} is {shown(value)}, expected {self.expected}")
        return value

    def read(self, text: str) -> Value:
        """The value that `text` says: a literal of Python if one fits, else the text itself. Raises ParameterError.

        Quotes make a text of what could be read as something else: "'None'" for `str | None`.
        """
        for value in _readings(text):
            if _fits(value, self.kind):
                return value
        raise ParameterError(f"parameter {self.name} is {shown(text)}, expected {self.expected}")


def declared(source: str) -> dict[str, Parameter]:
    """The parameters that the source of a parameters cell declares, by name. Raises ParameterError (no Python)."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]  # magic commands
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError as error:
        raise ParameterError(f"the parameters cell is not Python ({error.msg}, line {error.lineno})") from error
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = Parameter(node.target.id, _annotation(node.annotation))
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = Parameter(target.id, _kind_of(node.value))
    return found


def split_values(text: str) -> list[str]:
    """The values of "a,b,c". A value that begins with a quote or a bracket ends with its partner, so that it may hold
    commas: "[1,2],[3]" are two. Raises ParameterError for one that does not end.
    """
    values, at = [], 0
    while True:
        while at < len(text) and text[at] == " ":
            at += 1
        end = _end_of_value(text, at)
        values.append(text[at:end].strip())
        if end >= len(text):
            return values
        at = end + 1


def _end_of_value(text: str, at: int) -> int:
    """The index of the comma after the value that begins at `at`, or the end of the text."""
    if at >= len(text) or (text[at] not in BRACKETS and text[at] not in "\"'"):
        comma = text.find(",", at)
        return len(text) if comma < 0 else comma
    open_ones, quote, i = [], "", at
    while i < len(text):
        letter = text[i]
        if quote:
            if letter == "\\":
                i += 1
            elif letter == quote:
                quote = ""
        elif letter in "\"'":
            quote = letter
        elif letter in BRACKETS:
            open_ones.append(BRACKETS[letter])
        elif open_ones and letter == open_ones[-1]:
            open_ones.pop()
        elif letter == "," and not open_ones:
            return i
        i += 1
    if quote or open_ones:
        raise ParameterError(f"{text[at:]!r}: expected {quote or open_ones[-1]} at the end")
    return i


def _readings(text: str) -> Iterator[Value]:
    """What a text can mean, the most special first."""
    text = text.strip()
    if text.lower() in WORDS:
        yield WORDS[text.lower()]
    try:
        yield ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # TypeError: a list as a key
        try:
            if not text.lstrip("+-").isdecimal():  # a whole number that is too long for Python is not infinite
                yield float(text)  # nan, inf
        except ValueError:
            pass
    yield text


def _plain(value: object) -> Value:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool | int | float) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _annotation(kind: ast.expr) -> ast.expr:
    """An annotation; one in quotes is unpacked."""
    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        try:
            return ast.parse(kind.value, mode="eval").body
        except SyntaxError:
            return ANYTHING
    return kind


def _kind_of(default: ast.expr) -> ast.expr:
    """The type of a default, as far as it can be told without running it."""
    try:
        value = ast.literal_eval(default)
    except (ValueError, TypeError, SyntaxError):
        return ANYTHING
    return ANYTHING if value is None else ast.Name(type(value).__name__)


def _fits(value: object, kind: ast.expr) -> bool:
    """Whether a value is of a type, given as an expression."""
    kind = _annotation(kind)
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _fits(value, kind.left) or _fits(value, kind.right)
    if isinstance(kind, ast.Constant):
        return kind.value is None and value is None
    if isinstance(kind, ast.Subscript):
        inner = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
        return _fits_parts(value, _word(kind.value), inner)
    word = _word(kind)
    simple = {"str": str, "bool": bool, "int": int, "float": (int, float)} | CONTAINERS
    if word in simple:
        return isinstance(value, simple[word]) and (word == "bool" or not isinstance(value, bool))
    return True  # Any, or a type that only the notebook knows


def _fits_parts(value: object, word: str, inner: list[ast.expr]) -> bool:
    """Whether a value is of a type with parts: list[int], dict[str, float], Literal["a", "b"], Optional[int], ..."""
    if word == "Literal":
        return any(_is_literally(value, one) for one in inner)
    if word in ("Optional", "Union"):
        return (word == "Optional" and value is None) or any(_fits(value, one) for one in inner)
    if word not in CONTAINERS:
        return True
    if not isinstance(value, CONTAINERS[word]):
        return False
    if not inner:  # tuple[()]
        return not value
    if word in ("dict", "Mapping"):
        return all(_fits(key, inner[0]) and _fits(item, inner[-1]) for key, item in value.items())
    if word == "tuple" and not (isinstance(inner[-1], ast.Constant) and inner[-1].value is ...):
        return len(value) == len(inner) and all(_fits(item, one) for item, one in zip(value, inner, strict=True))
    return all(_fits(item, inner[0]) for item in value)


def _is_literally(value: object, one: ast.expr) -> bool:
    """Whether a value is one of a Literal's; only the notebook knows members of an enumeration."""
    try:
        known = ast.literal_eval(one)
    except ValueError:
        return True
    return known == value and type(known) is type(value)


def _word(kind: ast.expr) -> str:
    """The last part of a type's name: "typing.List" is "list"."""
    name = kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", "")
    return name.lower() if name in ("List", "Tuple", "Dict", "Set") else name
