/* The random kernel: fills a tensor with one of the distributions of wt_random_op.
 *
 * Elements are drawn one after another in the order of their addresses, as torch does: row-major
 * for row-major tensors, channels innermost for channels-last ones.
 */
#include <float.h>
#include <math.h>

#include "index/element.h"
#include "random/generator.h"

#define PI 3.14159265358979323846

/* ---- walking a tensor in the order of addresses --------------------------------------------- */
typedef struct cursor {
  wt_word ndim;
  wt_word size[WT_MAX_DIMS], position[WT_MAX_DIMS];
  wt_word step[3][WT_MAX_DIMS]; /* bytes, of out, a and b */
  wt_word at[3];                /* addresses; 0 where absent */
} cursor;

static wt_word magnitude(wt_word stride) { return stride < 0 ? -stride : stride; }

/* Dimensions sorted by the strides of out, largest first; equal strides keep their order. */
static void order_dimensions(const wt_tensor *out, wt_word *order) {
  for (wt_word d = 0; d < out->ndim; d++) {
    wt_word at = d;
    for (; at > 0 && magnitude(out->stride[order[at - 1]]) < magnitude(out->stride[d]); at--) {
      order[at] = order[at - 1];
    }
    order[at] = d;
  }
}

static cursor start_cursor(const wt_random_args *args) {
  const wt_tensor *tensors[3] = {&args->out, &args->a, &args->b};
  wt_word order[WT_MAX_DIMS];
  cursor c = {.ndim = args->out.ndim};
  order_dimensions(&args->out, order);
  for (int t = 0; t < 3; t++) {
    if (!wt_is_present(tensors[t])) continue;
    wt_word bytes = (wt_word)wt_dtype_size(tensors[t]->dtype);
    c.at[t] = tensors[t]->data;
    for (wt_word d = 0; d < c.ndim; d++) c.step[t][d] = tensors[t]->stride[order[d]] * bytes;
  }
  for (wt_word d = 0; d < c.ndim; d++) c.size[d] = args->out.size[order[d]];
  return c;
}

static void advance_cursor(cursor *c) {
  for (wt_word d = c->ndim - 1; d >= 0; d--) {
    for (int t = 0; t < 3; t++) c->at[t] += c->step[t][d];
    if (++c->position[d] < c->size[d]) return;
    for (int t = 0; t < 3; t++) c->at[t] -= c->step[t][d] * c->size[d];
    c->position[d] = 0;
  }
}

/* Whether the elements fill one stretch of memory, in any order of dimensions. */
static bool fills_memory(const wt_tensor *out) {
  wt_word order[WT_MAX_DIMS], expected = 1;
  order_dimensions(out, order);
  for (wt_word i = out->ndim - 1; i >= 0; i--) {
    wt_word d = order[i];
    if (out->size[d] == 1) continue;
    if (out->stride[d] != expected) return false;
    expected *= out->size[d];
  }
  return true;
}

/* ---- integers ------------------------------------------------------------------------------- */
/* [low, low + range); a range of 0 stands for all 2^64 integers. */
static int64_t draw_integer(wt_generator *generator, int64_t low, uint64_t range) {
  if (range == 0) return (int64_t)wt_random64(generator);
  uint64_t word = range >= (uint64_t)1 << 28 ? wt_random64(generator) : wt_random32(generator);
  return (int64_t)(word % range + (uint64_t)low);
}

