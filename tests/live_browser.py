"""A headless browser for the tests of the live pages, and the engine in it; without one they are skipped."""

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from sources import script

ROOT = Path(__file__).resolve().parents[1]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-prefers-reduced-motion")


def missing() -> str | None:
    """Why no browser can be driven here; None if one can."""
    if not any(map(shutil.which, BROWSERS)):
        return f"none of the browsers {', '.join(BROWSERS)} is installed"
    if not shutil.which("chromedriver"):
        return "the browser's driver, chromedriver, is not installed"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "the package selenium is not installed"
    return None


@contextmanager
def opened(width: int = 1280, height: int = 900, dark: bool = False):
    """A browser window of a size, closed at the end; its log is kept for `log`."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for flag in (*FLAGS, f"--window-size={width},{height}", *(["--force-dark-mode"] if dark else [])):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_script_timeout(600)  # a machine may be loaded
    driver.command_executor.client_config.timeout = 630  # so that the script's own time ends first
    try:
        yield driver
    finally:
        driver.quit()


ENGINE_PAGE = """<!doctype html><meta charset="utf-8"><title>engine</title>
<script src="engine.js"></script><script src="weights.js"></script><script src="wasm.js"></script>
<script>
const Live = RUSR_ENGINE(), tf = Live.tf;
const ready = new Promise((done, fail) => {
  window.postMessage = (m) => m && m.type === "answer" ? done(Live.worker.live()) : fail(new Error(m.message));
  Live.worker.answer({ data: { id: 0, type: "start", wasm: RUSR_WASM, packed: RUSR_WEIGHTS } });
});
const image = (values, h, w, c = 3) => tf.tensor(values, [1, h, w, c]);
</script>"""


def write_engine_page(folder: Path) -> str:
    """A page beside the packed scripts that runs the engine in the open; its address."""
    page = folder / "engine.html"
    page.write_text(ENGINE_PAGE, encoding="utf-8")
    return page.as_uri()


def evaluate(driver, body: str, *arguments: object) -> object:
    """The value of an asynchronous function's `body`, in which `live` is the started engine; errors are raised."""
    script = f"""
        const done = arguments[arguments.length - 1], a = [...arguments].slice(0, -1);
        (async () => {{ const live = await ready; {body} }})().then(
            (value) => done({{ value }}), (error) => done({{ error: String(error.stack || error) }}));
    """
    found = driver.execute_async_script(script, *arguments)
    if "error" in found:
        raise AssertionError(found["error"])
    return found.get("value")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of a test says nothing."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, *_words):
        """Nothing."""


@contextmanager
def folder_served(folder: Path):
    """A folder from a server on this machine; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def serving():
    """`serving(folder)` serves a folder while its context lasts."""
    return folder_served


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """The folder of everything that the live pages load."""
    folder = tmp_path_factory.mktemp("book") / "live"
    script("live/pack").pack(folder)
    return folder


@pytest.fixture(scope="session")
def engine(built):
    """A browser in which the engine runs in the open, see `browser.evaluate`."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with opened() as driver:
        driver.get(write_engine_page(built))
        yield driver
