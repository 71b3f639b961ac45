"""The op table: a row states an operation once, and everything else derives from it.

A row is declared with its ATen schema, the kernel, and the formulas of its gradients:

    @op("mm(Tensor self, Tensor mat2) -> Tensor",
        vjp={"self": lambda grad, mat2: grad @ mat2.t(),
             "mat2": lambda grad, self: self.t() @ grad})
    def mm(self, mat2): ...

The kernel gets the bound and converted arguments in the schema's order and returns new tensors
(or views) without history. A formula is written in differentiable operations, so that double
backward works, and says by the names of its parameters what it needs:

``grad``            gradient of the first output (zeros where nothing flows back)
``grads``           gradients of all outputs, None where nothing flows back
``result``, ``result0``, ``result1``, ...   outputs
``needs``           which of the key's arguments want a gradient
``X``               the value of argument X
``X_size``, ``X_dtype``   shape and dtype of tensor argument X, which is then not kept alive
                          (for a list of tensors: lists)
``X_stride``, ``X_offset``   strides and storage offset of tensor argument X

A key may name several arguments, "input, weight, bias": the formula returns one gradient each.
A gradient is summed down to the argument's shape and cast to its dtype, so formulas need not
think of broadcasting or type promotion.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from inspect import cleandoc
from typing import Any, ClassVar

from wasm_torch import _C
from wasm_torch.ops._convert import (
    Mismatch,
    check,
    check_tensor,
    converter,
    is_int,
    type_name,
)
from wasm_torch.ops._schema import REQUIRED, Schema, parse
from wasm_torch.ops._writing import run_inplace, write_out
from wasm_torch.return_types import return_type

#: Every row by its qualified name, such as ``add.Tensor``.
TABLE: dict[str, Op] = {}
#: Every public operation by name: the function that users call.
FUNCTIONS: dict[str, Callable[..., Any]] = {}
#: What becomes a method of Tensor.
METHODS: dict[str, Callable[..., Any]] = {}

_grad_enabled = _C.grad_enabled
_set_grad_enabled = _C.set_grad_enabled
_record = _C.record
_get_mode = _C.get_mode
_OUTPUT = re.compile(r"result(\d*)$")


def _camel(name: str) -> str:
    """As torch names nodes: `max_pool2d_with_indices` is `MaxPool2DWithIndices`."""
    return name.title().replace("_", "")


class Formula:
    """The gradient of one or more arguments, and what it needs."""

    __slots__ = ("arguments", "function", "needs", "parameters")

    def __init__(self, row: Op, key: str, function: Callable[..., Any]):
        names = [argument.name for argument in row.schema.arguments]
        self.arguments = tuple(names.index(part.strip()) for part in key.split(","))
        self.function = function
        code = function.__code__
        parameters = code.co_varnames[: code.co_argcount]
        self.parameters = tuple(_read_parameter(row, names, parameter) for parameter in parameters)
        self.needs = "needs" in parameters

    def masks(self) -> tuple[int, int]:
        """Masks of the arguments and of the outputs whose values this formula reads."""
        saved = outputs = 0
        for kind, position in self.parameters:
            if kind == "value":
                saved |= 1 << position
            elif kind == "output":
                outputs |= 1 << position
        return saved, outputs


def _read_parameter(row: Op, names: list[str], parameter: str) -> tuple[str, int]:
    if parameter in ("grad", "grads", "needs"):
        return parameter, 0
    if parameter in names:
        return "value", names.index(parameter)
    for suffix in ("size", "dtype", "stride", "offset"):
        stem = parameter.removesuffix(f"_{suffix}")
        if stem != parameter and stem in names:
            return suffix, names.index(stem)
    match = _OUTPUT.match(parameter)
    if match is None:
        raise ValueError(f"{row.schema.qualified_name}: a formula cannot ask for {parameter!r}")
    return "output", int(match.group(1) or 0)


class Op(_C.OpBase):
    """One row of the table. Calling it runs the operation on user-level arguments."""

    def __init__(
        self,
        schema: Schema,
        kernel: Callable[..., Any],
        vjp: dict[str, Callable[..., Any]],
        family: str,
        node: str,
        wrapped_numbers: bool,
        doc: str,
    ):
        self.schema = schema
        self.kernel = kernel
        self.doc = doc
        self.family = family
        self.formulas = tuple(Formula(self, key, function) for key, function in vjp.items())
        wants: dict[int, tuple[int, int]] = {}
        for formula in self.formulas:
            for position in formula.arguments:
                saved, outputs = wants.get(position, (0, 0))
                more_saved, more_outputs = formula.masks()
                wants[position] = (saved | more_saved, outputs | more_outputs)
        arguments = schema.arguments
        tensors = sum(1 << i for i, a in enumerate(arguments) if a.is_tensor)
        super().__init__(schema.qualified_name, node, wants, tensors)
        self.converters = [converter(a.type, wrapped_numbers) for a in arguments]
        self.defaults = [a.default for a in arguments]
        self.positional = sum(not a.keyword_only for a in arguments)
        self.position = {a.name: i for i, a in enumerate(arguments)}
        # `x.view(2, 3)`: one list of ints as the only argument (after self) may be spread out.
        lists = [i for i, a in enumerate(arguments) if a.type == "int[]" and not a.keyword_only]
        self.spread = lists[0] if lists and lists[0] in (0, 1) else -1
        names = schema.return_names
        unnamed = not all(names) or names[0].startswith("result")
        self.result_type = None if len(names) < 2 or unnamed else return_type(schema.name, names)
        self.differentiable = bool(wants)
        self.saves_first = any(saved & 1 for saved, _ in wants.values())

    # ---- arguments ---------------------------------------------------------------------------
    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The values of all arguments in the schema's order, checked and converted."""
        count = len(args)
        if count > self.positional or (count > self.spread >= 0 and type(args[self.spread]) is int):
            args = self._collapse(args)
            count = len(args)
        values = [*args, *self.defaults[count:]]
        for name, value in kwargs.items():
            position = self.position.get(name)
            if position is None:
                position = self._alias(name)
            if position < count:
                raise TypeError(f"{self.schema.name}() got multiple values for argument '{name}'")
            values[position] = value
        try:
            for i, convert in enumerate(self.converters):
                value = values[i]
                if value is not None or self.defaults[i] is not None:
                    values[i] = convert(value)
        except Mismatch as mismatch:
            raise self._argument_error(i, mismatch, count) from None
        return values

    def _collapse(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        at = self.spread
        if at >= 0 and args[at:] and is_int(args[at]):
            return (*args[:at], tuple(args[at:]))
        if len(args) <= self.positional:
            return args
        name = self.schema.name
        own = int(at == 1)  # sizes are spread in methods alone, whose self torch does not count
        plural = "argument" if self.positional - own == 1 else "arguments"
        given = f"{len(args) - own} {'was' if len(args) - own == 1 else 'were'}"
        takes = f"takes {self.positional - own} positional {plural}"
        raise TypeError(f"{name}() {takes} but {given} given")

    _ALIASES: ClassVar[dict[str, str]] = {
        "input": "self",
        "axis": "dim",
        "x": "self",
        "x2": "other",
        "keepdims": "keepdim",
    }

    def _alias(self, name: str) -> int:
        position = self.position.get(self._ALIASES.get(name, ""))
        if position is None and name == "axis":
            position = self.position.get("dims")
        if position is None:
            raise TypeError(f"{self.schema.name}() got an unexpected keyword argument '{name}'")
        return position

    def _argument_error(self, position: int, mismatch: Mismatch, given: int) -> TypeError:
        argument = self.schema.arguments[position]
        name = "input" if argument.name == "self" else argument.name
        if mismatch.value is REQUIRED:
            missing = [
                ("input" if a.name == "self" else a.name)
                for i, a in enumerate(self.schema.arguments)
                if a.default is REQUIRED and i >= given and i >= position
            ]
            # The ending is torch's: "1 required positional arguments", "2 ... argument".
            plural = "arguments" if len(missing) == 1 else "argument"
            listed = ", ".join(f'"{name}"' for name in missing)
            return TypeError(
                f"{self.schema.name}() missing {len(missing)} required positional {plural}: "
                f"{listed}"
            )
        place = position + 1 if position < given else None
        return TypeError(mismatch.describe(self.schema.name, name, place))

    # ---- running -----------------------------------------------------------------------------
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self.bind(args, kwargs))

    def run(self, values: list[Any]) -> Any:
        """Runs the operation on bound arguments and records it."""
        mode = _get_mode()
        if mode is not None:
            return mode(self, values)
        if not _grad_enabled():
            result = self.kernel(*values)
        else:
            _set_grad_enabled(False)
            try:
                result = self.kernel(*values)
            finally:
                _set_grad_enabled(True)
            if self.differentiable:
                _record(self, tuple(values), result)
        if self.result_type is not None and type(result) is tuple:
            return self.result_type(*result)
        return result

    # ---- backward ----------------------------------------------------------------------------
    def backward(self, node: Any, grads: list[Any]) -> list[Any]:
        """Gradients for the node's edges from those of its outputs (None: nothing flows)."""
        values, outputs = node.unpack()
        metadata = node.metadata
        wanted = [function is not None for function, _ in node.next_functions]
        spans = _edge_spans(self, node)
        results: list[Any] = [None] * len(metadata)
        for formula in self.formulas:
            needs = tuple(any(wanted[spans[p]]) for p in formula.arguments)
            if not any(needs):
                continue
            arguments = [
                _formula_argument(
                    kind, position, grads, node, needs, values, outputs, metadata, spans
                )
                for kind, position in formula.parameters
            ]
            gradient = formula.function(*arguments)
            if len(formula.arguments) == 1:
                gradient = (gradient,)
            for position, value in zip(formula.arguments, gradient, strict=True):
                span = spans[position]
                if value is None:
                    continue
                if self.schema.arguments[position].type in ("Tensor[]", "Tensor?[]"):
                    results[span] = list(value)
                else:
                    results[span.start] = value
        return results


