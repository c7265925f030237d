"""What a reader may expect of any page, in a real browser: files, undo, races, memory, focus, what is said."""

import json
import time

import pytest
from live_page import IDLE, STATUS, flat, handed, middle, open_page, painted, press, set_up, start, status, until

pytestmark = pytest.mark.slow
SLOW = """
    const read = File.prototype.arrayBuffer, gate = new Promise((go) => { globalThis.go = go; });
    File.prototype.arrayBuffer = function () { return gate.then(() => read.call(this)); };"""


def test_files_are_dropped_anywhere_or_pasted_and_the_page_says_what_it_does(watched, address, tmp_path):
    open_page(watched, address)
    red, blue = flat(tmp_path, "red.png", (600, 400), "red"), flat(tmp_path, "blue.png", (128, 128), "blue")
    handed(watched, red, blue, place=".rl-stage canvas")
    until(watched, f"{STATUS}.startsWith('red.png is on this page')")
    said = status(watched)
    assert "It is the first of 2 files: the page restores one at a time." in said
    assert "The middle of its 600 x 400 px is used. It is reduced to 128 x 128 px" in said
    assert middle(watched) == [255, 0, 0]
    handed(watched, blue, place="body", kind="paste")  # nothing has the focus
    until(watched, f"{STATUS} === 'blue.png is on this page and goes nowhere else.'")
    assert middle(watched) == [0, 0, 255]
    handed(watched, red, place="#walk", kind="paste")  # somewhere else on the page: not this figure's
    handed(watched)  # dropped text
    assert status(watched) == "There is no file in what was dropped: expected a picture."
    assert middle(watched) == [0, 0, 255] and watched.get_log("browser") == []


def test_strokes_are_taken_back_and_the_brush_has_a_width(watched, address):
    open_page(watched, address)
    canvas = "document.querySelector('.rl-stage canvas')"
    event = "{canvas}.dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', ctrlKey: {held}, bubbles: true }}))"

    def key(name: str, held: str = "false") -> None:
        watched.execute_script(event.format(canvas=canvas, key=name, held=held))

    def tool(number: int) -> str:
        return f"document.querySelectorAll('.rb-tools button')[{number}]"

    hidden = [0, 0, 0, 255]
    key("ArrowUp")
    key(" ")
    key("z", "true")
    assert painted(watched, 64, 90) == hidden, "the hole that the page opens with stays"
    watched.execute_script(f"{tool(1)}.click()")
    assert painted(watched, 64, 90) != hidden
    assert watched.execute_script(f"return {tool(1)}.getAttribute('aria-disabled')") == "true"
    watched.execute_script(f"{tool(0)}.click()")
    assert painted(watched, 64, 90) == hidden
    watched.execute_script("""
        const width = document.querySelector('.rb-tools input');
        width.value = 0.5; width.dispatchEvent(new Event('input'));""")
    assert painted(watched, 64, 64) != hidden
    key(" ")
    assert painted(watched, 64, 64) == hidden  # 32 px above the middle of the brush's edge
    key("-")
    assert watched.execute_script("return +document.querySelector('.rb-tools input').value") == pytest.approx(0.4)
    words = watched.execute_script("return document.querySelector('.rb-tools input').getAttribute('aria-valuetext')")
    assert words == "40 % of the picture"


