"""Attention and recurrent layers by one kernel, which run where no gradient is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from parity import check

import wasm_torch
from wasm_torch.ops import TABLE


@contextmanager
def ran(*names: str) -> Iterator[list[str]]:
    """The rows among these that run within, in order."""
    seen: list[str] = []
    kernels = {name: TABLE[name].kernel for name in names}

    def spy(name: str) -> Any:
        def kernel(*values: Any) -> Any:
            seen.append(name)
            return kernels[name](*values)

        return kernel

    for name in names:
        TABLE[name].kernel = spy(name)
    try:
        yield seen
    finally:
        for name, kernel in kernels.items():
            TABLE[name].kernel = kernel


SDPA = "scaled_dot_product_attention"
ATTENTION = [
    "c(1, 2, 3, 8), c(1, 2, 5, 8), c(1, 2, 5, 8)",
    "c(2, 3, 70, 16), c(2, 3, 140, 16), c(2, 3, 140, 16)",
    "c(2, 3, 70, 16), c(2, 3, 140, 16), c(2, 3, 140, 16), is_causal=True",
    "c(1, 1, 7, 3), c(1, 1, 200, 3), c(1, 1, 200, 3), is_causal=True",
    "c(1, 1, 200, 3), c(1, 1, 7, 3), c(1, 1, 7, 3), is_causal=True",
    "c(2, 3, 5, 7), c(2, 3, 1, 7), c(2, 3, 1, 7)",
    "c(2, 3, 1, 7), c(2, 3, 33, 7), c(2, 3, 33, 7)",
    "c(2, 3, 1, 7), c(2, 3, 1, 7), c(2, 3, 1, 1)",
    "c(4, 6), c(5, 6), c(5, 3)",
    "c(2, 4, 6), c(2, 5, 6), c(2, 5, 3), scale=-0.3",
    "c(2, 1, 3, 4, 6), c(2, 1, 3, 5, 6), c(2, 1, 3, 5, 6)",
    "c(2, 3, 4, 6), c(1, 3, 5, 6), c(5, 6)",
    "c(2, 5, 3, 8).transpose(1, 2), c(2, 9, 3, 8).transpose(1, 2), c(2, 9, 3, 8).transpose(1, 2)",
    "*(t.reshape(2, 9, 3, 8).transpose(1, 2) for t in c(2, 9, 72).chunk(3, -1))",
    "c(2, 3, 8, 5).transpose(2, 3), c(2, 3, 8, 6).transpose(2, 3), c(2, 3, 8, 6).transpose(2, 3)",
    "c(2, 3, 4, 6), c(2, 3, 5, 6), c(2, 3, 5, 6), c(4, 5)",
    "c(2, 3, 4, 6), c(2, 3, 5, 6), c(2, 3, 5, 6), c(2, 1, 1, 5)",
    "c(2, 3, 4, 6), c(2, 3, 5, 6), c(2, 3, 5, 6), c(2, 3, 4, 1)",
    "c(2, 3, 40, 6), c(2, 3, 150, 6), c(2, 3, 150, 6), b(2, 3, 40, 150)",
    "c(2, 3, 4, 6), c(2, 3, 5, 6), c(2, 3, 5, 6), b(1, 5)",
    "c(2, 3, 4, 6), c(2, 3, 5, 6), c(2, 3, 5, 6), b(2, 1, 5, 4).transpose(2, 3)",
    "c(2, 6, 4, 8), c(2, 3, 5, 8), c(2, 3, 5, 8), enable_gqa=True",
    "c(2, 6, 4, 8), c(2, 1, 5, 8), c(2, 1, 5, 8), b(4, 5), enable_gqa=True",
    "c(2, 3, 0, 6), c(2, 3, 5, 6), c(2, 3, 5, 6)",
    "c(2, 3, 4, 6), c(2, 3, 0, 6), c(2, 3, 0, 6)",
    "c(0, 3, 4, 6), c(0, 3, 5, 6), c(0, 3, 5, 6)",
    "c(1, 2, 4, 0), c(1, 2, 5, 0), c(1, 2, 5, 3)",
    # Rows that no key, or NaN, or an infinite score belongs to.
    "c(2, 4, 6), c(2, 3, 6), c(2, 3, 6), torch.arange(4).unsqueeze(1) > torch.arange(3)",
    "c(2, 2, 6), c(2, 2, 6), c(2, 2, 6), torch.tensor([[-float('inf')] * 2, [0.0] * 2])",
    "c(2, 2, 6), c(2, 2, 6), c(2, 2, 6), torch.tensor([[float('nan'), 0.0], [0.0] * 2])",
    "c(2, 2, 6), c(2, 2, 6), c(2, 2, 6), torch.tensor([[float('inf'), 0.0], [0.0] * 2])",
    "c(2, 2, 6), c(2, 2, 6) * float('nan'), c(2, 2, 6)",
]


@pytest.mark.parametrize("arguments", ATTENTION)
def test_attention(arguments: str) -> None:
    with ran(SDPA) as rows:
        check(f"F.scaled_dot_product_attention({arguments})")
    assert rows == [SDPA]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_attention_of_half_types(dtype: str) -> None:
    made = [f"c(1, 2, {n}, 8, dtype='{dtype}')" for n in (3, 5, 5)]
    with ran(SDPA) as rows:
        check(f"F.scaled_dot_product_attention({', '.join(made)})", rtol=1e-2, atol=4e-3)
    assert rows == [SDPA]


@pytest.mark.parametrize(
    "arguments",
    [
        "x(1, 2, 3, 8), c(1, 2, 5, 8), c(1, 2, 5, 8)",
        "c(1, 2, 3, 8), c(1, 2, 5, 8), c(1, 2, 5, 8), x(3, 5)",
        "*(c(1, 2, 3, 8, dtype='float64') for _ in range(3))",
    ],
)
def test_attention_that_is_composed(arguments: str) -> None:
    with ran(SDPA) as rows:
        check(f"F.scaled_dot_product_attention({arguments})", second=False)
    assert rows == []


def converted(t: torch.Tensor) -> Any:
    return wasm_torch.from_numpy(t.detach().numpy())


def pair(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """A layer of torch and the same one here, for inference."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **options).eval()
    ours = getattr(wasm_torch.nn, name)(*args, **options).eval()
    ours.load_state_dict({key: converted(value) for key, value in theirs.state_dict().items()})
    return theirs, ours


