"""The page's own modules in node, without a browser: what they compute, beside the library or by hand."""

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from conftest import seeded
from live_browser import ROOT
from live_files import encoded
from PIL import Image
from sources import script

from rusr_core import randomness, tasks
from rusr_core.degradations import Compose
from rusr_core.files import data_path
from rusr_core.images import read_metadata
from rusr_core.photos.marks import SOURCE_TYPE
from rusr_core.photos.records import read_record

DOCUMENT = """
class Element {
  constructor(tag) {
    Object.assign(this, { tag, children: [], attributes: {}, handlers: {}, rows: [], textContent: "" });
    this.classList = { toggle() {}, add() {}, remove() {} };
  }
  setAttribute(name, value) { this.attributes[name] = value; }
  addEventListener(name, handler) { this.handlers[name] = handler; }
  append(...all) { for (const one of all) { this.children.push(one); if (one.tag === "tr") this.rows.push(one); } }
  replaceChildren(...all) { this.children = all; }
  get text() { return this.textContent || this.children.map((c) => c.text ?? c).join(" "); }
  find(tag) { return [...(this.tag === tag ? [this] : []), ...this.children.flatMap((c) => c.find?.(tag) ?? [])]; }
}
globalThis.document = { createElement: (tag) => new Element(tag), createElementNS: (_, tag) => new Element(tag) };
globalThis.Page = {}; globalThis.Live = {};
"""


