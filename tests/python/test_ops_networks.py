"""Products, convolutions, pooling and norms against torch: one line a case."""

from __future__ import annotations

import pytest
from parity import check

PRODUCTS = [
    "x(3, 4) @ x(4, 5), x(4) @ x(4), x(3, 4) @ x(4), x(4) @ x(4, 2)",
    "x(2, 3, 4) @ x(4, 5), x(2, 3, 4) @ x(2, 4, 5), x(1, 3, 4) @ x(5, 4, 2)",
    "x(2, 1, 3, 4) @ x(3, 4, 2)",
    "x(4, 3).t() @ x(4, 5), x(3, 4) @ x(5, 4).t(), x(6, 4)[::2] @ x(4, 10)[:, ::2]",
    "torch.mm(x(3, 4), x(4, 2)), torch.bmm(x(2, 3, 4), x(2, 4, 5)), torch.mv(x(3, 4), x(4))",
    "torch.addmm(x(3, 5), x(3, 4), x(4, 5), beta=0.5, alpha=2)",
    "torch.addmm(x(5), x(3, 4), x(4, 5))",
    "torch.baddbmm(x(2, 3, 5), x(2, 3, 4), x(2, 4, 5))",
    "torch.addbmm(x(3, 5), x(2, 3, 4), x(2, 4, 5))",
    "torch.addmv(x(3), x(3, 4), x(4)), torch.addr(x(3, 4), x(3), x(4)), torch.outer(x(3), x(4))",
    "torch.einsum('ij,jk->ik', x(2, 3), x(3, 4))",
    "torch.einsum('bij,bkj->bik', x(2, 3, 4), x(2, 5, 4))",
    "torch.einsum('ii->i', x(3, 3)), torch.einsum('...i,...i', x(2, 3), x(2, 3))",
    "torch.einsum('ij->ji', x(2, 3))",
    "torch.tensordot(x(2, 3, 4), x(3, 4, 5), 2), torch.inner(x(2, 3), x(4, 3))",
    "torch.kron(x(2, 2), x(3))",
    "i(3, 4) @ i(4, 2), c(3, 4, dtype='float64') @ c(4, 2, dtype='float64')",
    "F.linear(x(3, 4), x(5, 4), x(5)), F.linear(x(2, 3, 4), x(5, 4))",
    "F.linear(x(4), x(5, 4), x(5))",
    "F.bilinear(x(3, 4), x(3, 5), x(2, 4, 5), x(2))",
    "torch._trilinear(x(3, 4), x(2, 4, 5), x(3, 5), [1, 3], [0], [1, 2], [2, 3])",
    "x(0, 3) @ x(3, 2), x(2, 0) @ x(0, 3)",
    "torch.linalg.multi_dot((x(2, 3), x(3, 4), x(4, 2)))",
]
CONVOLUTIONS = [
    "F.conv1d(x(2, 3, 10), x(4, 3, 3), x(4))",
    "F.conv1d(x(2, 4, 10), x(6, 2, 3), groups=2, padding=1)",
    "F.conv2d(x(2, 3, 8, 7), x(4, 3, 3, 3), x(4), padding=1)",
    "F.conv2d(x(2, 3, 8, 7), x(4, 3, 3, 3), stride=2)",
    "F.conv2d(x(2, 4, 9, 9), x(4, 1, 3, 3), groups=4, dilation=2)",
    "F.conv2d(x(3, 8, 8), x(4, 3, 3, 3))",
    "F.conv2d(x(2, 3, 8, 8), x(5, 3, 1, 1))",
    "F.conv2d(x(1, 3, 9, 9), x(4, 3, 4, 4), padding='same')",
    "F.conv2d(x(2, 3, 8, 8).to(memory_format=torch.channels_last), x(4, 3, 3, 3), padding=1)",
    "F.conv3d(x(1, 2, 5, 6, 4), x(3, 2, 2, 3, 2), x(3), padding=(0, 1, 1))",
    "F.conv_transpose1d(x(2, 3, 7), x(3, 4, 3), stride=2, padding=1, output_padding=1)",
    "F.conv_transpose2d(x(2, 4, 5, 5), x(4, 2, 3, 3), x(4), stride=2, groups=2)",
    "F.conv_transpose3d(x(1, 2, 3, 3, 3), x(2, 3, 2, 2, 2), stride=2)",
    "F.unfold(x(1, 2, 5, 5), 3, padding=1), F.fold(x(1, 8, 9), (4, 4), 2)",
]
POOLING = [
    "F.max_pool2d(x(2, 3, 8, 8), 2)",
    "F.max_pool2d(x(2, 3, 9, 9), 3, stride=2, padding=1, return_indices=True)",
    "F.max_pool2d(x(2, 3, 7, 7), 2, ceil_mode=True), F.max_pool1d(x(2, 3, 9), 3, dilation=2)",
    "F.max_pool3d(x(1, 2, 4, 4, 4), 2), F.avg_pool1d(x(2, 3, 9), 3)",
    "F.avg_pool3d(x(1, 2, 4, 4, 4), 2)",
    "F.avg_pool2d(x(2, 3, 8, 8), 3, stride=2, padding=1)",
    "F.avg_pool2d(x(2, 3, 7, 7), 2, ceil_mode=True)",
    "F.avg_pool2d(x(2, 3, 8, 8), 3, padding=1, count_include_pad=False, divisor_override=None)",
    "F.adaptive_avg_pool2d(x(2, 3, 7, 5), (3, 2)), F.adaptive_avg_pool1d(x(2, 3, 7), 3)",
    "F.adaptive_max_pool2d(x(2, 3, 7, 5), (3, 2), return_indices=True)",
    "F.adaptive_avg_pool2d(x(2, 3, 4, 4), 1)",
    "F.max_pool2d(x(2, 3, 8, 8).to(memory_format=torch.channels_last), 2)",
    "F.lp_pool2d(x(1, 2, 6, 6), 2, 2)",
    "F.max_unpool2d(*F.max_pool2d(c(1, 2, 4, 4), 2, return_indices=True), 2)",
]
NORMS = [
    "F.batch_norm(x(4, 3, 5, 5), None, None, x(3), x(3), training=True)",
    "F.batch_norm(x(4, 3, 5), c(3), c(3, low=1, high=2), x(3), x(3))",
    "F.batch_norm(x(4, 3), None, None, training=True)",
    "F.layer_norm(x(2, 3, 4), (4,), x(4), x(4)), F.layer_norm(x(2, 3, 4), (3, 4))",
    "F.group_norm(x(2, 6, 4), 3, x(6), x(6)), F.instance_norm(x(2, 3, 6))",
    "F.rms_norm(x(2, 4), (4,), x(4))",
    "F.softmax(x(3, 4), 1), F.softmax(x(3, 4, 2), 0), F.log_softmax(x(3, 4), 1)",
    "F.softmin(x(3, 4), 0)",
    "F.normalize(x(3, 4)), F.local_response_norm(x(1, 4, 3, 3), 2)",
    "F.cosine_similarity(x(3, 4), x(3, 4))",
]
LOSSES = [
    "F.cross_entropy(x(4, 5), i(4))",
    "F.cross_entropy(x(4, 5), i(4), x(5).abs().detach(), label_smoothing=0.1)",
    "F.cross_entropy(x(2, 5, 3), i(2, 3)), F.cross_entropy(x(4, 5), c(4, 5).softmax(1))",
    "F.nll_loss(x(4, 5), i(4), reduction='sum')",
    "F.mse_loss(x(3, 4), x(3, 4)), F.l1_loss(x(3, 4), x(3, 4)), F.smooth_l1_loss(x(3, 4), x(3, 4))",
    "F.huber_loss(x(3), x(3), delta=0.5)",
    "F.binary_cross_entropy(x(3, low=0.1, high=0.9), c(3, low=0, high=1))",
    "F.binary_cross_entropy_with_logits(x(3, 4), c(3, 4, low=0, high=1))",
    "F.kl_div(x(3, 4), c(3, 4, low=0, high=1), reduction='batchmean')",
    "F.poisson_nll_loss(x(3), c(3, low=0, high=2))",
    "F.hinge_embedding_loss(x(4), torch.tensor([1, -1, 1, -1]))",
    "F.cosine_embedding_loss(x(3, 4), x(3, 4), torch.tensor([1, -1, 1]))",
    "F.triplet_margin_loss(x(3, 4), x(3, 4), x(3, 4)), F.multi_margin_loss(x(3, 4), i(3, high=4))",
    "F.scaled_dot_product_attention(x(2, 3, 4), x(2, 5, 4), x(2, 5, 6))",
    "F.scaled_dot_product_attention(x(2, 3, 4), x(2, 3, 4), x(2, 3, 4), is_causal=True)",
    "F.interpolate(x(1, 2, 4, 4), scale_factor=2)",
    "F.interpolate(x(1, 2, 4, 4), (7, 5), mode='bilinear')",
    "F.pixel_shuffle(x(1, 8, 2, 2), 2)",
    "F.grid_sample(x(1, 2, 4, 4), c(1, 3, 3, 2, low=-1, high=1), align_corners=False)",
]


@pytest.mark.parametrize("expression", PRODUCTS)
def test_product(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("expression", CONVOLUTIONS)
def test_convolution(expression: str) -> None:
    check(expression, rtol=1e-3, atol=1e-4, strides="same" not in expression)


@pytest.mark.parametrize("expression", POOLING)
def test_pooling(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("expression", NORMS)
def test_norm(expression: str) -> None:
    check(expression, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("expression", LOSSES)
def test_loss(expression: str) -> None:
    once = ("grid_sample", "multi_margin_loss")  # torch has no second gradient of these
    check(expression, rtol=1e-3, atol=1e-4, second=not any(name in expression for name in once))