def assert_alike(got: Any, wanted: Any) -> None:
    if isinstance(wanted, (tuple, list)):
        for ours, theirs in zip(got, wanted, strict=True):
            assert_alike(ours, theirs)
    elif wanted is not None:
        assert got.stride() == wanted.stride()
        torch.testing.assert_close(torch.from_numpy(got.numpy()), wanted, rtol=1e-5, atol=1e-5)


MASKS: list[dict[str, Any]] = [
    {},
    {"key_padding_mask": torch.arange(7) >= torch.tensor([[7], [4]])},
    {"attn_mask": torch.ones(7, 7, dtype=torch.bool).triu(1)},
    {"attn_mask": torch.ones(7, 7, dtype=torch.bool).triu(1), "is_causal": True},
    {"attn_mask": torch.randn(2 * 4, 7, 7)},
    {
        "attn_mask": torch.randn(2 * 4, 7, 7),
        "key_padding_mask": torch.where(torch.arange(7) < torch.tensor([[7], [4]]), 0.0, -1e4),
    },
]


ADDED = {"add_bias_kv": True, "add_zero_attn": True}


@pytest.mark.parametrize(
    ("options", "extra"),
    # A causal hint does not fit added keys.
    [*((o, {}) for o in MASKS), *((o, ADDED) for o in MASKS if "is_causal" not in o)],
    ids=lambda o: "-".join(o) or "plain",
)
def test_multi_head_attention_without_weights(
    options: dict[str, Any], extra: dict[str, Any]
) -> None:
    theirs, ours = pair("MultiheadAttention", 16, 4, batch_first=True, **extra)
    x = torch.randn(2, 7, 16)
    given = {k: converted(v) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    with torch.no_grad(), wasm_torch.no_grad(), ran(SDPA) as rows:
        wanted = theirs(x, x, x, need_weights=False, **options)[0]
        got = ours(converted(x), converted(x), converted(x), need_weights=False, **given)[0]
    assert rows == [SDPA]
    torch.testing.assert_close(torch.from_numpy(got.numpy()), wanted, rtol=1e-5, atol=1e-5)


def test_encoder_layer_of_a_single_sequence() -> None:
    theirs, ours = pair("TransformerEncoderLayer", 16, 4, 32)
    x = torch.randn(7, 16)
    with torch.no_grad(), wasm_torch.no_grad(), ran(SDPA) as rows:
        assert_alike(ours(converted(x)), theirs(x))
    assert rows == [SDPA]


ROWS = ("lstm.input", "gru.input")
LAYERS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": 3, "bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True, "bias": False},
]


