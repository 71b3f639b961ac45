/* Speed of gemm and convolution, and of a loop of multiply-adds in registers to hold them against:
 * bench [text that the name contains]. Built and run by run.py, natively or in Node. */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/core.h"
#include "simd.h"

typedef struct bench_case {
  const char *name;
  enum { FMA, GEMM, CONV, CONV_INPUT, CONV_WEIGHT } kind;
  wt_word sizes[6]; /* gemm: rows, columns, depth; conv: batch, channels, out, height, width, pad */
  bool transposed;  /* gemm: b lies column by column; conv: channels last */
} bench_case;

static const bench_case cases[] = {
    {"multiply-adds in registers", FMA, {0}, false},
    {"gemm 512 512 512", GEMM, {512, 512, 512}, false},
    {"gemm 512 512 512, b transposed", GEMM, {512, 512, 512}, true},
    {"gemm 128 768 768", GEMM, {128, 768, 768}, false},
    {"gemm 64 10 3136, b transposed", GEMM, {64, 10, 3136}, true},
    {"gemm 64 3136 10", GEMM, {64, 3136, 10}, false},
    {"gemm 1 4096 1024", GEMM, {1, 4096, 1024}, false},
    {"gemm 1 4096 1024, b transposed", GEMM, {1, 4096, 1024}, true},
    {"gemm 4 4 4", GEMM, {4, 4, 4}, false},
    {"conv 64x1x28x28 -> 32, 3x3", CONV, {64, 1, 32, 28, 28, 1}, false},
    {"conv 64x1x28x28 -> 32, gradient of weight", CONV_WEIGHT, {64, 1, 32, 28, 28, 1}, false},
    {"conv 64x32x14x14 -> 64, 3x3", CONV, {64, 32, 64, 14, 14, 1}, false},
    {"conv 64x32x14x14 -> 64, gradient of input", CONV_INPUT, {64, 32, 64, 14, 14, 1}, false},
    {"conv 64x32x14x14 -> 64, gradient of weight", CONV_WEIGHT, {64, 32, 64, 14, 14, 1}, false},
    {"conv 64x32x14x14 -> 64, 3x3, channels last", CONV, {64, 32, 64, 14, 14, 1}, true},
    {"conv 1x256x14x14 -> 256, 3x3", CONV, {1, 256, 256, 14, 14, 1}, false},
    {"conv 1x64x56x56 -> 64, 3x3", CONV, {1, 64, 64, 56, 56, 1}, false},
};
enum { CASES = sizeof cases / sizeof *cases, FMA_LOOPS = 10000 };

static union {
  wt_gemm_args gemm;
  wt_conv_args conv;
  wt_conv_backward_input_args conv_input;
  wt_conv_backward_weight_args conv_weight;
} arguments;
static void *memory;
static volatile float factors[2] = {1e-3f, 1e-3f}; /* unknown, or constants are made anew */
static volatile float sink;

static wt_tensor tensor_at(float **next, int ndim, const wt_word *size, bool last_first) {
  wt_tensor tensor = {.dtype = WT_FLOAT32, .ndim = ndim, .numel = 1};
  for (int i = 0; i < ndim; i++) {
    int d = ndim - 1 - i;
    if (last_first) d = i == 0 ? 1 : i == ndim - 1 ? 0 : ndim - i; /* N, spatial, C in memory */
    tensor.size[d] = size[d];
    tensor.stride[d] = tensor.numel;
    tensor.numel *= size[d];
  }
  tensor.data = (wt_word)*next;
  for (wt_word i = 0; i < tensor.numel; i++) (*next)[i] = (float)(i % 37 - 18) / 64;
  *next += tensor.numel;
  return tensor;
}

static double prepare_gemm(const bench_case *entry) {
  wt_word rows = entry->sizes[0], columns = entry->sizes[1], depth = entry->sizes[2];
  memory = wt_alloc((size_t)(rows * columns + rows * depth + depth * columns) * sizeof(float));
  float *next = memory;
  wt_gemm_args *args = &arguments.gemm;
  *args = (wt_gemm_args){.size_bytes = sizeof *args, .alpha = 1};
  args->out = tensor_at(&next, 3, (wt_word[]){1, rows, columns}, false);
  args->a = tensor_at(&next, 3, (wt_word[]){1, rows, depth}, false);
  args->b = tensor_at(&next, 3, (wt_word[]){1, depth, columns}, false);
  if (entry->transposed) {
    args->b.stride[1] = 1;
    args->b.stride[2] = depth;
  }
  args->bias.ndim = -1;
  return 2.0 * (double)rows * (double)columns * (double)depth;
}