def in_node(modules: str, body: str, given: object = None) -> object:
    """The value that `body` returns after the modules, "page/curve engine/random", have run in node."""
    node = shutil.which("node")
    if not node:
        pytest.skip("node is not installed")
    sources = [(ROOT / f"book/live/{name}.js").read_text(encoding="utf-8") for name in modules.split()]
    run = f"(async () => {{ {body} }})().then((found) => console.log(JSON.stringify(found)));"
    text = "\n".join([DOCUMENT, f"const given = {json.dumps(given)};", *sources, run])
    found = subprocess.run([node, "-"], input=text, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_random_numbers_are_those_of_torch():
    draw = seeded(11)
    expected = [torch.rand(3, generator=draw), torch.randn(32, generator=draw), torch.rand(2, generator=draw)]
    body = """const r = new Live.random.Random(11);
        return [[...r.uniform(3), ...r.normal(32), ...r.uniform(2)], Live.random.seedWord(5, 3)];"""
    found, word = in_node("engine/random", body)
    assert np.abs(np.array(found) - torch.cat(expected).numpy()).max() < 2e-6
    assert word == randomness.seeds(5, 1, 3)[0]


def test_a_damage_has_the_librarys_stages_and_says_them(embedded):
    method = json.loads(json.dumps(script("live/pack").method(embedded)))
    body = """const { NAMES, stages, words } = Page.controls, found = {};
        for (const task of Object.keys(NAMES)) if (task !== "paint") for (const level of given.levels) {
          const made = stages(task, level, 4, null, given);
          found[`${task}:${level}`] = [made, words(made)];
        }
        return found;"""
    found = in_node("page/pictures page/controls", body, method)
    assert len(found) == 8 * len(tasks.LEVELS)
    for name, (stages, words) in found.items():
        f = tasks.find(*name.split(":")).degradation(seed=4)
        expected = f.stages if isinstance(f, Compose) else (f,)
        for stage, one in zip(stages, expected, strict=True):
            kind = {"downsample": "Downsample", "noise": "PoissonBernoulliNoise", "jpeg": "JPEG", "strokes": "Strokes"}
            assert type(one).__name__ == kind[stage.pop("kind")]
            assert stage == {key: getattr(one, key) for key in stage} and stage
        assert words.count(", then ") == len(stages) - 1
    assert found["UNAP:M"][1] == (
        "each side 8 times smaller, then 24 photons, 16 % dead pixels, then JPEG of quality 12, then 9 strokes"
    )


def test_a_saved_picture_is_a_png_with_its_record_and_mark(embedded, tmp_path):
    """As the library writes and reads them."""
    with io.BytesIO() as buffer:
        Image.new("RGB", (3, 2), "red").save(buffer, "PNG")
        plain = buffer.getvalue()
    body = """globalThis.RUSR_PORTRAITS = { mark: given.mark };
        const canvas = { toBlob: (done) => done(new Blob([Uint8Array.from(given.png)])) };
        const blob = await Page.record.png(canvas, given.record);
        return [...new Uint8Array(await blob.arrayBuffer())];"""
    mark, file = script("live/pack").mark(embedded), tmp_path / "restored.png"
    record = {"format": mark["format"], "seed": 3, "source": "grüße 😀"}
    given = {"png": list(plain), "record": record, "mark": mark}
    file.write_bytes(bytes(in_node("page/pictures page/record", body, given)))
    with Image.open(file) as picture:
        picture.load()  # checks every chunk's CRC
        assert picture.getpixel((0, 0)) == (255, 0, 0)
    assert read_record(file) == record and SOURCE_TYPE.encode() in read_metadata(file).xmp


def test_a_whole_file_is_told_from_one_that_ends_early():
    """Each format, with what phones and programs put behind the picture; one byte less than the picture needs."""
    portrait = Image.open(data_path("portraits/test/000.png")).convert("RGB")
    preview, film = encoded(portrait.resize((16, 16)), "JPEG"), b"\xff\xda" + bytes(50)
    whole = {
        "png": encoded(portrait, "PNG"),
        "jpeg": encoded(portrait, "JPEG", exif=b"Exif\0\0" + preview),  # its end is not the picture's
        "progressive": encoded(portrait, "JPEG", progressive=True),
        "restarting": encoded(portrait, "JPEG", restart_marker_rows=1),
        "gif": encoded(portrait, "GIF", comment=b"x" * 700)[:-1],
        "moving": encoded(portrait, "GIF", save_all=True, append_images=[portrait.rotate(90)])[:-900],
        "bmp": encoded(portrait, "BMP"),
        "grey": encoded(portrait.convert("1"), "BMP"),
        "webp": encoded(portrait, "WEBP", lossless=True),
    }
    given = {name: list(content) for name, content in whole.items()}
    given |= {f"{name} and more": [*content, *film] for name, content in given.items()}
    given |= {"nothing": [], "text": list(b"not a picture"), "movie": list(b"\0\0\0 ftypisom")}
    body = """const found = {};
        for (const [name, bytes] of Object.entries(given)) found[name] = Page.whole(Uint8Array.from(bytes));
        return found;"""
    assert all(in_node("page/whole", body, given).values())
    short = {name: given[name][:-1] for name in whole if name != "moving"} | {"moving": given["moving"][:5000]}
    short |= {f"{name}, a third": given[name][: len(given[name]) // 3] for name in whole}
    begins = ("\x89PNG", "\xff\xd8", "GIF8", "BM", "RIFF", "RIFF\0\0\0")
    short |= {begin: list(begin.encode("latin1")) for begin in begins}
    found = in_node("page/whole", body, short)
    assert len(found) == 24 and not any(found.values()), found


@pytest.mark.parametrize(
    ("said", "psnr", "words"),
    [
        ({}, 24.2, ""),
        ({"psnr": 25}, 24.2, "You said 25 dB; it is 24.2 dB: well seen."),
        ({"psnr": 30}, 24.2, "You said 30 dB; it is 24.2 dB."),
        ({"psnr": 30}, None, ""),  # nobody knows the truth of a file that was damaged before
        ({"space": "W"}, 24.2, "W does lower the loss most, by 3.0."),
        ({"space": "W+"}, 24.2, "W lowers the loss most, by 3.0, not W+."),
    ],
)
def test_a_prediction_is_judged_by_what_came(said, psnr, words):
    body = """const prediction = Page.prediction.create(), { said } = given;
        const [range] = prediction.box.find("input"), [choice] = prediction.box.find("select");
        if (said.psnr) { range.value = said.psnr; range.handlers.input(); }
        if (said.space) { choice.value = said.space; choice.handlers.change(); }
        const points = [["W", 5], ["W", 2], ["W+", 2], ["W+", 1]].map(([space, loss]) => ({ space, loss }));
        prediction.judge(given.psnr, points);
        return prediction.box.find("p").at(-1).textContent;"""
    assert in_node("page/pictures page/controls page/prediction", body, {"said": said, "psnr": psnr}) == words


def test_the_curve_has_a_line_a_phase_and_also_draws_negative_losses():
    body = """const curve = Page.curve.create();
        for (const [space, loss] of given) curve.add({ space, loss });
        curve.redraw(1);
        const [svg] = curve.box.find("svg");
        return [svg.find("polyline").map((l) => l.attributes.points), svg.find("line").length, curve.box.text];"""
    lines, marks, text = in_node("page/pictures page/curve", body, [("W", 3.0), ("W", 1.0), ("W+", 0.5), ("W+", -0.2)])
    points = [[tuple(map(float, point.split(","))) for point in line.split(" ")] for line in lines]
    assert [len(line) for line in points] == [2, 3] and points[0][-1] == points[1][0] and marks == 1
    heights = [y for _, y in [*points[0], *points[1][1:]]]
    assert heights == sorted(heights) and np.isfinite(heights).all()  # a lower loss lies lower on the page
    assert text.split() == ["W", "W+", "loss", "3.00", "→", "-0.200"]


def test_of_a_long_search_the_first_and_the_newest_pictures_stay():
    """Half of the others go, and who looks back meanwhile stays where they look."""
    body = """Element.prototype.getContext = () => ({ putImageData() {} });
        globalThis.ImageData = class {};
        const stage = Page.stage.create(), picture = { width: 1, height: 1, rgba: null }, looked = [];
        for (let step = 0; step < 500; step++) {
          stage.add({ picture, seen: picture, space: "W", step, loss: 1 + 1 / (step + 1) });
          if (step === 150) { stage.scrub.value = 100; stage.scrub.handlers.input(); }
          if (step > 150) looked.push(stage.frames[+stage.scrub.value].step);
        }
        const kept = stage.frames.map((frame) => frame.step);
        stage.end({ picture, psnr: null, space: "W", step: 499, loss: 1 });
        return { kept, looked: [...new Set(looked)], shown: stage.where.textContent, now: stage.scrub.value };"""
    found = in_node("page/pictures page/curve page/stage", body)
    kept = found["kept"]
    assert kept[0] == 0 and kept[-1] == 499 and 120 < len(kept) <= 240 and kept == sorted(set(kept))
    assert max(abs(step - 100) for step in found["looked"]) <= 4
    assert found["shown"] == "W, step 500" and found["now"] == len(kept) - 1


def test_the_table_of_searches_keeps_the_last_ones():
    body = """const runs = Page.runs.create(), hidden = [];
        const search = { source: "portrait-000", damage: "noise M", loss: 1 / 3, psnr: null };
        for (let k = 1; k < 4; k++) {
          runs.add({ ...search, phases: [{ space: "W", steps: k }, { space: "W+", steps: 2 }] });
          hidden.push(runs.box.hidden ?? runs.box.attributes.hidden !== undefined);
        }
        return [hidden, runs.box.find("tbody")[0].rows.map((row) => row.children.map((cell) => cell.text))];"""
    hidden, rows = in_node("page/pictures page/runs", body)
    assert hidden == [True, False, False]
    assert rows[0] == ["1", "portrait-000", "noise M", "W 1, W+ 2", "0.333", "–"] and len(rows) == 3
