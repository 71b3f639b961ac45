/* Elementary functions on vectors of four float32.
 *
 * Each reduces its argument and evaluates a polynomial in float32 (pow and the reduction of sin and
 * cos in float64). The reductions are the classical ones: W. J. Cody and W. Waite, "Software Manual
 * for the Elementary Functions" (1980) for exp, sin and cos; log through s = f / (2 + f) as
 * P. T. P. Tang, "Table-driven implementation of the logarithm function" (1990). The coefficients
 * are minimax fits made for this file with the Remez exchange. Errors are largest distances to the
 * exact value over all of float32 (sampled), in units in the last place, without fused
 * multiply-add; tests/test_pointwise_accuracy.c measures and bounds them.
 */
#ifndef WASM_TORCH_VECTOR_MATH_H
#define WASM_TORCH_VECTOR_MATH_H

#include <math.h>

#include "simd.h"

/* A constant in all lanes. V8 builds a v128.const from immediates in several instructions each
 * time, while a broadcast from memory is one; the empty asm keeps clang from seeing the number
 * behind the address. */
#if defined(__wasm_simd128__)
#define WT_K(c)                        \
  (__extension__({                     \
    static const float constant = (c); \
    const float *address = &constant;  \
    __asm__("" : "+r"(address));       \
    wt_f32x4_load_splat(address);      \
  }))
#else
#define WT_K(c) wt_f32x4_splat(c)
#endif

/* c0 + c1 x + c2 x^2 + ... by Horner's rule. */
#define WT_HORNER3(x, c0, c1, c2) wt_f32x4_madd(wt_f32x4_madd(WT_K(c2), x, WT_K(c1)), x, WT_K(c0))
#define WT_HORNER4(x, c0, c1, c2, c3) wt_f32x4_madd(WT_HORNER3(x, c1, c2, c3), x, WT_K(c0))
#define WT_HORNER5(x, c0, c1, c2, c3, c4) wt_f32x4_madd(WT_HORNER4(x, c1, c2, c3, c4), x, WT_K(c0))
#define WT_HORNER6(x, c0, c1, c2, c3, c4, c5) \
  wt_f32x4_madd(WT_HORNER5(x, c1, c2, c3, c4, c5), x, WT_K(c0))
#define WT_HORNER7(x, c0, c1, c2, c3, c4, c5, c6) \
  wt_f32x4_madd(WT_HORNER6(x, c1, c2, c3, c4, c5, c6), x, WT_K(c0))
#define WT_HORNER8(x, c0, c1, c2, c3, c4, c5, c6, c7) \
  wt_f32x4_madd(WT_HORNER7(x, c1, c2, c3, c4, c5, c6, c7), x, WT_K(c0))

/* ---- exp ------------------------------------------------------------------------------------ */
/* x = n ln2 + r with |r| <= ln2 / 2: returns exp(r) - 1 and the integer n. |x| must stay below
 * 2^21. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. */
