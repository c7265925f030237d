"""The files of a sweep's folder: results that carry their record, and `bench.json`, which fixes the configuration.

A result is an ordinary PNG image whose text chunk `rusr` holds its record as JSON: one file, one rename, and PNG's
own checksums tell a damaged file.
"""

import hashlib
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import PngImagePlugin
from torch import Tensor

from rusr_core import files
from rusr_core.images import to_pil
from rusr_core.limits import dotted
from rusr_core.sweeps.claims import StorageError, claim

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEYWORD = b"rusr"
NOT_APPLICABLE = "not_applicable.json"  # which methods cannot do which tasks, and why
FORMAT = 2  # of bench.json


def write_atomic(path: Path, data: bytes) -> None:
    """`files.write_atomic`, the folders included. Raises StorageError (disk full, ...)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, data)
    except (files.FileError, OSError) as error:
        raise StorageError(str(error)) from error


def write_json(path: Path, value: object) -> None:
    """`value` as a JSON file, see `write_atomic`."""
    write_atomic(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def write_result(path: Path, image: Tensor, record: dict) -> None:
    """One image [1, 3, H, W] in [0, 1] as an 8-bit PNG that carries `record`, see `write_atomic`."""
    info = PngImagePlugin.PngInfo()
    info.add_text(KEYWORD.decode(), json.dumps(_plain(record), sort_keys=True, allow_nan=False))
    file = io.BytesIO()
    to_pil(image).save(file, "PNG", pnginfo=info)
    write_atomic(path, file.getvalue())


def read_record(path: str | Path) -> dict | None:
    """The record of a result file, which is read whole and compared with its checksums.

    None if there is no such file, or it is damaged or of another kind.
    """
    try:
        data = files.as_path(path, StorageError).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    record, kind, at = None, b"", len(SIGNATURE)
    if not data.startswith(SIGNATURE):
        return None
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big") != checksum:
            return None
        if kind == b"tEXt" and body.startswith(KEYWORD + b"\0"):
            record = _record(body[len(KEYWORD) + 1 :])
        at += 12 + length
    return record if kind == b"IEND" and at == len(data) else None


def read_head(path: Path) -> dict | None:
    """The record of a result file that is known to be whole (see `stamps`); nothing of the image is read."""
    try:
        with open(path, "rb") as file:
            file.seek(len(SIGNATURE))
            while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
                body = file.read(int.from_bytes(head[:4], "big"))
                if head[4:] == b"tEXt" and body.startswith(KEYWORD + b"\0"):
                    return _record(body[len(KEYWORD) + 1 :])
                file.seek(4, 1)  # its checksum
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    return None


def _plain(record: dict) -> dict:
    """The record with scores as JSON can hold them: the PSNR of equal images, which is infinite, as "inf"."""
    scores = record.get("scores", {}).items()
    told = {key: value if math.isfinite(value) else str(value) for key, value in scores}
    return record | ({"scores": told} if told else {})


def _record(text: bytes) -> dict | None:
    """The record that `_plain` wrote."""
    try:
        record = files.json_object(text)
        scores = {key: float(value) for key, value in record.get("scores", {}).items()}
    except (ValueError, AttributeError, TypeError):
        return None
    return record | ({"scores": scores} if scores else {})


def digest(*parts: bytes) -> str:
    """SHA-256 of the parts."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def agree(folder: Path, wanted: dict, grows: tuple[str, ...], accepted: tuple[str, ...] = ()) -> None:
    """Make `bench.json` of `folder` say `wanted`, or raise StorageError naming what differs from what it says.

    The dictionaries under the names `grows` may gain entries. What is under the names `accepted` may change; the file
    then lists the change under "accepted_changes".
    """
    path = folder / "bench.json"
    wanted = json.loads(json.dumps(wanted))  # as it will be read: lists for tuples
    with claim(folder, "bench.json", wait=True):
        known = _read_manifest(path)
        if known is None:
            if any(not path.name.startswith(".") for path in folder.iterdir()):
                raise StorageError(f"{folder}: is not empty and holds no bench.json; choose a new folder")
            write_json(path, wanted)
            return
        changes = known.pop("accepted_changes", [])
        now = {key: [known.get(key), wanted[key]] for key in accepted if known.get(key) != wanted[key]}
        wrong = list(differences({**known, **{key: wanted[key] for key in now}}, wanted, grows))
        if wrong:
            more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
            raise StorageError(f"{folder}: holds results of another configuration: {'; '.join(wrong[:3])}{more}")
        merged = {key: known[key] | value if key in grows else value for key, value in wanted.items()}
        if now:
            merged["accepted_changes"] = [*changes, now]
        elif changes:
            merged["accepted_changes"] = changes
        if merged != known | ({"accepted_changes": changes} if changes else {}):
            write_json(path, merged)


def note_not_applicable(folder: Path, found: Mapping[tuple[str, str], str]) -> None:
    """Add (method, task) pairs that are "n/a", each with its reason, to those that a folder knows."""
    with claim(folder, NOT_APPLICABLE, wait=True):
        known = not_applicable(folder)
        if not found.items() <= known.items():
            rows = [[*pair, reason] for pair, reason in (known | dict(found)).items()]
            write_json(folder / NOT_APPLICABLE, rows)


def not_applicable(folder: str | Path) -> dict[tuple[str, str], str]:
    """The (method, task) pairs of a folder that are "n/a", with their reasons. Raises StorageError for other text."""
    path = files.as_path(folder, StorageError) / NOT_APPLICABLE
    try:
        rows = files.json_value(path.read_text(encoding="utf-8"))
        return {(method, task): reason for method, task, reason in rows}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error


def manifest(folder: str | Path) -> dict:
    """What `bench.json` of a folder says. Raises StorageError if it is none of ours."""
    known = _read_manifest(files.as_path(folder, StorageError) / "bench.json")
    if known is None:
        raise StorageError(f"{folder}: holds no bench.json, expected the folder of `rusr bench`")
    return known


def _read_manifest(path: Path) -> dict | None:
    try:
        known = files.json_object(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); its results cannot be resumed") from error
    if known.get("format") != FORMAT:
        raise StorageError(f"{path}: of the format {known.get('format')!r}, expected {FORMAT}")
    return known


def differences(known: object, wanted: object, grows: tuple[str, ...] = (), name: str | None = None) -> Iterator[str]:
    """Lines that name what differs; the entries of the dictionaries `grows` need not be in both."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        keys = known.keys() & wanted.keys() if name in grows else known.keys() | wanted.keys()
        for key in sorted(keys):
            inside = dotted(key) if name is None else f"{name}.{dotted(key)}"
            yield from differences(known.get(key), wanted.get(key), grows, inside)
    elif isinstance(known, list) and isinstance(wanted, list) and len(known) == len(wanted):
        for i, (a, b) in enumerate(zip(known, wanted, strict=True)):
            yield from differences(a, b, grows, f"{name}[{i}]")
    elif known != wanted:
        short = [f"{text[:24]}..." if len(text := json.dumps(v)) > 40 else text for v in (known, wanted)]
        yield f"{name} was {short[0]}, is now {short[1]}"
