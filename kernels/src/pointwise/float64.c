/* Rows in float64: every operator on floats, one element at a time. */
#include <math.h>

#include "pointwise/scalar_row.h"
#include "pointwise/special.h"

#define SQRT_HALF 0.70710678118654752440
#define TWO_OVER_SQRT_PI 1.12837916709551257390
#define PI 3.14159265358979323846
#define GELU_KAPPA 0.044715

#define UNARY(name, expression) WT_SCALAR_UNARY(float64, name, double, double, (double), expression)
#define PREDICATE(name, expression) \
  WT_SCALAR_UNARY(float64, name, double, uint8_t, (double), expression)
#define BINARY(name, expression) \
  WT_SCALAR_BINARY(float64, name, double, double, (double), expression)
#define COMPARISON(name, expression) \
  WT_SCALAR_BINARY(float64, name, double, uint8_t, (double), expression)

/* ---- shared formulas ------------------------------------------------------------------------ */
/* NaN in either operand gives NaN. */
static double maximum(double a, double b) { return isnan(a) ? a : a < b || isnan(b) ? b : a; }
static double minimum(double a, double b) { return isnan(a) ? a : b < a || isnan(b) ? b : a; }
static double clamp(double x, double low, double high) { return minimum(maximum(x, low), high); }
static double sign(double x) { return (double)((x > 0) - (x < 0)); }
static double sigmoid(double x) {
  double e = exp(-fabs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}
static double softplus(double x, double beta, double threshold) {
  return x * beta > threshold ? x : log1p(exp(x * beta)) / beta;
}
static double gelu(double x) { return 0.5 * x * (1 + erf(x * SQRT_HALF)); }
static double gelu_tanh_argument(double x) {
  return TWO_OVER_SQRT_PI * SQRT_HALF * (x + GELU_KAPPA * x * x * x);
}
static double logit(double x, double eps) {
  if (eps >= 0) x = x < eps ? eps : x > 1 - eps ? 1 - eps : x;
  return log(x / (1 - x));
}
static double nan_to_num(double x, double nan, double infinity) {
  return isnan(x) ? nan : isinf(x) ? copysign(infinity, x) : x;
}
static double pow_scalar(double x, double exponent) {
  if (exponent == 2) return x * x;
  if (exponent == 3) return x * x * x;
  if (exponent == 0.5) return sqrt(x);
  if (exponent == -0.5) return 1 / sqrt(x);
  if (exponent == -1) return 1 / x;
  if (exponent == -2) return 1 / (x * x);
  return pow(x, exponent);
}
/* Python's floor division: the quotient of what remains after fmod, so that it is exact. */
static double div_floor(double a, double b) {
  if (b == 0) return a / b;
  double remainder = fmod(a, b), quotient = (a - remainder) / b;
  if (remainder != 0 && (b < 0) != (remainder < 0)) quotient -= 1;
  if (quotient == 0) return copysign(0, a / b);
  double rounded = floor(quotient);
  return quotient - rounded > 0.5 ? rounded + 1 : rounded;
}
static double remainder_floor(double a, double b) {
  double remainder = fmod(a, b);
  return remainder != 0 && (b < 0) != (remainder < 0) ? remainder + b : remainder;
}
static double gelu_backward(double grad, double x) {
  double pdf = exp(-0.5 * x * x) * (0.5 * TWO_OVER_SQRT_PI * SQRT_HALF);
  return grad * (0.5 * (1 + erf(x * SQRT_HALF)) + x * pdf);
}
static double gelu_tanh_backward(double grad, double x) {
  double t = tanh(gelu_tanh_argument(x));
  double slope = TWO_OVER_SQRT_PI * SQRT_HALF * (1 + 3 * GELU_KAPPA * x * x);
  return grad * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope);
}
static double silu_backward(double grad, double x) {
  double s = sigmoid(x);
  return grad * s * (1 + x * (1 - s));
}
static double mish_backward(double grad, double x) {
  double t = tanh(softplus(x, 1, 40));
  return grad * (t + x * sigmoid(x) * (1 - t * t));
}

