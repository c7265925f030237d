"""A pickle machine that cannot do anything: it turns a pickle into plain data.

Python's own unpickler imports what a file names and calls it. This one is a stack and a memo, nothing else: a
name in the file is looked up in a table of allowed names, whose entries build plain values from plain
arguments, and a name that is not in the table ends the reading. Nothing is imported, no attribute is read or
set, no method of anything in the file is called. So that a small file cannot ask for much memory or time
either, instructions and copies are paid from a budget, texts and dictionary keys are bounded, and long byte
strings are windows on the file, not copies.

Instructions: Python's `pickletools`; protocols 2 to 5, as the standard picklers write them.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from rusr_core.checkpoints.safetensors import CheckpointError

MAX_INSTRUCTIONS = 400_000  # G and G_ema of a 1024 px network pickle take 37,029 (protocol 3)
MAX_TEXT = 64 * 2**20  # bytes; protocol 2 stores each tensor as text, the largest of them 14 MB
KEYS = (str, int, float, bool, bytes, type(None))  # never a container: hashing nested tuples can take forever

Builder = Callable[..., object]


@dataclass(eq=False)
class Record:
    """An object of the file as data: the name of its class, the arguments, and its state."""

    name: str
    args: tuple = ()
    state: dict = field(default_factory=dict)


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


@dataclass(frozen=True)
class Name:
    """A global name in the file, and what builds its value from plain arguments."""

    name: str
    build: Builder


class _Mark:
    pass


MARK = _Mark()


class Machine:
    """Reads pickles from `data`, one after another: `position` stands behind the last.

    `names` maps "module.name" to builders; `persistent` turns a persistent id into a value (torch's
    storages).
    """

    def __init__(self, data: memoryview, names: dict[str, Builder], budget: Budget, persistent: Builder | None = None):
        self.data, self.names, self.budget, self.persistent = data, names, budget, persistent
        self.position = 0
        self.stack: list = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        """The value of the next pickle."""
        self.stack, self.memo = [], {}
        if self.take(1)[0] != 0x80 or not 2 <= self.take(1)[0] <= 5:
            raise CheckpointError("not a pickle of protocol 2 to 5")
        while self.budget.instructions > 0:
            self.budget.instructions -= 1
            code = self.take(1)[0]
            if code == ord("."):
                return self.pop()
            instruction = INSTRUCTIONS.get(code)
            if instruction is None:
                raise CheckpointError(f"pickle instruction {code:#04x}, which no checkpoint needs: refused")
            instruction(self)
        raise CheckpointError(f"a pickle of more than {MAX_INSTRUCTIONS} instructions: refused")

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        part = self.data[self.position : self.position + size]
        if len(part) != size:
            raise CheckpointError(f"truncated: {size} bytes wanted, {len(part)} left")
        self.position += size
        return part

    def number(self, form: str) -> int | float:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        window = bytes(self.data[self.position : self.position + 256])
        end = window.find(b"\n")
        if end < 0:
            raise CheckpointError("a name of more than 255 characters: damaged")
        self.position += end + 1
        return window[:end].decode()

    def text(self, form: str) -> None:
        size = self.number(form)
        if size > MAX_TEXT:
            raise CheckpointError(f"a text of {size} bytes, expected at most {MAX_TEXT}")
        self.push(str(self.take(size), "utf-8", "surrogatepass"))

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> object:
        if not self.stack or self.stack[-1] is MARK:
            raise CheckpointError("a pickle that takes more from the stack than it put there: damaged")
        return self.stack.pop()

    def pop_mark(self) -> list:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is MARK:
                values = self.stack[i + 1 :]
                del self.stack[i:]
                return values
        raise CheckpointError("a pickle without the mark that it refers to: damaged")

    def top(self, kind: type) -> object:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise CheckpointError(f"a pickle that fills something other than a {kind.__name__}: refused")
        return self.stack[-1]

    def put(self, index: int) -> None:
        value = self.pop()
        self.memo[index] = value
        self.push(value)

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise CheckpointError("a pickle that recalls what it never stored: damaged")
        self.push(self.memo[index])

    def name(self, module: object, name: object) -> None:
        full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "something unnamed"
        if full not in self.names:
            raise CheckpointError(f"names {full[:120]!r}, which no checkpoint needs: refused, nothing was run")
        self.push(Name(full, self.names[full]))

    def call(self) -> None:
        """REDUCE, NEWOBJ: arguments, callable -> plain value, by the table's builder."""
        args, target = self.pop(), self.pop()
        if type(target) is not Name or type(args) is not tuple:
            raise CheckpointError("a pickle that calls something other than an allowed name: refused")
        try:
            self.push(target.build(*args))
        except (TypeError, ValueError, AttributeError, struct.error) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"unexpected arguments for {target.name}: damaged") from error

    def set_state(self) -> None:
        """BUILD: a record keeps its state as data; attributes of a dictionary are dropped; anything else is refused."""
        state, target = self.pop(), self.pop()
        if type(target) is Record:
            target.state = state if type(state) is dict else {"": state}
        elif type(target) is not dict or type(state) is not dict:
            raise CheckpointError("a pickle that sets the state of something that has none: refused")
        self.push(target)

    def add_items(self, values: list) -> None:
        target = self.top(dict)
        if len(values) % 2:
            raise CheckpointError("a dictionary key without a value: damaged")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[check_key(key)] = value

    def add_members(self, values: list) -> None:
        self.top(set).update(map(check_key, values))

    def extend(self, values: list) -> None:
        self.top(list).extend(values)

    def long(self, size: int) -> None:
        if size > 16:
            raise CheckpointError(f"a whole number of {size} bytes, expected at most 16")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def persistent_value(self) -> None:
        if self.persistent is None:
            raise CheckpointError("a persistent id outside a tensor stream: refused")
        self.push(self.persistent(self.pop()))

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def pair(self) -> list:
        value, key = self.pop(), self.pop()
        return [key, value]

    def skip_frame(self) -> None:
        self.number("<Q")  # framing only helps readers of streams

    def stack_name(self) -> None:
        name, module = self.pop(), self.pop()
        self.name(module, name)


