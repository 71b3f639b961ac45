#include "reduce/methods.h"

#include <math.h>

#include "reduce/f32_runs.h"
#include "reduce/f64_runs.h"

/* Elements converted at a time where self cannot be worked on in place. */
#define CHUNK 512

/* ---- plan ---------------------------------------------------------------------------------- */
static wt_reduce_method method_of_norm(double order) {
  if (order == 0) return WT_METHOD_COUNT_NONZERO;
  if (order == 1) return WT_METHOD_SUM_ABS;
  if (order == 2) return WT_METHOD_SUM_SQUARES;
  if (isinf(order)) return order > 0 ? WT_METHOD_MAX_ABS : WT_METHOD_MIN_ABS;
  return WT_METHOD_SUM_POWERS;
}

static wt_reduce_method method_of(wt_reduce_op op, double parameter, wt_element_class class) {
  switch (op) {
    case WT_REDUCE_prod:
      return WT_METHOD_PRODUCT;
    case WT_REDUCE_amax:
      return WT_METHOD_MAX;
    case WT_REDUCE_amin:
      return WT_METHOD_MIN;
    case WT_REDUCE_any:
    case WT_REDUCE_all:
    case WT_REDUCE_count_nonzero:
      return WT_METHOD_COUNT_NONZERO;
    case WT_REDUCE_var:
    case WT_REDUCE_std:
      return WT_METHOD_MOMENTS;
    case WT_REDUCE_norm:
      return method_of_norm(parameter);
    case WT_REDUCE_nansum:
      return class == WT_CLASS_I64 ? WT_METHOD_SUM : WT_METHOD_SUM_NOT_NAN;
    case WT_REDUCE_logsumexp:
      return WT_METHOD_LOG_SUM_EXP;
    default:
      return WT_METHOD_SUM;
  }
}

static bool works_on_integers(wt_reduce_op op) {
  return op == WT_REDUCE_sum || op == WT_REDUCE_nansum || op == WT_REDUCE_prod ||
         op == WT_REDUCE_amax || op == WT_REDUCE_amin || op == WT_REDUCE_any ||
         op == WT_REDUCE_all || op == WT_REDUCE_count_nonzero;
}

int wt_reduce_plan_of(wt_reduce_plan *plan, const wt_reduce_args *args) {
  if (args->op < 0 || args->op >= WT_REDUCE_COUNT) return wt_fail(WT_BAD_ARGUMENT, 3, args->op, 0);
  const wt_reduce_op op = (wt_reduce_op)args->op;
  const wt_element_class class = wt_class_of(args->self.dtype);
  if (class == WT_CLASS_NONE || (class == WT_CLASS_I64 && !works_on_integers(op)))
    return wt_fail(WT_UNSUPPORTED_DTYPE, args->self.dtype, 0, 0);
  const wt_element_class out_class = wt_class_of(args->out.dtype);
  const wt_reduce_method method = method_of(op, args->p0, class);
  const bool writes_integer = class == WT_CLASS_I64 || method == WT_METHOD_COUNT_NONZERO;
  if (out_class == WT_CLASS_NONE || (out_class == WT_CLASS_I64 && !writes_integer))
    return wt_fail(WT_UNSUPPORTED_DTYPE, args->out.dtype, 0, 0);
  *plan = (wt_reduce_plan){method, op, class, args->self.dtype, args->out.dtype, args->p0};
  return WT_OK;
}

wt_reduce_state wt_reduce_start(const wt_reduce_plan *plan) {
  switch (plan->method) {
    case WT_METHOD_PRODUCT:
      return (wt_reduce_state){1, 0, 1, 0};
    case WT_METHOD_MAX:
    case WT_METHOD_LOG_SUM_EXP:
      return (wt_reduce_state){-INFINITY, 0, INT64_MIN, 0};
    case WT_METHOD_MIN:
    case WT_METHOD_MIN_ABS:
      return (wt_reduce_state){INFINITY, 0, INT64_MAX, 0};
    default:
      return (wt_reduce_state){0, 0, 0, 0};
  }
}

