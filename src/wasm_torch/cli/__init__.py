"""The command line: ``wasm-torch export | inspect | run | bench | serve | download-runtime``.

Exit codes: 0 done, 1 the command failed and said why, 2 the arguments make no sense, 130
interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from wasm_torch.cli import bench, download_runtime, export, inspect, run, serve
from wasm_torch.cli._arguments import described
from wasm_torch.version import __version__

_COMMANDS = (export, inspect, run, bench, serve, download_runtime)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="wasm-torch", description="PyTorch models as single WebAssembly files."
    )
    parser.add_argument("--version", action="version", version=f"wasm-torch {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        options.action(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, and wants no word about it
        return 0
    except Exception as error:
        print(f"wasm-torch {options.command}: {described(error)}", file=sys.stderr)
        return 1
    return 0
