"""What the runtime refuses in Node and in the browsers, and that its memory stays as it was."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from browsers import ask
from playwright.sync_api import Browser
from serve import SiteServer

DRIVER = Path(__file__).resolve().parent / "node_refusals.mjs"


def check(answer: dict[str, Any]) -> None:
    assert len(answer["refusals"]) > 20
    for result in answer["refusals"]:
        assert result["got"] == result["expected"], result
        assert result["same"], result
        assert result["leaked"] == 0, result
    soak = answer["soak"]
    assert soak["before"] == soak["after"]
    assert soak["rest"]["used"] == soak["empty"]
    assert soak["rest"]["reserved"] == soak["before"]["reserved"]
    assert soak["same"] and soak["trimmed"] and soak["works"] and soak["arrived"]
    assert answer["late"] == "Disposed"


def test_node(package: Path, folder: Path) -> None:
    files = [str(folder / f"{name}.wasm") for name in ("sentence", "sentences")]
    command = ["node", str(DRIVER), str(package), *files]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    check(json.loads(ran.stdout))


RUN = """async () => {
    const runtime = await WASMTorch.init();
    const good = new Uint8Array(await (await fetch("models/sentence.wasm")).arrayBuffer());
    const refusals = await refused(runtime, good, "models/missing.wasm");
    const { tensor } = WASMTorch;
    refusals.push(...(await refusedSizes(runtime, tensor, "models/sentences.wasm")));
    const soak = await soaked(runtime, good, 1000, 50);
    const last = await runtime.loadModel(good);
    const gone = last.dispose();
    runtime.dispose();
    const late = await runtime.loadModel(good).catch((error) => error.name);
    await Promise.all([gone, last.dispose()]); // the runtime took the model along
    return { refusals, soak, late };
}"""


def test_browsers(browser: Browser, servers: dict[bool, SiteServer]) -> None:
    check(ask(browser, f"{servers[True].url}runtime.html", RUN))
