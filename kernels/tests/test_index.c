/* Indexing, sorting and searching against direct scalar references, over dtypes and layouts. */
#include "check.h"
#include "layouts.h"

static const int DTYPES[] = {WT_UINT8,   WT_INT8,    WT_INT16,   WT_INT32, WT_INT64,
                             WT_FLOAT16, WT_FLOAT32, WT_FLOAT64, WT_BOOL,  WT_BFLOAT16};
enum { DTYPE_COUNT = 10, ROUNDS = 400 };

static int any_dtype(check_random *random) {
  return DTYPES[check_integer(random, 0, DTYPE_COUNT - 1)];
}

static int any_shape(check_random *random, wt_word *size, int least) {
  int ndim = (int)check_integer(random, least, 4);
  for (int d = 0; d < ndim; d++) size[d] = check_integer(random, 1, 5);
  return ndim;
}

static wt_tensor filled(check_random *random, int dtype, int ndim, const wt_word *size) {
  wt_tensor tensor = layout_tensor(random, dtype, ndim, size, layout_any(random));
  check_fill(&tensor, random, dtype == WT_UINT8 ? 0 : -9, 9);
  return tensor;
}

/* Fills an int64 tensor with indices low..high-1. */
static void fill_index(check_random *random, const wt_tensor *index, int64_t low, int64_t high) {
  for (int64_t p = 0; p < index->numel; p++) {
    check_set(index, p, (double)check_integer(random, low, high - 1));
  }
}

/* The row-major position, in `tensor`, of position p of `box` with coordinate `dim` replaced. */
static int64_t replaced(const wt_tensor *tensor, const wt_tensor *box, int64_t p, wt_word dim,
                        int64_t coordinate) {
  int64_t position = 0, factor = 1;
  for (wt_word d = box->ndim - 1; d >= 0; d--) {
    position += (d == dim ? coordinate : p % box->size[d]) * factor;
    factor *= tensor->size[d];
    p /= box->size[d];
  }
  return position;
}

static int64_t coordinate(const wt_tensor *tensor, int64_t p, wt_word dim) {
  for (wt_word d = tensor->ndim - 1; d > dim; d--) p /= tensor->size[d];
  return tensor->ndim ? p % tensor->size[dim] : 0;
}

TEST(gather_matches_reference) {
  check_random random = {1};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word size[4], box[4];
    int ndim = any_shape(&random, size, 0), dtype = any_dtype(&random);
    wt_word dim = ndim ? check_integer(&random, 0, ndim - 1) : 0;
    for (int d = 0; d < ndim; d++) box[d] = check_integer(&random, 1, d == dim ? 7 : size[d]);
    wt_tensor self = filled(&random, dtype, ndim, size);
    wt_tensor index = layout_tensor(&random, WT_INT64, ndim, box, layout_any(&random));
    wt_tensor out = layout_tensor(&random, dtype, ndim, box, layout_any(&random));
    fill_index(&random, &index, 0, ndim ? size[dim] : 1);
    wt_gather_args args = {sizeof args, out, self, index, dim};
    CHECK(wt_gather(&args) == WT_OK);
    for (int64_t p = 0; p < out.numel; p++) {
      int64_t from = replaced(&self, &index, p, dim, (int64_t)check_get(&index, p));
      CHECK(check_get(&out, p) == check_get(&self, from));
    }
    layout_free(&self), layout_free(&index), layout_free(&out);
  }
}

static double combined(double a, double b, wt_word mode) {
  switch (mode) {
    case WT_SCATTER_add:
      return a + b;
    case WT_SCATTER_multiply:
      return a * b;
    case WT_SCATTER_amax:
      return a > b ? a : b;
    case WT_SCATTER_amin:
      return a < b ? a : b;
    default:
      return b;
  }
}

