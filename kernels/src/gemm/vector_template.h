/* Template (see gemm/element.h): a single row times a matrix, which is read once where it lies.
 *
 * Both forms keep eight independent accumulators, for a chain of multiply-adds is bound by their
 * latency: eight vectors of columns where b is dense along its rows, else four columns times two
 * vectors along the depth.
 */

/* Columns of one work item where b is dense along its rows. */
#define WT_VECTOR_SPAN (8 * LANES)

typedef struct FN(vector_job) {
  const wt_gemm_problem *problem;
  wt_word groups; /* work items of one batch entry */
} FN(vector_job);

/* Writes count <= WT_VECTOR_SPAN products, scaled and with the bias, from `column` on. */
static void FN(vector_finish)(const wt_gemm_problem *problem, wt_word entry, wt_word column,
                              wt_word count, const T *product) {
  T alpha = FROM_DOUBLE(problem->alpha), beta = FROM_DOUBLE(problem->beta);
  const wt_matrix *out = &problem->out, *bias = &problem->bias;
  for (wt_word c = 0; c < count; c++) {
    T value = alpha * product[c];
    if (bias->data)
      value +=
          beta *
          ((const T *)bias->data)[entry * bias->batch_stride + (column + c) * bias->column_stride];
    ((T *)out->data)[entry * out->batch_stride + (column + c) * out->column_stride] = value;
  }
}

/* product[0..WT_VECTOR_SPAN) = a @ b for columns that are dense in each row of b. */
static void FN(vector_span)(const T *a, wt_word a_stride, const T *b, wt_word b_stride,
                            wt_word depth, T *product) {
  V acc[8] = {{0}};
  for (; depth > 0; depth--, a += a_stride, b += b_stride) {
    V scalar = LOAD_SPLAT(a);
    WT_UNROLL
    for (int i = 0; i < 8; i++) acc[i] = MADD(scalar, LOAD(b + i * LANES), acc[i]);
  }
  WT_UNROLL
  for (int i = 0; i < 8; i++) STORE(product + i * LANES, acc[i]);
}

/* The same for the last, fewer columns. */
static void FN(vector_tail)(const T *a, wt_word a_stride, const T *b, wt_word b_stride,
                            wt_word depth, wt_word count, T *product) {
  for (wt_word c = 0; c < count; c++) product[c] = 0;
  for (; depth > 0; depth--, a += a_stride, b += b_stride)
    for (wt_word c = 0; c < count; c++) product[c] += *a * b[c];
}

WT_INLINE T FN(lane_sum)(V v) {
  T sum = v[0];
  WT_UNROLL
  for (int l = 1; l < LANES; l++) sum += v[l];
  return sum;
}

/* product[c] = a . (column c of b), for `columns` <= 4 columns, all dense along the depth. */
WT_INLINE void FN(vector_dots)(const int columns, const T *a, const T *b, wt_word column_stride,
                               wt_word depth, T *product) {
  V acc[4][2] = {{{0}}};
  wt_word d = 0;
  for (; d + 2 * LANES <= depth; d += 2 * LANES) {
    V left0 = LOAD(a + d), left1 = LOAD(a + d + LANES);
    WT_UNROLL
    for (int c = 0; c < columns; c++) {
      acc[c][0] = MADD(left0, LOAD(b + c * column_stride + d), acc[c][0]);
      acc[c][1] = MADD(left1, LOAD(b + c * column_stride + d + LANES), acc[c][1]);
    }
  }
  WT_UNROLL
  for (int c = 0; c < columns; c++) {
    T sum = FN(lane_sum)(acc[c][0] + acc[c][1]);
    for (wt_word tail = d; tail < depth; tail++) sum += a[tail] * b[c * column_stride + tail];
    product[c] = sum;
  }
}

static void FN(vector_row_items)(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const FN(vector_job) *job = context;
  const wt_gemm_problem *problem = job->problem;
  for (wt_word item = begin; item < end; item++) {
    wt_word entry = item / job->groups, column = item % job->groups * WT_VECTOR_SPAN;
    wt_word count = problem->columns - column;
    const T *a = (const T *)problem->a.data + entry * problem->a.batch_stride;
    const T *b = (const T *)problem->b.data + entry * problem->b.batch_stride + column;
    T product[WT_VECTOR_SPAN];
    if (count >= WT_VECTOR_SPAN) {
      count = WT_VECTOR_SPAN;
      FN(vector_span)(a, problem->a.column_stride, b, problem->b.row_stride, problem->depth,
                      product);
    } else {
      FN(vector_tail)(a, problem->a.column_stride, b, problem->b.row_stride, problem->depth, count,
                      product);
    }
    FN(vector_finish)(problem, entry, column, count, product);
  }
}

static void FN(vector_dot_items)(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const FN(vector_job) *job = context;
  const wt_gemm_problem *problem = job->problem;
  for (wt_word item = begin; item < end; item++) {
    wt_word entry = item / job->groups, column = item % job->groups * 4;
    wt_word count = problem->columns - column < 4 ? problem->columns - column : 4;
    wt_word stride = problem->b.column_stride, depth = problem->depth;
    const T *a = (const T *)problem->a.data + entry * problem->a.batch_stride;
    const T *b = (const T *)problem->b.data + entry * problem->b.batch_stride + column * stride;
    T product[4];
    if (count == 4) {
      FN(vector_dots)(4, a, b, stride, depth, product);
    } else {
      for (wt_word c = 0; c < count; c++)
        FN(vector_dots)(1, a, b + c * stride, stride, depth, product + c);
    }
    FN(vector_finish)(problem, entry, column, count, product);
  }
}

static bool FN(gemm_vector_applies)(const wt_gemm_problem *problem) {
  return problem->b.column_stride == 1 ||
         (problem->b.row_stride == 1 && problem->a.column_stride == 1);
}

static int FN(gemm_vector)(const wt_gemm_problem *problem) {
  bool dots = problem->b.row_stride == 1 && problem->a.column_stride == 1 &&
              (problem->b.column_stride != 1 || problem->columns < WT_VECTOR_SPAN);
  wt_word width = dots ? 4 : WT_VECTOR_SPAN;
  FN(vector_job) job = {problem, (problem->columns + width - 1) / width};
  wt_word grain = 1 + 32768 / (problem->depth * width);
  wt_parallel_for(problem->batch * job.groups, grain,
                  dots ? FN(vector_dot_items) : FN(vector_row_items), &job);
  return WT_OK;
}

#undef WT_VECTOR_SPAN
