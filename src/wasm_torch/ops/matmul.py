"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasm_torch import _C
from wasm_torch.ops import _kernels as k
from wasm_torch.ops._convert import check_tensor
from wasm_torch.ops._dtypes import C_NAMES, scalar_name
from wasm_torch.ops._table import FUNCTIONS, METHODS, composite, op


def gemm(out: Any, a: Any, b: Any, bias: Any = None, alpha: float = 1.0, beta: float = 0.0) -> Any:
    """``out = beta * bias + alpha * a @ b`` for 3-d operands; sizes are checked by the caller."""
    if out.numel():
        k.launch("gemm", out, a, b, bias, alpha, beta)
    return out


def batched(t: Any) -> Any:
    """A matrix as a batch of one."""
    return _C.as_strided(t, (1, *t.shape), (0, *t.stride()), t.storage_offset())


def _check_dtypes(a: Any, b: Any) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{C_NAMES[a.dtype.name]} != {C_NAMES[b.dtype.name]}"
        )


@op(
    "mm(Tensor self, Tensor mat2) -> Tensor",
    family="matmul",
    vjp={
        "self": lambda grad, mat2: grad.mm(mat2.t()),
        "mat2": lambda grad, self: self.t().mm(grad),
    },
)
def mm(self: Any, mat2: Any) -> Any:
    """The product (M, N) of the matrices (M, K) and (K, N) of one dtype."""
    if self.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if mat2.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    _check_product(self, mat2)
    out = k.empty((self.shape[0], mat2.shape[1]), self.dtype)
    if self.shape[1] == 0:
        return k.fill(out, 0)
    gemm(batched(out), batched(self), batched(mat2))
    return out


def _check_product(a: Any, b: Any) -> None:
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{b.shape[0]}x{b.shape[1]})"
        )
    _check_dtypes(a, b)
    if a.dtype is _C.bool:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def _times(value: Any, factor: Any) -> Any:
    return value if factor == 1 else value * factor


def _alpha_beta(dtype: Any, alpha: Any, beta: Any) -> tuple[float, float]:
    if not dtype.is_floating_point:
        for name, value in (("beta", beta), ("alpha", alpha)):
            if isinstance(value, float):
                raise RuntimeError(
                    f"For integral input tensors, argument {name} must not be a floating point "
                    "number."
                )
    return float(alpha), float(beta)


@op(
    "addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    family="matmul",
    inplace=True,
    vjp={
        "self": lambda grad, beta: _times(grad, beta),
        "mat1": lambda grad, mat2, alpha: _times(grad.mm(mat2.t()), alpha),
        "mat2": lambda grad, mat1, alpha: _times(mat1.t().mm(grad), alpha),
    },
)
def addmm(self: Any, mat1: Any, mat2: Any, beta: Any, alpha: Any) -> Any:
    """beta * self + alpha * (mat1 @ mat2), of (M, K) and (K, N); ``self`` broadcasts to (M, N)."""
    _check_same_dtype("self", self, mat2)
    _check_same_dtype("mat1", mat1, mat2)
    if mat1.ndim != 2 or mat2.ndim != 2:
        which = "mat1" if mat1.ndim != 2 else "mat2"
        raise RuntimeError(
            f"{which} must be a matrix, got {(mat1 if mat1.ndim != 2 else mat2).ndim}-D tensor"
        )
    _check_product(mat1, mat2)
    size = (mat1.shape[0], mat2.shape[1])
    bias = batched(_expanded(self, size))
    alpha, beta = _alpha_beta(mat1.dtype, alpha, beta)
    out = k.empty(size, mat1.dtype)
    if mat1.shape[1] == 0:
        return _scaled_bias(out, _expanded(self, size), beta)
    gemm(batched(out), batched(mat1), batched(mat2), bias, alpha, beta)
    return out


def _check_same_dtype(name: str, a: Any, b: Any) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name} and mat2 must have the same dtype, but got {scalar_name(a.dtype)} and "
            f"{scalar_name(b.dtype)}"
        )


