"""L-BFGS, with a line search for the strong Wolfe conditions where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import wasm_torch as torch
from wasm_torch import Tensor

from .optimizer import Optimizer, ParamsT, as_number, check_options


class LBFGS(Optimizer):
    """L-BFGS (Liu & Nocedal 1989): Newton's steps by the curvature of the last gradients.

    A step evaluates the closure up to ``max_eval`` times. All parameters are one group, and the
    state is that of the first.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_options(("learning rate", lr))
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        })  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    # ---- all parameters as one vector --------------------------------------------------------
    @property
    def _parameters(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    def _flat_gradient(self) -> Tensor:
        return torch.cat([
            (torch.zeros_like(p) if p.grad is None else p.grad).detach().reshape(-1)
            for p in self._parameters
        ])  # fmt: skip

    def _move(self, step_size: Any, direction: Tensor) -> None:
        """Adds a multiple of a direction to the parameters."""
        start = 0
        for parameter in self._parameters:
            part = direction[start : start + parameter.numel()]
            parameter.add_(part.view_as(parameter), alpha=step_size)
            start += parameter.numel()

    def _probe(self, closure: Callable[[], Any], step_size: Any, direction: Tensor) -> _Point:
        """Loss and gradient after a step, which is taken back."""
        before = [parameter.detach().clone() for parameter in self._parameters]
        self._move(step_size, direction)
        loss = float(self._evaluate(closure))
        gradient = self._flat_gradient()
        for parameter, value in zip(self._parameters, before, strict=True):
            parameter.copy_(value)
        return _Point(step_size, loss, gradient, gradient.dot(direction))

    # ---- the step ----------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Moves the parameters ``max_iter`` times at most; returns the loss before."""
        with torch.no_grad():
            return self._step(closure)

    def _step(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        state = self.state[self._parameters[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = self._evaluate(closure)
        loss, evaluations = float(first_loss), 1
        state["func_evals"] += 1
        gradient = self._flat_gradient()
        if gradient.abs().max() <= group["tolerance_grad"]:
            return first_loss
        memory = _Memory(state)
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            memory.turn(gradient, state, group["history_size"])
            memory.remember(gradient, loss)
            previous_loss, direction = loss, memory.direction
            memory.step_size = as_number(group["lr"])
            if state["n_iter"] == 1:
                memory.step_size = min(1.0, 1.0 / gradient.abs().sum()) * memory.step_size
            slope = gradient.dot(direction)
            if slope > -group["tolerance_change"]:
                break
            used = 0
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                found, used = strong_wolfe(
                    lambda t, along=direction: self._probe(closure, t, along),
                    _Point(0, loss, gradient, slope),
                    memory.step_size,
                    direction.abs().max(),
                    group["max_eval"] - evaluations,
                )
                memory.step_size, loss, gradient = found.at, found.loss, found.gradient
                self._move(memory.step_size, direction)
            else:
                self._move(memory.step_size, direction)
                if iteration != group["max_iter"]:
                    loss = float(self._evaluate(closure))
                    gradient, used = self._flat_gradient(), 1
            evaluations += used
            state["func_evals"] += used
            if (
                iteration == group["max_iter"]
                or evaluations >= group["max_eval"]
                or gradient.abs().max() <= group["tolerance_grad"]
                or direction.mul(memory.step_size).abs().max() <= group["tolerance_change"]
                or abs(loss - previous_loss) < group["tolerance_change"]
            ):
                break
        memory.write(state)
        return first_loss


class _Memory:
    """The last changes of the parameters and of the gradient, and the direction they give."""

    def __init__(self, state: dict[str, Any]):
        self.direction: Any = state.get("d")
        self.step_size: Any = state.get("t")
        self.gradient_changes: list[Tensor] = state.get("old_dirs") or []
        self.moves: list[Tensor] = state.get("old_stps") or []
        self.inverse_products: list[Tensor] = state.get("ro") or []
        self.scale: Any = state.get("H_diag")
        self.gradient: Any = state.get("prev_flat_grad")
        self.loss: Any = state.get("prev_loss")

    def write(self, state: dict[str, Any]) -> None:
        """Into the optimizer's state, under torch's names."""
        state.update(
            d=self.direction, t=self.step_size, old_dirs=self.gradient_changes,
            old_stps=self.moves, ro=self.inverse_products, H_diag=self.scale,
            prev_flat_grad=self.gradient, prev_loss=self.loss,
        )  # fmt: skip

    def remember(self, gradient: Tensor, loss: float) -> None:
        """Keeps where this iteration started."""
        self.gradient, self.loss = gradient.clone(), loss

    def turn(self, gradient: Tensor, state: dict[str, Any], history_size: int) -> None:
        """Chooses the direction: the inverse Hessian's estimate times the negative gradient."""
        if state["n_iter"] == 1:
            self.direction = gradient.neg()
            self.gradient_changes, self.moves, self.inverse_products = [], [], []
            self.scale = 1
            return
        self._learn(gradient.sub(self.gradient), self.direction.mul(self.step_size), history_size)
        weights = state.setdefault("al", [None] * history_size)
        direction = gradient.neg()
        for i in reversed(range(len(self.moves))):
            weights[i] = self.moves[i].dot(direction) * self.inverse_products[i]
            direction.add_(self.gradient_changes[i], alpha=-weights[i])
        direction = direction * self.scale
        for i, move in enumerate(self.moves):
            weight = self.gradient_changes[i].dot(direction) * self.inverse_products[i]
            direction.add_(move, alpha=weights[i] - weight)
        self.direction = direction

    def _learn(self, gradient_change: Tensor, move: Tensor, history_size: int) -> None:
        product = gradient_change.dot(move)
        if not product > 1e-10:
            return  # the curvature would be negative
        if len(self.moves) == history_size:
            for history in (self.gradient_changes, self.moves, self.inverse_products):
                history.pop(0)
        self.gradient_changes.append(gradient_change)
        self.moves.append(move)
        self.inverse_products.append(1.0 / product)
        self.scale = product / gradient_change.dot(gradient_change)


# ---- line search ---------------------------------------------------------------------------------
class _Point(NamedTuple):
    """A place on the line: how far, and the loss, its gradient and its slope along the line."""

    at: Any
    loss: float
    gradient: Tensor
    slope: Any


def strong_wolfe(
    probe: Callable[[Any], _Point], start: _Point, at: Any, length: Tensor, most: int
) -> tuple[_Point, int]:
    """A point of the line that satisfies the strong Wolfe conditions, and the evaluations spent.

    Nocedal & Wright, Numerical Optimization, algorithms 3.5 and 3.6, with Schmidt's cubic
    interpolation (minFunc). ``length`` is the largest element of the direction.
    """
    previous, point = start, probe(at)
    spent, rounds, bracket = 1, 0, None
    while rounds < most:
        if _too_high(point, start) or (rounds > 1 and point.loss >= previous.loss):
            bracket = [previous, point]
            break
        if _is_flat(point, start):
            return point, spent
        if point.slope >= 0:
            bracket = [previous, point]
            break
        nearest, farthest = point.at + 0.01 * (point.at - previous.at), point.at * 10
        at = cubic_minimum(previous, point, nearest, farthest)
        previous, point = point, probe(at)
        spent += 1
        rounds += 1
    if bracket is None:
        return (start if start.loss <= point.loss else point), spent
    return _zoom(probe, start, bracket, length, spent, most - rounds)


def _zoom(
    probe: Callable[[Any], _Point],
    start: _Point,
    bracket: list[_Point],
    length: Tensor,
    spent: int,
    rounds: int,
) -> tuple[_Point, int]:
    """Narrows a bracket that holds a point as wanted."""
    stalled = False
    low, high = sorted((0, 1), key=lambda i: bracket[i].loss)
    while rounds > 0 and not abs(bracket[1].at - bracket[0].at) * length < 1e-9:
        at, stalled = _trial(bracket, stalled)
        point = probe(at)
        spent += 1
        rounds -= 1
        if _too_high(point, start) or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = sorted((0, 1), key=lambda i: bracket[i].loss)
            continue
        found = bool(_is_flat(point, start))
        if not found and point.slope * (bracket[high].at - bracket[low].at) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = point
        if found:
            break
    return bracket[low], spent


def _trial(bracket: list[_Point], stalled: bool) -> tuple[Any, bool]:
    """Where to look next, and whether it lies so near an end that it may bring little."""
    ends = [point.at for point in bracket]
    least, most = min(ends), max(ends)
    at = cubic_minimum(bracket[0], bracket[1], least, most)
    margin = 0.1 * (most - least)
    if not min(most - at, at - least) < margin:
        return at, False
    if not (stalled or at >= most or at <= least):
        return at, True
    return (most - margin if abs(at - most) < abs(at - least) else least + margin), False


def _too_high(point: _Point, start: _Point) -> Any:
    """Whether the loss has not decreased enough (Armijo's condition)."""
    return point.loss > start.loss + 1e-4 * point.at * start.slope


def _is_flat(point: _Point, start: _Point) -> Any:
    """Whether the slope has become small enough (the curvature condition)."""
    return abs(point.slope) <= -0.9 * start.slope


def cubic_minimum(a: _Point, b: _Point, least: Any, most: Any) -> Any:
    """Where the cubic through two points with their slopes is least, within bounds."""
    first = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.at - b.at)
    square = first**2 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2.0
    root = square.sqrt()
    near, far = (a, b) if a.at <= b.at else (b, a)
    share = (far.slope + root - first) / (far.slope - near.slope + 2 * root)
    return min(max(far.at - (far.at - near.at) * share, least), most)
