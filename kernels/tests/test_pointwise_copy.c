/* copy between all dtypes and layouts, fill, arange, linspace, triangle. */
#include "layouts.h"

static const int dtypes[] = {WT_UINT8, WT_INT8,    WT_INT16,   WT_INT32,   WT_INT64,
                             WT_BOOL,  WT_FLOAT16, WT_FLOAT32, WT_FLOAT64, WT_BFLOAT16};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

static bool is_float(wt_word dtype) {
  return dtype == WT_FLOAT16 || dtype == WT_FLOAT32 || dtype == WT_FLOAT64 || dtype == WT_BFLOAT16;
}

/* The value as the target's dtype holds it. */
static double converted(int dtype, double value) {
  switch (dtype) {
    case WT_UINT8:
      return (uint8_t)(int64_t)value;
    case WT_INT8:
      return (int8_t)(int64_t)value;
    case WT_INT16:
      return (int16_t)(int64_t)value;
    case WT_INT32:
      return (int32_t)(int64_t)value;
    case WT_INT64:
      return (double)(int64_t)value;
    case WT_BOOL:
      return value != 0;
    case WT_FLOAT16:
      return wt_half_to_float(wt_float_to_half((float)value));
    case WT_BFLOAT16:
      return wt_bfloat16_to_float(wt_float_to_bfloat16((float)value));
    case WT_FLOAT32:
      return (float)value;
    default:
      return value;
  }
}

static int64_t mismatches(const wt_tensor *out, const wt_tensor *self) {
  int64_t count = 0;
  for (int64_t p = 0; p < out->numel; p++) {
    count += check_get(out, p) != converted((int)out->dtype, check_get(self, p));
  }
  return count;
}

static void copy_case(check_random *random, int target, int source, int ndim, const wt_word *size) {
  wt_tensor self = layout_tensor(random, source, ndim, size, layout_any(random));
  wt_tensor out = layout_tensor(random, target, ndim, size, layout_any(random));
  check_fill(&self, random, source == WT_UINT8 ? 0 : -120, 120);
  wt_tensor view = self;
  if (ndim > 0 && check_next(random) % 4 == 0) view.stride[check_integer(random, 0, ndim - 1)] = 0;
  wt_copy_args args = {sizeof args, out, view};
  CHECK(wt_copy(&args) == WT_OK);
  CHECK(mismatches(&out, &view) == 0);
  layout_free(&self);
  layout_free(&out);
}

TEST(copy_converts_between_all_dtypes_and_layouts) {
  check_random random = {21};
  for (int target = 0; target < DTYPES; target++) {
    for (int source = 0; source < DTYPES; source++) {
      for (int repeat = 0; repeat < 12; repeat++) {
        wt_word size[4];
        const int ndim = (int)check_integer(&random, 0, 4);
        for (int d = 0; d < ndim; d++) size[d] = check_integer(&random, 1, repeat < 2 ? 23 : 7);
        copy_case(&random, dtypes[target], dtypes[source], ndim, size);
      }
    }
  }
}

/* Transposes and channel permutations of odd sizes, past the block and thread limits. */
TEST(copy_permutes_large_tensors) {
  const wt_word shapes[][4] = {{1, 1, 203, 331}, {2, 3, 67, 129}, {3, 64, 15, 17}, {2, 5, 1, 4099}};
  check_random random = {22};
  for (size_t k = 0; k < 4; k++) {
    for (int dtype = 0; dtype < DTYPES; dtype++) {
      wt_tensor self = layout_tensor(&random, dtypes[dtype], 4, shapes[k], LAYOUT_CONTIGUOUS);
      check_fill(&self, &random, 0, 100);
      const wt_tensor turned = check_transposed(check_transposed(self, 1, 2), 2, 3);
      wt_tensor out = layout_tensor(&random, dtypes[dtype], 4, turned.size, LAYOUT_CONTIGUOUS);
      wt_copy_args args = {sizeof args, out, turned};
      CHECK(wt_copy(&args) == WT_OK);
      CHECK(mismatches(&out, &turned) == 0);
      layout_free(&self);
      layout_free(&out);
    }
  }
}

