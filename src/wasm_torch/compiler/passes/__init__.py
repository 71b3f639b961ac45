"""Rewrites of graphs: each pass is one file with a function ``run(graphs)`` that can be left out.

A pass takes the graphs of one method at several sizes of its inputs, which are alike (family.py),
and leaves them alike: what it does, it does in all of them.
"""

from __future__ import annotations

from collections.abc import Callable

from wasm_torch.compiler.graph import Graph
from wasm_torch.compiler.passes import (
    constant_folding,
    dead_code,
    fold_batch_norm,
    fuse_epilogues,
    pack_weights,
)

Pass = Callable[[list[Graph]], None]

#: The passes of each level, in order; those of the whole file after those of each method. The
#: memory plan reuses memory in place from O1 on.
LEVELS: dict[str, tuple[Pass, ...]] = {
    "O0": (),
    "O1": (constant_folding.run, dead_code.run),
    "O2": (constant_folding.run, fold_batch_norm.run, dead_code.run),
    "O3": (constant_folding.run, fold_batch_norm.run, dead_code.run),
}


def optimize(methods: list[list[Graph]], level: str) -> None:
    """Runs the passes of a level on the graphs of a file's methods.

    Raises ValueError for no known level.
    """
    if level not in LEVELS:
        raise ValueError(f"optimization_level must be one of {', '.join(LEVELS)}, not {level!r}")
    for graphs in methods:
        for run in LEVELS[level]:
            run(graphs)
    if level in ("O2", "O3"):
        pack_weights.run(methods)
        for graphs in methods:
            fuse_epilogues.run(graphs)