TEST(scatter_matches_reference) {
  check_random random = {2};
  static const int dtypes[] = {WT_INT32, WT_INT64, WT_FLOAT32, WT_FLOAT64};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word size[4], box[4], mode = round % WT_SCATTER_COUNT;
    int ndim = any_shape(&random, size, 0), dtype = dtypes[check_integer(&random, 0, 3)];
    wt_word dim = ndim ? check_integer(&random, 0, ndim - 1) : 0;
    for (int d = 0; d < ndim; d++) box[d] = check_integer(&random, 1, d == dim ? 4 : size[d]);
    bool has_src = check_next(&random) & 1;
    wt_tensor out = filled(&random, dtype, ndim, size);
    wt_tensor index = layout_tensor(&random, WT_INT64, ndim, box, layout_any(&random));
    wt_tensor src = filled(&random, dtype, ndim, box);
    fill_index(&random, &index, 0, ndim ? size[dim] : 1);
    double *expected = malloc((size_t)out.numel * sizeof *expected);
    for (int64_t p = 0; p < out.numel; p++) expected[p] = check_get(&out, p);
    for (int64_t p = 0; p < index.numel; p++) {
      int64_t to = replaced(&out, &index, p, dim, (int64_t)check_get(&index, p));
      expected[to] = combined(expected[to], has_src ? check_get(&src, p) : 3, mode);
    }
    wt_scatter_args args = {sizeof args, out,  index, has_src ? src : check_absent(),
                            dim,         mode, {3, 3}};
    CHECK(wt_scatter(&args) == WT_OK);
    for (int64_t p = 0; p < out.numel; p++) CHECK_CLOSE(check_get(&out, p), expected[p], 1e-5);
    free(expected);
    layout_free(&out), layout_free(&index), layout_free(&src);
  }
}

TEST(index_select_matches_reference) {
  check_random random = {3};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word size[4], box[4], count = check_integer(&random, 0, 6);
    int ndim = any_shape(&random, size, 1), dtype = any_dtype(&random);
    wt_word dim = check_integer(&random, 0, ndim - 1);
    for (int d = 0; d < ndim; d++) box[d] = d == dim ? count : size[d];
    wt_tensor self = filled(&random, dtype, ndim, size);
    wt_tensor index =
        layout_tensor(&random, round & 1 ? WT_INT64 : WT_INT32, 1, &count, layout_any(&random));
    wt_tensor out = layout_tensor(&random, dtype, ndim, box, layout_any(&random));
    fill_index(&random, &index, 0, size[dim]);
    wt_index_select_args args = {sizeof args, out, self, index, dim};
    CHECK(wt_index_select(&args) == WT_OK);
    for (int64_t p = 0; p < out.numel; p++) {
      int64_t chosen = (int64_t)check_get(&index, coordinate(&out, p, dim));
      CHECK(check_get(&out, p) == check_get(&self, replaced(&self, &out, p, dim, chosen)));
    }
    layout_free(&self), layout_free(&index), layout_free(&out);
  }
}

TEST(index_kernels_refuse_indices_out_of_range) {
  float self_data[6] = {0}, out_data[6] = {0};
  int64_t indices[1] = {3}, offsets[1] = {0};
  wt_tensor self = CHECK_TENSOR(self_data, WT_FLOAT32, 3, 2);
  wt_tensor out = CHECK_TENSOR(out_data, WT_FLOAT32, 1, 1);
  wt_tensor row = CHECK_TENSOR(out_data, WT_FLOAT32, 1, 2);
  wt_tensor index = CHECK_TENSOR(indices, WT_INT64, 1, 1);
  wt_tensor list = CHECK_TENSOR(indices, WT_INT64, 1);
  wt_gather_args gather = {sizeof gather, out, self, index, 0};
  wt_scatter_args scatter = {sizeof scatter, self, index, out, 0, WT_SCATTER_add, {0, 0}};
  wt_index_select_args select = {sizeof select, row, self, list, 0};
  wt_index_offset_args offset = {sizeof offset, CHECK_TENSOR(offsets, WT_INT64, 1), list, 0, 3, 2};
  for (int i = 0; i < 2; i++) {
    indices[0] = i ? -1 : 3;
    CHECK(wt_gather(&gather) == WT_INDEX_OUT_OF_RANGE);
    CHECK(wt_scatter(&scatter) == WT_INDEX_OUT_OF_RANGE);
    CHECK(wt_index_select(&select) == WT_INDEX_OUT_OF_RANGE);
  }
  indices[0] = 3;
  CHECK(wt_index_offset(&offset) == WT_INDEX_OUT_OF_RANGE);
  indices[0] = -4;
  wt_error_detail(); /* reading the detail makes room for that of the next failure */
  CHECK(wt_index_offset(&offset) == WT_INDEX_OUT_OF_RANGE);
  const int64_t *detail = (const int64_t *)wt_error_detail();
  CHECK(detail[2] == 3);
  indices[0] = -3;
  CHECK(wt_index_offset(&offset) == WT_OK && offsets[0] == 0);
}

