"""Profiles of model files in Node, and the work that the benchmarks read from them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from wasm_torch.export import export_to_wasm

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "benchmarks"))

import op_profile  # noqa: E402


class Attending(nn.Module):
    """A convolution, attention over its channels, and a linear layer, of known work."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1, groups=2)
        self.head = nn.Linear(100, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x).reshape(1, 8, 25, 4)
        x = F.scaled_dot_product_attention(x, x, x)
        return self.head(x.reshape(8, 100))


def test_a_profile_names_every_kernel_call(package: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    file = tmp_path / "model.wasm"
    export_to_wasm(Attending().eval(), file, torch.randn(1, 4, 10, 10))
    command = ["node", str(HERE / "node_profile.mjs"), str(package), str(file)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    answer = json.loads(ran.stdout)
    assert answer["before"] == answer["after"], "a profile leaves the model as it was"
    assert answer["leaked"] == 0
    seen = {}
    for launch in answer["launches"]:
        assert launch["milliseconds"] >= 0
        kernel, _, _ = launch["kernel"].partition("@")
        flop, memory, _ = op_profile.work(kernel, base64.b64decode(launch["args"]))
        assert memory > 0
        if flop:
            seen[launch["source"]] = (launch["op"], flop)
    assert seen == {
        "conv": ("aten.convolution", 2 * 800 * 2 * 9),
        "": ("aten.scaled_dot_product_attention", 2 * 8 * 25 * 25 * 8),
        "head": ("aten.linear", 2 * 8 * 7 * 100),
    }


def test_an_expanded_dimension_takes_no_memory() -> None:
    assert op_profile.Operand((2, 3, 5), (5, 0, 1), 4).memory == 4 * 2 * 5


def test_the_table_shows_work_and_peaks() -> None:
    launch = {"kernel": "conv@1", "op": "aten.conv2d", "source": "stem", "shapes": "1x2", "ms": 2.0}
    launch |= {"flop": 4e7, "bytes": 1_000_000}
    peak = {"gflops": 40.0, "gbytes": 10.0}
    profile = {"threads": 1, "call_ms": 3.0, "peak": peak, "launches": [launch, launch]}
    lines = op_profile.report(profile).splitlines()
    assert lines[2].split() == ["conv@1", "2", "4.000", "100.0%", "20.0", "50%", "0.5", "5%"]
    assert lines[4].split()[:3] == ["conv@1", "1x2", "stem"]