def _scaled_bias(out: Any, bias: Any, beta: float) -> Any:
    if beta == 0:
        return k.fill(out, 0)
    _C.copy_into(out, bias if beta == 1 else k.binary("mul", bias, beta))
    return out


def _expanded(self: Any, size: Sequence[int]) -> Any:
    extra = len(size) - self.ndim
    for d, own in enumerate(self.shape):
        if extra < 0 or own not in (1, size[d + extra]):
            raise RuntimeError(
                "The expanded size of the tensor "
                f"({size[d + extra] if extra >= 0 else size[-1]}) must "
                f"match the existing size ({own}) at non-singleton dimension {max(d + extra, 0)}.  "
                f"Target sizes: {list(size)}.  Tensor sizes: {list(self.shape)}"
            )
    return k.expand_to(self, size)


@op(
    "bmm(Tensor self, Tensor mat2) -> Tensor",
    family="matmul",
    vjp={
        "self": lambda grad, mat2: grad.bmm(mat2.transpose(1, 2)),
        "mat2": lambda grad, self: self.transpose(1, 2).bmm(grad),
    },
)
def bmm(self: Any, mat2: Any) -> Any:
    """The products (B, M, N) of the matrices of two batches, (B, M, K) and (B, K, N)."""
    _check_batches(self, mat2)
    out = k.empty((self.shape[0], self.shape[1], mat2.shape[2]), self.dtype)
    if self.shape[2] == 0:
        return k.fill(out, 0)
    return gemm(out, self, mat2)


def _check_batches(a: Any, b: Any) -> None:
    if a.ndim != 3 or b.ndim != 3:
        name = "batch1" if a.ndim != 3 else "batch2"
        raise RuntimeError(f"{name} must be a 3D tensor")
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{a.shape[0]}, {a.shape[2]}] but got: [{b.shape[0]}, {b.shape[1]}]."
        )
    _check_dtypes(a, b)


@op(
    "baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> "
    "Tensor",
    family="matmul",
    inplace=True,
    vjp={
        "self": lambda grad, beta: _times(grad, beta),
        "batch1": lambda grad, batch2, alpha: _times(grad.bmm(batch2.transpose(1, 2)), alpha),
        "batch2": lambda grad, batch1, alpha: _times(batch1.transpose(1, 2).bmm(grad), alpha),
    },
)
def baddbmm(self: Any, batch1: Any, batch2: Any, beta: Any, alpha: Any) -> Any:
    """beta * self + alpha * (batch1 @ batch2), of (B, M, K) and (B, K, N); ``self`` broadcasts to
    (B, M, N).
    """
    _check_batches(batch1, batch2)
    _check_same_dtype("self", self, batch1)
    size = (batch1.shape[0], batch1.shape[1], batch2.shape[2])
    bias = _expanded(self, size)
    alpha, beta = _alpha_beta(batch1.dtype, alpha, beta)
    out = k.empty(size, batch1.dtype)
    if batch1.shape[2] == 0:
        return _scaled_bias(out, bias, beta)
    return gemm(out, batch1, batch2, bias, alpha, beta)


