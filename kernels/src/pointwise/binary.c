/* binary, binary_contiguous: out = op(self, other), either of which may be a number. */
#include "pointwise/row.h"

static bool is_predicate(wt_word op) { return op >= WT_BINARY_eq && op <= WT_BINARY_logical_xor; }

/* ---- bool ----------------------------------------------------------------------------------- */
/* bool holds 0 or 1, so that logic works on its bytes. */
#define BOOL_ROW(name, expression)                                                    \
  static int bool_##name(const wt_row_call *call) {                                   \
    const uint8_t *in0 = call->in[0], *in1 = call->in[1];                             \
    wt_word step0 = call->step[0], step1 = call->step[1], left = call->count;         \
    uint8_t *out = call->out;                                                         \
    for (; left >= 16; left -= 16, out += 16, in0 += 16 * step0, in1 += 16 * step1) { \
      wt_u8x16 a = wt_u8x16_load(in0), b = wt_u8x16_load(in1);                        \
      wt_u8x16_store(out, (expression));                                              \
    }                                                                                 \
    for (; left > 0; left--, out++, in0 += step0, in1 += step1) {                     \
      uint8_t a = *in0, b = *in1;                                                     \
      *out = (uint8_t)(expression);                                                   \
    }                                                                                 \
    return WT_OK;                                                                     \
  }
BOOL_ROW(and, a &b)
BOOL_ROW(or, a | b)
BOOL_ROW(xor, a ^ b)
BOOL_ROW(equal, a ^ b ^ 1)

static wt_row bool_row(wt_word op) {
  switch (op) {
    case WT_BINARY_mul:
    case WT_BINARY_minimum:
    case WT_BINARY_bitwise_and:
    case WT_BINARY_logical_and:
      return bool_and;
    case WT_BINARY_add:
    case WT_BINARY_maximum:
    case WT_BINARY_bitwise_or:
    case WT_BINARY_logical_or:
      return bool_or;
    case WT_BINARY_ne:
    case WT_BINARY_bitwise_xor:
    case WT_BINARY_logical_xor:
      return bool_xor;
    case WT_BINARY_eq:
      return bool_equal;
    default:
      return NULL;
  }
}

wt_row_choice wt_choose_binary(wt_word op, wt_word dtype) {
  wt_row_choice choice = {{NULL, 0}, WT_INT64, WT_BOOL};
  if ((size_t)op >= WT_BINARY_COUNT) return choice;
  /* Half types have neighbours of their own, which torch does not offer either. */
  if (op == WT_BINARY_nextafter && wt_is_half(dtype)) return choice;
  if (dtype == WT_BOOL && bool_row(op) != NULL) {
    return (wt_row_choice){{bool_row(op), WT_GRAIN_CHEAP}, WT_BOOL, WT_BOOL};
  }
  if (wt_is_float(dtype)) {
    choice.compute = WT_FLOAT32;
    if (dtype != WT_FLOAT64) choice.entry = wt_float32_binary_rows[op];
    if (choice.entry.row == NULL) {
      choice.compute = WT_FLOAT64;
      choice.entry = wt_float64_binary_rows[op];
    }
  } else {
    choice.entry = wt_int64_binary_rows[op];
  }
  if (!is_predicate(op)) choice.result = choice.compute;
  return choice;
}

/* ---- operands ------------------------------------------------------------------------------- */
/* A number in place of an operand of `dtype`: rounded or wrapped to that dtype, except that half
 * types are computed with the float32 value, as torch does. */
static void splat_number(void *splat, const wt_scalar *scalar, wt_word dtype, int compute) {
  if (dtype == WT_FLOAT32 && compute == WT_FLOAT32) {
    wt_f32x4_store(splat, wt_f32x4_splat((float)scalar->f));
    return;
  }
  int rounded = wt_is_half(dtype) ? WT_FLOAT32 : (int)dtype;
  wt_splat_scalar(splat, scalar, rounded);
  if (rounded == compute) return;
  char element[8];
  wt_move_between(compute,
                  rounded)(&(wt_block){.target = element, .source = splat, .n0 = 1, .n1 = 1});
  wt_splat(splat, element, wt_dtype_size(compute));
}

/* `mode` 1 puts the number in place of other, 2 in place of self. */
static int run_strided(const wt_tensor *out, const wt_tensor *const inputs[2], wt_word mode,
                       const wt_scalar *scalar, const wt_row_choice *choice, double alpha) {
  wt_word dtype = inputs[mode == 2]->dtype;
  if (choice->entry.row == NULL) return wt_fail(WT_UNSUPPORTED_DTYPE, dtype, 0, 0);
  _Alignas(16) char splat[WT_SPLAT_BYTES];
  wt_plan plan;
  int status = wt_plan_begin(&plan, out, choice->result);
  for (int k = 0; k < 2 && status == WT_OK; k++) {
    if (mode == 2 - k) {
      splat_number(splat, scalar, dtype, choice->compute);
      wt_plan_splat(&plan, splat, wt_dtype_size(choice->compute));
    } else if (inputs[k]->dtype != dtype) {
      status = wt_fail(WT_UNSUPPORTED_DTYPE, inputs[k]->dtype, 0, 0);
    } else {
      status = wt_plan_input(&plan, inputs[k], choice->compute);
    }
  }
  if (status != WT_OK) return status;
  plan.entry = choice->entry;
  plan.p0 = alpha;
  return wt_plan_run(&plan);
}

WT_KERNEL(binary, 1) {
  const wt_binary_args *args = arguments;
  const wt_tensor *inputs[2] = {&args->self, &args->other};
  wt_row_choice choice = wt_choose_binary(args->op, inputs[args->mode == 2]->dtype);
  return run_strided(&args->out, inputs, args->mode, &args->scalar, &choice, args->alpha);
}

WT_KERNEL(binary_contiguous, 1) {
  const wt_binary_contiguous_args *args = arguments;
  wt_row_choice choice = wt_choose_binary(args->op, args->dtype);
  if (choice.compute == args->dtype && choice.entry.row != NULL) {
    _Alignas(16) char splat[WT_SPLAT_BYTES];
    wt_row_call call = {.out = (void *)args->out,
                        .in = {(const void *)args->self, (const void *)args->other},
                        .step = {1, 1},
                        .count = args->count,
                        .p0 = args->alpha};
    if (args->mode != 0) {
      int replaced = args->mode == 1;
      splat_number(splat, &args->scalar, args->dtype, choice.compute);
      call.in[replaced] = splat;
      call.step[replaced] = 0;
    }
    uint8_t element = (uint8_t)wt_dtype_size(args->dtype);
    const uint8_t elements[4] = {choice.result == WT_BOOL ? 1 : element, element, element};
    return wt_row_run(choice.entry, &call, elements, 2);
  }
  wt_word result = choice.result == WT_BOOL ? WT_BOOL : args->dtype;
  wt_tensor out = wt_dense_tensor(args->out, result, args->count);
  wt_tensor self = wt_dense_tensor(args->self, args->dtype, args->count);
  wt_tensor other = wt_dense_tensor(args->other, args->dtype, args->count);
  const wt_tensor *inputs[2] = {&self, &other};
  return run_strided(&out, inputs, args->mode, &args->scalar, &choice, args->alpha);
}
