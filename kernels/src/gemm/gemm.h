/* Matrix products inside the engine: the strided problem, and its solvers by element type. */
#ifndef WASM_TORCH_GEMM_H
#define WASM_TORCH_GEMM_H

#include "core/core.h"

/* Rows of the register tile (see gemm/tile.h). */
#define WT_TILE_ROWS 4
/* Depth of one pass over packed operands: a panel of it stays in the first-level cache. */
#define WT_DEPTH_BLOCK 256

/* A matrix of each batch entry, by strides in elements. */
typedef struct wt_matrix {
  void *data;
  wt_word batch_stride, row_stride, column_stride;
} wt_matrix;

/* out (rows x columns) = alpha * a (rows x depth) @ b (depth x columns) + beta * bias, per entry.
 * bias.data is NULL where there is none; otherwise it may be out itself. */
typedef struct wt_gemm_problem {
  wt_word batch, rows, columns, depth;
  wt_matrix out, a, b, bias;
  double alpha, beta;
} wt_gemm_problem;

int wt_gemm_f32(const wt_gemm_problem *problem);
int wt_gemm_f64(const wt_gemm_problem *problem);
int wt_gemm_u32(const wt_gemm_problem *problem);
int wt_gemm_u64(const wt_gemm_problem *problem);

/* The scalar reference: `dtype` is float32, float64, int32 or int64. */
int wt_gemm_reference(const wt_gemm_problem *problem, wt_word dtype);

#endif