@composite(method=True, inplace=True)
def addbmm(self: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * self + alpha * sum over the batch of batch1 @ batch2``."""
    product = FUNCTIONS["bmm"](batch1, batch2).sum(0)
    return _combined(self, product, beta, alpha)


def _combined(self: Any, product: Any, beta: Any, alpha: Any) -> Any:
    _alpha_beta(self.dtype, alpha, beta)
    scaled = _times(product, alpha)
    return scaled if beta == 0 else _times(self, beta) + scaled


@op(
    "mv(Tensor self, Tensor vec) -> Tensor",
    family="matmul",
    vjp={"self": lambda grad, vec: grad.outer(vec), "vec": lambda grad, self: self.t().mv(grad)},
)
def mv(self: Any, vec: Any) -> Any:
    """The product (M) of a matrix (M, K) and a vector (K)."""
    if self.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {self.ndim}, {vec.ndim}")
    if self.shape[1] != vec.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({self.shape[0]}), mat ({self.shape[0]}x{self.shape[1]}), "
            "vec "
            f"({vec.shape[0]})"
        )
    column = _C.as_strided(vec, (vec.shape[0], 1), (vec.stride(0), 1), vec.storage_offset())
    return k.reshaped(mm.kernel(self, column), (self.shape[0],))


@composite(method=True, inplace=True)
def addmv(self: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * self + alpha * mat @ vec``."""
    return _combined(self, FUNCTIONS["mv"](mat, vec), beta, alpha)


@op(
    "dot(Tensor self, Tensor tensor) -> Tensor",
    family="matmul",
    vjp={"self": lambda grad, tensor: grad * tensor, "tensor": lambda grad, self: grad * self},
)
def dot(self: Any, tensor: Any) -> Any:
    """The inner product of two vectors of one length."""
    if self.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {self.ndim}D and {tensor.ndim}D tensors")
    if self.dtype is not tensor.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{scalar_name(self.dtype)} and {scalar_name(tensor.dtype)}"
        )
    if self.shape != tensor.shape:
        raise RuntimeError(
            "inconsistent tensor size, expected tensor "
            f"{list(self.shape)} and src {list(tensor.shape)} to have the same number of elements, "
            f"but got {self.numel()} and {tensor.numel()} elements respectively"
        )
    row = _C.as_strided(self, (1, self.shape[0]), (0, self.stride(0)), self.storage_offset())
    column = _C.as_strided(
        tensor, (self.shape[0], 1), (tensor.stride(0), 0), tensor.storage_offset()
    )
    return k.reshaped(mm.kernel(row, column), ())


@composite(method=True)
def vdot(self: Any, other: Any) -> Any:
    """The dot product (of real vectors)."""
    return FUNCTIONS["dot"](self, other)


@composite(method=True)
def outer(self: Any, vec2: Any) -> Any:
    """The outer product of two vectors."""
    if self.ndim != 1 or vec2.ndim != 1:
        which = ("self", self) if self.ndim != 1 else ("vec2", vec2)
        raise RuntimeError(f"outer: Expected 1-D argument {which[0]}, but got {which[1].ndim}-D")
    return self.unsqueeze(1) * vec2


FUNCTIONS["ger"] = METHODS["ger"] = FUNCTIONS["outer"]


@composite(method=True, inplace=True)
def addr(self: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * self + alpha * outer(vec1, vec2)``."""
    if vec1.ndim != 1 or vec2.ndim != 1:
        which = ("vec1", vec1) if vec1.ndim != 1 else ("vec2", vec2)
        raise RuntimeError(f"addr: Expected 1-D argument {which[0]}, but got {which[1].ndim}-D")
    product = vec1.unsqueeze(1) * vec2
    scaled = _times(product, alpha)
    return scaled if beta == 0 else _times(self, beta) + scaled


@composite(method=True)
def matmul(self: Any, other: Any) -> Any:
    """The matrix product with torch's rules: vectors, matrices, and broadcast batches."""
    check_tensor("matmul", "input", 1, self)
    check_tensor("matmul", "other", 2, other)
    a, b = self.ndim, other.ndim
    if a == 0 or b == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D"
        )
    if a == 1 and b == 1:
        return FUNCTIONS["dot"](self, other)
    if a == 2 and b == 1:
        return FUNCTIONS["mv"](self, other)
    if a == 1 and b == 2:
        return FUNCTIONS["mm"](self.unsqueeze(0), other).squeeze(0)
    if a == 2 and b == 2:
        return FUNCTIONS["mm"](self, other)
    if b <= 2 and a >= 3:
        return _fold_left(self, other)
    return _batched_matmul(self, other)


def _fold_left(self: Any, other: Any) -> Any:
    """A stack of matrices times one matrix or vector: one product of all rows."""
    rows = self.reshape((k.numel(self.shape[:-1]), self.shape[-1]))
    if other.ndim == 1:
        return FUNCTIONS["mv"](rows, other).reshape(tuple(self.shape[:-1]))
    product = FUNCTIONS["mm"](rows, other)
    return product.reshape((*self.shape[:-1], other.shape[-1]))


