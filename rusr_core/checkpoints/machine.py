"""A pickle machine that cannot do anything: it turns a pickle into plain data.

Python's own unpickler imports what a file names and calls it. This one is a stack and a memo, nothing else: a name in
the file is looked up in a table, whose entries build plain values from plain arguments. Any other name, and whatever
the file makes of it by calls, states and items, becomes an inert `Record`: training scripts keep devices, paths, dates
and options beside the weights, and only the weights are asked for. Nothing is imported, no attribute is read or set,
no method of anything in the file is called, nothing but plain keys is hashed or compared.

A subclass of `pickle.Unpickler` whose `find_class` returns such builders would be shorter and run as little, but a
file of 200 bytes can make it hash tuples in tuples for ever, or ask for 64 GB for a memo of 2^32 entries. Here
instructions and copies are paid from a budget, texts are bounded, and long byte strings are windows on the file.

Instructions: Python's `pickletools`; protocols 2 to 5, as the standard picklers of Python 2 and 3 write them.
"""

import struct
from collections.abc import Callable

from rusr_core.checkpoints.records import MAX_INSTRUCTIONS, Budget, Builder, Name, Record, as_key
from rusr_core.checkpoints.source import CheckpointError

MAX_TEXT = 64 * 2**20  # bytes; protocol 2 stores each tensor as text, the largest of them 14 MB
MAX_WHOLE = 1024  # bytes of a whole number
STOP = ord(".")
MAX_ARGUMENTS = 16  # of a call that builds a value; no builder takes more


class _Mark:
    pass


MARK = _Mark()


class Machine:
    """Reads pickles from `data`, one after another: `position` stands behind the last.

    `names` maps "module.name" to builders; `persistent` turns a persistent id into a value (torch's storages).
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
            if self.position >= len(self.data):
                raise CheckpointError("truncated: a pickle without an end")
            code = self.data[self.position]
            self.position += 1
            if code == STOP:
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

    def top(self) -> object:
        value = self.pop()
        self.push(value)
        return value

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
        self.push(Name(full[:255], self.names.get(full)))

    def call(self, target: object, args: object) -> None:
        """Arguments for a callable: a plain value by the table's builder, or an inert record of the call."""
        if type(args) is not tuple or type(target) not in (Name, Record):
            raise CheckpointError("a pickle that calls something other than a name: damaged")
        if type(target) is Record or target.build is None:
            self.push(Record(target.name, args) if type(target) is Name else Record("a call", (target, args)))
            return
        try:
            self.push(target.build(*args[:MAX_ARGUMENTS]))
        except (TypeError, ValueError, AttributeError, struct.error) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"unexpected arguments for {target.name}: damaged") from error

    def reduce(self) -> None:
        """REDUCE, NEWOBJ: callable and arguments."""
        args, target = self.pop(), self.pop()
        self.call(target, args)

    def new_with_keywords(self) -> None:
        """NEWOBJ_EX: callable, arguments, keyword arguments."""
        keywords, args, target = self.pop(), self.pop(), self.pop()
        if type(args) is not tuple or type(target) not in (Name, Record):
            raise CheckpointError("a pickle that calls something other than a name: damaged")
        called = target.name if type(target) is Name else "a call"
        self.push(Record(called, args, state=keywords))

    def new_of_mark(self) -> None:
        """OBJ, as Python 2 writes it: callable and arguments above a mark."""
        values = self.pop_mark()
        self.call(values[0] if values else None, tuple(values[1:]))

    def set_state(self) -> None:
        """BUILD: a record keeps its state as data; attributes of anything plain, such as a dictionary, are dropped."""
        state, target = self.pop(), self.pop()
        if type(target) is Record:
            target.state = state
        self.push(target)

    def add_items(self, values: list) -> None:
        target = self.top()
        if type(target) is Record:
            target.items = target = {} if target.items is None else target.items
        if type(target) is not dict or len(values) % 2:
            raise CheckpointError("a pickle whose entries belong to no dictionary, or without a value: damaged")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[as_key(key)] = value

    def extend(self, values: list) -> None:
        target = self.top()
        if type(target) is Record:
            target.members = target = [] if target.members is None else target.members
        if type(target) is not list:
            raise CheckpointError("a pickle whose members belong to no list: damaged")
        target.extend(values)

    def long(self, size: int) -> None:
        if not 0 <= size <= MAX_WHOLE:
            raise CheckpointError(f"a whole number of {size} bytes, expected at most {MAX_WHOLE}")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def old_text(self, form: str) -> None:
        """A string of Python 2: text or bytes, which it did not tell apart."""
        size = self.number(form)
        if not 0 <= size <= MAX_TEXT:
            raise CheckpointError(f"a text of {size} bytes, expected at most {MAX_TEXT}")
        raw = bytes(self.take(size))
        try:
            self.push(raw.decode())
        except UnicodeDecodeError:
            self.push(raw.decode("latin1"))

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
        "\x96": lambda m: m.push(m.take(m.number("<Q"))),
        "T": lambda m: m.old_text("<i"),
        "U": lambda m: m.old_text("<B"),
        "}": lambda m: m.push({}),
        "]": lambda m: m.push([]),
        "\x8f": lambda m: m.push(Record("builtins.set")),
        "\x91": lambda m: m.push(Record("builtins.frozenset", members=m.pop_mark())),
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
        "\x90": lambda m: m.extend(m.pop_mark()),
        "q": lambda m: m.put(m.number("<B")),
        "r": lambda m: m.put(m.number("<I")),
        "\x94": lambda m: m.put(len(m.memo)),
        "h": lambda m: m.get(m.number("<B")),
        "j": lambda m: m.get(m.number("<I")),
        "c": lambda m: m.name(m.line(), m.line()),
        "\x93": lambda m: m.stack_name(),
        "R": lambda m: m.reduce(),
        "\x81": lambda m: m.reduce(),
        "\x92": lambda m: m.new_with_keywords(),
        "o": lambda m: m.new_of_mark(),
        "b": lambda m: m.set_state(),
        "Q": lambda m: m.persistent_value(),
        "\x95": lambda m: m.skip_frame(),
    }.items()
}
