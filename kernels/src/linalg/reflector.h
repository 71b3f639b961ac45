/* Householder reflectors H = I - tau v v^T with v[0] = 1, in LAPACK's convention: H maps a vector
 * to (beta, 0, ..., 0) with beta of the sign opposite to the vector's first element. */
#ifndef WASM_TORCH_REFLECTOR_H
#define WASM_TORCH_REFLECTOR_H

#include "linalg/matrix.h"

/* x (count numbers) becomes beta and the tail of v; returns tau, 0 where x is reduced already. */
WT_INLINE double wt_make_reflector(double *x, wt_word count) {
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

/* y = H y. */
WT_INLINE void wt_reflect(double *y, const double *v, double tau, wt_word count) {
  double factor = -tau * (y[0] + wt_dot(y + 1, v + 1, count - 1));
  y[0] += factor;
  wt_axpy(y + 1, v + 1, factor, count - 1);
}

#endif
