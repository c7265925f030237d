"""Downloads from a server on this machine: whole, verified, continued, and what is refused."""

import shutil
import ssl
import subprocess
import threading
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from download_server import CONTENT, SHA, Server
from sweep_world import SPAWNER

from rusr_core.priors import downloads
from rusr_core.priors.downloads import DownloadError, fetch

ROOT = Path(__file__).resolve().parents[2]


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.suffix != ".lock"}


def test_fetch_verifies_and_reports_progress(server, tmp_path):
    seen = []
    path = tmp_path / "a" / "weights.bin"
    assert fetch(server.url, path, SHA, lambda done, total: seen.append((done, total))) == SHA
    assert path.read_bytes() == CONTENT and names(path.parent) == {"weights.bin"}
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) > 2
    assert fetch(server.url, path, SHA) == SHA and len(server.requests) == 1  # not fetched again
    assert fetch(server.url, path, SHA[:8]) == SHA
    with pytest.raises(DownloadError, match="expected 00000000"):
        fetch(server.url, path, "0" * 8)


def test_an_interrupted_download_resumes(server, tmp_path):
    path = tmp_path / "weights.bin"
    server.cut = 2_000_000
    with pytest.raises(DownloadError, match="run the same command again"):
        fetch(server.url, path, SHA)
    assert not path.exists() and (tmp_path / "weights.bin.part").stat().st_size == 2_000_000
    server.cut = None
    assert fetch(server.url, path, SHA) == SHA
    assert [span for _, span in server.requests] == ["", "bytes=2000000-"]
    assert path.read_bytes() == CONTENT and names(tmp_path) == {"weights.bin"}


def test_a_file_that_changed_meanwhile_starts_again(server, tmp_path):
    path = tmp_path / "weights.bin"
    server.cut = 1_000_000
    with pytest.raises(DownloadError):
        fetch(server.url, path)
    server.cut, server.version, server.content = None, '"2"', CONTENT[::-1]
    fetch(server.url, path)
    assert path.read_bytes() == CONTENT[::-1]


def test_without_a_version_the_download_starts_again(server, tmp_path):
    server.cut, server.version = 1_000_000, ""
    with pytest.raises(DownloadError):
        fetch(server.url, tmp_path / "weights.bin")
    server.cut = None
    fetch(server.url, tmp_path / "weights.bin")
    assert [span for _, span in server.requests] == ["", ""]


@pytest.mark.parametrize("span", [None, "bytes 0-4/5", "bytes 7-9/*", "pages 1-2/3", ""])
def test_a_part_that_was_not_asked_for_is_not_appended(server, tmp_path, span):
    """A 206 without a range, or with another one than asked for: the download starts again, and is whole."""
    path = tmp_path / "weights.bin"
    server.cut = 1_000_000
    with pytest.raises(DownloadError):
        fetch(server.url, path)
    server.cut, server.headers = None, {"Content-Range": span}
    assert fetch(server.url, path) == SHA and path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["", "bytes=1000000-", ""]


def test_a_range_that_is_shorter_than_asked_for_is_no_whole_file(server, tmp_path):
    """Servers may send less than the rest: it is not pinned as the file, and the next call goes on."""
    path = tmp_path / "weights.bin"
    server.cut = 1_000_000
    with pytest.raises(DownloadError):
        fetch(server.url, path)
    server.cut, server.length = None, 2_500_000
    with pytest.raises(DownloadError, match="run the same command again"):
        fetch(server.url, path)
    assert not path.exists() and not (tmp_path / "weights.bin.sha256").exists()
    assert fetch(server.url, path) == SHA
    assert [asked for _, asked in server.requests] == ["", "bytes=1000000-", "bytes=3500000-"]


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (200, {"Content-Length": None}, "does not say how long the file is"),
        (200, {"Content-Length": "0"}, "an empty file"),
        (200, {"Content-Type": "text/html; charset=utf-8"}, "a web page"),
        (200, {"Content-Encoding": "gzip"}, "packs the file"),
        (206, {}, "a part of the file, which was not asked for"),
        (206, {"Content-Range": "bytes 5-9/10"}, "a part of the file, which was not asked for"),
        (204, {}, "answers 204"),
    ],
)
def test_what_is_no_whole_file_is_never_pinned(server, tmp_path, status, headers, message):
    server.status, server.headers = status, headers
    with pytest.raises(DownloadError, match=message) as caught:
        fetch(server.url, tmp_path / "weights.bin")
    assert "\n" not in str(caught.value) and names(tmp_path) == set()


