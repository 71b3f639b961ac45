/* What a reduction computes, apart from where its elements lie: partial states of runs, their
 * merging, and the final value. */
#ifndef WASM_TORCH_REDUCE_METHODS_H
#define WASM_TORCH_REDUCE_METHODS_H

#include "reduce/elements.h"

typedef enum wt_reduce_method {
  WT_METHOD_SUM,
  WT_METHOD_SUM_NOT_NAN,
  WT_METHOD_SUM_ABS,
  WT_METHOD_SUM_SQUARES,
  WT_METHOD_SUM_POWERS,
  WT_METHOD_PRODUCT,
  WT_METHOD_MAX,
  WT_METHOD_MIN,
  WT_METHOD_MAX_ABS,
  WT_METHOD_MIN_ABS,
  WT_METHOD_COUNT_NONZERO,
  WT_METHOD_MOMENTS,
  WT_METHOD_LOG_SUM_EXP
} wt_reduce_method;

typedef struct wt_reduce_plan {
  wt_reduce_method method;
  wt_reduce_op op;
  wt_element_class class; /* of self: how its elements are worked on */
  wt_word dtype, out_dtype;
  double parameter; /* correction of var and std, order of norm */
} wt_reduce_plan;

/* A partial result. Integer sums, products and extremes and counts of non-zeros: `integer`.
 * Moments: `value` mean, `second` sum of squared deviations, `count` elements. Log-sum-exp: `value`
 * maximum, `second` sum of exp(x - value). All others: `value`. */
typedef struct wt_reduce_state {
  double value, second;
  int64_t integer, count;
} wt_reduce_state;

/* Returns WT_OK, or records that op does not work on the dtype. */
int wt_reduce_plan_of(wt_reduce_plan *plan, const wt_reduce_args *args);

wt_reduce_state wt_reduce_start(const wt_reduce_plan *plan);
/* Takes in `count` elements of self from `from` on, `stride` elements apart. */
void wt_reduce_run(const wt_reduce_plan *plan, wt_reduce_state *state, const void *from,
                   wt_word stride, wt_word count);
void wt_reduce_merge(const wt_reduce_plan *plan, wt_reduce_state *state,
                     const wt_reduce_state *other);
/* Writes the result over `count` elements to `out`. */
void wt_reduce_finish(const wt_reduce_plan *plan, const wt_reduce_state *state, int64_t count,
                      void *out);

/* The moments of self over each dimension in which `shape` has size 1, into states[shape's
 * strides]; the data of shape is not looked at. Threaded; returns a status. */
int wt_reduce_moments(wt_reduce_state *states, const wt_tensor *shape, const wt_tensor *self);

/* NaN where either is. */
static inline double wt_max_or_nan(double a, double b) { return a > b || a != a ? a : b; }
static inline double wt_min_or_nan(double a, double b) { return a < b || a != a ? a : b; }

#endif
