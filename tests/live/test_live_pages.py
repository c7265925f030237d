"""The live pages in a real browser: by keyboard, from a file and from a server, and with hostile files."""

import functools
import http.server
import io
import json
import threading
import time
from pathlib import Path

import pytest
from live_browser import missing, opened
from PIL import Image, PngImagePlugin

from rusr_core.files import data_path

pytestmark = pytest.mark.slow

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="live/live.css"><script src="live/loader.js"></script>
<div class="rusr-live" data-live='{"kind": "page"}'></div>
<div class="rusr-live" id="inline" data-live='{"kind": "restore", "task": "U"}'><p>recorded</p></div>
<div class="rusr-live" id="walk" data-live='{"kind": "walk", "mix": "layers"}'><p>recorded</p></div></html>"""
HEAVY = ("weights.js", "wasm.js", "engine.js")


@pytest.fixture(scope="module")
def page(built) -> Path:
    file = built.parent / "page.html"
    file.write_text(PAGE, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser():
    reason = missing()
    if reason:
        pytest.skip(reason)
    with opened() as driver:
        yield driver


@pytest.fixture(scope="module")
def address(page):
    """The same page from a server on this machine."""
    handler = functools.partial(Quiet, directory=str(page.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/page.html"
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        """A server of a test says nothing."""


def until(driver, condition: str, seconds: float = 90) -> object:
    """Wait for a JavaScript condition to hold; the page's status line is in the error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := driver.execute_script(f"return {condition}"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{condition} does not come true; the page says: {status(driver)}")


def status(driver) -> str:
    return driver.execute_script("return document.querySelector('.rl-studio > .rl-status').textContent")


