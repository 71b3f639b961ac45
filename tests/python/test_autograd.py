"""Autograd beyond single operations: modes, hooks, in-place changes, views, custom functions.

Most cases are functions of the package, run on torch and on wasm_torch, that must agree.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from parity import assert_equal, assert_same_error, assert_same_failure

import wasm_torch
from wasm_torch.autograd import engine

CASES: list[Any] = []


def case(function: Any) -> Any:
    CASES.append(function)
    return function


@case
def retain_graph(t: Any) -> Any:
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


@case
def accumulation_and_zeroing(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    before = x.grad.clone()
    x.grad = None
    (x * 4).sum().backward()
    return before, x.grad


@case
def shared_gradients_are_not_aliased(t: Any) -> Any:
    a, b = t.ones(3, requires_grad=True), t.ones(3, requires_grad=True)
    (a + b).backward(t.ones(3))
    a.grad.mul_(5)
    return a.grad, b.grad


@case
def grad_of_non_leaf(t: Any) -> Any:
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    z = (y * y).sum()
    return t.autograd.grad(z, (x, y), retain_graph=True), t.autograd.grad(z, y)


@case
def unused_inputs(t: Any) -> Any:
    x, y = t.ones(2, requires_grad=True), t.ones(2, requires_grad=True)
    some = t.autograd.grad(x.sum(), (x, y), allow_unused=True)
    zeros = t.autograd.grad(x.sum(), (x, y), materialize_grads=True)
    return some[0], some[1] is None, zeros


@case
def third_derivative(t: Any) -> Any:
    x = t.tensor([0.5, 2.0], requires_grad=True)
    y = x**4
    results = []
    for _ in range(3):
        (y,) = t.autograd.grad(y.sum(), x, create_graph=True)
        results.append(y)
    return results


@case
def retained_gradient_of_a_non_leaf(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    (y * y).sum().backward()
    return x.grad, y.grad, y.retains_grad, y.is_leaf


@case
def retained_gradient_after_a_change(t: Any) -> Any:
    seen = []
    x = t.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    y.register_hook(seen.append)
    z = y * 5
    y.mul_(2)
    (y.sum() + z.sum()).backward()
    return y.grad, x.grad, seen


@case
def retained_gradients_of_views_and_their_base(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    y = x * 2
    head, tail = y[:1], y[1:]
    for tensor in (y, head, tail):
        tensor.retain_grad()
    tail.mul_(2)
    (tail * 3 + y[:2] + head * 7).sum().backward()
    return [tensor.grad for tensor in (x, y, head, tail)]


@case
def hooks_change_gradients(t: Any) -> Any:
    seen = []
    x = t.ones(2, requires_grad=True)
    y = x * 2
    first = y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(g.clone()))
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    first.remove()
    x2 = x.grad.clone()
    x.grad = None
    (x * 2).sum().backward()
    return seen, x2, x.grad


@case
def hooks_after_accumulation(t: Any) -> Any:
    seen = []
    x = t.ones(2, requires_grad=True)
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    return seen, x.grad


@case
def gradient_kept_by_a_hook(t: Any) -> Any:
    seen = []
    x = t.ones(2, requires_grad=True)
    x.register_hook(seen.append)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    x.grad.zero_()
    return seen, x.grad


@case
def gradient_kept_by_a_node_hook(t: Any) -> Any:
    seen = []
    x = t.ones(2, requires_grad=True)
    y = x * 2
    y.grad_fn.register_hook(lambda grads, _: seen.append(grads[0]))
    y.sum().backward()
    x.grad.zero_()
    return seen


@case
def gradient_kept_by_a_custom_function(t: Any) -> Any:
    kept = t.tensor([3.0, 4.0])

    class Constant(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return kept

    x = t.ones(2, requires_grad=True)
    Constant.apply(x).sum().backward()
    x.grad.zero_()
    return kept


@case
def gradient_zeroed_after_accumulation(t: Any) -> Any:
    x, w = t.ones(2, requires_grad=True), t.ones(2, requires_grad=True)

    def zero(parameter: Any) -> None:
        parameter.grad.zero_()

    x.register_post_accumulate_grad_hook(zero)
    ((x + w * 3) * 2).sum().backward()
    return x.grad, w.grad


@case
def gradient_of_the_caller(t: Any) -> Any:
    x = t.ones(2, 2, requires_grad=True)
    given = t.ones(2, 2)
    x.backward(given)
    x.grad.zero_()
    x.grad = None
    (x + 1).backward(given, inputs=[x])
    x.grad.zero_()
    return given


@case
def gradient_with_a_graph_is_a_copy(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    given = t.ones(2)
    (x * 1).backward(given, create_graph=True)
    with t.no_grad():
        x.grad.zero_()
    return given, x.grad.requires_grad


@case
def retained_gradient_is_a_copy(t: Any) -> Any:
    x = t.ones(2, 3, requires_grad=True)
    y = x * 2
    y.retain_grad()
    given = t.ones(2, 3)
    y.backward(given, retain_graph=True)
    y.grad.zero_()
    y.sum().backward()
    strides = y.grad.stride()
    y.grad.zero_()
    return given, y.grad, strides, x.grad


@case
def node_hooks(t: Any) -> Any:
    seen = []
    x = t.ones(2, requires_grad=True)
    y = x.exp()
    y.grad_fn.register_hook(lambda gi, go: seen.append((gi, go)))
    y.grad_fn.register_prehook(lambda go: (go[0] * 2,))
    y.sum().backward()
    return seen, x.grad


@case
def modes(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    flags = []
    with t.no_grad():
        flags.append((x * 2).requires_grad)
        with t.enable_grad():
            flags.append((x * 2).requires_grad)
        flags.append(t.is_grad_enabled())
    with t.set_grad_enabled(False):
        flags.append((x * 2).requires_grad)
    with t.inference_mode():
        y = x * 2
        flags += [y.requires_grad, y.is_inference()]

    @t.no_grad()
    def quiet() -> Any:
        return x * 2

    return flags, quiet().requires_grad, t.is_grad_enabled(), (x * 2).requires_grad


@case
def in_place_arithmetic(t: Any) -> Any:
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1
    y += 2
    y *= x
    y.sub_(1).div_(2).pow_(2)
    y.clamp_(max=30).exp_()
    y.sum().backward()
    return y, x.grad, y._version


@case
def in_place_through_views(t: Any) -> Any:
    x = t.arange(12.0).view(3, 4).requires_grad_()
    y = x * 1
    y[0] = 0
    y[1:, ::2] *= 3
    y[:, 1].add_(x[:, 2])
    y.view(-1)[5:7].zero_()
    y.t()[3].copy_(x[:, 0] * 2)
    (y * y).sum().backward()
    return y, x.grad


@case
def view_sees_a_change_of_its_base(t: Any) -> Any:
    x = t.ones(4, requires_grad=True)
    base = x * 1
    view = base[1:3]
    base.mul_(3)
    (view * view).sum().backward()
    return view, x.grad


@case
def masked_and_indexed_assignment(t: Any) -> Any:
    x = t.arange(6.0).view(2, 3).requires_grad_()
    y = x * 1
    y[t.tensor([True, False])] = 5.0
    y[:, t.tensor([0, 2])] = x[:, :2] * 2
    y.masked_fill_(y > 3.5, -1)
    y.index_add_(0, t.tensor([0, 0]), x)
    (y * y).sum().backward()
    return y, x.grad


@case
def detached(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    y = (x * 2).detach()
    z = x * 3
    z.detach_()
    y.add_(1)
    return y, y.requires_grad, z.requires_grad, z.grad_fn is None, x.data.requires_grad


@case
def names_of_nodes(t: Any) -> Any:
    x = t.ones(2, 3, requires_grad=True)
    made = [
        x + 1,
        x * 2,
        x.exp(),
        x.sum(),
        x.sum(0),
        x.mean(),
        x @ x.t(),
        x.view(-1),
        x[0],
        x[:1],
        x.t(),
        x.max(),
        x.max(1)[0],
        x.relu(),
        x.softmax(1),
        t.cat((x, x)),
        x**2,
        -x,
        x.clone(),
        x.std(),
        x.unsqueeze(0),
        x.expand(2, 3),
        x[t.tensor([0])],
        x.log_softmax(1),
        x.abs(),
    ]
    return [type(y.grad_fn).__name__ if t is torch else y.grad_fn.name() for y in made]


@case
def next_functions(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    y = x * 2 + 1
    inner = y.grad_fn.next_functions[0][0]
    return y.grad_fn.name(), inner.name(), inner.next_functions[0][0].name()


def square_function(t: Any) -> Any:
    class Square(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, scale: float) -> Any:
            ctx.save_for_backward(x)
            ctx.scale = scale
            return x * x * scale

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * grad * ctx.scale, None

    return Square


@case
def custom_function(t: Any) -> Any:
    square = square_function(t)
    x = t.tensor([1.0, 3.0], requires_grad=True)
    y = square.apply(x, 2.0)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x)
    return y, g, h, y.grad_fn.name()


@case
def custom_function_with_setup_context(t: Any) -> Any:
    class Power(t.autograd.Function):
        @staticmethod
        def forward(x: Any, n: int) -> Any:
            return x**n, x + n

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(inputs[0], output[0])
            ctx.n = inputs[1]

        @staticmethod
        def backward(ctx: Any, first: Any, second: Any) -> Any:
            x, y = ctx.saved_tensors
            return first * ctx.n * y / x + second, None

    x = t.tensor([2.0, 3.0], requires_grad=True)
    a, b = Power.apply(x, 3)
    a.sum().backward(retain_graph=True)
    only_first = x.grad.clone()
    (a.sum() + b.sum()).backward()
    return only_first, x.grad


@case
def custom_function_that_marks(t: Any) -> Any:
    class Marks(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            rounded = x.round()
            ctx.mark_non_differentiable(rounded)
            return x * 2, rounded

        @staticmethod
        def backward(ctx: Any, grad: Any, unused: Any) -> Any:
            return grad * 2

    x = t.tensor([1.2, 3.4], requires_grad=True)
    y, rounded = Marks.apply(x)
    y.sum().backward()
    return x.grad, rounded.requires_grad, y.requires_grad


def changing_function(t: Any) -> Any:
    class Double(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, other: Any) -> Any:
            ctx.mark_dirty(x)
            return x.mul_(2).add_(other)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 2, grad * 7 if ctx.needs_input_grad[1] else None

    return Double


@case
def custom_function_that_changes_its_input(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    z = x * 1
    y = changing_function(t).apply(z, 1)
    z.sum().backward()
    return y, z, y is z, z.grad_fn.name(), x.grad


@case
def custom_function_that_changes_a_view(t: Any) -> Any:
    x = t.ones(4, requires_grad=True)
    z = x * 1
    view = z[1:3]
    y = changing_function(t).apply(view, 1)
    (z * z + y.sum() * 3 + view.sum() * 5).sum().backward()
    return y, z, y is view, z.grad_fn.name(), y.grad_fn.name(), x.grad


@case
def custom_function_that_changes_a_view_of_an_untracked_tensor(t: Any) -> Any:
    x, w = t.zeros(4), t.ones(2, requires_grad=True)
    view = x[1:3]
    other = x[2:]
    changing_function(t).apply(view, w)
    flags = x.requires_grad, other.requires_grad, other.is_leaf
    (x * t.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    return x, w.grad, x.grad_fn.name(), flags


@case
def saved_tensors_of_a_node(t: Any) -> Any:
    x = t.tensor([1.0, 3.0], requires_grad=True)
    y = square_function(t).apply(x, 2.0)
    (y * y).sum().backward(retain_graph=True)
    before = y.grad_fn.saved_tensors
    y.sum().backward()
    return before, x.grad


@case
def custom_function_that_saved_nothing_runs_twice(t: Any) -> Any:
    w = t.ones(2, requires_grad=True)
    y = changing_function(t).apply(t.zeros(2), w)
    y.sum().backward()
    y.sum().backward()
    return w.grad


@case
def jacobian_and_hessian(t: Any) -> Any:
    x = t.tensor([1.0, 2.0, 3.0])
    jacobian = t.autograd.functional.jacobian(lambda v: v**2 * v.sum(), x)
    hessian = t.autograd.functional.hessian(lambda v: (v**3).sum() * v[0], x)
    return jacobian, hessian, t.autograd.functional.vjp(lambda v: v * v, x, t.ones(3))


PRODUCTS = ["vjp", "jvp", "vhp", "hvp", "jacobian", "hessian"]


def derivative(t: Any, name: str, func: Any, inputs: Any, *v: Any, **options: Any) -> Any:
    return getattr(t.autograd.functional, name)(func, inputs, *v, **options)


@case
def products_of_a_scalar_function(t: Any) -> Any:
    x, w = t.tensor([1.0, 2.0]), t.tensor([[3.0, 4.0], [5.0, 6.0]])
    v = (t.tensor([0.5, -1.0]), t.tensor([[1.0, 0.0], [2.0, 1.0]]))

    def func(x: Any, w: Any) -> Any:
        return (w @ x * x).sum() * x[0] + (w * w * w).sum()

    return [
        derivative(t, name, func, (x, w), *vector, strict=strict)
        for name, vector in {
            "vjp": (t.tensor(2.0),), "jvp": (v,), "vhp": (v,), "hvp": (v,), "jacobian": (),
            "hessian": (),
        }.items()
        for strict in (False, True)
    ]  # fmt: skip


@case
def products_that_do_not_depend_on_an_input(t: Any) -> Any:
    x, y = t.tensor([1.0, 2.0]), t.tensor([3.0, 4.0, 5.0])
    v = (t.ones(2), t.ones(3))
    results = [
        derivative(t, name, lambda x, y: (x * x).sum(), (x, y), v) for name in ("vhp", "hvp")
    ]
    results += [derivative(t, "hessian", lambda x, y: x.sum() + y.sum(), (x, y))]
    results += [derivative(t, "jacobian", lambda x, y: (x * 2, y, t.ones(2)), (x, y))]
    results += [derivative(t, "jvp", lambda x, y: (x * 2, t.ones(2)), (x, y), v)]
    return [*results, derivative(t, "vjp", lambda x, y: (x * 2, t.ones(2)), (x, y), (v[0], v[0]))]


@case
def products_with_a_graph(t: Any) -> Any:
    results = []
    for name in PRODUCTS:
        x = t.tensor([1.0, 2.0], requires_grad=True)
        vector = [] if name in ("jacobian", "hessian", "vjp") else [t.tensor([1.0, 3.0])]
        found = derivative(t, name, lambda v: (v**4).sum(), x, *vector, create_graph=True)
        (found[1] if isinstance(found, tuple) else found).sum().backward()
        results.append(x.grad)
    return results


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(
    "func",
    [
        lambda t, x, y: (x * x).sum(),
        lambda t, x, y: x.sum() + y.sum(),
        lambda t, x, y: (x * y.sum()).sum(),
        lambda t, x, y: t.ones(()),
        lambda t, x, y: (x.sum() * y.sum(), t.ones(())),
        lambda t, x, y: x * y.sum(),
        lambda t, x, y: 3.0,
    ],
    ids=["one_input", "linear", "bilinear", "constant", "tuple", "vector", "number"],
)
def test_strict_products(func: Any, name: str, create_graph: bool) -> None:
    def call(t: Any) -> Any:
        inputs = (t.ones(2), t.ones(3))
        vector = [] if name in ("vjp", "jacobian", "hessian") else [inputs]
        options = {"strict": True, "create_graph": create_graph}
        return derivative(t, name, lambda *xs: func(t, *xs), inputs, *vector, **options)

    try:
        expected = call(torch)
    except Exception:
        assert_same_failure(call)
    else:
        assert_equal(expected, call(wasm_torch), 1e-5, 1e-6)


@case
def inputs_of_backward(t: Any) -> Any:
    x, y = t.ones(2, requires_grad=True), t.ones(2, requires_grad=True)
    (x * y * 3).sum().backward(inputs=[x])
    return x.grad, y.grad is None


@case
def gradient_of_several_roots(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    t.autograd.backward([x * 2, x * 3], [t.ones(2), t.full((2,), 2.0)])
    return x.grad


@case
def strided_gradients(t: Any) -> Any:
    x = t.arange(6.0).requires_grad_()
    y = x.as_strided((2, 2), (1, 1), 1)
    (y * t.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    return x.grad


@case
def gradient_dtype_and_shape(t: Any) -> Any:
    x = t.ones(2, 1, dtype=t.float16, requires_grad=True)
    y = x.float() * t.ones(2, 3)
    y.sum().backward()
    return x.grad


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_agrees_with_torch(function: Any) -> None:
    assert_equal(function(torch), function(wasm_torch), 1e-4, 1e-5)


ERRORS = [
    "x(2).backward()",
    "c(2).sum().backward()",
    "torch.autograd.grad(x(1).sum(), c(1))",
    "x(1).add_(1)",
    "x(2)[0].add_(1)",
    "x(2).numpy()",
    "i(2).requires_grad_()",
    "torch.ones(2, dtype=torch.int64, requires_grad=True)",
    "c(1).register_hook(print)",
    "torch.autograd.grad(x(2) * 2, x(2))",
    "torch.autograd.grad(x(2).sum(), x(2))",
    "(x(2) * 2).backward(c(3))",
    "torch.autograd.grad(x(2) * 2, x(2), c(3))",
    "torch.add(x(2), 1, out=torch.empty(2))",
    "setattr(x(2), 'grad', c(3))",
    "setattr(x(2), 'grad', 3)",
    "setattr(x(2) * 2, 'requires_grad', False)",
    "c(3).expand(2, 3).add_(1)",
    "(x(2) * 2).register_post_accumulate_grad_hook(print)",
    "c(2).retain_grad()",
    "(x(2) * 2).backward([1])",
    "torch.autograd.functional.vjp(lambda v: v, c(2), c(3))",
    "torch.autograd.functional.vjp(lambda v: v, c(2))",
    "torch.autograd.functional.jvp(lambda v, w: v, (c(2), c(2)), (c(2), c(3)))",
    "torch.autograd.functional.jvp(lambda v, w: v, (c(2), c(2)), c(2))",
    "torch.autograd.functional.hvp(lambda v: v.sum(), 3)",
    "torch.autograd.functional.vhp(lambda v: v.sum(), (c(2), 3))",
]


ERROR_CASES: list[Any] = []


def error_case(function: Any) -> Any:
    ERROR_CASES.append(function)
    return function


@error_case
def backward_twice(t: Any) -> None:
    x = t.ones(1, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    y.backward()


@error_case
def saved_argument_changed(t: Any) -> None:
    y = t.ones(2, requires_grad=True) * 1
    z = y * y
    y.add_(1)
    z.sum().backward()


@error_case
def saved_result_changed(t: Any) -> None:
    y = t.ones(2, 3, requires_grad=True).exp()
    y.mul_(2)
    y.sum().backward()


@error_case
def saved_leaf_changed(t: Any) -> None:
    x = t.ones(2, requires_grad=True)
    y = x * x
    with t.no_grad():
        x.add_(1)
    y.sum().backward()


@error_case
def changed_through_a_view(t: Any) -> None:
    y = t.ones(4, requires_grad=True) * 1
    z = y.sin()
    y[1:].zero_()
    z.sum().backward()


@error_case
def changed_through_numpy_of_data(t: Any) -> None:
    y = t.ones(2, requires_grad=True).sqrt()
    y.detach().zero_()
    y.sum().backward()


@error_case
def view_made_without_grad(t: Any) -> None:
    x = t.ones(4, requires_grad=True) * 1
    with t.no_grad():
        y = x[1:]
    y.mul_(2)


@error_case
def view_of_a_leaf_made_without_grad(t: Any) -> None:
    x = t.ones(4, requires_grad=True)
    with t.no_grad():
        y = x[1:]
    y.mul_(2)


def views_function(t: Any, count: int) -> Any:
    class Views(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view(-1) if count == 1 else (x[0], x[1])

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return t.ones(2, 2)

    return Views


@error_case
def view_of_a_custom_function(t: Any) -> None:
    views_function(t, 1).apply(t.ones(2, 2, requires_grad=True) * 1).add_(1)


@error_case
def views_of_a_custom_function(t: Any) -> None:
    views_function(t, 2).apply(t.ones(2, 2, requires_grad=True) * 1)[1].add_(1)


@error_case
def custom_function_changes_a_leaf(t: Any) -> None:
    changing_function(t).apply(t.ones(2, requires_grad=True), 1)


@error_case
def custom_function_changes_a_view_of_a_leaf(t: Any) -> None:
    changing_function(t).apply(t.ones(2, requires_grad=True)[:1], 1)


@error_case
def custom_function_changes_a_view_made_without_grad(t: Any) -> None:
    x = t.ones(2, requires_grad=True) * 1
    with t.no_grad():
        view = x[:1]
    changing_function(t).apply(view, 1)


def returning_function(t: Any, results: Any) -> Any:
    class Returning(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x.mul_(2))
            return results(x)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0]

    return Returning


@error_case
def custom_function_returns_no_changed_input(t: Any) -> None:
    x = t.ones(2, requires_grad=True) * 1
    returning_function(t, lambda x: x + 1).apply(x)


@error_case
def custom_function_changes_a_view_and_returns_two(t: Any) -> None:
    x = t.ones(2, requires_grad=True) * 1
    returning_function(t, lambda x: (x, x + 1)).apply(x[:1])


@error_case
def custom_function_backward_twice(t: Any) -> None:
    y = square_function(t).apply(t.ones(2, requires_grad=True), 2.0)
    y.sum().backward()
    y.sum().backward()


@error_case
def saved_tensors_of_a_freed_node(t: Any) -> None:
    y = square_function(t).apply(t.ones(2, requires_grad=True), 2.0)
    y.sum().backward()
    y.grad_fn.saved_tensors  # noqa: B018


def saving_function(t: Any, convert: Any) -> Any:
    class Saving(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = convert(x)
            ctx.save_for_backward(y)
            ctx.mark_non_differentiable(y)
            return x * 1, y

        @staticmethod
        def backward(ctx: Any, grad: Any, unused: Any) -> Any:
            return grad * ctx.saved_tensors[0]

    return Saving


DTYPES = ["uint8", "int8", "int16", "int32", "int64", "float16", "float64", "bfloat16", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_error_of_a_changed_saved_tensor_names_its_type(dtype: str) -> None:
    def changed(t: Any) -> None:
        function = saving_function(t, lambda x: x.to(getattr(t, dtype)))
        y, saved = function.apply(t.ones(2, requires_grad=True))
        saved.zero_()
        y.sum().backward()

    assert_same_failure(changed)


@error_case
def saved_argument_of_a_custom_function_changed(t: Any) -> None:
    x = t.ones(2, dtype=t.float64, requires_grad=True) * 1
    y = square_function(t).apply(x, 2.0)
    x.add_(1)
    y.sum().backward()


@error_case
def custom_function_returns_too_many(t: Any) -> None:
    class TooMany(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad, grad

    TooMany.apply(t.ones(2, requires_grad=True)).sum().backward()


@error_case
def custom_function_returns_a_wrong_shape(t: Any) -> None:
    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return t.ones(3)

    Wrong.apply(t.ones(2, requires_grad=True)).sum().backward()


@error_case
def once_differentiable(t: Any) -> None:
    class Once(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx: Any, grad: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * grad

    x = t.ones(2, requires_grad=True)
    (g,) = t.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    g.sum().backward()


@error_case
def error_inside_backward(t: Any) -> None:
    def fail(grad: Any) -> None:
        raise KeyError("from a hook")

    x = t.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(fail)
    y.sum().backward()


@error_case
def hook_after_accumulation_returns_something(t: Any) -> None:
    x = t.ones(2, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda p: p.grad)
    x.sum().backward()


@error_case
def hook_returns_a_number(t: Any) -> None:
    x = t.ones(2, requires_grad=True)
    x.register_hook(lambda grad: 3)
    x.sum().backward()


@error_case
def hook_returns_another_size(t: Any) -> None:
    def widen(grad: Any) -> Any:
        return t.ones(3)

    y = t.ones(2, requires_grad=True) * 2
    y.register_hook(widen)
    y.sum().backward()


@error_case
def inference_tensor_saved(t: Any) -> None:
    with t.inference_mode():
        y = t.ones(2)
    t.ones(2, requires_grad=True) * y


@error_case
def inference_tensor_has_no_version(t: Any) -> None:
    with t.inference_mode():
        y = t.ones(2)
    print(y._version)


@error_case
def inference_tensor_that_requires_grad_later(t: Any) -> None:
    with t.inference_mode():
        y = t.ones(2)
    y.requires_grad_()


@error_case
def inference_tensor_assigned_outside_without_grad(t: Any) -> None:
    with t.inference_mode():
        y = t.ones(2)
    with t.no_grad():
        y[0] = 1


@error_case
def inference_tensor_changed_outside(t: Any) -> None:
    with t.inference_mode():
        y = t.ones(2)
    y.add_(1)


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression: str) -> None:
    assert_same_error(expression)


@pytest.mark.parametrize("function", ERROR_CASES, ids=lambda f: f.__name__)
def test_error_cases(function: Any) -> None:
    assert_same_failure(function)


def test_the_views_of_split_may_be_changed_in_place() -> None:
    """torch forbids this; the gradients are those of the same change without views."""
    x = wasm_torch.arange(4.0).requires_grad_()
    y = x * 1
    first, second = y.split(2)
    first.mul_(3)
    second[0].exp_()
    (y * wasm_torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    expected = wasm_torch.tensor([3.0, 6.0, 3 * wasm_torch.tensor(2.0).exp().item(), 4.0])
    wasm_torch.testing.assert_close(x.grad, expected)


def test_a_view_of_the_callers_gradient_is_copied() -> None:
    """torch takes it, and a change of ``.grad`` then changes what the caller gave."""
    x = wasm_torch.ones(2, 2, requires_grad=True)
    given = wasm_torch.ones(4)
    x.view(4).backward(given)
    x.grad.zero_()
    assert given.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    "layers",
    [
        lambda nn: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)),
        lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()),
    ],
    ids=["linear", "convolution"],
)
def test_training_takes_gradients_without_copies(layers: Any, monkeypatch: Any) -> None:
    copies = []
    copy = engine._owned_copy
    monkeypatch.setattr(engine, "_owned_copy", lambda *args: copies.append(1) or copy(*args))
    model = layers(wasm_torch.nn)
    model(wasm_torch.ones(3, 1, 6, 6)).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert not copies


def test_a_long_chain_needs_no_recursion() -> None:
    x = wasm_torch.ones(1, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1
    del y


def test_a_graph_is_freed_without_the_collector() -> None:
    gc.disable()
    try:
        x = wasm_torch.ones(1000, requires_grad=True)
        y = (x * 2).exp()
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_what_a_custom_function_saved_is_freed() -> None:
    class Saves(wasm_torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            kept = x * 2
            y = kept.exp()
            ctx.save_for_backward(kept, y)
            return y

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            _, y = ctx.saved_tensors
            return grad * y * 2

    gc.disable()
    try:
        x = wasm_torch.ones(1000, requires_grad=True)
        before = wasm_torch.memory_stats()["current"]
        y = Saves.apply(x)
        y.sum().backward()
        # What is left are y and the gradient.
        assert wasm_torch.memory_stats()["current"] <= before + 2 * 4100
        x.grad = None
        y = Saves.apply(x)
        del y
        assert wasm_torch.memory_stats()["current"] <= before
    finally:
        gc.enable()


def test_saved_tensors_go_with_their_graph() -> None:
    kept = []

    class Keeps(wasm_torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            kept.append(ctx)
            ctx.save_for_backward(x)
            return x * 2

    y = Keeps.apply(wasm_torch.ones(2, requires_grad=True))
    assert kept[0].saved_tensors[0].tolist() == [1.0, 1.0]
    del y
    with pytest.raises(RuntimeError, match="freed with the graph"):
        kept[0].saved_tensors  # noqa: B018


def test_saved_outputs_make_no_cycle() -> None:
    gc.collect()
    before = wasm_torch.memory_stats()["current"]
    for _ in range(10):
        wasm_torch.ones(1000, requires_grad=True).exp().sum().backward()
    assert wasm_torch.memory_stats()["current"] <= before + 10_000


SECOND_PASSES = [
    *("w * 2", "2 * w", "w / 3", "3 / w", "w + 1", "1 - w", "-w", "w * w", "w ** 3", "w ** 2"),
    *(
        "w.sum()",
        "w.sum(0)",
        "w.mean((0, 1))",
        "w.mul(2)",
        "w.clone().mul_(2)",
        "w.clone().add_(2)",
    ),
    *("w.flip(0)", "w.roll(1, 0)", "w.repeat(2, 1)", "w.permute(1, 0)", "w.reshape(6)", "w[0]"),
    *("w.expand(2, 2, 3)", "w.exp()", "w.relu()", "w.amax(1)", "t.stack([w, w])", "t.cat([w, w])"),
    *("w.clamp(min=0)", "w.masked_fill(w > 0, 1.0)", "w.softmax(0)", "w.as_strided((2,), (1,), 0)"),
    *("t.nn.functional.pad(w, (1, 1))", "t.lerp(w, w.detach(), 0.5)", "w.double()"),
]


@pytest.mark.parametrize("expression", SECOND_PASSES)
def test_a_second_pass_is_refused_where_torch_refuses_it(expression: str) -> None:
    outcomes = []
    for package in (torch, wasm_torch):
        w = package.ones(2, 3, requires_grad=True)
        y = eval(expression, {"w": w, "t": package}).sum()
        y.backward()
        try:
            y.backward()
            outcomes.append(w.grad.tolist())
        except RuntimeError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
