"""The backward pass: walks the graph of recorded nodes from the roots, each node once.

A node runs when every gradient that can reach it has arrived; among those that are ready, the one
recorded last runs first, as in torch.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import count
from typing import Any

from wasm_torch import _C
from wasm_torch._formats import contiguous_format

Node = _C.Node
TensorBase = _C.TensorBase


class _Pass:
    """The state of one backward pass."""

    def __init__(
        self,
        create_graph: bool,
        keep_graph: bool,
        captures: dict[tuple[Any, int], list[int]],
        accumulate: bool,
    ):
        self.create_graph = create_graph
        self.keep_graph = keep_graph
        self.captures = captures
        self.captured: dict[int, Any] = {}
        self.accumulate = accumulate
        self.dependencies: dict[Any, int] = {}
        self.wanted: set[Any] | None = None
        self.pending: dict[Any, list[Any]] = {}
        self.order = count()
        self.heap: list[tuple[int, int, Any]] = []

    # ---- the graph ---------------------------------------------------------------------------
    def explore(self, roots: Sequence[Any]) -> None:
        """Counts how many edges lead to each node that is reachable from the roots."""
        dependencies = self.dependencies
        seen = set(roots)
        stack = list(seen)
        order = []
        while stack:
            node = stack.pop()
            order.append(node)
            for following, _ in node.next_functions:
                if following is None:
                    continue
                dependencies[following] = dependencies.get(following, 0) + 1
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
        if not self.accumulate:
            self.wanted = self._leading_to({node for node, _ in self.captures}, order)

    @staticmethod
    def _leading_to(targets: set[Any], nodes: list[Any]) -> set[Any]:
        """The nodes from which a target can be reached, the targets included."""
        before: dict[Any, list[Any]] = {}
        for node in nodes:
            for following, _ in node.next_functions:
                if following is not None:
                    before.setdefault(following, []).append(node)
        found = set(targets)
        stack = list(targets)
        while stack:
            for node in before.get(stack.pop(), ()):
                if node not in found:
                    found.add(node)
                    stack.append(node)
        return found

    # ---- gradients ---------------------------------------------------------------------------
    def deliver(self, node: Any, output_nr: int, gradient: Any) -> None:
        """Adds a gradient to what has arrived at a node's output."""
        buffer = self.pending.get(node)
        if buffer is None:
            buffer = self.pending[node] = [None] * max(node.num_outputs, output_nr + 1)
        if output_nr >= len(buffer):
            buffer.extend([None] * (output_nr + 1 - len(buffer)))
        if gradient is not None:
            held = buffer[output_nr]
            buffer[output_nr] = gradient if held is None else held + gradient

    def make_ready(self, node: Any) -> None:
        heapq.heappush(self.heap, (-node.sequence_nr, next(self.order), node))

    def run(self) -> None:
        while self.heap:
            self._step(heapq.heappop(self.heap)[2])

    def _step(self, node: Any) -> None:
        """Runs one node. No gradient may stay in a variable when it returns: an accumulator takes
        only what nobody else holds."""
        grads = self.pending.pop(node, None) or [None] * max(node.num_outputs, 1)
        self._run_tensor_hooks(node, grads)
        self._capture(node, grads)
        results = self._run_node(node, grads)
        for (following, output_nr), gradient in zip(node.next_functions, results, strict=True):
            if following is None:
                continue
            self.deliver(following, output_nr, gradient)
            self.dependencies[following] -= 1
            if self.dependencies[following] == 0:
                self.make_ready(following)

    def _capture(self, node: Any, grads: list[Any]) -> None:
        for output_nr in range(len(grads)):
            for index in self.captures.get((node, output_nr), ()):
                self.captured[index] = grads[output_nr]

    def _run_tensor_hooks(self, node: Any, grads: list[Any]) -> None:
        variable = node.variable
        if variable is not None:
            hooks = variable._backward_hooks
            if hooks and grads[0] is not None:
                grads[0] = _call_hooks(hooks, grads[0])
            return
        before = node.pre_hooks
        if before is None:
            return
        for output_nr, hooks in before.tensor_hooks.items():
            if output_nr < len(grads) and grads[output_nr] is not None:
                grads[output_nr] = _call_hooks(hooks, grads[output_nr])
        for hook in list(before.node_hooks.values()):
            replaced = hook(tuple(grads))
            if replaced is not None:
                grads[:] = _as_list(replaced)
        for output_nr, reference in before.retained.items():
            tensor = reference()
            if tensor is not None and output_nr < len(grads) and grads[output_nr] is not None:
                self._retain(tensor, grads[output_nr])

    def _retain(self, tensor: Any, gradient: Any) -> None:
        held = tensor.grad
        kept = gradient.clone(memory_format=contiguous_format) if held is None else held + gradient
        tensor.grad = kept

    def _run_node(self, node: Any, grads: list[Any]) -> list[Any]:
        edges = node.next_functions
        if node.variable is not None:
            if self.accumulate and grads[0] is not None:
                self.add_to(node.variable, grads)
            return [None] * len(edges)
        skipped = self.wanted is not None and not any(
            following in self.wanted for following, _ in edges if following is not None
        )
        if skipped or all(g is None for g in grads):
            return [None] * len(edges)
        results = (
            node.op.backward(node, grads) if node.op is not None else node.context(node, grads)
        )
        results = [
            _validated(node, index, gradient, metadata)
            for index, (gradient, metadata) in enumerate(zip(results, node.metadata, strict=True))
        ]
        if node.hooks is not None:
            for hook in list(node.hooks.values()):
                replaced = hook(tuple(results), tuple(grads))
                if replaced is not None:
                    results = _as_list(replaced)
        if not self.keep_graph:
            node.release()
        return results

    def add_to(self, variable: Any, grads: list[Any]) -> None:
        """Adds the only gradient of a list to that of a leaf, which takes it where it can."""
        held = variable.grad
        if self.create_graph:
            variable.grad = grads[0].clone() if held is None else held + grads[0]
        elif held is not None:
            _C.copy_into(held, held.detach() + grads[0])
            _C.bump(held)
        elif grads[0].stride() == variable.stride() and _C.is_unshared(grads, 0):
            variable.grad = grads[0].detach()
        else:
            variable.grad = _owned_copy(variable, grads[0])
        grads.clear()
        after = variable.__dict__.get("_post_accumulate_hooks")
        if after:
            for hook in list(after.values()):
                if hook(variable) is not None:
                    raise RuntimeError("Tensor post accumulate grad hooks should return None.")


