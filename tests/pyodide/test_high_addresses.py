"""Addresses beyond 2 GiB, which are negative as 32-bit integers: results are those from below."""

from __future__ import annotations

from collections.abc import Callable

from session import PyodideSession

# Operations of every family of kernels; the numbers of all results and where the first input lay.
WORK = """
import wasm_torch as t

def work():
    F = t.nn.functional
    t.manual_seed(0)
    a, b = t.rand(64, 64), t.rand(64, 64)
    i, row = t.randint(0, 64, (64,)), t.randint(0, 64, (1, 64))
    x, w = t.rand(4, 8, 16, 16, requires_grad=True), t.rand(16, 8, 3, 3, requires_grad=True)
    y = F.conv2d(x, w, t.rand(16), padding=1)
    z = F.batch_norm(y, t.zeros(16), t.ones(16), training=True)
    pooled = [F.max_pool2d(y, 2), F.avg_pool2d(y, 2), F.adaptive_avg_pool2d(y, 3)]
    normal = [z, F.layer_norm(y, (16, 16)), F.softmax(y, 1)]
    sum(v.pow(3).sum() for v in pooled + normal).backward()
    p = t.nn.Parameter(t.rand(100))
    p.square().sum().backward()
    t.optim.Adam([p]).step()
    spd = a @ a.t() + 64 * t.eye(64)
    results = [
        a + b, a.t() * b, a.exp(), a.sum(), a.sum(0), a.std(1), a.argmax(0), a.cumsum(0), y,
        *pooled, *normal, x.grad, w.grad, a[i], a.gather(0, row), a.index_select(1, i),
        t.zeros(64, 64).scatter_add(0, row, b), F.embedding(i, a), a.sort(1)[0], a.topk(3)[0],
        a[a > 0.5], (a > 0.5).nonzero(), a.flip(0), t.cat([a, b]), a.half() @ b.half(),
        a.to(t.int32), t.where(a > b, a, b), a.tril(), t.arange(100), t.randn(100), t.randperm(50),
        t.linalg.solve(spd, b), t.linalg.svd(a)[1], t.linalg.eigh(spd)[0], p,
        F.conv_transpose2d(x, t.rand(8, 4, 3, 3), stride=2),
    ]
    return [v.detach().reshape(-1).tolist() for v in results], a.data_ptr()
"""

FILL = """
below, address = work()
held = [t.empty(256 << 20, dtype=t.uint8) for _ in range(8)]
for size in (16 << 20, 1 << 20, 1 << 16, 1 << 12, 1 << 10, 256, 48):
    while True:
        held.append(t.empty(size, dtype=t.uint8))
        if held[-1].data_ptr() >= 1 << 31:
            break
above, high_address = work()
differing = [k for k, (a, b) in enumerate(zip(below, above)) if str(a) != str(b)]
return address, high_address, differing
"""


def test_results_do_not_depend_on_addresses(new_pyodide: Callable[..., PyodideSession]) -> None:
    address, high_address, differing = new_pyodide().run(WORK + FILL, timeout=120)
    assert address < 1 << 31 <= high_address
    assert differing == []


def test_sizes_beyond_a_word_are_memory_errors(pyodide: PyodideSession) -> None:
    message = pyodide.run("""
        import wasm_torch as t
        try:
            t.empty(3 << 30, dtype=t.uint8)
        except MemoryError as error:
            return str(error)
    """)
    assert f"{3 << 30} bytes" in message
    assert "are in use" in message
