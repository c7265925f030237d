"""The live pages in a real browser: by keyboard, from a file and from a server, and with hostile files."""

import json
import time

import numpy as np
import pytest
import torch
from live_browser import missing, opened
from live_files import no_pictures, odd_pictures
from live_page import DONE, dropped, focus, open_page, painted, press, requests, set_up, start, status, until
from PIL import Image, PngImagePlugin

from rusr_core.degradations import Downsample
from rusr_core.files import data_path
from rusr_core.images import load_image, read_metadata, save_image
from rusr_core.photos.marks import SOURCE_TYPE
from rusr_core.photos.records import read_record

pytestmark = pytest.mark.slow
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

HEAVY = ("weights.js", "wasm.js", "engine.js")


def test_a_search_from_a_file_by_keyboard_alone(browser, page):
    """Choose, paint, start, scrub and compare, from the top of the page and with no mouse."""
    requests(browser)
    open_page(browser, page.as_uri())
    asked = requests(browser)
    assert asked and not any(url.endswith(HEAVY) for url in asked), "the networks are loaded before the reader asks"
    set_up(browser, "paint")
    assert painted(browser, 64, 90) == [0, 0, 0, 255], "the page opens with a hole, so that Start can be pressed"
    focus(browser, ".rl-portraits input")
    press(browser, Keys.ARROW_RIGHT)
    until(browser, "document.activeElement.value === '003' && document.activeElement.checked")
    focus(browser, ".rl-setup select")
    press(browser, Keys.ARROW_UP, Keys.ARROW_DOWN)  # to another damage, and back
    focus(browser, ".rl-studio canvas")
    press(browser, Keys.DELETE)
    assert painted(browser, 64, 90) != [0, 0, 0, 255]
    press(browser, " ", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, " ", "+", Keys.ARROW_DOWN, " ")
    assert painted(browser, 64, 90) == [0, 0, 0, 255]
    focus(browser, ".rl-bar .rl-main", back=True)
    press(browser, " ")
    until(browser, DONE)
    assert "W 4 (all steps)" in status(browser) and " dB" in status(browser)
    assert browser.execute_script("return document.activeElement.textContent") == "Start"
    focus(browser, ".rl-scrub input")
    press(browser, Keys.HOME)
    until(browser, "document.querySelector('.rl-scrub output').textContent.startsWith('W, step 1 ')")
    focus(browser, ".rl-compare input")
    press(browser, Keys.END)
    assert browser.execute_script("return document.querySelector('.rl-pair').style.getPropertyValue('--cut')") == "100%"
    asked += requests(browser)
    outside = [url for url in asked if not url.startswith((page.parent.as_uri(), "data:", "blob:"))]
    assert outside == [] and browser.get_log("browser") == []


def test_a_search_from_a_server_twice_leaves_nothing(browser, address):
    requests(browser)
    open_page(browser, address)
    for task in ("NA", "UNAP", "paint"):
        set_up(browser, task, 2, ("W", "W+", "W++"))
        if task == "paint":
            browser.execute_script("document.querySelector('.rl-experiments button').click()")
            set_up(browser, task, 2, ("W",))
        start(browser)
        until(browser, "document.querySelector('.rl-main').textContent === 'Pause'")
        until(browser, "document.querySelector('.rl-main').textContent === 'Start'")
        assert status(browser).startswith("Done"), status(browser)
    own = (address.removesuffix("page.html"), "data:", "blob:")
    assert [url for url in requests(browser) if not url.startswith(own)] == []
    assert browser.get_log("browser") == []


def test_pause_scrub_continue_and_stop(browser, address):
    open_page(browser, address)
    set_up(browser, "U", 40)
    click = "document.querySelector('.rl-bar .rl-main').click()"
    browser.execute_script(click)
    until(browser, "document.querySelector('.rl-scrub input').max > 2")
    browser.execute_script(click)
    until(browser, "document.querySelector('.rl-main').textContent === 'Continue'")
    time.sleep(1)
    before = browser.execute_script("return document.querySelector('.rl-scrub input').max")
    where = browser.execute_script("""
        const range = document.querySelector('.rl-scrub input');
        range.value = 0; range.dispatchEvent(new Event('input'));
        return document.querySelector('.rl-scrub output').textContent;""")
    assert where.startswith("W, step 1 ")
    assert browser.execute_script("return document.querySelector('.rl-scrub input').max") == before
    browser.execute_script(click)
    until(browser, f"document.querySelector('.rl-scrub input').max > {before}")
    browser.execute_script("document.querySelectorAll('.rl-bar button')[1].click()")
    until(browser, "document.querySelector('.rl-main').textContent === 'Start'")
    assert "stopped by you" in status(browser)


