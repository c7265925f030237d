"""The course: sessions of ninety minutes, an examination whose points add up, and questions that all have answers."""

import re

import nbformat
import pytest
from test_book import ROOT

from rusr_core import presets, tasks


def page(name: str) -> str:
    return (ROOT / f"book/{name}.md").read_text(encoding="utf-8")


def test_each_session_has_ninety_minutes_and_all_fifteen_slides():
    sessions = re.split(r"^## Session \d: ", page("course"), flags=re.M)[1:4]
    for session in sessions:
        rows = re.findall(r"^\| (\d+) min \| (\d+)(?:(?: to |, )(\d+))? \|", session, re.M)
        assert sum(int(minutes) for minutes, *_ in rows) == 90
        slides = [n for _, first, last in rows for n in range(int(first), int(last or first) + 1)]
        assert slides == list(range(1, 16))
        for part in ("*Prerequisites:*", "*Outcomes:*", "*When time runs short*", "*Homework:*", "| misconception |"):
            assert part in session


def test_the_examinations_points_add_up():
    questions = re.split(r"^\*\*\d+\. ", page("exam"), flags=re.M)[1:]
    points = [int(re.search(r"\((\d+) points\)", question)[1]) for question in questions]
    assert sum(points) == 40 and "forty points" in page("exam")
    for number, question in zip(points, questions, strict=True):
        answer = question.split(":::{admonition} Answer\n:class: dropdown\n")[1]
        assert sum(int(n) for n in re.findall(r"\((\d)\)", answer)) == number, question[:40]


def test_every_question_of_the_quiz_has_one_answer():
    quiz = page("teaching").split("## Quiz bank")[1].split("## Slides")[0]
    numbers = [int(n) for n in re.findall(r"^\*\*(\d+)\.\*\*", quiz, re.M)]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 24
    assert quiz.count(":::{admonition} Answer\n:class: dropdown\n") == len(numbers)


def titles(chapter: str) -> set[str]:
    """What a chapter calls its sections, boxes and exercises."""
    cells = nbformat.read(ROOT / f"book/{chapter}.ipynb", as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found = re.findall(r"^(?:#+|:::+\{admonition\}|```\{exercise-start\} [\w ]+:) (.+)$", text, re.M)
    return {title.replace("$", "") for title in found}


@pytest.mark.parametrize("name", ["course", "teaching"])
def test_the_places_that_the_run_sheets_name_exist(name):
    places = re.findall(r"\]\((\w+)\.ipynb\),? (?:up to |the box |exercise )?(\"[^|;[\n]*)", page(name))
    named = [(chapter, title) for chapter, words in places for title in re.findall(r'"([^"]+)"', words)]
    assert len(named) > {"course": 15, "teaching": 0}[name]
    for chapter, title in named:
        there = titles(chapter)
        assert title in there or any(each.startswith(f"{title}: ") for each in there), (chapter, title)


def test_the_single_session_has_ninety_minutes():
    rows = re.findall(r"^\| (\d+) min \|", page("teaching"), re.M)
    assert sum(map(int, rows)) == 90


def test_the_cheat_sheet_holds_the_librarys_settings_and_levels():
    sheet = page("cheatsheet")
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", sheet, re.M))
    rates, ends = rows["rates in W, W+, W++, times radius / 12"], rows["a phase ends early"]
    draws = rows["draws of a random $f$ in a step"]
    both = [presets.get(name) for name in ("default", "cvpr2023")]
    assert rates == " | ".join(", ".join(f"{phase.lr:g}" for phase in each.phases) for each in both)
    assert {phase.steps for each in both for phase in each.phases} == {150} and "at most 150 a phase" in rows["steps"]
    assert ends == f"after {both[0].patience} steps without a new best loss | never" and both[1].patience is None
    assert draws == " | ".join(str(each.draws) for each in both)
    assert [each.optimizer for each in both] == ["adam", "ngd"]
    assert [(each.l1_weight, each.identity_weight) for each in both] == [(0.1, 0.1), (0.1, 0.0)]
    for level in tasks.LEVELS:
        named = [str(tasks.get(name, level)).partition(",seed")[0] for name in
                 ("upsampling", "denoising", "deartifacting", "inpainting")]  # fmt: skip
        assert rows[level] == " | ".join(f"`{each}`" for each in named)
