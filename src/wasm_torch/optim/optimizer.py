"""The base class of optimizers."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import wasm_torch as torch
from wasm_torch import _C, Tensor
from wasm_torch.utils.hooks import RemovableHandle


class _Required:
    """Stands for an option that has no default."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


def _with_hooks(step: Callable) -> Callable:
    """A `step` which runs the hooks around it, without recording gradients."""

    @functools.wraps(step)
    def wrapped(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        for hook in self._optimizer_step_pre_hooks.values():
            changed = hook(self, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        for hook in self._optimizer_step_post_hooks.values():
            hook(self, args, kwargs)
        return result

    wrapped.__dict__["_has_hooks"] = True
    return wrapped


class Optimizer:
    """Updates parameters from their gradients.

    Args:
        params: parameters, pairs (name, parameter), or groups of them: dictionaries with the key
            "params" and options which differ from the defaults.
        defaults: the options.

    Attributes:
        param_groups: the groups, with all options.
        state: what is kept for each parameter.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._opt_called = False
        self._optimizer_step_pre_hooks: OrderedDict = OrderedDict()
        self._optimizer_step_post_hooks: OrderedDict = OrderedDict()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {params.type()}"
            )
        self.state: defaultdict[Tensor, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if step is not None and not hasattr(step, "_has_hooks"):
            cls.step = _with_hooks(step)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            for key in sorted(group):
                if key != "params":
                    text += f"    {key}: {group[key]}\n"
        return text + ")"

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_opt_called", False)
        self.__dict__.setdefault("_optimizer_step_pre_hooks", OrderedDict())
        self.__dict__.setdefault("_optimizer_step_post_hooks", OrderedDict())
        for group in self.param_groups:  # a checkpoint may be older than an option
            for name, default in self.defaults.items():
                if default is not required:
                    group.setdefault(name, default)

    # ---- groups ------------------------------------------------------------------------------
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters: a dictionary with the key "params" and options."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        named = [p for p in params if isinstance(p, tuple)]
        if named:
            if len(named) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            group["param_names"] = [name for name, _ in named]
            params = [parameter for _, parameter in named]
        group["params"] = params
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    + type(parameter).__name__
                )
            if parameter.grad_fn is not None and not parameter.retains_grad:
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    + name
                )
            group.setdefault(name, default)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        if known & {id(p) for p in params}:
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of all parameters, or sets them to zero."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if set_to_none:
                    parameter.grad = None
                else:
                    parameter.grad = parameter.grad.detach()
                    parameter.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters; `closure`, where given, computes the loss anew first."""
        raise NotImplementedError

    def _evaluate(self, closure: Callable[[], Any] | None) -> Any:
        """The loss which the closure gives, with gradients."""
        if closure is None:
            return None
        with torch.enable_grad():
            return closure()

    # ---- hooks -------------------------------------------------------------------------------
    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before each step."""
        handle = RemovableHandle(self._optimizer_step_pre_hooks)
        self._optimizer_step_pre_hooks[handle.id] = hook
        return handle

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        handle = RemovableHandle(self._optimizer_step_post_hooks)
        self._optimizer_step_post_hooks[handle.id] = hook
        return handle

    # ---- saving and loading ------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, in which parameters are numbered."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers.setdefault(id(parameter), len(numbers))
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, Tensor) else key: value
            for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state that `state_dict` gave, here or in torch.

        Raises:
            ValueError: the groups do not match.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(saved, self.param_groups, strict=True))
        if any(len(a["params"]) != len(b["params"]) for a, b in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        parameters = {
            number: parameter
            for a, b in pairs
            for number, parameter in zip(a["params"], b["params"], strict=True)
        }
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in parameters:
                state[parameters[key]] = _converted(value, parameters[key])
            else:
                state[key] = deepcopy(value)
        groups = []
        for a, b in pairs:
            group = {key: deepcopy(value) for key, value in a.items() if key != "params"}
            group["params"] = b["params"]
            groups.append(group)
        self.__setstate__({"state": state, "param_groups": groups})


def _converted(value: Any, parameter: Tensor, key: str | None = None) -> Any:
    """A copy of a loaded state, in the parameter's dtype except for step counts."""
    if isinstance(value, Tensor):
        if key != "step" and parameter.is_floating_point():
            value = value.to(parameter.dtype)
        return value.clone()
    if isinstance(value, dict):
        return {k: _converted(v, parameter, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_converted(v, parameter) for v in value)
    return deepcopy(value)


def as_number(value: Any) -> float:
    """An option which may be a tensor of one element."""
    return value.item() if isinstance(value, Tensor) else value


def steps_as_tensors(optimizer: Optimizer) -> None:
    """Turns the step counts of an old checkpoint, which are numbers, into tensors."""
    for state in optimizer.state.values():
        if isinstance(state.get("step"), int | float):
            state["step"] = torch.tensor(float(state["step"]), dtype=torch.float32)


def refuse_options(optimizer: Optimizer, **options: bool) -> None:
    """Raises NotImplementedError where an option that is not offered is on."""
    for name, value in options.items():
        if value:
            raise NotImplementedError(
                f"{type(optimizer).__name__}: {name}=True is not supported; leave it False"
            )


def next_step(state: dict[str, Any]) -> int:
    """Counts a step in the state's tensor, and returns the count."""
    count = int(state["step"].item()) + 1
    state["step"].fill_(count)
    return count


def update(kernel: str, parameter: Tensor, *fields: Any) -> None:
    """Runs one step's kernel, which changes the parameter in place."""
    _C.launch(kernel, parameter, *fields)
    _C.bump(parameter)


def gradient_of(parameter: Tensor) -> Tensor:
    """The gradient, in the parameter's dtype and without history."""
    return parameter.grad.detach()


def check_options(*options: tuple[str, Any]) -> None:
    """Raises torch's ValueError for the first of the (description, number) that is negative."""
    for description, value in options:
        if not as_number(value) >= 0.0:
            raise ValueError(f"Invalid {description}: {value}")


def check_betas(betas: tuple[float, float]) -> None:
    """Raises torch's ValueError for a coefficient of a running mean outside of [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= as_number(beta) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


class PointwiseOptimizer(Optimizer):
    """An optimizer that treats each parameter alone, in terms of operations on tensors.

    A subclass says what its state starts with (`_start`) and how a step changes a parameter and
    its state (`_update`). The count of steps, the options `maximize` and `weight_decay` and the
    closure are the same for all.
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        steps_as_tensors(self)

    def _start(self, value: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter, besides the count of steps, before its first step."""
        raise NotImplementedError

    def _update(
        self, value: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], step: int
    ) -> None:
        """Changes a parameter (`value`, which has no history) and its state in place."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters that have gradients; returns the closure's loss."""
        loss = self._evaluate(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._step_of(parameter, group)
        return loss

    def _step_of(self, parameter: Tensor, group: dict[str, Any]) -> None:
        value, grad = parameter.detach(), gradient_of(parameter)
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
            state.update(self._start(value, group))
        step = next_step(state)
        if group["maximize"]:
            grad = -grad
        decay = group.get("weight_decay", 0)
        if decay != 0:
            if group.get("decoupled_weight_decay", False):
                value.mul_(1 - as_number(group["lr"]) * decay)
            else:
                grad = grad.add(value, alpha=decay)
        self._update(value, grad, state, group, step)
