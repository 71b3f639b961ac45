/* The gemm kernel: checks, and the choice of a solver by element type. */
#include "gemm/gemm.h"

#include "gemm/convert.h"

static int solve(const wt_gemm_problem *problem, wt_word dtype) {
#if WT_USE_REFERENCE
  return wt_gemm_reference(problem, dtype);
#else
  switch (dtype) {
    case WT_FLOAT32:
      return wt_gemm_f32(problem);
    case WT_FLOAT64:
      return wt_gemm_f64(problem);
    case WT_INT32:
      return wt_gemm_u32(problem);
    case WT_INT64:
      return wt_gemm_u64(problem);
    default:
      return wt_fail(WT_UNSUPPORTED_DTYPE, dtype, 0, 0);
  }
#endif
}

static wt_matrix matrix_of(const wt_tensor *tensor) {
  if (!wt_is_present(tensor)) return (wt_matrix){0};
  return (wt_matrix){(void *)tensor->data, tensor->stride[0], tensor->stride[1], tensor->stride[2]};
}

static bool has_shape(const wt_tensor *tensor, wt_word dtype, wt_word d0, wt_word d1, wt_word d2) {
  return tensor->ndim == 3 && tensor->dtype == dtype && tensor->size[0] == d0 &&
         tensor->size[1] == d1 && tensor->size[2] == d2;
}

/* Rows to convert, from or to a dense (B, R, C) copy in the computing type. */
typedef struct conversion {
  const wt_tensor *tensor;
  char *dense;
  wt_word compute;
  bool widen;
} conversion;

static void convert_rows(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const conversion *job = context;
  const wt_tensor *tensor = job->tensor;
  wt_word bytes = (wt_word)wt_dtype_size(tensor->dtype), columns = tensor->size[2];
  wt_word row_bytes = columns * (wt_word)wt_dtype_size(job->compute);
  for (wt_word row = begin; row < end; row++) {
    wt_word offset =
        row / tensor->size[1] * tensor->stride[0] + row % tensor->size[1] * tensor->stride[1];
    char *strided = (char *)tensor->data + offset * bytes, *dense = job->dense + row * row_bytes;
    if (job->widen)
      wt_widen(dense, strided, tensor->dtype, tensor->stride[2], columns);
    else
      wt_narrow(strided, tensor->dtype, tensor->stride[2], dense, columns);
  }
}

static void convert(const wt_tensor *tensor, void *dense, wt_word compute, bool widen) {
  conversion job = {tensor, dense, compute, widen};
  wt_parallel_for(tensor->size[0] * tensor->size[1], 1 + 8192 / (tensor->size[2] + 1), convert_rows,
                  &job);
}

/* Half types and small integers: dense copies in the computing type, and the result rounded. */
static int solve_converted(const wt_gemm_args *args, wt_gemm_problem *problem, wt_word compute) {
  const wt_tensor *inputs[3] = {&args->a, &args->b, &args->bias};
  wt_matrix *matrices[3] = {&problem->a, &problem->b, &problem->bias};
  /* Each factor's count fits a word; their sum need not, where operands are expanded. */
  uint64_t elements = (uint64_t)(problem->batch * problem->rows * problem->columns);
  for (int i = 0; i < 3; i++)
    if (matrices[i]->data)
      elements += (uint64_t)(inputs[i]->size[0] * inputs[i]->size[1] * inputs[i]->size[2]);
  size_t bytes = wt_dtype_size(compute);
  char *scratch = wt_alloc_many(elements, bytes);
  if (!scratch) return WT_OUT_OF_MEMORY;
  char *next = scratch;
  for (int i = 0; i < 3; i++) {
    if (!matrices[i]->data) continue;
    const wt_word *size = inputs[i]->size;
    convert(inputs[i], next, compute, true);
    *matrices[i] = (wt_matrix){next, size[1] * size[2], size[2], 1};
    next += (size_t)(size[0] * size[1] * size[2]) * bytes;
  }
  problem->out = (wt_matrix){next, problem->rows * problem->columns, problem->columns, 1};
  int status = solve(problem, compute);
  if (status == WT_OK) convert(&args->out, next, compute, false);
  wt_free(scratch);
  return status;
}

WT_KERNEL(gemm, 1) {
  const wt_gemm_args *args = arguments;
  const wt_tensor *out = &args->out;
  wt_word dtype = out->dtype, compute = wt_compute_dtype(dtype);
  if (compute < 0) return wt_fail(WT_UNSUPPORTED_DTYPE, dtype, 0, 0);
  if (out->ndim != 3) return wt_fail(WT_BAD_ARGUMENT, 1, out->ndim, 0);
  wt_gemm_problem problem = {.batch = out->size[0],
                             .rows = out->size[1],
                             .columns = out->size[2],
                             .depth = args->a.size[2],
                             .out = matrix_of(out),
                             .a = matrix_of(&args->a),
                             .b = matrix_of(&args->b),
                             .bias = matrix_of(&args->bias),
                             .alpha = args->alpha,
                             .beta = args->beta};
  if (!has_shape(&args->a, dtype, problem.batch, problem.rows, problem.depth))
    return wt_fail(WT_BAD_ARGUMENT, 2, args->a.ndim, 0);
  if (!has_shape(&args->b, dtype, problem.batch, problem.depth, problem.columns))
    return wt_fail(WT_BAD_ARGUMENT, 3, args->b.ndim, 0);
  if (wt_is_present(&args->bias) &&
      !has_shape(&args->bias, dtype, problem.batch, problem.rows, problem.columns))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->bias.ndim, 0);
  if (problem.beta == 0) problem.bias.data = NULL;
  if (dtype == compute) return solve(&problem, dtype);
  return solve_converted(args, &problem, compute);
}
