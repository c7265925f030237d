"""Predictions and self-checks: their markup, and what they do in a browser."""

from contextlib import contextmanager
from pathlib import Path

import pytest
from live_browser import missing, opened

from rusr_core import figures
from rusr_core.figures import FigureError

ROOT = Path(__file__).resolve().parent.parent.parent
REASONS = {"less": "because of <this>", "more": "it tempts"}
PAGE = """<!doctype html><meta charset="utf-8"><style>{style}</style><body><article>
<p id="before">Before.</p><div class="cell">{question}</div>
<section><h2 id="heading">Heading</h2><div class="cell"><details><summary>code</summary><div class="cell_input">x</div>
</details><div class="cell_output" id="outcome">0.31</div></div></section>
<div class="cell" id="verdict">{verdict}</div><div class="cell">no output</div><p id="told">It was less.</p>
<div class="cell"><div class="cell_output" id="next">0.7</div></div><p id="after">After.</p>{check}</article>
<script>{script}</script></body>"""
SHOWN = """return ["before", "heading", "outcome", "verdict", "told", "next", "after"].filter((id) => {
  const element = document.getElementById(id);
  return (element.querySelector(".rusr-verdict") ?? element).getClientRects().length > 0;
})"""


@contextmanager
def page(folder: Path, script: str):
    """A browser at a page with a prediction and a self-check, and with or without the book's script."""
    asked = figures.predict("key", "Is it less or more?", ("less", "more"))
    style = (ROOT / "book/_static/rusr.css").read_text(encoding="utf-8")
    parts = {"question": asked._repr_html_(), "verdict": asked.verdict("less", REASONS)}
    check = figures.self_check("How many are lost?", 16128, slips={63: "that is one block"})
    text = PAGE.format(style=style, script=script, check=check, **parts)
    (folder / "page.html").write_text(text, encoding="utf-8")
    with opened() as driver:
        driver.get((folder / "page.html").as_uri())
        yield driver


def press(driver, selector: str) -> None:
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


needs_browser = pytest.mark.skipif(missing() is not None, reason=missing() or "")


@pytest.mark.slow
@needs_browser
def test_a_guess_unveils_what_follows_and_a_number_is_checked(tmp_path):
    script = (ROOT / "book/_static/questions.js").read_text(encoding="utf-8")
    with page(tmp_path, script) as driver:
        status = driver.find_element("css selector", ".rusr-predict [role=status]")
        press(driver, ".rusr-predict button")
        assert status.text == "Choose one of the answers first."
        press(driver, ".rusr-predict input[value=more]")
        assert driver.execute_script(SHOWN) == [
            "before",
            "heading",
            "next",
            "after",
        ]  # arrow keys choose: nothing is revealed
        note = "return document.querySelector('#heading + p')?.textContent"
        assert driver.execute_script(note) == "Hidden until you have chosen an answer above."
        press(driver, ".rusr-predict button")
        assert driver.execute_script(SHOWN) == ["before", "heading", "outcome", "verdict", "told", "next", "after"]
        assert driver.execute_script(note) is None
        assert status.text.startswith("You chose more. The answer is less;")
        reasons = [item.text for item in driver.find_elements("css selector", ".rusr-verdict li")]
        assert reasons == ["less: because of <this>", "Your guess. more: it tempts"]

        field = driver.find_element("css selector", ".rusr-check input")
        said = []
        for text in ("16,128", "16128", " 16 128 ", "63", "12", "", "x"):
            field.clear()
            field.send_keys(text + "\n")
            said.append(driver.find_element("css selector", ".rusr-check output").text)
    assert said[:3] == ["That is right."] * 3
    assert said[3:5] == ["Not yet: that is one block", "Not yet. Try again."]
    assert said[5:] == ["Write a number, such as 12 or 0.5."] * 2


@pytest.mark.slow
@needs_browser
def test_without_the_script_everything_is_shown(tmp_path):
    with page(tmp_path, "") as driver:
        assert driver.execute_script(SHOWN) == ["before", "heading", "outcome", "verdict", "told", "next", "after"]


def test_a_verdict_has_a_reason_for_every_choice():
    asked = figures.predict("key", "Less or more?", ["less", "more"])
    told = asked.verdict("less", REASONS)
    assert 'data-answer="less"' in told and "because of &lt;this&gt;" in told and told.count("<li") == 2
    assert asked._repr_html_().count('type="radio"') == 2 and "<legend>" in asked._repr_html_()
    with pytest.raises(FigureError, match="answer 'none' of 'key': expected one of less, more"):
        asked.verdict("none", REASONS)
    with pytest.raises(FigureError, match="expected one for each of less, more"):
        asked.verdict("less", {"less": "why"})
    with pytest.raises(FigureError, match="two or more, all different"):
        figures.predict("key", "One?", ("one", "one"))


def test_a_number_keeps_its_unit():
    asked = figures.predict("key", "More than 5 % or 2 dB?", ["less", "more"])
    told = asked.verdict("less", {"less": "It is 0.39 %.", "more": "of 16 pxs"})
    assert "5&nbsp;% or 2&nbsp;dB?" in asked._repr_html_() and "0.39&nbsp;%." in told and "16 pxs" in told


def test_reasons_for_another_answer_are_left_out():
    asked = figures.predict("key", "Less or more?", ("less", "more"))
    other = asked.verdict("more", REASONS, expected="less")
    assert "do not hold here" in other and "it tempts" not in other
    assert "it tempts" in asked.verdict("less", REASONS, expected="less")


def test_where_nothing_is_recorded_there_is_no_answer():
    asked = figures.predict("key", "Less or more?", ("less", "more"))
    told = asked.verdict(None, REASONS, expected="less")
    assert "nothing is recorded" in told and "data-verdict" not in told and "because" not in told
    with pytest.raises(FigureError, match="answer 'none' of 'key'"):
        asked.verdict(None, REASONS, expected="none")


def test_a_self_check_keeps_its_answer_from_students(monkeypatch):
    assert "16,128" in figures.self_check("How many?", 16128)
    monkeypatch.setenv("RUSR_SOLUTIONS", "0")
    assert "16,128" not in figures.self_check("How many?", 16128)
    with pytest.raises(FigureError, match="slip 1.05 is too near to the answer 1 "):
        figures.self_check("How many?", 1, within=0.1, slips={1.05: "no"})