def test_fifty_odd_files_dropped_on_the_page_have_a_line_each(browser, address, tmp_path):
    open_page(browser, address)
    requests(browser)
    num = 0
    for name, content, words in no_pictures():
        (tmp_path / name).write_bytes(content)
        line = dropped(browser, tmp_path / name)
        assert words in line and "\n" not in line, line
        num += 1
    for name, content, colour in odd_pictures():
        (tmp_path / name).write_bytes(content)
        line = dropped(browser, tmp_path / name)
        assert "is on this page and goes nowhere else." in line, line
        until(browser, "!document.querySelector('.rl-studio > .rl-status.rl-wrong')")
        if colour is not None:
            until(browser, f"{json.dumps([*colour, 255])}.join() === [...document.querySelector('.rl-stage canvas')"
                  ".getContext('2d').getImageData(64, 64, 1, 1).data].join()", 10)  # fmt: skip
        num += 1
    assert num >= 50
    assert [url for url in requests(browser) if not url.startswith("blob:")] == []


def test_a_file_that_is_damaged_already_is_searched_as_it_is(browser, address, tmp_path):
    """The input that the search sees is the file to the last bit, and no truth is claimed."""
    clean = load_image(data_path("portraits/test/007.png"))
    save_image(Downsample(8).degrade(clean, torch.Generator().manual_seed(0)), tmp_path / "small.png")
    open_page(browser, address)
    already = "document.querySelector('.rl-setup .tick input')"
    assert browser.execute_script(f"return {already}.parentNode.hidden")
    assert "is on this page" in dropped(browser, tmp_path / "small.png")
    set_up(browser, "U", 2)
    browser.execute_script(f"{already}.click()")
    start(browser)
    until(browser, DONE)
    assert " dB" not in status(browser) and "W 2 (all steps)" in status(browser)
    seen = "document.querySelectorAll('.rl-stage canvas')[1]"
    values = browser.execute_script(f"return [...{seen}.getContext('2d').getImageData(0, 0, 16, 16).data]")
    with Image.open(tmp_path / "small.png") as file:
        assert values == list(file.convert("RGBA").tobytes())
    set_up(browser, "UNAP", 2)  # strokes of a seed are nobody's damage
    assert browser.execute_script("return document.querySelector('.rl-setup select').value") == "paint"


def test_holes_are_painted_by_touch_without_gaps(browser, address):
    """One finger paints, all along its way; the page does not scroll; a second finger does nothing."""
    open_page(browser, address)
    browser.execute_script("document.querySelector('.rb-tools').lastElementChild.click()")  # the hole it opens with
    box = browser.execute_script("""
        const canvas = document.querySelector('.rl-stage canvas');
        canvas.scrollIntoView({ block: 'center' });
        const { left, top, width } = canvas.getBoundingClientRect();
        return { left, top, scale: width / 128, scrolled: window.scrollY };""")

    def touch(kind: str, *points: tuple[int, int]) -> None:
        places = [
            {"x": box["left"] + x * box["scale"], "y": box["top"] + y * box["scale"], "id": k}
            for k, (x, y) in enumerate(points)
        ]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", (20, 64))
    touch("touchMove", (110, 64))
    touch("touchStart", (110, 64), (64, 20))
    touch("touchMove", (110, 64), (70, 20))
    touch("touchEnd")
    assert all(painted(browser, x, 64) == [0, 0, 0, 255] for x in range(20, 110, 6))
    assert painted(browser, 66, 20) != [0, 0, 0, 255]
    assert browser.execute_script("return window.scrollY") == box["scrolled"]


def experiment(driver, number: int, steps: int) -> None:
    """Set one of the guided experiments up and run it, with fewer steps than it asks for."""
    driver.execute_script(f"document.querySelectorAll('.rl-experiments button')[{number}].click()")
    set_up(driver, driver.execute_script("return document.querySelector('.rl-setup select').value"), steps,
           driver.execute_script("return [...document.querySelectorAll('.rl-ticks .tick')]"
                                 ".filter((t) => t.firstElementChild.checked).map((t) => t.textContent)"))  # fmt: skip
    start(driver)
    until(driver, "document.querySelector('.rl-main').textContent === 'Pause'")
    until(driver, "document.querySelector('.rl-main').textContent === 'Start'", 240)
    assert status(driver).startswith("Done"), status(driver)


