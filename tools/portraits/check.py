"""Check the shipped weights and test portraits against SHA256SUMS.

python -m tools.portraits.check            exit status 1 and a list if anything differs
python -m tools.portraits.check --write    after new weights were put in on purpose
"""

import argparse
import hashlib
import sys
from pathlib import Path

from rusr_core.commands.ending import ended
from rusr_core.errors import RusrError
from rusr_core.files import write_atomic
from tools.portraits import DATA

SUMS = DATA / "SHA256SUMS"
SIZE_LIMITS = {  # bytes, one file and all together
    "generator.safetensors": 8_000_000,
    "denoiser.safetensors": 8_000_000,
    "*.safetensors": 20_000_000,
}


class SumsError(RusrError):
    """SHA256SUMS is missing, or holds something else."""


def shipped() -> list[Path]:
    """Every file that SHA256SUMS covers."""
    return sorted([*DATA.glob("*.safetensors"), *DATA.glob("test/*.png"), DATA / "test" / "index.csv"])


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listed() -> dict[str, str]:
    """The digest of each file, as SHA256SUMS has it. SumsError for anything else."""
    try:
        lines = SUMS.read_text(encoding="utf-8").splitlines()
        return {name: known for known, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise SumsError(f"{SUMS}: cannot be read ({error}); expected lines of a digest and a name") from error


def problems() -> list[str]:
    """What differs from SHA256SUMS or breaks a size limit; empty if all is well."""
    expected = listed()
    found = {path.relative_to(DATA).as_posix(): path for path in shipped()}
    out = [f"{name}: missing" for name in sorted(expected.keys() - found.keys())]
    out += [f"{name}: not listed in SHA256SUMS" for name in sorted(found.keys() - expected.keys())]
    both = expected.keys() & found.keys()
    out += [f"{name}: checksum differs" for name in sorted(both) if digest(found[name]) != expected[name]]
    for pattern, limit in SIZE_LIMITS.items():
        size = sum(path.stat().st_size for path in DATA.glob(pattern))
        if size > limit:
            out.append(f"{pattern}: {size} bytes, at most {limit} allowed")
    return out


def main() -> int:
    """Command line; -> the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write SHA256SUMS instead of checking")
    if parser.parse_args().write:
        lines = (f"{digest(path)}  {path.relative_to(DATA).as_posix()}" for path in shipped())
        write_atomic(SUMS, ("\n".join(lines) + "\n").encode())
    found = problems()
    print("\n".join(found) or f"{len(shipped())} files as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(ended(main))
