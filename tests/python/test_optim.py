"""Optimizers and schedules against torch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from nn_parity import assert_same, check_error, convert

import wasm_torch

BOTH = [torch, wasm_torch]
SHAPES = [(3, 4), (37,), ()]

OPTIMIZERS = {
    "sgd": lambda o, p: o.SGD(p, lr=0.1),
    "sgd_momentum": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.1),
    "sgd_nesterov": lambda o, p: o.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "sgd_maximize": lambda o, p: o.SGD(p, lr=0.1, maximize=True, weight_decay=0.1),
    "adam": lambda o, p: o.Adam(p, lr=0.01),
    "adam_amsgrad": lambda o, p: o.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
    "adam_maximize": lambda o, p: o.Adam(p, betas=(0.8, 0.9), eps=1e-4, maximize=True),
    "adamw": lambda o, p: o.AdamW(p, lr=0.01),
    "adamw_amsgrad": lambda o, p: o.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda o, p: o.RMSprop(p),
    "rmsprop_all": lambda o, p: o.RMSprop(p, momentum=0.9, centered=True, weight_decay=0.1),
    "rmsprop_maximize": lambda o, p: o.RMSprop(p, maximize=True, alpha=0.5),
}


class Run:
    """An optimizer of one package, with parameters and gradients from a seed."""

    def __init__(self, t, make, dtype: str = "float32") -> None:
        self.t, self.dtype = t, getattr(t, dtype)
        self.random = np.random.default_rng(0)
        self.parameters = [t.nn.Parameter(self.values(shape)) for shape in SHAPES]
        self.optimizer = make(t.optim, self.parameters)

    def values(self, shape):
        values = self.random.standard_normal(shape).astype(np.float32)
        return self.t.tensor(values.tolist()).to(self.dtype)

    def steps(self, count: int) -> None:
        for _ in range(count):
            for parameter, shape in zip(self.parameters, SHAPES, strict=True):
                parameter.grad = self.values(shape)
            self.optimizer.step()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps(name: str, dtype: str) -> None:
    expected, actual = (Run(t, OPTIMIZERS[name], dtype) for t in BOTH)
    assert repr(expected.optimizer) == repr(actual.optimizer)
    expected.steps(6)
    actual.steps(6)
    assert_same(expected.parameters, actual.parameters, rtol=1e-5, atol=1e-6)
    want, have = expected.optimizer.state_dict(), actual.optimizer.state_dict()
    assert want["param_groups"] == have["param_groups"]
    assert [list(s) for s in want["state"].values()] == [list(s) for s in have["state"].values()]
    assert_same(want["state"], have["state"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_moves_between_packages(name: str) -> None:
    expected, actual = (Run(t, OPTIMIZERS[name]) for t in BOTH)
    expected.steps(3)
    state = convert(expected.optimizer.state_dict())
    actual.optimizer.load_state_dict(copy.deepcopy(state))
    for a, b in zip(expected.parameters, actual.parameters, strict=True):
        b.data = wasm_torch.from_numpy(a.detach().numpy().copy())
    actual.random = copy.deepcopy(expected.random)
    expected.steps(3)
    actual.steps(3)
    assert_same(expected.parameters, actual.parameters, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize("name", ["adam_amsgrad", "adamw", "rmsprop_all"])
def test_state_of_an_old_checkpoint(name: str, kind: type) -> None:
    """Step counts were numbers once, and there were fewer options."""
    results = []
    for t in BOTH:
        run = Run(t, OPTIMIZERS[name])
        run.steps(2)
        state = run.optimizer.state_dict()
        for entry in state["state"].values():
            entry["step"] = kind(entry["step"].item())
        for group in state["param_groups"]:
            for option in ("maximize", "foreach", "capturable", "differentiable"):
                del group[option]
        run.optimizer.load_state_dict(copy.deepcopy(state))
        run.steps(2)
        steps = [entry["step"] for entry in run.optimizer.state_dict()["state"].values()]
        results.append([run.parameters, steps])
    assert [str(step.dtype) for step in results[1][1]] == ["torch.float32"] * 3
    assert_same(*results, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("option", ["capturable", "differentiable"])
@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "SGD"])
def test_options_that_are_not_offered(name: str, option: str) -> None:
    make = getattr(wasm_torch.optim, name)
    parameters = [wasm_torch.nn.Parameter(wasm_torch.ones(2))]
    if name == "SGD" and option == "capturable":
        pytest.skip("SGD has no such option")
    with pytest.raises(NotImplementedError, match=f"{name}: {option}=True is not supported"):
        make(parameters, **{option: True})


def test_step_counts_as_a_change() -> None:
    weight = wasm_torch.nn.Parameter(wasm_torch.ones(3))
    loss = (weight * weight).sum()
    weight.grad = wasm_torch.ones(3)
    wasm_torch.optim.SGD([weight], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def groups_and_closure(t) -> list:
    a, b, frozen = (t.nn.Parameter(t.ones(2)) for _ in range(3))
    optimizer = t.optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b, frozen]}], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (a * 2 + b).sum()
        loss.backward()
        return loss

    calls = []
    optimizer.register_step_pre_hook(lambda *args: calls.append("pre"))
    optimizer.register_step_post_hook(lambda *args: calls.append("post"))
    losses = [optimizer.step(closure).item() for _ in range(2)]
    c = t.nn.Parameter(t.ones(1))
    optimizer.add_param_group({"params": c, "momentum": 0.9})
    return [losses, calls, a.tolist(), b.tolist(), frozen.tolist(), repr(optimizer)]


def test_groups_closures_and_hooks() -> None:
    expected, actual = groups_and_closure(torch), groups_and_closure(wasm_torch)
    assert expected[:2] == actual[:2] and expected[-1] == actual[-1]
    for want, have in zip(expected[2:-1], actual[2:-1], strict=True):
        assert have == pytest.approx(want)


ERRORS = {
    "empty": lambda t: t.optim.SGD([], lr=0.1),
    "tensor": lambda t: t.optim.SGD(t.ones(2), lr=0.1),
    "lr": lambda t: t.optim.SGD([t.ones(2)], lr=-1),
    "nesterov": lambda t: t.optim.SGD([t.ones(2)], lr=1, nesterov=True),
    "beta": lambda t: t.optim.Adam([t.ones(2)], betas=(1.0, 0.9)),
    "not_tensor": lambda t: t.optim.SGD([3], lr=0.1),
    "non_leaf": lambda t: t.optim.SGD([t.ones(2, requires_grad=True) * 2], lr=0.1),
    "twice": lambda t: (p := t.ones(2), t.optim.SGD([{"params": [p]}, {"params": [p]}], lr=1)),
    "groups": lambda t: t.optim.SGD([t.ones(2)], lr=1).load_state_dict(
        {"state": {}, "param_groups": []}
    ),
    "group_size": lambda t: t.optim.SGD([t.ones(2)], lr=1).load_state_dict(
        {"state": {}, "param_groups": [{"params": []}]}
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    check_error(ERRORS[name])


SCHEDULES = {
    "step": lambda s, o: s.StepLR(o, 3),
    "multi_step": lambda s, o: s.MultiStepLR(o, [2, 2, 5]),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 7, 0.01),
    "lambda": lambda s, o: s.LambdaLR(o, lambda epoch: 0.9**epoch),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda epoch: 0.9),
    "plateau": lambda s, o: s.ReduceLROnPlateau(o, patience=1, cooldown=1),
    "plateau_max": lambda s, o: s.ReduceLROnPlateau(o, "max", patience=0, threshold_mode="abs"),
    "one_cycle": lambda s, o: s.OneCycleLR(o, 1.0, 30),
    "one_cycle_three": lambda s, o: s.OneCycleLR(
        o, [1.0, 2.0], epochs=10, steps_per_epoch=3, three_phase=True, anneal_strategy="linear"
    ),
    "linear": lambda s, o: s.LinearLR(o),
    "constant": lambda s, o: s.ConstantLR(o),
    "polynomial": lambda s, o: s.PolynomialLR(o, 10, 2.0),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.CosineAnnealingLR(o, 5)], [4, 9]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 4),
    "cyclic_exp": lambda s, o: s.CyclicLR(o, 0.01, 0.2, 4, 3, mode="exp_range", gamma=0.9),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2),
}


def schedule(t, make, optimizer: str, steps: int = 25) -> list:
    """The rates and momenta of each step, and the final state."""
    parameters = [t.nn.Parameter(t.ones(1)) for _ in range(2)]
    options = {"momentum": 0.9} if optimizer == "SGD" else {}
    groups = [{"params": parameters[:1], "lr": 0.1}, {"params": parameters[1:]}]
    optimizer = getattr(t.optim, optimizer)(groups, lr=0.5, **options)
    scheduler, log = make(t.optim.lr_scheduler, optimizer), []
    for i in range(steps):
        optimizer.step()
        log.append([(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups])
        if isinstance(scheduler, t.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step([3, 2, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5][i % 12])
        else:
            scheduler.step()
    state = {k: str(v) for k, v in scheduler.state_dict().items() if not k.startswith("_sched")}
    return [log, scheduler.get_last_lr(), state]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str, optimizer: str) -> None:
    """Bit for bit."""
    expected = schedule(torch, SCHEDULES[name], optimizer)
    assert schedule(wasm_torch, SCHEDULES[name], optimizer) == expected


def test_schedule_before_step_warns() -> None:
    for t in BOTH:
        optimizer = t.optim.SGD([t.ones(1)], lr=0.1)
        scheduler = t.optim.lr_scheduler.StepLR(optimizer, 1)
        with pytest.warns(UserWarning, match=r"lr_scheduler.step\(\)` before"):
            scheduler.step()


def test_schedule_state_resumes() -> None:
    logs = []
    for t in BOTH:
        optimizer = t.optim.SGD([t.ones(1)], lr=0.1)
        first = t.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        for _ in range(4):
            optimizer.step()
            first.step()
        second = t.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        second.load_state_dict(first.state_dict())
        optimizer.step()
        second.step()
        logs.append((second.last_epoch, second.get_last_lr()))
    assert logs[0] == logs[1]
