"""The file and its parts, without an engine: encoding, structs, memory plan, damaged files."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wasm_torch as torch
from wasm_torch import _C, nn
from wasm_torch.compiler import (
    Damaged,
    ModelError,
    NewerFormat,
    NotOurs,
    NotWasm,
    Truncated,
    compile,
    read,
    wasm,
)
from wasm_torch.compiler.package import FORMAT
from wasm_torch.compiler.plan import plan
from wasm_torch.compiler.plan_tensor import Buffer, PlanTensor
from wasm_torch.compiler.record import Launch
from wasm_torch.compiler.structs import offsets, template
from wasm_torch.tracing import trace


@pytest.fixture(scope="module")
def model() -> bytes:
    return compile(trace(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), torch.randn(2, 4)))


# ---- encoding ------------------------------------------------------------------------------------
@given(st.integers(0, 2**40))
def test_unsigned_integers_round_trip(value: int) -> None:
    assert wasm.read_unsigned(wasm.unsigned(value), 0) == (value, len(wasm.unsigned(value)))


def test_signed_integers() -> None:
    cases = {0: "00", 1: "01", -1: "7f", 63: "3f", 64: "c000", -64: "40", -65: "bf7f"}
    assert {n: wasm.signed(n).hex() for n in cases} == cases


def test_the_prefix_is_a_module(model: bytes) -> None:
    wasmtime = pytest.importorskip("wasmtime")
    config = wasmtime.Config()
    config.wasm_threads = config.shared_memory = True
    engine = wasmtime.Engine(config)
    for data in (model, bytes(read(model).prefix)):
        module = wasmtime.Module(engine, data)
        assert [e.name for e in module.exports] == ["method:forward", "prepare"]
        kernels = [i.name for i in module.imports if i.module == "kernel"]
        assert kernels == read(model).manifest["kernels"]


# ---- structs -------------------------------------------------------------------------------------
def test_structs_follow_the_c_abi_of_wasm32() -> None:
    # size, out and self of 144 bytes each, op; then a double at a multiple of 8.
    assert offsets("unary") == ([4, 148, 292, 296, 304], 312)
    assert offsets("fill") == ([4, 152], 168)
    assert offsets("noop") == ([4], 8)


def test_a_template_holds_all_but_addresses() -> None:
    t = PlanTensor(Buffer("arena", 24), (2, 3), _C.float32)
    filled = template("fill", [t, 7])
    assert filled.addresses == [(4, t)]
    assert struct.unpack_from("<5i", filled.data, 0) == (168, 0, _C.float32.code, 2, 6)
    assert struct.unpack_from("<2i", filled.data, 20) == (2, 3)
    assert struct.unpack_from("<2i", filled.data, 84) == (3, 1)
    assert struct.unpack_from("<dq", filled.data, 152) == (7.0, 7)


# ---- memory plan ---------------------------------------------------------------------------------
def _vector(count: int) -> PlanTensor:
    return PlanTensor(Buffer("arena", 4 * count), (count,), _C.float32)


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 9)), min_size=1, max_size=30))
def test_living_buffers_never_overlap(steps: list[tuple[int, int]]) -> None:
    made = [_vector(8)]
    launches = []
    for count, back in steps:
        source = made[max(0, len(made) - 1 - back)]
        made.append(_vector(count))
        launches.append(Launch("copy", [made[-1], source]))
    total = plan(launches)
    lives: dict[int, tuple[Buffer, int, int]] = {}
    for time, launch in enumerate(launches):
        for _, tensor in launch.tensors():
            first = lives.get(id(tensor.buffer), (tensor.buffer, time, time))[1]
            lives[id(tensor.buffer)] = (tensor.buffer, first, time)
    listed = list(lives.values())
    for i, (a, a_first, a_last) in enumerate(listed):
        assert a.index % 64 == 0 and a.index + a.bytes <= total
        for b, b_first, b_last in listed[:i]:
            if a_first <= b_last and b_first <= a_last:
                assert a.index + a.bytes <= b.index or b.index + b.bytes <= a.index


def test_a_pointwise_result_takes_its_operands_place() -> None:
    a, b = _vector(100), _vector(100)
    source = PlanTensor(Buffer("input", 400, 0), (100,), _C.float32)
    launches = [
        Launch("copy", [a, source]),
        Launch("unary_contiguous", [0, 6, 6, b, a, 100, 0.0, 0.0]),
        Launch("copy", [source, b]),
    ]
    assert plan(launches) == 448 and a.buffer.index == b.buffer.index
    assert plan(launches, in_place=False) == 896


# ---- bad files -----------------------------------------------------------------------------------
def test_every_truncation_is_refused(model: bytes) -> None:
    for length in range(len(model)):
        with pytest.raises(Truncated if length >= 4 else NotWasm):
            read(model[:length])


def test_every_flipped_byte_is_refused(model: bytes) -> None:
    for position in range(len(model)):
        damaged = bytearray(model)
        damaged[position] ^= 0x10
        with pytest.raises(ModelError):
            read(damaged)


def test_damaged_weights_are_told_from_damaged_code(model: bytes) -> None:
    code, weights = bytearray(model), bytearray(model)
    code[200] ^= 1
    weights[-1] ^= 1
    with pytest.raises(Damaged, match="code or the manifest"):
        read(code)
    with pytest.raises(Damaged, match="weights"):
        read(weights)


def test_other_files_are_refused() -> None:
    with pytest.raises(NotWasm, match="not a WebAssembly module"):
        read(b"PK\x03\x04 something else")
    with pytest.raises(NotOurs, match="not a model of wasm-torch"):
        read(wasm.MAGIC + wasm.custom("name", b"x" * 100))


def test_a_newer_format_is_refused(model: bytes) -> None:
    newer = bytearray(model)
    at = newer.index(b"WTM1")
    struct.pack_into("<I", newer, at + 4, FORMAT + 1)
    with pytest.raises(NewerFormat, match=f"format {FORMAT + 1}"):
        read(newer)


def test_reading_copies_no_weights(model: bytes) -> None:
    file = read(model)
    assert file.weights.obj is model
    assert zlib.crc32(file.weights) == int(file.manifest["weights"]["checksum"][6:], 16)
