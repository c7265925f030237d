"""Check the shipped weights and test portraits against SHA256SUMS.

python -m tools.portraits.check            exit status 1 and a list if anything differs
python -m tools.portraits.check --write    after new weights were put in on purpose
"""

import argparse
import hashlib
from pathlib import Path

from tools.portraits import DATA

SUMS = DATA / "SHA256SUMS"
SIZE_LIMITS = {"generator.safetensors": 8_000_000, "*.safetensors": 15_000_000}  # bytes, one file and all together


def shipped() -> list[Path]:
    """Every file that SHA256SUMS covers."""
    return sorted([*DATA.glob("*.safetensors"), *DATA.glob("test/*.png"), DATA / "test" / "index.csv"])


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def problems() -> list[str]:
    """What differs from SHA256SUMS or breaks a size limit; empty if all is well."""
    expected = dict(reversed(line.split("  ", 1)) for line in SUMS.read_text().splitlines())
    found = {path.relative_to(DATA).as_posix(): path for path in shipped()}
    out = [f"{name}: missing" for name in expected.keys() - found.keys()]
    out += [f"{name}: not listed in SHA256SUMS" for name in found.keys() - expected.keys()]
    both = expected.keys() & found.keys()
    out += [f"{name}: checksum differs" for name in sorted(both) if digest(found[name]) != expected[name]]
    for pattern, limit in SIZE_LIMITS.items():
        size = sum(path.stat().st_size for path in DATA.glob(pattern))
        if size > limit:
            out.append(f"{pattern}: {size} bytes, at most {limit} allowed")
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write SHA256SUMS instead of checking")
    if parser.parse_args().write:
        lines = (f"{digest(path)}  {path.relative_to(DATA).as_posix()}" for path in shipped())
        SUMS.write_text("\n".join(lines) + "\n")
    found = problems()
    print("\n".join(found) or f"{len(shipped())} files as they should be")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
