"""Layers against torch: initial values, printing, forward, gradients and state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nn_parity import assert_same, backward, convert, tensors

import wasm_torch


def floats(*shape: int) -> torch.Tensor:
    """Normal numbers that require gradients."""
    return torch.randn(shape, requires_grad=True)


def ints(high: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, high, shape)


# (how to make it from an `nn`, how to make its arguments)
LAYERS = [
    (lambda nn: nn.Identity(7, x=1), lambda: [floats(2, 3)]),
    (lambda nn: nn.Linear(4, 3), lambda: [floats(2, 5, 4)]),
    (lambda nn: nn.Linear(4, 3, bias=False), lambda: [floats(4)]),
    (lambda nn: nn.Bilinear(3, 4, 2), lambda: [floats(5, 3), floats(5, 4)]),
    (lambda nn: nn.Conv1d(4, 6, 3, padding=1, groups=2), lambda: [floats(2, 4, 9)]),
    (lambda nn: nn.Conv2d(2, 3, (3, 2), stride=2, bias=False), lambda: [floats(2, 2, 8, 9)]),
    (lambda nn: nn.Conv2d(2, 3, 4, padding="same"), lambda: [floats(2, 7, 8)]),
    (lambda nn: nn.Conv2d(2, 3, 3, padding=2, padding_mode="reflect"),
     lambda: [floats(1, 2, 6, 6)]),
    (lambda nn: nn.Conv3d(2, 3, 2, dilation=2), lambda: [floats(1, 2, 5, 6, 7)]),
    (lambda nn: nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1), lambda: [floats(2, 2, 5)]),
    (lambda nn: nn.ConvTranspose2d(4, 2, 3, padding=1, groups=2), lambda: [floats(1, 4, 5, 6)]),
    (lambda nn: nn.ConvTranspose3d(1, 2, 2), lambda: [floats(1, 1, 3, 3, 3)]),
    (lambda nn: nn.MaxPool1d(3, 2, 1), lambda: [floats(2, 3, 9)]),
    (lambda nn: nn.MaxPool2d(2, return_indices=True), lambda: [floats(2, 3, 6, 7)]),
    (lambda nn: nn.MaxPool3d(2, ceil_mode=True), lambda: [floats(1, 2, 5, 5, 5)]),
    (lambda nn: nn.AvgPool1d(3, 2), lambda: [floats(2, 3, 9)]),
    (lambda nn: nn.AvgPool2d(3, 2, 1, count_include_pad=False), lambda: [floats(2, 3, 6, 7)]),
    (lambda nn: nn.AvgPool3d(2, divisor_override=3), lambda: [floats(1, 2, 4, 4, 4)]),
    (lambda nn: nn.LPPool1d(2, 3), lambda: [floats(2, 3, 9)]),
    (lambda nn: nn.LPPool2d(2, 2, stride=1), lambda: [floats(1, 2, 5, 5)]),
    (lambda nn: nn.AdaptiveAvgPool1d(4), lambda: [floats(2, 3, 9)]),
    (lambda nn: nn.AdaptiveAvgPool2d((3, None)), lambda: [floats(2, 3, 7, 5)]),
    (lambda nn: nn.AdaptiveAvgPool2d(1), lambda: [floats(2, 3, 7, 5)]),
    (lambda nn: nn.AdaptiveAvgPool3d(2), lambda: [floats(1, 2, 5, 5, 5)]),
    (lambda nn: nn.AdaptiveMaxPool1d(4), lambda: [floats(2, 3, 9)]),
    (lambda nn: nn.AdaptiveMaxPool2d(3, return_indices=True), lambda: [floats(2, 3, 7, 5)]),
    (lambda nn: nn.AdaptiveMaxPool3d(2), lambda: [floats(1, 2, 5, 5, 5)]),
    (lambda nn: nn.ReflectionPad1d(2), lambda: [floats(2, 3, 5)]),
    (lambda nn: nn.ReflectionPad2d((1, 2, 0, 1)), lambda: [floats(1, 2, 4, 5)]),
    (lambda nn: nn.ReplicationPad3d(1), lambda: [floats(1, 1, 2, 3, 4)]),
    (lambda nn: nn.CircularPad2d((2, 1, 1, 0)), lambda: [floats(1, 2, 4, 5)]),
    (lambda nn: nn.ConstantPad1d((2, -1), 3.5), lambda: [floats(2, 3, 5)]),
    (lambda nn: nn.ZeroPad2d(1), lambda: [floats(1, 2, 4, 5)]),
    (lambda nn: nn.BatchNorm1d(3), lambda: [floats(4, 3)]),
    (lambda nn: nn.BatchNorm2d(3, momentum=None), lambda: [floats(4, 3, 5, 5)]),
    (lambda nn: nn.BatchNorm3d(2, affine=False), lambda: [floats(2, 2, 3, 3, 3)]),
    (lambda nn: nn.BatchNorm2d(3, track_running_stats=False), lambda: [floats(4, 3, 5, 5)]),
    (lambda nn: nn.InstanceNorm1d(3), lambda: [floats(2, 3, 5)]),
    (lambda nn: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
     lambda: [floats(2, 3, 5, 5)]),
    (lambda nn: nn.LayerNorm((3, 4)), lambda: [floats(2, 3, 4)]),
    (lambda nn: nn.LayerNorm(4, bias=False), lambda: [floats(2, 3, 4)]),
    (lambda nn: nn.RMSNorm(4), lambda: [floats(2, 3, 4)]),
    (lambda nn: nn.GroupNorm(2, 6), lambda: [floats(2, 6, 5)]),
    (lambda nn: nn.LocalResponseNorm(3), lambda: [floats(2, 5, 4, 4)]),
    (lambda nn: nn.ReLU(), lambda: [floats(3, 4)]),
    (lambda nn: nn.ReLU6(), lambda: [floats(3, 4)]),
    (lambda nn: nn.LeakyReLU(0.2), lambda: [floats(3, 4)]),
    (lambda nn: nn.PReLU(4), lambda: [floats(3, 4)]),
    (lambda nn: nn.ELU(0.7), lambda: [floats(3, 4)]),
    (lambda nn: nn.CELU(1.3), lambda: [floats(3, 4)]),
    (lambda nn: nn.SELU(), lambda: [floats(3, 4)]),
    (lambda nn: nn.GELU(), lambda: [floats(3, 4)]),
    (lambda nn: nn.GELU(approximate="tanh"), lambda: [floats(3, 4)]),
    (lambda nn: nn.SiLU(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Mish(), lambda: [floats(3, 4)]),
    (lambda nn: nn.GLU(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Sigmoid(), lambda: [floats(3, 4)]),
    (lambda nn: nn.LogSigmoid(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Tanh(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Tanhshrink(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Softsign(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Softplus(2.0, 1.0), lambda: [floats(3, 4)]),
    (lambda nn: nn.Hardtanh(-0.5, 0.7), lambda: [floats(3, 4)]),
    (lambda nn: nn.Hardsigmoid(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Hardswish(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Hardshrink(), lambda: [floats(3, 4)]),
    (lambda nn: nn.Softshrink(0.3), lambda: [floats(3, 4)]),
    (lambda nn: nn.Threshold(0.1, -2), lambda: [floats(3, 4)]),
    (lambda nn: nn.Softmax(1), lambda: [floats(3, 4)]),
    (lambda nn: nn.Softmin(0), lambda: [floats(3, 4)]),
    (lambda nn: nn.LogSoftmax(1), lambda: [floats(3, 4)]),
    (lambda nn: nn.Softmax2d(), lambda: [floats(1, 3, 4, 2)]),
    (lambda nn: nn.Embedding(7, 3, padding_idx=-1), lambda: [ints(7, 2, 4)]),
    (lambda nn: nn.EmbeddingBag(7, 3), lambda: [ints(7, 6), torch.tensor([0, 2, 2])]),
    (lambda nn: nn.EmbeddingBag(7, 3, mode="max"), lambda: [ints(7, 2, 4)]),
    (lambda nn: nn.Flatten(), lambda: [floats(2, 3, 4)]),
    (lambda nn: nn.Unflatten(1, (2, 3)), lambda: [floats(2, 6)]),
    (lambda nn: nn.Fold((4, 5), 2), lambda: [floats(2, 12, 12)]),
    (lambda nn: nn.Unfold((2, 3), padding=1, stride=2), lambda: [floats(2, 3, 5, 6)]),
    (lambda nn: nn.PixelShuffle(2), lambda: [floats(1, 8, 2, 3)]),
    (lambda nn: nn.PixelUnshuffle(2), lambda: [floats(1, 2, 4, 6)]),
    (lambda nn: nn.ChannelShuffle(2), lambda: [floats(1, 6, 2, 2)]),
    (lambda nn: nn.Upsample(scale_factor=2), lambda: [floats(1, 2, 3, 4)]),
    (lambda nn: nn.Upsample((5, 7), mode="bilinear"), lambda: [floats(1, 2, 3, 4)]),
    (lambda nn: nn.Upsample(scale_factor=1.5, mode="bicubic"), lambda: [floats(1, 2, 4, 4)]),
    (lambda nn: nn.UpsamplingBilinear2d(scale_factor=2), lambda: [floats(1, 2, 3, 4)]),
    (lambda nn: nn.CosineSimilarity(), lambda: [floats(3, 4), floats(3, 4)]),
    (lambda nn: nn.PairwiseDistance(), lambda: [floats(3, 4), floats(3, 4)]),
    (lambda nn: nn.RNN(3, 4, 2, nonlinearity="relu"), lambda: [floats(5, 2, 3)]),
    (lambda nn: nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True), lambda: [floats(2, 5, 3)]),
    (lambda nn: nn.LSTM(3, 4, proj_size=2), lambda: [floats(5, 3)]),
    (lambda nn: nn.GRU(3, 4, bias=False), lambda: [floats(5, 2, 3), floats(1, 2, 4)]),
    (lambda nn: nn.RNNCell(3, 4, nonlinearity="relu"), lambda: [floats(2, 3)]),
    (lambda nn: nn.LSTMCell(3, 4), lambda: [floats(2, 3), (floats(2, 4), floats(2, 4))]),
    (lambda nn: nn.GRUCell(3, 4, bias=False), lambda: [floats(3)]),
    (lambda nn: nn.MultiheadAttention(8, 2, bias=True), lambda: [floats(3, 2, 8)] * 3),
    (lambda nn: nn.MultiheadAttention(8, 2, kdim=5, vdim=3, batch_first=True, add_bias_kv=True),
     lambda: [floats(2, 3, 8), floats(2, 4, 5), floats(2, 4, 3)]),
    (lambda nn: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), lambda: [floats(3, 2, 8)]),
    (lambda nn: nn.TransformerDecoderLayer(8, 2, 16, 0.0, "gelu", norm_first=True),
     lambda: [floats(3, 2, 8), floats(4, 2, 8)]),
    (lambda nn: nn.Transformer(8, 2, 1, 1, 16, dropout=0.0),
     lambda: [floats(3, 2, 8), floats(4, 2, 8)]),
    (lambda nn: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]), lambda: [floats(6, 8), ints(20, 6)]),
    (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), lambda: [floats(5, 3)]),
    (lambda nn: nn.Dropout(0.0), lambda: [floats(3, 4)]),
]  # fmt: skip

LOSSES = [
    (lambda nn: nn.L1Loss(), lambda: [floats(3, 4), floats(3, 4)]),
    (lambda nn: nn.MSELoss(reduction="sum"), lambda: [floats(3, 4), floats(3, 4)]),
    (lambda nn: nn.SmoothL1Loss(beta=0.5), lambda: [floats(3, 4), floats(3, 4)]),
    (lambda nn: nn.HuberLoss(delta=0.5), lambda: [floats(3, 4), floats(3, 4)]),
    (lambda nn: nn.NLLLoss(), lambda: [floats(5, 3), ints(3, 5)]),
    (lambda nn: nn.NLLLoss(ignore_index=1, reduction="none"),
     lambda: [floats(5, 3, 4), ints(3, 5, 4)]),
    (lambda nn: nn.CrossEntropyLoss(), lambda: [floats(5, 3), ints(3, 5)]),
    (lambda nn: nn.CrossEntropyLoss(label_smoothing=0.1), lambda: [floats(5, 3, 2), ints(3, 5, 2)]),
    (lambda nn: nn.CrossEntropyLoss(), lambda: [floats(5, 3), torch.rand(5, 3)]),
    (lambda nn: nn.PoissonNLLLoss(full=True), lambda: [floats(3, 4), torch.rand(3, 4) * 4]),
    (lambda nn: nn.GaussianNLLLoss(), lambda: [floats(3, 4), floats(3, 4), torch.rand(3, 1)]),
    (lambda nn: nn.KLDivLoss(reduction="batchmean"), lambda: [floats(3, 4), torch.rand(3, 4)]),
    (lambda nn: nn.BCELoss(), lambda: [torch.rand(3, 4, requires_grad=True), torch.rand(3, 4)]),
    (lambda nn: nn.BCEWithLogitsLoss(), lambda: [floats(3, 4), torch.rand(3, 4)]),
    (lambda nn: nn.HingeEmbeddingLoss(), lambda: [floats(6), ints(2, 6) * 2 - 1]),
    (lambda nn: nn.CosineEmbeddingLoss(0.1),
     lambda: [floats(6, 3), floats(6, 3), ints(2, 6) * 2 - 1]),
    (lambda nn: nn.MarginRankingLoss(0.2), lambda: [floats(6), floats(6), ints(2, 6) * 2 - 1]),
    (lambda nn: nn.MultiMarginLoss(p=2), lambda: [floats(5, 4), ints(4, 5)]),
    (lambda nn: nn.MultiLabelMarginLoss(),
     lambda: [floats(2, 4), torch.tensor([[3, 0, -1, 1], [2, -1, 0, 0]])]),
    (lambda nn: nn.MultiLabelSoftMarginLoss(), lambda: [floats(3, 4), ints(2, 3, 4).float()]),
    (lambda nn: nn.SoftMarginLoss(), lambda: [floats(6), (ints(2, 6) * 2 - 1).float()]),
    (lambda nn: nn.TripletMarginLoss(swap=True),
     lambda: [floats(5, 3), floats(5, 3), floats(5, 3)]),
    (lambda nn: nn.CTCLoss(),
     lambda: [floats(8, 2, 5), ints(4, 2, 3) + 1, torch.tensor([8, 7]), torch.tensor([3, 2])]),
    (lambda nn: nn.LinearCrossEntropyLoss(4, 3), lambda: [floats(5, 4), ints(3, 5)]),
]  # fmt: skip


def name_of(case: tuple) -> str:
    return type(case[0](torch.nn)).__name__


def make_both(make: object) -> tuple:
    """The layer in both packages, made from the same seed."""
    torch.manual_seed(3)
    expected = make(torch.nn)
    wasm_torch.manual_seed(3)
    return expected, make(wasm_torch.nn)


CASES = [pytest.param(*case, id=f"{i}-{name_of(case)}") for i, case in enumerate(LAYERS + LOSSES)]


@pytest.mark.parametrize(("make", "arguments"), CASES)
def test_layer(make, arguments) -> None:
    expected, actual = make_both(make)
    assert repr(actual) == repr(expected)
    want, have = expected.state_dict(), actual.state_dict()
    assert list(want) == list(have)
    assert want._metadata == have._metadata
    # Embeddings are drawn from a normal distribution, which agrees to a few units of precision.
    exact = not any(
        isinstance(m, torch.nn.Embedding | torch.nn.EmbeddingBag) for m in expected.modules()
    )
    for key in want:
        compare = np.testing.assert_array_equal if exact else np.testing.assert_allclose
        if key.startswith("bias_") and "MultiheadAttention" in repr(expected):
            compare = np.testing.assert_allclose
        tolerance = {} if compare is np.testing.assert_array_equal else {"rtol": 1e-5, "atol": 4e-6}
        compare(have[key].numpy(), want[key].numpy(), err_msg=key, **tolerance)

    for training in (True, False):
        expected.train(training)
        actual.train(training)
        args = arguments()
        other = convert(args)
        output, result = expected(*args), actual(*other)
        assert_same(output, result)
        backward(output)
        backward(result)
        for a, b in zip(tensors(args), tensors(other), strict=True):
            assert (a.grad is None) == (b.grad is None)
            if a.grad is not None:
                assert_same(a.grad, b.grad)
        for (_, a), (name, b) in zip(
            expected.named_parameters(), actual.named_parameters(), strict=True
        ):
            assert (a.grad is None) == (b.grad is None), name
            if a.grad is not None:
                assert_same(a.grad, b.grad)
        assert_same(dict(expected.named_buffers()), dict(actual.named_buffers()))
        expected.zero_grad()
        actual.zero_grad()


@pytest.mark.parametrize("name", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"])
def test_dropout_keeps_the_mean(name: str) -> None:
    wasm_torch.manual_seed(0)
    layer = getattr(wasm_torch.nn, name)(0.25)
    shape = {"Dropout1d": (400, 40, 4), "Dropout3d": (400, 40, 2, 2, 1)}.get(name, (400, 40, 2, 2))
    input = wasm_torch.ones(shape)
    output = layer(input)
    if name != "AlphaDropout":
        zeros = (output == 0).float().mean().item()
        assert abs(zeros - 0.25) < 0.02
        assert abs(output.mean().item() - 1) < 0.03
    if name in ("Dropout1d", "Dropout2d", "Dropout3d"):
        flat = output.flatten(2)
        assert bool((flat == flat[:, :, :1]).all())
    layer.eval()
    assert layer(input) is input


def test_packed_sequences() -> None:
    torch.manual_seed(0)
    lstm, input = torch.nn.LSTM(3, 4, bidirectional=True, num_layers=2), torch.randn(6, 4, 3)
    other = wasm_torch.nn.LSTM(3, 4, bidirectional=True, num_layers=2)
    other.load_state_dict(convert(dict(lstm.state_dict())))
    lengths = [3, 6, 1, 4]
    outputs = []
    for package, layer, data in ((torch, lstm, input), (wasm_torch, other, convert(input))):
        rnn = package.nn.utils.rnn
        packed = rnn.pack_padded_sequence(data, lengths, enforce_sorted=False)
        result, state = layer(packed)
        outputs.append((*rnn.pad_packed_sequence(result, padding_value=-1.0), state))
    assert_same(*outputs)


def test_lazy_layers_become_their_class() -> None:
    layer = wasm_torch.nn.LazyLinear(3)
    assert repr(layer.weight) == "<UninitializedParameter>"
    assert layer(wasm_torch.ones(2, 5)).shape == (2, 3)
    assert type(layer) is wasm_torch.nn.Linear
    assert layer.in_features == 5 and type(layer.weight) is wasm_torch.nn.Parameter


def test_deep_copy_is_independent() -> None:
    import copy

    layer = wasm_torch.nn.Sequential(wasm_torch.nn.Linear(2, 2), wasm_torch.nn.BatchNorm1d(2))
    twin = copy.deepcopy(layer)
    with wasm_torch.no_grad():
        twin[0].weight.fill_(1)
    assert not bool((layer[0].weight == 1).any())
    assert type(twin[0].weight) is wasm_torch.nn.Parameter and twin[0].weight.requires_grad