TEST(copy_reads_negative_strides) {
  const float data[6] = {1, 2, 3, 4, 5, 6};
  float flipped[6] = {0};
  wt_tensor self = CHECK_TENSOR(data, WT_FLOAT32, 2, 3),
            out = CHECK_TENSOR(flipped, WT_FLOAT32, 2, 3);
  self.data += 5 * (wt_word)sizeof(float);
  self.stride[0] = -3;
  self.stride[1] = -1;
  wt_copy_args args = {sizeof args, out, self};
  CHECK(wt_copy(&args) == WT_OK);
  for (int i = 0; i < 6; i++) CHECK(flipped[i] == (float)(6 - i));
}

/* int64 to float32 rounds once; NaN and what does not fit give x86's integers. */
TEST(copy_converts_edge_values) {
  const int64_t large[2] = {(INT64_C(1) << 60) + (INT64_C(1) << 36) + 1, INT64_MIN};
  float rounded[2] = {0};
  wt_copy_args to_float = {sizeof to_float, CHECK_TENSOR(rounded, WT_FLOAT32, 2),
                           CHECK_TENSOR(large, WT_INT64, 2)};
  CHECK(wt_copy(&to_float) == WT_OK);
  CHECK(rounded[0] == (float)large[0] && rounded[1] == -0x1p63f);
  const float odd[6] = {NAN, INFINITY, -INFINITY, 3e9f, -1.9f, 300.7f};
  int32_t narrow[6] = {0};
  int64_t wide[6] = {0};
  uint8_t byte[6] = {0};
  const wt_tensor source = CHECK_TENSOR(odd, WT_FLOAT32, 6);
  const wt_tensor targets[3] = {CHECK_TENSOR(narrow, WT_INT32, 6), CHECK_TENSOR(wide, WT_INT64, 6),
                                CHECK_TENSOR(byte, WT_UINT8, 6)};
  for (int k = 0; k < 3; k++) {
    wt_copy_args args = {sizeof args, targets[k], source};
    CHECK(wt_copy(&args) == WT_OK);
  }
  for (int i = 0; i < 4; i++) CHECK(narrow[i] == INT32_MIN && byte[i] == 0);
  for (int i = 0; i < 3; i++) CHECK(wide[i] == INT64_MIN);
  CHECK(wide[3] == 3000000000 && narrow[4] == -1 && wide[4] == -1 && byte[4] == 255);
  CHECK(narrow[5] == 300 && byte[5] == 44);
}

/* ---- fill, sequences ------------------------------------------------------------------------- */
TEST(fill_writes_every_element) {
  check_random random = {23};
  for (int k = 0; k < DTYPES; k++) {
    for (int repeat = 0; repeat < 8; repeat++) {
      const wt_word size[3] = {check_integer(&random, 1, 5), check_integer(&random, 1, 40),
                               check_integer(&random, 1, 9)};
      wt_tensor out = layout_tensor(&random, dtypes[k], 3, size, layout_any(&random));
      wt_fill_args args = {sizeof args, out, {3.5, 3}};
      CHECK(wt_fill(&args) == WT_OK);
      const double expected = is_float(out.dtype) ? 3.5 : dtypes[k] == WT_BOOL ? 1 : 3;
      for (int64_t p = 0; p < out.numel; p++) CHECK(check_get(&out, p) == expected);
      layout_free(&out);
    }
  }
  uint8_t flag = 0;
  wt_fill_args half = {sizeof half, CHECK_TENSOR(&flag, WT_BOOL, 1), {0.5, 0}};
  CHECK(wt_fill(&half) == WT_OK && flag == 1);
  wt_fill_args empty = {sizeof empty, CHECK_TENSOR(&flag, WT_BOOL, 0), {0, 0}};
  CHECK(wt_fill(&empty) == WT_OK && flag == 1);
}