def pictures(driver) -> list[np.ndarray]:
    """Portrait, input, guess and degraded guess as the page shows them, [h, w, 3] in [0, 1]."""
    read = """return [...document.querySelectorAll('.rl-stage .rl-row canvas')].map((c) =>
        [c.height, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]])"""
    found = driver.execute_script(read)
    return [np.array(values, float).reshape(side, -1, 4)[..., :3] / 255 for side, values in found]


def test_the_guided_experiments_show_what_they_say(browser, address):
    open_page(browser, address)
    experiment(browser, 0, 6)  # the eyes are hidden, and nothing says how they look
    portrait, seen, guess, _ = pictures(browser)
    hidden = seen.max(2) == 0
    error = ((guess - load_page_portrait()) ** 2).mean(2)
    assert 0.03 < hidden.mean() < 0.2 and error[hidden].mean() > 1e-3
    experiment(browser, 1, 6)  # the input is matched, and the guess is another person
    portrait, seen, guess, matched = pictures(browser)
    assert seen.shape == matched.shape == (4, 4, 3)
    assert ((matched - seen) ** 2).mean() < 0.25 * ((guess - portrait) ** 2).mean()
    experiment(browser, 2, 3)
    assert "W++ 3 (all steps)" in status(browser) and "W+ " not in status(browser)
    experiment(browser, 3, 3)  # the same through W and W+, and both stand in the table of searches
    assert "W 3 (all steps), W+ 3 (all steps), W++ 3 (all steps)" in status(browser)
    rows = "[...document.querySelectorAll('.rl-runs tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))"
    first, second, alone, through = browser.execute_script(f"return {rows}")
    assert alone[2:4] == ["noise M", "W++ 3"] and through[2:4] == ["noise M", "W 3, W+ 3, W++ 3"]
    assert float(through[5].split()[0]) > float(alone[5].split()[0])
    assert first[2] == "holes" and second[2] == "reduced XL"


def load_page_portrait() -> np.ndarray:
    """The portrait that the page opens with, [128, 128, 3] in [0, 1]."""
    with Image.open(data_path("portraits/test/000.png")) as file:
        return np.asarray(file.convert("RGB"), float) / 255


def test_a_saved_picture_holds_its_record(browser, address, tmp_path):
    """It is saved by the keyboard alone."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    open_page(browser, address)
    set_up(browser, "A", 2)
    start(browser)
    until(browser, DONE)
    focus(browser, ".rl-bar button:nth-of-type(3)")
    press(browser, Keys.ENTER)
    end = time.monotonic() + 20
    while not (found := list(tmp_path.glob("*.png"))) and time.monotonic() < end:
        time.sleep(0.1)
    with Image.open(found[0]) as picture:
        picture.load()
        assert isinstance(picture, PngImagePlugin.PngImageFile) and picture.size == (128, 128)
    record = read_record(found[0])
    assert record["stages"] == [{"kind": "jpeg", "quality": 12}] and record["source"] == "portrait-000"
    assert [phase["steps"] for phase in record["phases"]] == [2] and len(record["losses"]["W"]) == 2
    assert record["preset"]["name"] == "default@2" and record["observed"] is False
    assert record["program"].startswith("rusr ") and SOURCE_TYPE.encode() in read_metadata(found[0]).xmp


SMALL = """return [...document.querySelectorAll('.rusr-live :is(button, select, summary, input)')].map((one) =>
    one.matches('[type=checkbox], [type=radio], .rl-file') ? one.closest('label') : one).map((one) => {
      const { width, height } = one.getBoundingClientRect();
      return [one.outerHTML.slice(0, 60), width, height];
    }).filter(([, width, height]) => width && (height < 44 || width < 44))"""


@pytest.mark.parametrize("width", [1280, 640, 390, 320])  # 640 is 1280 at 200 %
def test_no_page_is_wider_than_its_window_and_start_is_in_sight(page, width):
    """Start without scrolling, where a reader meets the page; and on a phone nothing is too small for a finger."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with opened(width) as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True},
        )
        open_page(driver, page.as_uri())
        start = "const { top, bottom } = document.querySelector('.rl-bar .rl-main').getBoundingClientRect();"
        assert driver.execute_script(f"{start} return top > 0 && bottom <= innerHeight && scrollY === 0")
        driver.execute_script("for (const b of document.querySelectorAll('.rl-open')) b.click()")
        driver.execute_script("for (const d of document.querySelectorAll('.rusr-live details')) d.open = true")
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
        assert width > 400 or driver.execute_script(SMALL) == []
