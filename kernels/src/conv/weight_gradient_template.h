/* Template (see gemm/element.h): the gradients of weight and bias.
 *
 * grad_weight^T (depth x filters) = patches (depth x points) @ grad_out^T (points x filters),
 * summed over all entries: a product whose depth are the points. Boxes are shared out to a number
 * of parts; each sums its own partial result, and the parts are added in their order, so that the
 * result does not depend on which thread did what. A work item is one part of one group, and of
 * large weights a slice of their rows.
 */
#define WT_BLOCK (WT_TILE_ROWS * COLUMNS)

typedef struct FN(weight_job) {
  const wt_weight_gradient *gradient;
  const wt_correlation *problem;
  wt_conv_boxes boxes;
  FN(plane) layout;
  bool in_place, widen; /* widen: grad_out passes through a buffer in the computing type */
  wt_word depth, depth_tiles, filter_panels, point_step;
  wt_word parts, slices, slice_tiles;
  wt_word *offsets;
  T *partial;      /* [group][part][depth tile][filter panel][WT_TILE_ROWS][COLUMNS] */
  T *partial_bias; /* [group][part][filter panel * COLUMNS] */
  T *scratch;      /* per thread: plane, widened grad_out, packed grad_out, packed patches */
  wt_word plane_elements, widened_elements, packed_elements, patch_elements;
} FN(weight_job);

/* What one box of one entry offers to multiply. */
typedef struct FN(weight_box) {
  wt_conv_box box;
  FN(plane) plane;
  const T *grad; /* grad_out at the box's first point */
  wt_word grad_channel, grad_stride[3];
  bool grad_flat; /* all points of grad lie grad_stride[2] apart */
} FN(weight_box);

/* Packs points first..first+count of grad_out into panels of filters: [panel][point][COLUMNS]. */
static void FN(pack_grad)(const FN(weight_job) * job, const FN(weight_box) * at, wt_word first,
                          wt_word count, T *packed) {
  wt_word filters = job->problem->filters, width = at->box.size[2];
  for (wt_word f = 0; f < filters; f += COLUMNS, packed += count * COLUMNS) {
    wt_word columns = filters - f < COLUMNS ? filters - f : COLUMNS;
    const T *from = at->grad + f * at->grad_channel;
    if (at->grad_flat) {
      FN(wt_pack_panel)(packed, from + first * at->grad_stride[2], count, columns,
                        at->grad_stride[2], at->grad_channel);
      continue;
    }
    for (wt_word p = first, run; p < first + count; p += run) {
      wt_word x = p % width, row = p / width;
      wt_word y = row % at->box.size[1], z = row / at->box.size[1];
      run = width - x < first + count - p ? width - x : first + count - p;
      const T *line =
          from + z * at->grad_stride[0] + y * at->grad_stride[1] + x * at->grad_stride[2];
      FN(wt_pack_panel)(packed + (p - first) * COLUMNS, line, run, columns, at->grad_stride[2],
                        at->grad_channel);
    }
  }
}

/* Packs `count` points of one row for `rows` taps: to[point][WT_TILE_ROWS]. */
WT_INLINE void FN(pack_taps)(T *to, const T *from, const wt_word *offsets, wt_word rows,
                             wt_word count, wt_word step) {
  wt_word x = 0;
#if LANES == 4
  if (step == 1 && rows == WT_TILE_ROWS && count >= LANES) {
    for (; x < count; x += LANES) {
      if (x > count - LANES) x = count - LANES; /* the last block overlaps the one before */
      wt_f32x4 lines[4];
      WT_UNROLL
      for (int r = 0; r < 4; r++) lines[r] = wt_f32x4_load(from + offsets[r] + x);
      wt_f32x4_transpose(lines);
      WT_UNROLL
      for (int r = 0; r < 4; r++) wt_f32x4_store(to + (x + r) * WT_TILE_ROWS, lines[r]);
    }
    return;
  }
#endif
  for (; x < count; x++)
    for (wt_word r = 0; r < WT_TILE_ROWS; r++)
      to[x * WT_TILE_ROWS + r] = r < rows ? from[offsets[r] + x * step] : (T)0;
}

static void FN(pack_patches)(const FN(weight_job) * job, const FN(weight_box) * at, wt_word d,
                             wt_word rows, wt_word first, wt_word count, T *packed) {
  const wt_conv_axis *axis = job->problem->axis;
  wt_word width = at->box.size[2], x = first % width, row = first / width;
  wt_word y = row % at->box.size[1], z = row / at->box.size[1];
  for (wt_word p = 0, run; p < count; p += run) {
    run = width - x < count - p ? width - x : count - p;
    const T *from = at->plane.data + z * axis[0].step * at->plane.stride[0] +
                    y * axis[1].step * at->plane.stride[1] + x * axis[2].step;
    FN(pack_taps)(packed + p * WT_TILE_ROWS, from, job->offsets + d, rows, run, axis[2].step);
    x = 0;
    if (++y == at->box.size[1]) {
      y = 0;
      z++;
    }
  }
}

