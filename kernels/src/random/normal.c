/* Dense normal numbers by blocks of sixteen, in the order of torch's x86 build: of each block the
 * first eight uniforms give radii, the last eight angles (Box & Muller 1958).
 *
 * Where the count is no multiple of sixteen, the last sixteen elements are drawn anew.
 */
#include <math.h>

#include "random/generator.h"
#include "simd.h"

#define BLOCK 16
#define PI 3.14159265358979323846

/* ---- float32 -------------------------------------------------------------------------------- */
#if WT_USE_REFERENCE
static void transform_f32(float *block, float mean, float std) {
  const float two_pi = (float)(2 * PI);
  for (int i = 0; i < 8; i++) {
    float radius = sqrtf(-2 * logf(1 - block[i])), angle = two_pi * block[i + 8];
    block[i] = radius * cosf(angle) * std + mean;
    block[i + 8] = radius * sinf(angle) * std + mean;
  }
}
#else
/* Natural logarithm of x in [2^-24, 1] by the polynomial of Cephes' logf (Moshier). */
WT_INLINE wt_f32x4 log_of(wt_f32x4 x) {
  static const float p[9] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                             -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                             2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  wt_i32x4 bits = (wt_i32x4)x;
  wt_i32x4 exponent = (bits >> 23) - wt_i32x4_splat(126);
  wt_f32x4 m = (wt_f32x4)((bits & wt_i32x4_splat(0x007fffff)) | wt_i32x4_splat(0x3f000000));
  wt_i32x4 is_small = m < wt_f32x4_splat(0.707106781186547524f);
  exponent += is_small; /* a set lane is -1 */
  wt_f32x4 e = wt_f32x4_from_i32x4(exponent);
  m = m - wt_f32x4_splat(1) + wt_f32x4_select(is_small, m, wt_f32x4_splat(0));
  wt_f32x4 square = m * m, y = wt_f32x4_splat(p[0]);
  WT_UNROLL
  for (int i = 1; i < 9; i++) y = wt_f32x4_madd(y, m, wt_f32x4_splat(p[i]));
  y = y * m * square;
  y = wt_f32x4_madd(e, wt_f32x4_splat(-2.12194440e-4f), y);
  y = wt_f32x4_nmadd(square, wt_f32x4_splat(0.5f), y);
  return wt_f32x4_madd(e, wt_f32x4_splat(0.693359375f), m + y);
}

/* Sine and cosine of x in [0, 2 pi], reduced to [-pi/4, pi/4] in three steps as in Cephes' sinf. */
WT_INLINE void sincos_of(wt_f32x4 x, wt_f32x4 *sine, wt_f32x4 *cosine) {
  wt_i32x4 octant = wt_i32x4_from_f32x4(x * wt_f32x4_splat(1.27323954473516f));
  octant = (octant + wt_i32x4_splat(1)) & wt_i32x4_splat(~1);
  wt_f32x4 turns = wt_f32x4_from_i32x4(octant);
  x = wt_f32x4_nmadd(turns, wt_f32x4_splat(0.78515625f), x);
  x = wt_f32x4_nmadd(turns, wt_f32x4_splat(2.4187564849853515625e-4f), x);
  x = wt_f32x4_nmadd(turns, wt_f32x4_splat(3.77489497744594108e-8f), x);
  wt_f32x4 z = x * x;
  wt_f32x4 c = wt_f32x4_splat(2.443315711809948e-5f);
  c = wt_f32x4_madd(c, z, wt_f32x4_splat(-1.388731625493765e-3f));
  c = wt_f32x4_madd(c, z, wt_f32x4_splat(4.166664568298827e-2f));
  c = wt_f32x4_nmadd(z, wt_f32x4_splat(0.5f), c * z * z) + wt_f32x4_splat(1);
  wt_f32x4 s = wt_f32x4_splat(-1.9515295891e-4f);
  s = wt_f32x4_madd(s, z, wt_f32x4_splat(8.3321608736e-3f));
  s = wt_f32x4_madd(s, z, wt_f32x4_splat(-1.6666654611e-1f));
  s = wt_f32x4_madd(s * z, x, x);
  wt_i32x4 swap = (octant & wt_i32x4_splat(2)) != wt_i32x4_splat(0);
  wt_i32x4 sine_sign = (octant & wt_i32x4_splat(4)) << 29;
  wt_i32x4 cosine_sign = ((octant + wt_i32x4_splat(2)) & wt_i32x4_splat(4)) << 29;
  *sine = (wt_f32x4)((wt_i32x4)wt_f32x4_select(swap, c, s) ^ sine_sign);
  *cosine = (wt_f32x4)((wt_i32x4)wt_f32x4_select(swap, s, c) ^ cosine_sign);
}

