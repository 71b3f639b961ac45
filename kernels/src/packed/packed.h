/* Convolution with weights that were packed once, over channels-last tensors.
 *
 * A point of the output is a row of filters, and a row of the product that computes it: its left
 * operand is read where it lies, through a table of addresses (of the input's point under each tap,
 * or of zeros outside the input), its right one is the packed weight. So nothing is copied,
 * whatever the padding, stride and dilation. That is the indirect convolution algorithm (Dukhan
 * 2019, arXiv:1907.02129). A linear layer is the convolution with one tap.
 *
 * The packed weight takes the place of the dense one, byte for byte. Of each group, filters come in
 * panels of WT_PANEL (the last may be narrower): a panel is [tap][channel][filter], with the bytes
 * of the rows it was made from. A depthwise weight, which has one channel and one filter a group,
 * is [tap][group].
 */
#ifndef WASM_TORCH_PACKED_H
#define WASM_TORCH_PACKED_H

#include "core/core.h"
#include "pointwise/row.h"

#define WT_PANEL 8

typedef struct wt_packed_problem {
  wt_word groups, channels, filters; /* channels and filters of one group */
  wt_word kernel[3], stride[3], pad[3], dilation[3];
  wt_word taps, depth;                     /* depth: taps * channels */
  wt_word points;                          /* of the output: batch * its sizes */
  const wt_tensor *out, *input, *residual; /* residual NULL: there is none */
  const float *weight, *bias;              /* bias NULL: there is none */
  float low, high;                         /* what results are clamped to */
  wt_row activation;                       /* applied to rows of results, or NULL */
  bool in_double;                          /* it computes in float64 */
  double p0, p1;
} wt_packed_problem;

/* Checks a problem that has its tensors, sizes and geometry, and derives the rest of it. */
int wt_packed_complete(wt_packed_problem *problem, const wt_tensor *bias, wt_word activation,
                       double p0, double p1);

static inline bool wt_is_depthwise(const wt_packed_problem *problem) {
  return problem->groups > 1 && problem->channels == 1 && problem->filters == 1;
}

int wt_packed_tiles(const wt_packed_problem *problem);
int wt_packed_depthwise(const wt_packed_problem *problem);
int wt_packed_reference(const wt_packed_problem *problem);

/* Walks the points of the output in order. */
typedef struct wt_points {
  wt_word n, at[3];
} wt_points;

static inline wt_points wt_points_from(const wt_tensor *out, wt_word point) {
  wt_points p;
  for (int d = 2; d >= 0; d--) {
    p.at[d] = point % out->size[2 + d];
    point /= out->size[2 + d];
  }
  p.n = point;
  return p;
}

static inline void wt_next_point(const wt_tensor *out, wt_points *p) {
  for (int d = 2; d >= 0; d--) {
    if (++p->at[d] < out->size[2 + d]) return;
    p->at[d] = 0;
  }
  p->n++;
}

/* The first channel of a point of a tensor. */
static inline float *wt_point_row(const wt_tensor *tensor, const wt_points *p) {
  return (float *)tensor->data + p->n * tensor->stride[0] + p->at[0] * tensor->stride[2] +
         p->at[1] * tensor->stride[3] + p->at[2] * tensor->stride[4];
}

/* The input under the taps of a point: address[tap * pitch], `zeros` outside of the input. */
void wt_tap_rows(const wt_packed_problem *problem, const wt_points *point, const float *zeros,
                 const float **address, wt_word pitch);

/* The activation over `count` results in place. Returns a wt_status. */
int wt_activate(const wt_packed_problem *problem, float *row, wt_word count);

#endif
