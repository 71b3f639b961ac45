/* The test harness: cases register themselves, checks count, and a failing check names its place.
 *
 *   TEST(gemm_matches_reference) { ... CHECK(status == WT_OK); CHECK_CLOSE(got, expected, 1e-5); }
 */
#ifndef WASM_TORCH_CHECK_H
#define WASM_TORCH_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

typedef struct check_case {
  const char *name;
  void (*run)(void);
  struct check_case *next;
} check_case;

void check_register(check_case *entry);
void check_count(bool passed, const char *file, int line, const char *text);
/* |got - expected| <= tolerance * max(1, |expected|); NaN equals NaN, infinities equal themselves.
 */
bool check_close(double got, double expected, double tolerance);
void check_close_report(double got, double expected, double tolerance, const char *file, int line);

#define TEST(name)                                                                                 \
  static void test_##name(void);                                                                   \
  static check_case case_##name = {#name, test_##name, NULL};                                      \
  __attribute__((constructor)) static void register_##name(void) { check_register(&case_##name); } \
  static void test_##name(void)

#define CHECK(condition) check_count((condition), __FILE__, __LINE__, #condition)
#define CHECK_CLOSE(got, expected, tolerance) \
  check_close_report((got), (expected), (tolerance), __FILE__, __LINE__)

/* ---- a seeded generator (splitmix64), so that failures repeat ------------------------------- */
typedef struct check_random {
  uint64_t state;
} check_random;

static inline uint64_t check_next(check_random *random) {
  uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
/* Uniform in [low, high). */
static inline double check_uniform(check_random *random, double low, double high) {
  return low + (high - low) * (double)(check_next(random) >> 11) * 0x1p-53;
}
/* Uniform integer in [low, high]. */
static inline int64_t check_integer(check_random *random, int64_t low, int64_t high) {
  return low + (int64_t)(check_next(random) % (uint64_t)(high - low + 1));
}

/* ---- tensors over test memory ---------------------------------------------------------------- */
/* Row-major description of `data`; the variadic form is CHECK_TENSOR(data, WT_FLOAT32, 2, 3, 4). */
wt_tensor check_tensor(const void *data, int dtype, int ndim, const wt_word *size);
#define CHECK_TENSOR(data, dtype, ...)                                                     \
  check_tensor((data), (dtype), (int)(sizeof((wt_word[]){__VA_ARGS__}) / sizeof(wt_word)), \
               (const wt_word[]){__VA_ARGS__})
wt_tensor check_absent(void);
/* Swaps two dimensions of a description. */
wt_tensor check_transposed(wt_tensor tensor, int a, int b);

/* Element p (in row-major order of the tensor's own size) as a double, and its store. */
double check_get(const wt_tensor *tensor, int64_t p);
void check_set(const wt_tensor *tensor, int64_t p, double value);
/* Fills with uniform values, rounded to integers for integral dtypes, 0/1 for bool. */
void check_fill(const wt_tensor *tensor, check_random *random, double low, double high);

#endif
