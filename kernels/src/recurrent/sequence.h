/* Recurrent layers inside the engine: what an LSTM and a GRU have in common, and the references. */
#ifndef WASM_TORCH_SEQUENCE_H
#define WASM_TORCH_SEQUENCE_H

#include "core/core.h"

/* The tensors of lstm_sequence; those of the cell are absent in a GRU. */
typedef struct wt_sequence {
  wt_tensor out, last_hidden, last_cell, projected, hidden, cell, weight, bias;
  wt_word gates; /* 4 or 3 */
  bool reverse;
} wt_sequence;

int wt_sequence_steps(const wt_sequence *sequence);

/* The scalar reference, step by step in double precision. */
int wt_sequence_reference(const wt_sequence *sequence);

#endif
