/* The element type of a template header: include with WT_ELEMENT set to f32, f64, u32 or u64, then
 * the template, then "gemm/element_end.h".
 *
 *   T         scalar          V         128-bit vector of LANES scalars
 *   COLUMNS   width of a packed panel of the right operand: two vectors
 *   FN(name)  name_f32, ...   MADD(a, b, c) = a * b + c, fused where the target fuses
 *
 * Integers are unsigned, for their arithmetic wraps around without undefined behaviour; the low
 * bits of the results are those of the signed types.
 */
#include "simd.h"

#define WT_ELEMENT_f32 1
#define WT_ELEMENT_f64 2
#define WT_ELEMENT_u32 3
#define WT_ELEMENT_u64 4
#define WT_JOIN_EXPANDED(a, b) a##b
#define WT_JOIN(a, b) WT_JOIN_EXPANDED(a, b)
#define WT_JOIN3_EXPANDED(a, b, c) a##b##c
#define WT_JOIN3(a, b, c) WT_JOIN3_EXPANDED(a, b, c)
#define WT_ELEMENT_CODE WT_JOIN(WT_ELEMENT_, WT_ELEMENT)

#define FN(name) WT_JOIN3(name, _, WT_ELEMENT)

#if WT_ELEMENT_CODE == WT_ELEMENT_f32
#define T float
#define V wt_f32x4
#define LANES 4
#define LOAD(p) wt_f32x4_load(p)
#define LOAD_SPLAT(p) wt_f32x4_load_splat(p)
#define STORE(p, v) wt_f32x4_store(p, v)
#define SPLAT(x) wt_f32x4_splat(x)
#define MADD(a, b, c) wt_f32x4_madd(a, b, c)
#define FROM_DOUBLE(x) ((float)(x))
#elif WT_ELEMENT_CODE == WT_ELEMENT_f64
#define T double
#define V wt_f64x2
#define LANES 2
#define LOAD(p) wt_f64x2_load(p)
#define LOAD_SPLAT(p) wt_f64x2_load_splat(p)
#define STORE(p, v) wt_f64x2_store(p, v)
#define SPLAT(x) wt_f64x2_splat(x)
#define MADD(a, b, c) wt_f64x2_madd(a, b, c)
#define FROM_DOUBLE(x) (x)
#elif WT_ELEMENT_CODE == WT_ELEMENT_u32
#define T uint32_t
#define V wt_u32x4
#define LANES 4
#define LOAD(p) wt_u32x4_load(p)
#define LOAD_SPLAT(p) wt_u32x4_splat(*(p))
#define STORE(p, v) wt_u32x4_store(p, v)
#define SPLAT(x) wt_u32x4_splat(x)
#define MADD(a, b, c) ((a) * (b) + (c))
#define FROM_DOUBLE(x) ((uint32_t)(int64_t)(x))
#else
#define T uint64_t
#define V wt_u64x2
#define LANES 2
#define LOAD(p) wt_u64x2_load(p)
#define LOAD_SPLAT(p) wt_u64x2_splat(*(p))
#define STORE(p, v) wt_u64x2_store(p, v)
#define SPLAT(x) wt_u64x2_splat(x)
#define MADD(a, b, c) ((a) * (b) + (c))
#define FROM_DOUBLE(x) ((uint64_t)(int64_t)(x))
#endif

#define COLUMNS (2 * LANES)
