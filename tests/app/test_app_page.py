"""The page of `rusr app` in a real browser, from a process of its own; skipped where Gradio or a browser is missing."""

import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live_browser import ROOT, missing, opened
from live_files import chunk
from live_page import requests

pytestmark = pytest.mark.slow

STATUS = "document.querySelector('#status textarea').value"
NOTATION = "(document.querySelector('#notation textarea, #notation input') || {}).value"
BRUSH = "document.querySelector('#canvas canvas.paintable')"


def why_not() -> str | None:
    """Why the page cannot be tested here; None if it can."""
    if importlib.util.find_spec("gradio") is None:
        return "Gradio is not installed: pip install 'rusr[app]' in an environment of its own"
    return missing()


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> Path:
    """The folder of all that the app may write: its temporary files, and its home."""
    return tmp_path_factory.mktemp("disk")


@pytest.fixture(scope="module")
def app(disk):
    """`rusr app` as a person starts it: the process and its address."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    names = dict.fromkeys(("TMPDIR", "HOME", "XDG_CACHE_HOME"), str(disk))
    env = {**os.environ, **names, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "rusr_core", "app", "--no-browser"]
    process = subprocess.Popen(command, cwd=disk, env=env, stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().split()[0]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def tab(app):
    """A tab of a browser that shows the page."""
    with opened(1280, 1500) as driver:
        load(driver, app[1])
        yield driver


def until(driver, condition: str, seconds: float = 300) -> object:
    """Wait for a JavaScript condition; the page's status line is in the error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := driver.execute_script(f"return {condition}"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{condition} does not come true: {driver.execute_script(f'return {STATUS}')}")


def load(driver, address: str) -> None:
    driver.get(address)
    until(driver, "!!document.querySelector('#start') && !!document.querySelector('#files input[type=file]')")


def hand_in(driver, *files: Path) -> None:
    place = driver.find_element("css selector", "#files input[type=file]")
    place.send_keys("\n".join(map(str, files)))


def click(driver, name: str) -> None:
    driver.execute_script(f"document.querySelector('#{name}').click()")


def kept(disk: Path, contents: bytes) -> list[Path]:
    """The files below `disk` that hold a picture's bytes."""
    files = [path for path in disk.rglob("*") if path.is_file()]
    return [path for path in files if contents[:200] in path.read_bytes()]


def test_a_picture_is_handed_in_painted_searched_and_stopped(app, disk, tab, after_jpeg):
    """And nothing of it is left on the disk when the tab has gone; nothing was asked of another host."""
    from selenium.webdriver.common.action_chains import ActionChains

    hand_in(tab, after_jpeg)
    assert until(tab, NOTATION) == "jpeg:12"
    assert kept(disk, after_jpeg.read_bytes())
    until(tab, f"!!{BRUSH}")
    place = tab.find_element("css selector", "#canvas canvas")
    ActionChains(tab).scroll_to_element(place).move_to_element_with_offset(place, -60, 0).perform()
    ActionChains(tab).click_and_hold().move_by_offset(120, 0).release().perform()
    assert tab.execute_script(f"return {BRUSH}.getContext('2d').getImageData(64, 64, 1, 1).data[0]") == 0
    click(tab, "start")
    until(tab, f"{STATUS}.includes(', step')")
    click(tab, "stop")
    until(tab, f"{STATUS}.includes('stopped by you')")
    words = "[...document.querySelectorAll('a.rusr-save')].map((a) => a.download).join()"
    assert until(tab, words) == "mine-restored.png"
    searched = "document.querySelector('#view img').naturalWidth"
    assert until(tab, searched) > 0
    outside = [url for url in requests(tab) if not url.startswith((app[1], "data:", "blob:"))]
    assert outside == []
    tab.get("about:blank")
    end = time.monotonic() + 60
    while found := kept(disk, after_jpeg.read_bytes()):
        assert time.monotonic() < end, found
        time.sleep(0.2)


