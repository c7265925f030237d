"""What a reader may expect of any page, in a real browser: files, undo, races, memory, focus, what is said."""

import json
import time

import pytest
from live_files import encoded
from live_page import DONE, STATUS, handed, open_page, painted, press, set_up, start, status, until
from PIL import Image

pytestmark = pytest.mark.slow
IDLE = "document.querySelector('.rl-main').textContent === 'Start'"
WATCHED = """
    const made = Worker; globalThis.workers = []; globalThis.said = [];
    globalThis.Worker = class extends made { constructor(url) { super(url); workers.push(this); } };
    globalThis.memory = () => new Promise((done) => {
      workers.at(-1).addEventListener("message", ({ data }) => data.id === "m" && done(data));
      workers.at(-1).postMessage({ id: "m", type: "memory" });
    });"""

SLOW = """
    const read = File.prototype.arrayBuffer, gate = new Promise((go) => { globalThis.go = go; });
    File.prototype.arrayBuffer = function () { return gate.then(() => read.call(this)); };"""


@pytest.fixture(scope="module")
def watched(browser):
    """The browser, whose pages tell of their engine's memory."""
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCHED})
    return browser


def flat(folder, name: str, size: tuple[int, int], colour: str):
    """A picture of one colour in a file."""
    (folder / name).write_bytes(encoded(Image.new("RGB", size, colour), "PNG"))
    return folder / name


def middle(driver) -> list[int]:
    return painted(driver, 64, 64)[:3]


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


def test_a_figure_does_not_touch_the_search_of_another(watched, address):
    """One engine for all figures of a page: the second is refused in words, before it forgets what it shows."""
    open_page(watched, address)
    set_up(watched, "U", 30)
    start(watched)
    until(watched, "document.querySelector('.rl-scrub input').max > 1")
    watched.execute_script("""
        document.querySelector('#inline .rl-open').click();
        window.figure = document.querySelector('#inline .rl-studio');
        figure.querySelector('.rl-main').click();""")
    words = watched.execute_script("return figure.querySelector('.rl-status').textContent")
    assert words.startswith("Another figure of this page has a search that has not ended: open that figure")
    assert watched.execute_script("return figure.querySelector('.rl-main').textContent") == "Start"
    before = watched.execute_script("return document.querySelector('.rl-scrub input').max")
    until(watched, f"document.querySelector('.rl-scrub input').max > {before}")
    watched.execute_script("document.querySelectorAll('.rl-bar button')[1].click()")
    until(watched, IDLE)
    watched.execute_script("figure.querySelector('.rl-main').click()")
    until(watched, "figure.querySelector('.rl-status').textContent.startsWith('Searching')")
    watched.execute_script("figure.querySelectorAll('.rl-bar button')[1].click()")
    until(watched, "figure.querySelector('.rl-status').textContent.includes('stopped by you')")
    assert watched.get_log("browser") == []


def test_a_file_that_is_dropped_beside_the_figure_is_not_lost_with_the_page(watched, address, tmp_path):
    """A browser would open it in place of the page; one that is dropped on another figure is that figure's."""
    open_page(watched, address)
    red, blue = flat(tmp_path, "red.png", (128, 128), "red"), flat(tmp_path, "blue.png", (128, 128), "blue")
    handed(watched, red, place="body")
    until(watched, f"{STATUS} === 'red.png is on this page and goes nowhere else.'")
    watched.execute_script("document.querySelector('#inline .rl-open').click()")
    handed(watched, blue, place="#inline .rl-stage canvas")
    until(watched, "document.querySelector('#inline .rl-status').textContent.startsWith('blue.png is on this page')")
    assert status(watched).startswith("red.png") and middle(watched) == [255, 0, 0]


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


def test_scripts_that_are_missing_are_told(watched, address):
    watched.execute_cdp_cmd("Network.enable", {})
    watched.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*portraits.js"]})
    watched.get(address)
    until(watched, "document.querySelectorAll('.rusr-live > p:last-child').length === 3", 20)
    line = watched.execute_script("return document.querySelector('.rusr-live > p:last-child').textContent")
    assert line.startswith("The live figure cannot be loaded: expected ") and line.endswith("live/portraits.js")
    watched.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    assert all("portraits.js" in entry["message"] for entry in watched.get_log("browser"))


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


