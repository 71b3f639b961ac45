/* Special functions in float64, written from their series, continued fractions and asymptotic
 * expansions. "A&S" is Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964). */
#define _GNU_SOURCE /* j0, j1, lgamma_r */
#include "pointwise/special.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PI 3.14159265358979323846
#define SQRT_HALF 0.70710678118654752440
#define SQRT_PI 1.77245385090551602730
#define SQRT_TWO_PI 2.50662827463100050242
#define EPSILON 0x1p-53

/* ---- error function family ------------------------------------------------------------------ */
/* exp(x^2) with the rounding error of the square put right. */
static double exp_square(double x) {
  double square = x * x;
  return exp(square) * (1 + fma(x, x, -square));
}

/* Beyond 10: the asymptotic series A&S 7.1.23. */
double wt_erfcx(double x) {
  if (x < 10) return x < -26.7 ? INFINITY : exp_square(x) * erfc(x);
  double z = 1 / (2 * x * x), term = 1, sum = 1;
  for (int k = 1; k < 20; k++) {
    term *= -(2 * k - 1) * z;
    sum += term;
  }
  return sum / (x * SQRT_PI);
}

double wt_ndtr(double x) { return 0.5 * erfc(-x * SQRT_HALF); }

double wt_log_ndtr(double x) {
  if (x < -1) return log(0.5 * wt_erfcx(-x * SQRT_HALF)) - 0.5 * x * x;
  return log1p(-0.5 * erfc(x * SQRT_HALF));
}

/* The x >= 0 with erfc(x) = q, 0 < q <= 1: A&S 26.2.23 (error below 4.5e-4), then Halley steps,
 * each of which triples the digits. */
