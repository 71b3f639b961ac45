"""Single operations at the sizes of the field's models, as parts of the machine's peak.

Each is a method of one model file, made by the exporter as any other, whose kernels are timed one
by one in Node or in a browser. The peak is that of multiply-adds in registers (fma.c), or of memory
(memory.c), both measured in the same run. Writes build/bench/micro.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from field_files import ROOT, digest, exporter, once
from op_profile import PEAKS, peak_module, read_profile
from torch import nn
from torch.nn import functional as F

from wasm_torch.export import export_to_wasm

FILE = ROOT / "build" / "bench" / "micro" / "micro.wasm"
PACKAGE = ROOT / "src" / "runtime" / "dist"
HOSTS = ("node", "chromium", "firefox")

Case = tuple[Callable[..., torch.Tensor], tuple[torch.Tensor, ...]]


def products(model: nn.Module) -> Iterator[tuple[str, Case]]:
    """Linear layers: rows, features in and out."""
    for rows, wide, narrow in (
        *((128, 768, 768), (128, 768, 3072), (128, 3072, 768)),
        *((1500, 384, 384), (1500, 384, 1536), (1500, 1536, 384)),
        *((4, 384, 384), (4, 384, 1536), (1, 2048, 1000), (1, 1280, 1000)),
    ):
        name = f"linear_{rows}x{wide}x{narrow}"
        model.add_module(name, nn.Linear(wide, narrow))
        yield name, (model.get_submodule(name), (torch.randn(1, rows, wide),))


def convolutions(model: nn.Module) -> Iterator[tuple[str, Case]]:
    """Convolutions: channels in and out, kernel, stride, size of the picture, groups."""
    for inputs, outputs, kernel, stride, size, groups in (
        *((3, 64, 7, 2, 224, 1), (64, 64, 1, 1, 56, 1), (64, 64, 3, 1, 56, 1)),
        *((64, 256, 1, 1, 56, 1), (256, 64, 1, 1, 56, 1), (256, 512, 1, 2, 56, 1)),
        *((128, 128, 3, 1, 28, 1), (512, 128, 1, 1, 28, 1), (128, 512, 1, 1, 28, 1)),
        *((256, 256, 3, 1, 14, 1), (1024, 256, 1, 1, 14, 1), (256, 1024, 1, 1, 14, 1)),
        *((512, 512, 3, 1, 7, 1), (2048, 512, 1, 1, 7, 1), (512, 2048, 1, 1, 7, 1)),
        *((3, 32, 3, 2, 224, 1), (16, 96, 1, 1, 112, 1), (24, 144, 1, 1, 56, 1)),
        *((320, 1280, 1, 1, 7, 1), (32, 32, 3, 1, 112, 32), (96, 96, 3, 2, 112, 96)),
        *((144, 144, 3, 1, 56, 144), (384, 384, 3, 1, 14, 384), (960, 960, 3, 1, 7, 960)),
        *((3, 16, 3, 2, 640, 1), (16, 32, 3, 2, 320, 1), (16, 16, 3, 1, 160, 1)),
        *((64, 64, 3, 1, 80, 1), (64, 128, 3, 2, 80, 1), (64, 64, 3, 1, 40, 1)),
    ):
        kind = "depthwise" if groups > 1 else "conv"
        name = f"{kind}{kernel}x{kernel}_{inputs}x{outputs}_s{stride}_{size}"
        layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        model.add_module(name, layer)
        yield name, (layer, (torch.randn(1, inputs, size, size),))


def others() -> Iterator[tuple[str, Case]]:
    """Attention, norms, softmax and pointwise operations."""
    for heads, length, keys in ((12, 128, 128), (6, 1500, 1500), (6, 4, 1500)):
        query, key = torch.randn(1, heads, length, 64), torch.randn(1, heads, keys, 64)
        name = f"attention_{heads}x{length}x{keys}x64"
        inputs = (query, key, torch.randn_like(key))
        yield name, (lambda *x: F.scaled_dot_product_attention(*x), inputs)
    for rows, width in ((128, 768), (1500, 384)):
        x = torch.randn(rows, width)
        yield f"layer_norm_{rows}x{width}", (lambda x: F.layer_norm(x, x.shape[-1:]), (x,))
    yield "softmax_1536x128", (lambda x: x.softmax(-1), (torch.randn(1536, 128),))
    yield "softmax_4x16x8400", (lambda x: x.softmax(1), (torch.randn(4, 16, 8400),))
    picture = torch.randn(1, 64, 112, 112)
    for function in (torch.relu, F.gelu, F.silu, torch.sigmoid, F.hardswish, torch.exp, torch.tanh):
        yield f"{function.__name__}_802816", (_called(function), (picture,))
    for function in (torch.add, torch.mul):
        inputs = (picture, torch.randn_like(picture))
        yield f"{function.__name__}_802816", (_called(function), inputs)


def _called(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """torch.export wants a signature, which functions in C lack."""
    return lambda *inputs: function(*inputs)


def make_file(wanted: str) -> list[str]:
    """Writes the operations whose names contain a text; returns their names."""
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model = nn.Module()
    cases = dict([*products(model), *convolutions(model), *others()])
    chosen = {name: case for name, case in cases.items() if wanted in name}
    if not chosen:
        raise SystemExit(f"no operation has {wanted!r} in its name; there are {', '.join(cases)}")
    key = digest([*exporter(), Path(__file__)], wanted)
    once(
        FILE, key, lambda target: export_to_wasm(model.eval(), target, methods=chosen, verify=False)
    )
    return list(chosen)


def in_node(threads: int, seconds: float, rounds: int) -> dict[str, Any]:
    """The profile of all methods, in Node."""
    sys.path.insert(0, str(ROOT / "tools"))
    from wasm_build import environment

    here = Path(__file__).resolve().parent
    command = ["node", str(here / "op_profile_node.mjs"), str(FILE), str(PEAKS / "peaks.wasm")]
    command += [str(PACKAGE), *map(str, (threads, seconds, rounds))]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment())
    return json.loads(ran.stdout)


def in_browser(name: str, threads: int, seconds: float, rounds: int) -> dict[str, Any]:
    """The same, in a worker of a page."""
    from field_pages import CountingServer, InPage, launch
    from playwright.sync_api import sync_playwright

    folders = {"dist": PACKAGE, "files": FILE.parent, "peaks": PEAKS}
    server = CountingServer(Path(__file__).resolve().parent / "pages", folders)
    server.start()
    with sync_playwright() as playwright:
        browser = launch(playwright, name)
        page = InPage(browser, server, {"model": "micro", "threads": threads, "inputs": None})
        told = page.profile(seconds, rounds)
        browser.close()
    server.stop()
    return told


def line(name: str, profile: dict[str, Any]) -> str:
    """A row of the table: the launches of a method together."""
    ms, flop, memory = (
        sum(launch[key] for launch in profile["launches"]) for key in ("ms", "flop", "bytes")
    )
    peak = profile["peak"]
    kernels = "+".join(dict.fromkeys(launch["kernel"] for launch in profile["launches"]))
    text = f"{name:36}{kernels:24}{ms:9.3f}"
    if ms == 0:
        return text
    rates = (flop / ms / 1e6, peak["gflops"]), (memory / ms / 1e6, peak["gbytes"])
    for rate, best in rates:
        text += f"{rate:9.1f}{rate / best:7.0%}" if rate else " " * 16
    return text


def main() -> None:
    from places import machine, write

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", nargs="+", choices=HOSTS, default=["node"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--filter", default="", help="only names that contain this")
    parser.add_argument("--seconds", type=float, default=0.5, help="of calls before timing")
    parser.add_argument("--rounds", type=int, default=20, help="timed calls; the least counts")
    options = parser.parse_args()
    names = make_file(options.filter)
    peak_module()
    results: dict[str, Any] = {"machine": machine(), "profiles": []}
    for host in options.hosts:
        for threads in options.threads:
            arguments = (threads, options.seconds, options.rounds)
            told = in_node(*arguments) if host == "node" else in_browser(host, *arguments)
            print(
                f"\n{host}: peak of {threads} threads {told['gflops'] * threads:.1f} GFLOP/s, "
                f"memory of one {told['gbytes']:.1f} GB/s\n"
                f"{'':36}{'kernels':24}{'ms':>9}{'GFLOP/s':>9}{'peak':>7}{'GB/s':>9}{'peak':>7}"
            )
            for name in names:
                profile = read_profile(told, name, threads)
                results["profiles"].append({"host": host, "name": name, **profile})
                print(line(name, profile))
    print(f"\nwritten to {write('micro', results)}")


if __name__ == "__main__":
    main()