/* self[i, :, j] for index vectors i, j of one shape: offsets over both, a full middle dimension. */
TEST(offsets_match_reference) {
  check_random random = {4};
  static const int dtypes[] = {WT_UINT8, WT_INT16, WT_INT64, WT_FLOAT16, WT_FLOAT32, WT_FLOAT64};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word size[3], count = check_integer(&random, 1, 9);
    for (int d = 0; d < 3; d++) size[d] = check_integer(&random, 1, 6);
    int dtype = dtypes[round % 6];
    bool accumulate = check_next(&random) & 1, scatter = check_next(&random) & 1;
    wt_word box[2] = {count, size[1]};
    wt_tensor self = filled(&random, dtype, 3, size);
    wt_tensor i = layout_tensor(&random, WT_INT64, 1, &count, layout_any(&random));
    wt_tensor j = layout_tensor(&random, WT_INT64, 1, &count, layout_any(&random));
    wt_tensor values = filled(&random, dtype, 2, box);
    wt_tensor offsets = layout_tensor(&random, WT_INT64, 1, &count, LAYOUT_CONTIGUOUS);
    fill_index(&random, &i, -size[0], size[0]);
    fill_index(&random, &j, -size[2], size[2]);
    wt_index_offset_args first = {sizeof first, offsets, i, 0, size[0], self.stride[0]};
    wt_index_offset_args second = {sizeof second, offsets, j, 2, size[2], self.stride[2]};
    CHECK(wt_index_offset(&first) == WT_OK && wt_index_offset(&second) == WT_OK);
    wt_tensor rows = self, expanded = offsets; /* both (count, size[1]) */
    rows.ndim = expanded.ndim = 2;
    rows.numel = expanded.numel = count * size[1];
    rows.size[0] = expanded.size[0] = count;
    rows.size[1] = expanded.size[1] = size[1];
    rows.stride[0] = 0, rows.stride[1] = self.stride[1];
    expanded.stride[1] = 0;
    double *expected = malloc((size_t)self.numel * sizeof *expected);
    for (int64_t p = 0; p < self.numel; p++) expected[p] = check_get(&self, p);
    for (int64_t p = 0; p < values.numel; p++) {
      int64_t c = p / size[1], a = (int64_t)check_get(&i, c), b = (int64_t)check_get(&j, c);
      a += a < 0 ? size[0] : 0, b += b < 0 ? size[2] : 0;
      int64_t at = (a * size[1] + p % size[1]) * size[2] + b;
      if (scatter) expected[at] = (accumulate ? expected[at] : 0) + check_get(&values, p);
    }
    if (scatter) {
      wt_scatter_offsets_args args = {sizeof args, rows, expanded, values, accumulate};
      CHECK(wt_scatter_offsets(&args) == WT_OK);
    } else {
      wt_gather_offsets_args args = {sizeof args, values, rows, expanded};
      CHECK(wt_gather_offsets(&args) == WT_OK);
      for (int64_t p = 0; p < values.numel; p++) {
        int64_t c = p / size[1], a = (int64_t)check_get(&i, c), b = (int64_t)check_get(&j, c);
        a += a < 0 ? size[0] : 0, b += b < 0 ? size[2] : 0;
        CHECK(check_get(&values, p) == expected[(a * size[1] + p % size[1]) * size[2] + b]);
      }
    }
    double tolerance = dtype == WT_FLOAT16 ? 2e-2 : 1e-5;
    for (int64_t p = 0; p < self.numel; p++) {
      double value = dtype == WT_UINT8 ? (uint8_t)expected[p] : expected[p];
      CHECK_CLOSE(check_get(&self, p), value, tolerance);
    }
    free(expected);
    layout_free(&self), layout_free(&i), layout_free(&j), layout_free(&values);
    layout_free(&offsets);
  }
}

