"""Generators from files, told apart by their content. A checkpoint is data: nothing in it is imported or executed.

| content | written by | what is read |
|---|---|---|
| safetensors | `save_generator` | configuration and SHA-256 in the header, tensors |
| pickle, also dill's | NVIDIA stylegan2-ada-pytorch and stylegan3, StyleGAN-XL | `G_ema` or `G`, as data |
| torch.save, zip or stream | rosinality, StyleGAN-NADA, pSp, e4e, PTI, state dicts, whole modules | its generator |

In the last two the generator is found by the names of its tensors, in whatever containers and behind whatever prefix
they lie (`tensors.survey`); what else lies there is not looked at.
"""

import re
from pathlib import Path

from torch import Tensor

from rusr_core.checkpoints import nvidia, rosinality, stylegan3
from rusr_core.checkpoints.families import build, config_of, header
from rusr_core.checkpoints.safetensors import halved, is_safetensors, read_tensors, write_tensors
from rusr_core.checkpoints.source import CheckpointError, map_file, reading
from rusr_core.checkpoints.tensors import Survey, prefixes, require_floats, survey, under
from rusr_core.checkpoints.torch_files import read_torch
from rusr_core.generator import StyleGenerator

FORMAT = "rusr-generator"
KINDS = (nvidia, stylegan3, rosinality)  # each with the MARKS and ROOTS of its tensors' names
TENSORFLOW = (
    "a TensorFlow pickle of StyleGAN1 or StyleGAN2: convert StyleGAN2 with legacy.py of "
    "NVlabs/stylegan2-ada-pytorch, then load the result; StyleGAN1 is not supported"
)
STYLEGAN1 = "a StyleGAN1 network: it modulates by AdaIN, not by convolution weights; use a StyleGAN2 checkpoint"
RESTORERS = {r"stylegan_decoder\.": "GFPGAN", r"fuse_convs_dict\.": "CodeFormer"}  # by names that only they have
AVERAGED = re.compile(r"(^|[^a-z])ema|ema([^a-z]|$)|g_running", re.IGNORECASE)  # of moving averages, by their authors


def save_generator(
    G: StyleGenerator, path: str | Path, extra: dict[str, str] | None = None, *, half: bool = False
) -> None:
    """Write a generator as safetensors, its configuration in the header; `half`: float16, half the size, rounded.

    `extra` is text for the header, such as {"w_std": "12.0"}. An existing file is replaced at the end, whole.
    CheckpointError for weights that float16 cannot hold.
    """
    state = {name: t.float() for name, t in G.state_dict().items()}
    state = halved(state) if half else state
    write_tensors(state, path, {**(extra or {}), "format": FORMAT, **header(G)})


def load_generator(path: str | Path, network: str = "G_ema") -> StyleGenerator:
    """Read a generator: float32, on the CPU, frozen, in eval mode. CheckpointError says what is wrong with the file.

    `network`: "G_ema" takes the moving average of the weights where the file holds several generators, "G" the
    instantaneous weights; a file with one generator that is not called an average gives that one in both cases. A
    file without mean latent (StyleGAN-NADA, rosinality's training) gets the mean of 10,000 mapped samples, seed 0.
    A conditional generator is read with all its classes: its mean latent is the mean over them, `sample_w` draws a
    class for each sample, `G.choose` takes one, and `G.mapping.to_w(z, c)` takes the class as a one-hot `c`.
    """
    if network not in ("G_ema", "G"):
        raise CheckpointError(f"network {network!r}: expected 'G_ema' or 'G'")
    data = map_file(path)
    if is_safetensors(data):
        state, metadata = read_tensors(path)
        with reading(path):
            return _from_safetensors(state, metadata)
    with reading(path, lambda: _relative(data)):
        return _from_torch(data, network)


def _from_torch(data: memoryview, network: str) -> StyleGenerator:
    start = bytes(data[:512])
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"):
        return _pick(survey(read_torch(data)), network, len(data))
    if start.lstrip()[:1] == b"<":
        raise CheckpointError("a web page, not a checkpoint: the download was refused or needs a confirmation")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError("a Git LFS pointer, not the file itself: run `git lfs pull`")
    raise CheckpointError(f"begins with {start[:8]!r}, expected an NVIDIA pickle, a torch.save file or safetensors")