def test_an_engine_that_cannot_be_loaded_or_stops_is_said_and_asked_for_again(watched, address):
    open_page(watched, address)
    watched.execute_cdp_cmd("Network.enable", {})
    watched.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*engine.js"]})
    start(watched)
    until(watched, f"{STATUS}.startsWith('engine.js cannot be loaded: look at the connection')")
    watched.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    set_up(watched, "U", 1)
    start(watched)
    until(watched, DONE)
    watched.get_log("browser")  # where the missing file is told
    set_up(watched, "U", 30)
    start(watched)
    until(watched, f"{STATUS} === 'Searching in W …'")
    watched.execute_script("workers.at(-1).onerror({ message: 'out of memory' })")  # as browsers tell it
    until(watched, IDLE)
    again = "press Start once more; fewer phases need less memory"
    assert status(watched) == f"the engine has stopped (out of memory): {again}"
    set_up(watched, "U", 30)
    start(watched)
    until(watched, f"{STATUS} === 'Searching in W …'")
    broken = "{ data: { id, type: 'error', message: 'memory access out of bounds', fatal: true } }"
    watched.execute_script(f"for (let id = 0; id < 99; id++) workers.at(-1).onmessage({broken})")
    until(watched, IDLE)
    assert status(watched) == f"the engine has stopped (memory access out of bounds): {again}"
    set_up(watched, "U", 1)
    start(watched)
    until(watched, DONE)
    assert watched.execute_script("return workers.length") == 3 and watched.get_log("browser") == []


def test_inline_figures_open_when_asked_and_give_the_recorded_one_back(watched, address):
    open_page(watched, address)
    assert watched.execute_script("return document.querySelector('#inline').innerText").startswith("recorded")
    watched.execute_script("for (const b of document.querySelectorAll('.rl-open')) b.click()")
    assert watched.execute_script("return document.querySelectorAll('#inline .rl-studio, #walk .rl-walk').length") == 2
    assert watched.execute_script("return document.activeElement.closest('#walk') !== null"), "the focus goes along"
    watched.execute_script("document.querySelector('#walk .rl-main').click()")
    until(watched, "document.querySelector('#walk .rl-status').textContent.startsWith('Seed 1 and 2')")
    colours = "new Set(document.querySelector('#walk canvas').getContext('2d').getImageData(0, 0, 128, 128).data).size"
    assert watched.execute_script(f"return {colours}") > 100
    watched.execute_script("document.querySelector('#walk .rl-close').click()")
    assert watched.execute_script("return document.querySelector('#walk').innerText").startswith("recorded")
    watched.execute_script("document.querySelector('#walk .rl-open').click()")
    assert watched.execute_script("return document.querySelector('#walk .rl-main').textContent") == "Another pair"


def test_a_search_in_a_figure_that_is_closed_waits_until_it_is_opened_again(watched, address):
    """Nothing runs unseen: neither a search that is on its way nor one that still loads."""
    open_page(watched, address)
    watched.execute_script("""
        document.querySelector('#inline .rl-open').click();
        window.figure = document.querySelector('#inline .rl-studio');
        window.main = figure.querySelector('.rl-main');
        main.click();
        document.querySelector('#inline .rl-close').click();""")
    until(watched, "main.textContent === 'Continue'")
    watched.execute_script("document.querySelector('#inline .rl-open').click()")
    taken = "figure.querySelector('.rl-progress').value"
    assert watched.execute_script(f"return {taken}") <= 2
    watched.execute_script("main.click()")
    until(watched, f"{taken} > 3")
    watched.execute_script("document.querySelector('#inline .rl-close').click()")
    until(watched, "main.textContent === 'Continue'")
    watched.execute_script("document.querySelector('#inline .rl-open').click()")
    assert watched.execute_script("return figure.querySelector('.rl-status').textContent").startswith("Paused")
    watched.execute_script("figure.querySelectorAll('.rl-bar button')[1].click()")
    until(watched, "figure.querySelector('.rl-status').textContent.includes('stopped by you')")


@pytest.mark.parametrize("motion, name", [("reduce", "none"), ("no-preference", "rl-turn")])
def test_nothing_moves_for_those_who_want_no_motion(watched, address, motion, name):
    feature = {"features": [{"name": "prefers-reduced-motion", "value": motion}]}
    watched.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    open_page(watched, address)
    watched.execute_script("document.querySelector('.rl-studio').classList.add('rl-busy')")
    style = "getComputedStyle(document.querySelector('.rl-status'), '::before').animationName"
    assert watched.execute_script(f"return {style}") == name


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
