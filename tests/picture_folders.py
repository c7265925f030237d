"""Folders of pictures as people have them, for the tests of commands."""

from pathlib import Path

UP = ("--task", "upsampling")


def fill(folder: Path, small: bytes, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(small)
    return folder


def written(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files if path.suffix != ".json")


def raising(error: Exception):
    """A function that fails."""

    def fail(*_args, **_options):
        raise error

    return fail
