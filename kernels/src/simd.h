/* 128-bit vectors with one spelling for wasm SIMD, wasm relaxed SIMD, wasm without SIMD, and the
 * desktop (gcc 12, clang).
 *
 * The types are compiler vector extensions, so + - * / & | ^ << >> and the comparisons are plain C:
 * `a < b` gives a vector of the same shape whose lanes are 0 or -1 (a mask). Lanes are read and
 * written as a[i]. Functions below cover what C has no operator for. Loads and stores need no
 * alignment.
 */
#ifndef WASM_TORCH_SIMD_H
#define WASM_TORCH_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#elif defined(__FMA__)
#include <immintrin.h>
#endif

#define WT_INLINE static inline __attribute__((always_inline))
#define WT_NOINLINE __attribute__((noinline))

#if defined(__clang__)
#define WT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define WT_UNROLL _Pragma("GCC unroll 16")
#endif

#define WT_VECTOR __attribute__((vector_size(16)))
typedef float wt_f32x4 WT_VECTOR;
typedef double wt_f64x2 WT_VECTOR;
typedef uint8_t wt_u8x16 WT_VECTOR;
typedef int16_t wt_i16x8 WT_VECTOR;
typedef int32_t wt_i32x4 WT_VECTOR;
typedef uint32_t wt_u32x4 WT_VECTOR;
typedef int64_t wt_i64x2 WT_VECTOR;
typedef uint64_t wt_u64x2 WT_VECTOR;
typedef float wt_f32x2 __attribute__((vector_size(8)));
typedef int32_t wt_i32x2 __attribute__((vector_size(8)));

/* ---- load, store, splat: wt_f32x4_load(p), wt_f32x4_store(p, v), wt_f32x4_splat(x) --------- */
#define WT_DEFINE_MEMORY(type, scalar, ...)                                     \
  WT_INLINE wt_##type wt_##type##_load(const void *p) {                         \
    wt_##type v;                                                                \
    memcpy(&v, p, 16);                                                          \
    return v;                                                                   \
  }                                                                             \
  WT_INLINE void wt_##type##_store(void *p, wt_##type v) { memcpy(p, &v, 16); } \
  WT_INLINE wt_##type wt_##type##_splat(scalar x) { return (wt_##type){__VA_ARGS__}; }
WT_DEFINE_MEMORY(f32x4, float, x, x, x, x)
WT_DEFINE_MEMORY(f64x2, double, x, x)
WT_DEFINE_MEMORY(i32x4, int32_t, x, x, x, x)
WT_DEFINE_MEMORY(u32x4, uint32_t, x, x, x, x)
WT_DEFINE_MEMORY(i64x2, int64_t, x, x)
WT_DEFINE_MEMORY(u64x2, uint64_t, x, x)
WT_DEFINE_MEMORY(u8x16, uint8_t, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x)
#undef WT_DEFINE_MEMORY

/* One element broadcast to all lanes, straight from memory. */
WT_INLINE wt_f32x4 wt_f32x4_load_splat(const float *p) {
#if defined(__wasm_simd128__)
  return (wt_f32x4)wasm_v128_load32_splat(p);
#else
  return wt_f32x4_splat(*p);
#endif
}
WT_INLINE wt_f64x2 wt_f64x2_load_splat(const double *p) {
#if defined(__wasm_simd128__)
  return (wt_f64x2)wasm_v128_load64_splat(p);
#else
  return wt_f64x2_splat(*p);
#endif
}

/* The first `count` lanes (0..4) from memory and zeros behind; and the store of those alone. */
WT_INLINE wt_f32x4 wt_f32x4_load_part(const float *p, int count) {
  wt_f32x4 v = {0, 0, 0, 0};
  memcpy(&v, p, (size_t)count * sizeof(float));
  return v;
}
WT_INLINE void wt_f32x4_store_part(float *p, wt_f32x4 v, int count) {
  memcpy(p, &v, (size_t)count * sizeof(float));
}

/* ---- fused multiply-add -------------------------------------------------------------------- */
/* a * b + c, rounded once where the target fuses (relaxed SIMD, FMA), twice elsewhere. */
WT_INLINE wt_f32x4 wt_f32x4_madd(wt_f32x4 a, wt_f32x4 b, wt_f32x4 c) {
#if defined(__wasm_relaxed_simd__)
  return __builtin_wasm_relaxed_madd_f32x4(a, b, c);
#elif defined(__FMA__)
  return (wt_f32x4)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
#else
  return a * b + c;
#endif
}
WT_INLINE wt_f64x2 wt_f64x2_madd(wt_f64x2 a, wt_f64x2 b, wt_f64x2 c) {
#if defined(__wasm_relaxed_simd__)
  return __builtin_wasm_relaxed_madd_f64x2(a, b, c);
#elif defined(__FMA__)
  return (wt_f64x2)_mm_fmadd_pd((__m128d)a, (__m128d)b, (__m128d)c);
#else
  return a * b + c;
#endif
}
/* c - a * b. */
WT_INLINE wt_f32x4 wt_f32x4_nmadd(wt_f32x4 a, wt_f32x4 b, wt_f32x4 c) {
#if defined(__wasm_relaxed_simd__)
  return __builtin_wasm_relaxed_nmadd_f32x4(a, b, c);
#elif defined(__FMA__)
  return (wt_f32x4)_mm_fnmadd_ps((__m128)a, (__m128)b, (__m128)c);
#else
  return c - a * b;
#endif
}

