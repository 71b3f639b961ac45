/* The kernels lstm_sequence and gru_sequence: checks, and the choice of a solver. */
#include "recurrent/sequence.h"

static bool has_shape(const wt_tensor *tensor, wt_word ndim, wt_word d0, wt_word d1, wt_word d2) {
  const wt_word size[] = {d0, d1, d2};
  if (tensor->ndim != ndim || tensor->dtype != WT_FLOAT32) return false;
  for (wt_word d = 0; d < ndim; d++)
    if (tensor->size[d] != size[d]) return false;
  return true;
}

/* Checks and runs; `field` numbers the arguments of the kernel in the order of wt_sequence. */
static int checked(const wt_sequence *s, const int field[8]) {
  if (s->out.ndim != 3) return wt_fail(WT_BAD_ARGUMENT, field[0], s->out.ndim, 0);
  if (s->out.dtype != WT_FLOAT32) return wt_fail(WT_UNSUPPORTED_DTYPE, s->out.dtype, 0, 0);
  const wt_word steps = s->out.size[0], rows = s->out.size[1], width = s->out.size[2];
  const wt_word lines = s->gates * width;
  const bool cell = s->gates == 4;
  const bool fits[] = {
      true,
      has_shape(&s->last_hidden, 2, rows, width, 0),
      !cell || has_shape(&s->last_cell, 2, rows, width, 0),
      has_shape(&s->projected, 3, steps, rows, lines),
      has_shape(&s->hidden, 2, rows, width, 0),
      !cell || has_shape(&s->cell, 2, rows, width, 0),
      has_shape(&s->weight, 2, lines, width, 0),
      !wt_is_present(&s->bias) || has_shape(&s->bias, 1, lines, 0, 0),
  };
  for (int i = 0; i < 8; i++)
    if (!fits[i]) return wt_fail(WT_BAD_ARGUMENT, field[i], 0, 0);
  if (rows == 0 || width == 0) return WT_OK;
#if WT_USE_REFERENCE
  return wt_sequence_reference(s);
#else
  return wt_sequence_steps(s);
#endif
}

WT_KERNEL(lstm_sequence, 1) {
  const wt_lstm_sequence_args *args = arguments;
  const wt_sequence sequence = {args->out,         args->last_hidden, args->last_cell,
                                args->projected,   args->hidden,      args->cell,
                                args->weight,      args->bias,        4,
                                args->reverse != 0};
  return checked(&sequence, (const int[]){1, 2, 3, 4, 5, 6, 7, 8});
}

WT_KERNEL(gru_sequence, 1) {
  const wt_gru_sequence_args *args = arguments;
  const wt_tensor absent = {.ndim = -1};
  const wt_sequence sequence = {
      args->out,    args->last_hidden, absent, args->projected,   args->hidden, absent,
      args->weight, args->bias,        3,      args->reverse != 0};
  return checked(&sequence, (const int[]){1, 2, 0, 3, 4, 0, 5, 6});
}
