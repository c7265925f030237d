"""Files as people have them and as they should not be: what the live page is given in its tests."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from rusr_core.files import data_path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
OUTSIDE = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """The image as a file's content."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def header(width: int, height: int) -> bytes:
    """A PNG file of a size that holds no pixel."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return SIGNATURE + ihdr + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def turned() -> bytes:
    """A JPEG file whose pixel 64, 64 is white if it is turned a quarter to the right, as its orientation says."""
    image, exif = Image.new("L", (128, 128)), Image.Exif()
    image.paste(255, (64, 0, 128, 64))
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif)


def no_pictures() -> Iterator[tuple[str, bytes, str]]:
    """Name, content, and words of the page's complaint."""
    png = data_path("portraits/test/000.png").read_bytes()
    portrait = Image.open(io.BytesIO(png)).convert("RGB")
    jpeg, late = encoded(portrait, "JPEG"), encoded(portrait, "JPEG", progressive=True)
    unreadable, ends = "is no picture that this browser can read", "ends too early"
    contents = {"empty.png": b"", "text.png": b"not a picture", "page.html": b"<!doctype html><p>", "a.pdf": b"%PDF-1"}
    contents |= {
        "archive.png": b"PK\x03\x04" + bytes(99),
        "program.exe": b"MZ" + bytes(99),
        "video.mp4": b"\0\0 ftypisom",
    }
    contents |= {"data.json": b'{"a": 1}', "zeros.png": bytes(10**6), "text.jpg": "ein Text".encode("utf-16")}
    contents |= {"noise.png": bytes(range(7, 256)) * 400, "broken.svg": b"<svg", "icon.ico": b"\0\0\1\0\1\0"}
    contents |= {"bare.jpg": b"\xff\xd8\xff\xd9", "scan.tif": encoded(portrait, "TIFF")}
    contents |= {"noname": b"?", ".png": b"hidden", "grüße 😀.png": b"?", "n" * 200 + ".png": b"?"}
    contents |= {"<img src=x onerror=alert(1)>.png": b"?", "'; drop table.png": b"?", "flat.png": header(0, 9)}
    contents |= {"swapped.png": png[:16] + png[20:24] + png[16:20] + b"\0" + png[25:]}
    yield from ((name, content, unreadable) for name, content in contents.items())
    early = {"half.png": png[:-200], "signature.png": SIGNATURE, "noend.png": png[:-12], "half.jpg": jpeg[:-60]}
    early |= {"start.jpg": b"\xff\xd8", "late.jpg": late[: len(late) // 2]}
    early |= {"half.webp": encoded(portrait, "WEBP")[:-99], "riff.webp": b"RIFF", "moving.gif": b"GIF89a"}
    early |= {"half.gif": encoded(portrait, "GIF")[:9000], "half.bmp": encoded(portrait, "BMP")[:-1]}
    early |= {"short.bmp": b"BM" + bytes(9)}
    yield from ((name, content, ends) for name, content in early.items())
    yield "heavy.png", bytes(65 * 10**6), "has 65 MB: expected a picture of at most 64 MB"
    yield "wide.png", encoded(Image.new("1", (9000, 9000)), "PNG"), "has 9000 x 9000 px: expected 1 to 64 million"


def odd_pictures() -> Iterator[tuple[str, bytes, tuple[int, int, int] | None]]:
    """Name, content, and the colour of the middle as the page must draw it, where it is plain."""
    red, blue = (Image.new("RGB", (30, 20), colour) for colour in ("red", "blue"))
    pure, more = (255, 0, 0), {"save_all": True, "append_images": [blue]}
    yield "one.png", encoded(Image.new("RGB", (1, 1), "red"), "PNG"), pure
    yield "thin.png", encoded(Image.new("RGB", (1, 3000), "red"), "PNG"), pure
    yield "flat.png", encoded(Image.new("RGB", (3000, 1), "red"), "PNG"), pure
    yield "deep.png", encoded(Image.new("I;16", (20, 20), 65535), "PNG"), (255, 255, 255)
    yield "clear.png", encoded(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), "PNG"), (255, 255, 255)
    yield "palette.png", encoded(red.quantize(4), "PNG", transparency=0), None
    yield "moving.gif", encoded(red, "GIF", **more), pure
    yield "moving.webp", encoded(red, "WEBP", lossless=True, **more), pure
    yield "moving.png", encoded(red, "PNG", **more), pure
    yield "whole.webp", encoded(red, "WEBP", lossless=True), pure
    yield "old.bmp", encoded(red, "BMP"), pure
    yield "long.png", encoded(red, "PNG") + bytes(5000), pure
    yield "print.jpg", encoded(Image.new("CMYK", (32, 32)), "JPEG"), (255, 255, 255)
    yield "grey.jpg", encoded(Image.new("L", (32, 32), 255), "JPEG"), (255, 255, 255)
    yield "late.jpg", encoded(red, "JPEG", progressive=True), None
    appended = bytes(range(256)) * 9 + b"\xff\xda" + bytes(99)  # a film, as phones have it behind a picture
    yield "film.jpg", encoded(Image.new("L", (32, 32), 255), "JPEG") + appended, (255, 255, 255)
    yield "turned.jpg", turned(), (255, 255, 255)
    yield "old.gif", encoded(red, "GIF")[:-1], pure
    yield "really-a-jpeg.png", encoded(red, "JPEG"), None
    yield "much.jpg", encoded(red, "JPEG", comment=b"x" * 60000), None
    yield "drawing.svg", OUTSIDE, None