def test_a_choice_that_comes_late_is_waited_for_or_refused_and_never_changes_a_search(watched, address, tmp_path):
    """Start is pressed while a file is still read; and files, samples and experiments come while a search runs."""
    open_page(watched, address)
    set_up(watched, "U", 30)
    file = flat(tmp_path, "late.png", (256, 256), "green")
    watched.execute_script(SLOW)
    handed(watched, file)
    start(watched)
    assert watched.execute_script("return workers.length") == 0, "it waits for the file"
    watched.execute_script("globalThis.go()")
    until(watched, "document.querySelector('.rl-scrub input').max > 1")
    assert middle(watched) == [0, 128, 0]
    for hand in ("handed", "card", "walk"):
        if hand == "handed":
            handed(watched, file)
        elif hand == "card":
            watched.execute_script("document.querySelector('.rl-experiments button').click()")
        else:
            walk = "document.querySelectorAll('.rl-walk')[0].querySelectorAll('button')"
            watched.execute_script(f"{walk}[0].click()")
            until(watched, f"!{walk}[1].disabled")
            watched.execute_script(f"{walk}[1].click()")
        until(watched, f"{STATUS} === 'A search is running: stop it first.'", 20)
        assert middle(watched) == [0, 128, 0]
        start(watched), start(watched)  # pause and go on, which says something else
    watched.execute_script("document.querySelectorAll('.rl-bar button')[1].click()")
    until(watched, IDLE)
    assert status(watched).startswith("Done") and "stopped by you" in status(watched)
    shown = watched.execute_script("return document.querySelector('.rl-scrub output').textContent")
    steps = int(status(watched).split("Steps: W ")[1].split()[0])
    assert shown.startswith(f"W, step {steps} "), "the picture that is shown is the last one"
    watched.execute_script("document.querySelectorAll('.rl-portraits input')[1].click()")
    until(watched, "!document.querySelectorAll('.rl-row canvas')[2].classList.contains('rl-drawn')")
    assert not watched.execute_script("return document.querySelector('.rl-compare').hidden"), "it can still be saved"


def test_a_button_that_was_pressed_elsewhere_paints_nothing(watched, address):
    """Somebody selects words and comes over the portrait; and a second finger that leaves does not end a stroke."""
    open_page(watched, address)
    watched.execute_script("document.querySelector('.rb-tools').lastElementChild.click()")
    watched.execute_script("""
        const canvas = document.querySelector('.rl-stage canvas'), box = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};
        window.point = (type, x, y, more) => canvas.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1,
          isPrimary: true, pointerType: 'mouse', clientX: box.left + (x * box.width) / 128,
          clientY: box.top + (y * box.height) / 128, buttons: 1, ...more }));
        point('pointermove', 64, 20);""")
    hidden = [0, 0, 0, 255]
    assert painted(watched, 64, 20) != hidden
    watched.execute_script("""
        point('pointerdown', 20, 100); point('pointermove', 30, 100);
        point('pointerup', 64, 20, { isPrimary: false, pointerId: 2 });
        point('pointermove', 110, 100); point('pointerup', 110, 100, { buttons: 0 });
        point('pointermove', 64, 20);""")
    assert all(painted(watched, x, 100) == hidden for x in range(20, 110, 6))
    assert painted(watched, 64, 20) != hidden


def test_a_broken_file_keeps_a_search_from_beginning(watched, address, tmp_path):
    open_page(watched, address)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    watched.execute_script(SLOW)
    handed(watched, tmp_path / "broken.png")
    start(watched)
    watched.execute_script("globalThis.go()")
    until(watched, IDLE)
    assert "broken.png is no picture" in status(watched)
    assert watched.execute_script("return workers.length") == 0


def test_what_is_said_and_the_memory_after_three_searches(watched, address):
    """Each phase is announced once, the bar follows, and the third search leaves what the first one left."""
    open_page(watched, address)
    set_up(watched, "N", 2, ("W", "W+"))
    watched.execute_script("""
        const line = document.querySelector('.rl-studio > .rl-status');
        new MutationObserver(() => said.push(line.textContent)).observe(line, { childList: true });
        globalThis.bars = [];
        const bar = document.querySelector('.rl-progress');
        new MutationObserver(() => bars.push(bar.value)).observe(bar, { attributeFilter: ['value'] });""")
    kept = []
    for _ in range(3):
        watched.execute_script("said.length = 0; bars.length = 0")
        start(watched)
        until(watched, f"!({IDLE})")
        until(watched, IDLE)
        memory = watched.execute_async_script("memory().then(arguments[0])")
        kept.append((memory["tensors"], memory["bytes"]))
    assert kept[0] == kept[1] == kept[2]
    said = watched.execute_script("return said")
    assert said[-3:-1] == ["Searching in W …", "Searching in W+ …"] and said[-1].startswith("Done")
    assert watched.execute_script("return bars.filter(Boolean)") == [1, 2, 3, 4]
    assert watched.execute_script("return document.querySelector('.rl-progress').hidden")
    roles = "return [...document.querySelectorAll('.rl-studio [role=status]')].length"
    assert watched.execute_script(roles) >= 1 and watched.execute_script("return workers.length") == 1
    assert watched.get_log("browser") == []


