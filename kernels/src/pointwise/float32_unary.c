/* Unary rows in float32: the frequent operators, on vectors. The rest is computed in float64. */
#include "pointwise/float32_row.h"

#if !WT_USE_REFERENCE

#define ONE wt_f32x4_splat(1.0f)
#define ZERO wt_f32x4_splat(0.0f)

WT_INLINE wt_f32x4 clamp(wt_f32x4 x, wt_f32x4 low, wt_f32x4 high) {
  return wt_f32x4_minimum(wt_f32x4_maximum(x, low), high);
}
WT_INLINE wt_f32x4 keep_where(wt_i32x4 mask, wt_f32x4 x) { return (wt_f32x4)(mask & (wt_i32x4)x); }
WT_INLINE wt_f32x4 softplus(wt_f32x4 x, wt_f32x4 beta, wt_f32x4 threshold) {
  wt_f32x4 scaled = x * beta;
  return wt_f32x4_select(scaled > threshold, x, wt_f32x4_log1p(wt_f32x4_exp(scaled)) / beta);
}
/* x tanh(log(1 + e^x)), where tanh(log u) = (u^2 - 1) / (u^2 + 1). */
WT_INLINE wt_f32x4 mish(wt_f32x4 x) {
  wt_f32x4 e = wt_f32x4_exp(wt_f32x4_pmin(x, wt_f32x4_splat(20.0f)));
  wt_f32x4 n = e * (e + 2.0f);
  return x * (n / (n + 2.0f));
}
WT_INLINE wt_f32x4 gelu(wt_f32x4 x) {
  return x * WT_K(0.5f) * (WT_K(1.0f) + wt_f32x4_erf(x * WT_K(0x1.6a09e6p-1f)));
}
WT_INLINE wt_f32x4 gelu_tanh(wt_f32x4 x) {
  wt_f32x4 inner = 0x1.988454p-1f * (x + 0.044715f * x * x * x); /* sqrt(2 / pi) */
  return x * 0.5f * (1.0f + wt_f32x4_tanh(inner));
}
/* x <= 0 ? p expm1(x / q) : x */
WT_INLINE wt_f32x4 elu(wt_f32x4 x, wt_f32x4 scale, wt_f32x4 argument) {
  return wt_f32x4_select(x <= 0.0f, scale * wt_f32x4_expm1(argument), x);
}

WT_FLOAT32_UNARY(abs, wt_f32x4_abs(x))
WT_FLOAT32_UNARY(neg, -x)
WT_FLOAT32_UNARY(positive, x)
WT_FLOAT32_UNARY(sign, keep_where(x == x,
                                  wt_f32x4_select(x == 0.0f, x * 0.0f, wt_f32x4_copysign(ONE, x))))
WT_FLOAT32_UNARY(square, x *x)
WT_FLOAT32_UNARY(sqrt, wt_f32x4_sqrt(x))
WT_FLOAT32_UNARY(rsqrt, 1.0f / wt_f32x4_sqrt(x))
WT_FLOAT32_UNARY(reciprocal, 1.0f / x)
WT_FLOAT32_UNARY(exp, wt_f32x4_exp(x))
WT_FLOAT32_UNARY(expm1, wt_f32x4_expm1(x))
WT_FLOAT32_UNARY(log, wt_f32x4_log(x))
WT_FLOAT32_UNARY(log1p, wt_f32x4_log1p(x))
WT_FLOAT32_UNARY(sin, wt_f32x4_sin(x))
WT_FLOAT32_UNARY(cos, wt_f32x4_cos(x))
WT_FLOAT32_UNARY(tanh, wt_f32x4_tanh(x))
WT_FLOAT32_UNARY(erf, wt_f32x4_erf(x))
WT_FLOAT32_UNARY(floor, wt_f32x4_floor(x))
WT_FLOAT32_UNARY(ceil, wt_f32x4_ceil(x))
WT_FLOAT32_UNARY(round, wt_f32x4_nearest(x))
WT_FLOAT32_UNARY(trunc, wt_f32x4_trunc(x))
WT_FLOAT32_UNARY(sigmoid, wt_f32x4_sigmoid(x))
WT_FLOAT32_UNARY(relu, wt_f32x4_pmax(x, ZERO))
WT_FLOAT32_UNARY(relu6, clamp(x, ZERO, wt_f32x4_splat(6.0f)))
WT_FLOAT32_UNARY(leaky_relu, wt_f32x4_select(x > 0.0f, x, x *p0))
WT_FLOAT32_UNARY(elu, elu(x, p0, x))
WT_FLOAT32_UNARY(celu, elu(x, p0, x / p0))
WT_FLOAT32_UNARY(selu, 1.0507009873554805f * elu(x, wt_f32x4_splat(1.6732632423543772f), x))
WT_FLOAT32_UNARY(gelu, gelu(x))
WT_FLOAT32_UNARY(gelu_tanh, gelu_tanh(x))
WT_FLOAT32_UNARY(silu, x *wt_f32x4_sigmoid(x))
WT_FLOAT32_UNARY(mish, mish(x))
WT_FLOAT32_UNARY(softplus, softplus(x, p0, p1))
WT_FLOAT32_UNARY(logsigmoid,
                 wt_f32x4_minimum(x, ZERO) - wt_f32x4_log1p(wt_f32x4_exp(-wt_f32x4_abs(x))))
