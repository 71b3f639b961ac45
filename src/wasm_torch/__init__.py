"""PyTorch's Python API on WebAssembly: ``import wasm_torch as torch``.

The same package runs in Pyodide, where hot operations go to a WebAssembly engine with SIMD and
threads, and on the desktop on the engine's native build.
"""

from __future__ import annotations

import importlib
from typing import Any

from wasm_torch import _host

_host.start()

from wasm_torch import _C  # noqa: E402
from wasm_torch._C import Size, dtype, get_default_dtype, promote_types, set_default_dtype  # noqa: E402
from wasm_torch._formats import (  # noqa: E402
    channels_last,
    channels_last_3d,
    contiguous_format,
    device,
    layout,
    memory_format,
    preserve_format,
    strided,
)
from wasm_torch._limits import finfo, iinfo  # noqa: E402
from wasm_torch.version import __version__  # noqa: E402

from wasm_torch import ops as ops  # noqa: E402  isort: skip

ops.FUNCTIONS.update(finfo=finfo, iinfo=iinfo)

from wasm_torch._tensor import Tensor  # noqa: E402  isort: skip
from wasm_torch._determinism import (  # noqa: E402
    are_deterministic_algorithms_enabled,
    is_deterministic_algorithms_warn_only_enabled,
    use_deterministic_algorithms,
)

from wasm_torch import _legacy  # noqa: E402  isort: skip

globals().update(_legacy.TYPES)
from wasm_torch._interop import from_dlpack, from_numpy, frombuffer  # noqa: E402
from wasm_torch._random import (  # noqa: E402
    Generator,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from wasm_torch._runtime import (  # noqa: E402
    empty_cache,
    get_num_threads,
    memory_stats,
    reset_peak_memory_stats,
    set_num_threads,
    threads_ready,
)
from wasm_torch.autograd import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

# ---- dtypes -----------------------------------------------------------------------------------
uint8, int8, int16, int32, int64 = _C.uint8, _C.int8, _C.int16, _C.int32, _C.int64
float16, bfloat16, float32, float64 = _C.float16, _C.bfloat16, _C.float32, _C.float64
bool = _C.bool
half, float, double, short, int, long = float16, float32, float64, int16, int32, int64

from math import e, inf, nan, pi  # noqa: E402

newaxis = None

# ---- operations -------------------------------------------------------------------------------
for _name, _function in ops.FUNCTIONS.items():
    globals().setdefault(_name, getattr(_C, _name) if _name in ops.FAST_FUNCTIONS else _function)
del _name, _function

from wasm_torch import (  # noqa: E402
    autograd,
    backends,
    cuda,
    linalg,
    masked,
    nn,
    optim,
    random,
    serialization,
    signal,
    special,
    testing,
    utils,
)
from wasm_torch._functions import (  # noqa: E402
    can_cast,
    get_printoptions,
    is_floating_point,
    is_nonzero,
    is_storage,
    is_tensor,
    numel,
    result_type,
    set_printoptions,
    typename,
)
from wasm_torch._neural import *  # noqa: E402
from wasm_torch.serialization import load, save  # noqa: E402


def __getattr__(name: str) -> Any:
    # Imported when used: few programs need them.
    if name in ("export", "export_to_wasm", "quantize_for_wasm"):
        export = importlib.import_module("wasm_torch.export")
        return export if name == "export" else getattr(export, name)
    if name == "load_model":
        from wasm_torch.model import load

        return load
    raise AttributeError(f"module 'torch' has no attribute '{name}'")
