"""Rewrites of graphs: each pass is one file with a function ``run(graph)`` that can be left out."""

from __future__ import annotations

from collections.abc import Callable

from wasm_torch.compiler.graph import Graph
from wasm_torch.compiler.passes import constant_folding, dead_code, fold_batch_norm

Pass = Callable[[Graph], None]

_ALL: tuple[Pass, ...] = (constant_folding.run, fold_batch_norm.run, dead_code.run)

#: The passes of each level, in order. The memory plan reuses memory in place from O1 on. O3 is
#: every pass there is; none is yet costly enough to be left out of O2.
LEVELS: dict[str, tuple[Pass, ...]] = {
    "O0": (),
    "O1": (constant_folding.run, dead_code.run),
    "O2": _ALL,
    "O3": _ALL,
}


def optimize(graph: Graph, level: str) -> None:
    """Runs the passes of a level on the graph itself. Raises ValueError for an unknown level."""
    if level not in LEVELS:
        raise ValueError(f"optimization_level must be one of {', '.join(LEVELS)}, not {level!r}")
    for run in LEVELS[level]:
        run(graph)