@pytest.mark.parametrize("options", LAYERS, ids=lambda o: "-".join(o) or "plain")
@pytest.mark.parametrize("size", [(5, 3), (1, 1), (9, 40)], ids=str)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent(kind: str, size: tuple[int, int], options: dict[str, Any]) -> None:
    theirs, ours = pair(kind, 6, 13, **options)
    x = torch.randn(*(size[::-1] if options.get("batch_first") else size), 6)
    entries = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    state: Any = tuple(torch.randn(entries, size[1], 13) for _ in range(2 if kind == "LSTM" else 1))
    given = tuple(map(converted, state))
    if kind == "GRU":
        state, given = state[0], given[0]
    with torch.no_grad(), wasm_torch.no_grad(), ran(*ROWS) as rows:
        assert_alike(ours(converted(x)), theirs(x))
        assert_alike(ours(converted(x), given), theirs(x, state))
    assert rows == [f"{kind.lower()}.input"] * 2


def test_recurrent_of_a_single_sequence() -> None:
    theirs, ours = pair("LSTM", 6, 8, batch_first=True)
    x = torch.randn(5, 6)
    with torch.no_grad(), wasm_torch.no_grad(), ran(*ROWS) as rows:
        got, (hidden, cell) = ours(converted(x))
        wanted = theirs(x)
    assert rows == ["lstm.input"]
    assert_alike((got, hidden, cell), (wanted[0], *wanted[1]))


def test_what_recurrent_layers_unroll() -> None:
    x = torch.randn(5, 3, 6)
    with torch.no_grad(), wasm_torch.no_grad(), ran(*ROWS) as rows:
        for options in ({"proj_size": 2}, {"dtype": "float64"}):
            wide = "dtype" in options
            theirs, ours = pair("LSTM", 6, 8, **({} if wide else options))
            given = x.double() if wide else x
            theirs, ours = (theirs.double(), ours.double()) if wide else (theirs, ours)
            assert_alike(ours(converted(given))[0], theirs(given)[0])
        wasm_torch.nn.LSTM(6, 8, 2, dropout=0.5)(converted(x))
    wasm_torch.nn.GRU(6, 8)(converted(x))[0].sum().backward()
    assert rows == []


def test_rows_refuse_what_they_cannot() -> None:
    t = wasm_torch.ones(1, 2, 2)
    with pytest.raises(RuntimeError, match="no kernel takes these arguments"):
        TABLE[SDPA](t, t, t, None, 0.5)
    with pytest.raises(RuntimeError, match="nor dropout"):
        TABLE["gru.input"](t, t, [t[0]] * 4, True, 1, 0.5, True, False, False)
