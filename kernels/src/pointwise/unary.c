/* unary, unary_contiguous: out = op(self). */
#include "pointwise/row.h"

static bool is_predicate(wt_word op) {
  return op == WT_UNARY_logical_not || (op >= WT_UNARY_isnan && op <= WT_UNARY_signbit);
}

/* bool holds 0 or 1, so that its negation is one bit. */
static int bool_not(const wt_row_call *call) {
  const uint8_t *in = call->in[0];
  uint8_t *out = call->out;
  for (wt_word i = 0; i < call->count; i++) out[i] = in[i] ^ 1;
  return WT_OK;
}

wt_row_choice wt_choose_unary(wt_word op, wt_word dtype) {
  wt_row_choice choice = {{NULL, 0}, WT_INT64, WT_BOOL};
  if ((size_t)op >= WT_UNARY_COUNT) return choice;
  if (dtype == WT_BOOL && (op == WT_UNARY_bitwise_not || op == WT_UNARY_logical_not)) {
    return (wt_row_choice){{bool_not, WT_GRAIN_CHEAP}, WT_BOOL, WT_BOOL};
  }
  if (wt_is_float(dtype)) {
    choice.compute = WT_FLOAT32;
    if (dtype != WT_FLOAT64) choice.entry = wt_float32_unary_rows[op];
    if (choice.entry.row == NULL) {
      choice.compute = WT_FLOAT64;
      choice.entry = wt_float64_unary_rows[op];
    }
  } else {
    choice.entry = wt_int64_unary_rows[op];
  }
  if (!is_predicate(op)) choice.result = choice.compute;
  return choice;
}

/* Bounds of an integer tensor wrap to its dtype, as torch converts them. */
static double wrap_parameter(double value, wt_word dtype) {
  int64_t wide, wrapped;
  char narrow[8];
  wt_move_between(WT_INT64, WT_FLOAT64)(&(wt_block){&wide, &value, 0, 0, 0, 0, 1, 1});
  wt_move_between((int)dtype, WT_INT64)(&(wt_block){narrow, &wide, 0, 0, 0, 0, 1, 1});
  wt_move_between(WT_INT64, (int)dtype)(&(wt_block){&wrapped, narrow, 0, 0, 0, 0, 1, 1});
  return (double)wrapped;
}

static int run_strided(const wt_tensor *out, const wt_tensor *self, const wt_row_choice *choice,
                       double p0, double p1) {
  if (choice->entry.row == NULL) return wt_fail(WT_UNSUPPORTED_DTYPE, self->dtype, 0, 0);
  wt_plan plan;
  int status = wt_plan_begin(&plan, out, choice->result);
  if (status == WT_OK) status = wt_plan_input(&plan, self, choice->compute);
  if (status != WT_OK) return status;
  bool narrow = choice->compute == WT_INT64 && self->dtype < WT_INT64;
  bool exponent = choice->entry.row == wt_int64_unary_rows[WT_UNARY_pow_scalar].row;
  plan.entry = choice->entry;
  plan.p0 = narrow && !exponent ? wrap_parameter(p0, self->dtype) : p0;
  plan.p1 = narrow && !exponent ? wrap_parameter(p1, self->dtype) : p1;
  return wt_plan_run(&plan);
}

WT_KERNEL(unary, 1) {
  const wt_unary_args *args = arguments;
  wt_row_choice choice = wt_choose_unary(args->op, args->self.dtype);
  return run_strided(&args->out, &args->self, &choice, args->p0, args->p1);
}

WT_KERNEL(unary_contiguous, 1) {
  const wt_unary_contiguous_args *args = arguments;
  wt_row_choice choice = wt_choose_unary(args->op, args->dtype);
  if (choice.compute == args->dtype && choice.result == args->out_dtype &&
      choice.entry.row != NULL) {
    wt_row_call call = {.out = (void *)args->out,
                        .in = {(const void *)args->self},
                        .step = {1},
                        .count = args->count,
                        .p0 = args->p0,
                        .p1 = args->p1};
    uint8_t element = (uint8_t)wt_dtype_size(args->dtype);
    const uint8_t elements[4] = {choice.result == WT_BOOL ? 1 : element, element};
    return wt_row_run(choice.entry, &call, elements, 1);
  }
  wt_tensor out = wt_dense_tensor(args->out, args->out_dtype, args->count);
  wt_tensor self = wt_dense_tensor(args->self, args->dtype, args->count);
  return run_strided(&out, &self, &choice, args->p0, args->p1);
}
