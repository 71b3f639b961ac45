"""Derivatives of functions: Jacobians, Hessians and their products with vectors.

``func`` takes tensors and returns a tensor or a tuple of them; ``inputs`` is what it is called
with, a tensor or a tuple. Results follow the nest of inputs and outputs. With ``create_graph`` they
can be differentiated again. With ``strict`` a RuntimeError says where a result does not depend on
an input; otherwise such derivatives are zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.autograd.grad_mode import enable_grad, set_grad_enabled

Tensors = tuple[Any, ...]

_IN_STRICT_MODE = "This is not allowed in strict mode"
_NO_OUTPUT_GRAD = (
    "Output {} of the user-provided function does not require gradients. The outputs must be "
    "computed in a differentiable manner from the input when running in strict mode."
)
_NO_GRADIENT_GRAD = (
    "The gradient with respect to input {} is independent of the inputs of the user-provided "
    f"function. {_IN_STRICT_MODE}."
)
_NO_JACOBIAN_GRAD = (
    "While computing the hessian, found that the jacobian of the user-provided function with "
    f"respect to input {{}} is independent of the input. {_IN_STRICT_MODE}. You should ensure that "
    "your function is twice differentiable and that the jacobian depends on the inputs (this would "
    "be violated by a linear function for example)."
)
_UNUSED = (
    f"The output of the user-provided function is independent of input {{}}. {_IN_STRICT_MODE}."
)


# ---- arguments -----------------------------------------------------------------------------------
def _tuple(value: Any, name: str, function: str) -> tuple[bool, Tensors]:
    """Whether the value is a tuple, and the tuple of its tensors. TypeError for anything else."""
    is_tuple = isinstance(value, tuple)
    tensors = value if is_tuple else (value,)
    for i, tensor in enumerate(tensors):
        if not isinstance(tensor, _C.TensorBase):
            found = f"value at index {i}" if is_tuple else f"given {name}"
            raise TypeError(
                f"The {name} given to {function} must be either a Tensor or a tuple of Tensors but "
                f"the {found} has type {type(tensor)}."
            )
    return is_tuple, tensors


def _call(
    func: Callable[..., Any], leaves: Tensors, function: str, strict: bool
) -> tuple[bool, Tensors]:
    is_tuple, outputs = _tuple(func(*leaves), "outputs of the user-provided function", function)
    _require_grad(outputs, strict, _NO_OUTPUT_GRAD)
    return is_tuple, outputs


def _leaves(inputs: Tensors, create_graph: bool, need_graph: bool = True) -> Tensors:
    """The inputs as tensors to differentiate by, cut from their history unless that is wanted."""
    return tuple(
        x.view_as(x)
        if create_graph and x.requires_grad
        else x.detach().requires_grad_(need_graph and x.dtype.is_floating_point)
        for x in inputs
    )


def _vector(
    v: Any, like: Tensors, is_tuple: bool, function: str, create_graph: bool, missing: str
) -> Tensors | None:
    """The vector of a product, checked against the tensors that it has the shapes of."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if the {missing}.")
        return None
    vectors = _leaves(_tuple(v, "v", function)[1], create_graph, need_graph=False)
    if len(vectors) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}."
            if is_tuple
            else "The given v should contain a single Tensor."
        )
    for i, (vector, tensor) in enumerate(zip(vectors, like, strict=True)):
        if vector.shape != tensor.shape:
            entry = f"Entry {i} in " if is_tuple else ""
            raise RuntimeError(
                f"{entry}v has invalid size: should be {tensor.shape} but got {vector.shape}."
            )
    return vectors


_ONE_OUTPUT = "user-provided function returns a single Tensor with a single element"
_ONE_INPUT = "input to the user-provided function is a single Tensor with a single element"


# ---- gradients -----------------------------------------------------------------------------------
def _gradients(
    outputs: Tensors, inputs: Tensors, vectors: Tensors | None = None, **options: Any
) -> Tensors:
    """The gradient of each input, None where no output depends on it."""
    from wasm_torch.autograd import grad

    given = vectors or (None,) * len(outputs)
    pairs = [
        (output, vector)
        for output, vector in zip(outputs, given, strict=True)
        if output is not None and output.requires_grad
    ]
    wanted = [i for i, x in enumerate(inputs) if x.requires_grad]
    result: list[Any] = [None] * len(inputs)
    if pairs and wanted:
        roots, weights = zip(*pairs, strict=True)
        leaves = [inputs[i] for i in wanted]
        for i, gradient in zip(
            wanted, grad(roots, leaves, weights, allow_unused=True, **options), strict=True
        ):
            result[i] = gradient
    return tuple(result)