TEST(arange_counts_in_every_dtype) {
  check_random random = {24};
  const wt_word counts[] = {0, 1, 7, 1000, 70001};
  for (int k = 0; k < DTYPES; k++) {
    if (dtypes[k] == WT_BOOL) continue;
    for (int c = 0; c < 5; c++) {
      wt_tensor out = layout_tensor(&random, dtypes[k], 1, &counts[c],
                                    c % 2 ? LAYOUT_STEPPED : LAYOUT_CONTIGUOUS);
      wt_arange_args args = {sizeof args, out, {-3, -3}, {2, 2}};
      CHECK(wt_arange(&args) == WT_OK);
      int64_t wrong = 0;
      for (int64_t p = 0; p < counts[c]; p++) {
        const double value = converted(dtypes[k], -3 + 2 * (double)p), got = check_get(&out, p);
        wrong += got != value;
      }
      CHECK(wrong == 0);
      layout_free(&out);
    }
  }
  int64_t exact[2] = {0};
  wt_arange_args beyond = {
      sizeof beyond, CHECK_TENSOR(exact, WT_INT64, 2), {0x1p60, (INT64_C(1) << 60) + 1}, {2, 2}};
  CHECK(wt_arange(&beyond) == WT_OK && exact[1] == (INT64_C(1) << 60) + 3);
}

TEST(linspace_reaches_both_ends) {
  float out[11] = {0};
  wt_linspace_args args = {sizeof args, CHECK_TENSOR(out, WT_FLOAT32, 11), 0.1, 0.7};
  CHECK(wt_linspace(&args) == WT_OK);
  CHECK(out[0] == 0.1f && out[10] == 0.7f);
  for (int i = 0; i < 11; i++) CHECK_CLOSE(out[i], 0.1 + 0.06 * i, 1e-7);
  args.out = CHECK_TENSOR(out, WT_FLOAT32, 1);
  CHECK(wt_linspace(&args) == WT_OK && out[0] == 0.1f);
  int32_t integers[4] = {0};
  wt_linspace_args whole = {sizeof whole, CHECK_TENSOR(integers, WT_INT32, 4), -1, 9};
  CHECK(wt_linspace(&whole) == WT_OK);
  CHECK(integers[0] == -1 && integers[1] == 2 && integers[2] == 5 && integers[3] == 9);
}

/* ---- triangle -------------------------------------------------------------------------------- */
static void triangle_case(check_random *random, int dtype, bool upper, wt_word diagonal) {
  const wt_word size[4] = {check_integer(random, 1, 2), check_integer(random, 1, 3),
                           check_integer(random, 1, 9), check_integer(random, 1, 9)};
  wt_tensor self = layout_tensor(random, dtype, 4, size, layout_any(random));
  wt_tensor out = layout_tensor(random, dtype, 4, size, layout_any(random));
  check_fill(&self, random, 1, 9);
  wt_triangle_args args = {sizeof args, out, self, diagonal, upper};
  CHECK(wt_triangle(&args) == WT_OK);
  for (int64_t p = 0; p < out.numel; p++) {
    const int64_t column = p % size[3], row = p / size[3] % size[2];
    const bool kept = upper ? column - row >= diagonal : column - row <= diagonal;
    CHECK(check_get(&out, p) == (kept ? check_get(&self, p) : 0));
  }
  layout_free(&self);
  layout_free(&out);
}

TEST(triangle_keeps_one_side) {
  check_random random = {25};
  for (int k = 0; k < DTYPES; k++) {
    for (int repeat = 0; repeat < 20; repeat++) {
      triangle_case(&random, dtypes[k], repeat % 2, check_integer(&random, -11, 11));
    }
  }
}
