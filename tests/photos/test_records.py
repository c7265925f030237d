"""The record beside a picture and the mark in it: what is written is read again, in every format that has a place."""

import json
from xml.etree import ElementTree

import pytest
import torch
from conftest import PORTRAIT
from PIL import Image

from rusr_core import tasks
from rusr_core.degradations import JPEG, Downsample, Mask
from rusr_core.images import ImageError, load_image, read_metadata, save_image
from rusr_core.photos import records
from rusr_core.photos.marks import SOURCE_TYPE, mark_of
from rusr_core.photos.records import Misfit, RecordError, digest, misfits, read_record, record_of
from rusr_core.sweeps.recordings import Recording

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


@pytest.fixture
def record(embedded):
    done = {"method": "default", "seed": 3, "steps": [7], "seconds": 1.234, "found": [Misfit(0.2, 0.1, 0.15, 20)]}
    return record_of(PORTRAIT, Downsample(8), embedded, **done, unmarked="")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_mark_is_read_as_xml_and_the_record_as_json(suffix, record, tmp_path):
    path = save_image(load_image(PORTRAIT), tmp_path / f"x{suffix}", metadata=mark_of(record))
    found = read_metadata(path)
    root = ElementTree.fromstring(found.xmp.decode().replace("\ufeff", ""))
    (description,) = root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description.attrib[IPTC] == SOURCE_TYPE and SOURCE_TYPE.endswith("/compositeWithTrainedAlgorithmicMedia")
    assert json.loads(found.text) == {key: value for key, value in record.items() if key != "seconds"}
    assert read_record(path)["steps"] == [7] and "seconds" not in read_record(path)


def test_pillow_reads_the_mark_of_a_png(record, tmp_path):
    """An independent reader: Pillow's own XMP parser."""
    pytest.importorskip("defusedxml")
    save_image(load_image(PORTRAIT), tmp_path / "x.png", metadata=mark_of(record))
    with Image.open(tmp_path / "x.png") as picture:
        assert SOURCE_TYPE in str(picture.getxmp())


def test_pixels_do_not_change_by_a_mark(record, tmp_path):
    plain = save_image(load_image(PORTRAIT), tmp_path / "plain.png")
    marked = save_image(load_image(PORTRAIT), tmp_path / "marked.png", metadata=mark_of(record))
    assert torch.equal(load_image(plain), load_image(marked)) and plain.read_bytes() != marked.read_bytes()
    assert read_metadata(plain) is None


def test_what_the_record_says(record):
    assert record["input"] == {"file": "000.png", "sha256": digest(PORTRAIT)} and record["seed"] == 3
    assert record["degradation"] == str(Downsample(8)) and record["prior"] == "portraits-128"
    assert record["misfit"] == [{"lpips": 0.2, "usual": 0.1, "largest": 0.15, "portraits": 20}]
    assert "misfit 0.200" in record["warnings"][0] and record["mark"] == SOURCE_TYPE
    assert set(record["versions"]) == {"python", "torch", "numpy", "pillow"}


def recorded(monkeypatch, number: int, provenance: dict | None = None) -> None:
    """A recording of so many portraits and two tasks, whose misfits are 0.1 to 0.2."""
    misfits = [0.1 + 0.1 * i / (number - 1) for i in range(number)]
    units = [
        {"task": task, "method": "default", "image": f"{i:03d}", "fidelity": misfit}
        for task in ("deartifacting M", "inpainting S")
        for i, misfit in enumerate(misfits)
    ]
    table = Recording("portraits-128", tuple(units), (), provenance or {})
    monkeypatch.setattr(records.recordings, "find", lambda name: table)


def test_a_recording_of_earlier_weights_says_nothing_of_these(embedded, monkeypatch):
    recorded(monkeypatch, 20, {"earlier_weights": "of others"})
    f = tasks.get("deartifacting", "M")
    x = load_image(PORTRAIT)
    (found,) = misfits(embedded, x, f.degrade(x), f, 0)
    assert found.value < 1e-3 and found.usual is None and found.limit is None and found.warning is None


def test_a_misfit_is_judged_by_what_is_recorded(embedded, monkeypatch):
    """The truth explains its input; another person does not, and that is said. Strokes of any seed are known."""
    recorded(monkeypatch, 19)
    x = torch.cat([load_image(PORTRAIT), load_image(PORTRAIT.with_name("007.png"))])
    f = tasks.get("deartifacting", "M")
    y = f.degrade(x[:1]).expand(2, -1, -1, -1)
    good, bad = misfits(embedded, x, y, f, 0)
    assert good.value < 1e-3 and good.warning is None and good.portraits == 19
    assert (good.usual, good.limit) == pytest.approx((0.15, 0.2))
    assert bad.value > 0.2 and "of 19 recorded portraits none had more than 0.200" in bad.warning
    strokes = tasks.get("inpainting", "S", seed=17)
    assert misfits(embedded, x[:1], strokes.degrade(x[:1]), strokes, 0)[0].portraits == 19
    known = torch.ones(1, 1, 128, 128)
    known[..., 40:90, 40:90] = 0
    (hidden,) = misfits(embedded, x[:1], x[:1], Mask(known), 0)  # what stands in the hole does not count
    assert hidden.value < 1e-3
    (unknown,) = misfits(embedded, x[:1], JPEG(33).degrade(x[:1]), JPEG(33), 0)
    assert unknown.limit is None and unknown.warning is None and unknown.portraits == 0


def test_few_recorded_portraits_give_a_usual_misfit_and_no_limit(embedded, monkeypatch):
    """A new portrait of the same kind misfits all of n in one of n + 1 cases: of 18 that is more than one in twenty."""
    recorded(monkeypatch, 18)
    x, other = load_image(PORTRAIT), load_image(PORTRAIT.with_name("007.png"))
    f = tasks.get("deartifacting", "M")
    (found,) = misfits(embedded, other, f.degrade(x), f, 0)
    assert found.value > 0.2 and found.usual == pytest.approx(0.15) and found.limit is None and found.warning is None
    done = {"method": "default", "seed": 3, "steps": [7], "seconds": 1.0, "found": [found]}
    (said,) = record_of(PORTRAIT, f, embedded, **done, unmarked="")["misfit"]
    assert said["usual"] == pytest.approx(0.15) and said["largest"] is None and said["portraits"] == 18


def test_records_that_are_none(tmp_path):
    path = save_image(load_image(PORTRAIT), tmp_path / "x.png")
    with pytest.raises(RecordError, match="no x.json beside"):
        read_record(path)
    for text, expected in (
        ("{}", "expected a record of format 1"),
        ("[]", "cannot be read .holds a list, expected an object"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read .nested too deeply"),
    ):
        records.record_path(path).write_text(text)
        with pytest.raises(RecordError, match=expected):
            read_record(path)
    with pytest.raises(ImageError, match="cannot be read"):
        read_record(tmp_path / "none.png")
