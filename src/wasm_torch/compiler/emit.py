"""The code of a method: addresses into argument structs, kernel calls, status checks.

The struct of each launch lies in the constants block with everything but its addresses filled in
(structs.py). The code adds the bases, which are known only in the running model, and calls.
"""

from __future__ import annotations

from wasm_torch import _C
from wasm_torch.compiler import wasm
from wasm_torch.compiler.lower import Lowered
from wasm_torch.compiler.plan_tensor import PlanTensor
from wasm_torch.compiler.structs import template
from wasm_torch.compiler.weights import Weights

#: Globals of the module, in the order of their imports.
WEIGHTS, CONSTANTS, ARENA = 0, 1, 2
# Locals: the parameter, then copies of the globals, then the last status.
_CALL, _WEIGHTS, _CONSTANTS, _ARENA, _STATUS = range(5)


class Constants:
    """The constants block: structs, each aligned to 8."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, content: bytes | bytearray) -> int:
        """Appends content; returns its offset."""
        self.data += bytes(-len(self.data) % 8)
        at = len(self.data)
        self.data += content
        return at


class Kernels:
    """The kernels that are called, numbered as functions of the module."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, kernel: str) -> int:
        """The function index of a kernel: imports come first."""
        name = f"{kernel}@{_C.KERNEL_VERSIONS[kernel]}"
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def emit_method(method: Lowered, weights: Weights, constants: Constants, kernels: Kernels) -> bytes:
    """The body of ``method:<name>``."""
    code = bytearray()
    for local, source in ((_WEIGHTS, WEIGHTS), (_CONSTANTS, CONSTANTS), (_ARENA, ARENA)):
        code += wasm.global_get(source) + wasm.local_set(local)
    for launch in method.launches:
        filled = template(launch.kernel, launch.fields)
        at = constants.add(filled.data)
        for offset, tensor in filled.addresses:
            code += wasm.local_get(_CONSTANTS)
            code += _address(tensor, method, weights)
            code += wasm.i32_store(at + offset)
        code += wasm.local_get(_CONSTANTS) + wasm.i32_const(at) + wasm.I32_ADD
        code += wasm.call(kernels.number(launch.kernel)) + wasm.local_tee(_STATUS)
        code += wasm.IF + wasm.local_get(_STATUS) + wasm.i32_const(launch.node << 8)
        code += wasm.I32_OR + wasm.RETURN + wasm.END
    code += wasm.i32_const(0)
    return wasm.function_body(4, bytes(code))


def _address(tensor: PlanTensor, method: Lowered, weights: Weights) -> bytes:
    """Pushes the address of element (0, ..., 0)."""
    buffer, offset = tensor.buffer, tensor.storage_offset() * tensor.itemsize
    graph = method.graph
    if buffer.kind == "arena":
        base, offset = wasm.local_get(_ARENA), offset + buffer.index
    elif buffer.kind == "weight":
        base, offset = wasm.local_get(_WEIGHTS), offset + weights.all[buffer.index].offset
    else:
        before = {"input": 0, "output": len(graph.inputs)}
        before["state"] = before["output"] + len(graph.outputs)
        base = wasm.local_get(_CALL) + wasm.i32_load(4 * (before[buffer.kind] + buffer.index))
    return base + wasm.i32_const(offset) + wasm.I32_ADD if offset else base


def module_sections(kernels: Kernels, bodies: dict[str, bytes]) -> bytes:
    """The type, import, function, export and code sections of methods with these bodies."""
    method_type = 0
    imports = [
        wasm.import_shared_memory("env", "memory", 1, 65536),
        wasm.import_global("env", "weights", wasm.I32),
        wasm.import_global("env", "constants", wasm.I32),
        wasm.import_global("env", "arena", wasm.I32, mutable=True),
        *(wasm.import_function("kernel", name, method_type) for name in kernels.names),
    ]
    first = len(kernels.names)
    exports = [wasm.export_function(f"method:{n}", first + i) for i, n in enumerate(bodies)]
    return b"".join(
        (
            wasm.section(wasm.TYPE, wasm.vector([wasm.function_type(wasm.I32, wasm.I32)])),
            wasm.section(wasm.IMPORT, wasm.vector(imports)),
            wasm.section(wasm.FUNCTION, wasm.vector(wasm.unsigned(method_type) for _ in bodies)),
            wasm.section(wasm.EXPORT, wasm.vector(exports)),
            wasm.section(wasm.CODE, wasm.vector(bodies.values())),
        )
    )