/* Enough work for the threads: sums of repeated rows are the same in every run. */
TEST(scatter_offsets_accumulates_wide_rows_in_order) {
  enum { ROWS = 300, WIDTH = 700, TARGETS = 7 };
  float *self = calloc(TARGETS * WIDTH, sizeof *self);
  float *values = malloc(ROWS * WIDTH * sizeof *values);
  float *expected = calloc(TARGETS * WIDTH, sizeof *expected);
  int64_t offsets[ROWS];
  check_random random = {5};
  for (int p = 0; p < ROWS * WIDTH; p++) values[p] = (float)check_uniform(&random, -1, 1);
  for (int r = 0; r < ROWS; r++) offsets[r] = check_integer(&random, 0, TARGETS - 1) * WIDTH;
  for (int r = 0; r < ROWS; r++) {
    for (int c = 0; c < WIDTH; c++) expected[offsets[r] + c] += values[r * WIDTH + c];
  }
  wt_tensor rows = CHECK_TENSOR(self, WT_FLOAT32, ROWS, WIDTH);
  wt_tensor places = CHECK_TENSOR(offsets, WT_INT64, ROWS, WIDTH);
  rows.stride[0] = 0;
  places.stride[0] = 1, places.stride[1] = 0;
  wt_scatter_offsets_args args = {sizeof args, rows, places,
                                  CHECK_TENSOR(values, WT_FLOAT32, ROWS, WIDTH), 1};
  CHECK(wt_scatter_offsets(&args) == WT_OK);
  CHECK(memcmp(self, expected, TARGETS * WIDTH * sizeof *self) == 0);
  free(self), free(values), free(expected);
}

TEST(nonzero_matches_reference) {
  check_random random = {6};
  for (int round = 0; round < ROUNDS; round++) {
    wt_word size[4], count = 0;
    int ndim = any_shape(&random, size, 0), dtype = any_dtype(&random);
    wt_tensor self = layout_tensor(&random, dtype, ndim, size, layout_any(&random));
    for (int64_t p = 0; p < self.numel; p++) {
      double value = check_next(&random) & 1;
      count += value != 0;
      check_set(&self, p, value);
    }
    wt_word box[2] = {count, ndim};
    wt_tensor out = layout_tensor(&random, WT_INT64, 2, box, layout_any(&random));
    wt_nonzero_args args = {sizeof args, out, self};
    CHECK(wt_nonzero(&args) == WT_OK);
    int64_t row = 0;
    for (int64_t p = 0; p < self.numel; p++) {
      if (check_get(&self, p) == 0) continue;
      for (int d = 0; d < ndim; d++) {
        CHECK(check_get(&out, row * ndim + d) == (double)coordinate(&self, p, d));
      }
      row++;
    }
    args.out.size[0] = count + 1;
    CHECK(wt_nonzero(&args) == WT_BAD_ARGUMENT);
    layout_free(&self), layout_free(&out);
  }
}

/* ---- sorting -------------------------------------------------------------------------------- */
/* Whether a comes strictly before b: NaN is greatest, zeros are equal. */
static bool precedes(double a, double b, bool descending) {
  if (descending) return isnan(a) ? !isnan(b) : !isnan(b) && a > b;
  return isnan(b) ? !isnan(a) : !isnan(a) && a < b;
}

/* Values with many ties, and in floats also NaN, infinities and both zeros. */
static void fill_sortable(check_random *random, const wt_tensor *tensor) {
  check_fill(tensor, random, tensor->dtype == WT_UINT8 ? 0 : -20, 20);
  static const double special[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1.5};
  if (tensor->dtype != WT_FLOAT16 && tensor->dtype != WT_BFLOAT16 && tensor->dtype != WT_FLOAT32 &&
      tensor->dtype != WT_FLOAT64) {
    return;
  }
  for (int64_t p = 0; p < tensor->numel; p += check_integer(random, 1, 6)) {
    check_set(tensor, p, special[check_integer(random, 0, 5)]);
  }
}

static void check_order(check_random *random, int dtype, wt_word length, wt_word k, bool topk) {
  wt_word size[3] = {2, 3, 2}, box[3] = {2, 3, 2}, dim = check_integer(random, 0, 2);
  bool descending = check_next(random) & 1;
  size[dim] = length;
  box[dim] = k;
  wt_tensor self = layout_tensor(random, dtype, 3, size, layout_any(random));
  wt_tensor values = layout_tensor(random, dtype, 3, box, layout_any(random));
  wt_tensor indices = layout_tensor(random, WT_INT64, 3, box, layout_any(random));
  fill_sortable(random, &self);
  if (topk) {
    wt_topk_args args = {sizeof args, values, indices, self, k, dim, descending};
    CHECK(wt_topk(&args) == WT_OK);
  } else {
    wt_sort_args args = {sizeof args, values, indices, self, dim, descending};
    CHECK(wt_sort(&args) == WT_OK);
  }
  for (int64_t p = 0; p < values.numel; p++) {
    int64_t i = coordinate(&values, p, dim);
    int64_t index = (int64_t)check_get(&indices, p);
    double value = check_get(&values, p);
    CHECK(index >= 0 && index < length);
    CHECK_CLOSE(check_get(&self, replaced(&self, &values, p, dim, index)), value, 0);
    int64_t before = 0; /* elements that must stand in front of this one */
    for (int64_t j = 0; j < length; j++) {
      double other = check_get(&self, replaced(&self, &values, p, dim, j));
      bool ties = !precedes(other, value, descending) && !precedes(value, other, descending);
      before += precedes(other, value, descending) || (ties && j < index);
    }
    CHECK(before == i);
  }
  layout_free(&self), layout_free(&values), layout_free(&indices);
}

