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
"""


def test_importing_is_silent():
    done = subprocess.run([sys.executable, "-c", SILENT_IMPORT], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "" and done.stderr == "", done.stderr


@pytest.mark.parametrize("name", rusr_core.__all__)
def test_every_public_name_exists(name):
    assert callable(getattr(rusr_core, name))


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'restoration'"):
        rusr_core.restoration  # noqa: B018