WT_FLOAT32_UNARY(hardsigmoid, clamp(x + 3.0f, ZERO, wt_f32x4_splat(6.0f)) / 6.0f)
WT_FLOAT32_UNARY(hardswish, x *clamp(x + 3.0f, ZERO, wt_f32x4_splat(6.0f)) / 6.0f)
WT_FLOAT32_UNARY(hardshrink, keep_where(~((x >= -p0) & (x <= p0)), x))
WT_FLOAT32_UNARY(softshrink,
                 wt_f32x4_select(x > p0, x - p0, wt_f32x4_select(x < -p0, x + p0, x * 0.0f)))
WT_FLOAT32_UNARY(threshold, wt_f32x4_select(x <= p0, p1, x))
WT_FLOAT32_UNARY(clamp, clamp(x, p0, p1))
WT_FLOAT32_UNARY(clamp_min, wt_f32x4_maximum(x, p0))
WT_FLOAT32_UNARY(clamp_max, wt_f32x4_minimum(x, p0))
WT_FLOAT32_UNARY(pow_any, wt_f32x4_pow(x, p0))

WT_FLOAT32_PREDICATE(logical_not, a == 0.0f)
WT_FLOAT32_PREDICATE(isnan, a != a)
WT_FLOAT32_PREDICATE(isinf, wt_f32x4_abs(a) == INFINITY)
WT_FLOAT32_PREDICATE(isfinite, wt_f32x4_abs(a) < INFINITY)

WT_FLOAT32_UNARY(cube, x *x *x)
WT_FLOAT32_UNARY(reciprocal_square, 1.0f / (x * x))

/* torch takes the frequent exponents apart, and so does this. */
static int float32_pow_scalar(const wt_row_call *call) {
  double exponent = call->p0;
  if (exponent == 2.0) return float32_square(call);
  if (exponent == 3.0) return float32_cube(call);
  if (exponent == 0.5) return float32_sqrt(call);
  if (exponent == -0.5) return float32_rsqrt(call);
  if (exponent == -1.0) return float32_reciprocal(call);
  if (exponent == -2.0) return float32_reciprocal_square(call);
  return float32_pow_any(call);
}

#define CHEAP(name) [WT_UNARY_##name] = {float32_##name, WT_GRAIN_CHEAP}
#define COSTLY(name) [WT_UNARY_##name] = {float32_##name, WT_GRAIN_COSTLY}
const wt_row_entry wt_float32_unary_rows[WT_UNARY_COUNT] = {
    CHEAP(abs),
    CHEAP(neg),
    CHEAP(positive),
    CHEAP(sign),
    CHEAP(square),
    CHEAP(sqrt),
    CHEAP(rsqrt),
    CHEAP(reciprocal),
    COSTLY(exp),
    COSTLY(expm1),
    COSTLY(log),
    COSTLY(log1p),
    COSTLY(sin),
    COSTLY(cos),
    COSTLY(tanh),
    COSTLY(erf),
    CHEAP(floor),
    CHEAP(ceil),
    CHEAP(round),
    CHEAP(trunc),
    COSTLY(sigmoid),
    CHEAP(relu),
    CHEAP(relu6),
    CHEAP(leaky_relu),
    COSTLY(elu),
    COSTLY(celu),
    COSTLY(selu),
    COSTLY(gelu),
    COSTLY(gelu_tanh),
    COSTLY(silu),
    COSTLY(mish),
    COSTLY(softplus),
    COSTLY(logsigmoid),
    CHEAP(hardsigmoid),
    CHEAP(hardswish),
    CHEAP(hardshrink),
    CHEAP(softshrink),
    CHEAP(threshold),
    CHEAP(clamp),
    CHEAP(clamp_min),
    CHEAP(clamp_max),
    COSTLY(pow_scalar),
    CHEAP(logical_not),
    CHEAP(isnan),
    CHEAP(isinf),
    CHEAP(isfinite),
    [WT_UNARY_sgn] = {float32_sign, WT_GRAIN_CHEAP},
    [WT_UNARY_hardtanh] = {float32_clamp, WT_GRAIN_CHEAP},
};

#else

const wt_row_entry wt_float32_unary_rows[WT_UNARY_COUNT] = {{NULL, 0}};

#endif