def _edge_spans(row: Op, node: Any) -> dict[int, slice]:
    """Where the edges of each differentiable argument lie: only lists have other than one."""
    positions = sorted({p for formula in row.formulas for p in formula.arguments})
    lists = [p for p in positions if row.schema.arguments[p].type in ("Tensor[]", "Tensor?[]")]
    edges = len(node.metadata)
    spans, start = {}, 0
    for position in positions:
        length = edges - len(positions) + 1 if position in lists else 1
        spans[position] = slice(start, start + length)
        start += length
    return spans


def _formula_argument(
    kind: str,
    position: int,
    grads: list[Any],
    node: Any,
    needs: tuple[bool, ...],
    values: dict[int, Any],
    outputs: dict[int, Any],
    metadata: tuple[Any, ...],
    spans: dict[int, slice],
) -> Any:
    if kind == "grad":
        return grads[0] if grads[0] is not None else _zeros(node.output_metadata[0])
    if kind == "grads":
        return grads
    if kind == "needs":
        return needs
    if kind == "value":
        return values[position] if position in values else node.op.defaults[position]
    if kind == "output":
        return outputs[position]
    span = spans[position]
    if kind in ("stride", "offset"):
        return node.geometry(span.start)[kind == "offset"]
    which = 0 if kind == "size" else 1
    if node.op.schema.arguments[position].type in ("Tensor[]", "Tensor?[]"):
        return [None if m is None else m[which] for m in metadata[span]]
    found = metadata[span.start]
    return None if found is None else found[which]