/* ---- merging ------------------------------------------------------------------------------- */
/* Chan, Golub & LeVeque, "Algorithms for computing the sample variance", 1983. */
static void merge_moments(wt_reduce_state *state, const wt_reduce_state *other) {
  if (other->count == 0) return;
  if (state->count == 0) {
    *state = *other;
    return;
  }
  const double count = (double)(state->count + other->count);
  const double share = (double)other->count / count, delta = other->value - state->value;
  state->value += delta * share;
  state->second += other->second + delta * delta * (double)state->count * share;
  state->count += other->count;
}

static void merge_log_sum_exp(wt_reduce_state *state, const wt_reduce_state *other) {
  if (state->value != state->value || other->value == -INFINITY) return;
  if (state->value == -INFINITY || other->value != other->value || other->value == INFINITY) {
    *state = *other;
  } else if (state->value != INFINITY) {
    const double maximum = fmax(state->value, other->value);
    state->second =
        state->second * exp(state->value - maximum) + other->second * exp(other->value - maximum);
    state->value = maximum;
  }
}

void wt_reduce_merge(const wt_reduce_plan *plan, wt_reduce_state *state,
                     const wt_reduce_state *other) {
  const bool integers = plan->class == WT_CLASS_I64;
  switch (plan->method) {
    case WT_METHOD_PRODUCT:
      state->value *= other->value;
      state->integer = (int64_t)((uint64_t)state->integer * (uint64_t)other->integer);
      break;
    case WT_METHOD_MAX:
    case WT_METHOD_MAX_ABS:
      if (integers && other->integer > state->integer) state->integer = other->integer;
      if (!integers) state->value = wt_max_or_nan(state->value, other->value);
      break;
    case WT_METHOD_MIN:
    case WT_METHOD_MIN_ABS:
      if (integers && other->integer < state->integer) state->integer = other->integer;
      if (!integers) state->value = wt_min_or_nan(state->value, other->value);
      break;
    case WT_METHOD_MOMENTS:
      merge_moments(state, other);
      break;
    case WT_METHOD_LOG_SUM_EXP:
      merge_log_sum_exp(state, other);
      break;
    default:
      state->value += other->value;
      state->integer = (int64_t)((uint64_t)state->integer + (uint64_t)other->integer);
  }
}

/* ---- runs of one class --------------------------------------------------------------------- */
/* Each gives the state of a contiguous run on its own; the caller merges it. */
static wt_reduce_state integers_run(wt_reduce_method method, const int64_t *x, wt_word count) {
  wt_reduce_state state = {0, 0, x[0], 0};
  uint64_t total = method == WT_METHOD_PRODUCT;
  switch (method) {
    case WT_METHOD_PRODUCT:
      for (wt_word i = 0; i < count; i++) total *= (uint64_t)x[i];
      state.integer = (int64_t)total;
      break;
    case WT_METHOD_MAX:
      for (wt_word i = 1; i < count; i++)
        state.integer = x[i] > state.integer ? x[i] : state.integer;
      break;
    case WT_METHOD_MIN:
      for (wt_word i = 1; i < count; i++)
        state.integer = x[i] < state.integer ? x[i] : state.integer;
      break;
    default:
      for (wt_word i = 0; i < count; i++) total += (uint64_t)x[i];
      state.integer = (int64_t)total;
  }
  return state;
}

