/* Gradients of batch norm over (N, C, S), for each channel. With d = x - mean, n = N * S:
 *   grad_weight = invstd * sum(grad_out * d);  grad_bias = sum(grad_out)
 *   grad_input = (grad_out - sum(grad_out) / n - d * invstd^2 * sum(grad_out * d) / n)
 *                * invstd * weight                              in training
 *   grad_input = grad_out * invstd * weight                     otherwise
 * The sums are taken over parts of the batch that the shape alone fixes, added up in order. */
#include "norm/channels.h"
#include "reduce/f32_columns.h"
#include "reduce/f32_runs.h"
#include "reduce/f64_runs.h"

/* Elements converted at a time where they are not float32 in place. */
#define CHUNK 256
/* Elements from which a channel's sums are split, where there are few channels. */
#define SPLIT_ELEMENTS 8192
#define MOST_PARTS 32

typedef struct job {
  const wt_tensor *grad_out, *input;
  wt_word batch, channels, run; /* N, C, S */
  wt_word tiles, parts;         /* of the channels, in the form ROWS; of the batch or the rows */
  const double *mean;           /* (C) */
  const float *center;          /* mean in float */
  double *sums, *dots;          /* (parts, C): of grad_out, and of grad_out * (x - center) */
} job;

static wt_word part_begin(wt_word part, wt_word parts, wt_word count) {
  return (wt_word)((int64_t)count * part / parts);
}

static const void *plane_of(const wt_tensor *tensor, wt_word n, wt_word c, wt_word first) {
  return wt_element(tensor,
                    n * tensor->stride[0] + c * tensor->stride[1] + first * tensor->stride[2]);
}

static void sum_planes(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word c = item % job->channels, part = item / job->channels;
    const wt_word stop = part_begin(part + 1, job->parts, job->batch);
    double total = 0, total_dot = 0;
    for (wt_word n = part_begin(part, job->parts, job->batch); n < stop; n++) {
      double sum, dot;
      WT_F32_RUN(centered_dot)(plane_of(job->grad_out, n, c, 0), plane_of(job->input, n, c, 0),
                               job->run, job->center[c], &sum, &dot);
      total += sum;
      total_dot += dot;
    }
    job->sums[item] = total;
    job->dots[item] = total_dot;
  }
}

static void sum_rows(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_tensor *grad_out = job->grad_out, *input = job->input;
  const wt_word grad_stride = wt_row_stride(grad_out), stride = wt_row_stride(input);
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word c = item % job->tiles * WT_COLUMN_TILE, part = item / job->tiles;
    const wt_word first = part_begin(part, job->parts, job->batch * job->run);
    const wt_word stop = part_begin(part + 1, job->parts, job->batch * job->run);
    double *sums = job->sums + part * job->channels + c;
    double *dots = job->dots + part * job->channels + c;
    const wt_columns columns = {wt_element(input, first * stride + c), stride, stop - first,
                                wt_min_word(WT_COLUMN_TILE, job->channels - c)};
    for (wt_word k = 0; k < columns.width; k++) sums[k] = dots[k] = 0;
    wt_f32_columns_centered_dot(sums, dots, job->center + c,
                                wt_element(grad_out, first * grad_stride + c), grad_stride,
                                columns);
  }
}

static void sum_any(void *context, wt_word begin, wt_word end, int thread) {
  const job *job = context;
  const wt_tensor *grad_out = job->grad_out, *input = job->input;
  (void)thread;
  for (wt_word item = begin; item < end; item++) {
    const wt_word c = item % job->channels, part = item / job->channels;
    const wt_word stop = part_begin(part + 1, job->parts, job->batch);
    double total = 0, total_dot = 0;
    for (wt_word n = part_begin(part, job->parts, job->batch); n < stop; n++)
      for (wt_word first = 0; first < job->run; first += CHUNK) {
        const wt_word count = wt_min_word(CHUNK, job->run - first);
        double g[CHUNK], x[CHUNK], sum, dot;
        wt_load_doubles(g, plane_of(grad_out, n, c, first), grad_out->dtype, grad_out->stride[2],
                        count);
        wt_load_doubles(x, plane_of(input, n, c, first), input->dtype, input->stride[2], count);
        wt_f64_centered_dot(g, x, count, job->mean[c], &sum, &dot);
        total += sum;
        total_dot += dot;
      }
    job->sums[item] = total;
    job->dots[item] = total_dot;
  }
}

/* The parts of a channel are added in order into the first. In the float forms dots are about
 * center, the rounded mean; they are moved to the mean. */
static void add_parts(const job *job, bool floats) {
  for (wt_word c = 0; c < job->channels; c++) {
    for (wt_word part = 1; part < job->parts; part++) {
      job->sums[c] += job->sums[part * job->channels + c];
      job->dots[c] += job->dots[part * job->channels + c];
    }
    if (floats) job->dots[c] += job->sums[c] * ((double)job->center[c] - job->mean[c]);
  }
}

static wt_word parts_of(int64_t elements, wt_word groups, wt_word most) {
  int64_t parts = elements / SPLIT_ELEMENTS;
  if (parts > MOST_PARTS / groups) parts = MOST_PARTS / groups;
  if (parts > most) parts = most;
  return parts < 1 ? 1 : (wt_word)parts;
}

