/* Template (see gemm/element.h): the transpose of one square block of vectors. */

/* Transposes LANES x LANES elements: to[l * to_stride + i] = from[i * from_stride + l]. */
WT_INLINE void FN(transpose_block)(T *to, wt_word to_stride, const T *from, wt_word from_stride) {
#if LANES == 4
  wt_f32x4 rows[4];
  WT_UNROLL
  for (int i = 0; i < 4; i++) rows[i] = wt_f32x4_load((const float *)(from + i * from_stride));
  wt_f32x4_transpose(rows);
  WT_UNROLL
  for (int i = 0; i < 4; i++) wt_f32x4_store((float *)(to + i * to_stride), rows[i]);
#else
  V row0 = LOAD(from), row1 = LOAD(from + from_stride);
  STORE(to, __builtin_shufflevector(row0, row1, 0, 2));
  STORE(to + to_stride, __builtin_shufflevector(row0, row1, 1, 3));
#endif
}
