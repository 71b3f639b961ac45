/* Template (see gemm/element.h): the input of a box at the kernel's door.
 *
 * Whatever the input's dtype and strides, a box works on a plane: channel by channel, rows dense,
 * the padding filled in with zeros. Where the input already is like that, it is used in place.
 */
typedef struct FN(plane) {
  T *data; /* the lowest position that a box reads */
  wt_word channel, stride[3];
} FN(plane);

/* The plane's layout for the boxes of a problem; true where the input serves as it lies. */
static bool FN(plane_layout)(const wt_correlation *problem, const wt_conv_boxes *boxes,
                             FN(plane) * plane) {
  bool in_place = wt_dtype_size(problem->dtype) == sizeof(T) &&
                  (problem->input_stride[2] == 1 || boxes->extent[2] == 1);
  for (int d = 0; d < 3; d++) {
    const wt_conv_axis *axis = &problem->axis[d];
    wt_word span = axis->taps > 1 ? (axis->taps - 1) * axis->offset_step : 0;
    wt_word last = (axis->grid - 1) * axis->step + wt_conv_lowest(axis) + (span < 0 ? -span : span);
    if (wt_conv_lowest(axis) < 0 || last >= axis->in_size) in_place = false;
  }
  plane->data = NULL;
  plane->stride[2] = 1;
  plane->stride[1] = in_place ? problem->input_stride[1] : boxes->extent[2];
  plane->stride[0] = in_place ? problem->input_stride[0] : boxes->extent[2] * boxes->extent[1];
  plane->channel = in_place ? problem->input_channel : plane->stride[0] * boxes->extent[0];
  return in_place;
}

WT_INLINE void FN(copy_line)(T *to, const T *from, wt_word count) {
  wt_word i = 0;
  for (; i + LANES <= count; i += LANES) STORE(to + i, LOAD(from + i));
  for (; i < count; i++) to[i] = from[i];
}

WT_INLINE void FN(zero_line)(T *to, wt_word count) {
  wt_word i = 0;
  for (; i + LANES <= count; i += LANES) STORE(to + i, SPLAT(0));
  for (; i < count; i++) to[i] = 0;
}

/* to[l * to_line + i] = from[l + i * from_line], in transposed blocks. */
static void FN(transpose_lines)(T *to, wt_word to_line, const T *from, wt_word from_line,
                                wt_word lines, wt_word count) {
  wt_word l = 0;
  for (; l + LANES <= lines; l += LANES) {
    wt_word i = 0;
    for (; i + LANES <= count; i += LANES)
      FN(transpose_block)(to + l * to_line + i, to_line, from + l + i * from_line, from_line);
    for (; i < count; i++)
      for (wt_word lane = l; lane < l + LANES; lane++)
        to[lane * to_line + i] = from[lane + i * from_line];
  }
  for (; l < lines; l++)
    for (wt_word i = 0; i < count; i++) to[l * to_line + i] = from[l + i * from_line];
}

/* Fills one row of all channels: `count` inputs from `from` on, between zeros. */
static void FN(plane_row)(const wt_correlation *problem, const FN(plane) * plane, T *row,
                          const char *from, wt_word before, wt_word count, wt_word after) {
  wt_word bytes = (wt_word)wt_dtype_size(problem->dtype), column = problem->input_stride[2];
  bool native = bytes == sizeof(T);
  bool transpose = native && count > 0 && problem->input_channel == 1 && column != 1;
  for (wt_word c = 0; c < problem->channels; c++, row += plane->channel) {
    FN(zero_line)(row, before);
    if (count > 0 && !transpose) {
      const char *line = from + c * problem->input_channel * bytes;
      if (native && column == 1)
        FN(copy_line)(row + before, (const T *)line, count);
      else
        wt_widen(row + before, line, problem->dtype, column, count);
    }
    FN(zero_line)(row + before + count, after);
  }
  if (transpose)
    FN(transpose_lines)(row - problem->channels * plane->channel + before, plane->channel,
                        (const T *)from, column, problem->channels, count);
}

/* The part of lowest..lowest + extent that lies inside the input. */
static void FN(plane_range)(const wt_conv_axis *axis, wt_word first, wt_word extent,
                            wt_word *before, wt_word *count) {
  wt_word lowest = first * axis->step + wt_conv_lowest(axis), end = lowest + extent;
  wt_word begin = lowest < 0 ? 0 : lowest;
  if (end > axis->in_size) end = axis->in_size;
  *count = end > begin ? end - begin : 0;
  *before = *count > 0 ? begin - lowest : extent;
}

/* The plane of one box of entry n, group g: filled in `memory`, or in place where that is NULL. */
static FN(plane) FN(plane_of_box)(const wt_correlation *problem, const wt_conv_boxes *boxes,
                                  const FN(plane) * layout, const wt_conv_box *box, wt_word n,
                                  wt_word g, T *memory) {
  FN(plane) plane = *layout;
  wt_word bytes = (wt_word)wt_dtype_size(problem->dtype);
  wt_word origin = n * problem->input_batch + g * problem->channels * problem->input_channel;
  wt_word lowest[3], before[3], count[3];
  for (int d = 0; d < 3; d++) {
    lowest[d] = box->first[d] * problem->axis[d].step + wt_conv_lowest(&problem->axis[d]);
    FN(plane_range)(&problem->axis[d], box->first[d], boxes->extent[d], &before[d], &count[d]);
  }
  if (!memory) {
    for (int d = 0; d < 3; d++) origin += lowest[d] * problem->input_stride[d];
    plane.data = (T *)problem->input + origin;
    return plane;
  }
  plane.data = memory;
  for (wt_word z = 0; z < boxes->extent[0]; z++)
    for (wt_word y = 0; y < boxes->extent[1]; y++) {
      bool inside = z >= before[0] && z < before[0] + count[0] && y >= before[1] &&
                    y < before[1] + count[1] && count[2] > 0;
      wt_word at = origin + (lowest[0] + z) * problem->input_stride[0] +
                   (lowest[1] + y) * problem->input_stride[1] +
                   (lowest[2] + before[2]) * problem->input_stride[2];
      wt_word columns = inside ? count[2] : 0, zeros = inside ? before[2] : boxes->extent[2];
      FN(plane_row)(problem, &plane, memory + z * plane.stride[0] + y * plane.stride[1],
                    inside ? (const char *)problem->input + at * bytes : NULL, zeros, columns,
                    boxes->extent[2] - zeros - columns);
    }
  return plane;
}
