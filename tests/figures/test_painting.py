"""The brush of notebooks: what Python sees of it, and the widget itself in a real browser."""

import base64
import functools
import io
import json

import numpy as np
import pytest
import torch
from live_browser import missing, opened
from PIL import Image

from rusr_core import figures
from rusr_core.degradations import Mask
from rusr_core.figures.interactive import data_url
from rusr_core.figures.painting import module


def noise(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_what_was_painted_is_a_mask_of_the_picture():
    x = noise(8, 12)
    canvas = figures.brush(x)
    assert canvas.known.shape == (1, 1, 8, 12) and canvas.known.min() == 1
    mask = np.full((8, 12), 255, np.uint8)
    mask[2:4, 5] = 0
    canvas.painted = mask.tobytes()
    y = Mask(canvas.known).degrade(x)
    assert y[..., 2:4, 5].max() == 0 and y[..., 0, 0].min() > 0 and canvas.known.sum() == 94


def test_the_picture_travels_without_loss_and_the_restoration_at_its_size():
    x = noise(8, 12)
    canvas = figures.brush(x)
    with Image.open(io.BytesIO(base64.b64decode(canvas.picture.partition(",")[2]))) as picture:
        assert np.array_equal(np.asarray(picture), (255 * x[0].permute(1, 2, 0)).round().to(torch.uint8).numpy())
    canvas.lay_over(noise(16, 24))
    with Image.open(io.BytesIO(base64.b64decode(canvas.restored.partition(",")[2]))) as picture:
        assert picture.size == (12, 8)


def test_a_brush_is_a_sentence_on_static_pages_and_paints_on_one_image(monkeypatch):
    with pytest.raises(figures.FigureError, match="one image, got 2"):
        figures.brush(torch.zeros(2, 3, 8, 8))
    canvas = figures.brush(torch.zeros(1, 3, 8, 9))
    with pytest.raises(figures.FigureError, match="painted has 8 bytes: expected 72, one a pixel"):
        canvas.painted = bytes(8)
    with pytest.raises(figures.FigureError, match="one image is laid over the picture, got 2"):
        canvas.lay_over(torch.zeros(2, 3, 8, 9))
    monkeypatch.setenv("RUSR_STATIC", "1")
    assert "Jupyter" in figures.brush(noise(8, 8))


PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="place"></div>
<script type="module">
import widget from "./painting.mjs";
const values = VALUES, heard = {};
values.painted = new DataView(Uint8Array.from(values.painted).buffer);
globalThis.model = {
  get: (name) => values[name], set: (name, value) => { values[name] = value; },
  save_changes: () => { globalThis.saved = (globalThis.saved || 0) + 1; },
  on: (name, listener) => { heard[name] = listener; },
  off: (name) => { delete heard[name]; },
  heard: () => Object.keys(heard),
  python: (name, value) => { values[name] = value; return heard[`change:${name}`](); },
};
globalThis.leave = await widget.render({ model, el: document.getElementById("place") });
globalThis.ready = true;
</script>"""


SPACE = """document.querySelector('.rusr-brush canvas').dispatchEvent(
    new KeyboardEvent('keydown', { key: ' ', bubbles: true }));"""


def painted(driver) -> bytes:
    """The mask as the widget has sent it."""
    read = "const v = model.get('painted'); return [...new Uint8Array(v.buffer, v.byteOffset, v.byteLength)]"
    return bytes(driver.execute_script(read))


@pytest.mark.slow
def test_the_widget_paints_by_mouse_and_keyboard_and_compares(tmp_path, serving):
    reason = missing()
    if reason:
        pytest.skip(reason)
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    canvas = figures.brush(noise(32, 48), width=240)
    before = bytearray(canvas.painted)
    before[: 2 * 48] = bytes(2 * 48)  # what another view of the widget, or Python, has hidden already: two rows
    state = {"picture": canvas.picture, "restored": "", "width": 240, "painted": list(before)}
    (tmp_path / "painting.mjs").write_text(module(), encoding="utf-8")
    (tmp_path / "page.html").write_text(PAGE.replace("VALUES", json.dumps(state)), encoding="utf-8")
    with opened() as driver, serving(tmp_path) as address:
        driver.get(f"{address}/page.html")
        until = functools.partial(wait, driver)
        until("globalThis.ready")
        place = driver.find_element(By.CSS_SELECTOR, ".rusr-brush canvas")
        ActionChains(driver).move_to_element_with_offset(place, -60, 0).click_and_hold().move_by_offset(
            120, 0
        ).perform()
        ActionChains(driver).release().perform()
        until("new Uint8Array(model.get('painted').buffer)[16 * 48 + 34] === 0")  # a stroke is sent in pieces
        canvas.painted = painted(driver)
        known = canvas.known[0, 0]
        assert known[16, 13:35].max() == 0 and known[2].min() == 1 and 0.7 < known.mean() < 0.98
        assert known[:2].max() == 0
        driver.find_element(By.CSS_SELECTOR, ".rb-tools button").click()  # undo
        until("new Uint8Array(model.get('painted').buffer).filter((v) => v === 0).length === 2 * 48")
        place.send_keys("\ue017")  # delete
        until("Math.min(...new Uint8Array(model.get('painted').buffer)) === 255")
        driver.execute_script("model.python('painted', new DataView(new Uint8Array(48 * 32).buffer))")
        dark = "[...document.querySelector('.rusr-brush canvas').getContext('2d').getImageData(9, 9, 1, 1).data].join()"
        until(f"{dark} === '0,0,0,255'")
        assert driver.execute_script("return document.querySelector('.rb-after').hidden")
        canvas.lay_over(torch.zeros(1, 3, 32, 48))
        driver.execute_script("return model.python('restored', arguments[0])", canvas.restored)
        until("!document.querySelector('.rb-after').hidden && document.querySelector('.rb-after').width === 48")
        nothing_is_lost(driver, canvas)
        assert driver.execute_script("return model.heard()") == [] and driver.get_log("browser") == []


def nothing_is_lost(driver, canvas) -> None:
    """Neither the newest of two restorations that come at once, nor a stroke just before the widget goes."""
    canvas.lay_over(torch.ones(1, 3, 32, 48))
    both = "return Promise.all([model.python('restored', arguments[0]), model.python('restored', arguments[1])])"
    driver.execute_script(both, *(data_url(noise(320, 480)), canvas.restored))
    above = "document.querySelector('.rb-after').getContext('2d').getImageData(0, 0, 1, 1).data[0]"
    assert driver.execute_script(f"return {above}") == 255
    driver.execute_script("model.python('painted', new DataView(new Uint8Array(48 * 32).fill(255).buffer))")
    sent = "Math.min(...new Uint8Array(model.get('painted').buffer))"
    assert driver.execute_script(f"{SPACE} leave(); return {sent}") == 0, "the last stroke is not lost"


def wait(driver, condition: str) -> None:
    """Wait for a JavaScript condition to hold."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 60).until(lambda d: d.execute_script(f"return {condition}"), condition)
