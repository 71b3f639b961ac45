"""A page's own thread stays free while a model runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from browsers import ask
from playwright.sync_api import Browser
from serve import SiteServer
from torch import nn

from wasm_torch.export import export_to_wasm

#: Milliseconds that a page has for a frame.
FRAME_MS = 16

RUN = """async (url) => {
    const runtime = await WASMTorch.init({ threads: 1 });
    const model = await runtime.loadModel(url);
    const input = new Float32Array(64 * 96 * 96).fill(0.5);
    await model.forward(input);
    const found = [];
    for (let i = 0; i < 10; i++) found.push(await longestGap(() => model.forward(input)));
    runtime.dispose();
    return found;
}"""

BLOCK = """async () => {
    const until = performance.now() + 60;
    return await longestGap(async () => { while (performance.now() < until); });
}"""


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose call takes many frames' time on one thread."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(64, 64, 3, padding=1) for _ in range(10)]
    folder = tmp_path_factory.mktemp("heavy")
    export_to_wasm(nn.Sequential(*layers), folder / "heavy.wasm", torch.randn(1, 64, 96, 96))
    return folder


def test_a_call_keeps_the_page_from_no_frame(
    browser: Browser, servers: dict[bool, SiteServer], heavy: Path
) -> None:
    server = servers[True]
    server.mounts["heavy"] = heavy
    url = f"{server.url}runtime.html"
    blocked = ask(browser, url, BLOCK)
    assert blocked["gap"] > FRAME_MS, "the measure sees a thread that is kept"
    found = ask(browser, url, RUN, "/heavy/heavy.wasm")
    assert min(call["milliseconds"] for call in found) > 3 * FRAME_MS
    # Other programs may delay the timer in any one call; what this page does would in all.
    assert min(call["gap"] for call in found) <= FRAME_MS
