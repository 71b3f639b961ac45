"""Rewrites of graphs: each pass is one file with a function ``run(graphs)`` that can be left out.

A pass takes the graphs of one method at several sizes of its inputs, which are alike (family.py),
and leaves them alike: what it does, it does in all of them. A pass over launches does the same with
what the graphs were lowered to, and may add constants to the weights of each.
"""

from __future__ import annotations

from collections.abc import Callable

from wasm_torch.compiler.graph import Graph
from wasm_torch.compiler.passes import (
    constant_folding,
    dead_code,
    fold_batch_norm,
    fuse_epilogues,
    fuse_pointwise,
    pack_weights,
    quantize,
)
from wasm_torch.compiler.record import Launch
from wasm_torch.compiler.weights import Weights

Pass = Callable[[list[Graph]], None]
LaunchPass = Callable[[list[list[Launch]], list[Weights]], None]

#: The passes of each level, in order; those of the whole file after those of each method. The
#: memory plan reuses memory in place from O1 on.
LEVELS: dict[str, tuple[Pass, ...]] = {
    "O0": (),
    "O1": (constant_folding.run, dead_code.run),
    "O2": (constant_folding.run, fold_batch_norm.run, dead_code.run),
    "O3": (constant_folding.run, fold_batch_norm.run, dead_code.run),
}

#: The passes over launches of each level.
LAUNCH_LEVELS: dict[str, tuple[LaunchPass, ...]] = {
    "O0": (),
    "O1": (),
    "O2": (),
    "O3": (fuse_pointwise.run,),
}


def optimize(methods: list[list[Graph]], level: str, quantized: bool = False) -> None:
    """Runs the passes of a level on the graphs of a file's methods.

    ``quantized`` keeps weights in 8 bits, at any level.

    Raises ValueError for no known level.
    """
    if level not in LEVELS:
        raise ValueError(f"optimization_level must be one of {', '.join(LEVELS)}, not {level!r}")
    for graphs in methods:
        for run in LEVELS[level]:
            run(graphs)
    if quantized:
        quantize.run(methods)
    if level in ("O2", "O3"):
        pack_weights.run(methods)
        for graphs in methods:
            fuse_epilogues.run(graphs)
