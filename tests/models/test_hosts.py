"""Small models in all hosts: each gives torch's results."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from browsers import ask
from playwright.sync_api import Browser
from serve import SiteServer
from small_models import TOLERANCE, Case

from wasm_torch.export import export_to_wasm
from wasm_torch.model import load

CORES = len(os.sched_getaffinity(0))
DRIVER = Path(__file__).resolve().parent / "node_cases.mjs"


def check(results: list[dict[str, Any]], cases: list[Case]) -> None:
    """What `runCases` of cases.mjs gave, against what torch gave."""
    assert [r["name"] for r in results] == [f"{c.model}.{c.method}" for c in cases]
    for result in results:
        assert result["shapes"] == result["wantedShapes"], result["name"]
        assert result["dtypes"] == result["wantedDtypes"], result["name"]
        assert all(d is not None and d <= TOLERANCE for d in result["differences"]), result


def test_desktop(exported: tuple[Path, list[Case]]) -> None:
    folder, cases = exported
    for case in cases:
        with load(folder / f"{case.model}.wasm") as model:
            got = list(model.call_flat(case.method, *case.inputs).values())
        for ours, theirs in zip(got, case.outputs, strict=True):
            scale = max(float(numpy.abs(theirs).max()), 1e-30)
            difference = numpy.abs(ours.numpy().astype(float) - theirs.astype(float)).max()
            assert difference / scale <= TOLERANCE, case.model


@pytest.mark.parametrize(
    ("label", "options", "variant", "threads"),
    [
        ("default", {}, "relaxed", min(4, CORES)),
        ("one thread", {"threads": 1}, "relaxed", 1),
        ("no simd", {"simd": False}, "scalar", min(4, CORES)),
    ],
)
def test_node(
    package: Path,
    exported: tuple[Path, list[Case]],
    label: str,
    options: dict[str, Any],
    variant: str,
    threads: int,
) -> None:
    folder, cases = exported
    command = ["node", str(DRIVER), str(package), str(folder), json.dumps(options)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    answer = json.loads(ran.stdout)
    assert (answer["variant"], answer["threads"]) == (variant, threads), label
    check(answer["cases"], cases)


RUN = """async (options) => {
    const runtime = await WASMTorch.init(options);
    const get = async (name) => (await fetch(`models/${name}`)).arrayBuffer();
    const read = async (name) => new Uint8Array(await get(name));
    const cases = await runCases(runtime, WASMTorch.tensor, read, (name) => `models/${name}`);
    const { variant, threads, singleThreadedBecause } = runtime;
    runtime.dispose();
    return { variant, threads, singleThreadedBecause, cases };
}"""


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "plain"])
def test_browsers(
    browser: Browser,
    servers: dict[bool, SiteServer],
    exported: tuple[Path, list[Case]],
    isolated: bool,
) -> None:
    url = f"{servers[isolated].url}runtime.html"
    answer = ask(browser, url, RUN, {})
    check(answer["cases"], exported[1])
    assert answer["variant"] == "relaxed"
    assert answer["threads"] == (min(4, CORES) if isolated else 1)
    because = answer["singleThreadedBecause"]
    assert because is None if isolated else "Cross-Origin-Opener-Policy" in because
    scalar = ask(browser, url, RUN, {"simd": False, "threads": 1})
    check(scalar["cases"], exported[1])
    assert (scalar["variant"], scalar["threads"]) == ("scalar", 1)


@pytest.mark.parametrize("option", ["use_simd", "use_threads"])
def test_files_without_simd_or_threads(package: Path, tmp_path: Path, option: str) -> None:
    """Such files give the same results, and say what they want where they cannot run."""
    torch.manual_seed(0)
    x, layer = torch.randn(64, 64), torch.nn.Linear(64, 64).eval()
    export_to_wasm(layer, tmp_path / "linear.wasm", x, **{option: False})
    with load(tmp_path / "linear.wasm") as model:
        assert model.manifest["simd" if option == "use_simd" else "threads"] is False
        torch.testing.assert_close(torch.tensor(model(x).tolist()), layer(x).detach())
    (tmp_path / "x.bin").write_bytes(x.numpy().tobytes())
    simd = json.dumps(option != "use_simd")
    command = ["node", str(DRIVER.with_name("node_flags.mjs")), str(package), str(tmp_path), simd]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    answer = json.loads(ran.stdout)
    output = torch.tensor(answer["output"]).reshape(64, 64)
    torch.testing.assert_close(output, layer(x).detach())
    assert answer["before"] == answer["after"] == min(4, CORES)
    assert answer["plain"] == ("Unsupported" if option == "use_simd" else "works")
