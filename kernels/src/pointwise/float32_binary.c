/* Binary rows in float32: the frequent operators, on vectors. The rest is computed in float64. */
#include "pointwise/float32_row.h"
#include "pointwise/special.h"

/* The neighbours of a float32 are not those of its float64. */
static int float32_nextafter(const wt_row_call *call) {
  const float *in0 = call->in[0], *in1 = call->in[1];
  float *out = call->out;
  for (wt_word i = 0; i < call->count; i++) {
    out[i] = wt_nextafter_float32(in0[i * call->step[0]], in1[i * call->step[1]]);
  }
  return WT_OK;
}

#if !WT_USE_REFERENCE

#define ZERO wt_f32x4_splat(0.0f)

WT_INLINE wt_f32x4 keep_where(wt_i32x4 mask, wt_f32x4 x) { return (wt_f32x4)(mask & (wt_i32x4)x); }
/* grad * (Phi(x) + x phi(x)) */
WT_INLINE wt_f32x4 gelu_backward(wt_f32x4 grad, wt_f32x4 x) {
  wt_f32x4 cdf = 0.5f * (1.0f + wt_f32x4_erf(x * 0x1.6a09e6p-1f));
  wt_f32x4 pdf = wt_f32x4_exp(x * x * -0.5f) * 0x1.988454p-2f; /* 1 / sqrt(2 pi) */
  return grad * (cdf + x * pdf);
}
WT_INLINE wt_f32x4 gelu_tanh_backward(wt_f32x4 grad, wt_f32x4 x) {
  const float beta = 0x1.988454p-1f, kappa = 0.044715f;
  wt_f32x4 t = wt_f32x4_tanh(beta * (x + kappa * x * x * x));
  wt_f32x4 inner_derivative = beta * (1.0f + 3.0f * kappa * x * x);
  return grad * (0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner_derivative);
}
WT_INLINE wt_f32x4 silu_backward(wt_f32x4 grad, wt_f32x4 x) {
  wt_f32x4 s = wt_f32x4_sigmoid(x);
  return grad * s * (1.0f + x * (1.0f - s));
}
WT_INLINE wt_f32x4 mish_backward(wt_f32x4 grad, wt_f32x4 x) {
  wt_f32x4 s = wt_f32x4_sigmoid(x);
  wt_f32x4 e = wt_f32x4_exp(wt_f32x4_pmin(x, wt_f32x4_splat(20.0f)));
  wt_f32x4 n = e * (e + 2.0f), t = n / (n + 2.0f);
  return grad * (t + x * s * (1.0f - t * t));
}
WT_INLINE wt_f32x4 softplus_backward(wt_f32x4 grad, wt_f32x4 x, wt_f32x4 beta) {
  wt_f32x4 scaled = x * beta;
  return wt_f32x4_select(scaled > 20.0f, grad, grad * wt_f32x4_sigmoid(scaled));
}
WT_INLINE wt_f32x4 hardswish_backward(wt_f32x4 grad, wt_f32x4 x) {
  wt_f32x4 middle = grad * (x / 3.0f + 0.5f);
  return wt_f32x4_select(x <= -3.0f, ZERO, wt_f32x4_select(x >= 3.0f, grad, middle));
}

