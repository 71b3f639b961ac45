"""Integer expressions over symbols: sizes that are not known yet, such as a batch.

    batch = symbol("batch", hint=4)
    rows = batch * 12 // 4            # batch*3, an Expr
    evaluate(rows, {"batch": 7})      # 21

An ``Expr`` is a polynomial with integer coefficients, whose variables are symbols and the results
of floor division, mod, min and max that did not simplify. It is kept in one canonical form, so
that ``==`` and ``hash`` compare expressions by what they are; what has turned out constant is an
``int``. A comparison (``<``, ``<=``, ``>``, ``>=``, ``eq``, ``ne``) gives a bool where the ranges
of the symbols decide it, else a ``Condition``, which has no truth value by itself:
``guard(condition)`` answers by the symbols' hints and records what must hold for that answer.
"""

from wasm_torch.ops._symbolic.evaluation import evaluate
from wasm_torch.ops._symbolic.expression import (
    Condition,
    Expr,
    bounds,
    eq,
    lower,
    maximum,
    minimum,
    ne,
    symbol,
    upper,
)
from wasm_torch.ops._symbolic.guards import UndecidedError, collect_guards, exceeds, guard, same

__all__ = [
    "Condition",
    "Expr",
    "UndecidedError",
    "bounds",
    "collect_guards",
    "eq",
    "evaluate",
    "exceeds",
    "guard",
    "lower",
    "maximum",
    "minimum",
    "ne",
    "same",
    "symbol",
    "upper",
]