WT_INLINE wt_f32x4 wt_f32x4_expm1_reduced(wt_f32x4 x, wt_i32x4 *n) {
  wt_f32x4 magic = WT_K(0x1.8p23f);
  wt_f32x4 shifted = x * WT_K(0x1.715476p0f) + magic;
  wt_f32x4 rounded = shifted - magic;
  *n = (wt_i32x4)shifted - (wt_i32x4)magic;
  wt_f32x4 r = wt_f32x4_nmadd(rounded, WT_K(0x1.62e4p-1f), x);
  r = wt_f32x4_nmadd(rounded, WT_K(0x1.7f7d1cp-20f), r);
  wt_f32x4 q = WT_HORNER6(r, 0.5f, 0x1.555556p-3f, 0x1.5554acp-5f, 0x1.11108ep-7f, 0x1.6d768ep-10f,
                          0x1.a1a388p-13f);
  return wt_f32x4_madd(r * r, q, r);
}
/* 2^n for n in -126..127. */
WT_INLINE wt_f32x4 wt_f32x4_power_of_two(wt_i32x4 n) {
  const wt_i32x4 bias = (wt_i32x4)WT_K(0x1.fcp-143f); /* the bits of 127 */
  return (wt_f32x4)((n + bias) << 23);
}
/* 1.0 ulp; subnormal results and overflow to infinity included. */
WT_INLINE wt_f32x4 wt_f32x4_exp(wt_f32x4 x) {
  x = wt_f32x4_pmin(x, WT_K(89.0f));
  x = wt_f32x4_pmax(x, WT_K(-104.5f));
  wt_i32x4 n;
  wt_f32x4 p = wt_f32x4_expm1_reduced(x, &n) + WT_K(1.0f);
  wt_i32x4 half = n >> 1;
  return p * wt_f32x4_power_of_two(half) * wt_f32x4_power_of_two(n - half);
}
/* 1.5 ulp. 2^n (e + 1) - 1 is taken at half scale so that n = 128 does not overflow early. */
WT_INLINE wt_f32x4 wt_f32x4_expm1(wt_f32x4 x) {
  wt_f32x4 clamped = wt_f32x4_pmin(x, WT_K(89.0f));
  clamped = wt_f32x4_pmax(clamped, WT_K(-20.0f));
  wt_i32x4 n;
  wt_f32x4 e = wt_f32x4_expm1_reduced(clamped, &n);
  wt_f32x4 half_scale = wt_f32x4_power_of_two(n - 1);
  wt_f32x4 half = wt_f32x4_madd(half_scale, e, half_scale - 0.5f);
  wt_f32x4 small = wt_f32x4_select(n == 0, e, half + half);
  return wt_f32x4_select(x == 0.0f, x, small); /* keeps -0 */
}

/* ---- log ------------------------------------------------------------------------------------ */
/* 0.8 ulp; subnormals included; log(0) = -inf, of negative numbers NaN. */
WT_INLINE wt_f32x4 wt_f32x4_log(wt_f32x4 x) {
  wt_i32x4 tiny = x < 0x1p-126f;
  wt_f32x4 scaled = wt_f32x4_select(tiny, x * 0x1p23f, x);
  wt_i32x4 bits = (wt_i32x4)scaled - 0x3f3504f3; /* sqrt(1/2): the mantissa is centred on 1 */
  wt_f32x4 k = wt_f32x4_from_i32x4((bits >> 23) - (tiny & 23));
  wt_f32x4 f = (wt_f32x4)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  wt_f32x4 s = f / (f + 2.0f), z = s * s;
  wt_f32x4 r = z * WT_HORNER3(z, 0x1.55557cp-1f, 0x1.995d84p-2f, 0x1.32063ap-2f);
  wt_f32x4 half_square = f * f * 0.5f;
  wt_f32x4 low = wt_f32x4_madd(s, half_square + r, k * 0x1.7f7d1cp-20f);
  wt_f32x4 result = wt_f32x4_madd(k, wt_f32x4_splat(0x1.62e4p-1f), f - (half_square - low));
  result = wt_f32x4_select(x < INFINITY, result, x);
  result = wt_f32x4_select(x == 0.0f, wt_f32x4_splat(-INFINITY), result);
  return wt_f32x4_select(x < 0.0f, wt_f32x4_splat(NAN), result);
}
/* 1.5 ulp. The rounding of 1 + x is put right to first order. */
WT_INLINE wt_f32x4 wt_f32x4_log1p(wt_f32x4 x) {
  wt_f32x4 u = x + 1.0f;
  wt_f32x4 correction = (x - (u - 1.0f)) / u;
  wt_i32x4 regular = (u > 0.0f) & (u < INFINITY);
  wt_f32x4 logarithm = wt_f32x4_log(u);
  wt_f32x4 result = wt_f32x4_select(regular, logarithm + correction, logarithm);
  return wt_f32x4_select(x == 0.0f, x, result);
}

