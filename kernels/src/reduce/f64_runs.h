/* Reductions of contiguous float64 runs, the counterparts of f32_runs.h: sums run over eight
 * partial sums, so that additions do not wait for one another. */
#ifndef WASM_TORCH_F64_RUNS_H
#define WASM_TORCH_F64_RUNS_H

#include "core/core.h"

double wt_f64_sum(const double *x, wt_word count);
double wt_f64_sum_abs(const double *x, wt_word count);
double wt_f64_sum_squares(const double *x, wt_word count);
/* Sums of x - center and of its square. */
void wt_f64_deviations(const double *x, wt_word count, double center, double *sum, double *squares);
/* Sums of a and of a * (x - center). */
void wt_f64_centered_dot(const double *a, const double *x, wt_word count, double center,
                         double *sum, double *dot);
/* Largest element, NaN where any is NaN, -inf of nothing. */
double wt_f64_max(const double *x, wt_word count);
/* Writes exp(x - center) to out, which may be x or NULL, and returns the sum. */
double wt_f64_exp_sum(double *out, const double *x, wt_word count, double center);

#endif
