"""What a reader does with a live page in a browser, and what there is to see then."""

import json
import time
from pathlib import Path

import pytest
from live_browser import missing, opened
from live_files import encoded
from PIL import Image

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>page</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="live/live.css"><script src="live/loader.js"></script>
<div class="rusr-live" data-live='{"kind": "page"}'></div>
<div class="rusr-live" id="inline" data-live='{"kind": "restore", "task": "U"}'><p>recorded</p></div>
<input type="file" multiple id="hand" aria-label="files of the test">
<div class="rusr-live" id="walk" data-live='{"kind": "walk", "mix": "layers"}'><p>recorded</p></div></html>"""
STATUS = "document.querySelector('.rl-studio > .rl-status').textContent"
DONE = f"{STATUS}.startsWith('Done')"
IDLE = "document.querySelector('.rl-main').textContent === 'Start'"
WATCHED = """
    const made = Worker; globalThis.workers = []; globalThis.said = [];
    globalThis.Worker = class extends made { constructor(url) { super(url); workers.push(this); } };
    globalThis.memory = () => new Promise((done) => {
      workers.at(-1).addEventListener("message", ({ data }) => data.id === "m" && done(data));
      workers.at(-1).postMessage({ id: "m", type: "memory" });
    });"""


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
def watched(browser):
    """The browser, whose pages tell of their engine's memory."""
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCHED})
    return browser


@pytest.fixture(scope="module")
def address(page, serving):
    """The same page from a server on this machine."""
    with serving(page.parent) as root:
        yield f"{root}/page.html"


def until(driver, condition: str, seconds: float = 90) -> object:
    """Wait for a JavaScript condition to hold; the page's status line is in the error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := driver.execute_script(f"return {condition}"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{condition} does not come true; the page says: {status(driver)}")


def status(driver) -> str:
    return driver.execute_script(f"return {STATUS}")


def start(driver) -> None:
    """Press Start, or what it has become: Pause, Continue."""
    driver.execute_script("document.querySelector('.rl-bar .rl-main').click()")


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


def focus(driver, selector: str, back: bool = False) -> None:
    """Reach an element by the tab key, as somebody without a mouse does; `back` with the shift key."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    for _ in range(60):
        if driver.execute_script("return document.activeElement.matches(arguments[0])", selector):
            return
        if back:
            ActionChains(driver).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
        else:
            press(driver, Keys.TAB)
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


def handed(driver, *files: Path, place: str = ".rl-source", kind: str = "drop") -> None:
    """Drop files on an element as a mouse does, or paste them there with `kind` "paste"."""
    from selenium.webdriver.common.by import By

    if files:
        driver.find_element(By.ID, "hand").send_keys("\n".join(map(str, files)))
    driver.execute_script(
        """const [place, kind] = arguments, held = new DataTransfer(), hand = document.getElementById("hand");
        for (const file of hand.files) held.items.add(file);
        const options = { bubbles: true, cancelable: true },
          event = kind === "drop" ? new DragEvent("drop", { dataTransfer: held, ...options })
            : new ClipboardEvent("paste", { clipboardData: held, ...options });
        document.querySelector(place).dispatchEvent(event);
        hand.value = "";""",
        place, kind,
    )  # fmt: skip


def dropped(driver, file: Path) -> str:
    """Drop a file on the page as a mouse does; the line that the page then shows."""
    handed(driver, file)
    return until(driver, f"{STATUS}.startsWith({json.dumps(file.name)}) && {STATUS}", 20)


def painted(driver, x: int, y: int) -> list[int]:
    """A pixel of the portrait's canvas, read from a copy: a browser warns of a canvas that is read twice."""
    read = """const copy = new OffscreenCanvas(1, 1).getContext('2d'), [x, y] = arguments;
        copy.drawImage(document.querySelector('.rl-stage canvas'), -x, -y);
        return [...copy.getImageData(0, 0, 1, 1).data];"""
    return driver.execute_script(read, x, y)


def flat(folder, name: str, size: tuple[int, int], colour: str):
    """A picture of one colour in a file."""
    (folder / name).write_bytes(encoded(Image.new("RGB", size, colour), "PNG"))
    return folder / name


def middle(driver) -> list[int]:
    """The colour of the portrait's middle."""
    return painted(driver, 64, 64)[:3]