/* ---- select, pmin, pmax -------------------------------------------------------------------- */
/* mask ? a : b, bit by bit; the mask comes from a comparison (or any lanes of 0 and -1). */
#if defined(__wasm_simd128__)
#define WT_BITSELECT(type, mask, a, b) \
  ((wt_##type)wasm_v128_bitselect((v128_t)(a), (v128_t)(b), (v128_t)(mask)))
#else
#define WT_BITSELECT(type, mask, a, b) \
  ((wt_##type)(((wt_u64x2)(mask) & (wt_u64x2)(a)) | (~(wt_u64x2)(mask) & (wt_u64x2)(b))))
#endif
#define WT_DEFINE_SELECT(type, mask_type)                                                 \
  WT_INLINE wt_##type wt_##type##_select(wt_##mask_type mask, wt_##type a, wt_##type b) { \
    return WT_BITSELECT(type, mask, a, b);                                                \
  }
WT_DEFINE_SELECT(f32x4, i32x4)
WT_DEFINE_SELECT(f64x2, i64x2)
WT_DEFINE_SELECT(i32x4, i32x4)
#undef WT_DEFINE_SELECT

/* pmin: b < a ? b : a. pmax: a < b ? b : a. So where either is NaN, the result is `a`: NaN in the
 * first operand is kept, in the second dropped. One instruction on every target, unlike min/max. */
#if defined(__wasm_simd128__)
WT_INLINE wt_f32x4 wt_f32x4_pmin(wt_f32x4 a, wt_f32x4 b) {
  return (wt_f32x4)wasm_f32x4_pmin((v128_t)a, (v128_t)b);
}
WT_INLINE wt_f32x4 wt_f32x4_pmax(wt_f32x4 a, wt_f32x4 b) {
  return (wt_f32x4)wasm_f32x4_pmax((v128_t)a, (v128_t)b);
}
WT_INLINE wt_f64x2 wt_f64x2_pmin(wt_f64x2 a, wt_f64x2 b) {
  return (wt_f64x2)wasm_f64x2_pmin((v128_t)a, (v128_t)b);
}
WT_INLINE wt_f64x2 wt_f64x2_pmax(wt_f64x2 a, wt_f64x2 b) {
  return (wt_f64x2)wasm_f64x2_pmax((v128_t)a, (v128_t)b);
}
#else
WT_INLINE wt_f32x4 wt_f32x4_pmin(wt_f32x4 a, wt_f32x4 b) { return wt_f32x4_select(b < a, b, a); }
WT_INLINE wt_f32x4 wt_f32x4_pmax(wt_f32x4 a, wt_f32x4 b) { return wt_f32x4_select(a < b, b, a); }
WT_INLINE wt_f64x2 wt_f64x2_pmin(wt_f64x2 a, wt_f64x2 b) { return wt_f64x2_select(b < a, b, a); }
WT_INLINE wt_f64x2 wt_f64x2_pmax(wt_f64x2 a, wt_f64x2 b) { return wt_f64x2_select(a < b, b, a); }
#endif

/* torch's maximum and minimum: NaN in either operand gives NaN. */
WT_INLINE wt_f32x4 wt_f32x4_maximum(wt_f32x4 a, wt_f32x4 b) {
  return wt_f32x4_select(b != b, b, wt_f32x4_pmax(a, b));
}
WT_INLINE wt_f32x4 wt_f32x4_minimum(wt_f32x4 a, wt_f32x4 b) {
  return wt_f32x4_select(b != b, b, wt_f32x4_pmin(a, b));
}

/* Whether any lane of a mask is set. */
WT_INLINE int wt_any(wt_i32x4 mask) {
#if defined(__wasm_simd128__)
  return wasm_v128_any_true((v128_t)mask);
#else
  wt_i64x2 v = (wt_i64x2)mask;
  return (v[0] | v[1]) != 0;
#endif
}

/* ---- abs, sqrt, rounding ------------------------------------------------------------------- */
WT_INLINE wt_f32x4 wt_f32x4_abs(wt_f32x4 a) {
  return (wt_f32x4)((wt_i32x4)a & wt_i32x4_splat(INT32_MAX));
}
/* The magnitude of a with the sign of b. */
WT_INLINE wt_f32x4 wt_f32x4_copysign(wt_f32x4 a, wt_f32x4 b) {
  return wt_f32x4_select(wt_i32x4_splat(INT32_MAX), a, b);
}

#if defined(__clang__)
#define WT_LANEWISE(name, elementwise, scalar)     \
  WT_INLINE wt_f32x4 wt_f32x4_##name(wt_f32x4 a) { \
    return __builtin_elementwise_##elementwise(a); \
  }                                                \
  WT_INLINE wt_f64x2 wt_f64x2_##name(wt_f64x2 a) { return __builtin_elementwise_##elementwise(a); }
#else
#define WT_LANEWISE(name, elementwise, scalar)                      \
  WT_INLINE wt_f32x4 wt_f32x4_##name(wt_f32x4 a) {                  \
    for (int i = 0; i < 4; i++) a[i] = __builtin_##scalar##f(a[i]); \
    return a;                                                       \
  }                                                                 \
  WT_INLINE wt_f64x2 wt_f64x2_##name(wt_f64x2 a) {                  \
    for (int i = 0; i < 2; i++) a[i] = __builtin_##scalar(a[i]);    \
    return a;                                                       \
  }
