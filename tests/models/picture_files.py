"""Pictures as files, each with something that a browser may get wrong, and what PIL makes of it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy
from PIL import Image, ImageCms, ImageOps
from preprocessing import preprocessed


def _noise() -> numpy.ndarray:
    return numpy.random.default_rng(3).integers(0, 256, (180, 250, 4), dtype=numpy.uint8)


def _gradient() -> Image.Image:
    y, x = numpy.mgrid[0:300, 0:400]
    rgb = numpy.stack([x * 255 // 399, y * 255 // 299, (x + y) * 255 // 698], -1)
    return Image.fromarray(rgb.astype(numpy.uint8))


def _swapping_profile() -> bytes:
    """sRGB with red and green exchanged: whoever applies it is seen at once."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmp!").replace(b"gXYZ", b"rXYZ")
    return swapped.replace(b"tmp!", b"gXYZ")


def _with_gamma(png: bytes) -> bytes:
    """The PNG with a chunk that says that its numbers are linear light."""
    chunk = b"gAMA" + struct.pack(">I", 100_000)
    ihdr = 8 + 4 + 4 + 13 + 4
    coded = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:ihdr] + coded + png[ihdr:]


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def write(folder: Path) -> dict[str, numpy.ndarray]:
    """Writes the files; returns what imageTensor should make of each, by name."""
    noise = _noise()
    transparent = noise.copy()
    transparent[:90, :, 3] = 0
    opaque = Image.fromarray(noise[:, :, :3].copy())
    turned = Image.Exif()
    turned[0x0112] = 6
    palette = Image.fromarray(noise[:, :, :3] // 64 * 64).quantize(64)
    files = {
        "plain.png": _saved(opaque, "PNG"),
        "grey.png": _saved(opaque.convert("L"), "PNG"),
        "palette.png": _saved(palette, "PNG"),
        "transparent.png": _saved(Image.fromarray(transparent), "PNG"),
        "gamma.png": _with_gamma(_saved(opaque, "PNG")),
        "profile.png": _saved(opaque, "PNG", icc_profile=_swapping_profile()),
        "plain.jpg": _saved(_gradient(), "JPEG", quality=90),
        "profile.jpg": _saved(_gradient(), "JPEG", quality=90, icc_profile=_swapping_profile()),
        "turned.jpg": _saved(_gradient(), "JPEG", quality=90, exif=turned),
        "lossless.webp": _saved(opaque, "WEBP", lossless=True),
        "tiny.png": _saved(opaque.crop((0, 0, 1, 3)), "PNG"),
    }
    wanted = {}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        wanted[name] = preprocessed(upright).numpy()
        (folder / f"{name}.bin").write_bytes(wanted[name].tobytes())
    (folder / "text.png").write_text("This is not a picture.")
    (folder / "cut.png").write_bytes(files["plain.png"][:50])
    (folder / "empty.png").write_bytes(b"")
    return wanted