def _zeros(metadata: tuple[Any, Any]) -> Any:
    return FUNCTIONS["zeros"](metadata[0], dtype=metadata[1])


# ---- declaring ---------------------------------------------------------------------------------
def op(
    schema: str,
    *,
    vjp: dict[str, Callable[..., Any]] | Callable[..., Any] | None = None,
    family: str = "custom",
    node: str | None = None,
    wrapped_numbers: bool = False,
    function: bool = True,
    method: bool = True,
    inplace: bool = False,
    doc: str = "",
) -> Callable[[Callable[..., Any]], Op]:
    """Declares a row; the decorated function is its kernel, and has the docstring of the operation
    (``doc`` where the same function makes several rows). Raises ValueError where there is none.

    ``vjp`` maps argument names to formulas (a callable alone: the formula of the first argument).
    ``function`` and ``method`` say where the operation is public. ``inplace`` adds ``name_``.
    ``wrapped_numbers`` lets a number stand where the schema has a tensor. ``node`` is the name of
    backward nodes, where it is not ``<Name>Backward0``.
    """
    parsed = parse(schema)

    def declare(kernel: Callable[..., Any]) -> Op:
        formulas = vjp or {}
        if callable(formulas):
            formulas = {parsed.arguments[0].name: formulas}
        node_name = node or f"{_camel(parsed.name)}Backward0"
        text = doc or cleandoc(kernel.__doc__ or "")
        if not text:
            raise ValueError(f"{parsed.qualified_name} has no docstring")
        row = Op(parsed, kernel, formulas, family, node_name, wrapped_numbers, text)
        if parsed.qualified_name in TABLE:
            raise ValueError(f"{parsed.qualified_name} is declared twice")
        TABLE[parsed.qualified_name] = row
        publish(parsed.name, row, function=function, method=method)
        if inplace:
            publish_inplace(parsed.name, function=function, method=method)
        describe(parsed.name)
        return row

    return declare


