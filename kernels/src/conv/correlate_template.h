/* Template (see gemm/element.h): correlation as a matrix product without the matrix of patches.
 *
 * out (filters x points) = weight (filters x depth) @ patches (depth x points), where the depth
 * runs over channels and taps. Weights are packed into tiles once. A work item is a box of one
 * entry and group: its input becomes a plane, and panels of COLUMNS neighbouring points are packed
 * from there just before they are multiplied, while they fit the caches. Nothing waits for
 * another item.
 */
typedef struct FN(correlate_job) {
  const wt_correlation *problem;
  wt_conv_boxes boxes;
  FN(plane) layout;
  bool in_place; /* the input needs no plane */
  bool dense;    /* a box's outputs are written where they belong, not through a buffer */
  bool depthwise;
  wt_word depth, depth_step, panels; /* panels: packed at a time */
  wt_word *offsets;                  /* [depth] in the plane */
  T *weights;                        /* [group][tile][depth][WT_TILE_ROWS] */
  T *scratch;                        /* per thread: plane, panels, output buffer */
  wt_word plane_elements, panel_elements, buffer_elements, tiles, buffer_pitch;
} FN(correlate_job);

static void FN(pack_weights)(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const FN(correlate_job) *job = context;
  const wt_correlation *problem = job->problem;
  const wt_conv_axis *axis = problem->axis;
  for (wt_word item = begin; item < end; item++) {
    wt_word group = item / job->tiles, filter = item % job->tiles * WT_TILE_ROWS;
    T *to = job->weights + item * job->depth * WT_TILE_ROWS;
    for (wt_word r = 0; r < WT_TILE_ROWS; r++) {
      T *line = to + r;
      const T *from = (const T *)problem->weight + group * problem->weight_group +
                      (filter + r) * problem->weight_filter;
      bool exists = filter + r < problem->filters;
      for (wt_word c = 0; c < problem->channels; c++)
        for (wt_word z = 0; z < axis[0].taps; z++)
          for (wt_word y = 0; y < axis[1].taps; y++) {
            wt_word at = c * problem->weight_channel +
                         (axis[0].tap_first + z * axis[0].tap_step) * problem->weight_stride[0] +
                         (axis[1].tap_first + y * axis[1].tap_step) * problem->weight_stride[1] +
                         axis[2].tap_first * problem->weight_stride[2];
            wt_word step = axis[2].tap_step * problem->weight_stride[2];
            for (wt_word x = 0; x < axis[2].taps; x++, line += WT_TILE_ROWS)
              *line = exists ? from[at + x * step] : (T)0;
          }
    }
  }
}

/* Position in the plane of each point of a panel; points past the last repeat the first. */
static void FN(locate_points)(const wt_correlation *problem, const FN(plane) * plane,
                              const wt_conv_box *box, wt_word first, wt_word count,
                              wt_word *points) {
  wt_word x = first % box->size[2], row = first / box->size[2];
  wt_word y = row % box->size[1], z = row / box->size[1];
  wt_word step0 = problem->axis[0].step * plane->stride[0];
  wt_word step1 = problem->axis[1].step * plane->stride[1], step2 = problem->axis[2].step;
  for (wt_word i = 0; i < COLUMNS; i++) {
    if (i >= count) {
      points[i] = points[0];
      continue;
    }
    points[i] = z * step0 + y * step1 + x * step2;
    if (++x == box->size[2]) {
      x = 0;
      if (++y == box->size[1]) {
        y = 0;
        z++;
      }
    }
  }
}

WT_INLINE bool FN(consecutive)(const wt_word *points, int count) {
  bool consecutive = true;
  for (int i = 1; i < count; i++) consecutive &= points[i] == points[0] + i;
  return consecutive;
}

/* Packs the points of a panel: by whole vectors where they are neighbours in the plane. */
static void FN(pack_points)(T *to, const T *plane, const wt_word *offsets, wt_word depth,
                            const wt_word *points) {
  if (FN(consecutive)(points, COLUMNS)) {
    plane += points[0];
    for (wt_word d = 0; d < depth; d++, to += COLUMNS) {
      const T *from = plane + offsets[d];
      STORE(to, LOAD(from));
      STORE(to + LANES, LOAD(from + LANES));
    }
    return;
  }
  for (int half = 0; half < COLUMNS; half += LANES, points += LANES) {
    if (FN(consecutive)(points, LANES)) {
      const T *from = plane + points[0];
      for (wt_word d = 0; d < depth; d++) STORE(to + half + d * COLUMNS, LOAD(from + offsets[d]));
    } else {
      for (wt_word d = 0; d < depth; d++) {
        const T *from = plane + offsets[d];
        WT_UNROLL
        for (int i = 0; i < LANES; i++) to[half + d * COLUMNS + i] = from[points[i]];
      }
    }
  }
}

