"""The op table. Importing this package declares every row and connects the C fast paths."""

# isort: off
# Later modules use operations of earlier ones while they are imported.
from wasm_torch.ops import (
    views,
    elementary,
    arithmetic,
    binary,
    comparison,
    ternary,
    activation_gradient,
    activation,
    reduction,
    extremes,
    statistics,
    scans,
    creation,
    ranges,
    conversion,
    splitting,
    shaping,
    scatter,
    nonzero,
    indexing,
    along_dim,
    masks,
    subscript,
    embedding,
    matmul,
    convolution,
    pooling,
    softmax,
    normalization,
    sorting,
    searching,
    random,
    composites,
    linalg,
    bessel,
    polynomials,
    histogramdd,
    calculus,
    distance,
    losses,
    attention,
    recurrent,
)

# isort: on
from wasm_torch import _C
from wasm_torch.ops._aten import aten
from wasm_torch.ops._table import FUNCTIONS, METHODS, PACKETS, TABLE, connect_fast_paths, op

connect_fast_paths()

#: Operations whose function is the extension's own, with a fast path before the table.
FAST_FUNCTIONS = frozenset(name for name in _C.FAST if hasattr(_C, name))

__all__ = ["FAST_FUNCTIONS", "FUNCTIONS", "METHODS", "PACKETS", "TABLE", "aten", "op"]
