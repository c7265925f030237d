"""Questions to a reader: predictions that veil what follows until a guess is made, and numbers to check by oneself.

Both are plain HTML. In the built book `book/_static/questions.js` brings them to life, without a kernel or a server;
where that script is missing (JupyterLab, Colab, a reader without JavaScript) nothing is veiled and all text is shown.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from rusr_core.figures.interactive import Html
from rusr_core.figures.panels import FigureError
from rusr_core.limits import is_number, shown


@dataclass(frozen=True)
class Prediction:
    """A question with radio buttons. What follows on the page, up to its `verdict` and the prose right after that, is
    veiled until a guess is made."""

    key: str  # unique on its page
    question: str
    choices: tuple[str, ...]

    def _repr_html_(self) -> str:
        buttons = "".join(
            f'<label><input type="radio" name="rusr-predict-{escape(self.key)}" value="{escape(choice)}"> '
            f"{escape(choice)}</label>"
            for choice in self.choices
        )
        return (
            f'<fieldset class="rusr-predict" data-predict="{escape(self.key)}">'
            f"<legend>Predict before you look</legend><p>{_prose(self.question)}</p>{buttons}</fieldset>"
        )

    def verdict(self, answer: str | None, reasons: Mapping[str, str], *, expected: str | None = None) -> Html:
        """The answer, and for every choice the reason why it is right, or why it tempts and is wrong.

        `expected` is the answer for which `reasons` were written. If other parameters lead to another answer, the
        reasons would be false, and the verdict says so instead. Without an answer (None), as with a prior of which
        nothing is recorded, it says only that, and nothing is veiled. Raises `FigureError` if `answer` or `expected` is
        none of the choices, or if the reasons are not one for each choice.
        """
        for each in (answer, expected):
            if each is not None and each not in self.choices:
                raise FigureError(f"answer {each!r} of {self.key!r}: expected one of {', '.join(self.choices)}")
        if set(reasons) != set(self.choices):
            raise FigureError(f"reasons for {', '.join(reasons)}: expected one for each of {', '.join(self.choices)}")
        if answer is None:
            return Html("<p><em>No answer: nothing is recorded for this prior.</em></p>")
        items = "".join(
            f'<li data-choice="{escape(choice)}"><b>{escape(choice)}:</b> {_prose(reasons[choice])}</li>'
            for choice in self.choices
        )
        why = f"<ul>{items}</ul>"
        if expected not in (None, answer):
            why = f"<p>The reasons in this cell are for another answer, {escape(expected)}, and do not hold here.</p>"
        return Html(
            f'<div class="rusr-verdict" data-verdict="{escape(self.key)}" data-answer="{escape(answer)}">'
            f"<p>The answer: <b>{escape(answer)}</b>.</p>{why}</div>"
        )


def predict(key: str, question: str, choices: Sequence[str]) -> Prediction:
    """Ask before something is shown: put this last into a cell, and `verdict` of what it returns where it is resolved.

    Raises `FigureError` unless there are two choices or more, all different.
    """
    if isinstance(choices, str):  # its letters would be the choices
        raise FigureError(f"choices are {shown(choices)}: expected a list of two or more")
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise FigureError(f"choices {', '.join(map(repr, choices))}: expected two or more, all different")
    return Prediction(key, question, tuple(choices))


def self_check(
    question: str, answer: float, *, within: float = 0.0, unit: str = "", slips: Mapping[float, str] | None = None
) -> Html:
    """A number to be found by hand, which the page compares with `answer` (right if at most `within` away).

    `slips` names what went wrong for numbers that common mistakes lead to. The answer stands folded below, except in
    the build without solutions (`RUSR_SOLUTIONS=0`). Raises `FigureError` if a slip would count as right, and
    for what is no number.
    """
    slips = dict(slips or {})
    for name, number in (("answer", answer), ("within", within), *(("a slip", number) for number in slips)):
        if not is_number(number):
            raise FigureError(f"{name} is {shown(number)}: expected a finite number")
    if within < 0:
        raise FigureError(f"within is {shown(within)}: expected a number from 0")
    for number in slips:
        if abs(number - answer) <= 2 * within or number == answer:
            raise FigureError(f"slip {number:g} is too near to the answer {answer:g} (within {within:g})")
    data = escape(json.dumps({"answer": answer, "within": within, "slips": list(slips.items())}))
    label = f"Your number{f' ({escape(unit)})' if unit else ''}"
    folded = "" if without_solutions() else f"<details><summary>Answer</summary>{answer:,g} {escape(unit)}</details>"
    return Html(
        f'<div class="rusr-check" data-check="{data}"><p>{_prose(question)}</p>'
        f'<label>{label} <input type="text" inputmode="decimal" size="9" autocomplete="off"></label> '
        f'<output role="status"></output>{folded}</div>'
    )


def without_solutions() -> bool:
    """True while the book for students is built (`RUSR_SOLUTIONS=0`), in which no answer stands."""
    return os.environ.get("RUSR_SOLUTIONS") == "0"


def _prose(text: str) -> str:
    """A text as HTML, in which a number keeps its unit: no line begins with %."""
    return re.sub(r"(?<=\d) (?=(?:%|px|dB)(?!\w))", "&nbsp;", escape(text))