class Packet:
    """The overloads of one name: the first whose arguments fit is called."""

    __slots__ = ("name", "overloads")

    def __init__(self, name: str):
        self.name = name
        self.overloads: list[Op] = []

    def __iter__(self) -> Iterator[Op]:
        return iter(self.overloads)

    def select(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Op, list[Any]]:
        """The overload that takes these arguments, and its bound values."""
        overloads = self.overloads
        if len(overloads) == 1:
            return overloads[0], overloads[0].bind(args, kwargs)
        for row in overloads:
            try:
                return row, row.bind(args, kwargs)
            except TypeError:
                continue
        raise TypeError(self._no_overload(args, kwargs))

    def _no_overload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        given = [type_name(v) for v in args] + [f"{k}={type_name(v)}" for k, v in kwargs.items()]
        lines = [
            f"{self.name}() received an invalid combination of arguments - got "
            f"({', '.join(given)}), but expected one of:"
        ]
        for row in self.overloads:
            listed = ", ".join(
                f"{a.type.replace('int[]', 'tuple of ints')} "
                f"{'input' if a.name == 'self' else a.name}"
                for a in row.schema.arguments
            )
            lines.append(f" * ({listed})")
        return "\n".join(lines)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the operation; ``out=`` writes the result into given tensors."""
        if "out" in kwargs:
            out = kwargs.pop("out")
            if out is not None:
                return write_out(self.name, out, lambda: self.call(*args, **kwargs), args)
        row, values = self.select(args, kwargs)
        return row.run(values)

    def call_inplace(self, *args: Any, **kwargs: Any) -> Any:
        """Writes the result into the first argument."""
        row, values = self.select(args, kwargs)
        return run_inplace(row, values)


PACKETS: dict[str, Packet] = {}


def _function(packet: Packet, call: Callable[..., Any], name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.packet = packet  # type: ignore[attr-defined]
    return function


def publish(name: str, row: Op, *, function: bool, method: bool) -> None:
    """Adds a row to the overloads of ``name``."""
    packet = PACKETS.get(name)
    if packet is None:
        packet = PACKETS[name] = Packet(name)
    packet.overloads.append(row)
    if function and name not in FUNCTIONS:
        FUNCTIONS[name] = _function(packet, packet.call, name)
    if method and row.schema.arguments and row.schema.arguments[0].is_tensor:
        METHODS.setdefault(name, FUNCTIONS.get(name) or _function(packet, packet.call, name))


def describe(name: str) -> None:
    """The docstrings of a packet's function, method and in-place forms: schemas, then words."""
    rows = PACKETS[name].overloads
    words = "\n".join(dict.fromkeys(row.doc for row in rows))
    for public, lead in ((name, ""), (f"{name}_", "Writes into ``self``, and returns it:\n")):
        schemas = "\n".join(public + row.schema.signature for row in rows)
        for table in (FUNCTIONS, METHODS):
            call = table.get(public)
            if call is not None and hasattr(call, "packet"):
                call.__doc__ = f"{schemas}\n\n{lead}{words}"