/* Methods that differ between float and double in the element type alone: one accumulator. */
#define DEFINE_SIMPLE_RUN(type)                                                                \
  static double simple_run_##type(const wt_reduce_plan *plan, const type *x, wt_word count) {  \
    double total = 0;                                                                          \
    switch (plan->method) {                                                                    \
      case WT_METHOD_SUM_NOT_NAN:                                                              \
        for (wt_word i = 0; i < count; i++) total += x[i] == x[i] ? (double)x[i] : 0.0;        \
        return total;                                                                          \
      case WT_METHOD_SUM_POWERS:                                                               \
        for (wt_word i = 0; i < count; i++) total += pow(fabs((double)x[i]), plan->parameter); \
        return total;                                                                          \
      case WT_METHOD_PRODUCT:                                                                  \
        total = 1;                                                                             \
        for (wt_word i = 0; i < count; i++) total *= (double)x[i];                             \
        return total;                                                                          \
      case WT_METHOD_MAX_ABS:                                                                  \
        for (wt_word i = 0; i < count; i++) total = wt_max_or_nan(total, fabs((double)x[i]));  \
        return total;                                                                          \
      case WT_METHOD_MIN_ABS:                                                                  \
        total = INFINITY;                                                                      \
        for (wt_word i = 0; i < count; i++) total = wt_min_or_nan(total, fabs((double)x[i]));  \
        return total;                                                                          \
      case WT_METHOD_MAX:                                                                      \
        total = -INFINITY;                                                                     \
        for (wt_word i = 0; i < count; i++) total = wt_max_or_nan(total, (double)x[i]);        \
        return total;                                                                          \
      case WT_METHOD_MIN:                                                                      \
        total = INFINITY;                                                                      \
        for (wt_word i = 0; i < count; i++) total = wt_min_or_nan(total, (double)x[i]);        \
        return total;                                                                          \
      default:                                                                                 \
        return 0;                                                                              \
    }                                                                                          \
  }
DEFINE_SIMPLE_RUN(float)
DEFINE_SIMPLE_RUN(double)

/* From the sums of deviations from a guess of the mean, and of their squares. */
static wt_reduce_state moments_of(double guess, double sum, double squares, wt_word count) {
  const double n = (double)count, second = squares - sum * sum / n;
  return (wt_reduce_state){guess + sum / n, second < 0 ? 0 : second, 0, count};
}

static wt_reduce_state floats_run(const wt_reduce_plan *plan, const float *x, wt_word count) {
  wt_reduce_state state = {0, 0, 0, 0};
  switch (plan->method) {
    case WT_METHOD_SUM:
      state.value = WT_F32_RUN(sum)(x, count);
      break;
    case WT_METHOD_SUM_ABS:
      state.value = WT_F32_RUN(sum_abs)(x, count);
      break;
    case WT_METHOD_SUM_SQUARES:
      state.value = WT_F32_RUN(sum_squares)(x, count);
      break;
    case WT_METHOD_MAX:
      state.value = (double)WT_F32_RUN(max)(x, count);
      break;
    case WT_METHOD_MIN:
      state.value = (double)WT_F32_RUN(min)(x, count);
      break;
    case WT_METHOD_MOMENTS: {
      const float center = (float)(WT_F32_RUN(sum)(x, count) / (double)count);
      double sum, squares;
      WT_F32_RUN(deviations)(x, count, center, &sum, &squares);
      return moments_of((double)center, sum, squares, count);
    }
    case WT_METHOD_LOG_SUM_EXP: {
      const float maximum = WT_F32_RUN(max)(x, count);
      state.value = (double)maximum;
      if (isfinite(maximum)) state.second = WT_F32_RUN(exp_sum)(NULL, x, count, maximum);
      break;
    }
    default:
      state.value = simple_run_float(plan, x, count);
  }
  return state;
}

static wt_reduce_state doubles_run(const wt_reduce_plan *plan, const double *x, wt_word count) {
  wt_reduce_state state = {0, 0, 0, 0};
  switch (plan->method) {
    case WT_METHOD_SUM:
      state.value = wt_f64_sum(x, count);
      break;
    case WT_METHOD_SUM_ABS:
      state.value = wt_f64_sum_abs(x, count);
      break;
    case WT_METHOD_SUM_SQUARES:
      state.value = wt_f64_sum_squares(x, count);
      break;
    case WT_METHOD_MOMENTS: {
      const double center = wt_f64_sum(x, count) / (double)count;
      double sum, squares;
      wt_f64_deviations(x, count, center, &sum, &squares);
      return moments_of(center, sum, squares, count);
    }
    case WT_METHOD_LOG_SUM_EXP:
      state.value = wt_f64_max(x, count);
      if (isfinite(state.value)) state.second = wt_f64_exp_sum(NULL, x, count, state.value);
      break;
    default:
      state.value = simple_run_double(plan, x, count);
  }
  return state;
}

