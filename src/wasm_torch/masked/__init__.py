"""Reductions and normalisations over the elements where a mask is true.

A masked-out element takes part as the operation's identity. Where a whole slice is masked out the
result is that identity, or NaN.
"""

from wasm_torch.masked.normalizations import (
    cumprod,
    cumsum,
    log_softmax,
    normalize,
    softmax,
    softmin,
)
from wasm_torch.masked.reductions import (
    amax,
    amin,
    argmax,
    argmin,
    logaddexp,
    logsumexp,
    mean,
    median,
    norm,
    prod,
    std,
    sum,
    var,
)

__all__ = [
    "sum",
    "prod",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "mean",
    "median",
    "logsumexp",
    "logaddexp",
    "norm",
    "var",
    "std",
    "cumsum",
    "cumprod",
    "softmax",
    "log_softmax",
    "softmin",
    "normalize",
]
