"""Converts models for LiteRT in a process of its own: field_litert.py MODEL FILE FOLDER..."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).resolve().parent / "litert-requirements.txt"
CONVERTER = ROOT / ".toolchain" / "litert"


def reason_against() -> str | None:
    """Why nothing can be converted here; None where it can."""
    if (CONVERTER / "litert_torch").is_dir():
        return None
    short = REQUIREMENTS.relative_to(ROOT)
    return (
        f"LiteRT's converter is not installed: pip install --no-deps -r {short} "
        f"--target {CONVERTER.relative_to(ROOT)}"
    )


def convert(name: str, target: Path, packages: Path) -> None:
    """Writes a .tflite of a model whose weights have been prepared. Raises RuntimeError."""
    command = [sys.executable, __file__, name, str(target), str(packages), str(CONVERTER)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(result.stderr.strip().splitlines()[-1])


def main() -> None:
    name, target, *folders = sys.argv[1:]
    sys.path += folders
    import warnings

    warnings.simplefilter("ignore")
    import torch
    from architectures import declare_torchvision_operations
    from field_models import FILES, build

    library = declare_torchvision_operations()
    module, example = build(name)
    module.load_state_dict(torch.load(FILES / f"{name}.pt", weights_only=True))
    import litert_torch

    # LiteRT.js takes no int64.
    inputs = tuple(x.int() if x.dtype == torch.int64 else x for x in example)
    litert_torch.convert(module, inputs).export(target)
    del library


if __name__ == "__main__":
    main()
