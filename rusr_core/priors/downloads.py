"""One download function: resumable, verified, atomic, and safe when threads or processes want the same file.

Proxies are taken from the environment (http_proxy, https_proxy, no_proxy), TLS certificates are verified, and a
redirection never leaves TLS. RUSR_OFFLINE=1 refuses the network.

The hash of a file for which nobody states one is pinned at its first download. So that nothing but a whole file is ever
pinned, an answer is refused that does not say how long it is, is empty, is a web page, or is another part of the file
than was asked for.
"""

import hashlib
import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rusr_core.errors import RusrError
from rusr_core.files import write_atomic

CHUNK = 2**20
TIMEOUT = 30  # seconds without a byte
Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known


class DownloadError(RusrError):
    """A file that could not be fetched, or is not the file that was expected."""


def offline() -> bool:
    """Whether the environment forbids the network."""
    return os.environ.get("RUSR_OFFLINE", "") not in ("", "0")


def fetch(url: str, path: Path, sha256: str = "", progress: Progress | None = None) -> str:
    """Download `url` to `path` unless it is there already; returns the SHA-256 of the file.

    `sha256` is what the publisher states, or its first digits, as in torch's file names. Without one, the hash of
    the first download is pinned in `<path>.sha256`, and every later call compares with it. A file with another hash
    is refused; after a download nothing of it is left. A partial download stays as `<path>.part` and is continued by
    the next call. Raises DownloadError.
    """
    if path.exists():
        return verify(path, sha256 or _pinned(path))
    if offline():
        raise DownloadError(f"RUSR_OFFLINE is set and {path} is not there: not fetching {url}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            if path.exists():  # another thread or process was faster
                return verify(path, sha256 or _pinned(path))
            return _fetch(url, path, sha256, progress)
    except OSError as error:
        raise DownloadError(f"{path}: cannot be written ({error.strerror or error})") from error


def _fetch(url: str, path: Path, sha256: str, progress: Progress | None) -> str:
    pinned = sha256 or _pinned(path)
    part = path.with_name(path.name + ".part")
    _download(url, part, progress)
    found = file_sha256(part)
    if not found.startswith(pinned.lower()):
        part.unlink()
        by_whom = "" if sha256 else f" as pinned in {_pin_path(path)} at the first download"
        raise DownloadError(f"{url}: SHA-256 is {found}, expected {pinned}{by_whom}; the download was deleted")
    if not sha256:
        write_atomic(_pin_path(path), f"{found}  {path.name}\n".encode())  # in the format of `sha256sum`
    os.replace(part, path)
    return found


def verify(path: Path, sha256: str) -> str:
    """The SHA-256 of a file; DownloadError if another one is expected ('' expects none), or it cannot be read."""
    try:
        found = file_sha256(path)
    except OSError as error:
        raise DownloadError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not found.startswith(sha256.lower()):
        raise DownloadError(f"{path}: SHA-256 is {found}, expected {sha256}: delete the file to fetch it again")
    return found


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pin_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _pinned(path: Path) -> str:
    """The hash of the first download; '' before it. A pin that holds none is an error: it would verify nothing."""
    pin = _pin_path(path)
    if not pin.exists():
        return ""
    found = re.match(r"[0-9a-f]{64}\b", pin.read_text(errors="replace"))
    if found is None:
        raise DownloadError(f"{pin}: holds no SHA-256: delete it, and {path.name} if you do not trust it")
    return found[0]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One thread or process at a time for each file; the others wait. The lock ends with its process."""
    from filelock import FileLock

    with FileLock(path.with_name(path.name + ".lock")):
        yield


class _StayOnTLS(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # noqa: ANN001, ANN201
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise DownloadError(f"{req.full_url} redirects to {newurl}, which is not encrypted: refused")
        if not newurl.startswith(("https:", "http:")):
            raise DownloadError(f"{req.full_url} redirects to {newurl}, expected https://...")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, part: Path, progress: Progress | None) -> None:
    """Append what is missing of `url` to `part`; an interruption leaves what has arrived."""
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url!r} is not an address: expected https://...")
    tag = part.with_name(part.name + ".tag")  # which version of the file the server was sending
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(_StayOnTLS, secure)  # adds the environment's proxies
    try:
        start = part.stat().st_size if part.exists() and tag.exists() else 0
        while not _ask(opener, url, part, tag, start, progress):
            start = 0  # the server cannot continue there: from the beginning
        tag.unlink(missing_ok=True)
    except urllib.error.HTTPError as error:
        reason = " ".join(f"{error.code} {error.reason}".split())
        raise DownloadError(f"{url}: the server answers {reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, DownloadError):
            raise
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise DownloadError(f"{url}: {reason}; run the same command again to continue") from error


def _ask(
    opener: urllib.request.OpenerDirector, url: str, part: Path, tag: Path, start: int, progress: Progress | None
) -> bool:
    """Fetch the file from byte `start`; False if the server answers with something else than its rest."""
    request = urllib.request.Request(url, headers={"User-Agent": "rusr", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", tag.read_text())
    try:
        response = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # there is nothing from there on
            return False
        raise
    with response:
        total = _total(url, response, start)
        if total is None:
            return False
        resumed = response.status == 206
        _keep(tag, response.headers["ETag"] or response.headers["Last-Modified"])
        with open(part, "ab" if resumed else "wb") as file:
            _copy(response, file, start if resumed else 0, total, progress)
    return True


def _total(url: str, response: http.client.HTTPResponse, start: int) -> int | None:
    """Bytes of the whole file, -1 where the transfer marks its own end; None if this is not the rest from `start`."""
    headers = response.headers
    kind, packing = headers.get_content_type(), headers.get("Content-Encoding", "identity")
    if kind == "text/html":
        raise DownloadError(f"{url}: the server answers with a web page, not with the file")
    if packing != "identity":
        raise DownloadError(f"{url}: the server packs the file ({packing}), which was not asked for")
    if response.status == 206:
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", "").strip())
        if start and (span is None or int(span[1]) != start or span[3] == "*"):
            return None
        if span is None or not start:
            raise DownloadError(f"{url}: the server sends a part of the file, which was not asked for")
        return int(span[3])
    if response.status != 200:
        raise DownloadError(f"{url}: the server answers {response.status} {response.reason}")
    length = headers.get("Content-Length", "")
    if length == "0":
        raise DownloadError(f"{url}: the server sends an empty file")
    if length.isdigit():
        return int(length)
    if not response.chunked:  # the end of the connection would be taken for the end of the file
        raise DownloadError(f"{url}: the server does not say how long the file is, so that a cut one could not be told")
    return -1


def _keep(tag: Path, version: str | None) -> None:
    """Note the version a server sends; without one (or a weak one) a download cannot be continued."""
    if version and not version.startswith("W/"):
        tag.write_text(version)
    else:
        tag.unlink(missing_ok=True)


def _copy(source: IO[bytes], file: IO[bytes], done: int, total: int, progress: Progress | None) -> None:
    """Append what arrives; fewer or more bytes than `total` (-1: not known) are an interruption."""
    while chunk := source.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, None if total < 0 else total)
    if total >= 0 and done != total:
        raise http.client.IncompleteRead(b"", total - done)
