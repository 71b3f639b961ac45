"""Functions of neural networks which torch offers under its own name too.

Most are those of `nn.functional`; some have the arguments of the operation behind them: a number
for the reduction (0 none, 1 mean, 2 sum), other orders, or more results.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from wasm_torch._tensor import Tensor
from wasm_torch.nn import functional as F

#: Functions with the same arguments in both places.
_SAME = (
    "adaptive_avg_pool1d", "avg_pool1d", "bilinear", "channel_shuffle", "conv1d", "conv2d",
    "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "cosine_similarity", "max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool3d",
    "native_channel_shuffle", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle",
    "rms_norm", "rrelu", "rrelu_",
)  # fmt: skip

#: Losses, whose reduction is a number here.
_LOSSES = (
    "binary_cross_entropy_with_logits", "cosine_embedding_loss", "hinge_embedding_loss",
    "kl_div", "margin_ranking_loss", "poisson_nll_loss", "triplet_margin_loss",
)  # fmt: skip

_REDUCTIONS = ("none", "mean", "sum")


def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Zeroes each element with probability p, if `train`, and divides the others by 1 - p."""
    return F.dropout(input, p, train)


def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """`dropout` in place."""
    return F.dropout(input, p, train, True)


def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout which keeps mean 0 and variance 1 of selu's outputs."""
    return F.alpha_dropout(input, p, train)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Zeroes whole channels of (N, C, *)."""
    return F.dropout2d(input, p, train)


def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Alpha dropout of whole channels of (N, C, *)."""
    return F.feature_alpha_dropout(input, p, train)


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """Normalises each channel of (N, C, *) over the batch."""
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalises groups of channels of (N, C, *)."""
    return F.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """Normalises each channel of each sample of (N, C, *)."""
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """Maxima of (N, C, L) over nearly equal windows, and their positions."""
    return F.adaptive_max_pool1d_with_indices(input, output_size)


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` with numbers for the modes, in the order of its documentation."""
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return F.grid_sample(
        input, grid, modes[interpolation_mode], paddings[padding_mode], align_corners
    )


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """`affine_grid`, under the operation's name."""
    return F.affine_grid(theta, size, align_corners)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification."""
    return F.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, _REDUCTIONS[reduction],
        zero_infinity,
    )  # fmt: skip


def _numbered(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss which takes its options by name, and the reduction as a number."""

    @functools.wraps(function)
    def loss(*args: Any, reduction: int = 1, **kwargs: Any) -> Tensor:
        return function(*args, reduction=_REDUCTIONS[reduction], **kwargs)

    return loss


globals().update({name: getattr(F, name) for name in _SAME})
globals().update({name: _numbered(getattr(F, name)) for name in _LOSSES})

__all__ = [  # noqa: PLE0604 - the first two are tuples of strings
    *_SAME, *_LOSSES, "adaptive_max_pool1d", "affine_grid_generator", "alpha_dropout",
    "batch_norm", "ctc_loss", "dropout", "dropout_", "feature_alpha_dropout", "feature_dropout",
    "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm", "instance_norm",
]  # fmt: skip