/* bias += the sums of packed grad_out over its points, block by block, so that errors stay small.
 */
static void FN(sum_grad)(const FN(weight_job) * job, const T *packed, wt_word count, T *bias) {
  for (wt_word panel = 0; panel < job->filter_panels; panel++, bias += COLUMNS) {
    V sum0 = SPLAT(0), sum1 = SPLAT(0);
    for (wt_word p = 0; p < count; p++, packed += COLUMNS) {
      sum0 += LOAD(packed);
      sum1 += LOAD(packed + LANES);
    }
    STORE(bias, LOAD(bias) + sum0);
    STORE(bias + LANES, LOAD(bias + LANES) + sum1);
  }
}

static void FN(add_box)(const FN(weight_job) * job, const FN(weight_box) * at, wt_word first_tile,
                        wt_word tiles, T *packed, T *patches, T *partial, T *bias) {
  wt_word points = wt_conv_points(at->box.size);
  for (wt_word p = 0; p < points; p += job->point_step) {
    wt_word count = points - p < job->point_step ? points - p : job->point_step;
    FN(pack_grad)(job, at, p, count, packed);
    if (bias) FN(sum_grad)(job, packed, count, bias);
    for (wt_word tile = first_tile; tile < first_tile + tiles; tile++) {
      wt_word d = tile * WT_TILE_ROWS;
      wt_word rows = job->depth - d < WT_TILE_ROWS ? job->depth - d : WT_TILE_ROWS;
      FN(pack_patches)(job, at, d, rows, p, count, patches);
      FN(wt_tile_target) target = {.row_stride = COLUMNS, .alpha = 1, .accumulate = true};
      for (wt_word panel = 0; panel < job->filter_panels; panel++) {
        target.out = partial + (tile * job->filter_panels + panel) * WT_BLOCK;
        FN(wt_tile)(rows, count, patches, 0, packed + panel * count * COLUMNS, &target);
      }
    }
  }
}

/* grad_out of a box in the computing type: where it lies, or widened into `buffer`. */
static void FN(locate_grad)(const FN(weight_job) * job, FN(weight_box) * at, wt_word n,
                            wt_word group, T *buffer) {
  const wt_correlation *problem = job->problem;
  const wt_conv_box *box = &at->box;
  wt_word bytes = (wt_word)wt_dtype_size(problem->dtype);
  wt_word origin = n * problem->out_batch + group * problem->filters * problem->out_channel;
  for (int d = 0; d < 3; d++) origin += box->first[d] * problem->out_stride[d];
  if (!job->widen) {
    at->grad = (const T *)problem->out + origin;
    at->grad_channel = problem->out_channel;
    for (int d = 0; d < 3; d++) at->grad_stride[d] = problem->out_stride[d];
    wt_word row = box->size[2] * at->grad_stride[2];
    at->grad_flat = (box->size[1] == 1 || at->grad_stride[1] == row) &&
                    (box->size[0] == 1 || at->grad_stride[0] == row * box->size[1]);
    return;
  }
  const char *from = (const char *)problem->out + origin * bytes;
  at->grad = buffer;
  at->grad_channel = wt_conv_points(box->size);
  at->grad_stride[2] = 1;
  at->grad_flat = true;
  for (wt_word f = 0; f < problem->filters; f++)
    for (wt_word z = 0; z < box->size[0]; z++)
      for (wt_word y = 0; y < box->size[1]; y++, buffer += box->size[2])
        wt_widen(buffer,
                 from + (f * problem->out_channel + z * problem->out_stride[0] +
                         y * problem->out_stride[1]) *
                            bytes,
                 problem->dtype, problem->out_stride[2], box->size[2]);
}