/* Multiplies all filters with `count` points from `first` on; out lies at the box's first point. */
static void FN(correlate_chunk)(const FN(correlate_job) * job, const FN(plane) * plane,
                                const wt_conv_box *box, wt_word group, wt_word first, wt_word count,
                                T *panels, T *out, wt_word out_row) {
  const wt_correlation *problem = job->problem;
  wt_word depth_at = 0;
  do {
    wt_word depth =
        job->depth - depth_at < job->depth_step ? job->depth - depth_at : job->depth_step;
    for (wt_word p = 0; p < count; p += COLUMNS) {
      wt_word points[COLUMNS];
      T *to = panels + p * depth;
      const wt_word *offsets = job->offsets + depth_at;
      FN(locate_points)(problem, plane, box, first + p, count - p, points);
      FN(pack_points)(to, plane->data, offsets, depth, points);
    }
    for (wt_word f = 0; f < problem->filters; f += WT_TILE_ROWS) {
      wt_word rows = problem->filters - f < WT_TILE_ROWS ? problem->filters - f : WT_TILE_ROWS;
      const T *left = job->weights + ((group * job->tiles * WT_TILE_ROWS + f) * job->depth) +
                      depth_at * WT_TILE_ROWS;
      FN(wt_tile_target) target = {.row_stride = out_row, .alpha = 1, .accumulate = depth_at > 0};
      if (problem->bias && depth_at == 0)
        target.row_bias = (const T *)problem->bias + group * problem->filters + f;
      for (wt_word p = 0; p < count; p += COLUMNS) {
        target.out = out + f * out_row + first + p;
        if (count - p >= COLUMNS)
          FN(wt_tile)(rows, depth, left, 0, panels + p * depth, &target);
        else
          FN(wt_tile_partial)(rows, count - p, depth, left, 0, panels + p * depth, &target, 1);
      }
    }
    depth_at += depth;
  } while (depth_at < job->depth);
}

/* Copies a box's outputs from the buffer to where they belong. */
static void FN(write_box)(const FN(correlate_job) * job, const wt_conv_box *box, char *out,
                          const T *buffer) {
  const wt_correlation *problem = job->problem;
  wt_word bytes = (wt_word)wt_dtype_size(problem->dtype), step[3];
  for (int d = 0; d < 3; d++) step[d] = problem->out_stride[d] * problem->axis[d].out_step;
  for (wt_word z = 0; z < box->size[0]; z++)
    for (wt_word y = 0; y < box->size[1]; y++) {
      const T *from = buffer + (z * box->size[1] + y) * box->size[2];
      char *to = out + (z * step[0] + y * step[1]) * bytes;
      if (bytes == sizeof(T) && problem->out_channel == 1) {
        FN(transpose_lines)((T *)to, step[2], from, job->buffer_pitch, box->size[2],
                            problem->filters);
        continue;
      }
      for (wt_word f = 0; f < problem->filters; f++)
        wt_narrow(to + f * problem->out_channel * bytes, problem->dtype, step[2],
                  from + f * job->buffer_pitch, box->size[2]);
    }
}

static void FN(correlate_boxes)(void *context, wt_word begin, wt_word end, int thread) {
  const FN(correlate_job) *job = context;
  const wt_correlation *problem = job->problem;
  wt_word bytes = (wt_word)wt_dtype_size(problem->dtype);
  T *memory =
      job->scratch + thread * (job->plane_elements + job->panel_elements + job->buffer_elements);
  T *panels = memory + job->plane_elements, *buffer = panels + job->panel_elements;
  for (wt_word item = begin; item < end; item++) {
    wt_word group = item / job->boxes.total % problem->groups;
    wt_word n = item / job->boxes.total / problem->groups;
    wt_conv_box box = wt_conv_box_at(&job->boxes, problem->axis, item % job->boxes.total);
    FN(plane)
    plane = FN(plane_of_box)(problem, &job->boxes, &job->layout, &box, n, group,
                             job->in_place ? NULL : memory);
    wt_word at = n * problem->out_batch + group * problem->filters * problem->out_channel;
    for (int d = 0; d < 3; d++)
      at += (problem->axis[d].out_first + box.first[d] * problem->axis[d].out_step) *
            problem->out_stride[d];
    char *place = (char *)problem->out + at * bytes;
    T *out = job->dense ? (T *)place : buffer;
    wt_word out_row = job->dense ? problem->out_channel : job->buffer_pitch;
    wt_word points = wt_conv_points(box.size), chunk = job->panels * COLUMNS;
    if (job->depthwise)
      FN(correlate_depthwise)(problem, &plane, &box, job->offsets,
                              job->weights + group * job->tiles * job->depth * WT_TILE_ROWS, group,
                              out, out_row);
    else
      for (wt_word p = 0; p < points; p += chunk)
        FN(correlate_chunk)(job, &plane, &box, group, p, points - p < chunk ? points - p : chunk,
                            panels, out, out_row);
    if (!job->dense) FN(write_box)(job, &box, place, buffer);
  }
}

