"""Linear algebra."""

from wasm_torch.ops import FUNCTIONS

vector_norm = FUNCTIONS["linalg_vector_norm"]
