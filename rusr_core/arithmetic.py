"""How a processor computes with 32-bit numbers: exactly and repeatably, or fast. Nothing here outlives its `with`.

A GPU may round the factors of its products to 10 bits (TensorFloat-32, which torch allows in convolutions unless it is
told otherwise), and cuDNN may add in an order that differs from run to run. A search amplifies both: Adam normalises
gradients, small ones too. Recorded sweeps therefore run in `exact_arithmetic`; on a CPU it changes nothing.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from rusr_core.errors import RusrError
from rusr_core.limits import shown

MODES = ("exact", "fast")
TINY = 1e-40  # a denormal number of 32 bits


class ArithmeticModeError(RusrError):
    """An arithmetic that has no name here."""


class DeviceError(RusrError):
    """A device on which nothing can be computed here."""


def usable_device(name: str | torch.device) -> torch.device:
    """The device of a name such as "cpu" or "cuda:1", on which numbers were computed and read. Raises `DeviceError`."""
    try:
        device = torch.device(name)
        (torch.zeros(1, device=device) + 1).item()
    except (RuntimeError, AssertionError, TypeError):  # NotImplementedError, of `meta`, is a RuntimeError
        raise DeviceError(f"device {shown(str(name))} is not available here; expected cpu or cuda") from None
    return device


def exact_arithmetic() -> AbstractContextManager[None]:
    """The arithmetic of recorded results: products of 32 bits, and the same order of sums in every run."""
    return arithmetic("exact")


@contextmanager
def arithmetic(mode: str) -> Iterator[None]:
    """Compute in this mode for a while, then as before.

    "exact": 32-bit products, deterministic cuDNN. "fast": TensorFloat-32 in convolutions and matrix products, and
    whatever order of sums is quickest, so that two runs of one seed differ. The switches belong to the process, not to
    the thread: threads that compute in other modes at the same time disturb each other.
    """
    if mode not in MODES:
        raise ArithmeticModeError(f"arithmetic {mode!r}: expected one of {', '.join(MODES)}")
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [(owner, name, getattr(owner, name)) for owner, name in [*_tensorfloat(), (cudnn, "deterministic")]]
    try:
        # by torch's older names for them, which every version takes, whichever names its caller has used
        matmul.allow_tf32 = cudnn.allow_tf32 = mode == "fast"
        cudnn.deterministic = mode == "exact"
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _tensorfloat() -> list[tuple[object, str]]:
    """torch's switches of TensorFloat-32, owners and names: the older ones, or the newer where a program has set those,
    after which the older refuse to answer (torch 2.9 and newer)."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    older = [(owner, "allow_tf32") for owner in (matmul, cudnn)]
    try:
        for owner, name in older:
            getattr(owner, name)
        return older
    except RuntimeError:
        return [(owner, "fp32_precision") for owner in (matmul, cudnn.conv, cudnn.rnn)]


def description() -> dict[str, bool]:
    """What is in force, as records show it: TensorFloat-32 anywhere, and whether cuDNN is deterministic."""
    rounded = any(getattr(owner, name) in (True, "tf32") for owner, name in _tensorfloat())
    return {"tf32": rounded, "deterministic": torch.backends.cudnn.deterministic}


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take numbers below 1.2e-38 for zero in this thread, where the processor can: some compute with them many times
    slower, and the gradients of a search reach them. The thread is left as it was found."""
    before = flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def flushes_denormals() -> bool:
    """Whether this thread takes denormal numbers for zero; torch does not say."""
    return (torch.tensor(TINY) * 1).item() == 0


@contextmanager
def gradients() -> Iterator[None]:
    """Inside, gradients are computed, whether or not the caller has switched them off: a search follows them."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def plain_tensors() -> Iterator[None]:
    """Inside, new tensors belong to nobody: not to an inference mode and not to a `torch.func` transform around them.

    What is kept for later calls is made inside. A tensor that is made under `torch.func.vjp` is otherwise one of that
    transform, which ends before the tensor does, and has no memory that numpy could read.
    """
    with torch.inference_mode(False), torch._C._DisableFuncTorch():
        yield