def test_broken_and_heavy_files_have_a_line_each(tab, after_jpeg, tmp_path):
    half, text, heavy = tmp_path / "half.png", tmp_path / "text.png", tmp_path / "heavy.png"
    half.write_bytes(after_jpeg.read_bytes()[:-200])
    text.write_bytes(b"no picture")
    png = after_jpeg.read_bytes()
    end = len(png) - len(chunk(b"IEND", b""))
    heavy.write_bytes(png[:end] + chunk(b"ruSr", bytes(40 * 10**6)) + png[end:])  # 40 MB, of which little are pixels
    hand_in(tab, half, text, heavy)
    lines = until(tab, f"{STATUS}.includes('at hand') && {STATUS}").split("\n")
    assert lines[0] == "1 picture at hand." and len(lines) == 3
    assert "half.png" in lines[1] and "text.png" in lines[2] and "/" not in lines[1]
    until(tab, f"!!{BRUSH} && {BRUSH}.width === 128")


def test_two_tabs_do_not_see_each_other(app, tab, after_jpeg, tmp_path):
    """One search runs at a time, the other tab's waits in line, and each tab stops its own alone."""
    other = shutil.copy(after_jpeg, tmp_path / "other.png")
    hand_in(tab, after_jpeg)
    until(tab, NOTATION)
    with opened() as second:
        load(second, app[1])
        assert second.execute_script(f"return {STATUS}") == "Hand in a picture."
        hand_in(second, Path(other))
        until(second, NOTATION)
        click(tab, "start")
        until(tab, f"{STATUS}.includes(', step')")
        click(second, "start")
        until(second, f"{STATUS}.startsWith('Waiting')")
        click(second, "stop")
        until(second, f"{STATUS} === 'No search of this page runs or waits now.'")
        began = tab.execute_script(f"return {STATUS}")
        until(tab, f"{STATUS}.includes(', step') && {STATUS} !== {json.dumps(began)}")
        click(tab, "stop")
        until(tab, f"{STATUS}.startsWith('mine.png: stopped by you')")
        until(second, f"{STATUS} === 'No search of this page runs or waits now.'")


def test_what_is_stopped_can_be_started_again(tab, after_jpeg):
    """With an empty seed in between, and a stop while nothing runs."""
    hand_in(tab, after_jpeg)
    until(tab, NOTATION)
    click(tab, "stop")
    until(tab, f"{STATUS} === 'No search of this page runs or waits now.'")
    for _ in range(2):
        click(tab, "start")
        until(tab, f"{STATUS}.includes(', step')")
        click(tab, "stop")
        until(tab, f"{STATUS}.includes('stopped by you')")
    tab.execute_script("""
        const seed = document.querySelector('#seed input');
        seed.value = ''; seed.dispatchEvent(new Event('input', { bubbles: true }));""")
    click(tab, "start")
    until(tab, f"{STATUS}.includes('seed must be') || {STATUS}.includes(', step')")
    assert "seed must be a whole number, got an empty field" in tab.execute_script(f"return {STATUS}")


def test_it_answers_this_machine_alone(app):
    host, _, port = app[1].rstrip("/").rpartition("/")[2].rpartition(":")
    assert host == "127.0.0.1"
    for name, expected in ((f"127.0.0.1:{port}", 200), ("evil.example", 403), (f"192.168.0.9:{port}", 403)):
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.request("GET", "/", headers={"Host": name})
        assert connection.getresponse().status == expected
        connection.close()
    with pytest.raises(OSError):  # it listens at no other address of this machine
        socket.create_connection(("127.0.0.2", int(port)), timeout=5).close()


def test_when_it_ends_its_folder_is_gone(app, disk, tab, after_jpeg):
    """The last of this file: the process is asked to end, and a search runs."""
    hand_in(tab, after_jpeg)
    until(tab, NOTATION)
    click(tab, "start")
    until(tab, f"{STATUS}.includes(', step')")
    assert list(disk.glob("rusr-app-*"))
    app[0].send_signal(signal.SIGTERM)
    assert app[0].wait(120) == 0
    assert list(disk.glob("rusr-app-*")) == []