/* From 0 up to the largest integer that the dtype holds, or holds without gaps. */
static int64_t draw_full(wt_generator *generator, wt_word dtype) {
  switch (dtype) {
    case WT_BOOL:
      return wt_random32(generator) & 1;
    case WT_UINT8:
      return wt_random32(generator) % 256;
    case WT_INT8:
      return wt_random32(generator) % 128;
    case WT_INT16:
      return wt_random32(generator) % 32768;
    case WT_INT32:
      return wt_random32(generator) & INT32_MAX;
    case WT_INT64:
      return (int64_t)(wt_random64(generator) & INT64_MAX);
    case WT_FLOAT16:
      return wt_random32(generator) % ((1 << 11) + 1);
    case WT_BFLOAT16:
      return wt_random32(generator) % ((1 << 8) + 1);
    case WT_FLOAT32:
      return wt_random32(generator) % ((1 << 24) + 1);
    default:
      return (int64_t)(wt_random64(generator) % (((uint64_t)1 << 53) + 1));
  }
}

/* The numbers 0..n-1 shuffled (Fisher & Yates) from the front. */
static int fill_permutation(wt_generator *generator, const wt_tensor *out) {
  if (out->ndim != 1) return wt_fail(WT_BAD_ARGUMENT, 0, out->ndim, 0);
  wt_word n = out->size[0], bytes = (wt_word)wt_dtype_size(out->dtype);
  wt_word step = out->stride[0] * bytes;
  char *base = (char *)out->data;
  bool is_small = n < (wt_word)(UINT32_MAX / 20);
  for (wt_word i = 0; i < n; i++) wt_element_store_integer(base + i * step, out->dtype, i);
  for (wt_word i = 0; i + 1 < n; i++) {
    uint64_t word = is_small ? wt_random32(generator) : wt_random64(generator);
    char *a = base + i * step, *b = base + (i + (wt_word)(word % (uint64_t)(n - i))) * step;
    char kept[8];
    wt_element_copy(kept, a, (size_t)bytes);
    wt_element_copy(a, b, (size_t)bytes);
    wt_element_copy(b, kept, (size_t)bytes);
  }
  return WT_OK;
}

/* ---- real numbers --------------------------------------------------------------------------- */
static double draw_uniform(wt_generator *generator, const wt_random_args *args) {
  if (args->out.dtype == WT_FLOAT64) {
    double value = wt_scale_uniform_f64(wt_random_double(generator), args->p0, args->p1);
    return value == args->p1 ? args->p0 : value;
  }
  float value = wt_scale_uniform_f32(wt_random_float(generator), (float)args->p0, (float)args->p1);
  double low, high, rounded; /* in the dtype of out, where rounding may reach the upper bound */
  uint64_t storage = 0;
  wt_element_store(&storage, args->out.dtype, args->p0);
  low = wt_element_load(&storage, args->out.dtype);
  wt_element_store(&storage, args->out.dtype, args->p1);
  high = wt_element_load(&storage, args->out.dtype);
  wt_element_store(&storage, args->out.dtype, value);
  rounded = wt_element_load(&storage, args->out.dtype);
  return rounded == high ? low : rounded;
}

static bool draw_bernoulli(wt_generator *generator, double probability, wt_word dtype) {
  if (dtype == WT_FLOAT64) return wt_random_double(generator) < probability;
  return wt_random_float(generator) < (float)probability;
}

/* A gamma sample is positive, however small. */
static double at_least_tiny(double value, wt_word dtype) {
  double tiny = dtype == WT_FLOAT64 ? DBL_MIN : dtype == WT_FLOAT16 ? 0x1p-14 : FLT_MIN;
  return value > tiny || value != value ? value : tiny;
}

