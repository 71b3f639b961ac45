"""The code of a method: addresses into argument structs, kernel calls, status checks.

The struct of each launch lies in the constants block with everything but its addresses filled in
(structs.py). The code adds the bases, which are known only in the running model, and calls. Where
sizes vary from call to call, it first computes what follows from them into locals, and stores what
varies in a struct before its call.
"""

from __future__ import annotations

from wasm_torch import _C
from wasm_torch.compiler import wasm
from wasm_torch.compiler.expressions import Expression, add
from wasm_torch.compiler.interpolate import Quotient
from wasm_torch.compiler.lower import Lowered, Patch
from wasm_torch.compiler.plan_tensor import PlanTensor
from wasm_torch.compiler.structs import template
from wasm_torch.compiler.weights import Weights

#: Globals of the module, in the order of their imports.
WEIGHTS, CONSTANTS, ARENA = 0, 1, 2
# Locals: the parameter, then copies of the globals, the last status, and numbers that vary.
_CALL, _WEIGHTS, _CONSTANTS, _ARENA, _STATUS, _FIRST_NUMBER = range(6)


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

    @staticmethod
    def import_name(kernel: str) -> str:
        """A kernel's name with its version, as the engine exports it."""
        return f"{kernel}@{_C.KERNEL_VERSIONS[kernel]}"

    def number(self, kernel: str) -> int:
        """The function index of a kernel: imports come first."""
        name = self.import_name(kernel)
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


class Numbers:
    """The locals that hold what varies; ``prologue`` computes them."""

    def __init__(self, method: Lowered):
        self.prologue = bytearray()
        self._locals: dict[Expression, int] = {}
        if method.varying is not None:
            graph = method.graph
            before = len(graph.inputs) + len(graph.outputs) + len(method.states)
            for i, symbol in enumerate(method.varying.symbols):
                load = wasm.local_get(_CALL) + wasm.i32_load(4 * (before + i))
                self._keep(symbol.name, load)

    @property
    def count(self) -> int:
        return len(self._locals)

    def push(self, expression: Expression) -> bytes:
        """Pushes the number, which is computed once in the prologue."""
        if isinstance(expression, int):
            return wasm.i32_const(expression)
        if expression not in self._locals:
            operator, a, b = expression
            left, right = self.push(a), self.push(b)
            if operator == "max":
                code = left + right + left + right + wasm.I32_GT_U + wasm.SELECT
            else:
                code = left + right + _OPERATORS[operator]
            self._keep(expression, code)
        return wasm.local_get(self._locals[expression])

    def _keep(self, expression: Expression, code: bytes) -> None:
        self._locals[expression] = _FIRST_NUMBER + len(self._locals)
        self.prologue += code + wasm.local_set(self._locals[expression])

    def store(self, patch: Patch, at: int) -> bytes:
        """Stores a number of the struct at ``at`` of the constants block."""
        place = wasm.local_get(_CONSTANTS)
        if isinstance(patch.value, Quotient):
            value = self._double(patch.value.numerator)
            if patch.value.denominator != 1:
                value += self._double(patch.value.denominator) + wasm.F64_DIV
            return place + value + wasm.f64_store(at + patch.offset)
        value = self.push(patch.value)
        if patch.kind == "i64":
            return place + value + wasm.I64_EXTEND_I32_S + wasm.i64_store(at + patch.offset)
        return place + value + wasm.i32_store(at + patch.offset)

    def _double(self, expression: Expression) -> bytes:
        return self.push(expression) + wasm.F64_CONVERT_I32_S


_OPERATORS = {
    "+": wasm.I32_ADD,
    "-": wasm.I32_SUB,
    "*": wasm.I32_MUL,
    "floordiv": wasm.I32_DIV_U,
}


def emit_method(method: Lowered, weights: Weights, constants: Constants, kernels: Kernels) -> bytes:
    """The body of a function that makes a method's launches."""
    bases = bytearray()
    for local, source in ((_WEIGHTS, WEIGHTS), (_CONSTANTS, CONSTANTS), (_ARENA, ARENA)):
        bases += wasm.global_get(source) + wasm.local_set(local)
    numbers, code = Numbers(method), bytearray()
    for i, launch in enumerate(method.launches):
        filled = template(launch.kernel, launch.fields)
        at = constants.add(filled.data)
        for offset, tensor in filled.addresses:
            code += wasm.local_get(_CONSTANTS)
            code += _address(tensor, method, weights, numbers)
            code += wasm.i32_store(at + offset)
        if method.varying is not None:
            code += b"".join(numbers.store(patch, at) for patch in method.varying.patches[i])
        code += wasm.local_get(_CONSTANTS) + wasm.i32_const(at) + wasm.I32_ADD
        code += wasm.call(kernels.number(launch.kernel)) + wasm.local_tee(_STATUS)
        code += wasm.IF + wasm.local_get(_STATUS) + wasm.i32_const(launch.node << 8)
        code += wasm.I32_OR + wasm.RETURN + wasm.END
    code += wasm.i32_const(0)
    return wasm.function_body(4 + numbers.count, bytes(bases + numbers.prologue + code))


def _address(tensor: PlanTensor, method: Lowered, weights: Weights, numbers: Numbers) -> bytes:
    """Pushes the address of element (0, ..., 0)."""
    buffer, varying, graph = tensor.buffer, method.varying, method.graph
    place: Expression = buffer.index
    offset: Expression = tensor.storage_offset() * tensor.itemsize
    if varying is not None:
        place, offset = varying.places[id(buffer)], varying.offsets[id(tensor)]
    if buffer.kind == "arena":
        base, offset = wasm.local_get(_ARENA), add(offset, place)
    elif buffer.kind == "weight":
        base, offset = wasm.local_get(_WEIGHTS), add(offset, weights.all[buffer.index].offset)
    else:
        before = {"input": 0, "output": len(graph.inputs)}
        before["state"] = before["output"] + len(graph.outputs)
        base = wasm.local_get(_CALL) + wasm.i32_load(4 * (before[buffer.kind] + buffer.index))
    return base if offset == 0 else base + numbers.push(offset) + wasm.I32_ADD


def module_sections(kernels: Kernels, bodies: dict[str, bytes]) -> bytes:
    """The type, import, function, export and code sections of functions with these bodies."""
    method_type = 0
    imports = [
        wasm.import_shared_memory("env", "memory", 1, 65536),
        wasm.import_global("env", "weights", wasm.I32),
        wasm.import_global("env", "constants", wasm.I32),
        wasm.import_global("env", "arena", wasm.I32, mutable=True),
        *(wasm.import_function("kernel", name, method_type) for name in kernels.names),
    ]
    first = len(kernels.names)
    exports = [wasm.export_function(name, first + i) for i, name in enumerate(bodies)]
    return b"".join(
        (
            wasm.section(wasm.TYPE, wasm.vector([wasm.function_type(wasm.I32, wasm.I32)])),
            wasm.section(wasm.IMPORT, wasm.vector(imports)),
            wasm.section(wasm.FUNCTION, wasm.vector(wasm.unsigned(method_type) for _ in bodies)),
            wasm.section(wasm.EXPORT, wasm.vector(exports)),
            wasm.section(wasm.CODE, wasm.vector(bodies.values())),
        )
    )