static void FN(weight_parts)(void *context, wt_word begin, wt_word end, int thread) {
  const FN(weight_job) *job = context;
  const wt_correlation *problem = job->problem;
  wt_word per_thread =
      job->plane_elements + job->widened_elements + job->packed_elements + job->patch_elements;
  T *memory = job->scratch + thread * per_thread;
  T *widened = memory + job->plane_elements, *packed = widened + job->widened_elements;
  T *patches = packed + job->packed_elements;
  wt_word units = problem->batch * job->boxes.total;
  for (wt_word item = begin; item < end; item++) {
    wt_word slice = item % job->slices, part = item / job->slices % job->parts;
    wt_word group = item / job->slices / job->parts;
    wt_word at_part = group * job->parts + part, first_tile = slice * job->slice_tiles;
    wt_word tiles = job->depth_tiles - first_tile;
    if (tiles > job->slice_tiles) tiles = job->slice_tiles;
    T *partial = job->partial + at_part * job->depth_tiles * job->filter_panels * WT_BLOCK;
    T *bias = slice == 0 && job->partial_bias
                  ? job->partial_bias + at_part * job->filter_panels * COLUMNS
                  : NULL;
    for (wt_word i = 0; i < tiles * job->filter_panels * WT_BLOCK; i++)
      partial[first_tile * job->filter_panels * WT_BLOCK + i] = 0;
    if (bias)
      for (wt_word i = 0; i < job->filter_panels * COLUMNS; i++) bias[i] = 0;
    wt_word last = (wt_word)((int64_t)units * (part + 1) / job->parts);
    for (wt_word unit = (wt_word)((int64_t)units * part / job->parts); unit < last; unit++) {
      FN(weight_box) at;
      wt_word n = unit / job->boxes.total;
      at.box = wt_conv_box_at(&job->boxes, problem->axis, unit % job->boxes.total);
      FN(locate_grad)(job, &at, n, group, widened);
      if (tiles > 0)
        at.plane = FN(plane_of_box)(problem, &job->boxes, &job->layout, &at.box, n, group,
                                    job->in_place ? NULL : memory);
      FN(add_box)(job, &at, first_tile, tiles, packed, patches, partial, bias);
    }
  }
}

/* Adds the parts of one tile of the depth and writes it where it belongs in grad_weight. */
static void FN(reduce_weight)(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const FN(weight_job) *job = context;
  const wt_correlation *problem = job->problem;
  const wt_conv_axis *axis = problem->axis;
  wt_word bytes = (wt_word)wt_dtype_size(problem->dtype);
  wt_word part_elements = job->depth_tiles * job->filter_panels * WT_BLOCK;
  for (wt_word item = begin; item < end; item++) {
    wt_word group = item / job->depth_tiles, tile = item % job->depth_tiles;
    wt_word places[WT_TILE_ROWS];
    for (wt_word r = 0; r < WT_TILE_ROWS; r++) {
      wt_word d = tile * WT_TILE_ROWS + r, x = d % axis[2].taps, rest = d / axis[2].taps;
      wt_word y = rest % axis[1].taps, z = rest / axis[1].taps % axis[0].taps;
      places[r] = group * problem->weight_group +
                  rest / axis[1].taps / axis[0].taps * problem->weight_channel +
                  z * problem->weight_stride[0] + y * problem->weight_stride[1] +
                  x * problem->weight_stride[2];
    }
    for (wt_word panel = 0; panel < job->filter_panels; panel++) {
      T sum[WT_BLOCK];
      const T *from = job->partial + group * job->parts * part_elements +
                      (tile * job->filter_panels + panel) * WT_BLOCK;
      for (wt_word i = 0; i < WT_BLOCK; i++) sum[i] = from[i];
      for (wt_word part = 1; part < job->parts; part++)
        for (wt_word i = 0; i < WT_BLOCK; i++) sum[i] += from[part * part_elements + i];
      for (wt_word r = 0; r < WT_TILE_ROWS && tile * WT_TILE_ROWS + r < job->depth; r++) {
        wt_word filters = problem->filters - panel * COLUMNS;
        wt_word at = places[r] + panel * COLUMNS * problem->weight_filter;
        wt_narrow((char *)job->gradient->grad_weight + at * bytes, problem->dtype,
                  problem->weight_filter, sum + r * COLUMNS, filters < COLUMNS ? filters : COLUMNS);
      }
    }
  }
}

static void FN(reduce_bias)(const FN(weight_job) * job) {
  const wt_correlation *problem = job->problem;
  wt_word width = job->filter_panels * COLUMNS, bytes = (wt_word)wt_dtype_size(problem->dtype);
  for (wt_word group = 0; group < problem->groups; group++) {
    T *sum = job->partial_bias + group * job->parts * width;
    for (wt_word part = 1; part < job->parts; part++)
      for (wt_word f = 0; f < width; f++) sum[f] += sum[part * width + f];
    wt_narrow((char *)job->gradient->grad_bias +
                  group * problem->filters * job->gradient->grad_bias_stride * bytes,
              problem->dtype, job->gradient->grad_bias_stride, sum, problem->filters);
  }
}

/* Parts of at most 4M elements together; slices of the depth where that leaves too few items. */
#define WT_PARTIAL_ELEMENTS (4 << 20)
#define WT_WEIGHT_ITEMS 8
#define WT_POINT_STEP 256
#define WT_WEIGHT_PLANE (128 * 1024)

