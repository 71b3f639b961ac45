/* The scalar reference of conv_packed: the definition, one result after another. */
#include "packed/packed.h"

/* The weight of a filter of a group at a tap and channel. */
static float weight_at(const wt_packed_problem *problem, wt_word group, wt_word filter, wt_word tap,
                       wt_word channel) {
  if (wt_is_depthwise(problem)) return problem->weight[tap * problem->groups + group];
  wt_word first = filter / WT_PANEL * WT_PANEL;
  wt_word width = problem->filters - first < WT_PANEL ? problem->filters - first : WT_PANEL;
  const float *panel = problem->weight + (group * problem->filters + first) * problem->depth;
  return panel[(tap * problem->channels + channel) * width + filter - first];
}

static float clamp(float value, float low, float high) {
  if (value < low) value = low;
  return value > high ? high : value;
}

int wt_packed_reference(const wt_packed_problem *problem) {
  const float **rows = wt_alloc_many((uint64_t)problem->taps, sizeof *rows);
  if (!rows) return WT_OUT_OF_MEMORY;
  int status = WT_OK;
  wt_points point = wt_points_from(problem->out, 0);
  for (wt_word p = 0; p < problem->points && status == WT_OK;
       p++, wt_next_point(problem->out, &point)) {
    float *out = wt_point_row(problem->out, &point);
    const float *residual = problem->residual ? wt_point_row(problem->residual, &point) : NULL;
    wt_tap_rows(problem, &point, NULL, rows, 1);
    for (wt_word g = 0; g < problem->groups; g++)
      for (wt_word f = 0; f < problem->filters; f++) {
        wt_word filter = g * problem->filters + f;
        float sum = problem->bias ? problem->bias[filter] : 0;
        if (residual) sum += residual[filter];
        for (wt_word t = 0; t < problem->taps; t++)
          for (wt_word c = 0; rows[t] && c < problem->channels; c++)
            sum += rows[t][g * problem->channels + c] * weight_at(problem, g, f, t, c);
        out[filter] = clamp(sum, problem->low, problem->high);
      }
    if (problem->activation) status = wt_activate(problem, out, problem->groups * problem->filters);
  }
  wt_free(rows);
  return status;
}
