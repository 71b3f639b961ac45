"""Functions of torch.nn.functional that no layer covers, and errors."""

from __future__ import annotations

import pytest
import torch
from nn_parity import check_error, check_function

import wasm_torch


def floats(*shape: int) -> torch.Tensor:
    torch.manual_seed(sum(shape) + len(shape))
    return torch.randn(shape, requires_grad=True)


X4 = (1, 2, 5, 6)
QKV = ((2, 4, 3, 8), (2, 4, 5, 8), (2, 4, 5, 6))


def attend(t, q, k, v, **options):
    return t.nn.functional.scaled_dot_product_attention(q, k, v, **options)


FUNCTIONS = {
    "interpolate_nearest": lambda t, x: t.nn.functional.interpolate(x, (7, 4)),
    "interpolate_exact": lambda t, x: t.nn.functional.interpolate(x, (7, 4), mode="nearest-exact"),
    "interpolate_corners": lambda t, x: t.nn.functional.interpolate(
        x, (7, 4), mode="bilinear", align_corners=True),
    "interpolate_bicubic": lambda t, x: t.nn.functional.interpolate(
        x, scale_factor=(1.7, 0.6), mode="bicubic"),
    "interpolate_antialias": lambda t, x: t.nn.functional.interpolate(
        x, (3, 4), mode="bilinear", antialias=True),
    "interpolate_antialias_bicubic": lambda t, x: t.nn.functional.interpolate(
        x, (3, 4), mode="bicubic", antialias=True),
    "interpolate_area": lambda t, x: t.nn.functional.interpolate(x, (2, 3), mode="area"),
    "interpolate_recompute": lambda t, x: t.nn.functional.interpolate(
        x, scale_factor=1.3, mode="bilinear", recompute_scale_factor=True),
    "pad_negative": lambda t, x: t.nn.functional.pad(x, (-1, 2, 1, -1)),
    "pad_all_dims": lambda t, x: t.nn.functional.pad(x, (0, 1, 1, 0, 1, 1), value=2.0),
    "pad_circular_negative": lambda t, x: t.nn.functional.pad(x, (-1, 2), mode="circular")
    if x.dim() < 4 else t.nn.functional.pad(x, (-1, 2, 0, 1), mode="circular"),
    "affine_grid": lambda t, x: t.nn.functional.affine_grid(
        x.flatten()[:12].reshape(2, 2, 3), (2, 3, 4, 5), align_corners=False),
    "normalize": lambda t, x: t.nn.functional.normalize(x, 1.5, dim=2),
    "pdist": lambda t, x: t.nn.functional.pdist(x.reshape(6, 10)),
    "lp_pool": lambda t, x: t.nn.functional.lp_pool2d(x, 3, 2),
    "local_response_norm": lambda t, x: t.nn.functional.local_response_norm(x, 2),
    "softmax_dtype": lambda t, x: t.nn.functional.softmax(x, 1, dtype=t.float64),
    "one_hot": lambda t, x: t.nn.functional.one_hot(t.arange(6).reshape(2, 3) % 4),
    "conv_same_odd": lambda t, x: t.nn.functional.conv2d(
        x, t.ones(3, 2, 2, 3), padding="same", dilation=(1, 2)),
    "unpool": lambda t, x: t.nn.functional.max_unpool2d(
        *t.nn.functional.max_pool2d(x, 2, return_indices=True), 2, output_size=(5, 6)),
    "glu": lambda t, x: t.nn.functional.glu(x, 1),
    "rrelu_eval": lambda t, x: t.nn.functional.rrelu(x),
    "embedding": lambda t, x: t.nn.functional.embedding(
        t.tensor([[1, 4], [4, 0]]), x.reshape(10, 6), padding_idx=0, scale_grad_by_freq=True),
    "embedding_bag_weights": lambda t, x: t.nn.functional.embedding_bag(
        t.tensor([[1, 4], [4, 0]]), x.reshape(10, 6), mode="sum",
        per_sample_weights=t.tensor([[0.5, 2.0], [1.0, -1.0]])),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    check_function(FUNCTIONS[name], floats(*X4))


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_sample(mode: str, padding_mode: str, align_corners: bool) -> None:
    grid = (floats(1, 3, 4, 2) * 1.2).detach().requires_grad_()

    def sample(t, input, grid):
        return t.nn.functional.grid_sample(input, grid, mode, padding_mode, align_corners)

    if mode == "nearest":  # torch gives the grid a gradient of zeros, which is none here
        grid = grid.detach()
    check_function(sample, floats(*X4), grid)


MASK = torch.tensor([[True, False, True, True, False]] * 2 + [[False] * 5])
ATTENTION = [
    {},
    {"is_causal": True},
    {"attn_mask": MASK},
    {"attn_mask": torch.linspace(-1, 1, 15).reshape(3, 5)},
    {"scale": 0.3},
]


@pytest.mark.parametrize("options", ATTENTION, ids=lambda o: "-".join(o) or "plain")
def test_attention(options: dict) -> None:
    def call(t, q, k, v, options):
        return attend(t, q, k, v, **options)

    check_function(call, *(floats(*s) for s in QKV), options)


CROSS_ENTROPY = [
    {"reduction": "sum"},
    {"weight": torch.tensor([0.2, 1.0, 3.0])},
    {"weight": torch.tensor([0.2, 1.0, 3.0]), "label_smoothing": 0.2, "ignore_index": 1},
    {"ignore_index": 2, "reduction": "none"},
    {"ignore_index": 0, "label_smoothing": 0.5},
]


@pytest.mark.parametrize("options", CROSS_ENTROPY, ids=lambda o: "-".join(o))
def test_cross_entropy(options: dict) -> None:
    def call(t, input, target, options):
        return t.nn.functional.cross_entropy(input, target, **options)

    check_function(call, floats(6, 3, 2), torch.arange(12).reshape(6, 2) % 3, options)


def test_ignored_targets_outside_the_classes() -> None:
    target = torch.tensor([0, -100, 2, -100])
    check_function(lambda t, x, y: t.nn.functional.cross_entropy(x, y), floats(4, 3), target)


def test_second_derivative_of_binary_cross_entropy() -> None:
    def second(t, x):
        loss = t.nn.functional.binary_cross_entropy(x, t.full((3,), 0.3))
        (first,) = t.autograd.grad(loss, x, create_graph=True)
        return first

    check_function(second, torch.tensor([0.2, 0.5, 0.9], requires_grad=True))


ERRORS = {
    "conv_dims": lambda t: t.nn.functional.conv2d(t.ones(2, 3), t.ones(1, 1, 1, 1)),
    "conv_padding": lambda t: t.nn.functional.conv2d(
        t.ones(1, 1, 3, 3), t.ones(1, 1, 2, 2), stride=2, padding="same"),
    "linear_shapes": lambda t: t.nn.functional.linear(t.ones(2, 3), t.ones(4, 5)),
    "nll_batch": lambda t: t.nn.functional.cross_entropy(t.ones(3, 2), t.zeros(4, dtype=t.int64)),
    "nll_bounds": lambda t: t.nn.functional.cross_entropy(t.ones(2, 3), t.tensor([0, 7])),
    "nll_negative": lambda t: t.nn.functional.cross_entropy(t.ones(2, 3), t.tensor([0, -1])),
    "bce_size": lambda t: t.nn.functional.binary_cross_entropy(t.ones(2), t.ones(3)),
    "bce_range": lambda t: t.nn.functional.binary_cross_entropy(t.ones(2) * 2, t.ones(2)),
    "bce_logits_size": lambda t: t.nn.functional.binary_cross_entropy_with_logits(
        t.ones(2), t.ones(3)),
    "dropout_p": lambda t: t.nn.functional.dropout(t.ones(2), 1.5),
    "batch_norm_one": lambda t: t.nn.functional.batch_norm(t.ones(1, 3), None, None, training=True),
    "batch_norm_dims": lambda t: t.nn.BatchNorm2d(3)(t.ones(2, 3)),
    "group_norm": lambda t: t.nn.functional.group_norm(t.ones(2, 3, 4), 2),
    "reflect": lambda t: t.nn.functional.pad(t.ones(1, 2, 3), (3, 0), mode="reflect"),
    "pad_odd": lambda t: t.nn.functional.pad(t.ones(2, 3), (1,)),
    "one_hot": lambda t: t.nn.functional.one_hot(t.tensor([3]), 2),
    "glu_odd": lambda t: t.nn.functional.glu(t.ones(2, 3)),
    "interpolate": lambda t: t.nn.functional.interpolate(t.ones(1, 1, 2, 2)),
    "pixel_shuffle": lambda t: t.nn.functional.pixel_shuffle(t.ones(1, 3, 2, 2), 2),
    "embedding_dim": lambda t: t.nn.functional.embedding_bag(t.tensor([1]), t.ones(3, 2)),
    "smoothing": lambda t: t.nn.functional.cross_entropy(
        t.ones(1, 2), t.tensor([0]), label_smoothing=2.0),
    "reduction": lambda t: t.nn.functional.mse_loss(t.ones(2), t.ones(2), reduction="avg"),
    "groups": lambda t: t.nn.Conv2d(3, 4, 1, groups=2),
    "lstm_input": lambda t: t.nn.LSTM(3, 4)(t.ones(2, 2, 5)),
    "lstm_state": lambda t: t.nn.GRU(3, 4)(t.ones(2, 2, 3), t.ones(1, 3, 4)),
    "unfold": lambda t: t.nn.functional.unfold(t.ones(1, 1, 2, 2), 5),
    "max_pool_return": lambda t: t.nn.functional.max_pool1d(t.ones(2), 2),
    "grid_mode": lambda t: t.nn.functional.grid_sample(
        t.ones(1, 1, 2, 2), t.ones(1, 1, 1, 2), mode="cubic"),
    "attention_heads": lambda t: t.nn.MultiheadAttention(5, 2),
    "triplet_margin": lambda t: t.nn.TripletMarginLoss(margin=-1),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    check_error(ERRORS[name])


def test_padding_of_a_convolution_is_checked() -> None:
    # torch lists the choices in the order of a set, which varies.
    with pytest.raises(ValueError, match="Invalid padding string 'half', should be one of"):
        wasm_torch.nn.Conv2d(1, 1, 1, padding="half")
    with pytest.raises(ValueError, match="but got padding_mode='half'"):
        wasm_torch.nn.Conv2d(1, 1, 1, padding_mode="half")
