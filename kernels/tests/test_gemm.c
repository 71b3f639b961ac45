/* gemm against sums in double precision: shapes around the tiles and blocks, strides, broadcasts,
 * every dtype, and the optimised path against the scalar reference. */
#include "check.h"
#include "gemm/gemm.h"

typedef struct layout {
  bool transposed;          /* columns of the matrix are dense, not its rows */
  wt_word gap;              /* elements between lines */
  wt_word step;             /* stride of the inner dimension */
  bool shared;              /* one matrix for all batch entries */
  bool one_row, one_column; /* broadcast along the rows or the columns */
} layout;

/* A (batch, rows, columns) tensor over fresh memory, laid out as asked. */
static wt_tensor make_matrix(int dtype, wt_word batch, wt_word rows, wt_word columns, layout how) {
  wt_word inner = how.transposed ? rows : columns, outer = how.transposed ? columns : rows;
  wt_word line = inner * how.step + how.gap, entry = line * outer + 3;
  void *memory = calloc((size_t)(entry * batch + 1), wt_dtype_size(dtype));
  wt_tensor tensor = CHECK_TENSOR(memory, dtype, batch, rows, columns);
  tensor.stride[0] = how.shared ? 0 : entry;
  tensor.stride[1] = how.transposed ? how.step : line;
  tensor.stride[2] = how.transposed ? line : how.step;
  if (how.one_row) tensor.stride[1] = 0;
  if (how.one_column) tensor.stride[2] = 0;
  return tensor;
}

static layout random_layout(check_random *random, bool may_broadcast) {
  layout how = {.transposed = check_integer(random, 0, 1),
                .gap = check_integer(random, 0, 2) == 0 ? check_integer(random, 1, 5) : 0,
                .step = check_integer(random, 0, 3) == 0 ? 2 : 1};
  if (may_broadcast) {
    how.shared = check_integer(random, 0, 2) == 0;
    how.one_row = check_integer(random, 0, 5) == 0;
    how.one_column = check_integer(random, 0, 5) == 0;
  }
  return how;
}

static void release(wt_tensor *tensor) {
  if (wt_is_present(tensor)) free((void *)tensor->data);
}

/* What the kernel should give, wrapped around for integers. */
static double expected_at(const wt_gemm_args *args, wt_word entry, wt_word row, wt_word column,
                          double *magnitude) {
  const wt_tensor *a = &args->a, *b = &args->b;
  double sum = 0, largest = 0;
  for (wt_word d = 0; d < a->size[2]; d++) {
    double product = check_get(a, (entry * a->size[1] + row) * a->size[2] + d) *
                     check_get(b, (entry * b->size[1] + d) * b->size[2] + column);
    sum += product;
    largest += fabs(product);
  }
  sum *= args->alpha;
  largest *= fabs(args->alpha);
  if (wt_is_present(&args->bias) && args->beta != 0) {
    double bias = args->beta *
                  check_get(&args->bias, (entry * a->size[1] + row) * args->bias.size[2] + column);
    sum += bias;
    largest += fabs(bias);
  }
  *magnitude = largest;
  return sum;
}

static double wrap(double value, int dtype) {
  if (dtype == WT_UINT8) return (double)(uint8_t)(int64_t)value;
  if (dtype == WT_INT8) return (double)(int8_t)(int64_t)value;
  if (dtype == WT_INT16) return (double)(int16_t)(int64_t)value;
  if (dtype == WT_INT32) return (double)(int32_t)(int64_t)value;
  return value;
}

static double precision_of(int dtype) {
  switch (dtype) {
    case WT_FLOAT16:
      return 1e-3;
    case WT_BFLOAT16:
      return 8e-3;
    case WT_FLOAT32:
      return 1e-6;
    case WT_FLOAT64:
      return 1e-14;
    default:
      return 0;
  }
}

