"""Views, indexing, joining and creation against torch, strides included: one line a case."""

from __future__ import annotations

import pytest
from parity import check

VIEWS = [
    "x(2, 3, 4).view(6, 4), x(2, 3, 4).view(-1), x(2, 3, 4).view(3, -1)",
    "x(2, 3, 4).transpose(1, 2).reshape(6, 4), x(2, 3, 4).permute(1, 0, 2).reshape(-1)",
    "x(2, 3, 4)[:, 1:].reshape(2, 8), x(4, 6)[::2].view(2, 2, 3)",
    "x(2, 3).t(), x(2, 3).T, x(2, 3, 4).mT, x(3).t()",
    "x(2, 3, 4).permute(2, 0, 1), x(2, 3, 4).swapaxes(0, 2), x(2, 3, 4).movedim(0, 2)",
    "torch.movedim(x(2, 3, 4), (0, 1), (2, 0)), torch.moveaxis(x(2, 3), 0, 1)",
    "x(1, 3).expand(4, 3), x(3).expand(2, -1), x(2, 1).expand_as(c(2, 5))",
    "torch.broadcast_to(x(3), (2, 3)), torch.broadcast_tensors(x(3, 1), x(4))",
    "x(3, 4).unsqueeze(1), x(3, 4).unsqueeze(-1), x(1, 3, 1).squeeze(), x(1, 3, 1).squeeze(0)",
    "x(1, 3, 1).squeeze((0, 2)), x(2, 3).squeeze(0)",
    "x(3, 4).select(1, 2), x(3, 4).narrow(0, 1, 2), x(3, 4).narrow(1, -2, 2)",
    "x(4, 4).diagonal(), x(3, 4).diagonal(1), x(2, 3, 4).diagonal(-1, 1, 2)",
    "x(10).unfold(0, 4, 3), x(3, 8).unfold(1, 2, 2)",
    "x(2, 3, 4).flatten(), x(2, 3, 4).flatten(1), x(6, 2).unflatten(0, (2, -1)), x(2, 3).ravel()",
    "x(6).as_strided((2, 3), (1, 2)), x(6).as_strided((2, 2), (1, 1))",
    "torch.split(x(7, 2), 3), torch.split(x(6), [1, 2, 3]), torch.chunk(x(7), 3)",
    "x(5, 2).unbind(1)",
    "x(6).split(torch.tensor(2)), x(6).chunk(torch.tensor(2)), x(6).reshape(torch.tensor(2), 3)",
    "x(6).tile(2), x(6).tile(2, 3), torch.tile(x(2), (2,)), torch.tile(x(2), dims=(2,))",
    "c(2).to(float), c(2).to(int), torch.ones(2, dtype=float), torch.zeros(2, dtype=bool)",
    "torch.linspace(0, x(), 3).detach(), torch.zeros(torch.tensor(2), 3), torch.ones([])",
    "torch.tensor_split(x(7), 3), torch.tensor_split(x(7), (2, 5)), torch.hsplit(x(4, 6), 2)",
    "torch.atleast_2d(x(3)), torch.atleast_3d(x(2, 3)), torch.atleast_1d(x(), x(2))",
    "x(2, 3, 4).view(torch.int32), c(4).view(torch.float16)",
    "x(2, 3).detach(), x(2, 3).real, torch.swapdims(x(2, 3), 0, 1)",
    "torch.view_copy(x(2, 3), (3, 2)), torch.narrow_copy(x(4), 0, 1, 2)",
]
INDEXING = [
    "x(3, 4)[..., None, ...], x(3, 4)[..., :, ..., :, None], x(3, 4)[0, ..., 0, ..., None]",
    "x(3, 4)[1], x(3, 4)[-1], x(3, 4)[1:], x(3, 4)[:, ::2], x(3, 4)[..., 0], x(3, 4)[None, :, 1]",
    "x(3, 4)[1, 2], x(2, 3, 4)[:, 1:, ::3], x(3)[:], x(3)[...]",
    "x(3, 4)[i(5, high=3)], x(3, 4)[:, i(5, high=4)], x(3, 4)[i(2, 2, high=3)]",
    "x(3, 4)[i(5, high=3), i(5, high=4)], x(3, 4, 5)[i(2, high=3), :, i(2, high=5)]",
    "x(3, 4, 5)[:, i(2, high=4), i(2, high=5)], x(3, 4)[[0, 2]], x(3, 4)[[0, 2], [1, 3]]",
    "x(3, 4)[b(3, 4)], x(3, 4)[b(3)], x(3, 4)[:, b(4)], x(3, 4)[True], x(3, 4)[False]",
    "x(3, 4)[torch.tensor(1)], x(3, 4)[torch.tensor([-1, 0])], x(3, 4)[1:, torch.tensor([0, 0])]",
    "torch.gather(x(3, 4), 1, i(3, 2, high=4)), torch.gather(x(3, 4), 0, i(2, 4, high=3))",
    "torch.scatter(x(3, 4), 1, i(3, 2, high=4), 1.5)",
    "torch.scatter(x(3, 5), 1, torch.tensor([[0, 1], [2, 3], [4, 0]]), x(3, 2))",
    "torch.scatter_add(x(3, 4), 0, i(2, 4, high=3), x(2, 4))",
    "torch.scatter_reduce(x(3, 4), 0, i(2, 4, high=3), x(2, 4), 'amax')",
    "torch.scatter_reduce(x(3, 4), 0, i(2, 4, high=3), x(2, 4), 'mean', include_self=False)",
    "torch.index_select(x(3, 4), 1, i(5, high=4)), torch.take(x(3, 4), i(5, high=12))",
    "torch.index_add(x(3, 4), 0, i(5, high=3), x(5, 4), alpha=2)",
    "torch.index_copy(x(4, 2), 0, torch.tensor([2, 0]), x(2, 2))",
    "torch.index_fill(x(3, 4), 1, torch.tensor([0, 2]), 7.0)",
    "torch.index_fill(x(3, 4), 1, torch.tensor([0, -1]), 7.0)",
    "torch.index_fill(x(2, 3, 4), -2, torch.tensor(-3), 7.0)",
    "torch.index_fill(x(3, 4), 1, torch.tensor([3, 0, 3]), x())",
    "torch.index_fill(torch.tensor(1.0), 0, torch.tensor([-1]), 7.0)",
    "torch.index_fill(i(3, 4), 0, torch.tensor([1]), -2.7)",
    "torch.index_fill(b(3, 4), 0, torch.tensor([1]), 2.7)",
    "torch.masked_fill(i(3, 4), b(3, 4), 2.5), i(3, 4).masked_fill_(b(3, 4), -2.5)",
    "torch.masked_fill(b(3, 4), b(3, 4), 0.5)",
    "torch.index_put(x(3, 4), (torch.tensor([0, 2]), torch.tensor([1, 3])), x(2))",
    "torch.index_put(x(3, 4), (i(5, high=3),), x(5, 4), accumulate=True)",
    "torch.masked_fill(x(3, 4), b(3, 4), -1.0), torch.masked_select(x(3, 4), b(3, 4))",
    "torch.masked_scatter(x(3, 4), b(3, 4), x(12))",
    "torch.take_along_dim(x(3, 4), i(3, 1, high=4), 1), torch.argwhere(i(3, 4))",
    "torch.nonzero(i(3, 4)), torch.count_nonzero(i(3, 4), 0)",
    "F.embedding(i(3, 2), x(5, 4)), F.embedding(i(3), x(5, 4), padding_idx=1)",
    "F.one_hot(i(4)), torch.tril(x(3, 4)), torch.triu(x(2, 3, 3), 1)",
]
JOINING = [
    "torch.cat((x(2, 3), x(1, 3))), torch.cat((x(2, 3), x(2, 1)), 1), torch.cat((x(2), i(2)))",
    "torch.cat((x(0), x(2, 3))), torch.stack((x(2, 3), x(2, 3)), 1), torch.hstack((x(2), x(3)))",
    "torch.vstack((x(3), x(2, 3))), torch.dstack((x(2), x(2)))",
    "torch.column_stack((x(2), x(2, 3)))",
    "x(2, 3).repeat(2, 2), x(3).repeat(2, 1, 2), torch.tile(x(2, 3), (2,)), x(3).repeat(0)",
    "torch.repeat_interleave(x(3, 2), 2, 0)",
    "torch.repeat_interleave(x(3), torch.tensor([1, 0, 2]))",
    "torch.flip(x(2, 3), (0, 1)), torch.fliplr(x(2, 3)), torch.roll(x(5), 2), torch.rot90(x(2, 3))",
    "torch.roll(x(3, 4), (1, -1), (0, 1)), torch.roll(x(3, 4), 5)",
    "F.pad(x(2, 3), (1, 2)), F.pad(x(2, 3), (1, -1, 0, 2), value=3.0)",
    "F.pad(x(1, 2, 5), (2, 1), mode='reflect')",
    "F.pad(x(1, 2, 4, 4), (1, 1, 2, 0), mode='replicate')",
    "F.pad(x(1, 2, 5), (2, 1), mode='circular')",
    "torch.meshgrid(x(2), x(3), indexing='xy'), torch.cartesian_prod(c(2), c(3))",
    "torch.block_diag(x(2, 2), x(1, 3)), torch.diag(x(3)), torch.diag(x(3, 4), 1)",
    "torch.diag_embed(x(2, 3)), torch.combinations(x(4)), torch.vander(c(3), 4)",
    "torch.select_scatter(x(3, 4), x(4), 0, 1), torch.diagonal_scatter(x(3, 3), x(3))",
    "torch.slice_scatter(x(4, 3), x(2, 3), 0, 1, 3)",
    "x(3, 4).contiguous(), x(3, 4).t().contiguous(), x(3, 4).t().clone()",
    "c(2, 3, 4, 5).to(memory_format=torch.channels_last), x(3).double(), x(3).half().float()",
]
CREATION = [
    "torch.zeros(2, 3), torch.ones((2,), dtype=torch.int32), torch.full((2, 2), 7)",
    "torch.full((2,), 1.5)",
    "torch.arange(5), torch.arange(1, 4, 0.5), torch.arange(5.0), torch.arange(10, 0, -3)",
    "torch.linspace(0, 1, 5), torch.logspace(0, 2, 3), torch.linspace(0, 10, 4, dtype=torch.int64)",
    "torch.eye(3), torch.eye(2, 4), torch.tril_indices(3, 3), torch.triu_indices(3, 4, 1)",
    "torch.zeros_like(c(2, 3).t()), torch.ones_like(i(2)), torch.full_like(c(2), 3)",
    "c(2, 3).new_zeros(4), c(2).new_full((2,), 5.0), i(2).new_ones(3), c(2).new_tensor([1, 2])",
    "torch.tensor([[1, 2], [3, 4]]), torch.tensor(3.5), torch.tensor([True, False])",
    "torch.tensor([])",
    "torch.tensor([1, 2.5]), torch.tensor([[1], [2]], dtype=torch.float16)",
    "torch.as_tensor([1, 2])",
    "torch.empty(2, 0), torch.scalar_tensor(3), torch.zeros(()), torch.zeros(2, 3, 4, 5)",
    "torch.result_type(i(2), 1.0), torch.promote_types(torch.int8, torch.uint8)",
    "torch.zeros(3).as_strided((3, 1), (1, 7)).view(3, 1, 1).stride()",
    "torch.zeros(3).as_strided((1, 3, 1), (5, 1, 7)).view(1, 3).stride()",
    "torch.zeros(()).view(1, 1).stride(), torch.zeros(2, 0, 3).view(0, 4).stride()",
    "torch.Size([2, 3])",
    "torch.finfo(torch.float32).eps, torch.iinfo(torch.int8).max, c(2, 3).size(), c(2, 3).size(1)",
    "c(2, 3).numel(), c(2, 3).dim(), c(2, 3).stride(), c(2, 3).t().is_contiguous(), len(c(4, 2))",
]


@pytest.mark.parametrize("expression", VIEWS)
def test_view(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("expression", INDEXING)
def test_indexing(expression: str) -> None:
    check(expression, strides="nonzero" not in expression and "argwhere" not in expression)


@pytest.mark.parametrize("expression", JOINING)
def test_joining(expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("expression", CREATION)
def test_creation(expression: str) -> None:
    check(expression)
