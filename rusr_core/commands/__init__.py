"""The command line, one file a command; see `main`."""

from rusr_core.commands.main import main

__all__ = ["main"]
