/* LSTM and GRU by their definitions: the scalar reference of steps.c. */
#include <math.h>

#include "recurrent/sequence.h"

static float *element(const wt_tensor *tensor, wt_word i, wt_word j, wt_word k) {
  const wt_word *stride = tensor->stride;
  wt_word offset = tensor->ndim == 3   ? i * stride[0] + j * stride[1] + k * stride[2]
                   : tensor->ndim == 2 ? j * stride[0] + k * stride[1]
                                       : k * stride[0];
  return (float *)tensor->data + offset;
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* One step of one sequence, from state to next: `hidden` values, then those of the cell. */
static void advance(const wt_sequence *s, wt_word step, wt_word row, const double *state,
                    double *next) {
  const wt_word width = s->out.size[2];
  for (wt_word c = 0; c < width; c++) {
    double given[4], recurrent[4];
    for (wt_word gate = 0; gate < s->gates; gate++) {
      const wt_word line = gate * width + c;
      given[gate] = (double)*element(&s->projected, step, row, line);
      recurrent[gate] = wt_is_present(&s->bias) ? (double)*element(&s->bias, 0, 0, line) : 0;
      for (wt_word d = 0; d < width; d++)
        recurrent[gate] += (double)*element(&s->weight, 0, line, d) * state[d];
    }
    if (s->gates == 4) {
      const double in = sigmoid(given[0] + recurrent[0]), keep = sigmoid(given[1] + recurrent[1]);
      next[width + c] = keep * state[width + c] + in * tanh(given[2] + recurrent[2]);
      next[c] = sigmoid(given[3] + recurrent[3]) * tanh(next[width + c]);
    } else {
      const double reset = sigmoid(given[0] + recurrent[0]);
      const double update = sigmoid(given[1] + recurrent[1]);
      const double fresh = tanh(given[2] + reset * recurrent[2]);
      next[c] = fresh + update * (state[c] - fresh);
    }
    *element(&s->out, step, row, c) = (float)next[c];
  }
}

int wt_sequence_reference(const wt_sequence *s) {
  const wt_word steps = s->out.size[0], width = s->out.size[2];
  double *state = wt_alloc_many((uint64_t)width + 1, 4 * sizeof(double));
  if (!state) return WT_OUT_OF_MEMORY;
  double *next = state + 2 * width;
  const bool lstm = s->gates == 4;
  for (wt_word row = 0; row < s->out.size[1]; row++) {
    for (wt_word c = 0; c < width; c++) {
      state[c] = (double)*element(&s->hidden, 0, row, c);
      state[width + c] = lstm ? (double)*element(&s->cell, 0, row, c) : 0;
    }
    for (wt_word t = 0; t < steps; t++) {
      advance(s, s->reverse ? steps - 1 - t : t, row, state, next);
      for (wt_word c = 0; c < 2 * width; c++) state[c] = next[c];
    }
    for (wt_word c = 0; c < width; c++) {
      *element(&s->last_hidden, 0, row, c) = (float)state[c];
      if (lstm) *element(&s->last_cell, 0, row, c) = (float)state[width + c];
    }
  }
  wt_free(state);
  return WT_OK;
}