def requests(driver) -> list[str]:
    """The addresses that the page has asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def open_page(driver, url: str) -> None:
    driver.get(url)
    until(driver, "!!document.querySelector('.rl-studio') && document.querySelector('.rl-portraits input:checked')")


def press(driver, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(driver).send_keys(key).perform()


def focus(driver, selector: str) -> None:
    """Reach an element by the tab key, as somebody without a mouse does."""
    for _ in range(60):
        if driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
        press(driver, "\ue004")
    raise AssertionError(f"the tab key does not reach {selector}")


def set_up(driver, task: str, steps: int = 4, spaces: tuple[str, ...] = ("W",)) -> None:
    """A damage, and very few steps, which the page does not offer."""
    driver.execute_script(
        """const [task, steps, spaces] = arguments, box = document.querySelector('.rl-studio');
        const [damage, count] = box.querySelectorAll('.rl-setup select');
        damage.value = task; damage.dispatchEvent(new Event('change'));
        count.add(new Option(steps)); count.value = steps; count.dispatchEvent(new Event('change'));
        for (const tick of box.querySelectorAll('.tick')) {
          const control = tick.firstElementChild, on = spaces.includes(tick.textContent);
          if (control.checked !== on) { control.checked = on; control.dispatchEvent(new Event('change')); }
        }""",
        task, steps, list(spaces),
    )  # fmt: skip


def test_a_search_from_a_file_by_keyboard_alone(browser, page):
    requests(browser)
    open_page(browser, page.as_uri())
    asked = requests(browser)
    assert asked and not any(url.endswith(HEAVY) for url in asked), "the networks are loaded before the reader asks"
    set_up(browser, "paint")
    press(browser, "\ue004")
    focus(browser, ".rl-studio canvas")
    press(browser, " ", "\ue014", "\ue014", " ", "+", "\ue015", " ")
    hidden = "document.querySelector('canvas.paintable').getContext('2d').getImageData(64, 64, 1, 1).data"
    assert browser.execute_script(f"return [...{hidden}]") == [0, 0, 0, 255]
    browser.execute_script("document.activeElement.blur()")
    focus(browser, ".rl-bar .rl-main")
    press(browser, " ")
    until(browser, "document.querySelector('.rl-studio > .rl-status').textContent.startsWith('Done')")
    assert "W 4 (all steps)" in status(browser) and " dB" in status(browser)
    asked += requests(browser)
    outside = [url for url in asked if not url.startswith((page.parent.as_uri(), "data:", "blob:"))]
    assert outside == [] and browser.get_log("browser") == []


def test_a_search_from_a_server_twice_leaves_nothing(browser, address):
    open_page(browser, address)
    for task in ("NA", "UNAP", "paint"):
        set_up(browser, task, 2, ("W", "W+", "W++"))
        if task == "paint":
            browser.execute_script("document.querySelector('.rl-experiments button').click()")
            set_up(browser, task, 2, ("W",))
        browser.execute_script("document.querySelector('.rl-bar .rl-main').click()")
        until(browser, "document.querySelector('.rl-main').textContent === 'Pause'")
        until(browser, "document.querySelector('.rl-main').textContent === 'Start'")
        assert status(browser).startswith("Done"), status(browser)
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


def hostile(folder: Path) -> list[Path]:
    """Files that are no pictures, or not what they say."""
    png = data_path("portraits/test/000.png").read_bytes()
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(jpeg, "JPEG")
    contents = {"text.png": b"not a picture", "empty.png": b"", "half.png": png[:-200], "page.svg": b"<svg"}
    contents |= {"half.jpg": jpeg.getvalue()[:-60], "a.pdf": b"%PDF-1.4"}
    files = []
    for name, data in contents.items():
        files.append(folder / name)
        files[-1].write_bytes(data)
    return files


def test_files_of_ones_own(browser, address, tmp_path):
    from selenium.webdriver.common.by import By

    open_page(browser, address)
    entry = browser.find_element(By.CSS_SELECTOR, ".rl-studio .rl-file")
    for file in hostile(tmp_path):
        entry.send_keys(str(file))
        until(browser, f"document.querySelector('.rl-wrong')?.textContent.startsWith('{file.name} ')", 10)
    frames = [Image.new("RGB", (300, 200), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    entry.send_keys(str(tmp_path / "moving.gif"))
    until(browser, "document.querySelector('.rl-studio > .rl-status').textContent.includes('goes nowhere else')", 10)
    assert "300 x 200" in status(browser)
    pixel = "document.querySelector('.rl-studio canvas').getContext('2d').getImageData(5, 5, 1, 1).data"
    assert browser.execute_script(f"return [...{pixel}]") == [255, 0, 0, 255]
    assert not any(file.name in url for url in requests(browser) for file in hostile(tmp_path))


def test_a_saved_picture_holds_its_record(browser, address, tmp_path):
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    open_page(browser, address)
    set_up(browser, "A", 2)
    browser.execute_script("document.querySelector('.rl-bar .rl-main').click()")
    until(browser, "document.querySelector('.rl-studio > .rl-status').textContent.startsWith('Done')")
    browser.execute_script("document.querySelectorAll('.rl-bar button')[3].click()")
    end = time.monotonic() + 20
    while not (found := list(tmp_path.glob("*.png"))) and time.monotonic() < end:
        time.sleep(0.1)
    with Image.open(found[0]) as picture:
        picture.load()
        record = json.loads(picture.text["rusr-record"])
        assert isinstance(picture, PngImagePlugin.PngImageFile) and picture.size == (128, 128)
    assert record["stages"] == [{"kind": "jpeg", "quality": 12}] and record["source"] == "portrait-000"
    assert [phase["steps"] for phase in record["phases"]] == [2] and len(record["losses"]) == 2
    assert record["preset"]["name"] == "report@2"


def test_inline_figures_open_when_asked(browser, address):
    open_page(browser, address)
    assert browser.execute_script("return document.querySelector('#inline').innerText").startswith("recorded")
    browser.execute_script("for (const b of document.querySelectorAll('.rl-open')) b.click()")
    assert browser.execute_script("return document.querySelectorAll('#inline .rl-studio, #walk .rl-walk').length") == 2
    browser.execute_script("document.querySelector('#walk .rl-main').click()")
    until(browser, "document.querySelector('#walk .rl-status').textContent.startsWith('Seed 1 and 2')")
    colours = "new Set(document.querySelector('#walk canvas').getContext('2d').getImageData(0, 0, 128, 128).data).size"
    assert browser.execute_script(f"return {colours}") > 100


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window(page, width):
    reason = missing()
    if reason:
        pytest.skip(reason)
    with opened(width) as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True},
        )
        open_page(driver, page.as_uri())
        driver.execute_script("for (const b of document.querySelectorAll('.rl-open')) b.click()")
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
