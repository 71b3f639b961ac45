"""Exports every architecture of the zoo and compares the files with torch: ``make zoo-check``.

Each file runs on the desktop, in Pyodide and in pages of Chromium and Firefox. Prints a row for
each model and host, and writes build/bench/zoo.json. The packages that define the architectures
(requirements-zoo.txt) are kept out of the development environment: they are unpacked into
.toolchain/zoo without their dependencies.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from zoo_hosts import HOSTS, Case, hosts

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-zoo.txt"
PACKAGES = ROOT / ".toolchain" / "zoo"
RESULTS = ROOT / "build" / "bench" / "zoo.json"
FILES = ROOT / "build" / "zoo"
#: Bytes beyond weights and results that a model may take.
SLACK = 16 << 20


def install(folder: Path, requirements: Path = REQUIREMENTS) -> None:
    """Unpacks the pinned packages into a folder, once for each version of the pins."""
    stamp = folder / "requirements.txt"
    wanted = requirements.read_text()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), "-r", str(requirements)], check=True)
    stamp.write_text(wanted)


def calibrate(model: Any, example: Any) -> None:
    """Gives batch norms the statistics of the example.

    With untouched ones a random network fades out, layer by layer, until its output is the last
    bias, which agrees whatever the layers before have done.
    """
    import torch

    def observe(module: Any, inputs: tuple[Any, ...]) -> None:
        x = inputs[0]
        dims = [d for d in range(x.ndim) if d != 1]
        if x.numel() // x.shape[1] > 1:
            module.running_mean.copy_(x.mean(dims))
            module.running_var.copy_(x.var(dims))

    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(observe) for norm in norms]
    if hooks:
        with torch.no_grad():
            model(example)
    for hook in hooks:
        hook.remove()


def export(name: str, architecture: Any) -> tuple[Case, dict[str, Any]]:
    """Writes one model's file; its case, and what all hosts' rows have in common."""
    import torch
    from liveness import liveness_peak
    from torch.utils import _pytree as pytree

    from wasm_torch.export import export_to_wasm
    from wasm_torch.export._capture import capture, split_example

    torch.manual_seed(0)
    model = architecture.make().eval()
    example = architecture.example()
    calibrate(model, example)
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
        for t in model.state_dict().values()
    }
    weight_bytes = sum(storages.values())
    args, kwargs = split_example(example)
    with torch.no_grad():
        leaves = pytree.tree_leaves(model(*args, **kwargs))
    outputs = [leaf.numpy().copy() for leaf in leaves if isinstance(leaf, torch.Tensor)]
    started = time.perf_counter()
    export_to_wasm(model, FILES / f"{name}.wasm", example, verify=False)
    export_s = time.perf_counter() - started
    captured = capture(model, None, example)
    inputs = [tensor.detach().numpy().copy() for tensor in captured.example]
    case = Case(name, FILES, inputs, outputs)
    return case, {
        "file_bytes": case.path.stat().st_size,
        "weight_bytes": weight_bytes,
        "export_s": round(export_s, 2),
        "bound_bytes": int(weight_bytes + 1.2 * liveness_peak(captured.graph) + SLACK),
    }


def judged(name: str, host_name: str, common: dict[str, Any], seen: dict[str, Any]) -> Any:
    """A row of the results."""
    agrees = seen["rel_err"] is not None and seen["rel_err"] <= 1e-4
    small = common["file_bytes"] <= 1.01 * common["weight_bytes"] + 200_000
    lean = seen["peak_bytes"] <= common["bound_bytes"]
    ok = agrees and small and lean
    return {"model": name, "host": host_name, "ok": ok, **seen, **common}


def row(result: dict[str, Any]) -> str:
    """One line for the terminal."""
    if "error" in result:
        return f"{result['model']:20} {result['host']:9} FAILED  {result['error'].splitlines()[0]}"
    return (
        f"{result['model']:20} {result['host']:9} {'ok' if result['ok'] else 'MISSED':7} "
        f"error {result['rel_err']:.1e}  file {result['file_bytes'] / 1e6:7.2f} MB of weights "
        f"{result['weight_bytes'] / 1e6:7.2f}  export {result['export_s']:5.1f} s  "
        f"load {result['load_ms']:6.0f} ms  peak {result['peak_bytes'] / 1e6:6.1f} of "
        f"{result['bound_bytes'] / 1e6:6.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="only these")
    parser.add_argument("--hosts", nargs="+", choices=HOSTS, default=HOSTS, help="only these")
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="where packages are kept")
    options = parser.parse_args()
    install(options.packages)
    sys.path.append(str(options.packages))
    warnings.simplefilter("ignore", FutureWarning)
    from architectures import architectures, declare_torchvision_operations

    library = declare_torchvision_operations()
    zoo = architectures()
    unknown = [name for name in options.models if name not in zoo]
    if unknown:
        sys.exit(f"there is no {', '.join(unknown)}; there are {', '.join(zoo)}")
    FILES.mkdir(parents=True, exist_ok=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []

    def note(result: dict[str, Any]) -> None:
        results.append(result)
        print(row(result), flush=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")

    with hosts(options.hosts, FILES) as checks:
        for name in options.models or zoo:
            try:
                case, common = export(name, zoo[name])
            except Exception as error:
                note({"model": name, "host": "export", "ok": False, "error": str(error)})
                continue
            case.write()
            for host_name, check in checks.items():
                try:
                    note(judged(name, host_name, common, check(case)))
                except Exception as error:
                    note({"model": name, "host": host_name, "ok": False, "error": str(error)})
            case.remove()
            gc.collect()
    del library
    if not all(result["ok"] for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
