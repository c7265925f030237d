"""Weights into a network that is only looked through: nothing is initialised, everything is checked."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rusr_core.errors import RusrError

COUNTER = "num_batches_tracked"  # of batch normalisation: counts training steps, no weight


def frozen(build: Callable[[], nn.Module], state: dict[str, Tensor], error: type[RusrError]) -> nn.Module:
    """The network that `build` makes, with exactly the tensors of `state` as float32: in eval mode, without gradients.

    The network is built without memory and without drawing initial weights. A name or shape that does not fit is an
    `error` that names the first such tensor.
    """
    with torch.device("meta"):
        net = build()
    wanted = {k: tuple(v.shape) for k, v in net.state_dict().items() if not k.endswith(COUNTER)}
    state = {k: v.detach().float() for k, v in state.items() if not k.endswith(COUNTER)}
    for name in [*wanted, *state]:
        found = tuple(state[name].shape) if name in state else "missing"
        if found != wanted.get(name):
            expected = wanted.get(name, "no such tensor")
            raise error(f"{type(net).__name__}: {name[:80]!r} is {found}, expected {expected}")
    net.load_state_dict(state, strict=False, assign=True)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.num_batches_tracked = torch.zeros((), dtype=torch.long)  # left without memory above
    return net.eval().requires_grad_(False)
