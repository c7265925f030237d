"""What a pickle becomes when nothing in it is imported or called: inert records, and what a file may use up."""

from collections.abc import Callable
from dataclasses import dataclass

from rusr_core.checkpoints.source import CheckpointError

# G and G_ema of a 1024 px network pickle take 37,029 (protocol 3); a list of losses takes one for each number
MAX_INSTRUCTIONS = 1_500_000
PLAIN = (str, int, float, bool, type(None))  # keys that are hashed: hashing nested tuples can take for ever

Builder = Callable[..., object]


@dataclass(eq=False, slots=True)
class Record:
    """Something of the file as data: the name of a class or function, and what the file gave to it.

    Two records are equal only if they are one and the same, so that they can be keys without being looked into.
    """

    name: str
    args: tuple = ()
    state: object = None  # of an object, mostly a dictionary of its attributes
    items: dict | None = None  # of a kind of dictionary
    members: list | None = None  # of a kind of list or set

    def __repr__(self) -> str:
        return f"<{self.name[:80]}>"


@dataclass(eq=False, slots=True)
class Name:
    """A global name in the file, and what builds its value from plain arguments (None: an inert record)."""

    name: str
    build: Builder | None

    def __repr__(self) -> str:
        return f"<{self.name[:80]}>"


@dataclass
class Budget:
    """What one file may use up, its nested streams included."""

    copies: int  # bytes that builders may copy
    instructions: int = MAX_INSTRUCTIONS

    def copy(self, size: int) -> None:
        """Pay for a copy of `size` bytes."""
        self.copies -= size
        if self.copies < 0:
            raise CheckpointError("asks for more memory than a file of its size can need: refused")


def as_key(key: object) -> object:
    """A dictionary key that costs nothing to hash: plain ones as they are, anything else within a record.

    Whole numbers beyond 64 bits, too: their hashes are not random, and a file could make all of them equal.
    """
    plain = type(key) in PLAIN and (type(key) is not int or -(2**63) <= key < 2**64)
    return key if plain or type(key) in (Record, Name) else Record(type(key).__name__, (key,))
