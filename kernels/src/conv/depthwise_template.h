/* Template (see gemm/element.h): correlation with one input channel and few filters, where packing
 * would cost more than the multiplications: points are computed straight from the plane. */

/* `vectors` * LANES neighbouring points of a row, all taps: from and out at the first of them. */
WT_INLINE void FN(depthwise_points)(const int vectors, wt_word step, const T *from, T *out,
                                    const wt_word *offsets, const T *weights, wt_word taps,
                                    T bias) {
  V acc[4];
  WT_UNROLL
  for (int i = 0; i < vectors; i++) acc[i] = SPLAT(bias);
  for (wt_word t = 0; t < taps; t++) {
    V weight = LOAD_SPLAT(weights + t * WT_TILE_ROWS);
    const T *at = from + offsets[t];
    WT_UNROLL
    for (int i = 0; i < vectors; i++) {
      V value = SPLAT(0);
      if (step == 1) {
        value = LOAD(at + i * LANES);
      } else {
        WT_UNROLL
        for (int l = 0; l < LANES; l++) value[l] = at[(i * LANES + l) * step];
      }
      acc[i] = MADD(weight, value, acc[i]);
    }
  }
  WT_UNROLL
  for (int i = 0; i < vectors; i++) STORE(out + i * LANES, acc[i]);
}

WT_INLINE void FN(depthwise_row)(wt_word step, const T *from, T *out, wt_word count,
                                 const wt_word *offsets, const T *weights, wt_word taps, T bias) {
  wt_word x = 0;
  for (; x + 4 * LANES <= count; x += 4 * LANES)
    FN(depthwise_points)(4, step, from + x * step, out + x, offsets, weights, taps, bias);
  for (; x + LANES <= count; x += LANES)
    FN(depthwise_points)(1, step, from + x * step, out + x, offsets, weights, taps, bias);
  for (; x < count; x++) {
    T sum = bias;
    for (wt_word t = 0; t < taps; t++)
      sum += weights[t * WT_TILE_ROWS] * from[offsets[t] + x * step];
    out[x] = sum;
  }
}

/* All filters of one box; weights are one tile [tap][WT_TILE_ROWS]. */
static void FN(correlate_depthwise)(const wt_correlation *problem, const FN(plane) * plane,
                                    const wt_conv_box *box, const wt_word *offsets,
                                    const T *weights, wt_word group, T *out, wt_word out_row) {
  wt_word taps = wt_conv_taps(problem->axis), step = problem->axis[2].step;
  for (wt_word f = 0; f < problem->filters; f++) {
    T bias = problem->bias ? ((const T *)problem->bias)[group * problem->filters + f] : (T)0;
    T *to = out + f * out_row;
    for (wt_word z = 0; z < box->size[0]; z++)
      for (wt_word y = 0; y < box->size[1]; y++, to += box->size[2]) {
        const T *from = plane->data + z * problem->axis[0].step * plane->stride[0] +
                        y * problem->axis[1].step * plane->stride[1];
        if (step == 1)
          FN(depthwise_row)(1, from, to, box->size[2], offsets, weights + f, taps, bias);
        else
          FN(depthwise_row)(step, from, to, box->size[2], offsets, weights + f, taps, bias);
      }
  }
}