def _require_grad(tensors: Sequence[Any], strict: bool, text: str) -> None:
    if not strict:
        return
    for i, tensor in enumerate(tensors):
        if tensor is None:
            raise RuntimeError(_UNUSED.format(i))
        if not tensor.requires_grad:
            raise RuntimeError(text.format(i))


def _filled(
    grads: Tensors, like: Tensors, strict: bool, create_graph: bool, unused: str, what: str
) -> Tensors:
    """The gradients with zeros for None, an error in strict mode."""
    from wasm_torch.ops import FUNCTIONS

    for i, gradient in enumerate(grads):
        if strict and gradient is None:
            raise RuntimeError(unused.format(i))
        if strict and create_graph and not gradient.requires_grad:
            raise RuntimeError(
                f"The {what} of the user-provided function is independent of input {i}. "
                f"{_IN_STRICT_MODE} when create_graph=True."
            )
    return tuple(
        FUNCTIONS["zeros_like"](x) if gradient is None else gradient
        for gradient, x in zip(grads, like, strict=True)
    )


def _result(tensors: Tensors, is_tuple: bool, create_graph: bool) -> Any:
    kept = tensors if create_graph else tuple(tensor.detach() for tensor in tensors)
    return kept if is_tuple else kept[0]


def _zeros_to_differentiate_by(like: Tensors) -> Tensors:
    """The vector of a product, in which the product is linear: its derivative by it is the product
    from the other side."""
    from wasm_torch.ops import FUNCTIONS

    return tuple(FUNCTIONS["zeros_like"](x).requires_grad_() for x in like)


# ---- products ------------------------------------------------------------------------------------
def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``(func(*inputs), v @ J)`` with J the Jacobian; ``v`` has the shapes of the outputs."""
    with enable_grad():
        many, given = _tuple(inputs, "inputs", "vjp")
        leaves = _leaves(given, create_graph)
        several, outputs = _call(func, leaves, "vjp", strict)
        vectors = _vector(v, outputs, several, "vjp", create_graph, _ONE_OUTPUT)
    with set_grad_enabled(create_graph or _C.grad_enabled()):
        grads = _gradients(outputs, leaves, vectors, create_graph=create_graph)
        product = _filled(grads, leaves, strict, create_graph, _UNUSED, "jacobian")
    return _result(outputs, several, create_graph), _result(product, many, create_graph)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``(func(*inputs), J @ v)`` with J the Jacobian; ``v`` has the shapes of the inputs.

    Goes backward twice, since forward differentiation is not offered.
    """
    with enable_grad():
        many, given = _tuple(inputs, "inputs", "jvp")
        leaves = _leaves(given, create_graph)
        vectors = _vector(v, leaves, many, "jvp", create_graph, _ONE_INPUT)
        several, outputs = _call(func, leaves, "jvp", strict)
        weights = _zeros_to_differentiate_by(outputs)
        transposed = _gradients(outputs, leaves, weights, create_graph=True)
        _require_grad(transposed, strict, _NO_GRADIENT_GRAD)
    with set_grad_enabled(create_graph or _C.grad_enabled()):
        grads = _gradients(transposed, weights, vectors, create_graph=create_graph)
        unused = (
            "The gradient with respect to the input is independent of entry {} in the "
            "grad_outputs when using the double backward trick to compute forward mode gradients. "
            f"{_IN_STRICT_MODE}."
        )
        product = _filled(grads, outputs, strict, create_graph, unused, "jacobian")
    return _result(outputs, several, create_graph), _result(product, several, create_graph)


