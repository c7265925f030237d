"""One download function: resumable, verified, atomic, and safe when two processes want the same file.

Proxies are taken from the environment (http_proxy, https_proxy, no_proxy), TLS certificates are verified, and
a redirection never leaves TLS. RUSR_OFFLINE=1 refuses the network.
"""

import hashlib
import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rusr_core.errors import RusrError

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
    the next call.
    """
    if path.exists():
        return verify(path, sha256 or _pinned(path))
    if offline():
        raise DownloadError(f"RUSR_OFFLINE is set and {path} is not there: not fetching {url}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(path):
        pinned = sha256 or _pinned(path)
        if path.exists():  # another process was faster
            return verify(path, pinned)
        part = path.with_name(path.name + ".part")
        _download(url, part, progress)
        found = file_sha256(part)
        if not found.startswith(pinned):
            part.unlink()
            raise DownloadError(f"{url}: SHA-256 is {found}, expected {pinned}; the download was deleted")
        if not sha256:
            _pin(path, found)
        os.replace(part, path)
        return found


def verify(path: Path, sha256: str) -> str:
    """The SHA-256 of a file; an error if another one is expected ('' expects none)."""
    found = file_sha256(path)
    if not found.startswith(sha256):
        raise DownloadError(f"{path}: SHA-256 is {found}, expected {sha256}: delete the file to fetch it again")
    return found


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pin_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _pinned(path: Path) -> str:
    return _pin_path(path).read_text().split()[0] if _pin_path(path).exists() else ""


def _pin(path: Path, sha256: str) -> None:
    """In the format of `sha256sum`."""
    temporary = _pin_path(path).with_name(f"{path.name}.sha256.{os.getpid()}.tmp")
    temporary.write_text(f"{sha256}  {path.name}\n")
    os.replace(temporary, _pin_path(path))


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One process at a time for each file; the others wait. The lock ends with its process, however that ends."""
    from filelock import FileLock

    with FileLock(path.with_name(path.name + ".lock")):
        yield


class _StayOnTLS(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # noqa: ANN001, ANN201
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise DownloadError(f"{req.full_url} redirects to {newurl}, which is not encrypted: refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, part: Path, progress: Progress | None) -> None:
    """Append what is missing of `url` to `part`; an interruption leaves what has arrived."""
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url!r} is not an address: expected https://...")
    tag = part.with_name(part.name + ".tag")  # which version of the file the server was sending
    start = part.stat().st_size if part.exists() and tag.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "rusr", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", tag.read_text())
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(_StayOnTLS, secure)  # adds the environment's proxies
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            resumed = response.status == 206 and f"bytes {start}-" in response.headers["Content-Range"]
            start = start if resumed else 0  # another version, or a server that cannot resume: from the start
            total = _total(response, start)
            _keep(tag, response.headers["ETag"] or response.headers["Last-Modified"])
            with open(part, "ab" if resumed else "wb") as file:
                _copy(response, file, start, total, progress)
        tag.unlink(missing_ok=True)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing beyond what is there: begin again
            part.unlink()
            return _download(url, part, progress)
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(f"{url}: {reason}; run the same command again to continue") from error


def _keep(tag: Path, version: str | None) -> None:
    """Note the version a server sends; without one (or a weak one) a download cannot be continued."""
    if version and not version.startswith("W/"):
        tag.write_text(version)
    else:
        tag.unlink(missing_ok=True)


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _copy(source: IO[bytes], file: IO[bytes], done: int, total: int | None, progress: Progress | None) -> None:
    while chunk := source.read(CHUNK):
        file.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, total)
    if total is not None and done != total:
        raise http.client.IncompleteRead(b"", total - done)
