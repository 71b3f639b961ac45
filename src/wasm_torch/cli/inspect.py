"""``wasm-torch inspect``: what is in a model file, without running it."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from wasm_torch.cli._arguments import count_argument, megabytes, table
from wasm_torch.compiler.expressions import (
    UNLIMITED,
    Expression,
    evaluate,
    shape_text,
    sizes_text,
    text,
)


def add_to(commands: Any) -> None:
    parser = commands.add_parser(
        "inspect",
        help="show what a model file holds",
        description="Shows a model file's methods, their operations before and after the "
        "compiler's passes, the kernels that they call, their memory plan and the biggest tensors, "
        "after checking that the file is whole.",
    )
    parser.add_argument("file", help="a model file")
    parser.add_argument(
        "--nodes", action="store_true", help="list the graphs before and after the passes in full"
    )
    parser.add_argument(
        "--tensors",
        type=count_argument,
        default=5,
        metavar="N",
        help="how many of the biggest tensors (5)",
    )
    parser.add_argument(
        "--buffers",
        type=count_argument,
        default=5,
        metavar="N",
        help="how many of the biggest buffers for intermediate results (5)",
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.set_defaults(action=_inspect)


def _inspect(options: argparse.Namespace) -> None:
    from wasm_torch.compiler.report import read_report
    from wasm_torch.model import read_file

    file = read_file(options.file)
    manifest, report = file.manifest, read_report(file)
    size = os.path.getsize(options.file)
    if options.json:
        sizes = {"file": options.file, "bytes": size, "code_and_manifest_bytes": len(file.prefix)}
        print(json.dumps(sizes | {"manifest": manifest, "report": report}, indent=2))
        return
    weights = manifest["weights"]
    print(f"{options.file}: {megabytes(size)}")
    print(
        f"format {manifest['format']}, written by {manifest['producer']}"
        + (f" from torch {manifest['torch']}" if manifest["torch"] else "")
    )
    memory = f", {megabytes(weights['memory'])} in memory" if "memory" in weights else ""
    rest = megabytes(len(file.prefix))
    print(f"weights {megabytes(weights['bytes'])}{memory}, code and manifest {rest}")
    for name, method in manifest["methods"].items():
        _show_method(name, method, report.get(name, {}), options)
    print(f"\nkernels: {', '.join(manifest['kernels'])}")
    biggest = sorted(weights["tensors"], key=lambda t: -t["bytes"])[: options.tensors]
    if biggest:
        print("\nbiggest tensors")
        rows = [(t["name"], _weight_kind(t), t["role"], megabytes(t["bytes"])) for t in biggest]
        print(table(rows))


def _show_method(
    name: str, method: dict[str, Any], report: dict[str, Any], options: argparse.Namespace
) -> None:
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
    after = Counter(node["op"] for node in method["nodes"])
    if not report:
        print(table([(str(count), op) for op, count in after.most_common()]))
        return
    before = Counter(node["op"] for node in report["before"]["nodes"])
    print("  operations before and after the passes")
    print(_indented(_both(before, after)))
    print("  kernel calls")
    print(_indented(table([(str(count), kernel) for kernel, count in report["kernels"].items()])))
    _show_buffers(method, report["memory"], options.buffers)
    if options.nodes:
        for when in ("before", "after"):
            print(f"  graph {when} the passes")
            print(_indented(_graph(report[when])))


def _both(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    names = sorted(before.keys() | after.keys(), key=lambda op: (-before.get(op, 0), op))
    rows = [(str(before.get(n, 0)), "->", str(after.get(n, 0)), n) for n in names]
    total = (str(sum(before.values())), "->", str(sum(after.values())), "in all")
    return table([*rows, total])


def _show_buffers(method: dict[str, Any], buffers: list[dict[str, Any]], shown: int) -> None:
    """The biggest buffers: where they lie, and from which to which operation."""
    if not buffers or shown < 1:
        return
    # Those of varying sizes by what they take at the smallest.
    least = {symbol["name"]: symbol["minimum"] for symbol in method["symbols"]}

    def size_of(buffer: dict[str, Any]) -> int:
        return evaluate(buffer["bytes"], least)

    biggest = sorted(buffers, key=lambda buffer: -size_of(buffer))[:shown]
    print(f"  memory plan: {len(biggest)} of {len(buffers)} buffers, biggest first")
    rows = []
    for buffer in biggest:
        first, last = (_node(method, buffer[end]) for end in ("first", "last"))
        life = f"{buffer['first']}..{buffer['last']}"
        size, offset = _bytes(buffer["bytes"]), text(buffer["offset"])
        rows.append((size, f"at {offset}", life, f"{first} .. {last}"))
    print(_indented(table(rows)))


def _bytes(size: Expression) -> str:
    return megabytes(size) if isinstance(size, int) else f"{text(size)} bytes"


def _node(method: dict[str, Any], number: int) -> str:
    nodes = method["nodes"]
    return nodes[number]["op"] if number < len(nodes) else "outputs"


def _graph(graph: dict[str, Any]) -> str:
    lines = [("", "inputs", ", ".join(graph["inputs"]))]
    for number, node in enumerate(graph["nodes"]):
        call = f"{node['op']}({', '.join(node['arguments'])})"
        made = ", ".join(node["outputs"])
        where = f"    # {node['source']}" if node["source"] else ""
        lines.append((str(number), f"{made} =" if made else "", call + where))
    lines.append(("", "outputs", ", ".join(graph["outputs"])))
    return "\n".join("  " + " ".join(part for part in line if part) for line in lines)


def _indented(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.splitlines())


def _kind(tensor: dict[str, Any]) -> str:
    return f"{tensor['dtype']}{shape_text(tensor['shape'])}"


def _weight_kind(tensor: dict[str, Any]) -> str:
    return _kind(tensor) + (f" stored as {tensor['stored']}" if "stored" in tensor else "")