static void check_result(const wt_gemm_args *args) {
  const wt_tensor *out = &args->out;
  wt_word rows = out->size[1], columns = out->size[2], wrong = 0;
  for (wt_word p = 0; p < out->numel; p++) {
    double magnitude;
    double expected =
        expected_at(args, p / columns / rows, p / columns % rows, p % columns, &magnitude);
    /* Equal products, as broadcasts give, round all the same way: errors grow with the depth. */
    double tolerance =
        precision_of(out->dtype) * (1 + (double)args->a.size[2] / 16) * (magnitude + 1e-30);
    if (!(fabs(check_get(out, p) - wrap(expected, out->dtype)) <= tolerance)) wrong++;
  }
  CHECK(wrong == 0);
}

typedef struct shape {
  wt_word batch, rows, columns, depth;
} shape;

static void run_case(check_random *random, int dtype, shape s, bool bias, double alpha,
                     double beta) {
  layout out_layout = random_layout(random, false);
  wt_gemm_args args = {.size_bytes = sizeof args, .alpha = alpha, .beta = beta};
  args.out = make_matrix(dtype, s.batch, s.rows, s.columns, out_layout);
  args.a = make_matrix(dtype, s.batch, s.rows, s.depth, random_layout(random, true));
  args.b = make_matrix(dtype, s.batch, s.depth, s.columns, random_layout(random, true));
  args.bias = bias ? make_matrix(dtype, s.batch, s.rows, s.columns, random_layout(random, true))
                   : check_absent();
  double high = dtype == WT_INT32 || dtype == WT_INT64 ? 1000 : 9;
  double low = dtype == WT_UINT8 ? 0 : -high;
  check_fill(&args.a, random, low, high);
  check_fill(&args.b, random, low, high);
  if (bias) check_fill(&args.bias, random, low, high);
  if (dtype <= WT_INT64)
    for (wt_word p = 0; p < args.out.numel; p++) check_set(&args.out, p, 77);
  else
    for (wt_word p = 0; p < args.out.numel; p++) check_set(&args.out, p, NAN);
  CHECK(wt_gemm(&args) == WT_OK);
  check_result(&args);
  release(&args.out);
  release(&args.a);
  release(&args.b);
  release(&args.bias);
}

static const int all_dtypes[] = {WT_UINT8,   WT_INT8,    WT_INT16,   WT_INT32,   WT_INT64,
                                 WT_FLOAT16, WT_FLOAT32, WT_FLOAT64, WT_BFLOAT16};

TEST(gemm_random_shapes) {
  check_random random = {1};
  for (int round = 0; round < 600; round++) {
    int dtype = round % 3 == 0 ? all_dtypes[check_integer(&random, 0, 8)] : WT_FLOAT32;
    shape s = {check_integer(&random, 1, 3), check_integer(&random, 1, 40),
               check_integer(&random, 1, 40), check_integer(&random, 1, 70)};
    bool bias = check_integer(&random, 0, 1);
    double alpha = check_integer(&random, 0, 2) ? 1 : check_integer(&random, -3, 3);
    double beta = check_integer(&random, 0, 2) ? 1 : check_integer(&random, 0, 2);
    run_case(&random, dtype, s, bias, alpha, beta);
  }
}

TEST(gemm_blocks_and_depth_steps) {
  check_random random = {2};
  const shape shapes[] = {{1, 131, 70, 515}, {1, 67, 530, 33}, {2, 65, 65, 257},
                          {1, 260, 9, 300},  {1, 5, 600, 256}, {40, 8, 8, 65}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int repeat = 0; repeat < 2; repeat++) {
      run_case(&random, WT_FLOAT32, shapes[i], repeat, 1, 0.5);
      run_case(&random, WT_FLOAT64, shapes[i], repeat, -0.5, 1);
    }
}

TEST(gemm_vectors) {
  check_random random = {3};
  for (int round = 0; round < 120; round++) {
    wt_word length = check_integer(&random, 1, 300);
    shape s = {check_integer(&random, 1, 3), 1, length, check_integer(&random, 60, 200)};
    if (round & 1) s = (shape){s.batch, s.columns, 1, s.depth};
    run_case(&random, round % 5 == 0 ? WT_INT64 : WT_FLOAT32, s, round & 2, 1, 2);
  }
}

