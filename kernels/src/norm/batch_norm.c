/* Batch norm over input (N, C, S): out = (x - mean) * invstd * weight + bias for each channel,
 * where invstd = 1 / sqrt(variance + eps). Training takes the batch's biased variance and moves the
 * running statistics towards the batch's: running = (1 - momentum) * running + momentum * batch,
 * with the unbiased variance. */
#include <math.h>

#include "norm/channels.h"
#include "reduce/methods.h"

static int check(const wt_batch_norm_args *args) {
  const wt_tensor *input = &args->input;
  if (input->ndim != 3 || !wt_is_channel_tensor(input, input))
    return wt_fail(WT_BAD_ARGUMENT, 4, input->dtype, 0);
  if (!wt_is_present(&args->out) || !wt_is_channel_tensor(&args->out, input))
    return wt_fail(WT_BAD_ARGUMENT, 1, args->out.dtype, 0);
  const wt_tensor *vectors[] = {&args->save_mean, &args->save_invstd,  &args->weight,
                                &args->bias,      &args->running_mean, &args->running_var};
  const int fields[] = {2, 3, 5, 6, 7, 8};
  for (int k = 0; k < 6; k++)
    if (!wt_is_vector(vectors[k], input->size[1]))
      return wt_fail(WT_BAD_ARGUMENT, fields[k], vectors[k]->ndim, 0);
  const bool has_running = wt_is_present(&args->running_mean) && wt_is_present(&args->running_var);
  if (!args->training && !has_running) return wt_fail(WT_BAD_ARGUMENT, 9, 0, 0);
  return WT_OK;
}

/* Moves a running statistic towards the batch's. */
static void update_running(const wt_tensor *running, const double *batch, double *scratch,
                           wt_word channels, double momentum) {
  if (!wt_is_present(running)) return;
  wt_load_vector(scratch, running, channels, 0);
  for (wt_word c = 0; c < channels; c++)
    scratch[c] = (1 - momentum) * scratch[c] + momentum * batch[c];
  wt_store_vector(running, scratch, channels);
}

/* Batch statistics into mean and variance (biased), and into the running ones. `scratch` is (2, C).
 */
static int take_statistics(const wt_batch_norm_args *args, double *mean, double *variance,
                           double *scratch) {
  const wt_word channels = args->input.size[1];
  const double count = (double)args->input.size[0] * (double)args->input.size[2];
  wt_reduce_state *states = wt_alloc_many((uint64_t)channels, sizeof *states);
  if (!states) return WT_OUT_OF_MEMORY;
  const wt_tensor shape = {.ndim = 3, .size = {1, channels, 1}, .stride = {channels, 1, 1}};
  const int status = wt_reduce_moments(states, &shape, &args->input);
  if (status == WT_OK) {
    double *unbiased = scratch + channels;
    for (wt_word c = 0; c < channels; c++) {
      mean[c] = states[c].value;
      variance[c] = states[c].second / count;
      unbiased[c] = states[c].second / (count - 1);
    }
    update_running(&args->running_mean, mean, scratch, channels, args->momentum);
    update_running(&args->running_var, unbiased, scratch, channels, args->momentum);
  }
  wt_free(states);
  return status;
}

WT_KERNEL(batch_norm, 1) {
  const wt_batch_norm_args *args = arguments;
  int status = check(args);
  if (status != WT_OK) return status;
  const wt_word channels = args->input.size[1];
  if (args->input.size[0] == 0 || channels == 0 || args->input.size[2] == 0) return WT_OK;
  double *mean = wt_alloc_many((uint64_t)channels, 6 * sizeof *mean);
  if (!mean) return WT_OUT_OF_MEMORY;
  double *invstd = mean + channels, *scale = invstd + channels, *shift = scale + channels;
  if (args->training) {
    status = take_statistics(args, mean, invstd, shift + channels);
  } else {
    wt_load_vector(mean, &args->running_mean, channels, 0);
    wt_load_vector(invstd, &args->running_var, channels, 1);
  }
  if (status == WT_OK) {
    wt_load_vector(scale, &args->weight, channels, 1);
    wt_load_vector(shift, &args->bias, channels, 0);
    for (wt_word c = 0; c < channels; c++) {
      invstd[c] = 1.0 / sqrt(invstd[c] + args->eps);
      scale[c] *= invstd[c];
    }
    wt_store_vector(&args->save_mean, mean, channels);
    wt_store_vector(&args->save_invstd, invstd, channels);
    const wt_tensor absent = {.ndim = -1};
    status = wt_channel_map_run(&(wt_channel_map){.out = &args->out,
                                                  .x = &args->input,
                                                  .g = &absent,
                                                  .center = mean,
                                                  .scale = scale,
                                                  .shift = shift});
  }
  wt_free(mean);
  return status;
}
