"""The tensor class: the extension's geometry and fast paths, and the op table's methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wasm_torch import _C, _interop, _legacy
from wasm_torch._formats import cpu, strided
from wasm_torch.autograd import hooks as _hooks
from wasm_torch.ops import FUNCTIONS, METHODS
from wasm_torch.ops._convert import check_tensor


class Tensor(_C.TensorBase):
    """A multi-dimensional array of one dtype, in the engine's memory.

    Made by ``tensor``, ``zeros``, ``rand``, ... and by operations. Views share storage.
    ``Tensor(2, 3)`` and ``Tensor([1.0, 2.0])`` are of the default dtype.
    """

    __module__ = "wasm_torch"

    def __new__(cls, *args: Any) -> Any:
        if len(args) != 1 or not isinstance(args[0], _C.TensorBase):
            args = (_legacy.construct(_C.get_default_dtype(), args),)
        return _C.TensorBase.__new__(cls, *args)

    def __init__(self, *args: Any) -> None:
        pass

    # ---- autograd ----------------------------------------------------------------------------
    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds gradients to the ``.grad`` of the leaves that this tensor was made from."""
        from wasm_torch.autograd import backward

        backward(self, gradient, retain_graph, create_graph, inputs)

    def detach_(self) -> Tensor:
        """Cuts this tensor from its history, in place."""
        if self._is_view():
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using "
                "DistributedDataParallel (DDP) for training, and gradient_as_bucket_view is set as "
                "True, gradients are views of DDP buckets, and hence detach_() cannot be called on "
                "these gradients. To fix this error, please refer to the Optimizer.zero_grad() "
                "function in torch/optim/optimizer.py as a solution."
            )
        _C.set_history(self, None, 0)
        self.requires_grad = False
        return self

    def register_hook(self, hook: Callable[[Any], Any]) -> Any:
        """Calls ``hook(grad)`` when this tensor's gradient is computed."""
        return _hooks.register_tensor_hook(self, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> Any:
        """Calls ``hook(tensor)`` after a gradient was added to this leaf."""
        return _hooks.register_post_accumulate_grad_hook(self, hook)

    def retain_grad(self) -> None:
        """Keeps the gradient of this non-leaf tensor in ``.grad``."""
        _hooks.retain_grad(self)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Sets ``requires_grad`` in place."""
        if requires_grad and not self.dtype.is_floating_point:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        self.requires_grad = requires_grad
        return self

    # ---- what there is only one of -----------------------------------------------------------
    @property
    def device(self) -> Any:
        """The device: the cpu."""
        return cpu

    @property
    def layout(self) -> Any:
        """The layout: strided."""
        return strided

    is_cpu = True
    is_cuda = is_sparse = is_quantized = is_meta = is_mkldnn = is_mps = is_nested = False
    is_sparse_csr = is_xpu = False
    names = property(lambda self: (None,) * self.ndim, doc="None for each dimension.")
    name = None

    def cpu(self, *args: Any, **kwargs: Any) -> Tensor:
        """The tensor itself: it lives on the cpu."""
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> Tensor:
        """Raises RuntimeError: there is no such device."""
        raise RuntimeError("this build has no device 'cuda': tensors live on the cpu")

    def get_device(self) -> int:
        """-1: the cpu."""
        return -1

    def pin_memory(self, *args: Any) -> Tensor:
        """The tensor itself."""
        return self

    def is_pinned(self, *args: Any) -> bool:
        """False: memory is not pinned."""
        return False

    def is_shared(self) -> bool:
        """False: no other process sees the memory."""
        return False

    def share_memory_(self) -> Tensor:
        """The tensor itself."""
        return self

    # ---- properties --------------------------------------------------------------------------
    @property
    def T(self) -> Tensor:
        """The dims reversed."""
        if self.ndim != 2 and self.ndim != 0:
            import warnings

            warnings.warn(
                "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
                "deprecated and it will throw an error in a future release. Consider `x.mT` to "
                "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` "
                "to "
                "reverse the dimensions of a tensor.",
                UserWarning,
                stacklevel=2,
            )
        return self.permute(tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Tensor:
        """The last two dims swapped."""
        if self.ndim < 2:
            raise RuntimeError(
                "tensor.mT is only supported on matrices or batches of matrices. Got "
                f"{self.ndim}-D tensor."
            )
        return self.transpose(-2, -1)

    H = property(lambda self: self.t(), doc="The transpose of a matrix.")
    mH = property(lambda self: self.mT, doc="The last two dimensions exchanged.")
    real = property(lambda self: self, doc="The tensor itself: nothing is complex.")

    def is_floating_point(self) -> bool:
        """Whether the dtype is a float."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex: never."""
        return False

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return self.dtype.is_signed

    def is_conj(self) -> bool:
        """False: nothing is complex."""
        return False

    def is_neg(self) -> bool:
        """False: negation is never lazy."""
        return False

    def resolve_conj(self) -> Tensor:
        """The tensor itself."""
        return self

    resolve_neg = conj = conj_physical = resolve_conj

    def is_nonzero(self) -> bool:
        """Whether the only element is not zero."""
        if self.numel() != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {'more than one' if self.numel() else 'no'} "
                f"value{'' if self.numel() else 's'} is ambiguous"
            )
        return bool(self.item())

    def is_same_size(self, other: Any) -> bool:
        """Whether the shapes are equal."""
        check_tensor("is_same_size", "other", 1, other)
        return self.shape == other.shape

    def is_set_to(self, other: Any) -> bool:
        """Whether both stand for the same memory in the same way."""
        check_tensor("is_set_to", "tensor", 1, other)
        return (
            self.data_ptr() == other.data_ptr()
            and self.shape == other.shape
            and self.stride() == other.stride()
        )

    def storage_type(self) -> str:
        """The name of the storage's type."""
        return "torch.storage.TypedStorage"

    def untyped_storage(self) -> Any:
        """The storage that this tensor views."""
        from wasm_torch.storage import UntypedStorage

        return UntypedStorage(self)

    def nelement(self) -> int:
        """The number of elements."""
        return self.numel()

    def dim_order(self) -> tuple[int, ...]:
        """The dims from outermost to innermost in memory."""
        return tuple(sorted(range(self.ndim), key=lambda d: -self.stride(d)))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The name of the tensor's type, or a conversion."""
        if dtype is None:
            from wasm_torch.ops._dtypes import scalar_name

            return f"torch.{scalar_name(self.dtype)}Tensor"
        if isinstance(dtype, str):
            dtype = _type_by_name(dtype)
        elif isinstance(dtype, _legacy.TensorType):
            dtype = dtype.dtype
        return self.to(dtype)

    def new(self, *args: Any) -> Tensor:
        """A tensor of this dtype, from sizes or a sequence of numbers."""
        return _legacy.construct(self.dtype, args)

    def apply_(self, function: Callable[[Any], Any]) -> Tensor:
        """Replaces each element by ``function(element)``: slow, for small tensors."""
        values = [function(v) for v in self.detach().reshape(-1).tolist()]
        if values:
            self.copy_(_C.from_data(values, self.dtype).view(tuple(self.shape)))
        return self

    def map_(self, other: Any, function: Callable[[Any, Any], Any]) -> Tensor:
        """Replaces each element by ``function(element, other's element)``."""
        check_tensor("map_", "other", 1, other)
        pairs = zip(self.detach().reshape(-1).tolist(), other.reshape(-1).tolist(), strict=True)
        values = [function(a, b) for a, b in pairs]
        if values:
            self.copy_(_C.from_data(values, self.dtype).view(tuple(self.shape)))
        return self

    # ---- Python ------------------------------------------------------------------------------
    def numpy(self, *, force: bool = False) -> Any:
        """A numpy array: on the desktop over the same memory, in Pyodide a read-only copy.

        Raises RuntimeError where the tensor requires grad, unless ``force``.
        """
        return _interop.to_numpy(self, force)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = _interop.to_numpy(self, False)
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    __array_priority__ = 1000  # numpy leaves its operators to the tensor

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What numpy makes of its results for a tensor, such as that of ``numpy.sin(tensor)``."""
        return _interop.from_array(array.astype("uint8") if array.dtype == bool else array)

    def __dlpack__(self, *, stream: Any = None, **options: Any) -> Any:
        return _interop.to_dlpack(self, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __reversed__(self) -> Tensor:
        return self if self.ndim == 0 else self.flip(0)

    def __contains__(self, element: Any) -> bool:
        if isinstance(element, (Tensor, int, float)):
            matches: Any = element == self
            return bool(matches.any().item())
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from wasm_torch._tensor_str import tensor_str

        return tensor_str(self)

    def __format__(self, spec: str) -> str:
        if self.ndim == 0 and type(self) is Tensor:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
                "because of a torch.nn.utils.weight_norm usage, see "
                "https://github.com/pytorch/pytorch/pull/103001"
            )
        if id(self) in memo:
            return memo[id(self)]
        copy = self.detach().clone()
        if type(self) is not Tensor:
            copy = type(self)(copy)  # type: ignore[assignment]
        copy.requires_grad = self.requires_grad
        if self.grad is not None:
            copy.grad = self.grad.detach().clone()
        memo[id(self)] = copy
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = (self.dtype.name, tuple(self.shape), self.requires_grad, _C.to_bytes(self.detach()))
        return _rebuild, (type(self), *state)

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("tensors are rebuilt by their constructor")

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)) | METHODS.keys())

    def split(self, split_size: Any, dim: int = 0) -> Any:
        """Views of consecutive pieces along ``dim``."""
        return FUNCTIONS["split"](self, split_size, dim)


def _rebuild(kind: type, dtype: str, size: Any, requires_grad: bool, content: bytes) -> Any:
    tensor = _C.from_buffer(bytearray(content), _C.dtype_by_name(dtype), size)
    if kind is not Tensor:
        return kind(tensor, requires_grad)
    return tensor.requires_grad_(requires_grad)


def _type_by_name(name: str) -> Any:
    short = name.removeprefix("torch.")
    if short not in _legacy.DTYPES:
        raise ValueError(f"invalid type: '{name}'")
    return _legacy.DTYPES[short]


def _install() -> None:
    own = vars(Tensor)
    base = set(dir(_C.TensorBase))
    for name, method in METHODS.items():
        if name not in own and name not in base:
            setattr(Tensor, name, method)
    Tensor.__rdiv__ = METHODS["rdiv"]  # type: ignore[attr-defined]


_install()
_C.set_tensor_class(Tensor)
_C.set_handlers(from_array=_interop.from_array)
