/* Template (see gemm/element.h): products too small to pack, over any strides, without memory. */

/* rows * columns * depth up to which operands are read where they lie. */
#define WT_SMALL_PRODUCT 4096

typedef struct FN(small_block) {
  const T *a, *b;
  T *out;
  const T *bias;
  wt_word columns; /* 1..LANES */
} FN(small_block);

WT_INLINE V FN(small_load)(const T *from, wt_word stride, wt_word count) {
  if (stride == 1 && count == LANES) return LOAD(from);
  V v = {0};
  WT_UNROLL
  for (int l = 0; l < LANES; l++)
    if (l < count) v[l] = from[l * stride];
  return v;
}

WT_INLINE void FN(small_rows)(const int rows, const wt_gemm_problem *problem,
                              const FN(small_block) * block) {
  V acc[4] = {{0}};
  const T *a = block->a, *b = block->b;
  for (wt_word d = 0; d < problem->depth; d++) {
    V right = FN(small_load)(b, problem->b.column_stride, block->columns);
    WT_UNROLL
    for (int r = 0; r < rows; r++)
      acc[r] = MADD(LOAD_SPLAT(a + r * problem->a.row_stride), right, acc[r]);
    a += problem->a.column_stride;
    b += problem->b.row_stride;
  }
  V alpha = SPLAT(FROM_DOUBLE(problem->alpha)), beta = SPLAT(FROM_DOUBLE(problem->beta));
  WT_UNROLL
  for (int r = 0; r < rows; r++) {
    V result = acc[r] * alpha;
    if (block->bias)
      result += beta * FN(small_load)(block->bias + r * problem->bias.row_stride,
                                      problem->bias.column_stride, block->columns);
    T *out = block->out + r * problem->out.row_stride;
    if (problem->out.column_stride == 1 && block->columns == LANES) {
      STORE(out, result);
    } else {
      WT_UNROLL
      for (int l = 0; l < LANES; l++)
        if (l < block->columns) out[l * problem->out.column_stride] = result[l];
    }
  }
}

static void FN(small_entries)(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const wt_gemm_problem *problem = context;
  const wt_matrix *am = &problem->a, *bm = &problem->b, *cm = &problem->bias, *om = &problem->out;
  for (wt_word entry = begin; entry < end; entry++)
    for (wt_word r = 0; r < problem->rows; r += 4)
      for (wt_word c = 0; c < problem->columns; c += LANES) {
        FN(small_block)
        block = {.a = (const T *)am->data + entry * am->batch_stride + r * am->row_stride,
                 .b = (const T *)bm->data + entry * bm->batch_stride + c * bm->column_stride,
                 .out = (T *)om->data + entry * om->batch_stride + r * om->row_stride +
                        c * om->column_stride,
                 .columns = problem->columns - c < LANES ? problem->columns - c : LANES};
        if (cm->data)
          block.bias = (const T *)cm->data + entry * cm->batch_stride + r * cm->row_stride +
                       c * cm->column_stride;
        switch (problem->rows - r) {
          case 1:
            FN(small_rows)(1, problem, &block);
            break;
          case 2:
            FN(small_rows)(2, problem, &block);
            break;
          case 3:
            FN(small_rows)(3, problem, &block);
            break;
          default:
            FN(small_rows)(4, problem, &block);
        }
      }
}

static int FN(gemm_small)(wt_gemm_problem *problem) {
  wt_word product = problem->rows * problem->columns * problem->depth;
  wt_parallel_for(problem->batch, 1 + 16384 / product, FN(small_entries), problem);
  return WT_OK;
}