def test_without_a_term_of_the_loss_no_search_begins(watched, address):
    open_page(watched, address)
    set_up(watched, "N", 2)
    watched.execute_script("""
        for (const one of document.querySelectorAll('.rl-setup details input[type=range]')) {
          one.value = 0; one.dispatchEvent(new Event('input'));
        }""")
    start(watched)
    until(watched, f"{STATUS}.startsWith('no term of the loss')")
    until(watched, IDLE)
    before = watched.execute_async_script("memory().then(arguments[0])")["tensors"]
    start(watched)
    until(watched, IDLE)
    time.sleep(0.2)
    assert watched.execute_async_script("memory().then(arguments[0])")["tensors"] == before


@pytest.mark.parametrize("motion, name", [("reduce", "none"), ("no-preference", "rl-turn")])
def test_nothing_moves_for_those_who_want_no_motion(watched, address, motion, name):
    feature = {"features": [{"name": "prefers-reduced-motion", "value": motion}]}
    watched.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    open_page(watched, address)
    watched.execute_script("document.querySelector('.rl-studio').classList.add('rl-busy')")
    style = "getComputedStyle(document.querySelector('.rl-status'), '::before').animationName"
    assert watched.execute_script(f"return {style}") == name


CONTROLS = {"button", "checkbox", "combobox", "radio", "slider", "spinbutton", "application", "image", "progressbar"}


def test_every_control_and_picture_has_a_name(watched, address):
    """As the browser tells it to a screen reader, all figures open and their settings unfolded; no two radio groups,
    whose names are chosen by chance, are one."""
    open_page(watched, address)
    watched.execute_script("""
        for (const b of document.querySelectorAll('.rl-open')) b.click();
        for (const d of document.querySelectorAll('.rusr-live details')) d.open = true;
        for (const h of document.querySelectorAll('.rusr-live [hidden]')) h.hidden = false;""")
    nodes = watched.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told = [(n["role"]["value"].lower(), n["name"]["value"]) for n in nodes if "role" in n and "name" in n]
    told = [(role, name) for role, name in told if role in CONTROLS]
    assert {role for role, _ in told} >= CONTROLS - {"image"} and len(told) > 60
    assert [role for role, name in told if not name.strip()] == []
    names = "return new Set([...document.querySelectorAll('.rl-portraits input')].map((one) => one.name)).size"
    assert watched.execute_script(names) == 2


def test_what_has_the_keyboard_is_outlined(watched, address):
    """Every control that the tab key reaches, as far as the end of the figure."""
    open_page(watched, address)
    seen, bare = set(), []
    for _ in range(60):
        press(watched, "\ue004")  # tab
        found = json.loads(
            watched.execute_script("""
            const one = document.activeElement, around = one.matches('.rl-file, .rl-portraits input')
              ? one.parentNode.matches('.rl-own') ? one.nextElementSibling : one.parentNode : one;
            const { outlineStyle, outlineWidth } = getComputedStyle(around);
            return JSON.stringify([one.outerHTML.slice(0, 80), outlineStyle, parseFloat(outlineWidth),
              !!one.closest('.rl-studio, .rl-experiments, .rl-walk')]);""")
        )
        if not found[3] and seen:
            break
        seen.add(found[0])
        if found[1] == "none" or found[2] < 2:
            bare.append(found)
    assert len(seen) > 15 and bare == []
