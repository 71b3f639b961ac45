#include "reduce/f64_runs.h"

#include <math.h>

static double fold(const double sums[8]) {
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

#define DEFINE_SUM(name, term)                           \
  double wt_f64_##name(const double *x, wt_word count) { \
    double sums[8] = {0};                                \
    wt_word i = 0;                                       \
    for (; i + 8 <= count; i += 8)                       \
      for (int k = 0; k < 8; k++) {                      \
        const double v = x[i + k];                       \
        sums[k] += term;                                 \
      }                                                  \
    for (; i < count; i++) {                             \
      const double v = x[i];                             \
      sums[i % 8] += term;                               \
    }                                                    \
    return fold(sums);                                   \
  }
DEFINE_SUM(sum, v)
DEFINE_SUM(sum_abs, fabs(v))
DEFINE_SUM(sum_squares, v *v)

void wt_f64_deviations(const double *x, wt_word count, double center, double *sum,
                       double *squares) {
  double sums[8] = {0}, square_sums[8] = {0};
  for (wt_word i = 0; i < count; i++) {
    const double d = x[i] - center;
    sums[i % 8] += d;
    square_sums[i % 8] += d * d;
  }
  *sum = fold(sums);
  *squares = fold(square_sums);
}

void wt_f64_centered_dot(const double *a, const double *x, wt_word count, double center,
                         double *sum, double *dot) {
  double sums[8] = {0}, dots[8] = {0};
  for (wt_word i = 0; i < count; i++) {
    sums[i % 8] += a[i];
    dots[i % 8] += a[i] * (x[i] - center);
  }
  *sum = fold(sums);
  *dot = fold(dots);
}

double wt_f64_max(const double *x, wt_word count) {
  double best = -INFINITY;
  for (wt_word i = 0; i < count; i++) {
    if (x[i] != x[i]) return x[i];
    if (x[i] > best) best = x[i];
  }
  return best;
}

double wt_f64_exp_sum(double *out, const double *x, wt_word count, double center) {
  double total = 0;
  for (wt_word i = 0; i < count; i++) {
    const double e = exp(x[i] - center);
    total += e;
    if (out) out[i] = e;
  }
  return total;
}