TEST(sort_is_stable_and_ordered) {
  check_random random = {7};
  static const wt_word lengths[] = {1, 2, 7, 48, 49, 130};
  for (int round = 0; round < 240; round++) {
    wt_word length = lengths[round % 6];
    check_order(&random, DTYPES[round % DTYPE_COUNT], length, length, false);
  }
}

TEST(topk_gives_first_of_sorted) {
  check_random random = {8};
  for (int round = 0; round < 240; round++) {
    wt_word length = check_integer(&random, 1, 120);
    wt_word k = check_integer(&random, 0, round & 1 ? length : length / 16);
    check_order(&random, DTYPES[round % DTYPE_COUNT], length, k, true);
  }
}

TEST(sort_tells_large_integers_apart) {
  int64_t self[4] = {((int64_t)1 << 53) + 1, (int64_t)1 << 53, INT64_MIN, INT64_MAX};
  int64_t values[4] = {0}, indices[4] = {0};
  wt_sort_args args = {sizeof args,
                       CHECK_TENSOR(values, WT_INT64, 4),
                       CHECK_TENSOR(indices, WT_INT64, 4),
                       CHECK_TENSOR(self, WT_INT64, 4),
                       0,
                       0};
  CHECK(wt_sort(&args) == WT_OK);
  CHECK(indices[0] == 2 && indices[1] == 1 && indices[2] == 0 && indices[3] == 3);
}

TEST(topk_refuses_k_beyond_length) {
  float self[3] = {1, 2, 3}, values[4] = {0};
  int64_t indices[4] = {0};
  wt_topk_args args = {.size_bytes = sizeof args,
                       .values = CHECK_TENSOR(values, WT_FLOAT32, 4),
                       .indices = CHECK_TENSOR(indices, WT_INT64, 4),
                       .self = CHECK_TENSOR(self, WT_FLOAT32, 3),
                       .k = 4};
  CHECK(wt_topk(&args) == WT_BAD_ARGUMENT);
}

TEST(searchsorted_matches_reference) {
  check_random random = {9};
  for (int round = 0; round < ROUNDS; round++) {
    int dtype = any_dtype(&random);
    bool right = check_next(&random) & 1, shared = check_next(&random) & 1;
    wt_word length = check_integer(&random, 0, 12), rows = check_integer(&random, 1, 4);
    wt_word sorted_size[2] = {rows, length}, values_size[2] = {rows, check_integer(&random, 1, 6)};
    wt_tensor sorted = layout_tensor(&random, dtype, 2, sorted_size, layout_any(&random));
    wt_tensor values = filled(&random, dtype, 2, values_size);
    wt_tensor out = layout_tensor(&random, WT_INT64, 2, values_size, layout_any(&random));
    for (int64_t p = 0; p < sorted.numel; p++) {
      check_set(&sorted, p, (double)(dtype == WT_BOOL ? p % length > length / 2 : p % length * 2));
    }
    wt_tensor row = sorted;
    if (shared) {
      row.ndim = 1, row.numel = length;
      row.size[0] = length, row.stride[0] = sorted.stride[1];
    }
    wt_searchsorted_args args = {sizeof args, out, row, values, right};
    CHECK(wt_searchsorted(&args) == WT_OK);
    for (int64_t p = 0; p < out.numel; p++) {
      int64_t first = shared ? 0 : p / values_size[1] * length, expected = 0;
      double value = check_get(&values, p);
      for (int64_t i = 0; i < length; i++) {
        double element = check_get(&sorted, first + i);
        expected += right ? element <= value : element < value;
      }
      CHECK(check_get(&out, p) == (double)expected);
    }
    layout_free(&sorted), layout_free(&values), layout_free(&out);
  }
}
