"""Somebody's operator in the form of ours: a function, a torch module, an object with `forward`, a deepinv Physics."""

import inspect
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.arithmetic import plain_tensors
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import DegradationError, true_input
from rusr_core.degradations.deepinv_physics import is_deepinv, surrogate
from rusr_core.errors import RusrError
from rusr_core.images import OVERSHOOT, quantize

PROBE_SEED = 0


class Foreign(Degradation):
    """An operator that somebody else wrote, `f`, with the methods of a `Degradation`.

    Its generator, if it takes one, is the one that it is called with. If it draws from torch's global generator
    instead (or numpy's, or Python's), it is run with these seeded from that generator, and they are put back; on a GPU
    such draws are the GPU's own. Which of the two it does is found by calling it twice on an image of noise.
    """

    def __init__(self, f: object, notation: str | None = None) -> None:
        self.f = f
        self.notation = notation
        self._surrogate, self._true = (
            None if function is None else _Call(function, str(self), partial(self._method_of_one_image, i))
            for i, function in enumerate(_methods(f))
        )
        self._random: bool | None = None  # of the surrogate; None: not tried yet
        self._tried: dict[tuple, Tensor] = {}  # by shape, type and device of an image, what came out

    @property
    def random(self) -> bool | None:
        """Whether the surrogate draws random numbers; None before `probe`, if `f` does not say."""
        said = getattr(self.f, "random", None)
        return said if isinstance(said, bool) else self._random

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self._surrogate(x, generator)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        with torch.no_grad():
            x = true_input(x)
            y = (self._true or self._surrogate)(x, generator)
            _check_images(y, x, str(self) if self._true is None else f"degrade of {self}")
            tried = self.probe(x)  # on noise: of a bright image, values beyond 1 may be meant
            if self._true is None or is_deepinv(self.f):  # whose measurements are no 8-bit files yet
                return quantize(y.clamp(0, 1))
            _check_range(y, f"degrade of {self}")
            if y.shape[2:] != tried.shape[2:]:
                have, want = ("x".join(map(str, each.shape[2:])) for each in (y, tried))
                raise DegradationError(f"degrade of {self} gives {have} px, its surrogate {want}: expected one size")
            return y

    def expected(self, x: Tensor) -> Tensor:
        method = self.f.A if is_deepinv(self.f) else getattr(self.f, "expected", None)
        if callable(method):
            return method(x)
        with plain_tensors():
            self.probe(x)  # what it is tried on is no part of the computation
        return super().expected(x)

    def mask(self, shape: Sequence[int]) -> object:
        """What `f.mask` says, a tensor or a method of the shape; whether it is a mask, `operator.mask_of` decides."""
        if is_deepinv(self.f) and not is_deepinv(self.f, "Inpainting"):
            return None  # other Physics have a `mask` that hides nothing
        mask = getattr(self.f, "mask", None)
        return mask(tuple(shape)) if callable(mask) and not isinstance(mask, Tensor) else mask

    def for_image(self, i: int) -> Degradation:
        method = getattr(self.f, "for_image", None)
        if not callable(method):
            return self
        own = method(i)
        return self if own is self.f else Foreign(own)

    def probe(self, like: Tensor) -> Tensor:
        """Try the surrogate on one image of the shape, type and device of `like` `[N, 3, H, W]`, once -> its result.

        Raises `DegradationError` if that fails, if no image of the same device comes out, or if it draws random
        numbers, or no seed repeats it, and it says that it is not random.
        """
        key = (tuple(like.shape[1:]), like.dtype, like.device)
        if key not in self._tried:
            x = probe_image(like)
            with torch.no_grad():
                y = self._surrogate.try_one(x, torch.Generator().manual_seed(PROBE_SEED))
            _check_images(y, x, str(self))
            _check_range(y, str(self))
            self._random = self._surrogate.draws or not self._surrogate.repeats
            if self._random and self.random is False:
                does = "draws random numbers" if self._surrogate.draws else "gives another image each time"
                raise DegradationError(f"{self} {does}, but its random is False; expected True, or none")
            self._tried[key] = y
        return self._tried[key]

    def _method_of_one_image(self, i: int) -> Callable:
        """The surrogate (0) or the true operation (1) for a batch of one image, on which they are tried."""
        method = getattr(self.f, "for_image", None)
        return _methods(method(0) if callable(method) else self.f)[i]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Foreign) and self.f is other.f

    def __hash__(self) -> int:
        return hash(id(self.f))

    def __str__(self) -> str:
        if self.notation is not None:
            return self.notation
        kind = type(self.f)
        if kind.__str__ is not object.__str__ and not isinstance(self.f, torch.nn.Module):
            return str(self.f)
        return getattr(self.f, "__name__", kind.__name__)

    def __repr__(self) -> str:
        return f"Foreign({self.f!r})"