/* ---- runs of any dtype --------------------------------------------------------------------- */
static void merge_run(const wt_reduce_plan *plan, wt_reduce_state *state, const void *x,
                      wt_word count) {
  wt_reduce_state run = plan->class == WT_CLASS_I64   ? integers_run(plan->method, x, count)
                        : plan->class == WT_CLASS_F64 ? doubles_run(plan, x, count)
                                                      : floats_run(plan, x, count);
  wt_reduce_merge(plan, state, &run);
}

/* Contiguous runs whose elements are already of the working type. Long double runs are still cut,
 * which keeps their summation blocked. */
static bool is_direct(const wt_reduce_plan *plan, wt_word stride) {
  return stride == 1 &&
         (plan->dtype == WT_FLOAT32 || plan->dtype == WT_FLOAT64 || plan->dtype == WT_INT64);
}

void wt_reduce_run(const wt_reduce_plan *plan, wt_reduce_state *state, const void *from,
                   wt_word stride, wt_word count) {
  if (plan->method == WT_METHOD_COUNT_NONZERO) {
    state->integer += wt_count_nonzero(from, plan->dtype, stride, count);
    return;
  }
  const wt_word bytes = (wt_word)wt_dtype_size(plan->dtype);
  const bool direct = is_direct(plan, stride);
  const wt_word chunk = direct ? 16 * CHUNK : CHUNK;
  const char *source = from;
  union {
    float floats[CHUNK];
    double doubles[CHUNK];
    int64_t integers[CHUNK];
  } line;
  for (wt_word n; count > 0; source += n * stride * bytes, count -= n) {
    n = wt_min_word(count, chunk);
    if (direct) {
      merge_run(plan, state, source, n);
      continue;
    }
    switch (plan->class) {
      case WT_CLASS_F32:
        wt_load_floats(line.floats, source, plan->dtype, stride, n);
        break;
      case WT_CLASS_F64:
        wt_load_doubles(line.doubles, source, plan->dtype, stride, n);
        break;
      default:
        wt_load_integers(line.integers, source, plan->dtype, stride, n);
    }
    merge_run(plan, state, &line, n);
  }
}

/* ---- results ------------------------------------------------------------------------------- */
static double norm_of(const wt_reduce_plan *plan, double value) {
  if (plan->method == WT_METHOD_SUM_SQUARES) return sqrt(value);
  return plan->method == WT_METHOD_SUM_POWERS ? pow(value, 1.0 / plan->parameter) : value;
}

static double result_of(const wt_reduce_plan *plan, const wt_reduce_state *state, int64_t count) {
  switch (plan->op) {
    case WT_REDUCE_mean:
      return state->value / (double)count;
    case WT_REDUCE_norm:
      return norm_of(plan, state->value);
    case WT_REDUCE_var:
      return state->second / fmax((double)count - plan->parameter, 0);
    case WT_REDUCE_std:
      return sqrt(state->second / fmax((double)count - plan->parameter, 0));
    case WT_REDUCE_logsumexp:
      return isfinite(state->value) ? state->value + log(state->second) : state->value;
    default:
      return state->value;
  }
}

void wt_reduce_finish(const wt_reduce_plan *plan, const wt_reduce_state *state, int64_t count,
                      void *out) {
  if (plan->class == WT_CLASS_I64 || plan->method == WT_METHOD_COUNT_NONZERO) {
    int64_t integer = state->integer;
    if (plan->op == WT_REDUCE_any) integer = integer != 0;
    if (plan->op == WT_REDUCE_all) integer = integer == count;
    wt_store_integers(out, plan->out_dtype, 1, &integer, 1);
  } else {
    const double result = result_of(plan, state, count);
    wt_store_doubles(out, plan->out_dtype, 1, &result, 1);
  }
}
