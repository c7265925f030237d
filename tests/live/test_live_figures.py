"""Several live figures on one page, in a real browser: one engine, files beside a figure, what opens and closes."""

import json

import pytest
from live_page import DONE, IDLE, STATUS, flat, handed, middle, open_page, requests, set_up, start, status, until

pytestmark = pytest.mark.slow


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


def test_without_javascript_the_recorded_figure_stands_and_nothing_is_loaded(browser, address):
    requests(browser)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
        # in one call: a node's number may be gone before a second one
        page = json.dumps(browser.execute_cdp_cmd("DOM.getDocument", {"depth": -1}))
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert page.count('"nodeValue": "recorded"') == 2 and "rl-studio" not in page and "rl-open" not in page
    assert not any(url.endswith(("weights.js", "wasm.js", "engine.js", "app.js")) for url in requests(browser))


def test_scripts_that_are_missing_are_told(watched, address):
    watched.execute_cdp_cmd("Network.enable", {})
    watched.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*portraits.js"]})
    watched.get(address)
    until(watched, "document.querySelectorAll('.rusr-live > p:last-child').length === 3", 20)
    line = watched.execute_script("return document.querySelector('.rusr-live > p:last-child').textContent")
    assert line.startswith("The live figure cannot be loaded: expected ") and line.endswith("live/portraits.js")
    watched.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    assert all("portraits.js" in entry["message"] for entry in watched.get_log("browser"))


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
    assert status(watched) == "", "that nothing is loaded yet is no longer so"
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