/* ---- tanh, sigmoid -------------------------------------------------------------------------- */
/* 1.3 ulp. */
WT_INLINE wt_f32x4 wt_f32x4_tanh(wt_f32x4 x) {
  wt_f32x4 a = wt_f32x4_abs(x), z = x * x;
  wt_f32x4 p = WT_HORNER6(z, -0x1.555554p-2f, 0x1.111078p-3f, -0x1.b9f06p-5f, 0x1.63940cp-6f,
                          -0x1.0bf792p-7f, 0x1.1878fep-9f);
  wt_f32x4 small = wt_f32x4_madd(x * z, p, x);
  wt_f32x4 e = wt_f32x4_exp(wt_f32x4_pmin(a, WT_K(10.0f)) * WT_K(2.0f));
  wt_f32x4 large = WT_K(1.0f) - WT_K(2.0f) / (e + WT_K(1.0f));
  return wt_f32x4_copysign(wt_f32x4_select(a < WT_K(0.625f), small, large), x); /* keeps -0 */
}
/* 2.3 ulp; subnormal results included. */
WT_INLINE wt_f32x4 wt_f32x4_sigmoid(wt_f32x4 x) {
  wt_f32x4 e = wt_f32x4_exp(-wt_f32x4_abs(x));
  return wt_f32x4_select(x >= 0.0f, WT_K(1.0f), e) / (e + WT_K(1.0f));
}

/* ---- erf ------------------------------------------------------------------------------------ */
/* 1.2 ulp. Beyond 0.92 as 1 - exp(log(erfc |x|)), the logarithm a polynomial. */
WT_INLINE wt_f32x4 wt_f32x4_erf(wt_f32x4 x) {
  wt_f32x4 a = wt_f32x4_pmin(wt_f32x4_abs(x), WT_K(4.0f)), z = x * x;
  wt_f32x4 p = WT_HORNER7(z, 0x1.06eba8p-3f, -0x1.812744p-2f, 0x1.ce2e22p-4f, -0x1.b8108cp-6f,
                          0x1.54da22p-8f, -0x1.aad912p-11f, 0x1.5ebd84p-14f);
  wt_f32x4 small = wt_f32x4_madd(x, p, x);
  wt_f32x4 log_erfc =
      WT_HORNER8(a, 0x1.70d8c6p-13f, -0x1.212848p0f, -0x1.44446ep-1f, -0x1.bb927ep-4f,
                 0x1.9bb54p-6f, -0x1.11972p-8f, 0x1.c85cf6p-12f, -0x1.630ac6p-16f);
  wt_f32x4 large = wt_f32x4_copysign(WT_K(1.0f) - wt_f32x4_exp(log_erfc), x);
  return wt_f32x4_select(a < WT_K(0.921875f), small, large);
}

/* ---- sin, cos ------------------------------------------------------------------------------- */
/* x = n pi/2 + r with |r| <= pi/4, reduced in float64 with pi/2 in two parts of which the first has
 * 33 bits, so that its products with n are exact. For |x| <= 2^20. */
WT_INLINE wt_f64x2 wt_f64x2_reduce_half_pi(wt_f64x2 x, wt_f64x2 *shifted) {
  *shifted = x * 0x1.45f306dc9c883p-1 + 0x1.8p52;
  wt_f64x2 n = *shifted - 0x1.8p52;
  return x - n * 0x1.921fb544p0 - n * 0x1.0b4611a626331p-34;
}
/* Sine (quadrant 0) or cosine (quadrant 1): 1.5 ulp. Lanes beyond 2^20 go to libm. */
WT_INLINE wt_f32x4 wt_f32x4_sine_from_quadrant(wt_f32x4 x, int quadrant) {
  wt_f64x2 low_shifted, high_shifted;
  wt_f64x2 low = wt_f64x2_reduce_half_pi(wt_f64x2_from_low(x), &low_shifted);
  wt_f64x2 high = wt_f64x2_reduce_half_pi(wt_f64x2_from_high(x), &high_shifted);
  wt_f32x4 r = wt_f32x4_from_f64x2(low, high), z = r * r;
  wt_i32x4 n =
      __builtin_shufflevector((wt_i32x4)low_shifted, (wt_i32x4)high_shifted, 0, 2, 4, 6) + quadrant;
  wt_f32x4 sine = WT_HORNER3(z, -0x1.555546p-3f, 0x1.11072ep-7f, -0x1.993d72p-13f);
  sine = wt_f32x4_madd(r * z, sine, r);
  wt_f32x4 cosine = WT_HORNER3(z, 0x1.55554ap-5f, -0x1.6c0c58p-10f, 0x1.99f2dep-16f);
  wt_f32x4 half = z * 0.5f, leading = 1.0f - half;
  cosine = leading + wt_f32x4_madd(z * z, cosine, (1.0f - leading) - half);
  wt_f32x4 result = wt_f32x4_select((n & 1) != 0, cosine, sine);
  result = (wt_f32x4)((wt_i32x4)result ^ ((n & 2) << 30));
  wt_i32x4 large = ~(wt_f32x4_abs(x) <= 0x1p20f);
  if (wt_any(large)) {
    for (int i = 0; i < 4; i++) {
      if (large[i]) result[i] = (float)(quadrant ? cos((double)x[i]) : sin((double)x[i]));
    }
  }
  return result;
}
WT_INLINE wt_f32x4 wt_f32x4_sin(wt_f32x4 x) {
  return wt_f32x4_select(x == 0.0f, x, wt_f32x4_sine_from_quadrant(x, 0));
}
WT_INLINE wt_f32x4 wt_f32x4_cos(wt_f32x4 x) { return wt_f32x4_sine_from_quadrant(x, 1); }