def check_key(key: object) -> object:
    """A dictionary key or set member of a plain type."""
    if type(key) not in KEYS:
        raise CheckpointError(f"a dictionary key of type {type(key).__name__}, expected text or a number: refused")
    return key


INSTRUCTIONS: dict[int, Callable[[Machine], object]] = {
    ord(code): action
    for code, action in {
        "(": lambda m: m.push(MARK),
        "0": lambda m: m.pop(),
        "1": lambda m: m.pop_mark(),
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        "J": lambda m: m.push(m.number("<i")),
        "K": lambda m: m.push(m.number("<B")),
        "M": lambda m: m.push(m.number("<H")),
        "\x8a": lambda m: m.long(m.number("<B")),
        "\x8b": lambda m: m.long(m.number("<I")),
        "G": lambda m: m.push(m.number(">d")),
        "X": lambda m: m.text("<I"),
        "\x8c": lambda m: m.text("<B"),
        "\x8d": lambda m: m.text("<Q"),
        "B": lambda m: m.push(m.take(m.number("<I"))),
        "C": lambda m: m.push(m.take(m.number("<B"))),
        "\x8e": lambda m: m.push(m.take(m.number("<Q"))),
        "}": lambda m: m.push({}),
        "]": lambda m: m.push([]),
        "\x8f": lambda m: m.push(set()),
        ")": lambda m: m.push(()),
        "t": lambda m: m.push(tuple(m.pop_mark())),
        "\x85": lambda m: m.tuple_of(1),
        "\x86": lambda m: m.tuple_of(2),
        "\x87": lambda m: m.tuple_of(3),
        "d": lambda m: (lambda values: (m.push({}), m.add_items(values)))(m.pop_mark()),
        "l": lambda m: m.push(m.pop_mark()),
        "a": lambda m: (lambda value: m.extend([value]))(m.pop()),
        "e": lambda m: m.extend(m.pop_mark()),
        "s": lambda m: m.add_items(m.pair()),
        "u": lambda m: m.add_items(m.pop_mark()),
        "\x90": lambda m: m.add_members(m.pop_mark()),
        "q": lambda m: m.put(m.number("<B")),
        "r": lambda m: m.put(m.number("<I")),
        "\x94": lambda m: m.put(len(m.memo)),
        "h": lambda m: m.get(m.number("<B")),
        "j": lambda m: m.get(m.number("<I")),
        "c": lambda m: m.name(m.line(), m.line()),
        "\x93": lambda m: m.stack_name(),
        "R": lambda m: m.call(),
        "\x81": lambda m: m.call(),
        "b": lambda m: m.set_state(),
        "Q": lambda m: m.persistent_value(),
        "\x95": lambda m: m.skip_frame(),
    }.items()
}
