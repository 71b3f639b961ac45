/* The loops of float64 and int64 rows, from an expression on one element. */
#ifndef WASM_TORCH_POINTWISE_SCALAR_ROW_H
#define WASM_TORCH_POINTWISE_SCALAR_ROW_H

#include "pointwise/row.h"

/* These rows are many and none is hot: small code matters more than unrolled loops. */
#if defined(__clang__)
#define WT_PLAIN_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define WT_PLAIN_LOOP
#endif

/* out_type prefix_<name>: expression in x, p0, p1. */
#define WT_SCALAR_UNARY(prefix, name, type, out_type, parameter, expression) \
  static int prefix##_##name(const wt_row_call *call) {                      \
    const type *in = call->in[0];                                            \
    out_type *out = call->out;                                               \
    type p0 = parameter(call->p0), p1 = parameter(call->p1);                 \
    (void)p0;                                                                \
    (void)p1;                                                                \
    WT_PLAIN_LOOP for (wt_word i = 0; i < call->count; i++) {                \
      type x = in[i];                                                        \
      (void)x;                                                               \
      out[i] = (out_type)(expression);                                       \
    }                                                                        \
    return WT_OK;                                                            \
  }

/* Expression in a, b, p0. */
#define WT_SCALAR_BINARY(prefix, name, type, out_type, parameter, expression) \
  static int prefix##_##name(const wt_row_call *call) {                       \
    const type *in0 = call->in[0], *in1 = call->in[1];                        \
    wt_word step0 = call->step[0], step1 = call->step[1];                     \
    out_type *out = call->out;                                                \
    type p0 = parameter(call->p0);                                            \
    (void)p0;                                                                 \
    WT_PLAIN_LOOP for (wt_word i = 0; i < call->count; i++) {                 \
      type a = *in0, b = *in1;                                                \
      out[i] = (out_type)(expression);                                        \
      in0 += step0;                                                           \
      in1 += step1;                                                           \
    }                                                                         \
    return WT_OK;                                                             \
  }

#endif
