/* The pointwise operators as formulas in double, against which the kernels are tested. */
#ifndef WASM_TORCH_POINTWISE_REFERENCE_H
#define WASM_TORCH_POINTWISE_REFERENCE_H

#include "layouts.h"

static inline bool is_float(int dtype) {
  return dtype == WT_FLOAT16 || dtype == WT_FLOAT32 || dtype == WT_FLOAT64 || dtype == WT_BFLOAT16;
}

/* ---- references ------------------------------------------------------------------------------ */
static inline double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double clamp(double x, double low, double high) { return fmin(fmax(x, low), high); }
static inline double softplus(double x) { return log1p(exp(x)); }

/* Sets *known to false where this file has no formula of its own. */
static inline double unary_reference(wt_unary_op op, double x, double p0, double p1, bool *known) {
  switch (op) {
    case WT_UNARY_abs:
      return fabs(x);
    case WT_UNARY_neg:
      return -x;
    case WT_UNARY_positive:
      return x;
    case WT_UNARY_sign:
    case WT_UNARY_sgn:
      return (x > 0) - (x < 0);
    case WT_UNARY_square:
      return x * x;
    case WT_UNARY_sqrt:
      return sqrt(x);
    case WT_UNARY_rsqrt:
      return 1 / sqrt(x);
    case WT_UNARY_reciprocal:
      return 1 / x;
    case WT_UNARY_exp:
      return exp(x);
    case WT_UNARY_exp2:
      return exp2(x);
    case WT_UNARY_expm1:
      return expm1(x);
    case WT_UNARY_log:
      return log(x);
    case WT_UNARY_log2:
      return log2(x);
    case WT_UNARY_log10:
      return log10(x);
    case WT_UNARY_log1p:
      return log1p(x);
    case WT_UNARY_sin:
      return sin(x);
    case WT_UNARY_cos:
      return cos(x);
    case WT_UNARY_tan:
      return tan(x);
    case WT_UNARY_asin:
      return asin(x);
    case WT_UNARY_acos:
      return acos(x);
    case WT_UNARY_atan:
      return atan(x);
    case WT_UNARY_sinh:
      return sinh(x);
    case WT_UNARY_cosh:
      return cosh(x);
    case WT_UNARY_tanh:
      return tanh(x);
    case WT_UNARY_asinh:
      return asinh(x);
    case WT_UNARY_acosh:
      return acosh(x);
    case WT_UNARY_atanh:
      return atanh(x);
    case WT_UNARY_erf:
      return erf(x);
    case WT_UNARY_erfc:
      return erfc(x);
    case WT_UNARY_lgamma:
      return lgamma(x);
    case WT_UNARY_floor:
      return floor(x);
    case WT_UNARY_ceil:
      return ceil(x);
    case WT_UNARY_round:
      return nearbyint(x);
    case WT_UNARY_trunc:
      return trunc(x);
    case WT_UNARY_frac:
      return x - trunc(x);
    case WT_UNARY_sigmoid:
      return sigmoid(x);
    case WT_UNARY_relu:
      return fmax(x, 0);
    case WT_UNARY_relu6:
      return clamp(x, 0, 6);
    case WT_UNARY_leaky_relu:
      return x > 0 ? x : p0 * x;
    case WT_UNARY_elu:
      return x > 0 ? x : p0 * expm1(x);
    case WT_UNARY_celu:
      return x > 0 ? x : p0 * expm1(x / p0);
    case WT_UNARY_selu:
      return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    case WT_UNARY_gelu:
      return 0.5 * x * (1 + erf(x / sqrt(2)));
    case WT_UNARY_gelu_tanh:
      return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
    case WT_UNARY_silu:
      return x * sigmoid(x);
    case WT_UNARY_mish:
      return x * tanh(softplus(x));
    case WT_UNARY_softplus:
      return x * p0 > p1 ? x : softplus(x * p0) / p0;
    case WT_UNARY_logsigmoid:
      return -softplus(-x);
    case WT_UNARY_hardsigmoid:
      return clamp(x + 3, 0, 6) / 6;
    case WT_UNARY_hardswish:
      return x * clamp(x + 3, 0, 6) / 6;
    case WT_UNARY_hardtanh:
    case WT_UNARY_clamp:
      return clamp(x, p0, p1);
    case WT_UNARY_clamp_min:
      return fmax(x, p0);
    case WT_UNARY_clamp_max:
      return fmin(x, p0);
    case WT_UNARY_hardshrink:
      return fabs(x) <= p0 ? 0 : x;
    case WT_UNARY_softshrink:
      return fabs(x) <= p0 ? 0 : x - copysign(p0, x);
    case WT_UNARY_tanhshrink:
      return x - tanh(x);
    case WT_UNARY_softsign:
      return x / (1 + fabs(x));
    case WT_UNARY_threshold:
      return x > p0 ? x : p1;
    case WT_UNARY_nan_to_num:
      return x;
    case WT_UNARY_bitwise_not:
      return -x - 1;
    case WT_UNARY_logical_not:
      return x == 0;
    case WT_UNARY_isfinite:
      return 1;
    case WT_UNARY_isnan:
    case WT_UNARY_isinf:
    case WT_UNARY_isposinf:
    case WT_UNARY_isneginf:
      return 0;
    case WT_UNARY_signbit:
      return x < 0;
    case WT_UNARY_deg2rad:
      return x / 57.295779513082321;
    case WT_UNARY_rad2deg:
      return x * 57.295779513082321;
    case WT_UNARY_pow_scalar:
      return pow(x, p0);
    case WT_UNARY_ndtr:
      return 0.5 * erfc(-x / sqrt(2));
    default:
      *known = false;
      return 0;
  }
}