/* ---- pow ------------------------------------------------------------------------------------ */
/* x^y for positive normal x and finite y, as 2^(y log2 x) in float64. */
WT_INLINE wt_f64x2 wt_f64x2_pow_float32(wt_f64x2 x, wt_f64x2 y) {
  const int64_t root_half = 0x3fe6a09e667f3bcd;
  wt_i64x2 bits = (wt_i64x2)x - root_half;
  /* The exponent, biased into the low bits of a float64 and read back as a number. */
  wt_i64x2 biased = ((wt_i64x2)((wt_u64x2)bits >> 52) ^ 0x800) | 0x4330000000000000;
  wt_f64x2 exponent = (wt_f64x2)biased - (0x1p52 + 0x800);
  wt_f64x2 m = (wt_f64x2)((bits & 0xfffffffffffff) + root_half);
  wt_f64x2 s = (m - 1.0) / (m + 1.0), z = s * s;
  wt_f64x2 p = z * 0x1.21eb73812b400p-2 + 0x1.47916bc4b8ad1p-2;
  p = p * z + 0x1.a61a45ff3fb68p-2;
  p = p * z + 0x1.2776c277901c4p-1;
  p = p * z + 0x1.ec709dc55318fp-1;
  p = p * z + 0x1.71547652b8245p+1;
  wt_f64x2 t = y * (exponent + s * p);
  t = wt_f64x2_pmin(wt_f64x2_pmax(t, wt_f64x2_splat(-200.0)), wt_f64x2_splat(200.0));
  wt_f64x2 shifted = t + 0x1.8p52;
  wt_f64x2 r = t - (shifted - 0x1.8p52);
  wt_f64x2 q = r * 0x1.00f82e76ae74bp-16 + 0x1.446d335c24f7ep-13;
  q = q * r + 0x1.5d8714d8860acp-10;
  q = q * r + 0x1.3b29d7d2561f3p-7;
  q = q * r + 0x1.c6b08e07cfbcdp-5;
  q = q * r + 0x1.ebfbe0ab1cccdp-3;
  q = q * r + 0x1.62e42fef6c61dp-1;
  q = q * r + 0x1.ffffffffa655dp-1;
  return (wt_f64x2)((wt_i64x2)q + ((wt_i64x2)shifted << 52));
}
/* 0.6 ulp. Vectors with a zero, negative, subnormal or non-finite lane go to libm, lane by lane. */
WT_INLINE wt_f32x4 wt_f32x4_pow(wt_f32x4 x, wt_f32x4 y) {
  wt_i32x4 regular = (x >= 0x1p-126f) & (x < INFINITY) & (wt_f32x4_abs(y) < INFINITY);
  if (wt_any(~regular)) {
    for (int i = 0; i < 4; i++) x[i] = (float)pow((double)x[i], (double)y[i]);
    return x;
  }
  return wt_f32x4_from_f64x2(wt_f64x2_pow_float32(wt_f64x2_from_low(x), wt_f64x2_from_low(y)),
                             wt_f64x2_pow_float32(wt_f64x2_from_high(x), wt_f64x2_from_high(y)));
}

#endif