static double erfc_inverse(double q) {
  double t = sqrt(-2 * log(0.5 * q));
  double guess = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                         (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  double x = fmax(guess, 0) * SQRT_HALF;
  for (int i = 0; i < 3; i++) {
    double error = (erfc(x) - q) * (0.5 * SQRT_PI) * exp_square(x);
    x += error / (1 + x * error);
  }
  return x;
}

/* Near 0 the equation is solved for erf, which keeps relative accuracy there. */
double wt_erfinv(double y) {
  double a = fabs(y);
  if (!(a < 1)) return a == 1 ? copysign(INFINITY, y) : NAN;
  if (a > 0.5) return copysign(erfc_inverse(1 - a), y);
  double x = y * (0.5 * SQRT_PI) * (1 + y * y * (PI / 12));
  for (int i = 0; i < 3; i++) {
    double error = (erf(x) - y) * (0.5 * SQRT_PI) * exp_square(x);
    x -= error / (1 + x * error);
  }
  return x;
}

double wt_ndtri(double p) {
  if (!(p > 0 && p < 1)) return p == 0 ? -INFINITY : p == 1 ? INFINITY : NAN;
  if (fabs(p - 0.5) <= 0.25) return wt_erfinv(2 * p - 1) / SQRT_HALF;
  return (p < 0.5 ? -erfc_inverse(2 * p) : erfc_inverse(2 * (1 - p))) / SQRT_HALF;
}

/* ---- gamma family --------------------------------------------------------------------------- */
/* B_2k, k = 1...12. */
static const double bernoulli[12] = {
    1.0 / 6, -1.0 / 30,     1.0 / 42,      -1.0 / 30,       5.0 / 66,       -691.0 / 2730,
    7.0 / 6, -3617.0 / 510, 43867.0 / 798, -174611.0 / 330, 854513.0 / 138, -236364091.0 / 2730};

/* Not lgamma, which writes a global variable and so races. */
double wt_lgamma(double x) {
  int sign;
  return lgamma_r(x, &sign);
}

/* Reflection A&S 6.3.7, recurrence to x >= 10, asymptotic series A&S 6.3.18. */
double wt_digamma(double x) {
  if (x == 0) return copysign(INFINITY, -x);
  if (isinf(x)) return x > 0 ? x : NAN;
  double result = 0;
  if (x < 0) {
    double fraction = x - trunc(x);
    if (fraction == 0) return NAN;
    result = -PI / tan(PI * fraction);
    x = 1 - x;
  }
  for (; x < 10; x++) result -= 1 / x;
  double z = 1 / (x * x), power = z, tail = 0;
  for (int k = 1; k <= 8; k++, power *= z) tail += bernoulli[k - 1] / (2 * k) * power;
  return result + log(x) - 0.5 / x - tail;
}

/* Reflection A&S 6.4.7, recurrence, asymptotic series A&S 6.4.12. */
double wt_trigamma(double x) {
  double sign = 1, result = 0;
  if (x < 0.5) {
    double sine = sin(PI * x);
    sign = -1;
    result = -(PI * PI) / (sine * sine);
    x = 1 - x;
  }
  for (; x < 10; x++) result += 1 / (x * x);
  double z = 1 / (x * x), power = z / x, tail = 0;
  for (int k = 1; k <= 8; k++, power *= z) tail += bernoulli[k - 1] * power;
  return sign * (result + 1 / x + 0.5 * z + tail);
}

/* Ten terms, then the Euler-Maclaurin formula A&S 23.1.30. */
double wt_zeta(double s, double q) {
  if (s == 1) return INFINITY;
  if (!(s > 1)) return NAN;
  if (q <= 0) {
    if (q == floor(q)) return INFINITY;
    if (s != floor(s)) return NAN;
  }
  double sum = 0;
  int terms = 0;
  for (; terms < 10 || q < 10; terms++, q += 1) {
    double term = pow(q, -s);
    sum += term;
    if (fabs(term) < fabs(sum) * EPSILON && q > 0) return sum;
  }
  double power = pow(q, -s), factor = s / q;
  sum += power * (q / (s - 1) + 0.5);
  /* Terms B_2k / (2k)! s (s + 1) ... (s + 2k - 2) q^(1 - s - 2k). */
  double factorial = 2;
  for (int k = 1; k <= 12; k++) {
    double term = bernoulli[k - 1] / factorial * factor * power;
    sum += term;
    if (fabs(term) < fabs(sum) * EPSILON) break;
    factor *= (s + 2 * k - 1) * (s + 2 * k) / (q * q);
    factorial *= (2 * k + 1) * (2 * k + 2);
  }
  return sum;
}

/* log(1 + u) - u without cancellation near 0. */
static double log1p_minus(double u) {
  if (fabs(u) > 0.3) return log1p(u) - u;
  double power = -u * u, sum = 0;
  for (int k = 2; k < 60; k++, power *= -u) {
    double term = power / k;
    sum += term;
    if (fabs(term) <= fabs(sum) * EPSILON) break;
  }
  return sum;
}

/* x^a e^-x / Gamma(a + 1). For large a by Stirling's formula around x = a, where the logarithms
 * would cancel. */
static double gamma_density(double a, double x) {
  if (a < 10) return exp(a * log(x) - x - wt_lgamma(a + 1));
  double z = 1 / (a * a);
  double correction = (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z / 1680))) / a;
  double u = (x - a) / a;
  return exp(a * log1p_minus(u) - correction) / (SQRT_TWO_PI * sqrt(a));
}

/* P(a, x) by the power series A&S 6.5.29. */
static double igamma_series(double a, double x) {
  double term = 1, sum = 1, n = a;
  for (int64_t k = 0; k < 100000 && term > sum * EPSILON; k++) {
    term *= x / ++n;
    sum += term;
  }
  return sum * gamma_density(a, x);
}

/* Q(a, x) by the continued fraction A&S 6.5.31 in Lentz's form. */
static double igammac_fraction(double a, double x) {
  const double tiny = 1e-300;
  double b = x + 1 - a, c = 1 / tiny, d = 1 / (b == 0 ? tiny : b), h = d;
  for (int64_t k = 1; k < 100000; k++) {
    double numerator = -(double)k * ((double)k - a);
    b += 2;
    d = numerator * d + b;
    c = b + numerator / c;
    d = 1 / (d == 0 ? tiny : d);
    if (c == 0) c = tiny;
    double delta = c * d;
    h *= delta;
    if (fabs(delta - 1) <= 2 * EPSILON) break;
  }
  return h * a * gamma_density(a, x);
}

/* Q(a, x) for small x: 1 - x^a / Gamma(a + 1) (1 + a sum_k (-x)^k / ((a + k) k!)), where the
 * leading difference is taken by expm1. */