static inline double relu_mask(double grad, bool keep) { return keep ? grad : 0; }
static inline double derivative(double (*f)(double), double x) {
  const double h = 1e-5;
  return (f(x + h) - f(x - h)) / (2 * h);
}
static inline double gelu(double x) { return 0.5 * x * (1 + erf(x / sqrt(2))); }
static inline double gelu_tanh(double x) {
  return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
}
static inline double silu(double x) { return x * sigmoid(x); }
static inline double mish(double x) { return x * tanh(softplus(x)); }

/* The gradients are differences quotients of their functions, good to 1e-9. */
static inline double binary_reference(wt_binary_op op, double a, double b, double alpha,
                                      bool *known) {
  const double rest = fmod(a, b);
  switch (op) {
    case WT_BINARY_add:
      return a + alpha * b;
    case WT_BINARY_sub:
      return a - alpha * b;
    case WT_BINARY_rsub:
      return b - alpha * a;
    case WT_BINARY_mul:
      return a * b;
    case WT_BINARY_div:
      return a / b;
    case WT_BINARY_div_floor:
      return floor(a / b);
    case WT_BINARY_div_trunc:
      return trunc(a / b);
    case WT_BINARY_fmod:
      return rest;
    case WT_BINARY_remainder:
      return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    case WT_BINARY_pow:
      return pow(a, b);
    case WT_BINARY_maximum:
    case WT_BINARY_fmax:
      return a < b ? b : a;
    case WT_BINARY_minimum:
    case WT_BINARY_fmin:
      return b < a ? b : a;
    case WT_BINARY_atan2:
      return atan2(a, b);
    case WT_BINARY_hypot:
      return hypot(a, b);
    case WT_BINARY_copysign:
      return copysign(a, b);
    case WT_BINARY_ldexp:
      return a * exp2(b);
    case WT_BINARY_logaddexp:
      return log(exp(a) + exp(b));
    case WT_BINARY_logaddexp2:
      return log2(exp2(a) + exp2(b));
    case WT_BINARY_xlogy:
      return a * log(b);
    case WT_BINARY_xlog1py:
      return a * log1p(b);
    case WT_BINARY_heaviside:
      return a == 0 ? b : a > 0;
    case WT_BINARY_bitwise_and:
      return (double)((int64_t)a & (int64_t)b);
    case WT_BINARY_bitwise_or:
      return (double)((int64_t)a | (int64_t)b);
    case WT_BINARY_bitwise_xor:
      return (double)((int64_t)a ^ (int64_t)b);
    case WT_BINARY_bitwise_left_shift:
      return b < 0 || b > 60 ? 0 : a * exp2(b);
    case WT_BINARY_bitwise_right_shift:
      return floor(a / exp2(b < 0 ? 63 : b));
    case WT_BINARY_eq:
      return a == b;
    case WT_BINARY_ne:
      return a != b;
    case WT_BINARY_lt:
      return a < b;
    case WT_BINARY_le:
      return a <= b;
    case WT_BINARY_gt:
      return a > b;
    case WT_BINARY_ge:
      return a >= b;
    case WT_BINARY_logical_and:
      return a != 0 && b != 0;
    case WT_BINARY_logical_or:
      return a != 0 || b != 0;
    case WT_BINARY_logical_xor:
      return (a != 0) != (b != 0);
    case WT_BINARY_relu_backward:
      return relu_mask(a, b > 0);
    case WT_BINARY_leaky_relu_backward:
      return b > 0 ? a : a * alpha;
    case WT_BINARY_sigmoid_backward:
      return a * (1 - b) * b;
    case WT_BINARY_tanh_backward:
      return a * (1 - b * b);
    case WT_BINARY_gelu_backward:
      return a * derivative(gelu, b);
    case WT_BINARY_gelu_tanh_backward:
      return a * derivative(gelu_tanh, b);
    case WT_BINARY_silu_backward:
      return a * derivative(silu, b);
    case WT_BINARY_mish_backward:
      return a * derivative(mish, b);
    case WT_BINARY_elu_backward:
      return b > 0 ? a : a * alpha * exp(b);
    case WT_BINARY_softplus_backward:
      return a * sigmoid(alpha * b);
    case WT_BINARY_hardswish_backward:
      return b <= -3 ? 0 : b >= 3 ? a : a * (b / 3 + 0.5);
    case WT_BINARY_hardsigmoid_backward:
      return relu_mask(a / 6, fabs(b) < 3);
    case WT_BINARY_logsigmoid_backward:
      return a * sigmoid(-b);
    case WT_BINARY_prelu:
      return a > 0 ? a : a * b;
    default:
      *known = false;
      return 0;
  }
}

/* What an integer dtype keeps of a result: its integer part, cut to the width. 0 to a negative
 * power is 0. */
static inline double wrapped(int dtype, double value) {
  if (is_float(dtype)) return value;
  if (isinf(value)) return 0;
  switch (dtype) {
    case WT_UINT8:
      return (uint8_t)(int64_t)value;
    case WT_INT8:
      return (int8_t)(int64_t)value;
    case WT_INT16:
      return (int16_t)(int64_t)value;
    case WT_INT32:
      return (int32_t)(int64_t)value;
    case WT_BOOL:
      return value != 0;
    default:
      return trunc(value);
  }
}

static inline bool is_unary_predicate(int op) {
  return op == WT_UNARY_logical_not || (op >= WT_UNARY_isnan && op <= WT_UNARY_signbit);
}
static inline bool is_binary_predicate(int op) {
  return op >= WT_BINARY_eq && op <= WT_BINARY_logical_xor;
}

#endif