def _owned_copy(variable: Any, gradient: Any) -> Any:
    """A copy that lies in memory as the variable does, where that is dense."""
    copy = _C.empty(tuple(variable.shape), variable.dtype, _dense_stride(variable))
    _C.copy_into(copy, gradient.detach())
    return copy


def _dense_stride(variable: Any) -> tuple[int, ...] | None:
    expected = 1
    pairs = sorted(zip(variable.stride(), variable.shape, strict=True))
    for stride, size in pairs:
        if size != 1 and stride != expected:
            return None
        expected *= size
    return variable.stride() if variable.numel() else None


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _call_hooks(hooks: dict[int, Any], gradient: Any) -> Any:
    for hook in list(hooks.values()):
        replaced = hook(gradient)
        if replaced is not None:
            if not isinstance(replaced, TensorBase):
                raise TypeError(f"expected Variable, but hook returned '{type(replaced).__name__}'")
            if replaced.shape != gradient.shape:
                name = getattr(hook, "__name__", "<unknown>")
                raise RuntimeError(f"hook '{name}' has changed the size of value")
            gradient = replaced
    return gradient


def _validated(node: Any, index: int, gradient: Any, metadata: Any) -> Any:
    """The gradient in the shape and dtype of its input."""
    if gradient is None or metadata is None:
        return None
    size, dtype = metadata
    if gradient.shape != size:
        if not _expands_to(size, gradient.shape):
            raise RuntimeError(
                f"Function {node.name()} returned an invalid gradient at index {index} - got "
                f"{list(gradient.shape)} but expected shape compatible with {list(size)}"
            )
        gradient = sum_to_size(gradient, size)
    return gradient if gradient.dtype is dtype else gradient.to(dtype)


def _expands_to(size: Sequence[int], target: Sequence[int]) -> bool:
    extra = len(target) - len(size)
    return extra >= 0 and all(s in (1, t) for s, t in zip(size, target[extra:], strict=True))


def sum_to_size(tensor: Any, size: Sequence[int]) -> Any:
    """Sums over the dimensions that a tensor of shape ``size`` was expanded in."""
    extra = tensor.ndim - len(size)
    dims = [*range(extra)]
    dims += [d for d in range(extra, tensor.ndim) if size[d - extra] == 1 != tensor.shape[d]]
    if dims:
        tensor = tensor.sum(tuple(dims), keepdim=True)
    return tensor.reshape(tuple(size)) if extra else tensor


def run_backward(
    roots: Sequence[Any],
    grads: Sequence[Any],
    *,
    retain_graph: bool,
    create_graph: bool,
    inputs: Sequence[Any] | None = None,
    accumulate: bool = True,
) -> list[Any]:
    """Runs the graph behind ``roots`` with the gradients ``grads`` of the roots.

    With ``accumulate``, gradients are added to ``.grad`` of the leaves (of ``inputs`` only, where
    given). Without, the gradients of ``inputs`` are returned, None for what was not reached.
    Raises RuntimeError where a root has no graph or the graph was freed.
    """
    captures: dict[tuple[Any, int], list[int]] = {}
    if inputs is not None:
        for index, tensor in enumerate(inputs):
            node, output_nr = _C.gradient_edge(tensor)
            if node is None:
                raise RuntimeError("One of the differentiated Tensors does not require grad")
            captures.setdefault((node, output_nr), []).append(index)
    state = _Pass(create_graph, retain_graph, captures, accumulate and inputs is None)
    nodes = []
    for index, (root, gradient) in enumerate(zip(roots, grads, strict=True)):
        node, output_nr = _C.gradient_edge(root)
        if node is None:
            raise RuntimeError(
                f"element {index} of tensors does not require grad and does not have a grad_fn"
            )
        state.deliver(node, output_nr, gradient)
        nodes.append(node)
    previous = _C.set_grad_enabled(create_graph)
    try:
        state.explore(nodes)
        for node in dict.fromkeys(nodes):
            if state.dependencies.get(node, 0) == 0:
                state.make_ready(node)
        state.run()
        if inputs is None:
            return []
        if not accumulate:
            return [state.captured.get(index) for index in range(len(inputs))]
        for index, tensor in enumerate(inputs):
            captured = [state.captured.pop(index, None)]
            if captured[0] is not None:
                state.add_to(tensor, captured)
        return []
    finally:
        _C.set_grad_enabled(previous)