static void FN(weight_plan)(FN(weight_job) * job) {
  const wt_correlation *problem = job->problem;
  bool weights = job->gradient->grad_weight != NULL;
  wt_word wanted = (WT_WEIGHT_ITEMS + problem->batch) / (problem->batch + 1);
  job->boxes =
      wt_conv_split(problem->axis, weights ? problem->channels : 1, WT_WEIGHT_PLANE, wanted, 64);
  job->in_place = FN(plane_layout)(problem, &job->boxes, &job->layout);
  job->widen = wt_dtype_size(problem->dtype) != sizeof(T);
  job->depth = weights ? problem->channels * wt_conv_taps(problem->axis) : 0;
  job->depth_tiles = (job->depth + WT_TILE_ROWS - 1) / WT_TILE_ROWS;
  job->filter_panels = (problem->filters + COLUMNS - 1) / COLUMNS;
  int64_t elements = (int64_t)problem->groups * job->depth_tiles * job->filter_panels * WT_BLOCK;
  int64_t units = (int64_t)problem->batch * job->boxes.total;
  int64_t parts = (WT_WEIGHT_ITEMS + problem->groups - 1) / problem->groups;
  if (elements > 0 && parts > WT_PARTIAL_ELEMENTS / elements)
    parts = WT_PARTIAL_ELEMENTS / elements;
  if (parts > units) parts = units;
  job->parts = parts < 1 ? 1 : (wt_word)parts;
  wt_word slices = WT_WEIGHT_ITEMS / (problem->groups * job->parts);
  if (slices > job->depth_tiles / 16) slices = job->depth_tiles / 16;
  if (slices < 1) slices = 1;
  job->slice_tiles = (job->depth_tiles + slices - 1) / slices;
  job->slices =
      job->slice_tiles == 0 ? 1 : (job->depth_tiles + job->slice_tiles - 1) / job->slice_tiles;
  wt_word points = wt_conv_points(job->boxes.size);
  job->point_step = points < WT_POINT_STEP ? points : WT_POINT_STEP;
  job->plane_elements =
      job->in_place || !weights ? 0 : problem->channels * wt_conv_points(job->boxes.extent);
  job->widened_elements = job->widen ? problem->filters * points : 0;
  job->packed_elements = job->filter_panels * COLUMNS * job->point_step;
  job->patch_elements = WT_TILE_ROWS * job->point_step;
}

int FN(wt_weight_gradient)(const wt_weight_gradient *gradient) {
  const wt_correlation *problem = &gradient->forward;
  if (problem->groups == 0 || problem->filters == 0) return WT_OK;
  int threads = wt_thread_limit();
  FN(weight_job) job = {.gradient = gradient, .problem = problem};
  FN(weight_plan)(&job);
  uint64_t parts = (uint64_t)(problem->groups * job.parts);
  uint64_t partial = parts * (uint64_t)(job.depth_tiles * job.filter_panels * WT_BLOCK);
  uint64_t bias = gradient->grad_bias ? parts * (uint64_t)(job.filter_panels * COLUMNS) : 0;
  uint64_t scratch = (uint64_t)threads * (uint64_t)(job.plane_elements + job.widened_elements +
                                                    job.packed_elements + job.patch_elements);
  size_t words = ((size_t)job.depth + 1) / 2 * 2; /* even, so that what follows is aligned */
  job.offsets = wt_alloc_many(words * sizeof(wt_word) + (partial + bias + scratch) * sizeof(T), 1);
  if (!job.offsets) return WT_OUT_OF_MEMORY;
  job.partial = (T *)(job.offsets + words);
  if (gradient->grad_bias) job.partial_bias = job.partial + partial;
  job.scratch = job.partial + partial + bias;
  if (job.depth > 0)
    wt_conv_offsets(problem->axis, problem->channels, job.layout.channel, job.layout.stride,
                    job.offsets);
  int64_t points = (int64_t)problem->batch * job.boxes.total * wt_conv_points(job.boxes.size);
  int64_t cost = 1 + points * (job.depth + 1) * problem->filters / (job.parts * job.slices);
  wt_parallel_for(problem->groups * job.parts * job.slices, 1 + (wt_word)(65536 / cost),
                  FN(weight_parts), &job);
  wt_parallel_for(problem->groups * job.depth_tiles, 16, FN(reduce_weight), &job);
  if (gradient->grad_bias) FN(reduce_bias)(&job);
  wt_free(job.offsets);
  return WT_OK;
}

#undef WT_BLOCK
#undef WT_PARTIAL_ELEMENTS
#undef WT_WEIGHT_ITEMS
#undef WT_POINT_STEP
#undef WT_WEIGHT_PLANE
