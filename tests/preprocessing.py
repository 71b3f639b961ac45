"""What runtime.imageTensor is compared with: torchvision's formulas on PIL and torch."""

from __future__ import annotations

import torch
from PIL import Image

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def _resized(picture: Image.Image, cover: tuple[int, int]) -> Image.Image:
    """So that it just covers a height and a width. For a square that is Resize(side)."""
    width, height = picture.size
    if width * cover[0] >= height * cover[1]:
        size = (int(cover[0] * width / height), cover[0])
    else:
        size = (cover[1], int(cover[1] * height / width))
    return picture.resize(size, Image.Resampling.BILINEAR)


def cropped(
    picture: Image.Image,
    size: tuple[int, int] = (224, 224),
    resize: int | None = None,
    crop: bool = True,
) -> Image.Image:
    """The part that the network sees, on 8 bits: Resize and CenterCrop. size: height, width."""
    picture = picture.convert("RGB")
    height, width = size
    if not crop:
        return picture.resize((width, height), Image.Resampling.BILINEAR)
    cover = (resize, resize) if resize else (round(height / 0.875), round(width / 0.875))
    picture = _resized(picture, cover)
    left = round((picture.width - width) / 2.0)
    top = round((picture.height - height) / 2.0)
    return picture.crop((left, top, left + width, top + height))


def preprocessed(
    picture: Image.Image,
    mean: tuple[float, ...] = MEAN,
    std: tuple[float, ...] = STD,
    **options: object,
) -> torch.Tensor:
    """[1, 3, H, W], as ToTensor and Normalize give it."""
    part = cropped(picture, **options)  # type: ignore[arg-type]
    data = torch.frombuffer(bytearray(part.tobytes()), dtype=torch.uint8)
    x = data.view(part.height, part.width, 3).permute(2, 0, 1).to(torch.float32).div(255)
    x = x.sub_(torch.tensor(mean)[:, None, None]).div_(torch.tensor(std)[:, None, None])
    return x[None].contiguous()