def test_redirections_stay_where_files_are(server, tmp_path):
    for location, message in (("ftp://example.invalid/x", "expected https"), (server.url, "answers 302")):
        server.location = location
        with pytest.raises(DownloadError, match=message) as caught:
            fetch(server.url, tmp_path / "weights.bin")
        assert "\n" not in str(caught.value)
    assert names(tmp_path) == set()


def test_threads_end_with_one_good_file(server, tmp_path):
    server.delay, found = 0.2, []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(server.url, tmp_path / "weights.bin"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [SHA] * 4 and len(server.requests) == 1
    assert names(tmp_path) == {"weights.bin", "weights.bin.sha256"}


def test_places_that_cannot_be_used_are_one_line(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(server.url, tmp_path / "file" / "weights.bin")
    (tmp_path / "folder.bin").mkdir()
    with pytest.raises(DownloadError, match="cannot be read"):
        fetch(server.url, tmp_path / "folder.bin")
    (tmp_path / "weights.bin.sha256").write_text("")
    with pytest.raises(DownloadError, match="holds no SHA-256"):
        fetch(server.url, tmp_path / "weights.bin")
    assert server.requests == []


def test_a_published_hash_may_be_in_capitals(server, tmp_path):
    assert fetch(server.url, tmp_path / "weights.bin", SHA.upper()) == SHA
    assert fetch(server.url, tmp_path / "weights.bin", SHA.upper()) == SHA


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DownloadError, match=f"SHA-256 is {SHA}, expected {'0' * 64}"):
        fetch(server.url, tmp_path / "weights.bin", "0" * 64)
    assert names(tmp_path) == set()


def test_the_first_hash_is_pinned(server, tmp_path):
    path = tmp_path / "weights.bin"
    assert fetch(server.url, path) == SHA
    assert (tmp_path / "weights.bin.sha256").read_text() == f"{SHA}  weights.bin\n"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match="delete the file"):
        fetch(server.url, path)
    path.unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match="expected"):
        fetch(server.url, path)
    assert not path.exists()


def test_offline_refuses_the_network_and_uses_the_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RUSR_OFFLINE", "1")
    with pytest.raises(DownloadError, match="RUSR_OFFLINE"):
        fetch(server.url, tmp_path / "weights.bin", SHA)
    assert server.requests == [] and not list(tmp_path.iterdir())
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    assert fetch(server.url, tmp_path / "weights.bin", SHA) == SHA
    monkeypatch.setenv("RUSR_OFFLINE", "0")
    assert not downloads.offline()


@pytest.mark.slow
def test_two_processes_end_with_one_good_file(server, tmp_path):
    server.delay = 2.0  # both ask while the first is being served
    with ProcessPoolExecutor(2, SPAWNER) as pool:
        running = [pool.submit(fetch, server.url, tmp_path / "weights.bin", SHA) for _ in range(2)]
        assert [one.result(120) for one in running] == [SHA, SHA]
    assert (tmp_path / "weights.bin").read_bytes() == CONTENT and names(tmp_path) == {"weights.bin"}
    assert len(server.requests) == 1


def test_errors_of_the_server_are_one_line(server, tmp_path):
    server.status = 404
    with pytest.raises(DownloadError, match="answers 404"):
        fetch(server.url, tmp_path / "weights.bin")
    with pytest.raises(DownloadError, match="not an address"):
        fetch("file:///etc/hostname", tmp_path / "weights.bin")
    with pytest.raises(DownloadError, match="refused"):
        fetch("http://127.0.0.1:1/weights.bin", tmp_path / "weights.bin")
    assert names(tmp_path) == set()


def test_proxies_are_honoured(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetch("http://weights.invalid/file.bin", tmp_path / "file.bin", SHA) == SHA
    assert server.requests[0][0] == "http://weights.invalid/file.bin"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the test's certificate")
def test_tls_is_verified_and_not_left(server, tmp_path, monkeypatch):
    """A certificate nobody vouches for is refused; so is a redirection from https to http."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    command += " -addext subjectAltName=IP:127.0.0.1"
    command += f" -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    secure = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, args=(0.02,), daemon=True).start()
    url = secure.url.replace("http:", "https:")
    with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(url, tmp_path / "weights.bin", SHA)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(url, tmp_path / "weights.bin", SHA) == SHA
    secure.location = server.url
    with pytest.raises(DownloadError, match="not encrypted"):
        fetch(url, tmp_path / "other.bin", SHA)
    secure.shutdown()
    secure.server_close()
