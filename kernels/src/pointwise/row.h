/* What the pointwise kernels share: rows, moves and plans.
 *
 * A *row* applies one operator to `count` elements of one compute type: float32, float64 or int64
 * (bool for a few). Its operands lie densely in memory or repeat one element. A *move* copies a
 * two-dimensional block between any strides and dtypes. A *plan* walks strided tensors in blocks:
 * operands that a row can read or write in place are passed to it directly, the others are moved
 * through small buffers. So every operator works for every dtype and layout, and needs one loop.
 */
#ifndef WASM_TORCH_POINTWISE_ROW_H
#define WASM_TORCH_POINTWISE_ROW_H

#include "core/core.h"
#include "simd.h"

/* ---- rows ----------------------------------------------------------------------------------- */
/* in[k] has `count` elements where step[k] is 1; where it is 0 it holds WT_SPLAT_BYTES of one
 * repeated element. p0, p1 are the operator's parameters (alpha is p0). `program` is that of a row
 * which runs one (program.c). */
#define WT_SPLAT_BYTES 16
#define WT_MAX_ROW_INPUTS WT_PROGRAM_INPUTS
typedef struct wt_row_call {
  void *out;
  const void *in[WT_MAX_ROW_INPUTS];
  wt_word step[WT_MAX_ROW_INPUTS];
  wt_word count;
  double p0, p1;
  const void *program;
} wt_row_call;

/* Returns a wt_status. */
typedef int (*wt_row)(const wt_row_call *call);

/* `grain`: elements below which a second thread does not pay. */
typedef struct wt_row_entry {
  wt_row row;
  wt_word grain;
} wt_row_entry;
#define WT_GRAIN_CHEAP 32768
#define WT_GRAIN_COSTLY 8192
#define WT_GRAIN_LIBM 2048

/* The row of an operator for tensors of `dtype`: the row, the dtype it computes in, the dtype it
 * writes; entry.row is NULL where the operator does not exist for the dtype. */
typedef struct wt_row_choice {
  wt_row_entry entry;
  int compute;
  int result;
} wt_row_choice;

wt_row_choice wt_choose_unary(wt_word op, wt_word dtype);
wt_row_choice wt_choose_binary(wt_word op, wt_word dtype);
wt_row_choice wt_choose_ternary(wt_word op, wt_word dtype);

/* The tables behind the choice; the float32 ones hold the operators worth a vector version, every
 * other one is computed in float64. Predicates write bool. */
extern const wt_row_entry wt_float32_unary_rows[WT_UNARY_COUNT];
extern const wt_row_entry wt_float64_unary_rows[WT_UNARY_COUNT];
extern const wt_row_entry wt_int64_unary_rows[WT_UNARY_COUNT];
extern const wt_row_entry wt_float32_binary_rows[WT_BINARY_COUNT];
extern const wt_row_entry wt_float64_binary_rows[WT_BINARY_COUNT];
extern const wt_row_entry wt_int64_binary_rows[WT_BINARY_COUNT];

/* Runs a row over dense operands, on several threads from `grain` elements on. `elements` are the
 * bytes of one element of out and of each input. */
int wt_row_run(wt_row_entry entry, const wt_row_call *call, const uint8_t elements[], int inputs);

/* Fills WT_SPLAT_BYTES at `splat` with the element at `value`. */
void wt_splat(void *splat, const void *value, size_t element);
/* Writes `scalar` as an element of `dtype`, rounded or wrapped to it, then repeats it. */
void wt_splat_scalar(void *splat, const wt_scalar *scalar, int dtype);

WT_INLINE bool wt_is_half(wt_word dtype) { return dtype == WT_FLOAT16 || dtype == WT_BFLOAT16; }
WT_INLINE bool wt_is_float(wt_word dtype) {
  return dtype == WT_FLOAT32 || dtype == WT_FLOAT64 || wt_is_half(dtype);
}
/* A dense one-dimensional tensor. */
wt_tensor wt_dense_tensor(wt_word data, wt_word dtype, wt_word count);

/* ---- moves ---------------------------------------------------------------------------------- */
/* A block of n0 x n1 elements; strides in bytes, dimension 0 innermost. */
typedef struct wt_block {
  void *target;
  const void *source;
  wt_word target_stride0, target_stride1, source_stride0, source_stride1;
  wt_word n0, n1;
} wt_block;

typedef void (*wt_move)(const wt_block *block);

/* The move that converts `source` to `target` in one step, or NULL. Equal dtypes, every pair of
 * float64 with a float type, float32 with a half type, int64 with any type, bool and uint8 to
 * float32 have one. */
wt_move wt_move_between(int target, int source);
/* Copies elements of 1, 2, 4 or 8 bytes. */
wt_move wt_move_raw(size_t element);

/* ---- plans ---------------------------------------------------------------------------------- */
#define WT_MAX_OPERANDS (1 + WT_MAX_ROW_INPUTS)
typedef struct wt_operand {
  char *data;
  wt_move move;                /* between the tensor's dtype and the row's */
  bool raw;                    /* the row may read or write the tensor itself */
  uint8_t element;             /* bytes of the row's type */
  wt_word stride[WT_MAX_DIMS]; /* bytes; dimension 0 innermost */
} wt_operand;

typedef struct wt_plan {
  int operands; /* operand 0 is the output */
  int ndim;
  wt_word size[WT_MAX_DIMS];
  wt_operand operand[WT_MAX_OPERANDS];
  wt_row_entry entry; /* row NULL: operand 1 is moved to operand 0 by operand[0].move */
  double p0, p1;
  const void *program; /* NULL but for the row that runs programs, whose inputs may all repeat */
} wt_plan;

/* Starts a plan whose row writes `row_dtype` elements for `out`. Both return a wt_status. */
int wt_plan_begin(wt_plan *plan, const wt_tensor *out, int row_dtype);
int wt_plan_input(wt_plan *plan, const wt_tensor *tensor, int row_dtype);
/* An input that is one element, repeated; `splat` stays in place until the plan has run. */
void wt_plan_splat(wt_plan *plan, const void *splat, size_t element);
int wt_plan_run(wt_plan *plan);

#endif