/* ---- unary ---------------------------------------------------------------------------------- */
UNARY(abs, fabs(x))
UNARY(neg, -x)
UNARY(positive, x)
UNARY(sign, sign(x))
UNARY(square, x *x)
UNARY(sqrt, sqrt(x))
UNARY(rsqrt, 1 / sqrt(x))
UNARY(reciprocal, 1 / x)
UNARY(exp, exp(x))
UNARY(exp2, exp2(x))
UNARY(expm1, expm1(x))
UNARY(log, log(x))
UNARY(log2, log2(x))
UNARY(log10, log10(x))
UNARY(log1p, log1p(x))
UNARY(sin, sin(x))
UNARY(cos, cos(x))
UNARY(tan, tan(x))
UNARY(asin, asin(x))
UNARY(acos, acos(x))
UNARY(atan, atan(x))
UNARY(sinh, sinh(x))
UNARY(cosh, cosh(x))
UNARY(tanh, tanh(x))
UNARY(asinh, asinh(x))
UNARY(acosh, acosh(x))
UNARY(atanh, atanh(x))
UNARY(erf, erf(x))
UNARY(erfc, erfc(x))
UNARY(erfinv, wt_erfinv(x))
UNARY(lgamma, wt_lgamma(x))
UNARY(digamma, wt_digamma(x))
UNARY(floor, floor(x))
UNARY(ceil, ceil(x))
UNARY(round, nearbyint(x))
UNARY(trunc, trunc(x))
UNARY(frac, x - trunc(x))
UNARY(sigmoid, sigmoid(x))
UNARY(logit, logit(x, p0))
UNARY(relu, x < 0 ? 0 : x)
UNARY(relu6, clamp(x, 0, 6))
UNARY(leaky_relu, x > 0 ? x : x * p0)
UNARY(elu, x <= 0 ? p0 * expm1(x) : x)
UNARY(celu, x <= 0 ? p0 * expm1(x / p0) : x)
UNARY(selu, 1.0507009873554804934 * (x <= 0 ? 1.6732632423543772848 * expm1(x) : x))
UNARY(gelu, gelu(x))
UNARY(gelu_tanh, 0.5 * x * (1 + tanh(gelu_tanh_argument(x))))
UNARY(silu, x *sigmoid(x))
UNARY(mish, x *tanh(softplus(x, 1, 40)))
UNARY(softplus, softplus(x, p0, p1))
UNARY(logsigmoid, minimum(x, 0) - log1p(exp(-fabs(x))))
UNARY(hardsigmoid, clamp(x + 3, 0, 6) / 6)
UNARY(hardswish, x *clamp(x + 3, 0, 6) / 6)
UNARY(hardshrink, x >= -p0 && x <= p0 ? 0 : x)
UNARY(softshrink, x > p0 ? x - p0 : x < -p0 ? x + p0 : x * 0)
UNARY(tanhshrink, x - tanh(x))
UNARY(softsign, x / (1 + fabs(x)))
UNARY(threshold, x <= p0 ? p1 : x)
UNARY(clamp, clamp(x, p0, p1))
UNARY(clamp_min, maximum(x, p0))
UNARY(clamp_max, minimum(x, p0))
UNARY(nan_to_num, nan_to_num(x, p0, p1))
UNARY(deg2rad, x *(PI / 180))
UNARY(rad2deg, x * (180 / PI))
UNARY(sinc, wt_sinc(x))
UNARY(i0, wt_bessel_i(x, 0, 0))
UNARY(i0e, wt_bessel_i(x, 0, 1))
UNARY(i1, wt_bessel_i(x, 1, 0))
UNARY(i1e, wt_bessel_i(x, 1, 1))
UNARY(ndtri, wt_ndtri(x))
UNARY(erfcx, wt_erfcx(x))
UNARY(pow_scalar, pow_scalar(x, p0))
UNARY(log_ndtr, wt_log_ndtr(x))
UNARY(ndtr, wt_ndtr(x))
UNARY(bessel_j0, wt_bessel_j(x, 0))
UNARY(bessel_j1, wt_bessel_j(x, 1))
UNARY(trigamma, wt_trigamma(x))
PREDICATE(logical_not, x == 0)
PREDICATE(isnan, x != x)
PREDICATE(isinf, fabs(x) == INFINITY)
PREDICATE(isfinite, fabs(x) < INFINITY)
PREDICATE(isposinf, x == INFINITY)
PREDICATE(isneginf, x == -INFINITY)
PREDICATE(signbit, signbit(x) != 0)