#endif
WT_LANEWISE(sqrt, sqrt, sqrt)
WT_LANEWISE(floor, floor, floor)
WT_LANEWISE(ceil, ceil, ceil)
WT_LANEWISE(trunc, trunc, trunc)
WT_LANEWISE(nearest, nearbyint, nearbyint) /* ties to even */
#undef WT_LANEWISE

/* ---- conversions --------------------------------------------------------------------------- */
/* Float to integer truncates; the lanes must be representable (clamp first). */
WT_INLINE wt_i32x4 wt_i32x4_from_f32x4(wt_f32x4 a) {
#if defined(__wasm_simd128__)
  return (wt_i32x4)wasm_i32x4_trunc_sat_f32x4((v128_t)a);
#else
  return __builtin_convertvector(a, wt_i32x4);
#endif
}
WT_INLINE wt_f32x4 wt_f32x4_from_i32x4(wt_i32x4 a) { return __builtin_convertvector(a, wt_f32x4); }
/* Lanes 0, 1 (low) or 2, 3 (high) widened; and two pairs narrowed to four lanes. */
WT_INLINE wt_f64x2 wt_f64x2_from_low(wt_f32x4 a) {
  return __builtin_convertvector(__builtin_shufflevector(a, a, 0, 1), wt_f64x2);
}
WT_INLINE wt_f64x2 wt_f64x2_from_high(wt_f32x4 a) {
  return __builtin_convertvector(__builtin_shufflevector(a, a, 2, 3), wt_f64x2);
}
WT_INLINE wt_f32x4 wt_f32x4_from_f64x2(wt_f64x2 low, wt_f64x2 high) {
  wt_f32x2 l = __builtin_convertvector(low, wt_f32x2), h = __builtin_convertvector(high, wt_f32x2);
  return __builtin_shufflevector(l, h, 0, 1, 2, 3);
}
WT_INLINE wt_f64x2 wt_f64x2_from_i32_low(wt_i32x4 a) {
  return __builtin_convertvector(__builtin_shufflevector(a, a, 0, 1), wt_f64x2);
}

/* ---- across lanes -------------------------------------------------------------------------- */
WT_INLINE double wt_f64x2_sum(wt_f64x2 a) { return a[0] + a[1]; }
/* The sum of the four lanes in double precision. */
WT_INLINE double wt_f32x4_sum_f64(wt_f32x4 a) {
  return wt_f64x2_sum(wt_f64x2_from_low(a) + wt_f64x2_from_high(a));
}
/* Largest and smallest lane; lanes must not be NaN. */
WT_INLINE float wt_f32x4_max_lane(wt_f32x4 a) {
  a = wt_f32x4_pmax(a, __builtin_shufflevector(a, a, 2, 3, 0, 1));
  return a[0] < a[1] ? a[1] : a[0];
}
WT_INLINE float wt_f32x4_min_lane(wt_f32x4 a) {
  a = wt_f32x4_pmin(a, __builtin_shufflevector(a, a, 2, 3, 0, 1));
  return a[1] < a[0] ? a[1] : a[0];
}

/* Transposes a 4x4 block held in four vectors: rows[i][j] -> rows[j][i]. */
WT_INLINE void wt_f32x4_transpose(wt_f32x4 rows[4]) {
  wt_f32x4 a = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
  wt_f32x4 b = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
  wt_f32x4 c = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
  wt_f32x4 d = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
  rows[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
  rows[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
  rows[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
  rows[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

#endif