def _relative(data: memoryview) -> str:
    """Why a refused pickle cannot be read, if it is a known relative; marks of their authors' class names."""
    if bytes(data[:1]) not in (b"\x80", b"P"):
        return ""
    mapped = data.obj
    if mapped.find(b"dnnlib.tflib") >= 0:
        return TENSORFLOW if mapped.find(b"G_style") < 0 else f"{STYLEGAN1} (TensorFlow pickle)"
    return ""


def _pick(found: Survey, network: str, size: int) -> StyleGenerator:
    """The generator that was asked for, of those that a file of `size` bytes holds."""
    kinds = {prefix: kind for kind in KINDS for prefix in prefixes(found, kind.MARKS)}
    if not kinds:
        _refuse_relatives(found)
        raise CheckpointError(_nothing_found(found))
    prefix = _choose(list(kinds), network)
    kind = kinds[prefix]
    state = under(found, prefix, kind.MARKS, kind.ROOTS)
    if kind is not rosinality:
        inside = {n.removeprefix(prefix): a for n, a in found.attributes.items() if n.startswith(prefix)}
        return build(*kind.configured(state, inside, size))
    state.pop("latent_avg", None)
    places = [prefix[: i + 1] for i in range(len(prefix) - 1, -1, -1) if prefix[i] == "."]  # from the inside outwards
    means = (found.tensors.get(f"{place}latent_avg") for place in (*places, ""))
    return build(*rosinality.rosinality(state, next((t for t in means if t is not None), None), size))


def _choose(places: list[str], network: str) -> str:
    """The prefix of the generator that was asked for."""
    averaged = [p for p in places if AVERAGED.search(p)]
    raw = [p for p in places if p not in averaged]
    wanted = raw if network == "G" else averaged or raw
    names = ", ".join(repr(p.rstrip(".")[:40]) for p in places)
    if not wanted:
        raise CheckpointError(f"no instantaneous weights ('G') in it, only the averages {names}")
    exact = [p for p in wanted if re.search(r"(^|\.)g(_ema)?\.(module\.)?$", p, re.IGNORECASE)]
    if len(wanted) > 1 and len(exact) != 1:
        raise CheckpointError(f"several generators in it, {names}: expected one, or one called {network!r}")
    return exact[0] if len(wanted) > 1 else wanted[0]


def _refuse_relatives(found: Survey) -> None:
    """One line for what looks like StyleGAN2 and is not."""
    names = found.tensors

    def any_name(pattern: str) -> bool:
        return any(re.search(rf"(^|\.)({pattern})", name) for name in names)

    if any_name(r"progression\.|(g_)?synthesis\.blocks\.4x4\."):
        raise CheckpointError(STYLEGAN1)
    for pattern, name in RESTORERS.items():
        if any_name(pattern):
            raise CheckpointError(f"a network of {name}: it restores by itself and is no prior; expected a StyleGAN")


def _nothing_found(found: Survey) -> str:
    kinds = {key: f" (a {record.name[:40]!r})" for key, record in found.others.items()}
    keys = ", ".join(f"{key[:20]!r}{kinds.get(key, '')}" for key in found.keys[:6])
    keys += ", ..." if len(found.keys) > 6 else ""
    tensors = ", ".join(repr(name[:40]) for name in list(found.tensors)[:2])
    held = f"its entries are {keys}" if keys else "it is no container, or an empty one"
    held += f", its tensors {tensors}, ..." if tensors else ""
    return (
        f"no StyleGAN generator: {held}; at any depth, looked for {nvidia.MARKS[1]} (StyleGAN2), {stylegan3.MARKS[1]} "
        f"(StyleGAN3, -XL) or {' and '.join(rosinality.MARKS[:2])} (rosinality)"
    )


def _from_safetensors(state: dict[str, Tensor], metadata: dict[str, str]) -> StyleGenerator:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"safetensors of format {metadata.get('format')!r}, expected {FORMAT!r}")
    config = config_of(metadata)
    if "mapping.w_avg" not in state:
        raise CheckpointError("the tensor 'mapping.w_avg' is missing")
    for name, t in state.items():
        require_floats(name, t.dtype)
    return build(config, state)