#define CHEAP(name) [WT_UNARY_##name] = {float64_##name, WT_GRAIN_COSTLY}
#define LIBM(name) [WT_UNARY_##name] = {float64_##name, WT_GRAIN_LIBM}
const wt_row_entry wt_float64_unary_rows[WT_UNARY_COUNT] = {
    CHEAP(abs),
    CHEAP(neg),
    CHEAP(positive),
    CHEAP(sign),
    CHEAP(square),
    CHEAP(sqrt),
    CHEAP(rsqrt),
    CHEAP(reciprocal),
    LIBM(exp),
    LIBM(exp2),
    LIBM(expm1),
    LIBM(log),
    LIBM(log2),
    LIBM(log10),
    LIBM(log1p),
    LIBM(sin),
    LIBM(cos),
    LIBM(tan),
    LIBM(asin),
    LIBM(acos),
    LIBM(atan),
    LIBM(sinh),
    LIBM(cosh),
    LIBM(tanh),
    LIBM(asinh),
    LIBM(acosh),
    LIBM(atanh),
    LIBM(erf),
    LIBM(erfc),
    LIBM(erfinv),
    LIBM(lgamma),
    LIBM(digamma),
    CHEAP(floor),
    CHEAP(ceil),
    CHEAP(round),
    CHEAP(trunc),
    CHEAP(frac),
    LIBM(sigmoid),
    LIBM(logit),
    CHEAP(relu),
    CHEAP(relu6),
    CHEAP(leaky_relu),
    LIBM(elu),
    LIBM(celu),
    LIBM(selu),
    LIBM(gelu),
    LIBM(gelu_tanh),
    LIBM(silu),
    LIBM(mish),
    LIBM(softplus),
    LIBM(logsigmoid),
    CHEAP(hardsigmoid),
    CHEAP(hardswish),
    CHEAP(hardshrink),
    CHEAP(softshrink),
    LIBM(tanhshrink),
    CHEAP(softsign),
    CHEAP(threshold),
    CHEAP(clamp),
    CHEAP(clamp_min),
    CHEAP(clamp_max),
    CHEAP(nan_to_num),
    CHEAP(deg2rad),
    CHEAP(rad2deg),
    LIBM(sinc),
    LIBM(i0),
    LIBM(i0e),
    LIBM(i1),
    LIBM(i1e),
    LIBM(ndtri),
    LIBM(erfcx),
    LIBM(pow_scalar),
    LIBM(log_ndtr),
    LIBM(ndtr),
    LIBM(bessel_j0),
    LIBM(bessel_j1),
    LIBM(trigamma),
    CHEAP(logical_not),
    CHEAP(isnan),
    CHEAP(isinf),
    CHEAP(isfinite),
    CHEAP(isposinf),
    CHEAP(isneginf),
    CHEAP(signbit),
    [WT_UNARY_sgn] = {float64_sign, WT_GRAIN_COSTLY},
    [WT_UNARY_hardtanh] = {float64_clamp, WT_GRAIN_COSTLY},
};
#undef CHEAP
#undef LIBM