/* Fills job->sums[0..C-1] and job->dots[0..C-1]; vectors are freed by the caller. */
static int take_sums(job *job) {
  const wt_tensor *tensors[] = {job->grad_out, job->input};
  const wt_channel_form form = wt_channel_form_of(2, tensors);
  const int64_t channel_elements = (int64_t)job->batch * job->run;
  const bool rows = form == WT_CHANNELS_ROWS;
  job->tiles = (job->channels + WT_COLUMN_TILE - 1) / WT_COLUMN_TILE;
  const wt_word groups = rows ? job->tiles : job->channels;
  const wt_word width = rows ? wt_min_word(job->channels, WT_COLUMN_TILE) : 1;
  job->parts =
      parts_of(channel_elements * width, groups, rows ? job->batch * job->run : job->batch);
  job->sums = wt_alloc_many((uint64_t)job->parts * (uint64_t)job->channels, 2 * sizeof(double));
  if (!job->sums) return WT_OUT_OF_MEMORY;
  job->dots = job->sums + job->parts * job->channels;
  wt_parallel_for(groups * job->parts, wt_grain(channel_elements / job->parts * width),
                  form == WT_CHANNELS_PLANES ? sum_planes
                  : rows                     ? sum_rows
                                             : sum_any,
                  job);
  add_parts(job, form != WT_CHANNELS_ANY);
  return WT_OK;
}

/* ---- the kernel -------------------------------------------------------------------------------
 */
static int check(const wt_batch_norm_backward_args *args) {
  const wt_tensor *input = &args->input;
  if (input->ndim != 3 || !wt_is_channel_tensor(input, input))
    return wt_fail(WT_BAD_ARGUMENT, 5, input->dtype, 0);
  if (!wt_is_channel_tensor(&args->grad_out, input) || !wt_is_present(&args->grad_out))
    return wt_fail(WT_BAD_ARGUMENT, 4, args->grad_out.dtype, 0);
  if (!wt_is_channel_tensor(&args->grad_input, input))
    return wt_fail(WT_BAD_ARGUMENT, 1, args->grad_input.dtype, 0);
  const wt_tensor *vectors[] = {&args->grad_weight, &args->grad_bias, &args->weight, &args->mean,
                                &args->invstd};
  const int fields[] = {2, 3, 6, 7, 8};
  for (int k = 0; k < 5; k++)
    if (!wt_is_vector(vectors[k], input->size[1]))
      return wt_fail(WT_BAD_ARGUMENT, fields[k], vectors[k]->ndim, 0);
  if (!wt_is_present(&args->mean)) return wt_fail(WT_BAD_ARGUMENT, 7, -1, 0);
  if (!wt_is_present(&args->invstd)) return wt_fail(WT_BAD_ARGUMENT, 8, -1, 0);
  return WT_OK;
}

/* `scratch` is (3, C). */
static int write_grad_input(const wt_batch_norm_backward_args *args, const job *job,
                            const double *invstd, double *scratch) {
  const wt_word channels = job->channels;
  const double count = (double)job->batch * (double)job->run;
  double *scale = scratch, *average = scale + channels, *slope = average + channels;
  wt_load_vector(scale, &args->weight, channels, 1);
  for (wt_word c = 0; c < channels; c++) {
    scale[c] *= invstd[c];
    average[c] = args->training ? job->sums[c] / count : 0;
    slope[c] = args->training ? job->dots[c] / count * invstd[c] * invstd[c] : 0;
  }
  const wt_tensor absent = {.ndim = -1};
  wt_channel_map map = {.out = &args->grad_input,
                        .x = &args->grad_out,
                        .g = &absent,
                        .center = average,
                        .scale = scale,
                        .shift = slope};
  if (args->training)
    map = (wt_channel_map){.out = &args->grad_input,
                           .x = &args->input,
                           .g = &args->grad_out,
                           .center = job->mean,
                           .scale = scale,
                           .average = average,
                           .slope = slope};
  return wt_channel_map_run(&map);
}

WT_KERNEL(batch_norm_backward, 1) {
  const wt_batch_norm_backward_args *args = arguments;
  int status = check(args);
  if (status != WT_OK) return status;
  const wt_word channels = args->input.size[1];
  if (channels == 0) return WT_OK;
  double *mean = wt_alloc_many((uint64_t)channels, 5 * sizeof(double) + sizeof(float));
  if (!mean) return WT_OUT_OF_MEMORY;
  double *invstd = mean + channels, *scratch = invstd + channels;
  float *center = (float *)(scratch + 3 * channels);
  job job = {.grad_out = &args->grad_out,
             .input = &args->input,
             .batch = args->input.size[0],
             .channels = channels,
             .run = args->input.size[2],
             .mean = mean,
             .center = center};
  wt_load_vector(mean, &args->mean, channels, 0);
  wt_load_vector(invstd, &args->invstd, channels, 1);
  for (wt_word c = 0; c < channels; c++) center[c] = (float)mean[c];

  status = take_sums(&job);
  if (status == WT_OK && wt_is_present(&args->grad_input))
    status = write_grad_input(args, &job, invstd, scratch);
  if (status == WT_OK) {
    for (wt_word c = 0; c < channels; c++) job.dots[c] *= invstd[c];
    wt_store_vector(&args->grad_weight, job.dots, channels);
    wt_store_vector(&args->grad_bias, job.sums, channels);
  }
  if (job.sums) wt_free(job.sums);
  wt_free(mean);
  return status;
}
