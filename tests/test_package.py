"""What `import rusr_core` gives, and what it must not do."""

import subprocess
import sys

import pytest

import rusr_core

SILENT_IMPORT = """
import socket, sys, warnings
import torch
filters, random = list(warnings.filters), torch.random.get_rng_state()
def refuse(*_args, **_options): raise AssertionError("a connection was opened")
socket.socket.connect = refuse
import rusr_core
assert warnings.filters == filters, "warning filters were changed"
assert torch.equal(torch.random.get_rng_state(), random), "the global random state was changed"
assert not torch.cuda.is_initialized(), "CUDA was started"
assert "matplotlib" not in sys.modules, "matplotlib was imported"
import rusr_core.restore
assert callable(rusr_core.restore), "the module hides the function"
from rusr_core.priors.load import lpips_heads
assert len(lpips_heads()) == 5
assert "lpips" not in sys.modules and "torchvision" not in sys.modules, "the heads are read from their file"
# arithmetic on the "meta" device imports torch's compiler, and so does torchvision; it takes seconds in every command
import rusr_core.commands
rusr_core.load_prior()
assert "torch._dynamo" not in sys.modules, "a command that loads a prior imports torch's compiler"
"""


@pytest.mark.slow
def test_importing_is_silent_and_loads_no_more_than_is_needed():
    """One process, since each imports torch: the library, the heads of LPIPS without their package, a command."""
    done = subprocess.run([sys.executable, "-c", SILENT_IMPORT], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "" and done.stderr == "", done.stderr


def test_public_names_are_what_their_modules_define():
    """`rusr.X` is X of its module, `dir` shows it, and the heavy ones come when they are asked for."""
    from rusr_core import figures, images, prior, priors, restore

    defined = {"load_image": images, "save_image": images, "resize": images, "Prior": prior, "load_prior": priors}
    defined |= {"portraits": priors} | dict.fromkeys(("show", "compare", "timeline"), figures)
    for name, module in defined.items():
        assert getattr(rusr_core, name) is getattr(module, name), name
    assert restore is sys.modules["rusr_core.restore"].restore and rusr_core.zoo is priors
    for name in ("degradations", "figures", "latents", "losses", "metrics", "presets", "sweeps", "tasks"):
        assert getattr(rusr_core, name) is sys.modules[f"rusr_core.{name}"], name
    assert {*defined, *rusr_core.__all__, "zoo", "tasks", "metrics"} <= set(dir(rusr_core))


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'restoration'"):
        rusr_core.restoration  # noqa: B018
