"""A file appears complete or not at all, whoever else writes it; what cannot be written is known before the work."""

import os
import stat
import threading
from pathlib import Path

import pytest
import torch

from rusr_core import files
from rusr_core.files import FileError, FileExistsAlreadyError, check_writable, write_atomic
from rusr_core.images import save_image
from rusr_core.sweeps import storage

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0  # permissions do not bind root


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path):
    path = write_atomic(tmp_path / "a", b"first")
    assert path.read_bytes() == b"first"
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second" and names(tmp_path) == ["a"]
    with pytest.raises(FileExistsAlreadyError, match="a: exists already"):
        write_atomic(path, b"third", overwrite=False)
    assert path.read_bytes() == b"second" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_system_without_hard_links(tmp_path, monkeypatch, overwrite):
    def no_links(*_args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert write_atomic(tmp_path / "a", b"1", overwrite=overwrite).read_bytes() == b"1"
    if not overwrite:
        with pytest.raises(FileExistsAlreadyError):
            write_atomic(tmp_path / "a", b"2", overwrite=False)
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"1"


def test_threads_that_write_one_file_leave_one_whole_file(tmp_path):
    contents = [bytes([65 + i]) * 300_000 for i in range(8)]
    errors = []

    def write(data: bytes) -> None:
        try:
            for _ in range(5):
                write_atomic(tmp_path / "a", data)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and (tmp_path / "a").read_bytes() in contents and names(tmp_path) == ["a"]


def test_only_one_of_many_writes_a_file_that_may_not_be_overwritten(tmp_path):
    written, refused = [], []

    def write(data: bytes) -> None:
        try:
            written.append(write_atomic(tmp_path / "a", data, overwrite=False) and data)
        except FileExistsAlreadyError:
            refused.append(data)

    threads = [threading.Thread(target=write, args=(bytes([i]),)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1 and len(refused) == 11 and (tmp_path / "a").read_bytes() == written[0]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_umask_is_honoured_and_never_set(tmp_path, monkeypatch, mask):
    old = os.umask(mask)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _mask: pytest.fail("another thread would see this umask"))
            path = write_atomic(tmp_path / "a", b"")
            picture = save_image(torch.zeros(3, 2, 2), tmp_path / "a.png")
        assert [stat.S_IMODE(p.stat().st_mode) for p in (path, picture)] == [0o666 & ~mask] * 2
    finally:
        os.umask(old)


def test_a_file_keeps_its_permissions_and_a_link_its_target(tmp_path):
    (tmp_path / "a").write_bytes(b"private")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to("a")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


@pytest.mark.parametrize("letter", ["x", "é", "字"])
def test_the_longest_names(tmp_path, letter):
    size = len(letter.encode())
    longest = letter * (251 // size) + "x" * (251 % size) + ".png"
    assert len(longest.encode()) == 255
    check_writable(tmp_path / longest)
    save_image(torch.zeros(3, 2, 2), tmp_path / longest)
    assert names(tmp_path) == [longest]
    for new_folders in (False, True):
        with pytest.raises(FileError, match="too long"):
            check_writable(tmp_path / f"x{longest}", new_folders=new_folders)
    with pytest.raises(FileError, match="too long"):
        check_writable(tmp_path / f"x{longest}" / "a", new_folders=True)
    with pytest.raises(FileError, match="too long"):
        write_atomic(tmp_path / f"x{longest}", b"")


def test_bad_places_are_known_before_the_work(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path, force, words in (
        ("no/a", False, "no does not exist"),
        ("folder", True, "folder: is a folder"),
        ("file", False, "file: exists already"),
        ("file/a", False, "file is not a folder"),
        ("file/b/a", False, "file is not a folder"),
        ("pipe", True, "pipe: is not an ordinary file"),
        ("a\0b", False, "cannot be written"),
    ):
        with pytest.raises(FileError, match=words) as error:
            check_writable(tmp_path / "good", tmp_path / path, force=force)
        assert "\n" not in str(error.value)
    check_writable(tmp_path / "no/deeper/a", new_folders=True)
    check_writable(tmp_path / "file", force=True)
    assert names(tmp_path) == ["file", "folder", "pipe"] and names(tmp_path / "folder") == []


def test_permission_is_found_by_trying(tmp_path, monkeypatch):
    """Root and read-only disks: `os.access` would say yes. The error names the file and not a temporary one."""

    def refused(path, flags, mode=0o777):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(files.os, "open", refused)
    for path, new in ((tmp_path / "x.png", False), (tmp_path / "new/x.png", True)):
        with pytest.raises(FileError, match=r"x.png: cannot be written \(Read-only file system\)$"):
            check_writable(path, new_folders=new)


@pytest.mark.skipif(ROOT, reason="permissions do not bind root")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(FileError, match=r"x.png: cannot be written \(Permission denied\)"):
            check_writable(tmp_path / "x.png")
    finally:
        tmp_path.chmod(0o755)


def test_a_failed_write_leaves_the_old_file_and_names_the_real_one(tmp_path, monkeypatch):
    write_atomic(tmp_path / "a", b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(FileError, match=r"/a: cannot be written \(No space left on device\)$"):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]
    with pytest.raises(storage.StorageError, match="No space left"):
        storage.write_atomic(tmp_path / "sub/b", b"new")
    assert names(tmp_path / "sub") == []


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def ctrl_c(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("existed", [False, True])
def test_a_folder_appears_whole_or_not_at_all(tmp_path, monkeypatch, existed):
    """What cannot be written is named as a reader knows it, and not by the folder that was being filled."""
    folder = tmp_path / "kept"
    if existed:
        folder.mkdir()
        (folder / "a").write_bytes(b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    def fill(write) -> None:
        with files.whole_folder(folder) as made:
            write(made)

    def without_a_name(_made):
        full(0)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(FileError, match=rf"^{folder}/b: cannot be written \(No space left on device\)$"):
            fill(lambda made: write_atomic(made / "b", b"new"))
    with pytest.raises(FileError, match=rf"^{folder}/no/b: cannot be written \(No such file or directory\)$"):
        fill(lambda made: (made / "no/b").write_bytes(b"new"))
    with pytest.raises(FileError, match=rf"^{folder}: cannot be written \(No space left on device\)$"):
        fill(without_a_name)
    with pytest.raises(FileNotFoundError, match="absent"):
        fill(lambda made: (tmp_path / "absent").read_bytes())
    assert names(tmp_path) == ["kept"] * existed and (not existed or (folder / "a").read_bytes() == b"old")
    fill(lambda made: write_atomic(made / "b", b"new"))
    assert names(tmp_path) == ["kept"] and names(folder) == ["b"]