static void transform_f32(float *block, float mean, float std) {
  wt_f32x4 means = wt_f32x4_splat(mean), stds = wt_f32x4_splat(std);
  for (int i = 0; i < 8; i += 4) {
    wt_f32x4 u1 = wt_f32x4_splat(1) - wt_f32x4_load(block + i);
    wt_f32x4 angle = wt_f32x4_load(block + i + 8) * wt_f32x4_splat((float)(2 * PI));
    wt_f32x4 radius = wt_f32x4_sqrt(wt_f32x4_splat(-2) * log_of(u1));
    wt_f32x4 sine, cosine;
    sincos_of(angle, &sine, &cosine);
    wt_f32x4_store(block + i, wt_f32x4_madd(radius * cosine, stds, means));
    wt_f32x4_store(block + i + 8, wt_f32x4_madd(radius * sine, stds, means));
  }
}
#endif

typedef struct normal_job {
  float *out;
  float mean, std;
} normal_job;

static void transform_blocks(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const normal_job *job = context;
  for (wt_word block = begin; block < end; block++) {
    transform_f32(job->out + block * BLOCK, job->mean, job->std);
  }
}

void wt_fill_normal_f32(wt_generator *generator, float *out, wt_word count, float mean, float std) {
  normal_job job = {out, mean, std};
  wt_fill_uniform_f32(generator, out, count, 0, 1);
  wt_parallel_for(count / BLOCK, 512, transform_blocks, &job);
  if (count % BLOCK) {
    float *last = out + count - BLOCK;
    wt_fill_uniform_f32(generator, last, BLOCK, 0, 1);
    transform_f32(last, mean, std);
  }
}

/* ---- float64 -------------------------------------------------------------------------------- */
static void transform_f64(double *block, double mean, double std) {
  for (int i = 0; i < 8; i++) {
    double radius = sqrt(-2 * log(1 - block[i])), angle = 2 * PI * block[i + 8];
    block[i] = fma(radius * cos(angle), std, mean);
    block[i + 8] = fma(radius * sin(angle), std, mean);
  }
}

void wt_fill_normal_f64(wt_generator *generator, double *out, wt_word count, double mean,
                        double std) {
  for (wt_word i = 0; i < count; i++) out[i] = wt_random_double(generator);
  for (wt_word i = 0; i + BLOCK <= count; i += BLOCK) transform_f64(out + i, mean, std);
  if (count % BLOCK) {
    double *last = out + count - BLOCK;
    for (int i = 0; i < BLOCK; i++) last[i] = wt_random_double(generator);
    transform_f64(last, mean, std);
  }
}

/* ---- float16, bfloat16 ---------------------------------------------------------------------- */
static void fill_half_block(wt_generator *generator, uint16_t *out, float mean, float std,
                            wt_word dtype) {
  float block[BLOCK];
  wt_fill_uniform_f32(generator, block, BLOCK, 0, 1);
  transform_f32(block, mean, std);
  for (int i = 0; i < BLOCK; i++) {
    out[i] = dtype == WT_FLOAT16 ? wt_float_to_half(block[i]) : wt_float_to_bfloat16(block[i]);
  }
}

void wt_fill_normal_half(wt_generator *generator, uint16_t *out, wt_word count, float mean,
                         float std, wt_word dtype) {
  for (wt_word i = 0; i + BLOCK <= count; i += BLOCK) {
    fill_half_block(generator, out + i, mean, std, dtype);
  }
  if (count % BLOCK) fill_half_block(generator, out + count - BLOCK, mean, std, dtype);
}