WT_FLOAT32_BINARY(add_plain, a + b)
WT_FLOAT32_BINARY(add_scaled, a + p0 * b)
WT_FLOAT32_BINARY(sub_plain, a - b)
WT_FLOAT32_BINARY(sub_scaled, a - p0 * b)
WT_FLOAT32_BINARY(rsub, b - p0 * a)
WT_FLOAT32_BINARY(mul, a *b)
WT_FLOAT32_BINARY(div, a / b)
WT_FLOAT32_BINARY(maximum, wt_f32x4_maximum(a, b))
WT_FLOAT32_BINARY(minimum, wt_f32x4_minimum(a, b))
WT_FLOAT32_BINARY_COSTLY(pow, wt_f32x4_pow(a, b))
WT_FLOAT32_BINARY(relu_backward, keep_where(~(b <= 0.0f), a))
WT_FLOAT32_BINARY(leaky_relu_backward, wt_f32x4_select(b > 0.0f, a, a *p0))
WT_FLOAT32_BINARY(sigmoid_backward, a * (1.0f - b) * b)
WT_FLOAT32_BINARY(tanh_backward, a * (1.0f - b * b))
WT_FLOAT32_BINARY_COSTLY(gelu_backward, gelu_backward(a, b))
WT_FLOAT32_BINARY_COSTLY(gelu_tanh_backward, gelu_tanh_backward(a, b))
WT_FLOAT32_BINARY_COSTLY(silu_backward, silu_backward(a, b))
WT_FLOAT32_BINARY_COSTLY(mish_backward, mish_backward(a, b))
WT_FLOAT32_BINARY_COSTLY(elu_backward, wt_f32x4_select(b > 0.0f, a, a *p0 *wt_f32x4_exp(b)))
WT_FLOAT32_BINARY_COSTLY(softplus_backward, softplus_backward(a, b, p0))
WT_FLOAT32_BINARY(hardswish_backward, hardswish_backward(a, b))
WT_FLOAT32_BINARY(hardsigmoid_backward, keep_where((b > -3.0f) & (b < 3.0f), a / 6.0f))
WT_FLOAT32_BINARY_COSTLY(logsigmoid_backward, a *wt_f32x4_sigmoid(-b))
WT_FLOAT32_BINARY(prelu, wt_f32x4_select(a > 0.0f, a, a *b))

WT_FLOAT32_PREDICATE(eq, a == b)
WT_FLOAT32_PREDICATE(ne, a != b)
WT_FLOAT32_PREDICATE(lt, a < b)
WT_FLOAT32_PREDICATE(le, a <= b)
WT_FLOAT32_PREDICATE(gt, a > b)
WT_FLOAT32_PREDICATE(ge, a >= b)

static int float32_add(const wt_row_call *call) {
  return call->p0 == 1.0 ? float32_add_plain(call) : float32_add_scaled(call);
}
static int float32_sub(const wt_row_call *call) {
  return call->p0 == 1.0 ? float32_sub_plain(call) : float32_sub_scaled(call);
}

#define CHEAP(name) [WT_BINARY_##name] = {float32_##name, WT_GRAIN_CHEAP}
#define COSTLY(name) [WT_BINARY_##name] = {float32_##name, WT_GRAIN_COSTLY}
const wt_row_entry wt_float32_binary_rows[WT_BINARY_COUNT] = {
    CHEAP(add),
    CHEAP(sub),
    CHEAP(rsub),
    CHEAP(mul),
    CHEAP(div),
    CHEAP(maximum),
    CHEAP(minimum),
    COSTLY(pow),
    CHEAP(relu_backward),
    CHEAP(leaky_relu_backward),
    CHEAP(sigmoid_backward),
    CHEAP(tanh_backward),
    COSTLY(gelu_backward),
    COSTLY(gelu_tanh_backward),
    COSTLY(silu_backward),
    COSTLY(mish_backward),
    COSTLY(elu_backward),
    COSTLY(softplus_backward),
    CHEAP(hardswish_backward),
    CHEAP(hardsigmoid_backward),
    COSTLY(logsigmoid_backward),
    CHEAP(prelu),
    CHEAP(eq),
    CHEAP(ne),
    CHEAP(lt),
    CHEAP(le),
    CHEAP(gt),
    CHEAP(ge),
    COSTLY(nextafter),
};

#else

const wt_row_entry wt_float32_binary_rows[WT_BINARY_COUNT] = {
    [WT_BINARY_nextafter] = {float32_nextafter, WT_GRAIN_COSTLY},
};

#endif
