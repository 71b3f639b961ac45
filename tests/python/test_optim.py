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
    "adagrad": lambda o, p: o.Adagrad(p),
    "adagrad_all": lambda o, p: o.Adagrad(
        p, 0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, maximize=True
    ),
    "adadelta": lambda o, p: o.Adadelta(p),
    "adadelta_all": lambda o, p: o.Adadelta(p, 0.5, rho=0.7, weight_decay=0.1, maximize=True),
    "adamax": lambda o, p: o.Adamax(p),
    "adamax_all": lambda o, p: o.Adamax(p, betas=(0.8, 0.9), weight_decay=0.1, maximize=True),
    "nadam": lambda o, p: o.NAdam(p),
    "nadam_all": lambda o, p: o.NAdam(p, weight_decay=0.1, momentum_decay=0.1, maximize=True),
    "nadam_decoupled": lambda o, p: o.NAdam(p, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda o, p: o.RAdam(p),
    "radam_all": lambda o, p: o.RAdam(p, betas=(0.8, 0.9), weight_decay=0.1, maximize=True),
    "radam_decoupled": lambda o, p: o.RAdam(p, weight_decay=0.1, decoupled_weight_decay=True),
    "asgd": lambda o, p: o.ASGD(p),
    "asgd_all": lambda o, p: o.ASGD(p, lambd=0.1, t0=2, weight_decay=0.1, maximize=True),
    "rprop": lambda o, p: o.Rprop(p),
    "rprop_all": lambda o, p: o.Rprop(p, etas=(0.3, 2), step_sizes=(1e-3, 0.1), maximize=True),
    "foreach": lambda o, p: o.NAdam(p, foreach=True),
    "fused": lambda o, p: o.Adagrad(p, fused=True),
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
    expected.steps(20)
    actual.steps(20)
    assert_same(expected.parameters, actual.parameters, rtol=1e-5, atol=2e-6)
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
@pytest.mark.parametrize("name", ["adam_amsgrad", "adamw", "rmsprop_all", "adadelta", "nadam"])
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
@pytest.mark.parametrize(
    "name",
    [
        *("Adam", "AdamW", "RMSprop", "SGD", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam"),
        *("ASGD", "Rprop"),
    ],
)
def test_options_that_are_not_offered(name: str, option: str) -> None:
    make = getattr(wasm_torch.optim, name)
    parameters = [wasm_torch.nn.Parameter(wasm_torch.ones(2))]
    if name in ("SGD", "Adagrad") and option == "capturable":
        pytest.skip("it has no such option")
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
    "adagrad_lr": lambda t: t.optim.Adagrad([t.ones(2)], lr=-1),
    "adagrad_decay": lambda t: t.optim.Adagrad([t.ones(2)], lr_decay=-1),
    "adagrad_weight_decay": lambda t: t.optim.Adagrad([t.ones(2)], weight_decay=-1),
    "adagrad_start": lambda t: t.optim.Adagrad([t.ones(2)], initial_accumulator_value=-1),
    "adagrad_eps": lambda t: t.optim.Adagrad([t.ones(2)], eps=-1),
    "adagrad_fused": lambda t: t.optim.Adagrad([t.ones(2)], fused=True, foreach=True),
    "adadelta_rho": lambda t: t.optim.Adadelta([t.ones(2)], rho=2),
    "adadelta_eps": lambda t: t.optim.Adadelta([t.ones(2)], eps=-1),
    "adamax_beta": lambda t: t.optim.Adamax([t.ones(2)], betas=(0.9, 1.0)),
    "adamax_weight_decay": lambda t: t.optim.Adamax([t.ones(2)], weight_decay=-1),
    "nadam_beta": lambda t: t.optim.NAdam([t.ones(2)], betas=(-1, 0.9)),
    "nadam_momentum_decay": lambda t: t.optim.NAdam([t.ones(2)], momentum_decay=-1),
    "radam_eps": lambda t: t.optim.RAdam([t.ones(2)], eps=-1),
    "asgd_lr": lambda t: t.optim.ASGD([t.ones(2)], lr=-1),
    "asgd_weight_decay": lambda t: t.optim.ASGD([t.ones(2)], weight_decay=-1),
    "rprop_etas": lambda t: t.optim.Rprop([t.ones(2)], etas=(1.5, 2)),
    "lbfgs_lr": lambda t: t.optim.LBFGS([t.ones(2)], lr=-1),
    "lbfgs_groups": lambda t: t.optim.LBFGS([{"params": [t.ones(2)]}, {"params": [t.ones(1)]}]),
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


LINE_SEARCHES = {
    "default": {},
    "short": {"lr": 0.1, "max_iter": 4, "history_size": 3},
    "wolfe": {"line_search_fn": "strong_wolfe"},
    "wolfe_short": {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2, "lr": 8},
}


def minimise(t, options, steps: int, resume: bool) -> list:
    """Fits a small network by L-BFGS in float64; losses, parameters and the state at the end."""
    random = np.random.default_rng(0)

    def values(*shape):
        return t.from_numpy(random.standard_normal(shape))

    x, y = values(20, 3), values(20, 1)
    parameters = [t.nn.Parameter(values(*shape)) for shape in ((3, 4), (4,), (4, 1))]
    optimizer = t.optim.LBFGS(parameters, **options)

    def closure():
        optimizer.zero_grad()
        hidden = t.tanh(x @ parameters[0] + parameters[1])
        loss = ((hidden @ parameters[2] - y) ** 2).mean()
        loss.backward()
        return loss

    losses = []
    for step in range(steps):
        if resume and step == steps // 2:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = t.optim.LBFGS(parameters, **options)
            optimizer.load_state_dict(state)
        losses.append(optimizer.step(closure).item())
    return [losses, parameters, optimizer.state_dict()]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", LINE_SEARCHES)
def test_lbfgs(name: str, resume: bool) -> None:
    steps = 20 if "short" in name else 3
    expected, actual = (minimise(t, LINE_SEARCHES[name], steps, resume) for t in BOTH)
    assert actual[0] == pytest.approx(expected[0], rel=1e-5)
    assert_same(expected[1], actual[1], rtol=1e-4, atol=1e-5)
    (want,), (have,) = (result[2]["state"].values() for result in (expected, actual))
    assert expected[2]["param_groups"] == actual[2]["param_groups"]
    assert list(want) == list(have)
    assert [want[key] for key in ("func_evals", "n_iter")] == [
        have[key] for key in ("func_evals", "n_iter")
    ]
    for key in want:
        assert type(want[key]).__name__ == type(have[key]).__name__, key
    assert [len(want[key]) for key in ("old_dirs", "old_stps", "ro", "al")] == [
        len(have[key]) for key in ("old_dirs", "old_stps", "ro", "al")
    ]


def test_lbfgs_line_search_is_known() -> None:
    for t in BOTH:
        weight = t.nn.Parameter(t.ones(2))
        optimizer = t.optim.LBFGS([weight], line_search_fn="golden")
        weight.grad = t.ones(2)
        with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
            optimizer.step(lambda weight=weight: weight.sum())


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