static double prepare_conv(const bench_case *entry) {
  const wt_word *s = entry->sizes;
  wt_word batch = s[0], channels = s[1], filters = s[2], height = s[3], width = s[4], pad = s[5];
  wt_word elements = batch * (channels + filters) * height * width + filters * channels * 9 + 999;
  memory = wt_alloc((size_t)elements * sizeof(float));
  float *next = memory;
  wt_tensor input =
      tensor_at(&next, 5, (wt_word[]){batch, channels, 1, height, width}, entry->transposed);
  wt_tensor out =
      tensor_at(&next, 5, (wt_word[]){batch, filters, 1, height, width}, entry->transposed);
  wt_tensor weight = tensor_at(&next, 5, (wt_word[]){filters, channels, 1, 3, 3}, false);
  wt_tensor bias = tensor_at(&next, 1, &filters, false);
#define GEOMETRY                                                                                   \
  .groups = 1, .stride0 = 1, .stride1 = 1, .stride2 = 1, .pad1 = pad, .pad2 = pad, .dilation0 = 1, \
  .dilation1 = 1, .dilation2 = 1
  if (entry->kind == CONV)
    arguments.conv = (wt_conv_args){sizeof(wt_conv_args), out, input, weight, bias, GEOMETRY};
  else if (entry->kind == CONV_INPUT)
    arguments.conv_input = (wt_conv_backward_input_args){sizeof(wt_conv_backward_input_args), input,
                                                         out, weight, GEOMETRY};
  else
    arguments.conv_weight = (wt_conv_backward_weight_args){
        sizeof(wt_conv_backward_weight_args), weight, bias, out, input, GEOMETRY};
#undef GEOMETRY
  return 2.0 * 9 * (double)(batch * filters * height * width) * (double)channels;
}

/* Twelve accumulators cover the latency of the multiply-add; nothing else happens in the loop. A
 * function of its own, for V8 optimises a function when it is called again. */
static WT_NOINLINE void run_fma(void) {
  wt_f32x4 acc[12], left = wt_f32x4_splat(factors[0]), right = wt_f32x4_splat(factors[1]);
  WT_UNROLL
  for (int i = 0; i < 12; i++) acc[i] = wt_f32x4_splat((float)i);
  for (int loop = 0; loop < FMA_LOOPS; loop++) {
    WT_UNROLL
    for (int i = 0; i < 12; i++) acc[i] = wt_f32x4_madd(left, right, acc[i]);
  }
  wt_f32x4 sum = acc[0];
  WT_UNROLL
  for (int i = 1; i < 12; i++) sum += acc[i];
  sink = sum[0] + sum[1] + sum[2] + sum[3];
}

/* The operands of a case; returns the floating-point operations of one run. */
static double prepare(const bench_case *entry) {
  if (entry->kind == FMA) return 2.0 * 12 * 4 * FMA_LOOPS;
  return entry->kind == GEMM ? prepare_gemm(entry) : prepare_conv(entry);
}

static int run(const bench_case *entry, int repeats) {
  int status = WT_OK;
  for (int i = 0; i < repeats && status == WT_OK; i++) {
    switch (entry->kind) {
      case FMA:
        run_fma();
        break;
      case GEMM:
        status = wt_gemm(&arguments.gemm);
        break;
      case CONV:
        status = wt_conv(&arguments.conv);
        break;
      case CONV_INPUT:
        status = wt_conv_backward_input(&arguments.conv_input);
        break;
      case CONV_WEIGHT:
        status = wt_conv_backward_weight(&arguments.conv_weight);
        break;
    }
  }
  return status;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct timing {
  double median, best;
} timing;

/* Nine timings of at least 20 ms each, after a warm-up by time: V8 compiles twice. */
static timing seconds_per_run(const bench_case *entry) {
  int repeats = 1;
  double begin = now();
  for (double taken = 0; taken < 0.02 || now() - begin < 0.3;) {
    double start = now();
    if (run(entry, repeats) != WT_OK) return (timing){NAN, NAN};
    taken = now() - start;
    if (taken < 0.02) repeats *= 2;
  }
  double times[9];
  for (int i = 0; i < 9; i++) {
    double start = now();
    run(entry, repeats);
    double taken = (now() - start) / repeats;
    int at = i;
    for (; at > 0 && times[at - 1] > taken; at--) times[at] = times[at - 1];
    times[at] = taken;
  }
  return (timing){times[4], times[0]};
}

int main(int count, char **texts) {
  for (wt_word threads = 1; threads <= 2; threads++) {
    printf("threads: %d\n", (int)wt_set_num_threads(threads));
    for (int index = 0; index < CASES; index++) {
      const bench_case *entry = &cases[index];
      if (count > 1 && !strstr(entry->name, texts[1])) continue;
      double operations = prepare(entry);
      timing seconds = seconds_per_run(entry);
      printf("%-44s %10.2f us %7.1f GFLOP/s, best %7.1f\n", entry->name, seconds.median * 1e6,
             operations / seconds.median * 1e-9, operations / seconds.best * 1e-9);
      wt_free(memory);
      memory = NULL;
    }
  }
  return 0;
}