/* ---- binary --------------------------------------------------------------------------------- */
BINARY(add, a + p0 * b)
BINARY(sub, a - p0 * b)
BINARY(rsub, b - p0 * a)
BINARY(mul, a *b)
BINARY(div, a / b)
BINARY(div_floor, div_floor(a, b))
BINARY(div_trunc, trunc(a / b))
BINARY(remainder, remainder_floor(a, b))
BINARY(fmod, fmod(a, b))
BINARY(pow, pow(a, b))
BINARY(maximum, maximum(a, b))
BINARY(minimum, minimum(a, b))
BINARY(fmax, fmax(a, b))
BINARY(fmin, fmin(a, b))
BINARY(atan2, atan2(a, b))
BINARY(hypot, hypot(a, b))
BINARY(copysign, copysign(a, b))
BINARY(nextafter, nextafter(a, b))
BINARY(ldexp, a *exp2(b))
BINARY(logaddexp, wt_logaddexp(a, b))
BINARY(logaddexp2, wt_logaddexp2(a, b))
BINARY(xlogy, isnan(b) ? b : a == 0 ? 0 : a * log(b))
BINARY(xlog1py, isnan(b) ? b : a == 0 ? 0 : a * log1p(b))
BINARY(heaviside, a == 0 ? b : a > 0)
BINARY(zeta, wt_zeta(a, b))
BINARY(igamma, wt_igamma(a, b))
BINARY(igammac, wt_igammac(a, b))
BINARY(relu_backward, b <= 0 ? 0 : a)
BINARY(leaky_relu_backward, b > 0 ? a : a * p0)
BINARY(sigmoid_backward, a * (1 - b) * b)
BINARY(tanh_backward, a * (1 - b * b))
BINARY(gelu_backward, gelu_backward(a, b))
BINARY(gelu_tanh_backward, gelu_tanh_backward(a, b))
BINARY(silu_backward, silu_backward(a, b))
BINARY(mish_backward, mish_backward(a, b))
BINARY(elu_backward, b > 0 ? a : a * p0 * exp(b))
BINARY(softplus_backward, b *p0 > 20 ? a : a * sigmoid(b * p0))
BINARY(hardswish_backward, b <= -3 ? 0 : b >= 3 ? a : a * (b / 3 + 0.5))
BINARY(hardsigmoid_backward, b > -3 && b < 3 ? a / 6 : 0)
BINARY(logsigmoid_backward, a *sigmoid(-b))
BINARY(prelu, a > 0 ? a : a * b)
COMPARISON(eq, a == b)
COMPARISON(ne, a != b)
COMPARISON(lt, a < b)
COMPARISON(le, a <= b)
COMPARISON(gt, a > b)
COMPARISON(ge, a >= b)
COMPARISON(logical_and, a != 0 && b != 0)
COMPARISON(logical_or, a != 0 || b != 0)
COMPARISON(logical_xor, (a != 0) != (b != 0))

#define CHEAP(name) [WT_BINARY_##name] = {float64_##name, WT_GRAIN_COSTLY}
#define LIBM(name) [WT_BINARY_##name] = {float64_##name, WT_GRAIN_LIBM}
const wt_row_entry wt_float64_binary_rows[WT_BINARY_COUNT] = {
    CHEAP(add),
    CHEAP(sub),
    CHEAP(rsub),
    CHEAP(mul),
    CHEAP(div),
    LIBM(div_floor),
    CHEAP(div_trunc),
    LIBM(remainder),
    LIBM(fmod),
    LIBM(pow),
    CHEAP(maximum),
    CHEAP(minimum),
    CHEAP(fmax),
    CHEAP(fmin),
    LIBM(atan2),
    LIBM(hypot),
    CHEAP(copysign),
    LIBM(nextafter),
    LIBM(ldexp),
    LIBM(logaddexp),
    LIBM(logaddexp2),
    LIBM(xlogy),
    LIBM(xlog1py),
    CHEAP(heaviside),
    LIBM(zeta),
    LIBM(igamma),
    LIBM(igammac),
    CHEAP(relu_backward),
    CHEAP(leaky_relu_backward),
    CHEAP(sigmoid_backward),
    CHEAP(tanh_backward),
    LIBM(gelu_backward),
    LIBM(gelu_tanh_backward),
    LIBM(silu_backward),
    LIBM(mish_backward),
    LIBM(elu_backward),
    LIBM(softplus_backward),
    CHEAP(hardswish_backward),
    CHEAP(hardsigmoid_backward),
    LIBM(logsigmoid_backward),
    CHEAP(prelu),
    CHEAP(eq),
    CHEAP(ne),
    CHEAP(lt),
    CHEAP(le),
    CHEAP(gt),
    CHEAP(ge),
    CHEAP(logical_and),
    CHEAP(logical_or),
    CHEAP(logical_xor),
};
