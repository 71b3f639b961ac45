"""Calls of one file whose sizes vary beside those of files for each size: ``make bench-sizes``.

ResNet-18 at batches of 1, 3 and 8 and an encoder like MiniLM at lengths of 5, 37 and 200, with
random weights. Both files are loaded in one page of Chromium and called in turn, the first of a
pair changing with each. Of their ratios the median is given, and that of the shortest calls, which
other programs disturb least; `build/bench/sizes.json` has the milliseconds, too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from places import ROOT, ask, launch, machine, write
from playwright.sync_api import sync_playwright
from serve import SiteServer
from zoo import PACKAGES, calibrate, install
from zoo_hosts import PACKAGE, PAGES

FILES = ROOT / "build" / "sizes"
#: How much longer a call of a dynamic file may take.
AIM = 1.15
BATCHES = (1, 3, 8)
LENGTHS = (5, 37, 200)


def export(
    name: str, model: Any, example: Callable[[int], Any], sizes: Sequence[int], **varying: Any
) -> dict[int, Any]:
    """NAME.wasm for all sizes, NAME_SIZE.wasm for each; dtypes and shapes of inputs by size."""
    from wasm_torch.export import export_to_wasm

    export_to_wasm(model, FILES / f"{name}.wasm", example(2), verify=False, **varying)
    shapes = {}
    for size in sizes:
        inputs = example(size)
        export_to_wasm(model, FILES / f"{name}_{size}.wasm", inputs, verify=False)
        shapes[size] = [{"dtype": str(x.dtype).split(".")[-1], "shape": x.shape} for x in inputs]
    return shapes


def make_files() -> dict[str, Any]:
    """All files; for each model its sizes with the inputs' shapes."""
    import torch
    from architectures import declare_torchvision_operations
    from torch.export import Dim

    library = declare_torchvision_operations()
    from torchvision import models
    from transformers import BertConfig, BertModel

    class Encoder(torch.nn.Module):
        """The last hidden state of a BERT model."""

        def __init__(self) -> None:
            super().__init__()
            sizes = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
            self.bert = BertModel(BertConfig(num_attention_heads=12, **sizes))

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state

    def text(length: int) -> Any:
        return torch.randint(0, 30000, (1, length)), torch.ones(1, length, dtype=torch.int64)

    torch.manual_seed(0)
    resnet = models.resnet18(weights=None).eval()
    calibrate(resnet, torch.randn(2, 3, 224, 224))
    FILES.mkdir(parents=True, exist_ok=True)
    batch = {"x": {0: Dim("batch", min=1, max=8)}}
    length = {1: Dim("length", min=1, max=512)}
    found = {
        "resnet18": export(
            "resnet18",
            resnet,
            lambda n: (torch.randn(n, 3, 224, 224),),
            BATCHES,
            dynamic_shapes=batch,
        ),
        "minilm": export(
            "minilm",
            Encoder().eval(),
            text,
            LENGTHS,
            dynamic_shapes={"ids": length, "mask": length},
        ),
    }
    del library
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="of calls for each size")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--browser", default="chromium", choices=("chromium", "firefox"))
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="where packages are kept")
    options = parser.parse_args()
    install(options.packages)
    sys.path.append(str(options.packages))
    warnings.simplefilter("ignore")
    sizes = make_files()
    mounts = {"dist": PACKAGE, "files": FILES}
    server = SiteServer(PAGES, isolated=True, mounts=mounts).start()
    figures: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = launch(playwright, options.browser)
        for name, shapes in sizes.items():
            for size, inputs in shapes.items():
                asked = {
                    "name": name,
                    "size": size,
                    "inputs": inputs,
                    "threads": options.threads,
                    "seconds": options.seconds,
                }
                told = ask(browser, f"{server.url}sizes.html", "beside", asked, seconds=600)
                pairs = zip(told["dynamic"], told["fixed"], strict=True)
                row = {
                    "calls": len(told["fixed"]),
                    **{key: round(statistics.median(told[key]), 3) for key in ("dynamic", "fixed")},
                    **{f"{key}_min": round(min(told[key]), 3) for key in ("dynamic", "fixed")},
                    "ratio": round(statistics.median(a / b for a, b in pairs), 3),
                    "ratio_of_minima": round(min(told["dynamic"]) / min(told["fixed"]), 3),
                    "outputs_differ_by": told["difference"],
                }
                figures[f"{name} {size}"] = row
                print(
                    f"{name:9} {size:4} {row['dynamic']:9.2f} ms, static {row['fixed']:9.2f}: "
                    f"{row['ratio']:.2f}, shortest {row['ratio_of_minima']:.2f} "
                    f"(aim {AIM}; {row['calls']} calls of each)",
                    flush=True,
                )
        browser.close()
    server.stop()
    results = {
        "machine": machine(),
        "browser": options.browser,
        "threads": options.threads,
        "milliseconds": figures,
    }
    print(f"written to {write('sizes', results)}")


if __name__ == "__main__":
    main()