TEST(gemm_deeper_than_a_slab) {
  check_random random = {4};
  run_case(&random, WT_FLOAT32, (shape){1, 6, 10, 20000}, true, 1, 1);
}

/* A bias of NaN with beta 0, and operands of NaN with alpha 0, leave no trace, as in BLAS. */
TEST(gemm_zero_factors) {
  float a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 0, 0, 1, 1, 1}, bias[4] = {NAN, NAN, NAN, NAN};
  float out[4] = {NAN, NAN, NAN, NAN};
  wt_gemm_args args = {.size_bytes = sizeof args,
                       .out = CHECK_TENSOR(out, WT_FLOAT32, 1, 2, 2),
                       .a = CHECK_TENSOR(a, WT_FLOAT32, 1, 2, 3),
                       .b = CHECK_TENSOR(b, WT_FLOAT32, 1, 3, 2),
                       .bias = CHECK_TENSOR(bias, WT_FLOAT32, 1, 2, 2),
                       .alpha = 1,
                       .beta = 0};
  CHECK(wt_gemm(&args) == WT_OK);
  CHECK(out[0] == 4 && out[1] == 5 && out[2] == 10 && out[3] == 11);
  for (int i = 0; i < 4; i++) bias[i] = (float)i;
  a[0] = NAN;
  args.alpha = 0;
  args.beta = 2;
  CHECK(wt_gemm(&args) == WT_OK);
  CHECK(out[0] == 0 && out[1] == 2 && out[2] == 4 && out[3] == 6);
}

/* addmm_ and baddbmm_ pass out as the bias, too. */
TEST(gemm_bias_is_out) {
  check_random random = {5};
  const shape shapes[] = {{1, 4, 4, 4}, {2, 50, 61, 300}, {1, 1, 90, 100}};
  for (int i = 0; i < 3; i++) {
    shape s = shapes[i];
    layout dense = {.step = 1};
    wt_gemm_args args = {.size_bytes = sizeof args, .alpha = 1, .beta = 1};
    args.out = make_matrix(WT_FLOAT32, s.batch, s.rows, s.columns, dense);
    args.a = make_matrix(WT_FLOAT32, s.batch, s.rows, s.depth, dense);
    args.b = make_matrix(WT_FLOAT32, s.batch, s.depth, s.columns, dense);
    wt_tensor before = make_matrix(WT_FLOAT32, s.batch, s.rows, s.columns, dense);
    check_fill(&args.a, &random, -1, 1);
    check_fill(&args.b, &random, -1, 1);
    check_fill(&before, &random, -1, 1);
    for (wt_word p = 0; p < before.numel; p++) check_set(&args.out, p, check_get(&before, p));
    args.bias = args.out;
    CHECK(wt_gemm(&args) == WT_OK);
    args.bias = before;
    check_result(&args);
    release(&args.out);
    release(&args.a);
    release(&args.b);
    release(&before);
  }
}

TEST(gemm_empty) {
  float a[1] = {1}, bias[6] = {1, 2, 3, 4, 5, 6}, out[6] = {9, 9, 9, 9, 9, 9};
  wt_gemm_args args = {.size_bytes = sizeof args,
                       .out = CHECK_TENSOR(out, WT_FLOAT32, 1, 2, 3),
                       .a = CHECK_TENSOR(a, WT_FLOAT32, 1, 2, 0),
                       .b = CHECK_TENSOR(a, WT_FLOAT32, 1, 0, 3),
                       .bias = CHECK_TENSOR(bias, WT_FLOAT32, 1, 2, 3),
                       .alpha = 1,
                       .beta = 1};
  CHECK(wt_gemm(&args) == WT_OK);
  for (int i = 0; i < 6; i++) CHECK(out[i] == bias[i]);
  args.bias = check_absent();
  CHECK(wt_gemm(&args) == WT_OK);
  for (int i = 0; i < 6; i++) CHECK(out[i] == 0);
}

