"""Pack what the book's live pages load into scripts: `python book/live/pack.py FOLDER`, which `make book` calls.

A page opened from a file may load classic scripts and nothing else, so everything is one: the engine as the source of
its worker, the networks as base64 of the 16-bit floats that `data/` holds, the method's settings as the library has
them. Nothing here is committed: all of it is made from the engine's source, `data/` and the library.

    engine.js     the vendored library and the engine, one function from which the page makes a worker
    weights.js    the networks of the embedded prior, and the method: presets, tasks, tables
    wasm.js       the vendored kernels
    portraits.js  held-out portraits to choose from, and the mark of what is saved
    app.js        the page's part, loaded where a page has a live figure; live.css, loader.js: on every page
"""

import base64
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

import rusr_core
from rusr_core import presets, priors, tasks
from rusr_core.degradations import jpeg, jpeg_tables
from rusr_core.degradations.inpainting import Strokes
from rusr_core.errors import RusrError
from rusr_core.figures.painting import plain_script
from rusr_core.files import data_path
from rusr_core.images import TEXT_CHUNK, XMP_CHUNK
from rusr_core.photos.marks import mark_of
from rusr_core.photos.records import FORMAT
from rusr_core.prior import Prior

HERE = Path(__file__).resolve().parent
ENGINE = (
    "random", "weights", "kernels", "operations", "convolutions", "resampling", "generator", "features", "jpeg",
    "strokes", "degradations", "losses", "search", "worker",
)  # fmt: skip
PAGE = (
    "whole", "pictures", "client", "record", "controls", "curve", "stage", "runs", "progress", "source", "settings",
    "prediction", "studio", "walk", "experiments", "app",
)  # fmt: skip
PORTRAITS = ("000", "003", "007", "012", "021", "034", "058", "093")
NETWORKS = {"g": "generator", "a": "features_a"}  # prefix of the tensors, and file
DERIVED = ("resample_filter",)  # what the engine computes from the configuration


class PackError(RusrError):
    """A prior of an architecture that the live engine does not compute."""


def method(prior: Prior) -> dict:
    """What the engine has to know beside the weights, as plain JSON, from the one place that says it in the library.

    PackError if the generator or the feature net are of a kind that the engine does not compute.
    """
    generator, features = prior.generator.config, prior.perceptual.config
    expected = {"architecture": "skip", "c_dim": 0, "conv_clamp": None, "use_noise": True, "img_channels": 3}
    expected |= {"resample_filter": (1, 3, 3, 1)}
    for name, value in expected.items():
        if getattr(generator, name) != value:
            raise PackError(f"a generator with {name} {getattr(generator, name)!r}: the live engine expects {value!r}")
    if prior.identity is not prior.perceptual:
        raise PackError("perception and identity are two networks: the live engine expects net A for both")
    luma, chroma = (table.flatten().tolist() for table in jpeg_tables.tables(50))
    return {
        "generator": dataclasses.asdict(generator),
        "features": dataclasses.asdict(features),
        "resolution": generator.resolution,
        "lr_scale": prior.lr_scale,
        "presets": {name: preset.values() for name, preset in presets.PRESETS.items()},
        "max_stretch": presets.MAX_STRETCH,
        "tasks": tasks.TASKS,
        "levels": tasks.LEVELS,
        "letters": {name: tasks.LETTERS[name] for name in tasks.TASKS},
        "jpeg": {"luma": luma, "chroma": chroma, "rounding": jpeg.ROUNDING},
        "brush": Strokes(1).width,
    }


def mark(prior: Prior) -> dict:
    """What a saved picture carries, so that `rusr show` and others read it: a packet, and where it and a record go."""
    program = f"rusr {rusr_core.__version__}, in a browser"
    packet = mark_of({"program": program}).xmp.decode()
    about = {"format": FORMAT, "program": program, "prior": prior.name}
    return about | {"packet": packet, "text": TEXT_CHUNK, "xmp": XMP_CHUNK}


def packed(folder: Path) -> dict:
    """The tensors of both networks in `folder`: `index` of name -> [first number, shape], and `fp16` in base64.

    PackError for a tensor that is not stored in 16 bit, since it would lose digits, and for NaN and infinity.
    """
    index, parts, at = {}, [], 0
    for prefix, name in NETWORKS.items():
        with safe_open(str(folder / f"{name}.safetensors"), "np") as file:
            for key in sorted(file.keys()):
                if key.endswith(DERIVED):
                    continue
                values = file.get_tensor(key)
                if values.dtype != np.float16:
                    raise PackError(f"{name}: {key} is {values.dtype}, expected float16")
                if not np.isfinite(values).all():
                    raise PackError(f"{name}: {key} holds NaN or infinity, expected numbers")
                index[f"{prefix}.{key}"] = [at, list(values.shape)]
                parts.append(values.tobytes())
                at += values.size
    return {"index": index, "fp16": base64.b64encode(b"".join(parts)).decode()}


def data_url(kind: str, file: Path) -> str:
    """The file as a data URL."""
    return f"data:{kind};base64," + base64.b64encode(file.read_bytes()).decode()


def engine() -> str:
    """The vendored library and the engine's modules as the source of one function."""
    sources = [HERE / "vendor/tf.js", *(HERE / f"engine/{name}.js" for name in ENGINE)]
    text = [source.read_text(encoding="utf-8") for source in sources]
    begin = ["globalThis.RUSR_ENGINE = function () {", '"use strict";', text[0], "const Live = { tf };"]
    return "\n".join([*begin, *text[1:], "self.onmessage = Live.worker.answer;", "return Live;", "};"])


def brush() -> str:
    """The brush of the library's widget as a module of the page."""
    found = "{ create: (...given) => new Brush(...given), tools }"
    return f"Page.brush = (() => {{\n{plain_script()}\nreturn {found};\n}})();"


def page() -> str:
    """The page's modules as one script."""
    text = [(HERE / f"page/{name}.js").read_text(encoding="utf-8") for name in PAGE]
    return "\n".join(["(function () {", '"use strict";', "const Page = {};", brush(), *text, "})();"])


def assign(name: str, value: object) -> str:
    """A script that sets a global."""
    return f"globalThis.{name} = {json.dumps(value, separators=(',', ':'))};\n"


def pack(folder: Path) -> None:
    """Write all scripts into `folder`, which is made."""
    prior = priors.load_prior(priors.EMBEDDED)
    folder.mkdir(parents=True, exist_ok=True)
    portraits = {n: data_url("image/png", data_path(f"portraits/test/{n}.png")) for n in PORTRAITS}
    about = method(prior)
    scripts = {
        "engine.js": engine(),
        "weights.js": assign("RUSR_WEIGHTS", {"method": about, **packed(data_path("portraits"))}),
        "wasm.js": assign("RUSR_WASM", data_url("application/wasm", HERE / "vendor/tfjs-backend-wasm-simd.wasm")),
        "portraits.js": assign("RUSR_PORTRAITS", {"portraits": portraits, "method": about, "mark": mark(prior)}),
        "app.js": page(),
        "loader.js": (HERE / "page/loader.js").read_text(encoding="utf-8"),
        "live.css": (HERE / "page/live.css").read_text(encoding="utf-8"),
    }
    for name, text in scripts.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