def publish_inplace(name: str, *, function: bool, method: bool) -> None:
    """Adds ``name_``, which writes into its first argument."""
    packet, inplace = PACKETS[name], f"{name}_"
    if inplace in METHODS:
        return
    call = _function(packet, packet.call_inplace, inplace)
    if method:
        METHODS[inplace] = call
    if function:
        FUNCTIONS[inplace] = call


def alias(new: str, name: str) -> None:
    """Makes an operation public under a second name as well, in place too where it has that."""
    for table in (FUNCTIONS, METHODS):
        for suffix in ("", "_"):
            if name + suffix in table:
                table[new + suffix] = table[name + suffix]


def composite(
    name: str | None = None, *, function: bool = True, method: bool = False, inplace: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function written in terms of operations public: no row, no formula of its own.

    ``inplace`` adds ``name_``, which copies the result into the first argument.
    A public composite takes ``out=``.
    """

    def declare(body: Callable[..., Any]) -> Callable[..., Any]:
        public = name or body.__name__

        def call(*args: Any, **kwargs: Any) -> Any:
            out = kwargs.pop("out", None)
            if "input" in kwargs and first == "self":
                args = (kwargs.pop("input"), *args)
            try:
                if out is not None:
                    return write_out(public, out, lambda: body(*args, **kwargs), args)
                return body(*args, **kwargs)
            except AttributeError as error:
                _check_misfit(body, public, error, args)
                raise

        first = body.__code__.co_varnames[0] if body.__code__.co_argcount else ""
        call.__name__ = call.__qualname__ = public
        call.__doc__ = body.__doc__
        call.__wrapped__ = body  # type: ignore[attr-defined]
        if function:
            FUNCTIONS[public] = call
        if method:
            METHODS[public] = call
        if inplace:
            replaced = _composite_inplace(call, f"{public}_")
            METHODS[f"{public}_"] = replaced
            if function:
                FUNCTIONS[f"{public}_"] = replaced
        return call

    return declare


def _check_misfit(
    function: Callable[..., Any], name: str, error: AttributeError, args: tuple[Any, ...]
) -> None:
    """Raises torch's TypeError where an argument was used as a tensor and is none."""
    code = function.__code__
    for index, value in enumerate(args):
        parameter = code.co_varnames[min(index, max(code.co_argcount - 1, 0))]
        parameter = "input" if parameter == "self" else parameter
        if isinstance(value, _C.TensorBase):
            continue
        if value is error.obj:
            check("Tensor", name, parameter, index + 1, value)
        elif isinstance(value, (tuple, list)) and any(item is error.obj for item in value):
            check("Tensor[]", name, parameter, index + 1, value)


def naming_misfits(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function in Python whose error names the argument that is no tensor, as torch's does."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except AttributeError as error:
            _check_misfit(function, function.__name__, error, args)
            raise

    return call


def _composite_inplace(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    def inplace(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_tensor(name, "input", 1, self)
        source = self.clone() if _grad_enabled() and self.requires_grad else self
        return self.copy_(call(source, *args, **kwargs))

    inplace.__name__ = inplace.__qualname__ = name
    inplace.__doc__ = f"Writes into ``self``, and returns it:\n{call.__doc__}"
    return inplace


# ---- connecting the C fast paths -----------------------------------------------------------------
#: Fast rows of the extension (FAST_ROWS in tensor.h) that bear another name than their row.
FAST_ROW_NAMES = {
    "add": "add.Tensor",
    "sub": "sub.Tensor",
    "rsub": "rsub.Tensor",
    "mul": "mul.Tensor",
    "div": "div.Tensor",
    "sum_dim": "sum.dim_IntList",
    "mean_dim": "mean.dim",
    "transpose": "transpose.int",
    "select": "select.int",
    "slice": "slice.Tensor",
}


def connect_fast_paths() -> None:
    """Gives the extension the rows that its fast paths record, the general callables, and the
    docstrings of its methods and functions.
    """
    for name in _C.FAST_OPS:
        _C.set_fast_op(name, TABLE[FAST_ROW_NAMES.get(name, name)])
    for name in _C.FAST:
        slow = METHODS.get(name) or FUNCTIONS[name]
        _C.set_slow(name, slow)
        _C.set_doc(name, slow.__doc__)
