"""Data sets and loaders against torch: the same batches from the same seed."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch
from nn_parity import check_error

import wasm_torch

BOTH = [torch, wasm_torch]
Point = namedtuple("Point", ["x", "y"])


def plain(value):
    """Tensors in nested containers as (dtype, list)."""
    if isinstance(value, torch.Tensor | wasm_torch.Tensor):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__, [plain(item) for item in value]
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(item) for item in value]
    return value


def tensor_set(t):
    return t.utils.data.TensorDataset(t.arange(10), t.arange(20.0).view(10, 2))


class Counting:
    """An iterable data set of the numbers below n."""

    @staticmethod
    def make(t, n):
        class Numbers(t.utils.data.IterableDataset):
            def __iter__(self):
                return iter(range(n))

            def __len__(self):
                return n

        return Numbers()


class Squares:
    @staticmethod
    def make(t):
        class Numbers(t.utils.data.Dataset):
            def __getitem__(self, index):
                return {"i": index, "square": float(index**2), "name": str(index)}

            def __len__(self):
                return 7

        return Numbers()


def batches(t, dataset, **options):
    """All batches of two passes, and the random stream afterwards."""
    t.manual_seed(0)
    if options.get("generator") is not None:
        options["generator"] = t.Generator().manual_seed(options["generator"])
    if "sampler" in options:
        options["sampler"] = options["sampler"](t.utils.data)
    if "batch_sampler" in options:
        options["batch_sampler"] = options["batch_sampler"](t.utils.data)
    loader = t.utils.data.DataLoader(dataset, **options)
    passes = [[plain(batch) for batch in loader] for _ in range(2)]
    return passes, len(loader), t.rand(1).item()


LOADERS = {
    "in_order": (tensor_set, {"batch_size": 3}),
    "shuffled": (tensor_set, {"batch_size": 3, "shuffle": True}),
    "dropped": (tensor_set, {"batch_size": 3, "shuffle": True, "drop_last": True}),
    "generator": (tensor_set, {"batch_size": 4, "shuffle": True, "generator": 5}),
    "singles": (tensor_set, {"batch_size": None}),
    "collate": (tensor_set, {"batch_size": 4, "collate_fn": lambda rows: len(rows)}),
    "dicts": (Squares.make, {"batch_size": 4, "shuffle": True}),
    "list": (lambda t: [(1, 2.5), (3, 4.5), (5, 6.5)], {"batch_size": 2}),
    "iterable": (lambda t: Counting.make(t, 7), {"batch_size": 3}),
    "iterable_dropped": (lambda t: Counting.make(t, 7), {"batch_size": 3, "drop_last": True}),
    "iterable_singles": (lambda t: Counting.make(t, 3), {"batch_size": None}),
    "subset": (lambda t: t.utils.data.Subset(tensor_set(t), [3, 1, 7, -1]), {"batch_size": 2}),
    "concat": (lambda t: tensor_set(t) + tensor_set(t), {"batch_size": 6, "shuffle": True}),
    "sampler": (tensor_set, {"batch_size": 2, "sampler": lambda d: d.SubsetRandomSampler([1, 5])}),
    "weighted": (tensor_set, {"sampler": lambda d: d.WeightedRandomSampler([0, 1, 0, 0], 3)}),
    "batch_sampler": (tensor_set, {
        "batch_sampler": lambda d: d.BatchSampler(d.SequentialSampler(range(5)), 2, True)}),
    "stack": (lambda t: t.utils.data.StackDataset(a=range(4), b=tensor_set(t).tensors[0][:4]),
              {"batch_size": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", LOADERS)
def test_loader(name: str) -> None:
    make, options = LOADERS[name]
    expected = batches(torch, make(torch), **options)
    assert batches(wasm_torch, make(wasm_torch), **options) == expected


SAMPLERS = {
    "replacement": lambda d: d.RandomSampler(range(10), True, 70),
    "more_than_all": lambda d: d.RandomSampler(range(10), num_samples=25),
    "without_replacement": lambda d: d.WeightedRandomSampler([0.0, 1.0, 0.0], 1, False),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler(name: str) -> None:
    results = []
    for t in BOTH:
        t.manual_seed(1)
        results.append((list(SAMPLERS[name](t.utils.data)), t.rand(1).item()))
    assert results[0] == results[1]


@pytest.mark.parametrize("lengths", [[3, 7], [0.3, 0.7], [0.34, 0.33, 0.33]])
def test_random_split(lengths: list) -> None:
    results = []
    for t in BOTH:
        parts = t.utils.data.random_split(range(10), lengths, t.Generator().manual_seed(2))
        results.append([list(part) for part in parts])
    assert results[0] == results[1]


COLLATED = {
    "ints": lambda t: [1, 2],
    "floats": lambda t: [1.5, 2],
    "bools": lambda t: [True, False],
    "strings": lambda t: ["a", "b"],
    "tuples": lambda t: [(1, t.ones(2)), (2, t.zeros(2))],
    "lists": lambda t: [[1, 2], [3, 4]],
    "named": lambda t: [Point(1, 2.0), Point(3, 4.0)],
    "dicts": lambda t: [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}],
    "arrays": lambda t: [np.arange(3, dtype=np.int16)] * 2,
    "scalars": lambda t: [np.float32(1.5), np.float32(2.5)],
}


@pytest.mark.parametrize("name", COLLATED)
def test_collate(name: str) -> None:
    expected, actual = (plain(t.utils.data.default_collate(COLLATED[name](t))) for t in BOTH)
    assert actual == expected


ERRORS = {
    "collate_lengths": lambda t: t.utils.data.default_collate([[1], [1, 2]]),
    "sizes": lambda t: t.utils.data.TensorDataset(t.ones(2), t.ones(3)),
    "batch_size": lambda t: t.utils.data.DataLoader([1], batch_size=0),
    "sampler_and_shuffle": lambda t: t.utils.data.DataLoader([1], sampler=[0], shuffle=True),
    "batch_sampler": lambda t: t.utils.data.DataLoader([1], batch_size=2, batch_sampler=[[0]]),
    "no_batches_to_drop": lambda t: t.utils.data.DataLoader([1], batch_size=None, drop_last=True),
    "shuffled_iterable": lambda t: t.utils.data.DataLoader(Counting.make(t, 3), shuffle=True),
    "empty_shuffled": lambda t: t.utils.data.DataLoader([], shuffle=True),
    "split": lambda t: t.utils.data.random_split(range(10), [3, 3]),
    "workers": lambda t: t.utils.data.DataLoader([1], num_workers=-1),
    "no_getitem": lambda t: t.utils.data.Dataset()[0],
    "no_parts": lambda t: t.utils.data.ConcatDataset([]),
    "index": lambda t: t.utils.data.ConcatDataset([[1, 2]])[-3],
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    check_error(ERRORS[name])


def test_collate_names_the_type() -> None:
    with pytest.raises(TypeError, match="must contain tensors, numpy arrays, numbers"):
        wasm_torch.utils.data.default_collate([object()])
