"""The command line starts on every system, and its help is right."""

import subprocess
import sys

import pytest
from conftest import failure, run

from rusr_core.commands.main import COMMANDS
from rusr_core.degradations import notation


@pytest.mark.slow
def test_the_command_line_starts_where_there_is_no_resource_module():
    code = "import sys; sys.modules['resource'] = sys.modules['fcntl'] = None; import rusr_core.commands"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_help_names_every_command(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert command.name in text
        assert run(command.name, "--help") == 0
    capsys.readouterr()
    assert "'polish'" in failure(capsys, "polish")


def test_notation_of_the_help_is_valid():
    assert str(notation.parse("downsample:8 | jpeg:12")) == "downsample:8 | jpeg:12"