static double igammac_series(double a, double x) {
  double term = 1, sum = 0;
  for (int k = 1; k < 200; k++) {
    term *= -x / k;
    sum += term / (a + k);
    if (fabs(term) <= fabs(sum) * EPSILON) break;
  }
  double logarithm = a * log(x) - wt_lgamma(1 + a);
  return -expm1(logarithm) - exp(logarithm) * a * sum;
}

/* Arguments outside the domain and the limits; returns whether `result` is decided. */
static bool igamma_limit(double a, double x, bool upper, double *result) {
  if (!(x >= 0) || !(a >= 0)) {
    *result = NAN;
  } else if (a == 0) {
    *result = x > 0 ? !upper : NAN;
  } else if (x == 0) {
    *result = upper;
  } else if (isinf(a)) {
    *result = isinf(x) ? NAN : upper;
  } else if (isinf(x)) {
    *result = !upper;
  } else {
    return false;
  }
  return true;
}

double wt_igamma(double a, double x) {
  double limit;
  if (igamma_limit(a, x, false, &limit)) return limit;
  return x > 1 && x > a ? 1 - igammac_fraction(a, x) : igamma_series(a, x);
}

double wt_igammac(double a, double x) {
  double limit;
  if (igamma_limit(a, x, true, &limit)) return limit;
  if (x > 1.1) return x < a ? 1 - igamma_series(a, x) : igammac_fraction(a, x);
  bool series_is_small = x <= 0.5 ? -0.4 / log(x) < a : 1.1 * x < a;
  return series_is_small ? 1 - igamma_series(a, x) : igammac_series(a, x);
}

/* ---- Bessel functions ----------------------------------------------------------------------- */
/* Up to 20 the power series A&S 9.6.10, whose terms are all positive; then the asymptotic A&S
 * 9.7.1, whose smallest term is near e^-2x. */
double wt_bessel_i(double x, int order, int scaled) {
  double a = fabs(x), sum = 1, term = 1;
  if (a <= 20) {
    double quarter = 0.25 * a * a;
    for (int k = 1; k < 100 && term > sum * EPSILON; k++) {
      term *= quarter / (k * (k + order));
      sum += term;
    }
    if (order == 1) sum *= 0.5 * x;
    return scaled ? sum * exp(-a) : sum;
  }
  double mu = 4.0 * order;
  for (int k = 1; k < 40; k++) {
    double next = term * -(mu - (2 * k - 1) * (2 * k - 1)) / (k * 8 * a);
    if (fabs(next) < EPSILON || fabs(next) > fabs(term)) break;
    term = next;
    sum += term;
  }
  if (isinf(a)) sum = 1;
  sum /= sqrt(2 * PI * a);
  if (order == 1 && x < 0) sum = -sum;
  if (scaled) return sum;
  /* In two factors: e^a alone overflows before the result does. Infinity gives NaN, as in torch. */
  double root = exp(0.5 * a);
  return sum * root * root;
}

/* torch gives NaN at infinity, not the limit 0. */
double wt_bessel_j(double x, int order) { return isinf(x) ? NAN : order == 0 ? j0(x) : j1(x); }

/* ---- others --------------------------------------------------------------------------------- */
double wt_sinc(double x) { return x == 0 ? 1 : sin(PI * x) / (PI * x); }

double wt_logaddexp(double a, double b) {
  if (isinf(a) && a == b) return a;
  return (a > b || isnan(a) ? a : b) + log1p(exp(-fabs(a - b)));
}

double wt_logaddexp2(double a, double b) {
  if (isinf(a) && a == b) return a;
  return (a > b || isnan(a) ? a : b) + log1p(exp2(-fabs(a - b))) * 1.44269504088896340736;
}

/* The float32 after a towards b, by stepping its bits, which are ordered as its magnitude. */
float wt_nextafter_float32(float a, float b) {
  if (isnan(a) || isnan(b)) return a + b;
  if (a == b) return b;
  int32_t bits;
  memcpy(&bits, &a, sizeof bits);
  if (a == 0) {
    bits = signbit(b) ? (int32_t)0x80000001u : 1;
  } else {
    bits += (a < b) == (a > 0) ? 1 : -1;
  }
  memcpy(&a, &bits, sizeof bits);
  return a;
}
