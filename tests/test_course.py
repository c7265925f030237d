"""The course: sessions of ninety minutes, an examination whose points add up, and questions that all have answers."""

import re

from test_book import ROOT


def page(name: str) -> str:
    return (ROOT / f"book/{name}.md").read_text(encoding="utf-8")


def test_each_session_has_ninety_minutes_and_all_fifteen_slides():
    sessions = re.split(r"^## Session \d: ", page("course"), flags=re.M)[1:4]
    for session in sessions:
        rows = re.findall(r"^\| (\d+) \| (\d+)(?:(?: to |, )(\d+))? \|", session, re.M)
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


def test_the_places_that_the_run_sheets_name_exist():
    for chapter, words in re.findall(r"\[[^]]+\]\((\w+)\.ipynb\), ((?:\"[^\"]+\"(?:, )?)+)", page("course")):
        text = (ROOT / f"book/{chapter}.ipynb").read_text(encoding="utf-8")
        headings = re.findall(r"(?:\"|\\n)#+ (.*?)(?:\\n)?\"", text)
        for heading in re.findall(r"\"([^\"]+)\"", words):
            assert any(found.startswith(heading) for found in headings), (chapter, heading)
