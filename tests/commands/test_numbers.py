"""Every option that takes a number, of every command, as the parsers list them: new ones are covered by themselves."""

import argparse
from pathlib import Path

import pytest
from conftest import failure

from rusr_core.commands.main import COMMANDS, Parser
from rusr_core.limits import MAX_SEED

NUMBERS = ("0", "-1", "nan", "inf", "1e30", "", "x", "2.5", str(10**30), "9" * 5000)


def options_with_numbers() -> dict[str, tuple[argparse.ArgumentParser, argparse.Action]]:
    """All options whose value is read as something else than text or a path, by "COMMAND --OPTION"."""
    found, waiting = {}, []
    for command in COMMANDS:
        parser = Parser(prog=f"rusr {command.name}")
        command.options(parser)
        waiting.append(parser)
    while waiting:
        parser = waiting.pop()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()
            elif action.type not in (None, str, Path):
                found[f"{parser.prog} {action.option_strings[-1]}"] = parser, action
    return found


OPTIONS = options_with_numbers()


def error_of(capsys, parser: argparse.ArgumentParser, *words: str) -> str:
    """The one line with which the words are refused; "" if it is for nothing but what is missing or too many."""
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args([*words, "--no-such-option"])
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and len(err) < 400
    return "" if "arguments are required" in err or "unrecognized arguments" in err else err


def test_the_parsers_were_looked_through():
    known = {"rusr restore --steps", "rusr photo --face", "rusr bench --seeds", "rusr report --rounds"}
    assert known <= OPTIONS.keys() and len(OPTIONS) >= 30


@pytest.mark.parametrize("name", OPTIONS)
def test_a_number_that_cannot_be_is_named_with_what_is_expected(capsys, name):
    parser, action = OPTIONS[name]
    option = action.option_strings[-1]
    for text in NUMBERS:
        line = error_of(capsys, parser, option, text)
        if text != "0" or line:  # 0 can be, for some
            assert f"argument {'/'.join(action.option_strings)}: " in line
            assert text[:20] in line and "expected " in line and "a whole number from " in line
    default = action.default[0] if isinstance(action.default, list) else action.default
    assert default is None or error_of(capsys, parser, option, str(default)) == ""
    large = error_of(capsys, parser, option, str(MAX_SEED)) == ""
    assert large == (option in ("--seed", "--seeds", "--class"))  # nothing else is as large


@pytest.mark.parametrize("text", ["0", "-1", "nan", "1e30", "x", str(10**30)])
def test_the_steps_in_a_preset_s_name(capsys, tmp_path, text):
    words = ("restore", tmp_path / "none.png", tmp_path / "x.png", "--degradation", "jpeg:12")
    assert text[:20] in failure(capsys, *words, "--method", f"default@{text}")
