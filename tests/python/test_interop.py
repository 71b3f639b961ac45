"""Exchange with numpy, buffers, DLPack and Python's values: on the desktop memory is shared."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from parity import assert_same_failure

import wasm_torch

DTYPES = ["uint8", "int8", "int16", "int32", "int64", "bool", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_numpy_shares_memory(dtype: str) -> None:
    array = np.zeros((2, 3), dtype=dtype)
    tensor = wasm_torch.from_numpy(array)
    assert tensor.dtype is getattr(wasm_torch, dtype)
    array[1, 2] = 1
    assert tensor[1, 2].item() == 1
    tensor[0, 0] = 1
    assert array[0, 0] == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_shares_memory(dtype: str) -> None:
    tensor = wasm_torch.zeros(3, 2, dtype=getattr(wasm_torch, dtype))
    array = tensor.numpy()
    assert array.dtype == dtype
    array[2, 1] = 1
    tensor[0, 0] = 1
    assert tensor[2, 1].item() == 1
    assert array[0, 0] == 1


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: a[:, 1:3],
        lambda a: a[::2],
        lambda a: a.transpose(2, 0, 1),
        lambda a: a[1, :, ::2],
        lambda a: np.asfortranarray(a[0]),
        lambda a: a[0, 0, 0],
        lambda a: a[:0],
        lambda a: np.broadcast_to(a[:1], (4, 3, 5)),
    ],
)
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_layouts_of_arrays(layout: Any) -> None:
    array = np.asarray(layout(np.arange(60.0, dtype=np.float32).reshape(4, 3, 5)))
    expected, actual = torch.from_numpy(array), wasm_torch.from_numpy(array)
    assert tuple(actual.shape) == tuple(expected.shape)
    if array.size:
        assert actual.stride() == expected.stride()
    np.testing.assert_array_equal(actual.numpy(), array)
    assert actual.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "layout",
    [
        lambda t: t.t(),
        lambda t: t[:, 1],
        lambda t: t[1:, ::2],
        lambda t: t[0].expand(3, 4),
        lambda t: t[0, 0],
        lambda t: t[:0],
        lambda t: t.unsqueeze(1),
    ],
)
def test_layouts_of_tensors(layout: Any) -> None:
    expected = layout(torch.arange(12.0).view(3, 4)).numpy()
    actual = layout(wasm_torch.arange(12.0).view(3, 4)).numpy()
    np.testing.assert_array_equal(actual, expected)
    if expected.size:
        assert actual.strides == expected.strides


def test_each_side_keeps_the_memory_alive() -> None:
    array = wasm_torch.arange(1000).numpy()
    tensor = wasm_torch.from_numpy(np.arange(1000))
    others = [wasm_torch.zeros(1000) for _ in range(10)] + [np.zeros(1000) for _ in range(10)]
    np.testing.assert_array_equal(array, np.arange(1000))
    assert tensor.sum().item() == 499500
    del others


def test_buffers_outlive_the_storage_of_their_tensor() -> None:
    tensor = wasm_torch.arange(1000.0)
    parameter = wasm_torch.nn.Parameter(wasm_torch.arange(1000.0))
    views = [np.asarray(tensor), memoryview(tensor), np.asarray(parameter.data), tensor.numpy()]
    before = wasm_torch.memory_stats()["current"]
    tensor.data = wasm_torch.zeros(1)
    parameter.data = wasm_torch.zeros(1)
    others = [wasm_torch.full((1000,), 7.0) for _ in range(4)]
    for view in views:
        np.testing.assert_array_equal(np.asarray(view), np.arange(1000.0))
    del view, views, others
    assert wasm_torch.memory_stats()["current"] < before


def test_memoryview_shares_memory() -> None:
    tensor = wasm_torch.arange(6, dtype=wasm_torch.int32).view(2, 3)
    view = memoryview(tensor)
    assert (view.format, view.shape, view.strides, view.itemsize) == ("i", (2, 3), (12, 4), 4)
    view[1, 2] = 50
    assert tensor[1, 2].item() == 50
    assert memoryview(tensor.t()).strides == (4, 12)
    assert memoryview(tensor.t()).tolist() == tensor.t().tolist()


def test_frombuffer_shares_memory() -> None:
    data = bytearray(range(16))
    for package in (torch, wasm_torch):
        tensor = package.frombuffer(data, dtype=package.uint8, offset=4, count=3)
        assert tensor.tolist() == [4, 5, 6]
    tensor[0] = 99
    assert data[4] == 99
    assert wasm_torch.frombuffer(data, dtype=wasm_torch.int16, offset=2)[0].item() == 0x0302


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "bool"])
def test_dlpack_shares_memory(dtype: str) -> None:
    tensor = wasm_torch.arange(6).to(getattr(wasm_torch, dtype)).view(2, 3)
    theirs = torch.from_dlpack(tensor)
    assert str(theirs.dtype) == str(tensor.dtype)
    theirs[0, 1] = 9
    assert tensor.tolist() == theirs.tolist()
    array = np.from_dlpack(tensor)
    array[1, 1] = 7
    assert tensor[1, 1].item() == 7
    ours = wasm_torch.utils.dlpack.from_dlpack(theirs.t())
    assert ours.stride() == (1, 3)
    theirs[0, 0] = 5
    assert ours[0, 0].item() == 5
    assert torch.utils.dlpack.from_dlpack(wasm_torch.utils.dlpack.to_dlpack(ours))[0, 0] == 5


def test_numpy_takes_tensors() -> None:
    tensor = wasm_torch.arange(4.0)
    np.testing.assert_array_equal(np.asarray(tensor), np.arange(4, dtype=np.float32))
    assert np.asarray(tensor, dtype=np.float64).dtype == np.float64
    assert np.exp(tensor).shape == (4,)
    numbers = [wasm_torch.tensor(1.5), wasm_torch.tensor(2.5)]
    assert np.array(numbers, dtype=float).tolist() == [1.5, 2.5]
    copied = np.array(tensor)
    copied[0] = 5
    assert tensor[0].item() == 0


def test_tensors_take_numpy() -> None:
    for package in (torch, wasm_torch):
        tensor = package.ones(2) * np.float32(2.5)
        assert tensor.dtype is package.float32
        assert tensor.tolist() == [2.5, 2.5]
        assert package.tensor(np.arange(3)).tolist() == [0, 1, 2]
        assert package.tensor(np.float64(3.5)).dtype is package.float64
        assert package.tensor([np.int64(1), np.int64(2)]).tolist() == [1, 2]
        assert package.as_tensor(np.ones(2, dtype=np.int16)).dtype is package.int16
        assert package.zeros(np.int64(2), 3).shape == (2, 3)
        assert package.arange(10)[np.array([1, 3])].tolist() == [1, 3]
        assert package.arange(4)[np.int64(2)].item() == 2
        assert package.arange(4)[np.array([True, False, True, False])].tolist() == [0, 2]
        assert package.tensor([package.tensor(1), package.tensor(2)]).tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_item_and_tolist(dtype: str) -> None:
    for value in (0, 1, 100):
        expected = torch.tensor(value, dtype=getattr(torch, dtype))
        actual = wasm_torch.tensor(value, dtype=getattr(wasm_torch, dtype))
        assert type(actual.item()) is type(expected.item())
        assert actual.item() == expected.item()
        assert actual.view(1, 1).item() == expected.item()
        assert actual.expand(2, 2).tolist() == expected.expand(2, 2).tolist()


@pytest.mark.parametrize(
    "convert",
    [int, float, bool, operator.index, len, list, complex, str, copy.copy, copy.deepcopy, iter],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("source", ["3", "3.7", "[1, 2]", "[]", "True", "[[5]]"])
def test_python_conversions(convert: Any, source: str) -> None:
    outcomes = []
    for package in (torch, wasm_torch):
        try:
            result = convert(package.tensor(eval(source)))
        except Exception as error:
            outcomes.append((type(error).__name__, str(error)))
        else:
            outcomes.append([v.tolist() for v in result] if convert is iter else str(result))
    assert outcomes[0] == outcomes[1]


def test_python_values() -> None:
    tensor = wasm_torch.tensor([[1, 2], [3, 4]])
    assert [1, 2, 3][wasm_torch.tensor(1)] == 2
    assert f"{wasm_torch.tensor(1.5):.2f}" == "1.50"
    assert 3 in tensor
    assert 7 not in tensor
    assert wasm_torch.tensor(2**62 + 1).item() == 2**62 + 1
    assert len({tensor, tensor, tensor[0]}) == 2


def test_copies() -> None:
    tensor = wasm_torch.arange(3.0).requires_grad_()
    tensor.grad = wasm_torch.ones(3)
    for made in (copy.deepcopy(tensor), pickle.loads(pickle.dumps(tensor))):
        assert made is not tensor
        assert made.requires_grad
        assert made.tolist() == [0, 1, 2]
    parameter = wasm_torch.nn.Parameter(wasm_torch.ones(2))
    for made in (copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
        assert type(made) is wasm_torch.nn.Parameter
        assert made.requires_grad


@pytest.mark.parametrize(
    "function",
    [
        lambda t: t.from_numpy([1, 2]),
        lambda t: t.from_numpy(np.arange(4)[::-1]),
        lambda t: t.from_numpy(np.zeros(2, dtype=">f4")),
        lambda t: t.from_numpy(np.zeros(3, dtype="u1,f4")["f1"]),
        lambda t: t.ones(2, requires_grad=True).numpy(),
        lambda t: t.ones(2, dtype=t.bfloat16).numpy(),
        lambda t: np.asarray(t.ones(2, requires_grad=True)),
        lambda t: t.frombuffer(b"", dtype=t.uint8),
        lambda t: t.frombuffer(bytearray(5), dtype=t.int32),
        lambda t: t.frombuffer(bytearray(8), dtype=t.int32, count=3),
        lambda t: t.frombuffer(bytearray(8), dtype=t.int32, offset=8),
        lambda t: t.frombuffer(bytearray(8), dtype=t.int32, offset=-1),
        lambda t: t.frombuffer(bytearray(8), dtype=t.int32, count=0),
        lambda t: t.frombuffer(3, dtype=t.int32),
        lambda t: t.ones(2).item(),
        lambda t: t.ones(0).item(),
        lambda t: int(t.tensor(float("nan"))),
        lambda t: int(t.tensor(float("inf"))),
        lambda t: t.ones(2) in t.ones(3),
    ],
)
def test_errors(function: Any) -> None:
    assert_same_failure(function)


@pytest.mark.parametrize(
    ("array", "name"),
    [
        (np.array(["a"]), "str_"),
        (np.zeros(2, dtype=object), "object_"),
        (np.zeros(2, dtype=np.complex64), "complex64"),
    ],
)
def test_foreign_dtypes_are_named(array: Any, name: str) -> None:
    with pytest.raises(TypeError, match=rf"can't convert np\.ndarray of type numpy\.{name}\. The"):
        wasm_torch.from_numpy(array)


ARRAY_OPERANDS = {
    "t": lambda package: package.ones(2),
    "i": lambda package: package.tensor([1, 2]),
    "g": lambda package: package.ones(2, requires_grad=True),
    "n": lambda package: np.ones(2),
    "f": lambda package: np.full(2, 2, dtype=np.float32),
    "k": lambda package: np.array([1, 2]),
    "m": lambda package: np.ones((3, 2)),
    "z": lambda package: np.array(2.0),
    "s": lambda package: np.float64(2),
    "b": lambda package: np.bool_(True),
    "strings": lambda package: np.array(["a", "b"]),
    "list": lambda package: [1, 2],
    "text": lambda package: "a",
}
OPERATORS = [
    *("+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "&", "|", "^", "@"),
]


def outcome(expression: str, package: Any) -> Any:
    """Type, dtype and value of an expression, or the type of its error."""
    scope = {name: make(package) for name, make in ARRAY_OPERANDS.items()}
    try:
        value = eval(expression, {**scope, "np": np, "torch": package})
    except Exception as error:
        return type(error)
    if isinstance(value, package.Tensor):
        return "tensor", str(value.dtype), value.tolist()
    return type(value), value.tolist() if hasattr(value, "tolist") else value


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")
@pytest.mark.parametrize("operation", OPERATORS)
@pytest.mark.parametrize("tensor", ["t", "i", "g"])
def test_operators_of_tensors_and_arrays(operation: str, tensor: str) -> None:
    for other in ARRAY_OPERANDS:
        for expression in (f"{tensor} {operation} {other}", f"{other} {operation} {tensor}"):
            expected, actual = outcome(expression, torch), outcome(expression, wasm_torch)
            assert expected == actual, expression


ARRAY_FUNCTIONS = [
    *("np.sin(t)", "np.sin(g)", "np.sqrt(i)", "np.add(t, t)", "np.add(t, 1)", "np.add(t, n)"),
    *("np.isnan(t)", "np.less(t, t)", "np.equal(t, 2)", "np.matmul(t, t)", "np.clip(t, 0, 1)"),
    *("np.dot(t, t)", "np.where(t > 0, t, t)", "np.concatenate([t, t])", "np.argmax(t)"),
    *("np.reshape(t, (2, 1))", "np.exp(torch.tensor(1.0))", "np.array(t, dtype=float)"),
    *("torch.add(t, n)", "torch.mul(t, s)", "torch.sin(n)", "t.add(n)", "t.add_(n)", "t.dot(n)"),
    *("torch.maximum(t, n)", "torch.where(t > 0, t, s)", "t.__add__(n)", "t.__eq__(n)"),
]


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")
@pytest.mark.parametrize("expression", ARRAY_FUNCTIONS)
def test_functions_of_tensors_and_arrays(expression: str) -> None:
    assert outcome(expression, torch) == outcome(expression, wasm_torch)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")
def test_in_place_with_an_array_makes_a_new_tensor() -> None:
    for package in (torch, wasm_torch):
        before = tensor = package.ones(2)
        tensor += np.ones(2)
        assert isinstance(tensor, package.Tensor)
        assert tensor.dtype is package.float64
        assert before.tolist() == [1, 1]


def test_a_tensor_of_the_other_package_is_named() -> None:
    for operation in (operator.add, operator.mul, operator.lt, operator.matmul):
        for operands in ((wasm_torch.ones(2), torch.ones(2)), (torch.ones(2), wasm_torch.ones(2))):
            with pytest.raises(TypeError, match=r"must be wasm_torch.Tensor, not torch.Tensor"):
                operation(*operands)
    with pytest.raises(TypeError, match=r"'input' \(position 1\) must be wasm_torch.Tensor, not"):
        wasm_torch.sin(torch.ones(2))