/* Whether the points of every box lie side by side in out. */
static bool FN(dense_out)(const wt_correlation *problem, const wt_conv_boxes *boxes) {
  if (wt_dtype_size(problem->dtype) != sizeof(T)) return false;
  wt_word expected = 1;
  for (int d = 2; d >= 0; d--) {
    if (boxes->size[d] > 1 && problem->out_stride[d] * problem->axis[d].out_step != expected)
      return false;
    expected *= boxes->size[d];
  }
  return true;
}

/* Positions of a plane: half a second-level cache. Packed panels: a quarter. */
#define WT_PLANE_ELEMENTS (128 * 1024)
#define WT_PANEL_ELEMENTS (64 * 1024)
#define WT_CONV_DEPTH 640

static void FN(correlate_plan)(FN(correlate_job) * job, int threads) {
  const wt_correlation *problem = job->problem;
  wt_word items = problem->batch * problem->groups;
  wt_word wanted = threads == 1 ? 1 : (4 * threads + items - 1) / items;
  job->depth = problem->channels * wt_conv_taps(problem->axis);
  int64_t point_cost = (int64_t)(job->depth + 1) * problem->filters;
  wt_word worthwhile = 1 + (wt_word)(65536 / point_cost);
  if (worthwhile < COLUMNS) worthwhile = COLUMNS;
  job->boxes =
      wt_conv_split(problem->axis, problem->channels, WT_PLANE_ELEMENTS, wanted, worthwhile);
  job->in_place = FN(plane_layout)(problem, &job->boxes, &job->layout);
  job->dense = FN(dense_out)(problem, &job->boxes);
  job->depthwise = problem->channels == 1 && problem->filters < WT_TILE_ROWS;
  job->tiles = (problem->filters + WT_TILE_ROWS - 1) / WT_TILE_ROWS;
  wt_word steps = (job->depth + WT_CONV_DEPTH - 1) / WT_CONV_DEPTH;
  job->depth_step = steps <= 1 ? job->depth : (job->depth / steps + 4) / 4 * 4;
  /* Small weights stay in the cache while one panel after the other passes them; large ones are
   * read once for many panels. */
  wt_word points = wt_conv_points(job->boxes.size), all = (points + COLUMNS - 1) / COLUMNS;
  bool small = (int64_t)job->depth * problem->filters <= WT_PLANE_ELEMENTS;
  job->panels = small ? 1 : WT_PANEL_ELEMENTS / (job->depth_step * COLUMNS);
  if (job->panels < 1) job->panels = 1;
  if (job->panels > all) job->panels = all;
  job->buffer_pitch = all * COLUMNS;
  job->plane_elements = job->in_place ? 0 : problem->channels * wt_conv_points(job->boxes.extent);
  job->panel_elements = job->depthwise ? 0 : job->panels * job->depth_step * COLUMNS;
  job->buffer_elements = job->dense ? 0 : job->tiles * WT_TILE_ROWS * job->buffer_pitch;
}

int FN(wt_correlate)(const wt_correlation *problem) {
  for (int d = 0; d < 3; d++)
    if (problem->axis[d].grid == 0) return WT_OK;
  if (problem->batch == 0 || problem->groups == 0 || problem->filters == 0) return WT_OK;
  int threads = wt_thread_limit();
  FN(correlate_job) job = {.problem = problem};
  FN(correlate_plan)(&job, threads);
  uint64_t weights = (uint64_t)(problem->groups * job.tiles) * (uint64_t)(job.depth * WT_TILE_ROWS);
  uint64_t scratch =
      (uint64_t)threads * (uint64_t)(job.plane_elements + job.panel_elements + job.buffer_elements);
  size_t words = ((size_t)job.depth + 1) / 2 * 2; /* even, so that what follows is aligned */
  job.offsets = wt_alloc_many(words * sizeof(wt_word) + (weights + scratch) * sizeof(T), 1);
  if (!job.offsets) return WT_OUT_OF_MEMORY;
  job.weights = (T *)(job.offsets + words);
  job.scratch = job.weights + weights;
  wt_conv_offsets(problem->axis, problem->channels, job.layout.channel, job.layout.stride,
                  job.offsets);
  wt_word pack_grain = 1 + 16384 / (job.depth * WT_TILE_ROWS + 1);
  wt_parallel_for(problem->groups * job.tiles, pack_grain, FN(pack_weights), &job);
  int64_t cost = (int64_t)wt_conv_points(job.boxes.size) * (job.depth + 1) * problem->filters;
  wt_parallel_for(problem->batch * problem->groups * job.boxes.total, 1 + (wt_word)(65536 / cost),
                  FN(correlate_boxes), &job);
  wt_free(job.offsets);
  return WT_OK;
}

#undef WT_PLANE_ELEMENTS
#undef WT_PANEL_ELEMENTS
#undef WT_CONV_DEPTH
