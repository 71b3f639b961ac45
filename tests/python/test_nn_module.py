"""nn.Module itself: members, hooks, state, containers, printing."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from nn_parity import assert_same, check_error

import wasm_torch

BOTH = [torch, wasm_torch]


def network(t):
    """A small network of nested modules."""
    return t.nn.Sequential(
        OrderedDict(
            first=t.nn.Linear(2, 3),
            middle=t.nn.ModuleList([t.nn.ReLU(), t.nn.ReLU(), t.nn.Tanh()]),
            norm=t.nn.BatchNorm1d(3),
            named=t.nn.ModuleDict({"a": t.nn.Linear(3, 1), "b": t.nn.Identity()}),
        )
    )


# What a network says about itself, in plain Python.
FACTS = {
    "repr": repr,
    "parameters": lambda m: [n for n, _ in m.named_parameters()],
    "own_parameters": lambda m: [n for n, _ in m.named_parameters(recurse=False)],
    "buffers": lambda m: [n for n, _ in m.named_buffers(prefix="p")],
    "modules": lambda m: [(n, type(x).__name__) for n, x in m.named_modules()],
    "children": lambda m: [n for n, _ in m.named_children()],
    "state": lambda m: list(m.state_dict(prefix="x.")),
    "slice": lambda m: repr(m[1:3]),
    "getters": lambda m: (
        repr(m.get_submodule("named.a")),
        tuple(m.get_parameter("first.weight").shape),
        tuple(m.get_buffer("norm.running_mean").shape),
    ),
    "double": lambda m: [str(p.dtype) for p in m.double().state_dict().values()],
    "half": lambda m: [str(p.dtype) for p in m.to(dtype=m[0].weight.half().dtype).parameters()],
    "modes": lambda m: [x.training for x in m.eval().modules()],
    "frozen": lambda m: [p.requires_grad for p in m.requires_grad_(False).parameters()],
    "dir": lambda m: [n for n in dir(m) if n in ("first", "weight", "norm", "named")],
    "apply": lambda m: (names := [], m.apply(lambda x: names.append(type(x).__name__)), names)[2],
}


@pytest.mark.parametrize("fact", FACTS)
def test_fact(fact: str) -> None:
    assert FACTS[fact](network(torch)) == FACTS[fact](network(wasm_torch))


def assign(name: str, make):
    def run(t):
        layer = t.nn.Linear(1, 1)
        setattr(layer, name, make(t))

    return run


ERRORS = {
    "missing": lambda t: network(t).load_state_dict({}),
    "unexpected": lambda t: t.nn.ReLU().load_state_dict({"a": t.ones(1), "b.c": t.ones(1)}),
    "both": lambda t: t.nn.Linear(1, 1).load_state_dict({"weigth": t.ones(1, 1)}),
    "shape": lambda t: t.nn.Linear(2, 1).load_state_dict({"weight": t.ones(3), "bias": t.ones(1)}),
    "not_a_dict": lambda t: t.nn.ReLU().load_state_dict([1]),
    "no_attribute": lambda t: t.nn.ReLU().weight,
    "no_forward": lambda t: t.nn.Module()(1),
    "parameter_type": assign("weight", lambda t: t.ones(1, 1)),
    "parameter_dot": lambda t: t.nn.Module().register_parameter("a.b", None),
    "parameter_taken": lambda t: t.nn.Module().register_parameter("forward", None),
    "buffer_type": lambda t: t.nn.Module().register_buffer("x", 3),
    "module_type": lambda t: t.nn.Module().add_module("x", 3),
    "train": lambda t: t.nn.Module().train(1),
    "index": lambda t: t.nn.Sequential(t.nn.ReLU())[1],
    "list_index": lambda t: t.nn.ModuleList([t.nn.ReLU()])[-2],
    "submodule": lambda t: network(t).get_submodule("first.nothing"),
    "before_init": lambda t: type("M", (t.nn.Module,), {"__init__": lambda self: setattr(
        self, "w", t.nn.Parameter(t.ones(1)))})(),
    "arguments": lambda t: t.nn.Module(1),
    "dtype": lambda t: t.nn.Linear(1, 1).to(t.int64),
    "non_leaf": lambda t: t.nn.Module().register_parameter("x", t.nn.Parameter(t.ones(1)) + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    check_error(ERRORS[name])


def hook_log(t) -> list:
    """What hooks see and change around a forward and a backward."""
    t.manual_seed(0)
    layer, log = t.nn.Linear(2, 2), []
    input = t.ones(3, 2, requires_grad=True)

    def before(module, args, kwargs):
        log.append(("before", len(args), sorted(kwargs)))
        return (args[0] * 2,), kwargs

    def after(module, args, output):
        log.append(("after", args[0].sum().item()))
        return output + 1

    def backward_before(module, grad_output):
        log.append(("backward before", [g.sum().item() for g in grad_output]))

    def backward(module, grad_input, grad_output):
        log.append(("backward", [tuple(g.shape) for g in grad_input]))
        return (grad_input[0] * 3,)

    handles = [
        layer.register_forward_pre_hook(before, with_kwargs=True),
        layer.register_forward_hook(after),
        layer.register_forward_hook(lambda m, a, o: log.append("first"), prepend=True),
        layer.register_full_backward_pre_hook(backward_before),
        layer.register_full_backward_hook(backward),
    ]
    output = layer(input)
    output.sum().backward()
    log.append((round(output.sum().item(), 4), round(input.grad.sum().item(), 4)))
    for handle in handles:
        handle.remove()
    log.append(round(layer(input).sum().item(), 4))
    return log


def test_hooks() -> None:
    assert hook_log(torch) == hook_log(wasm_torch)


def always_called(t) -> list:
    log = []

    class Fails(t.nn.Module):
        def forward(self, x):
            raise ValueError("no")

    module = Fails()
    module.register_forward_hook(lambda m, a, o: log.append("plain"))
    module.register_forward_hook(lambda m, a, o: log.append("always"), always_call=True)
    with pytest.raises(ValueError):
        module(1)
    return log


def test_hook_that_is_always_called() -> None:
    assert always_called(torch) == always_called(wasm_torch) == ["always"]


def global_forward_hooks(t, fails: bool) -> list:
    log = []

    class Adds(t.nn.Module):
        def forward(self, x, *, other):
            if fails:
                raise ValueError("no")
            return x + other

    register = t.nn.modules.module.register_module_forward_hook
    handles = [
        register(lambda m, a, o: log.append(("plain", a, o))),
        register(lambda m, a, k, o: log.append(("kwargs", a, k, o)), with_kwargs=True),
        register(lambda m, a, o: log.append(("always", a, o)), always_call=True),
        register(lambda m, a, k, o: o and o + 1, with_kwargs=True, always_call=True),
    ]
    try:
        log.append(Adds()(1, other=2))
    except ValueError as error:
        log.append(str(error))
    for handle in handles:
        handle.remove()
    log.append(t.nn.Identity()(5))
    return log


@pytest.mark.parametrize("fails", [False, True])
def test_global_forward_hooks_with_options(fails: bool) -> None:
    assert global_forward_hooks(torch, fails) == global_forward_hooks(wasm_torch, fails)


def state_hooks(t) -> list:
    layer, log = t.nn.Linear(1, 1), []
    layer.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("pre", prefix, keep)))
    layer.register_state_dict_post_hook(lambda m, s, prefix, meta: s.update(extra=1))
    layer.register_load_state_dict_pre_hook(lambda m, s, *rest: s.pop("extra"))
    layer.register_load_state_dict_post_hook(lambda m, keys: log.append(("post", tuple(keys))))
    state = layer.state_dict()
    log.append(list(state))
    layer.load_state_dict(state)
    return log


def test_state_hooks() -> None:
    assert state_hooks(torch) == state_hooks(wasm_torch)


@pytest.mark.parametrize("t", BOTH, ids=["torch", "wasm_torch"])
def test_assign_and_partial_loading(t) -> None:
    layer = t.nn.Linear(1, 1)
    weight = t.ones(1, 1)
    result = layer.load_state_dict({"weight": weight, "other": weight}, strict=False, assign=True)
    assert result.missing_keys == ["bias"] and result.unexpected_keys == ["other"]
    assert layer.weight.data_ptr() == weight.data_ptr()
    assert isinstance(layer.weight, t.nn.Parameter)
    assert repr(layer.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"


@pytest.mark.parametrize("t", BOTH, ids=["torch", "wasm_torch"])
def test_buffers(t) -> None:
    module = t.nn.Module()
    module.register_buffer("kept", t.ones(2))
    module.register_buffer("hidden", t.ones(2), persistent=False)
    module.assigned = t.nn.Buffer(t.zeros(1))
    assert list(module.state_dict()) == ["kept", "assigned"]
    assert [name for name, _ in module.named_buffers()] == ["kept", "hidden", "assigned"]
    module.kept = t.zeros(3)
    assert module.state_dict()["kept"].shape == (3,)
    del module.kept
    assert not hasattr(module, "kept")


class Extra:
    """A module with state of its own."""

    @staticmethod
    def make(t):
        class WithExtra(t.nn.Module):
            def __init__(self):
                super().__init__()
                self.count = 3

            def get_extra_state(self):
                return {"count": self.count}

            def set_extra_state(self, state):
                self.count = state["count"]

        return WithExtra()


@pytest.mark.parametrize("t", BOTH, ids=["torch", "wasm_torch"])
def test_extra_state(t) -> None:
    module = Extra.make(t)
    assert dict(module.state_dict()) == {"_extra_state": {"count": 3}}
    module.load_state_dict({"_extra_state": {"count": 8}})
    assert module.count == 8


def test_shared_parameters_count_once() -> None:
    for t in BOTH:
        a, b = t.nn.Linear(2, 2), t.nn.Linear(2, 2)
        b.weight = a.weight
        model = t.nn.Sequential(a, b)
        assert len(list(model.parameters())) == 3
        assert len(list(model.named_parameters(remove_duplicate=False))) == 4
        assert len(model.state_dict()) == 4


def parameter_containers(t) -> list:
    parameters = t.nn.ParameterList([t.ones(2, 3), t.zeros(())])
    parameters.append(t.nn.Parameter(t.ones(1)))
    named = t.nn.ParameterDict({"b": t.ones(1), "a": t.ones(2)})
    named["c"] = t.zeros(1)
    merged = named | {"d": t.ones(1)}
    return [
        repr(parameters), list(parameters.state_dict()), len(parameters[1:]),
        repr(named), list(named), list(merged.keys()), named.pop("a").shape == (2,), "a" in named,
    ]  # fmt: skip


def test_parameter_containers() -> None:
    assert parameter_containers(torch) == parameter_containers(wasm_torch)


def edits(t) -> list:
    s = t.nn.Sequential(t.nn.ReLU(), t.nn.Tanh(), t.nn.Sigmoid())
    s.append(t.nn.Identity())
    s.insert(1, t.nn.GELU())
    del s[0]
    popped = s.pop(-1)
    s[0] = t.nn.SiLU()
    modules = t.nn.ModuleList([t.nn.ReLU()] * 2).__add__([t.nn.Tanh()])
    modules.insert(0, t.nn.SELU())
    return [repr(s), repr(popped), repr(s + t.nn.Sequential(t.nn.ReLU())), repr(modules)]


def test_editing_containers() -> None:
    assert edits(torch) == edits(wasm_torch)


def test_zero_grad_and_conversion_keep_parameters() -> None:
    layer = wasm_torch.nn.Linear(2, 2)
    weight = layer.weight
    layer(wasm_torch.ones(1, 2)).sum().backward()
    layer.double()
    assert layer.weight is weight and weight.dtype is wasm_torch.float64
    assert weight.grad.dtype is wasm_torch.float64
    layer.zero_grad(set_to_none=False)
    assert not bool(weight.grad.any())
    layer.zero_grad()
    assert weight.grad is None


def clip(t) -> list:
    layer = t.nn.Linear(2, 2)
    with t.no_grad():
        for i, p in enumerate(layer.parameters()):
            p.copy_(t.arange(p.numel()).reshape(p.shape) + i)
            p.grad = p.detach().clone() - 1
    utils = t.nn.utils
    norm = utils.clip_grad_norm_(layer.parameters(), 1.5)
    grads = [p.grad.clone() for p in layer.parameters()]
    utils.clip_grad_value_(layer.parameters(), 0.2)
    vector = utils.parameters_to_vector(layer.parameters()).detach()
    utils.vector_to_parameters(vector * 2, layer.parameters())
    return [norm, grads, layer.weight.grad, vector, layer.bias]


def test_gradient_clipping_and_vectors() -> None:
    assert_same(clip(torch), clip(wasm_torch))


INITIALISERS = [
    lambda i, x: i.uniform_(x, -1, 2),
    lambda i, x: i.constant_(x, 0.3),
    lambda i, x: i.eye_(x),
    lambda i, x: i.xavier_uniform_(x, gain=i.calculate_gain("relu")),
    lambda i, x: i.kaiming_uniform_(x, a=0.1, mode="fan_out"),
    lambda i, x: i.normal_(x, 1, 2),
    lambda i, x: i.xavier_normal_(x),
    lambda i, x: i.kaiming_normal_(x, nonlinearity="relu"),
    lambda i, x: i.trunc_normal_(x, std=0.5),
    lambda i, x: i.sparse_(x, 0.3),
]


@pytest.mark.parametrize("number", range(len(INITIALISERS)))
def test_initialisation(number: int) -> None:
    results = []
    for t in BOTH:
        t.manual_seed(5)
        results.append(INITIALISERS[number](t.nn.init, t.empty(7, 9)))
    assert_same(*results, rtol=1e-4, atol=4e-6)
