"""Sums of products by Einstein's convention, as batched matrix products of pairs of operands."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from wasm_torch._C import TensorBase
from wasm_torch.ops import FUNCTIONS
from wasm_torch.ops._convert import check

LETTERS = string.ascii_letters


def _sublist_equation(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """``einsum(a, [0, 1], b, [1, 2], [0, 2])`` as an equation."""

    def word(labels: Sequence[Any]) -> str:
        return "".join(
            "..." if v is Ellipsis else LETTERS[26 + v if v < 26 else v - 26] for v in labels
        )

    tensors, inputs = [], []
    i = 0
    while i + 1 < len(operands):
        tensors.append(operands[i])
        inputs.append(word(operands[i + 1]))
        i += 2
    equation = ",".join(inputs)
    if i < len(operands):
        equation += "->" + word(operands[i])
    return equation, tensors


class _Labels:
    """The dims of each operand and of the result, as ints: letters, then those of the ellipsis."""

    def __init__(self, equation: str, operands: Sequence[Any]):
        left, arrow, right = equation.replace(" ", "").partition("->")
        words = left.split(",")
        if len(words) != len(operands):
            more = "more" if len(operands) > len(words) else "fewer"
            raise RuntimeError(
                f"einsum(): {more} operands were provided than specified in the equation"
            )
        self.hidden = 0
        for index, (word, operand) in enumerate(zip(words, operands, strict=True)):
            named = len(word.replace("...", ""))
            if "..." in word:
                self.hidden = max(self.hidden, operand.ndim - named)
            if ("..." not in word and named != operand.ndim) or named > operand.ndim:
                raise RuntimeError(
                    "einsum(): the number of subscripts in the equation "
                    f"({named}) {'does not match' if '...' not in word else 'is more than'} the "
                    "number "
                    f"of dimensions ({operand.ndim}) for operand {index}"
                    + ("" if "..." in word else " and no ellipsis was given")
                )
        self.inputs = [
            self._read(word, operand.ndim) for word, operand in zip(words, operands, strict=True)
        ]
        self.output = self._read(right, None) if arrow else self._implicit()
        for label in self.output:
            if self.output.count(label) > 1:
                raise RuntimeError(
                    f"einsum(): output subscript {label} appears more than once in the output"
                )
        known = {label for labels in self.inputs for label in labels}
        for label in self.output:
            if label not in known and not isinstance(label, int):
                raise RuntimeError(
                    f"einsum(): output subscript {label} does not appear in the equation for any "
                    "input operand"
                )

    def _read(self, word: str, ndim: int | None) -> list[Any]:
        for character in word.replace("...", ""):
            if character not in LETTERS:
                raise RuntimeError(
                    "einsum(): invalid subscript given at index "
                    f"{word.index(character)} in the equation string, subscripts must be in "
                    "[a-zA-Z]"
                )
        if "..." not in word:
            return list(word)
        before, _, after = word.partition("...")
        hidden = self.hidden if ndim is None else ndim - len(before) - len(after)
        return [*before, *range(self.hidden - hidden, self.hidden), *after]

    def _implicit(self) -> list[Any]:
        every = [label for labels in self.inputs for label in labels]
        named = sorted({v for v in every if isinstance(v, str) and every.count(v) == 1})
        return [*range(self.hidden), *named]


def _diagonal(operand: Any, labels: list[Any]) -> tuple[Any, list[Any]]:
    """Repeated labels of one operand become its diagonal."""
    labels = list(labels)
    for label in list(dict.fromkeys(labels)):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if operand.shape[first] != operand.shape[second]:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand 0 but the sizes don't "
                    "match, "
                    f"{operand.shape[second]} != {operand.shape[first]}"
                )
            operand = operand.diagonal(0, first, second)
            labels = [v for i, v in enumerate(labels) if i not in (first, second)] + [label]
    return operand, labels


def _sum_out(operand: Any, labels: list[Any], keep: set[Any]) -> tuple[Any, list[Any]]:
    dims = tuple(i for i, label in enumerate(labels) if label not in keep)
    if not dims:
        return operand, labels
    return operand.sum(dims), [label for label in labels if label in keep]


def _arranged(operand: Any, labels: list[Any], order: list[Any]) -> Any:
    """Dims in ``order``; labels that the operand lacks have size 1."""
    present = [label for label in order if label in labels]
    result = (
        operand.permute(tuple(labels.index(label) for label in present)) if present else operand
    )
    sizes = iter(result.shape)
    return result.reshape(tuple(next(sizes) if label in labels else 1 for label in order))


def _pair(
    a: Any, a_labels: list[Any], b: Any, b_labels: list[Any], keep: set[Any]
) -> tuple[Any, list[Any]]:
    """Multiplies two operands and sums over the labels that nobody else wants."""
    a, a_labels = _sum_out(a, a_labels, keep | set(b_labels))
    b, b_labels = _sum_out(b, b_labels, keep | set(a_labels))
    shared = [label for label in a_labels if label in b_labels]
    for label in shared:
        m, n = a.shape[a_labels.index(label)], b.shape[b_labels.index(label)]
        if m != n and 1 not in (m, n):
            raise RuntimeError(
                f"einsum(): subscript {label} has size {n} for operand 1 which does not "
                "broadcast with "
                f"previously seen size {m}"
            )
    sizes = {
        label: max(a.shape[a_labels.index(label)], b.shape[b_labels.index(label)])
        for label in shared
    }
    batch = [label for label in shared if label in keep]
    inner = [label for label in shared if label not in keep]
    rows = [label for label in a_labels if label not in shared]
    columns = [label for label in b_labels if label not in shared]

    def expanded(t: Any, labels: list[Any]) -> Any:
        return t.expand(tuple(sizes.get(v, t.shape[i]) for i, v in enumerate(labels)))

    a, b = expanded(a, a_labels), expanded(b, b_labels)
    outer = [sizes[v] for v in batch] + [a.shape[a_labels.index(v)] for v in rows]
    outer += [b.shape[b_labels.index(v)] for v in columns]

    def count(labels: list[Any], t: Any, own: list[Any]) -> int:
        total = 1
        for label in labels:
            total *= t.shape[own.index(label)]
        return total

    groups, k = count(batch, a, a_labels), count(inner, a, a_labels)
    x = _arranged(a, a_labels, [*batch, *rows, *inner]).reshape(
        (groups, count(rows, a, a_labels), k)
    )
    y = _arranged(b, b_labels, [*batch, *inner, *columns]).reshape(
        (groups, k, count(columns, b, b_labels))
    )
    product = FUNCTIONS["bmm"](x, y) if inner or not batch else x * y
    return product.reshape(tuple(outer)), [*batch, *rows, *columns]


def einsum(equation: Any, operands: Sequence[Any]) -> Any:
    """The contraction that ``equation`` states; see numpy's documentation of einsum."""
    if not isinstance(equation, (str, TensorBase)):
        check("str", "einsum", "equation", 1, equation)
    if isinstance(equation, TensorBase):
        equation, operands = _sublist_equation([equation, *operands])
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    operands = check("Tensor[]", "einsum", "operands", 2, tuple(operands))
    labels = _Labels(equation, operands)
    work = [
        _diagonal(operand, names) for operand, names in zip(operands, labels.inputs, strict=True)
    ]
    result, names = work[0]
    for index in range(1, len(work)):
        wanted = set(labels.output)
        for _, later in work[index + 1 :]:
            wanted |= set(later)
        result, names = _pair(result, names, *work[index], wanted)
    result, names = _sum_out(result, names, set(labels.output))
    return _arranged(result, names, labels.output) if names else result
