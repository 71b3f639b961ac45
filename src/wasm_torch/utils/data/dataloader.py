"""Loading batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import wasm_torch as torch

from .collate import default_collate, default_convert
from .dataset import IterableDataset, Subset, TensorDataset
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, random_seed


class _InfiniteSampler(Sampler[None]):
    """What takes the sampler's place for an iterable data set."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


def _tensor_rows(dataset: Any, indices: list[int]) -> list[Any] | None:
    """The batch of a TensorDataset, or a Subset of one, by one gather for each tensor; None for
    other data sets. The result is that of `default_collate`."""
    while type(dataset) is Subset:
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset:
        return None
    index = torch.tensor(indices, dtype=torch.int64)
    length = len(dataset)
    if any(i < 0 or i >= length for i in indices):
        index = torch.where(index < 0, index + length, index)
    return [tensor.index_select(0, index) for tensor in dataset.tensors]


class DataLoader:
    """Iterates over a data set in batches.

    Loading happens in the calling thread: `num_workers`, `pin_memory`, `timeout` and
    `prefetch_factor` are accepted and change nothing.

    Args:
        dataset: samples by index, or an IterableDataset.
        batch_size: None gives single samples.
        shuffle: a new random order in every pass.
        sampler, batch_sampler: the order, in place of `shuffle`.
        collate_fn: makes a list of samples a batch.
        drop_last: leave out a last batch that is not full.
        generator: what random orders are drawn from.
    """

    dataset: Any
    batch_size: int | None
    sampler: Any
    batch_sampler: Any

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[list], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable "
                "multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.generator = generator
        self._iterable = isinstance(dataset, IterableDataset)
        self._check_options(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            if self._iterable:
                sampler = _InfiniteSampler()
            elif shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn

    def _check_options(
        self, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
    ) -> None:
        """Raises ValueError for options that exclude each other."""
        if self._iterable:
            kind = "DataLoader with IterableDataset: expected unspecified "
            if shuffle not in (False, None):
                raise ValueError(f"{kind}shuffle option, but got shuffle={shuffle}")
            if sampler is not None:
                raise ValueError(f"{kind}sampler option, but got sampler={sampler}")
            if batch_sampler is not None:
                raise ValueError(
                    f"{kind}batch_sampler option, but got batch_sampler={batch_sampler}"
                )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                    "and drop_last"
                )
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with "
                "drop_last"
            )

    def __len__(self) -> int:
        if self._iterable:
            length = len(self.dataset)
            if self.batch_size is None:
                return length
            if self.drop_last:
                return length // self.batch_size
            return (length + self.batch_size - 1) // self.batch_size
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        # torch draws a seed for its workers here, so the random stream goes on the same way.
        random_seed(self.generator)
        batches = self._iterable_batches() if self._iterable else self._batches()
        return _LoaderIterator(batches, self)

    def _batches(self) -> Iterator[Any]:
        """The batches of a data set with indices."""
        if self.batch_sampler is None:
            for index in self.sampler:
                yield self.collate_fn(self.dataset[index])
            return
        collate, dataset = self.collate_fn, self.dataset
        fetch = getattr(dataset, "__getitems__", None)
        for indices in self.batch_sampler:
            if collate is default_collate:
                rows = _tensor_rows(dataset, indices)
                if rows is not None:
                    yield rows
                    continue
            if callable(fetch):
                yield collate(fetch(indices))
            else:
                yield collate([dataset[index] for index in indices])

    def _iterable_batches(self) -> Iterator[Any]:
        """The batches of an iterable data set."""
        samples = iter(self.dataset)
        if self.batch_size is None:
            for sample in samples:
                yield self.collate_fn(sample)
            return
        batch: list[Any] = []
        for sample in samples:
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield self.collate_fn(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.collate_fn(batch)


class _LoaderIterator:
    """One pass over a loader."""

    def __init__(self, batches: Iterator[Any], loader: DataLoader) -> None:
        self._batches, self._loader = batches, loader

    def __iter__(self) -> _LoaderIterator:
        return self

    def __next__(self) -> Any:
        return next(self._batches)

    def __len__(self) -> int:
        return len(self._loader)


def get_worker_info() -> None:
    """None: there are no worker processes."""