class _Call:
    """A foreign function of an image, called with what it can take."""

    def __init__(self, function: Callable, name: str, for_one: Callable[[], Callable]) -> None:
        self.function = function
        self.name = name
        self.for_one = for_one  # gives the function for a batch of one image, on which it is tried
        self.place = _place_of_generator(function)
        self.draws: bool | None = None  # random numbers that we seed; None: not tried yet
        self.globally = False  # from the global generators
        self.repeats = True  # the same generator, the same result

    def __call__(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.draws is None:
            self._find_out(x)
        return self._seeded(self.function, x, generator)

    def try_one(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The same for a batch of one image."""
        if self.draws is None:
            self._find_out(x)
        return self._seeded(self.for_one(), x, generator)

    def _seeded(self, function: Callable, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.draws:
            return self._plain(function, x, generator)
        generator = randomness.checked(generator)
        if not self.globally:
            return self._plain(function, x, generator)
        word = int(torch.randint(2**32, (), generator=generator))
        with randomness.seeded_globals(word, x.device):
            return self._plain(function, x, generator)

    def _plain(self, function: Callable, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.place is None:
            return function(x)
        return function(x, generator) if self.place == "second" else function(x, generator=generator)

    def _find_out(self, x: Tensor) -> None:
        """Call it twice on one image, with equal generators, and look at whose random numbers it draws."""
        probe, results = probe_image(x), []
        generators = [torch.Generator().manual_seed(PROBE_SEED) for _ in range(2)]
        before = generators[0].get_state()
        try:
            with torch.no_grad():
                for generator in generators:
                    call = partial(self._plain, self.for_one(), probe, generator)
                    self.globally |= randomness.draws_globally(lambda call=call: results.append(call()), x.device)
        except RusrError:
            raise
        except Exception as error:
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DegradationError(
                f"{self.name} cannot be applied to an image {list(probe.shape)} {probe.dtype} on {x.device}: {line}"
            ) from error
        self.draws = self.globally or not torch.equal(before, generators[0].get_state())
        self.repeats = _alike(*results)
        if not self.repeats:
            warnings.warn(f"{self.name} draws random numbers of its own, which no seed repeats", stacklevel=4)


def probe_image(like: Tensor) -> Tensor:
    """One image of noise in [0, 1] of the shape, type and device of the images `like` `[N, 3, H, W]`."""
    return torch.rand((1, *like.shape[1:]), generator=torch.Generator().manual_seed(PROBE_SEED)).to(like)


def _alike(a: object, b: object) -> bool:
    """Whether two results are equal but for rounding, which on a GPU may differ from call to call."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a.device.type == "meta" or a.shape != b.shape:
        return True
    return torch.allclose(a, b, atol=1e-4, equal_nan=True)


def _check_images(y: object, x: Tensor, name: str) -> None:
    """Raise `DegradationError` if f(x), for images x `[N, 3, H, W]`, is not as many."""
    num = len(x)
    if not isinstance(y, Tensor):
        raise DegradationError(f"{name} gives {type(y).__name__}; expected a tensor [{num}, 3, h, w]")
    if y.device != x.device:
        raise DegradationError(f"{name} gives an image on {y.device} for one on {x.device}; expected it there too")
    if y.dim() != 4 or y.shape[:2] != (num, 3) or not y.is_floating_point() or not y.numel():
        what = "an image" if num == 1 else "images"
        raise DegradationError(f"{name} gives {list(y.shape)} {y.dtype}; expected {what} [{num}, 3, h, w] of floats")
    if y.device.type != "meta" and not y.isfinite().all():
        raise DegradationError(f"{name} gives NaN or infinity for an image in [0, 1]")


def _check_range(y: Tensor, name: str) -> None:
    """Raise `DegradationError` if images are of another range than [0, 1], on average."""
    if y.device.type != "meta" and not -OVERSHOOT <= (mean := float(y.mean())) <= 1 + OVERSHOOT:
        raise DegradationError(f"{name} gives values about {mean:g} for an image in [0, 1]; expected [0, 1] too")


def _methods(f: object) -> tuple[Callable, Callable | None]:
    """The surrogate and the true operation of `f`, if it has one."""
    if isinstance(f, type):
        raise DegradationError(f"{f.__name__} is a class; expected a degradation, as {f.__name__}(...)")
    if isinstance(f, str):
        raise DegradationError(f"expected a degradation, got the text {f!r}; degradations.parse makes one of it")
    if is_deepinv(f):
        return surrogate(f), f
    defined = {name: getattr(f, name, None) for name in ("forward", "degrade")}
    for name in defined:
        if getattr(type(f), name, None) is getattr(Degradation, name):  # a subclass that leaves it out
            defined[name] = None
    forward = f if isinstance(f, torch.nn.Module) or defined["forward"] is None else defined["forward"]
    if not callable(forward) or (isinstance(f, Degradation) and defined["forward"] is None):
        raise DegradationError(f"a degradation is a function of x or has a method forward(x); {f!r} has none")
    return forward, defined["degrade"] if callable(defined["degrade"]) else None


def _place_of_generator(function: Callable) -> str | None:
    """How `function(x, ...)` takes a generator: "keyword", as its "second" argument, or not at all (None)."""
    function = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # built-in functions tell nothing
        return None
    named = next((p for p in parameters if p.name == "generator"), None)
    if named is not None and named.kind in (named.POSITIONAL_OR_KEYWORD, named.KEYWORD_ONLY):
        return "keyword"
    second = parameters[1] if len(parameters) > 1 else None
    positional = second is not None and second.kind in (second.POSITIONAL_ONLY, second.POSITIONAL_OR_KEYWORD)
    return "second" if positional and second.default is second.empty else None
