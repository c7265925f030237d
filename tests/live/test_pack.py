"""What is packed for the live pages, without a browser: the vendored files, the weights, the method's settings."""

import base64
import dataclasses
import hashlib
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from live_browser import ROOT, missing
from safetensors import safe_open
from safetensors.numpy import save_file
from sources import script

from rusr_core.files import data_path
from rusr_core.presets import PRESETS

CHAPTERS = {
    "generator": 'kind="walk"',
    "inpainting": 'task="paint"',
    "phases": "spaces=spaces",
    "losses": 'open="weights"',
    "composed": 'task="UNAP"',
}
VENDOR = ROOT / "book/live/vendor"


def test_vendored_files_are_those_that_were_checked():
    lines = (VENDOR / "SHA256SUMS").read_text(encoding="utf-8").split("\n")
    named = dict(reversed(line.split("  ")) for line in lines if line)
    assert set(named) == {"tf.js", "tfjs-backend-wasm-simd.wasm"}
    for name, digest in named.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
    assert "Apache License" in (VENDOR / "LICENSE").read_text(encoding="utf-8")


def test_packed_weights_are_the_files_to_the_bit():
    packed = script("live/pack").packed(data_path("portraits"))
    numbers = np.frombuffer(base64.b64decode(packed["fp16"]), np.float16)
    for name, key in (("generator", "synthesis.b8.conv0.weight"), ("features_a", "project.weight")):
        with safe_open(str(data_path(f"portraits/{name}.safetensors")), "np") as file:
            expected = file.get_tensor(key)
        at, shape = packed["index"][f"{name[0] if name != 'features_a' else 'a'}.{key}"]
        assert np.array_equal(numbers[at : at + expected.size].reshape(shape), expected)
    assert sum(int(np.prod(shape)) for _, shape in packed["index"].values()) == numbers.size


@pytest.mark.parametrize("values, words", [
    (np.zeros(3, np.float32), "generator: w is float32, expected float16"),
    (np.array([1, np.inf], np.float16), "generator: w holds NaN or infinity, expected numbers"),
    (np.array([np.nan], np.float16), "generator: w holds NaN or infinity, expected numbers"),
])  # fmt: skip
def test_weights_that_the_page_cannot_have_are_an_error(tmp_path, values, words):
    save_file({"w": values}, str(tmp_path / "generator.safetensors"))
    pack = script("live/pack")
    with pytest.raises(pack.PackError, match=words):
        pack.packed(tmp_path)


def test_the_method_is_the_librarys_as_plain_json(embedded):
    method = json.loads(json.dumps(script("live/pack").method(embedded)))
    assert method["presets"]["default"] == json.loads(json.dumps(PRESETS["default"].values()))
    assert method["lr_scale"] == embedded.lr_scale and method["tasks"]["upsampling"] == [2, 4, 8, 16, 32]
    assert method["jpeg"]["luma"][:3] == [16, 11, 10] and len(method["jpeg"]["chroma"]) == 64


@pytest.mark.parametrize("change", [{"architecture": "resnet"}, {"conv_clamp": 256.0}, {"resample_filter": (1, 2, 1)}])
def test_an_architecture_that_the_engine_does_not_compute_is_an_error(embedded, change):
    config = dataclasses.replace(embedded.generator.config, **change)
    other = SimpleNamespace(generator=SimpleNamespace(config=config), perceptual=embedded.perceptual)
    pack = script("live/pack")
    with pytest.raises(pack.PackError, match=f"{next(iter(change))} .* expects"):
        pack.method(other)


def test_scripts_name_nothing_outside_the_book():
    """The page's own source has no address; the vendored library has three, in its messages and comments."""
    source = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "book/live").glob("*/*.js") if file.parent.name != "vendor"
    )
    assert "://" not in source.replace("http://www.w3.org/2000/svg", "")


BEGIN = re.compile(r"^( *)(?! |}|Page\.|Live\.|(?:if|for|while|switch)\b).*(?:\)|=>) \{$")  # a function


SOURCES = [*sorted((ROOT / "book/live").glob("[ep]*/*.js")), *sorted((ROOT / "rusr_core").glob("*/*.[mj]*s"))]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.stem)
def test_functions_and_files_are_short(file):
    """As the house has them: a function ends at the first line that begins with a brace where it began."""
    lines = file.read_text(encoding="utf-8").split("\n")
    assert len(lines) <= 300 and max(map(len, lines)) <= 120
    for number, line in enumerate(lines):
        if found := BEGIN.match(line):
            rest = lines[number + 1 :]
            length = 2 + next(k for k, one in enumerate(rest) if one.startswith(f"{found[1]}}}"))
            assert length <= 40, f"line {number + 1}: {length} lines"


def test_a_missing_browser_is_named(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "chromium" in missing()
    monkeypatch.setattr("shutil.which", lambda name: None if name == "chromedriver" else name)
    assert "chromedriver" in missing()


def test_the_chapters_that_hold_live_figures_and_what_those_run():
    """One line in each of five chapters; the page itself is the second of the book."""
    found = {}
    for file in (ROOT / "book").glob("*.ipynb"):
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = "".join(line for cell in cells if cell["cell_type"] == "code" for line in cell["source"])
        if calls := re.findall(r"figures\.live\(recorded, (.*)\)", code):
            found[file.stem] = calls
    assert {name: len(calls) for name, calls in found.items()} == dict.fromkeys(CHAPTERS, 1)
    assert all(words in found[name][0] for name, words in CHAPTERS.items())
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"(?:root|- file): (.*)", contents)[:2] == ["book/index", "book/restore_now"]
    for place in ("README.md", "book/start.ipynb"):
        assert "restore_now.md" in (ROOT / place).read_text(encoding="utf-8")


def test_the_page_weighs_what_it_says(built):
    """Before Start, and what Start adds, in millions of bytes."""
    weigh = {file.name: file.stat().st_size / 1e6 for file in built.iterdir()}
    before = sum(weigh[name] for name in ("live.css", "loader.js", "portraits.js", "app.js"))
    said = (ROOT / "book/restore_now.md").read_text(encoding="utf-8")
    assert "opens with 0.3 MB" in said and 0.25 < before < 0.35
    assert "about 11 MB" in said and 10.5 < weigh["weights.js"] + weigh["wasm.js"] + weigh["engine.js"] < 11.5
    assert "16 bit (10 MB)" in said and 9.5 < weigh["weights.js"] < 10.5