def _batched_matmul(self: Any, other: Any) -> Any:
    left = self.unsqueeze(0) if self.ndim == 1 else self
    right = other.unsqueeze(1) if other.ndim == 1 else other
    try:
        batch = tuple(_C.broadcast_shapes(tuple(left.shape[:-2]), tuple(right.shape[:-2])))
    except RuntimeError as error:
        raise RuntimeError(str(error)) from None
    rows, inner, columns = left.shape[-2], left.shape[-1], right.shape[-1]
    count = k.numel(batch)
    a = left.expand((*batch, rows, inner)).reshape((count, rows, inner))
    b = right.expand((*batch, right.shape[-2], columns)).reshape((count, right.shape[-2], columns))
    product = FUNCTIONS["bmm"](a, b).reshape((*batch, rows, columns))
    if self.ndim == 1:
        product = product.squeeze(-2)
    return product.squeeze(-1) if other.ndim == 1 else product


@composite(function=False, method=True)
def rmatmul(self: Any, other: Any) -> Any:
    """``other @ self``."""
    return FUNCTIONS["matmul"](other, self)


@op(
    "linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor",
    family="matmul",
    function=False,
    method=False,
    node="AddmmBackward0",
    vjp={
        "input": lambda grad, weight: FUNCTIONS["matmul"](grad, weight),
        "weight": lambda grad, input: _linear_weight(grad, input),
        "bias": lambda grad, bias_size: (
            grad.sum(tuple(range(grad.ndim - len(bias_size))))
            if grad.ndim > len(bias_size)
            else grad
        ),
    },
)
def linear(input: Any, weight: Any, bias: Any) -> Any:
    """input @ weight.T + bias, of (..., K), (N, K) and (N): (..., N)."""
    if weight.ndim not in (1, 2):
        raise RuntimeError(
            f"linear(): weight must be a vector or a matrix, got {weight.ndim}-D tensor"
        )
    if input.ndim == 0:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are 0D and {weight.ndim}D"
        )
    matrix = (
        weight
        if weight.ndim == 2
        else _C.as_strided(
            weight, (1, weight.shape[0]), (0, weight.stride(0)), weight.storage_offset()
        )
    )
    inner = input.shape[-1]
    rows = k.numel(input.shape[:-1])
    flat = k.contiguous(input) if input.ndim != 2 else input
    if input.ndim != 2:
        flat = k.reshaped(flat, (rows, inner))
    transposed = _C.as_strided(
        matrix,
        (matrix.shape[1], matrix.shape[0]),
        (matrix.stride(1), matrix.stride(0)),
        matrix.storage_offset(),
    )
    if bias is None:
        out = mm.kernel(flat, transposed)
    else:
        out = addmm.kernel(bias, flat, transposed, 1, 1)
    size = (*input.shape[:-1], matrix.shape[0]) if weight.ndim == 2 else tuple(input.shape[:-1])
    return k.reshaped(out, size)


def _linear_weight(grad: Any, input: Any) -> Any:
    if grad.ndim < input.ndim:
        grad = grad.unsqueeze(-1)
        rows = input.reshape((-1, input.shape[-1]))
        return grad.reshape(-1, 1).t().mm(rows).squeeze(0)
    count = k.numel(input.shape[:-1])
    return grad.reshape((count, grad.shape[-1])).t().mm(input.reshape((count, input.shape[-1])))


@composite()
def chain_matmul(*matrices: Any) -> Any:
    """The product of several matrices in the cheapest order."""
    return FUNCTIONS["linalg_multi_dot"](matrices)


@composite()
def einsum(equation: str, *operands: Any) -> Any:
    """Sums of products by Einstein's convention."""
    from wasm_torch.ops._einsum import einsum as run

    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return run(equation, operands)