TEST(gemm_refuses) {
  float data[4] = {0};
  uint8_t flags[4] = {0};
  wt_gemm_args args = {.size_bytes = sizeof args,
                       .out = CHECK_TENSOR(data, WT_FLOAT32, 1, 2, 2),
                       .a = CHECK_TENSOR(data, WT_FLOAT32, 1, 2, 2),
                       .b = CHECK_TENSOR(data, WT_FLOAT32, 1, 1, 2),
                       .bias = check_absent(),
                       .alpha = 1};
  CHECK(wt_gemm(&args) == WT_BAD_ARGUMENT);
  args.out = args.a = args.b = CHECK_TENSOR(flags, WT_BOOL, 1, 2, 2);
  CHECK(wt_gemm(&args) == WT_UNSUPPORTED_DTYPE);
}

/* The scalar reference is what the engine without SIMD runs. */
TEST(gemm_reference_agrees) {
  check_random random = {6};
  const wt_word dtypes[] = {WT_FLOAT32, WT_FLOAT64, WT_INT32, WT_INT64};
  for (int i = 0; i < 4; i++) {
    layout dense = {.step = 1};
    wt_gemm_args args = {.size_bytes = sizeof args, .alpha = 2, .beta = 3};
    args.out = make_matrix((int)dtypes[i], 2, 19, 23, dense);
    args.a = make_matrix((int)dtypes[i], 2, 19, 31, dense);
    args.b = make_matrix((int)dtypes[i], 2, 31, 23, dense);
    args.bias = make_matrix((int)dtypes[i], 2, 19, 23, dense);
    check_fill(&args.a, &random, -5, 5);
    check_fill(&args.b, &random, -5, 5);
    check_fill(&args.bias, &random, -5, 5);
    wt_gemm_problem problem = {.batch = 2,
                               .rows = 19,
                               .columns = 23,
                               .depth = 31,
                               .out = {(void *)args.out.data, args.out.stride[0], 23, 1},
                               .a = {(void *)args.a.data, args.a.stride[0], 31, 1},
                               .b = {(void *)args.b.data, args.b.stride[0], 23, 1},
                               .bias = {(void *)args.bias.data, args.bias.stride[0], 23, 1},
                               .alpha = 2,
                               .beta = 3};
    CHECK(wt_gemm_reference(&problem, dtypes[i]) == WT_OK);
    check_result(&args);
    release(&args.out);
    release(&args.a);
    release(&args.b);
    release(&args.bias);
  }
}

/* Blocks are cut by the number of threads, but each element is summed in one order. */
TEST(gemm_does_not_depend_on_threads) {
  check_random random = {7};
  layout dense = {.step = 1};
  wt_gemm_args args = {.size_bytes = sizeof args, .alpha = 1, .bias = check_absent()};
  args.out = make_matrix(WT_FLOAT32, 2, 90, 130, dense);
  args.a = make_matrix(WT_FLOAT32, 2, 90, 300, dense);
  args.b = make_matrix(WT_FLOAT32, 2, 300, 130, dense);
  check_fill(&args.a, &random, -1, 1);
  check_fill(&args.b, &random, -1, 1);
  wt_word before = wt_get_num_threads();
  double *first = calloc((size_t)args.out.numel, sizeof(double));
  for (wt_word threads = 1; threads <= 3; threads++) {
    wt_set_num_threads(threads);
    CHECK(wt_gemm(&args) == WT_OK);
    wt_word wrong = 0;
    for (wt_word p = 0; p < args.out.numel; p++) {
      if (threads == 1) first[p] = check_get(&args.out, p);
      wrong += first[p] != check_get(&args.out, p);
    }
    CHECK(wrong == 0);
  }
  wt_set_num_threads(before);
  free(first);
  release(&args.out);
  release(&args.a);
  release(&args.b);
}
