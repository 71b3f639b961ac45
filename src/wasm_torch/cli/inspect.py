"""``wasm-torch inspect``: what is in a model file, without running it."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from typing import Any

from wasm_torch.cli._arguments import megabytes, table
from wasm_torch.compiler.expressions import UNLIMITED, evaluate, shape_text, sizes_text


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "inspect",
        help="show what a model file holds",
        description="Shows a model file's methods, memory, kernels and biggest tensors, after "
        "checking that it is whole.",
    )
    parser.add_argument("file", help="a model file")
    parser.add_argument("--nodes", action="store_true", help="list every operation in order")
    parser.add_argument(
        "--tensors", type=int, default=5, metavar="N", help="how many of the biggest tensors (5)"
    )
    parser.set_defaults(action=_inspect)


def _inspect(options: argparse.Namespace) -> None:
    from wasm_torch.model import read_file

    file = read_file(options.file)
    manifest = file.manifest
    weights = manifest["weights"]
    print(f"{options.file}: {megabytes(os.path.getsize(options.file))}")
    print(
        f"format {manifest['format']}, written by {manifest['producer']}"
        + (f" from torch {manifest['torch']}" if manifest["torch"] else "")
    )
    print(f"weights {megabytes(weights['bytes'])}, code and manifest {megabytes(len(file.prefix))}")
    for name, method in manifest["methods"].items():
        _show_method(name, method, options.nodes)
    print(f"\nkernels: {', '.join(manifest['kernels'])}")
    biggest = sorted(weights["tensors"], key=lambda t: -t["bytes"])[: options.tensors]
    if biggest:
        print("\nbiggest tensors")
        rows = [(t["name"], _kind(t), t["role"], megabytes(t["bytes"])) for t in biggest]
        print(table(rows))


def _show_method(name: str, method: dict[str, Any], nodes: bool) -> None:
    print(f"\n{name}: {len(method['nodes'])} operations")
    for label in ("inputs", "outputs"):
        print(f"  {label} " + ", ".join(f"{t['name']}: {_kind(t)}" for t in method[label]))
    if method["states"]:
        print("  keeps " + ", ".join(state["name"] for state in method["states"]))
    for symbol in method["symbols"]:
        limit = f" to {symbol['maximum']}" if symbol["maximum"] < UNLIMITED else " or more"
        print(f"  {symbol['name']} is {symbol['minimum']}{limit}")
    for end in ("minimum", "maximum"):
        sizes = {symbol["name"]: symbol[end] for symbol in method["symbols"]}
        if UNLIMITED in sizes.values():
            continue
        at = f" at {sizes_text(sizes)}" if sizes else ""
        arena = megabytes(evaluate(method["arena_bytes"], sizes))
        print(f"  memory for intermediate results{at} {arena}")
        if not sizes:
            break
    if nodes:
        rows = [(str(i), n["op"], n.get("source", "")) for i, n in enumerate(method["nodes"])]
    else:
        counts = Counter(node["op"] for node in method["nodes"])
        rows = [(str(count), op, "") for op, count in counts.most_common()]
    print(table(rows))


def _kind(tensor: dict[str, Any]) -> str:
    return f"{tensor['dtype']}{shape_text(tensor['shape'])}"
