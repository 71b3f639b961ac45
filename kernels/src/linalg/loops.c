/* Inner loops of the factorisations, on dense lines of double precision. */
#include "linalg/matrix.h"

double wt_dot(const double *a, const double *b, wt_word count) {
  double sums[4] = {0, 0, 0, 0};
  wt_word i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int lane = 0; lane < 4; lane++) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < count; i++) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void wt_axpy(double *restrict y, const double *restrict x, double factor, wt_word count) {
  for (wt_word i = 0; i < count; i++) y[i] += factor * x[i];
}

void wt_rotate(double *restrict x, double *restrict y, double c, double s, wt_word count) {
  for (wt_word i = 0; i < count; i++) {
    double a = x[i], b = y[i];
    x[i] = c * a + s * b;
    y[i] = c * b - s * a;
  }
}

void wt_swap(double *restrict x, double *restrict y, wt_word count) {
  for (wt_word i = 0; i < count; i++) {
    double a = x[i];
    x[i] = y[i];
    y[i] = a;
  }
}

double wt_make_reflector(double *x, wt_word count) {
  double largest = 0;
  for (wt_word i = 1; i < count; i++) largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
  double tail = 0;
  for (wt_word i = 1; i < count; i++) {
    if (x[i] != 0) tail += x[i] / largest * (x[i] / largest);
  }
  if (tail == 0) return 0;
  double alpha = x[0], beta = -copysign(hypot(alpha, largest * sqrt(tail)), alpha);
  for (wt_word i = 1; i < count; i++) x[i] /= alpha - beta;
  x[0] = beta;
  return (beta - alpha) / beta;
}

void wt_reflect(double *y, const double *v, double tau, wt_word count) {
  double factor = -tau * (y[0] + wt_dot(y + 1, v + 1, count - 1));
  y[0] += factor;
  wt_axpy(y + 1, v + 1, factor, count - 1);
}
