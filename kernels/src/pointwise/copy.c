/* copy: between any strides and any two dtypes. */
#include <string.h>

#include "pointwise/row.h"

/* Passes a block of the compute type on to the output's conversion; p0 is its element size. */
static int identity(const wt_row_call *call) {
  memcpy(call->out, call->in[0], (size_t)call->count * (size_t)call->p0);
  return WT_OK;
}

/* The type through which a pair without a move of its own passes, exact for both. */
static int common_type(wt_word target, wt_word source) {
  if (!wt_is_float(source)) return WT_INT64;
  return target == WT_FLOAT32 || wt_is_half(target) ? WT_FLOAT32 : WT_FLOAT64;
}

WT_KERNEL(copy, 1) {
  const wt_copy_args *args = arguments;
  wt_word target = args->out.dtype, source = args->self.dtype;
  if (wt_dtype_size(target) == 0) return wt_fail(WT_UNSUPPORTED_DTYPE, target, 0, 0);
  if (wt_dtype_size(source) == 0) return wt_fail(WT_UNSUPPORTED_DTYPE, source, 0, 0);
  bool direct = wt_move_between((int)target, (int)source) != NULL;
  int compute = direct ? (int)source : common_type(target, source);
  wt_plan plan;
  int status = wt_plan_begin(&plan, &args->out, compute);
  if (status == WT_OK) status = wt_plan_input(&plan, &args->self, compute);
  if (status != WT_OK) return status;
  if (!direct) {
    plan.entry = (wt_row_entry){identity, WT_GRAIN_COSTLY};
    plan.p0 = (double)wt_dtype_size(compute);
  }
  return wt_plan_run(&plan);
}
