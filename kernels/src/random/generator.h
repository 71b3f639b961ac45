/* The random stream of torch's CPU generator, and the basic draws from it.
 *
 * Every draw consumes the stream exactly as torch's does, so that equal seeds give equal numbers.
 */
#ifndef WASM_TORCH_GENERATOR_H
#define WASM_TORCH_GENERATOR_H

#include "core/core.h"

void wt_generator_seed(wt_generator *generator, uint64_t seed);
/* The next `count` words of 32 bits. */
void wt_generator_draw(wt_generator *generator, uint32_t *words, wt_word count);

uint32_t wt_random32(wt_generator *generator);
/* Two words; the first is the upper half. */
uint64_t wt_random64(wt_generator *generator);

/* Uniform in [0, 1): 24 bits of one word, and 53 bits of two. */
float wt_random_float(wt_generator *generator);
double wt_random_double(wt_generator *generator);

/* Standard normal (Box & Muller 1958); of each pair the second waits in the generator. */
double wt_random_normal(wt_generator *generator);

/* Distributions with parameters of their own; see samplers.c. */
double wt_sample_poisson(wt_generator *generator, double rate);
double wt_sample_gamma(wt_generator *generator, double shape);
double wt_sample_binomial(wt_generator *generator, double count, double probability);

/* Dense fills of `count` elements in the order of their addresses: uniform in [from, to), and
 * normal by blocks of sixteen (count >= 16). float32. */
void wt_fill_uniform_f32(wt_generator *generator, float *out, wt_word count, float from, float to);
void wt_fill_normal_f32(wt_generator *generator, float *out, wt_word count, float mean, float std);
/* The same normal stream in float64, and in the half dtypes, which draw block by block. */
void wt_fill_normal_f64(wt_generator *generator, double *out, wt_word count, double mean,
                        double std);
void wt_fill_normal_half(wt_generator *generator, uint16_t *out, wt_word count, float mean,
                         float std, wt_word dtype);

/* x * (to - from) + from, rounded once. */
float wt_scale_uniform_f32(float x, float from, float to);
double wt_scale_uniform_f64(double x, double from, double to);

#endif
