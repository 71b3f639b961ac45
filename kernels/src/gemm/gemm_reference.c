/* The matrix product by its definition: the scalar reference of gemm/gemm_template.h. */
#include "gemm/gemm.h"

#define WT_DEFINE_REFERENCE(name, T, FROM_DOUBLE)                                             \
  static void name(const wt_gemm_problem *problem, wt_word entry) {                           \
    const wt_matrix *am = &problem->a, *bm = &problem->b, *cm = &problem->bias,               \
                    *om = &problem->out;                                                      \
    const T *a = (const T *)am->data + entry * am->batch_stride;                              \
    const T *b = (const T *)bm->data + entry * bm->batch_stride;                              \
    T *out = (T *)om->data + entry * om->batch_stride;                                        \
    T alpha = FROM_DOUBLE(problem->alpha), beta = FROM_DOUBLE(problem->beta);                 \
    for (wt_word r = 0; r < problem->rows; r++)                                               \
      for (wt_word c = 0; c < problem->columns; c++) {                                        \
        T sum = 0;                                                                            \
        if (problem->alpha != 0)                                                              \
          for (wt_word d = 0; d < problem->depth; d++)                                        \
            sum += a[r * am->row_stride + d * am->column_stride] *                            \
                   b[d * bm->row_stride + c * bm->column_stride];                             \
        sum *= alpha;                                                                         \
        if (cm->data && problem->beta != 0)                                                   \
          sum += beta * ((const T *)cm->data)[entry * cm->batch_stride + r * cm->row_stride + \
                                              c * cm->column_stride];                         \
        out[r * om->row_stride + c * om->column_stride] = sum;                                \
      }                                                                                       \
  }
#define WT_FLOAT_SCALAR(x) ((float)(x))
#define WT_DOUBLE_SCALAR(x) (x)
#define WT_INT32_SCALAR(x) ((uint32_t)(int64_t)(x))
#define WT_INT64_SCALAR(x) ((uint64_t)(int64_t)(x))
WT_DEFINE_REFERENCE(reference_f32, float, WT_FLOAT_SCALAR)
WT_DEFINE_REFERENCE(reference_f64, double, WT_DOUBLE_SCALAR)
WT_DEFINE_REFERENCE(reference_u32, uint32_t, WT_INT32_SCALAR)
WT_DEFINE_REFERENCE(reference_u64, uint64_t, WT_INT64_SCALAR)

int wt_gemm_reference(const wt_gemm_problem *problem, wt_word dtype) {
  for (wt_word entry = 0; entry < problem->batch; entry++) {
    switch (dtype) {
      case WT_FLOAT32:
        reference_f32(problem, entry);
        break;
      case WT_FLOAT64:
        reference_f64(problem, entry);
        break;
      case WT_INT32:
        reference_u32(problem, entry);
        break;
      case WT_INT64:
        reference_u64(problem, entry);
        break;
      default:
        return wt_fail(WT_UNSUPPORTED_DTYPE, dtype, 0, 0);
    }
  }
  return WT_OK;
}
