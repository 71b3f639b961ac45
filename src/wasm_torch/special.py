"""Special functions, by torch's names: ``special.erfcx(x)`` is the operation ``special_erfcx``."""

from __future__ import annotations

from wasm_torch.ops import FUNCTIONS

_PREFIX = "special_"
_SHARED = (
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expm1",
    "i0",
    "log1p",
    "logit",
    "logsumexp",
    "polygamma",
    "round",
    "sinc",
    "softmax",
    "log_softmax",
    "xlogy",
)
_RENAMED = {
    "expit": "sigmoid",
    "gammaln": "lgamma",
    "psi": "digamma",
    "gammainc": "igamma",
    "gammaincc": "igammac",
    "multigammaln": "mvlgamma",
}

for _name, _function in FUNCTIONS.items():
    if _name.startswith(_PREFIX):
        globals()[_name.removeprefix(_PREFIX)] = _function
for _name in _SHARED:
    globals()[_name] = FUNCTIONS[_name]
for _new, _name in _RENAMED.items():
    if _name in FUNCTIONS:
        globals()[_new] = FUNCTIONS[_name]
