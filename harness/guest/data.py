"""The rows of a phase as batches, in exactly the order that a `torch.utils.data.DataLoader` gives.

A loader collates row by row, which costs more than a small model's training step. Where the harness's own
data set is used, the rows lie in one tensor already, so an epoch's order is drawn as the loader's sampler
draws it and the permuted tensor is cut into batches: the same numbers without the detour
(`torch.utils.data.dataloader._BaseDataLoaderIter`, `torch.utils.data.sampler.RandomSampler`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Subset

from harness.guest.findings import SCRATCH_FOLDER, Finding
from harness.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

DATA_FOLDER = Path(SCRATCH_FOLDER, "data")


class TensorBatches:
    """Batches of equally long tensors, like a `DataLoader` over a `TensorDataset` of them.

    On a GPU all rows are copied there once; where they would take too much of its memory, each batch is
    copied while the GPU still works on the one before.

    Args:
        tensors: the columns of a row; each (N, ...) on the CPU.
        batch_size: rows a batch; the last one may have fewer.
        shuffle: a new order at each iteration, drawn from the global generator.
        device: where the batches are wanted, ``cpu`` or ``cuda``.
    """

    def __init__(
        self, tensors: tuple[Tensor, ...], batch_size: int, *, shuffle: bool, device: str = "cpu"
    ) -> None:
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._device = device
        self._tensors = tensors
        self._pinned = False
        if device != "cpu":
            self._pinned = not _fit(tensors, torch.cuda.mem_get_info(device)[0])
            self._tensors = tuple(each.pin_memory() if self._pinned else each.to(device) for each in tensors)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        _draw_seed()  # a loader's iterator draws a seed for its workers, though it has none
        tensors = self._tensors
        if self._shuffle:
            generator = torch.Generator()
            generator.manual_seed(_draw_seed())
            order = torch.randperm(len(tensors[0]), generator=generator).to(tensors[0].device)
            tensors = tuple(self._in_order(tensor, order) for tensor in tensors)
        elif not self._pinned:
            tensors = tuple(tensor.clone() for tensor in tensors)  # a model may write into its batch
        for batch in zip(*(tensor.split(self._batch_size) for tensor in tensors), strict=True):
            yield tuple(each.to(self._device, non_blocking=True) for each in batch) if self._pinned else batch

    def _in_order(self, tensor: Tensor, order: Tensor) -> Tensor:
        """The rows in another order, which takes a quarter of what ``tensor[order]`` does."""
        if self._pinned:  # of every epoch anew: what is copied from is not written to before the copy is done
            return torch.index_select(tensor, 0, order, out=torch.empty_like(tensor, pin_memory=True))
        return tensor.index_select(0, order)


def _fit(tensors: tuple[Tensor, ...], free_bytes: int) -> bool:
    """Whether rows and a permuted copy of them leave a GPU enough memory for a model."""
    return 2 * sum(tensor.nbytes for tensor in tensors) <= free_bytes // 2


def _draw_seed() -> int:
    return int(torch.empty((), dtype=torch.int64).random_().item())


class OnlyInputs:
    """The first column of each batch, for testing."""

    def __init__(self, batches: Any) -> None:  # noqa: ANN401  a DataLoader over a student's data set
        self._batches = batches

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self._batches:
            yield batch[0] if isinstance(batch, list | tuple) else batch


def write_csv(name: str, content: bytes | memoryview | None) -> str:
    """Write the CSV that `MyDataset` is given; return its path.

    Raises:
        Finding: none was sent, since no file of the submission names the class.
    """
    if content is None:
        raise Finding(
            Outcome.CONTRACT_ERROR,
            "there is a MyDataset in the module, but none of the submission's files has that name in it",
            "write `class MyDataset(Dataset):` in model.py or in a file that it imports",
        )
    DATA_FOLDER.mkdir(exist_ok=True)
    path = DATA_FOLDER / name
    path.write_bytes(content)
    return str(path)


def student_dataset(make: Callable[[str], Any], path: str, rows: int, *, labelled: bool) -> Any:  # noqa: ANN401
    """Build `MyDataset` and check that it keeps to the rows of its file.

    Raises:
        Finding: its length or the form of its items is not what the loops need.
    """
    dataset = make(path)
    if len(dataset) != rows:
        raise Finding(
            Outcome.CONTRACT_ERROR,
            f"MyDataset has {len(dataset)} rows where its file has {rows}",
            "keep every row of the file, in its order: __len__ must return the number of rows",
        )
    item = dataset[0]
    if labelled and not (isinstance(item, list | tuple) and len(item) == 2):  # noqa: PLR2004  (x, y)
        raise Finding(
            Outcome.CONTRACT_ERROR,
            f"MyDataset's items are of type {type(item).__name__} where (x, y) is needed",
            "return `x, y` from __getitem__ when the file has the target column",
        )
    return dataset


def training_batches(
    dataset: Any,  # noqa: ANN401  a student's
    valid_rows: Tensor,
    rows: int,
    batch_size: int,
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Loaders over the training and the validation rows of a student's data set."""
    train_rows = complement(valid_rows, rows)
    training = DataLoader(Subset(dataset, train_rows.tolist()), batch_size, shuffle=True)
    validation = DataLoader(Subset(dataset, valid_rows.tolist()), batch_size, shuffle=False)
    return training, validation


def complement(valid_rows: Tensor, rows: int) -> Tensor:
    """The rows that are not for validation, ascending; (rows - len(valid_rows),) int64."""
    kept = torch.ones(rows, dtype=torch.bool)
    kept[valid_rows] = False
    return kept.nonzero().squeeze(1)