/* One sample of a distribution that yields real numbers; the cursor stands at its parameters. */
static double draw_real(wt_generator *generator, const wt_random_args *args, const cursor *c) {
  double a = c->at[1] ? wt_element_load((const void *)c->at[1], args->a.dtype) : args->p0;
  double b = c->at[2] ? wt_element_load((const void *)c->at[2], args->b.dtype) : args->p1;
  switch (args->op) {
    case WT_RANDOM_uniform:
      return draw_uniform(generator, args);
    case WT_RANDOM_normal:
      return fma(wt_random_normal(generator), args->p1, args->p0);
    case WT_RANDOM_log_normal:
      return exp(fma(wt_random_normal(generator), args->p1, args->p0));
    case WT_RANDOM_exponential:
      return -log1p(-wt_random_double(generator)) / args->p0;
    case WT_RANDOM_geometric:
      return ceil(log(wt_random_double(generator)) / log1p(-args->p0));
    case WT_RANDOM_cauchy:
      return args->p0 + args->p1 * tan(PI * (wt_random_double(generator) - 0.5));
    case WT_RANDOM_bernoulli_tensor:
      return draw_bernoulli(generator, a, args->a.dtype);
    case WT_RANDOM_poisson:
      return wt_sample_poisson(generator, a);
    case WT_RANDOM_gamma:
      return at_least_tiny(wt_sample_gamma(generator, a), args->out.dtype);
    default:
      return wt_sample_binomial(generator, a, b);
  }
}

/* One word an element decides, compared with the probability in units of 2^-32. */
static void fill_bernoulli(wt_generator *generator, const wt_random_args *args) {
  enum { BLOCK = 512 };
  uint32_t words[BLOCK];
  const wt_tensor *out = &args->out;
  uint64_t threshold = (uint64_t)(args->p0 * 0x1p32 + 0.5);
  cursor c = start_cursor(args);
  bool is_dense_f32 = out->dtype == WT_FLOAT32 && fills_memory(out);
  for (wt_word i = 0; i < out->numel; i += BLOCK) {
    wt_word count = out->numel - i < BLOCK ? out->numel - i : BLOCK;
    wt_generator_draw(generator, words, count);
    if (is_dense_f32) {
      float *to = (float *)out->data + i;
      for (wt_word j = 0; j < count; j++) to[j] = words[j] < threshold ? 1.0f : 0.0f;
      continue;
    }
    for (wt_word j = 0; j < count; j++) {
      wt_element_store_integer((void *)c.at[0], out->dtype, words[j] < threshold);
      advance_cursor(&c);
    }
  }
}

/* Normal numbers: by blocks of sixteen where dense and long enough, else one by one. */
static void fill_normal(wt_generator *generator, const wt_random_args *args, double mean,
                        double std) {
  const wt_tensor *out = &args->out;
  if (out->numel >= 16 && wt_is_contiguous(out)) {
    switch (out->dtype) {
      case WT_FLOAT32:
        wt_fill_normal_f32(generator, (float *)out->data, out->numel, (float)mean, (float)std);
        return;
      case WT_FLOAT64:
        wt_fill_normal_f64(generator, (double *)out->data, out->numel, mean, std);
        return;
      default:
        wt_fill_normal_half(generator, (uint16_t *)out->data, out->numel, (float)mean, (float)std,
                            out->dtype);
        return;
    }
  }
  cursor c = start_cursor(args);
  for (wt_word i = 0; i < out->numel; i++) {
    wt_element_store((void *)c.at[0], out->dtype, fma(wt_random_normal(generator), std, mean));
    advance_cursor(&c);
  }
}

/* Standard normal numbers, then out * std + mean, each operation rounded to the dtype of out. */
static void fill_normal_tensor(wt_generator *generator, const wt_random_args *args) {
  const wt_tensor *out = &args->out;
  fill_normal(generator, args, 0, 1);
  cursor c = start_cursor(args);
  for (wt_word i = 0; i < out->numel; i++) {
    double mean = c.at[1] ? wt_element_load((const void *)c.at[1], args->a.dtype) : args->p0;
    double std = c.at[2] ? wt_element_load((const void *)c.at[2], args->b.dtype) : args->p1;
    void *to = (void *)c.at[0];
    wt_element_store(to, out->dtype, wt_element_load(to, out->dtype) * std);
    wt_element_store(to, out->dtype, wt_element_load(to, out->dtype) + mean);
    advance_cursor(&c);
  }
}

