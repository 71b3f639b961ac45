"""Exchange with Python and numpy on the desktop, where memory is shared; memory and threads."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import wasm_torch

DTYPES = ["uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_from_numpy_and_back_share_memory(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = wasm_torch.from_numpy(array)
    assert tensor.dtype is getattr(wasm_torch, dtype)
    array[0, 0] = 1
    assert tensor[0, 0].item() == 1
    back = tensor.numpy()
    back[1, 2] = 0
    assert array[1, 2] == 0 and back.dtype == array.dtype


def test_strided_arrays_share_memory() -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    view = wasm_torch.from_numpy(array[::2, 1::2])
    assert view.stride() == (12, 2)
    view.zero_()
    assert array[::2, 1::2].sum() == 0 and array.sum() > 0
    assert wasm_torch.from_numpy(array).t().numpy().shape == (6, 4)


def test_the_array_lives_as_long_as_the_tensor() -> None:
    tensor = wasm_torch.from_numpy(np.full(1000, 7.0))
    assert tensor.sum().item() == 7000


def test_negative_strides_and_foreign_dtypes_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        wasm_torch.from_numpy(np.arange(4)[::-1])
    with pytest.raises(TypeError, match="can't convert"):
        wasm_torch.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match="can't convert"):
        wasm_torch.from_numpy(np.zeros(2, dtype=np.complex64))


def test_buffers() -> None:
    tensor = wasm_torch.arange(6.0).view(2, 3)
    view = memoryview(tensor)
    assert view.shape == (2, 3) and view.format == "f" and view.tolist() == tensor.tolist()
    data = bytearray(b"\x01\x02\x03\x04")
    shared = wasm_torch.frombuffer(data, dtype=wasm_torch.uint8)
    data[0] = 9
    assert shared.tolist() == [9, 2, 3, 4]
    assert wasm_torch.frombuffer(data, dtype=wasm_torch.int16, offset=2).tolist() == [0x0403]
    with pytest.raises(ValueError, match="must be a multiple of element size"):
        wasm_torch.frombuffer(data, dtype=wasm_torch.int64)


def test_dlpack() -> None:
    tensor = wasm_torch.arange(4.0)
    array = np.from_dlpack(tensor)
    array_of_torch = torch.from_dlpack(tensor)
    tensor[0] = 5
    assert array[0] == 5 and array_of_torch[0] == 5
    assert wasm_torch.from_dlpack(torch.ones(3)).tolist() == [1, 1, 1]


def test_python_values() -> None:
    tensor = wasm_torch.tensor([[1, 2], [3, 4]])
    assert tensor.tolist() == [[1, 2], [3, 4]]
    assert np.asarray(tensor).dtype == np.int64
    assert wasm_torch.tensor(2.5).item() == 2.5 and type(wasm_torch.tensor(True).item()) is bool
    assert int(wasm_torch.tensor(3.7)) == 3 and float(wasm_torch.tensor(2)) == 2.0
    assert [1, 2, 3][wasm_torch.tensor(1)] == 2
    assert f"{wasm_torch.tensor(1.5):.2f}" == "1.50"
    assert [row.tolist() for row in tensor] == [[1, 2], [3, 4]]
    assert 3 in tensor and 7 not in tensor
    big = 2**62 + 1
    assert wasm_torch.tensor(big).item() == big


def test_tensors_of_tensors_and_arrays() -> None:
    rows = [wasm_torch.tensor([1.0, 2.0]), wasm_torch.tensor([3.0, 4.0])]
    assert wasm_torch.tensor([row.tolist() for row in rows]).shape == (2, 2)
    assert wasm_torch.tensor([wasm_torch.tensor(1), wasm_torch.tensor(2)]).tolist() == [1, 2]
    assert wasm_torch.tensor([np.float32(1.5), np.float32(2)]).tolist() == [1.5, 2.0]


def test_copies() -> None:
    tensor = wasm_torch.arange(3.0).requires_grad_()
    tensor.grad = wasm_torch.ones(3)
    for made in (copy.deepcopy(tensor), pickle.loads(pickle.dumps(tensor))):
        assert made.tolist() == [0, 1, 2] and made.requires_grad and made is not tensor
    parameter = wasm_torch.nn.Parameter(wasm_torch.ones(2))
    for made in (copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
        assert type(made) is wasm_torch.nn.Parameter and made.requires_grad


def test_numpy_functions_and_operators() -> None:
    tensor = wasm_torch.ones(3)
    assert np.exp(tensor).shape == (3,)
    assert (tensor * np.float32(2)).tolist() == [2, 2, 2]


# ---- memory and threads --------------------------------------------------------------------------
def test_an_absurd_size_is_a_memory_error_and_life_goes_on() -> None:
    with pytest.raises(MemoryError, match=r"could not allocate \d+ bytes.*in use"):
        wasm_torch.zeros(2**45)
    with pytest.raises(MemoryError):
        wasm_torch.empty(2**40, 2**40)
    assert wasm_torch.ones(3).sum().item() == 3


def test_memory_is_counted_and_reused() -> None:
    before = wasm_torch.memory_stats()["current"]
    tensor = wasm_torch.zeros(1_000_000)
    held = wasm_torch.memory_stats()
    assert held["current"] - before >= 4_000_000
    del tensor
    wasm_torch.reset_peak_memory_stats()
    after = wasm_torch.memory_stats()
    assert after["current"] <= before + 1000 and after["peak"] == after["current"]
    reserved = after["reserved"]
    for _ in range(20):
        wasm_torch.zeros(1_000_000)
    assert wasm_torch.memory_stats()["reserved"] == reserved
    assert wasm_torch.empty_cache() >= 0


def test_views_keep_the_storage() -> None:
    before = wasm_torch.memory_stats()["current"]
    view = wasm_torch.zeros(1_000_000)[:2]
    assert wasm_torch.memory_stats()["current"] - before >= 4_000_000
    assert view.tolist() == [0, 0]


@pytest.fixture
def threads() -> object:
    previous = wasm_torch.get_num_threads()
    yield wasm_torch.set_num_threads
    wasm_torch.set_num_threads(previous)


def test_results_do_not_depend_on_threads(threads: object) -> None:
    x, w = wasm_torch.randn(64, 3, 32, 32), wasm_torch.randn(8, 3, 3, 3)
    results = []
    for count in (1, 2):
        threads(count)  # type: ignore[operator]
        assert wasm_torch.get_num_threads() == count
        convolved = wasm_torch.nn.functional.conv2d(x, w, padding=1)
        results.append(
            (convolved, x.sum((0, 2, 3)), x.softmax(1), x.flatten(1) @ x.flatten(1).t(), x.exp())
        )
    for one, two in zip(*results, strict=True):
        assert wasm_torch.equal(one, two)


def test_more_than_sixteen_dims_are_refused() -> None:
    with pytest.raises(RuntimeError, match="more than 16 dimensions"):
        wasm_torch.ones((1,) * 17)
