"""Files move between torch and this package, and bad ones are refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections import OrderedDict, namedtuple

import pytest
import torch
from nn_parity import assert_same, convert

import wasm_torch
from wasm_torch import safetensors

DTYPES = ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def moved(save, load, value, **options):
    """What one package loads of what another has saved."""
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return load(file, **options)


def from_torch(value, **options):
    return moved(torch.save, wasm_torch.load, value, **options)


def to_torch(value, **options):
    return moved(wasm_torch.save, torch.load, value, **options)


VALUES = {
    "matrix": lambda: torch.randn(3, 4),
    "scalar": lambda: torch.tensor(3.5),
    "empty": lambda: torch.empty(0, 3),
    "transposed": lambda: torch.randn(4, 5).t(),
    "offset": lambda: torch.arange(10)[3:7],
    "expanded": lambda: torch.ones(1, 3).expand(4, 3),
    "nested": lambda: {"a": [torch.ones(2), (1, 2.5, "x", None, True)], 3: {"b": torch.zeros(1)}},
    "ordered": lambda: OrderedDict(x=torch.ones(1), y=2),
    **{dtype: lambda dtype=dtype: torch.ones(5).to(getattr(torch, dtype)) for dtype in DTYPES},
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    value = VALUES[name]()
    loaded = from_torch(value)
    assert_same(value, loaded)
    back = to_torch(loaded)
    assert_same(value, back)
    assert type(loaded) is type(back) or isinstance(loaded, wasm_torch.Tensor)
    if isinstance(value, torch.Tensor):
        assert tuple(value.stride()) == tuple(loaded.stride()) == tuple(back.stride())


def test_bfloat16() -> None:
    value = torch.randn(7).bfloat16()
    loaded = from_torch(value)
    assert loaded.dtype is wasm_torch.bfloat16
    assert torch.equal(to_torch(loaded), value)


def test_parameters_sizes_and_dtypes() -> None:
    value = [torch.nn.Parameter(torch.ones(2)), torch.Size([1, 2]), torch.float16,
             torch.device("cpu"), torch.ones(1, requires_grad=True)]  # fmt: skip
    loaded = from_torch(value)
    assert type(loaded[0]) is wasm_torch.nn.Parameter and loaded[0].requires_grad
    assert isinstance(loaded[1], wasm_torch.Size) and loaded[2] is wasm_torch.float16
    assert loaded[4].requires_grad
    back = to_torch(loaded)
    assert type(back[0]) is torch.nn.Parameter
    assert back[1:4] == value[1:4] and back[4].requires_grad


def test_shared_storage_stays_shared() -> None:
    base = torch.arange(10.0)
    first, second = from_torch([base[2:5], base[3:]])
    first[1] = 100
    assert second[0].item() == 100
    again, view = to_torch([first, second])
    again[1] = 7
    assert view[0].item() == 7


def test_models_and_optimizers(tmp_path) -> None:
    def network(t):
        return t.nn.Sequential(t.nn.Conv2d(1, 2, 3), t.nn.BatchNorm2d(2), t.nn.Flatten())

    expected, actual = network(torch), network(wasm_torch)
    optimizer = torch.optim.Adam(expected.parameters())
    expected(torch.randn(2, 1, 4, 4)).sum().backward()
    optimizer.step()
    torch.save({"model": expected.state_dict(), "adam": optimizer.state_dict()}, tmp_path / "a.pt")
    saved = wasm_torch.load(tmp_path / "a.pt")
    actual.load_state_dict(saved["model"])
    assert saved["model"]._metadata["1"] == {"version": 2}
    other = wasm_torch.optim.Adam(actual.parameters())
    other.load_state_dict(saved["adam"])
    wasm_torch.save({"model": actual.state_dict(), "adam": other.state_dict()}, tmp_path / "b.pt")
    back = torch.load(tmp_path / "b.pt")
    assert_same(dict(expected.state_dict()), dict(back["model"]))
    optimizer.load_state_dict(back["adam"])
    expected.load_state_dict(back["model"])


def test_whole_module() -> None:
    layer = wasm_torch.nn.Linear(2, 3)
    copy = moved(wasm_torch.save, wasm_torch.load, layer, weights_only=False)
    assert repr(copy) == repr(layer) and type(copy.weight) is wasm_torch.nn.Parameter
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        moved(wasm_torch.save, wasm_torch.load, layer)


def test_whole_module_of_torch() -> None:
    layer = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 2), torch.nn.Flatten(), torch.nn.GELU())
    loaded = from_torch(layer, weights_only=False)
    assert repr(loaded) == repr(layer) and type(loaded[1]) is wasm_torch.nn.Flatten
    input = torch.randn(2, 1, 3, 3)
    assert_same(layer(input), loaded(convert(input)))


def test_storages_are_aligned() -> None:
    file = io.BytesIO()
    wasm_torch.save([wasm_torch.ones(3), wasm_torch.ones(5)], file)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            header = file.getvalue()[info.header_offset : info.header_offset + 30]
            start = info.header_offset + 30 + int.from_bytes(header[26:28], "little")
            assert (start + int.from_bytes(header[28:30], "little")) % 64 == 0
            assert info.compress_type == zipfile.ZIP_STORED


class Dangerous:
    def __reduce__(self):
        return print, ("executed",)


Pair = namedtuple("Pair", ["a", "b"])


def test_dangerous_file_is_refused(capsys) -> None:
    file = io.BytesIO()
    torch.save(Dangerous(), file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match=r"Unsupported global: GLOBAL \w+.print"):
        wasm_torch.load(file)
    assert capsys.readouterr().out == ""


def test_options_that_are_not_offered() -> None:
    file = io.BytesIO()
    wasm_torch.save([1], file, pickle_module=pickle)
    for options in ({"mmap": True}, {"pickle_module": json}):
        with pytest.raises(NotImplementedError, match=next(iter(options))):
            wasm_torch.load(file, **options)
    with pytest.raises(NotImplementedError, match="pickle_module"):
        wasm_torch.save([1], io.BytesIO(), pickle_module=json)
    assert wasm_torch.load(file, mmap=False, pickle_module=pickle) == [1]


def test_safe_globals() -> None:
    file = io.BytesIO()
    wasm_torch.save(Pair(1, wasm_torch.ones(1)), file)
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError):
        wasm_torch.load(file)
    file.seek(0)
    with wasm_torch.serialization.safe_globals([Pair]):
        assert wasm_torch.load(file).a == 1
    assert wasm_torch.serialization.get_safe_globals() == []


def rewritten(change) -> io.BytesIO:
    """A saved file whose records `change` has edited."""
    source, target = io.BytesIO(), io.BytesIO()
    wasm_torch.save({"x": wasm_torch.ones(4)}, source)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        records = {info.filename: old.read(info) for info in old.infolist()}
        change(records)
        for name, data in records.items():
            new.writestr(name, data)
    target.seek(0)
    return target


DAMAGES = {
    "missing_storage": lambda r: r.pop("archive/data/0"),
    "short_storage": lambda r: r.update({"archive/data/0": b"\0" * 8}),
    "missing_pickle": lambda r: r.pop("archive/data.pkl"),
    "cut_pickle": lambda r: r.update({"archive/data.pkl": r["archive/data.pkl"][:20]}),
    "big_endian": lambda r: r.update({"archive/byteorder": b"big"}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file(damage: str) -> None:
    with pytest.raises((RuntimeError, pickle.UnpicklingError, EOFError)):
        wasm_torch.load(rewritten(DAMAGES[damage]))


@pytest.mark.parametrize("data", [b"", b"not a zip file", b"PK\x03\x04 cut"])
def test_foreign_file(data: bytes) -> None:
    with pytest.raises(RuntimeError, match="zip format"):
        wasm_torch.load(io.BytesIO(data))


def test_safetensors(tmp_path) -> None:
    tensors = convert({dtype: torch.arange(6).to(getattr(torch, dtype)) for dtype in DTYPES})
    tensors["matrix"] = wasm_torch.randn(3, 4).t()
    tensors["empty"] = wasm_torch.empty(0, 2)
    safetensors.save_file(tensors, tmp_path / "x.safetensors", {"made": "here"})
    loaded = safetensors.load_file(tmp_path / "x.safetensors")
    assert sorted(loaded) == sorted(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].tolist() == tensor.tolist()
        assert loaded[name].dtype is tensor.dtype and loaded[name].shape == tensor.shape


def saved_safetensors() -> bytes:
    return safetensors.save({"a": wasm_torch.ones(2), "b": wasm_torch.ones(3)})


def with_header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text + b"\0" * 8


BAD_SAFETENSORS = [
    b"",
    b"\xff" * 8,
    saved_safetensors()[:-1],
    saved_safetensors() + b"\0",
    with_header(b"[]"),
    with_header(b"{"),
    with_header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}'),
    with_header(b'{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}'),
    with_header(b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}'),
    with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'),
    with_header(b'{"a":{"dtype":"F32"}}'),
    with_header(b'{"a":3}'),
]


@pytest.mark.parametrize("number", range(len(BAD_SAFETENSORS)))
def test_bad_safetensors(number: int) -> None:
    with pytest.raises(safetensors.SafetensorError):
        safetensors.load(BAD_SAFETENSORS[number])