static void fill_integers(wt_generator *generator, const wt_random_args *args) {
  const wt_tensor *out = &args->out;
  cursor c = start_cursor(args);
  for (wt_word i = 0; i < out->numel; i++) {
    int64_t value = args->op == WT_RANDOM_random_full
                        ? draw_full(generator, out->dtype)
                        : draw_integer(generator, args->low.i, (uint64_t)args->range.i);
    wt_element_store_integer((void *)c.at[0], out->dtype, value);
    advance_cursor(&c);
  }
}

static void fill_real(wt_generator *generator, const wt_random_args *args) {
  const wt_tensor *out = &args->out;
  if (args->op == WT_RANDOM_uniform && out->dtype == WT_FLOAT32 && fills_memory(out)) {
    wt_fill_uniform_f32(generator, (float *)out->data, out->numel, (float)args->p0,
                        (float)args->p1);
    return;
  }
  cursor c = start_cursor(args);
  for (wt_word i = 0; i < out->numel; i++) {
    wt_element_store((void *)c.at[0], out->dtype, draw_real(generator, args, &c));
    advance_cursor(&c);
  }
}

/* ---- the kernel ----------------------------------------------------------------------------- */
static bool yields_integers(wt_word op) {
  return op == WT_RANDOM_integers || op == WT_RANDOM_random_full || op == WT_RANDOM_permutation ||
         op == WT_RANDOM_bernoulli || op == WT_RANDOM_bernoulli_tensor ||
         op == WT_RANDOM_geometric || op == WT_RANDOM_poisson || op == WT_RANDOM_binomial;
}

/* A parameter tensor has the shape of out (expanded where needed). */
static int check_parameter(const wt_tensor *tensor, const wt_tensor *out, bool is_required) {
  if (!wt_is_present(tensor)) {
    return is_required ? wt_fail(WT_BAD_ARGUMENT, 1, tensor->ndim, 0) : WT_OK;
  }
  if (tensor->ndim != out->ndim) return wt_fail(WT_BAD_ARGUMENT, 1, tensor->ndim, 0);
  for (wt_word d = 0; d < out->ndim; d++) {
    if (tensor->size[d] != out->size[d]) return wt_fail(WT_BAD_ARGUMENT, 1, tensor->size[d], 0);
  }
  return WT_OK;
}

static int check(const wt_random_args *args) {
  wt_word op = args->op;
  if (op < 0 || op >= WT_RANDOM_COUNT) return wt_fail(WT_BAD_ARGUMENT, 4, op, 0);
  if (!wt_dtype_size(args->out.dtype) ||
      (!wt_is_floating(args->out.dtype) && !yields_integers(op))) {
    return wt_fail(WT_UNSUPPORTED_DTYPE, args->out.dtype, 0, 0);
  }
  bool needs_b = op == WT_RANDOM_binomial;
  bool needs_a = needs_b || op == WT_RANDOM_bernoulli_tensor || op == WT_RANDOM_poisson ||
                 op == WT_RANDOM_gamma;
  int status = check_parameter(&args->a, &args->out, needs_a);
  return status ? status : check_parameter(&args->b, &args->out, needs_b);
}

WT_KERNEL(random, 1) {
  const wt_random_args *args = arguments;
  wt_generator *generator = (wt_generator *)args->generator;
  int status = check(args);
  if (status) return status;
  switch (args->op) {
    case WT_RANDOM_integers:
    case WT_RANDOM_random_full:
      fill_integers(generator, args);
      return WT_OK;
    case WT_RANDOM_permutation:
      return fill_permutation(generator, &args->out);
    case WT_RANDOM_bernoulli:
      fill_bernoulli(generator, args);
      return WT_OK;
    case WT_RANDOM_normal:
      fill_normal(generator, args, args->p0, args->p1);
      return WT_OK;
    case WT_RANDOM_normal_tensor:
      fill_normal_tensor(generator, args);
      return WT_OK;
    default:
      fill_real(generator, args);
      return WT_OK;
  }
}
