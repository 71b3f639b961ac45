/* ternary: where, addcmul, addcdiv, lerp, clamp. */
#include "pointwise/float32_row.h"

/* ---- where ---------------------------------------------------------------------------------- */
/* Works on the bits, by element size. */
#define WHERE(bytes, type)                                                       \
  static int where_##bytes(const wt_row_call *call) {                            \
    const uint8_t *condition = call->in[0];                                      \
    const type *in1 = call->in[1], *in2 = call->in[2];                           \
    wt_word step0 = call->step[0], step1 = call->step[1], step2 = call->step[2]; \
    type *out = call->out;                                                       \
    for (wt_word i = 0; i < call->count; i++) {                                  \
      type a = in1[i * step1], b = in2[i * step2];                               \
      out[i] = condition[i * step0] ? a : b;                                     \
    }                                                                            \
    return WT_OK;                                                                \
  }
WHERE(1, uint8_t)
WHERE(2, uint16_t)
WHERE(8, uint64_t)

static int where_4(const wt_row_call *call) {
  const uint8_t *condition = call->in[0];
  const float *in1 = call->in[1], *in2 = call->in[2];
  wt_word step0 = call->step[0], step1 = call->step[1], step2 = call->step[2];
  float *out = call->out;
  for (wt_word left = call->count; left > 0; left -= 4, out += 4) {
    wt_i32x4 mask;
    for (int k = 0; k < 4; k++) mask[k] = k < left ? -condition[k * step0] : 0;
    wt_f32x4 a = wt_load_tail(in1, step1, left), b = wt_load_tail(in2, step2, left);
    wt_store_tail(out, wt_f32x4_select(mask != 0, a, b), left);
    condition += 4 * step0;
    in1 += 4 * step1;
    in2 += 4 * step2;
  }
  return WT_OK;
}

static wt_row where_row(size_t element) {
  return element == 1 ? where_1 : element == 2 ? where_2 : element == 4 ? where_4 : where_8;
}

/* ---- arithmetic ----------------------------------------------------------------------------- */
#if WT_USE_REFERENCE
#define FLOAT32_ROW(name) {NULL, 0}
#else
#define FLOAT32_ROW(name) {float32_##name, WT_GRAIN_CHEAP}
#define FLOAT32(name, expression)                                                      \
  static int float32_##name(const wt_row_call *call) {                                 \
    WT_ROW_PARAMETERS;                                                                 \
    const float *in0 = call->in[0], *in1 = call->in[1], *in2 = call->in[2];            \
    wt_word step0 = call->step[0], step1 = call->step[1], step2 = call->step[2];       \
    float *out = call->out;                                                            \
    for (wt_word left = call->count; left > 0; left -= 4, out += 4) {                  \
      wt_f32x4 a = wt_load_tail(in0, step0, left), b = wt_load_tail(in1, step1, left); \
      wt_f32x4 c = wt_load_tail(in2, step2, left);                                     \
      wt_store_tail(out, (expression), left);                                          \
      in0 += 4 * step0;                                                                \
      in1 += 4 * step1;                                                                \
      in2 += 4 * step2;                                                                \
    }                                                                                  \
    return WT_OK;                                                                      \
  }
/* From whichever end is nearer, so that weight 1 gives b exactly. */
FLOAT32(lerp, wt_f32x4_select(wt_f32x4_abs(c) < 0.5f, a + c * (b - a), b - (b - a) * (1.0f - c)))
FLOAT32(addcmul, a + p0 * b * c)
FLOAT32(addcdiv, a + p0 * b / c)
FLOAT32(clamp, wt_f32x4_minimum(wt_f32x4_maximum(a, b), c))
#endif

#define SCALAR(type, name, parameter, expression)                                \
  static int type##_##name(const wt_row_call *call) {                            \
    const type *in0 = call->in[0], *in1 = call->in[1], *in2 = call->in[2];       \
    wt_word step0 = call->step[0], step1 = call->step[1], step2 = call->step[2]; \
    type p0 = (type)(parameter), *out = call->out;                               \
    (void)p0;                                                                    \
    for (wt_word i = 0; i < call->count; i++) {                                  \
      type a = in0[i * step0], b = in1[i * step1], c = in2[i * step2];           \
      out[i] = (expression);                                                     \
    }                                                                            \
    return WT_OK;                                                                \
  }
static double clamp_double(double x, double low, double high) {
  if (x != x || low != low || high != high) return x + low + high;
  x = x < low ? low : x;
  return x > high ? high : x;
}
SCALAR(double, lerp, call->p0, c<0.5 && c> - 0.5 ? a + c * (b - a) : b - (b - a) * (1 - c))
SCALAR(double, addcmul, call->p0, a + p0 * b * c)
SCALAR(double, addcdiv, call->p0, a + p0 * b / c)
SCALAR(double, clamp, call->p0, clamp_double(a, b, c))
SCALAR(int64_t, addcmul, call->p0,
       (int64_t)((uint64_t)a + (uint64_t)p0 * (uint64_t)b * (uint64_t)c))
SCALAR(int64_t, clamp, 0, (a < b ? b : a) > c ? c : a < b ? b : a)

#define ROWS(name) \
  [WT_TERNARY_##name] = {FLOAT32_ROW(name), {double_##name, WT_GRAIN_COSTLY}, {NULL, 0}}
#define ROWS_WITH_INTEGER(name) \
  [WT_TERNARY_##name] = {       \
      FLOAT32_ROW(name), {double_##name, WT_GRAIN_COSTLY}, {int64_t_##name, WT_GRAIN_COSTLY}}
/* In float32, float64, int64. */
static const wt_row_entry rows[WT_TERNARY_COUNT][3] = {
    ROWS(lerp), ROWS(addcdiv), ROWS_WITH_INTEGER(addcmul), ROWS_WITH_INTEGER(clamp)};

wt_row_choice wt_choose_ternary(wt_word op, wt_word dtype) {
  wt_row_choice choice = {{NULL, 0}, (int)dtype, (int)dtype};
  if ((size_t)op >= WT_TERNARY_COUNT || wt_dtype_size(dtype) == 0) return choice;
  if (op == WT_TERNARY_where) {
    choice.entry = (wt_row_entry){where_row(wt_dtype_size(dtype)), WT_GRAIN_CHEAP};
    return choice;
  }
  choice.compute = wt_is_float(dtype) ? WT_FLOAT32 : WT_INT64;
  choice.entry = rows[op][choice.compute == WT_FLOAT32 ? 0 : 2];
  if (dtype == WT_FLOAT64 || (wt_is_float(dtype) && choice.entry.row == NULL)) {
    choice.compute = WT_FLOAT64;
    choice.entry = rows[op][1];
  }
  choice.result = choice.compute;
  return choice;
}

WT_KERNEL(ternary, 1) {
  const wt_ternary_args *args = arguments;
  wt_row_choice choice = wt_choose_ternary(args->op, args->out.dtype);
  if (choice.entry.row == NULL) return wt_fail(WT_UNSUPPORTED_DTYPE, args->out.dtype, 0, 0);
  wt_plan plan;
  int first = args->op == WT_TERNARY_where ? WT_BOOL : choice.compute;
  int status = wt_plan_begin(&plan, &args->out, choice.result);
  if (status == WT_OK) status = wt_plan_input(&plan, &args->a, first);
  if (status == WT_OK) status = wt_plan_input(&plan, &args->b, choice.compute);
  if (status == WT_OK) status = wt_plan_input(&plan, &args->c, choice.compute);
  if (status != WT_OK) return status;
  plan.entry = choice.entry;
  plan.p0 = args->value;
  return wt_plan_run(&plan);
}
