"""Colour profiles made by hand, and the colours that a picture with one of them must show in sRGB."""

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])


# Primaries (x, y) of red, green, blue; white is D65. IEC 61966-2-1, SMPTE EG 432-1, Adobe RGB (1998)
PRIMARIES = {
    "sRGB": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "P3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "Adobe": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
}


BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_xyz(primaries) -> np.ndarray:
    """The matrix from linear RGB to XYZ relative to D65."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def adapted(matrix: np.ndarray) -> np.ndarray:
    """From D65 to D50, as profiles have it."""
    source, target = BRADFORD @ matrix.sum(1), BRADFORD @ D50
    return np.linalg.inv(BRADFORD) @ np.diag(target / source) @ BRADFORD @ matrix


def fixed(values) -> bytes:
    return b"".join(struct.pack(">i", round(float(v) * 65536)) for v in values)


def icc(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """An ICC profile, version 2.4 (ICC.1:2001-04), of these tags."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)} | tags
    tags |= {b"cprt": b"text" + bytes(4) + b"x\0", b"wtpt": b"XYZ " + bytes(4) + fixed(D50)}
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"test", 0x02400000, kind, space, connection)
    head += bytes(12) + b"acsp" + bytes(28) + fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def rgb_profile(name: str, power: float = 2.2) -> bytes:
    columns = adapted(to_xyz(PRIMARIES[name])).T
    tags = {letter + b"XYZ": b"XYZ " + bytes(4) + fixed(columns[i]) for i, letter in enumerate((b"r", b"g", b"b"))}
    return icc(b"RGB ", b"XYZ ", tags | {key: gamma(power) for key in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(power: float) -> bytes:
    return icc(b"GRAY", b"XYZ ", {b"kTRC": gamma(power)})


def cmyk_profile() -> bytes:
    """Lightness falls with each ink, and cyan is bluish: a table of 2 points an ink to L*a*b* (lut8Type)."""
    inks = np.array(np.meshgrid(*[[0, 1]] * 4, indexing="ij")).reshape(4, -1).T  # C is the slowest
    lightness = np.clip(1 - inks @ [0.3, 0.3, 0.1, 0.9], 0, 1)
    lab = np.stack([255 * lightness, 128 - 30 * inks[:, 0], 128 - 30 * inks[:, 0]], 1).round().astype(np.uint8)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(np.eye(3).ravel())
    ramp = bytes(range(256))
    return icc(b"CMYK", b"Lab ", {b"A2B0": table + 4 * ramp + lab.tobytes() + 3 * ramp}, b"prtr")


def srgb_curve(linear: np.ndarray) -> np.ndarray:
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def in_srgb(colour, name: str, power: float = 2.2) -> np.ndarray:
    """The colour of a space of `PRIMARIES` in sRGB, in [0, 1], by the matrices alone."""
    linear = (np.array(colour) / 255) ** power
    return srgb_curve(np.linalg.solve(to_xyz(PRIMARIES["sRGB"]), to_xyz(PRIMARIES[name]) @ linear))