@composite()
def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """Contracts dims of two tensors."""
    if isinstance(dims, int):
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    left = [k.wrap_dim(d, a.ndim) for d in left]
    right = [k.wrap_dim(d, b.ndim) for d in right]
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    for d, e in zip(left, right, strict=True):
        if a.shape[d] != b.shape[e]:
            if a.shape[d] == 1:
                b = b.sum(e, True)
            elif b.shape[e] == 1:
                a = a.sum(d, True)
            else:
                raise RuntimeError(
                    f"contracted dimensions need to match, but first has size {a.shape[d]} in dim "
                    f"{d} and second has size {b.shape[e]} in dim {e}"
                )
    free_a = [d for d in range(a.ndim) if d not in left]
    free_b = [d for d in range(b.ndim) if d not in right]
    size = (*(a.shape[d] for d in free_a), *(b.shape[d] for d in free_b))
    inner = k.numel(a.shape[d] for d in left)
    rows, columns = k.numel(a.shape[d] for d in free_a), k.numel(b.shape[d] for d in free_b)
    x = a.permute((*free_a, *left)).reshape((rows, inner)) if a.ndim else a.reshape((1, 1))
    y = b.permute((*right, *free_b)).reshape((inner, columns)) if b.ndim else b.reshape((1, 1))
    return FUNCTIONS["mm"](x, y).reshape(size)


@composite(method=True)
def inner(self: Any, other: Any) -> Any:
    """The sum of products over the last dims."""
    if self.ndim == 0 or other.ndim == 0:
        return self * other
    if self.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(self.shape)} and {list(other.shape)}"
        )
    return FUNCTIONS["tensordot"](self, other, ([-1], [-1]))


@composite(method=True)
def kron(self: Any, other: Any) -> Any:
    """The Kronecker product."""
    ndim = max(self.ndim, other.ndim)
    a = (1,) * (ndim - self.ndim) + tuple(self.shape)
    b = (1,) * (ndim - other.ndim) + tuple(other.shape)
    left = self.reshape(tuple(n for s in a for n in (s, 1)))
    right = other.reshape(tuple(n for s in b for n in (1, s)))
    return (left * right).reshape(tuple(x * y for x, y in zip(a, b, strict=True)))


def _trilinear_gradient(of: int) -> Any:
    """The gradient is a trilinear product as well: what was summed over is expanded, and back."""

    def vjp(
        grad: Any, i1: Any, i2: Any, i3: Any, expand1: Any, expand2: Any, expand3: Any, sumdim: Any
    ) -> Any:
        factors, expanded = [i1, i2, i3], [expand1, expand2, expand3]
        own, factors[of], expanded[of] = expanded[of], grad, sumdim
        return FUNCTIONS["_trilinear"](*factors, *expanded, own)

    return vjp


@op(
    "_trilinear(Tensor i1, Tensor i2, Tensor i3, int[] expand1, int[] expand2, int[] expand3, "
    "int[] sumdim, int unroll_dim=1) -> Tensor",
    family="matmul",
    method=False,
    vjp={f"i{n + 1}": _trilinear_gradient(n) for n in range(3)},
)
def trilinear(
    i1: Any,
    i2: Any,
    i3: Any,
    expand1: Any,
    expand2: Any,
    expand3: Any,
    sumdim: Any,
    unroll_dim: int,
) -> Any:
    """The product of three tensors, each with dims of size 1 at its ``expand``, summed over
    ``sumdim``. ``unroll_dim`` is the dim over which torch loops; it changes nothing.
    """
    product = k.binary("mul", _inserted(i1, expand1), _inserted(i2, expand2))
    product = k.binary("mul", product, _inserted(i3, expand3))
    return _C.reduce(product, _C.REDUCE["sum"], tuple(sumdim)) if sumdim else product


def _inserted(t: Any, dims: Sequence[int]) -> Any:
    """A view with dims of size 1 at ``dims`` of the result."""
    size, stride = list(t.shape), list(t.stride())
    for dim in sorted(dims):
        size.insert(dim, 1)
        stride.insert(dim, 0)
    return _C.as_strided(t, tuple(size), tuple(stride), t.storage_offset())
