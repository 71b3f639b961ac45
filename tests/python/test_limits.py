"""What must not be read, written or counted past its end: sizes, numbers, buffers, nesting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import wasm_torch

OVERFLOWING_VIEWS: list[Callable[[Any], Any]] = [
    lambda t: t.ones(1).expand(2**40, 2**40),
    lambda t: t.ones(1).expand(2**32, 2**31),
    lambda t: t.ones(4).as_strided((2**40, 2**40), (0, 0)),
]


@pytest.mark.parametrize("make", OVERFLOWING_VIEWS)
def test_views_of_uncountable_elements(make: Callable[[Any], Any]) -> None:
    for package in (torch, wasm_torch):
        with pytest.raises(RuntimeError, match="numel: integer multiplication overflow"):
            make(package)


@pytest.mark.parametrize("stride", [2**62, 2**60])
def test_strides_that_overflow_leave_the_storage(stride: int) -> None:
    with pytest.raises(RuntimeError, match=r"overflowed|out of bounds"):
        wasm_torch.ones(4).as_strided((2**4,), (stride,))


@pytest.mark.parametrize("size", [(2**62,), (2**62, 2**62), (2**31, 2**31), (2**70,)])
def test_sizes_beyond_the_memory(size: tuple[int, ...]) -> None:
    bytes_asked = 4
    for length in size:
        bytes_asked *= length
    with pytest.raises(MemoryError, match=rf"{bytes_asked} bytes.*are in use"):
        wasm_torch.empty(size)
    assert wasm_torch.ones(3).sum().item() == 3


def test_empty_tensors_may_have_large_sizes() -> None:
    assert tuple(wasm_torch.empty(0, 2**40).shape) == (0, 2**40)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wasm_torch.ones(4).view(2**70),
        lambda: wasm_torch.ones(4).view((2**70,)),
        lambda: wasm_torch.ones(4).expand(2**70),
        lambda: wasm_torch.ones(4).sum(2**70),
        lambda: wasm_torch.ones(4).sum((0, 2**70)),
        lambda: wasm_torch.ones(4).permute(2**70),
    ],
)
def test_arguments_beyond_a_word(call: Callable[[], Any]) -> None:
    with pytest.raises((RuntimeError, IndexError, TypeError, ValueError, OverflowError)):
        call()


DEEP = [1] * 17
MANY_DIMENSIONS: list[Callable[[], Any]] = [
    lambda: wasm_torch.ones(DEEP),
    lambda: wasm_torch.ones(DEEP[1:]).unsqueeze(0),
    lambda: wasm_torch.ones(DEEP[1:])[None],
    lambda: wasm_torch.ones(1).expand(DEEP),
    lambda: wasm_torch.ones(1).view(DEEP),
    lambda: wasm_torch.stack([wasm_torch.ones(DEEP[1:])] * 2),
    lambda: wasm_torch.broadcast_shapes(DEEP),
    lambda: wasm_torch.ones([2] * 16).unfold(0, 1, 1),
    lambda: wasm_torch.diag_embed(wasm_torch.ones(DEEP[1:])),
    lambda: wasm_torch.tensordot(wasm_torch.ones([1] * 10), wasm_torch.ones([1] * 10), 0),
    lambda: wasm_torch.meshgrid(*[wasm_torch.ones(1)] * 17, indexing="ij"),
]


@pytest.mark.parametrize("make", MANY_DIMENSIONS)
def test_more_dimensions_than_the_engine_has(make: Callable[[], Any]) -> None:
    with pytest.raises(RuntimeError, match="more than 16 dimensions"):
        make()


def test_lists_that_contain_themselves() -> None:
    nested: list[Any] = [1]
    nested.append(nested)
    with pytest.raises(TypeError):
        wasm_torch.tensor(nested)


NUMBERS = [
    ("uint8", 300), ("uint8", -200), ("uint8", -300), ("uint8", -1.0), ("uint8", 255.5),
    ("int8", 128), ("int8", -128), ("int16", 1e6), ("int32", 2**40), ("int32", 2**31 - 0.5),
    ("int64", 1e30), ("int64", float("nan")), ("int64", float("inf")), ("int64", 2**63 - 1),
    ("float32", 1e300), ("float32", float("inf")), ("float16", 1e6), ("float16", float("-inf")),
    ("bfloat16", 1e39), ("bool", 0.5), ("bool", float("nan")), ("bool", 0),
]  # fmt: skip


def _outcome(package: Any, write: Callable[[Any, Any, Any], Any], dtype: str, number: Any) -> Any:
    try:
        return write(package, getattr(package, dtype), number).tolist()
    except RuntimeError as error:
        return str(error)


@pytest.mark.parametrize(("dtype", "number"), NUMBERS)
def test_numbers_that_do_not_fit(dtype: str, number: Any) -> None:
    def full(package: Any, dtype: Any, number: Any) -> Any:
        return package.full((2,), number, dtype=dtype)

    def fill(package: Any, dtype: Any, number: Any) -> Any:
        return package.zeros(2, dtype=dtype).fill_(number)

    for write in (full, fill):
        assert _outcome(wasm_torch, write, dtype, number) == _outcome(torch, write, dtype, number)


@pytest.mark.parametrize("number", [300, -300, 1.5, float("nan")])
def test_assigned_numbers_that_do_not_fit(number: Any) -> None:
    def assign(package: Any, dtype: Any, number: Any) -> Any:
        tensor = package.zeros(2, dtype=dtype)
        tensor[0] = number
        return tensor

    ours, theirs = (_outcome(p, assign, "uint8", number) for p in (wasm_torch, torch))
    assert ours == theirs


def test_storage_that_an_array_shares_does_not_move() -> None:
    tensor = wasm_torch.ones(2)
    array = tensor.numpy()
    with pytest.raises(RuntimeError, match="not resizable"):
        tensor.resize_(1000)
    assert array.tolist() == [1, 1]


def test_buffers_keep_the_order_that_is_asked_for() -> None:
    transposed = wasm_torch.arange(6.0).view(2, 3).t()
    view = memoryview(transposed)
    assert not view.c_contiguous
    assert view.tolist() == transposed.tolist()
    with pytest.raises(BufferError):
        wasm_torch.frombuffer(transposed, dtype=wasm_torch.float32)
    assert bytes(view) == transposed.contiguous().numpy().tobytes()


def test_a_graph_that_saved_numbers_alone_runs_again() -> None:
    for package in (torch, wasm_torch):
        x = package.ones(2, requires_grad=True)
        y = (x + x).sum()
        y.backward()
        y.backward()
        assert x.grad.tolist() == [4, 4]


def test_rows_of_the_table_can_be_freed() -> None:
    from wasm_torch.ops._schema import parse
    from wasm_torch.ops._table import Op

    for _ in range(100):
        Op(
            parse("name(Tensor self) -> Tensor"),
            lambda self: self,
            {},
            "custom",
            "Node0",
            False,
            "",
        )