def _gradient_of_scalar(
    func: Callable[..., Any], leaves: Tensors, function: str, strict: bool, fill: bool = False
) -> tuple[Tensors, Tensors]:
    """The only output, and the gradient of a scalar function with a graph of its own. With ``fill``
    it has zeros where the output does not depend on an input."""
    several, outputs = _call(func, leaves, function, strict)
    if several:
        raise RuntimeError(f"The function given to {function} should return a single Tensor")
    if outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {function} should contain a single "
            "element"
        )
    gradient = _gradients(outputs, leaves, create_graph=True)
    if fill:
        gradient = _filled(gradient, leaves, False, False, "", "")
    _require_grad(gradient, strict, _NO_JACOBIAN_GRAD)
    return outputs, gradient


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``(func(*inputs), v @ H)`` with H the Hessian of a scalar function."""
    with enable_grad():
        many, given = _tuple(inputs, "inputs", "vhp")
        leaves = _leaves(given, create_graph)
        vectors = _vector(v, leaves, many, "vhp", create_graph, _ONE_INPUT)
        outputs, gradient = _gradient_of_scalar(func, leaves, "vhp", strict)
    with set_grad_enabled(create_graph or _C.grad_enabled()):
        grads = _gradients(gradient, leaves, vectors, create_graph=create_graph)
        unused = (
            "The jacobian of the user-provided function is independent of input {}. "
            f"{_IN_STRICT_MODE}."
        )
        product = _filled(grads, leaves, strict, create_graph, unused, "hessian")
    return _result(outputs, False, create_graph), _result(product, many, create_graph)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """``(func(*inputs), H @ v)`` with H the Hessian of a scalar function. `vhp` is cheaper, and the
    same where the Hessian is symmetric."""
    with enable_grad():
        many, given = _tuple(inputs, "inputs", "hvp")
        leaves = _leaves(given, create_graph)
        vectors = _vector(v, leaves, many, "hvp", create_graph, _ONE_INPUT)
        outputs, gradient = _gradient_of_scalar(func, leaves, "hvp", strict)
        weights = _zeros_to_differentiate_by(leaves)
        transposed = _gradients(gradient, leaves, weights, create_graph=True)
    with set_grad_enabled(create_graph or _C.grad_enabled()):
        grads = _gradients(transposed, weights, vectors, create_graph=create_graph)
        unused = (
            "The hessian of the user-provided function is independent of entry {} in the "
            f"grad_jacobian. {_IN_STRICT_MODE} as it prevents from using the double backward trick "
            "to replace forward mode AD."
        )
        product = _filled(grads, leaves, strict, create_graph, unused, "hessian")
    return _result(outputs, False, create_graph), _result(product, many, create_graph)


# ---- matrices ------------------------------------------------------------------------------------
def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False
) -> Any:
    """The Jacobian: for each output and input, a tensor of shape output.shape + input.shape."""
    with enable_grad():
        many, given = _tuple(inputs, "inputs", "jacobian")
        leaves = _leaves(given, create_graph)
        several, outputs = _call(func, leaves, "jacobian", strict)
        rows = tuple(
            _result(_jacobian_of(output, i, leaves, create_graph, strict), many, create_graph)
            for i, output in enumerate(outputs)
        )
    return rows if several else rows[0]


def _jacobian_of(
    output: Any, number: int, leaves: Tensors, create_graph: bool, strict: bool
) -> Tensors:
    """The derivatives of one output by each input."""
    from wasm_torch.ops import FUNCTIONS

    unused = (
        f"Output {number} of the user-provided function is independent of input {{}}. "
        f"{_IN_STRICT_MODE}."
    )
    flat = output.reshape(-1)
    rows = [
        _filled(
            _gradients((flat[i],), leaves, retain_graph=True, create_graph=create_graph),
            *(leaves, strict, create_graph, unused, "jacobian"),
        )
        for i in range(flat.shape[0])
    ]
    shapes = [tuple(output.shape) + tuple(leaf.shape) for leaf in leaves]
    if not rows:
        return tuple(FUNCTIONS["zeros"](shape, dtype=output.dtype) for shape in shapes)
    return tuple(
        FUNCTIONS["stack"](column).reshape(shape)
        for column, shape in zip(zip(*rows, strict=True), shapes, strict=True)
    )


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False
) -> Any:
    """The Hessian of a scalar function: for each pair of inputs, a tensor of both their shapes."""
    many, _ = _tuple(inputs, "inputs", "hessian")

    def gradient(*leaves: Any) -> Any:
        _, found = _gradient_of_scalar(func, leaves, "hessian", strict, fill=True)
        return found if many else found[0]

    return jacobian(gradient, inputs, create_graph=create_graph, strict=strict)
