/* Rows in int64, for every integer dtype and bool. Sums and products wrap, and a narrower dtype
 * keeps the low bits, so that the result is that of its own arithmetic. */
#include "pointwise/scalar_row.h"

/* ---- wrapping arithmetic -------------------------------------------------------------------- */
static int64_t add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static int64_t subtract(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static int64_t multiply(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static int64_t negate(int64_t a) { return subtract(0, a); }
static int64_t absolute(int64_t a) { return a < 0 ? negate(a) : a; }
static int64_t larger(int64_t a, int64_t b) { return a < b ? b : a; }
static int64_t smaller(int64_t a, int64_t b) { return b < a ? b : a; }

/* A parameter given as float64, saturated. */
static int64_t parameter(double value) {
  if (value >= 0x1p63) return INT64_MAX;
  return value >= -0x1p63 ? (int64_t)value : INT64_MIN;
}

/* Division by -1 is negation, which does not overflow here. */
static int64_t divide(int64_t a, int64_t b) { return b == -1 ? negate(a) : a / b; }
static int64_t modulo(int64_t a, int64_t b) { return b == -1 ? 0 : a % b; }
static int64_t divide_floor(int64_t a, int64_t b) {
  int64_t remainder = modulo(a, b);
  return divide(a, b) - (remainder != 0 && (remainder < 0) != (b < 0));
}
static int64_t modulo_floor(int64_t a, int64_t b) {
  int64_t remainder = modulo(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

/* By squaring. A negative exponent gives the integer part of the fraction, and 0 for base 0. */
static int64_t power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 1) return 1;
    return base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
  }
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

/* Shifts by a negative amount or beyond the width shift everything out. */
static int64_t shift_left(int64_t a, int64_t b) {
  return b < 0 || b > 63 ? 0 : (int64_t)((uint64_t)a << b);
}
static int64_t shift_right(int64_t a, int64_t b) { return a >> (b < 0 || b > 63 ? 63 : b); }

static int64_t gcd(int64_t a, int64_t b) {
  a = absolute(a);
  b = absolute(b);
  while (a != 0) {
    int64_t rest = modulo(b, a);
    b = a;
    a = rest;
  }
  return b;
}
static int64_t lcm(int64_t a, int64_t b) {
  int64_t divisor = gcd(a, b);
  return divisor == 0 ? 0 : absolute(multiply(divide(a, divisor), b));
}

/* ---- rows ----------------------------------------------------------------------------------- */
#define UNARY(name, expression) \
  WT_SCALAR_UNARY(int64, name, int64_t, int64_t, parameter, expression)
#define PREDICATE(name, expression) \
  WT_SCALAR_UNARY(int64, name, int64_t, uint8_t, parameter, expression)
#define BINARY(name, expression) \
  WT_SCALAR_BINARY(int64, name, int64_t, int64_t, parameter, expression)
#define COMPARISON(name, expression) \
  WT_SCALAR_BINARY(int64, name, int64_t, uint8_t, parameter, expression)

UNARY(abs, absolute(x))
UNARY(neg, negate(x))
UNARY(identity, x)
UNARY(sign, (x > 0) - (x < 0))
UNARY(square, multiply(x, x))
UNARY(relu, larger(x, 0))
UNARY(relu6, smaller(larger(x, 0), 6))
UNARY(threshold, x <= p0 ? p1 : x)
UNARY(clamp, smaller(larger(x, p0), p1))
UNARY(clamp_min, larger(x, p0))
UNARY(clamp_max, smaller(x, p0))
UNARY(bitwise_not, ~x)
UNARY(pow_scalar, power(x, p0))
PREDICATE(logical_not, x == 0)
PREDICATE(never, false)
PREDICATE(always, true)
PREDICATE(signbit, x < 0)

#define ROW(name) [WT_UNARY_##name] = {int64_##name, WT_GRAIN_COSTLY}
#define AS(name, row) [WT_UNARY_##name] = {int64_##row, WT_GRAIN_COSTLY}
const wt_row_entry wt_int64_unary_rows[WT_UNARY_COUNT] = {
    ROW(abs),
    ROW(neg),
    ROW(sign),
    ROW(square),
    ROW(relu),
    ROW(relu6),
    ROW(threshold),
    ROW(clamp),
    ROW(clamp_min),
    ROW(clamp_max),
    ROW(bitwise_not),
    ROW(pow_scalar),
    ROW(logical_not),
    ROW(signbit),
    AS(sgn, sign),
    AS(hardtanh, clamp),
    AS(positive, identity),
    AS(floor, identity),
    AS(ceil, identity),
    AS(round, identity),
    AS(trunc, identity),
    AS(nan_to_num, identity),
    AS(isnan, never),
    AS(isinf, never),
    AS(isposinf, never),
    AS(isneginf, never),
    AS(isfinite, always),
};
#undef ROW
#undef AS

BINARY(add, add(a, multiply(p0, b)))
BINARY(sub, subtract(a, multiply(p0, b)))
BINARY(rsub, subtract(b, multiply(p0, a)))
BINARY(mul, multiply(a, b))
BINARY(pow, power(a, b))
BINARY(maximum, larger(a, b))
BINARY(minimum, smaller(a, b))
BINARY(heaviside, a == 0 ? b : a > 0)
BINARY(bitwise_and, a &b)
BINARY(bitwise_or, a | b)
BINARY(bitwise_xor, a ^ b)
BINARY(bitwise_left_shift, shift_left(a, b))
BINARY(bitwise_right_shift, shift_right(a, b))
BINARY(gcd, gcd(a, b))
BINARY(lcm, lcm(a, b))
BINARY(relu_backward, b <= 0 ? 0 : a)
COMPARISON(eq, a == b)
COMPARISON(ne, a != b)
COMPARISON(lt, a < b)
COMPARISON(le, a <= b)
COMPARISON(gt, a > b)
COMPARISON(ge, a >= b)
COMPARISON(logical_and, a != 0 && b != 0)
COMPARISON(logical_or, a != 0 || b != 0)
COMPARISON(logical_xor, (a != 0) != (b != 0))

/* Rows that stop at a zero divisor. */
#define DIVISION(name, expression)                        \
  static int int64_##name(const wt_row_call *call) {      \
    const int64_t *in0 = call->in[0], *in1 = call->in[1]; \
    int64_t *out = call->out;                             \
    for (wt_word i = 0; i < call->count; i++) {           \
      int64_t a = *in0, b = *in1;                         \
      if (b == 0) return WT_DIVISION_BY_ZERO;             \
      out[i] = (expression);                              \
      in0 += call->step[0];                               \
      in1 += call->step[1];                               \
    }                                                     \
    return WT_OK;                                         \
  }
DIVISION(div_floor, divide_floor(a, b))
DIVISION(div_trunc, divide(a, b))
DIVISION(remainder, modulo_floor(a, b))
DIVISION(fmod, modulo(a, b))

#define ROW(name) [WT_BINARY_##name] = {int64_##name, WT_GRAIN_COSTLY}
#define AS(name, row) [WT_BINARY_##name] = {int64_##row, WT_GRAIN_COSTLY}
const wt_row_entry wt_int64_binary_rows[WT_BINARY_COUNT] = {
    ROW(add),
    ROW(sub),
    ROW(rsub),
    ROW(mul),
    ROW(pow),
    ROW(maximum),
    ROW(minimum),
    ROW(heaviside),
    ROW(bitwise_and),
    ROW(bitwise_or),
    ROW(bitwise_xor),
    ROW(bitwise_left_shift),
    ROW(bitwise_right_shift),
    ROW(gcd),
    ROW(lcm),
    ROW(relu_backward),
    ROW(eq),
    ROW(ne),
    ROW(lt),
    ROW(le),
    ROW(gt),
    ROW(ge),
    ROW(logical_and),
    ROW(logical_or),
    ROW(logical_xor),
    ROW(div_floor),
    ROW(div_trunc),
    ROW(remainder),
    ROW(fmod),
    AS(fmax, maximum),
    AS(fmin, minimum),
};
