/* Special functions in float64. Relative errors are near 1e-13 unless a comment says otherwise. */
#ifndef WASM_TORCH_POINTWISE_SPECIAL_H
#define WASM_TORCH_POINTWISE_SPECIAL_H

double wt_erfinv(double y);
double wt_erfcx(double x); /* exp(x^2) erfc(x) */
double wt_ndtr(double x);  /* the normal distribution function */
double wt_log_ndtr(double x);
double wt_ndtri(double p); /* its inverse */
double wt_lgamma(double x);
double wt_digamma(double x);
double wt_trigamma(double x);
double wt_zeta(double s, double q);    /* Hurwitz: sum of (q + k)^-s over k >= 0 */
double wt_igamma(double a, double x);  /* regularised lower incomplete gamma function P(a, x) */
double wt_igammac(double a, double x); /* upper: Q(a, x) = 1 - P(a, x) */
/* Modified Bessel functions of order 0 or 1; `scaled` multiplies by exp(-|x|). */
double wt_bessel_i(double x, int order, int scaled);
double wt_bessel_j(double x, int order); /* of the first kind, order 0 or 1 */
double wt_sinc(double x);                /* sin(pi x) / (pi x) */
double wt_logaddexp(double a, double b);
double wt_logaddexp2(double a, double b);
float wt_nextafter_float32(float a, float b);

#endif
