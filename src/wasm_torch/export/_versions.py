"""The torch versions whose graphs were tested: the rows expect their operations' schemas."""

from __future__ import annotations

import torch

from wasm_torch.export._errors import ExportError

#: Minor versions of torch with which the tests pass.
TESTED = ("2.13",)


def check_torch() -> None:
    """Raises ExportError where this torch was not tested."""
    minor = ".".join(torch.__version__.split(".")[:2])
    if minor not in TESTED:
        raise ExportError(
            f"wasm_torch exports from torch {', '.join(TESTED)}; this is torch "
            f"{torch.__version__}. Install torch=={TESTED[-1]}.* to export."
        )
