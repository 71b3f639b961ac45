/* Walks strided operands in blocks and runs a row or a move on each. */
#include "pointwise/row.h"

#include <stdatomic.h>

/* Elements of a block whose operands pass through buffers, and the side of a transposing one. */
#define BLOCK 256
/* The same for programs, whose steps want long rows; their elements have four bytes at most. */
#define PROGRAM_BLOCK 1024
#define BUFFER_BYTES 4096
#define BLOCK_SIDE 16
#define COPY_SIDE 32
/* Elements of a row whose operands are all used in place. */
#define LONG_ROW 4096
/* A row shorter than this is gathered with its neighbours. */
#define SHORT_ROW 64

/* ---- construction --------------------------------------------------------------------------- */
wt_tensor wt_dense_tensor(wt_word data, wt_word dtype, wt_word count) {
  wt_tensor tensor;
  tensor.data = data;
  tensor.dtype = dtype;
  tensor.ndim = 1;
  tensor.numel = tensor.size[0] = count;
  tensor.stride[0] = 1;
  return tensor;
}

static void add_operand(wt_plan *plan, const wt_tensor *tensor, size_t row_element) {
  wt_operand *operand = &plan->operand[plan->operands++];
  wt_word element = (wt_word)wt_dtype_size(tensor->dtype);
  operand->data = (char *)tensor->data;
  operand->element = (uint8_t)row_element;
  for (int d = 0; d < plan->ndim; d++) {
    operand->stride[d] = tensor->stride[plan->ndim - 1 - d] * element;
  }
}

int wt_plan_begin(wt_plan *plan, const wt_tensor *out, int row_dtype) {
  plan->operands = 0;
  plan->ndim = (int)out->ndim;
  plan->entry = (wt_row_entry){NULL, WT_GRAIN_CHEAP};
  plan->p0 = plan->p1 = 0;
  plan->program = NULL;
  for (int d = 0; d < plan->ndim; d++) plan->size[d] = out->size[plan->ndim - 1 - d];
  add_operand(plan, out, wt_dtype_size(row_dtype));
  wt_operand *operand = &plan->operand[0];
  operand->move = wt_move_between((int)out->dtype, row_dtype);
  operand->raw = out->dtype == row_dtype;
  return operand->move == NULL ? wt_fail(WT_UNSUPPORTED_DTYPE, out->dtype, 0, 0) : WT_OK;
}

int wt_plan_input(wt_plan *plan, const wt_tensor *tensor, int row_dtype) {
  if (tensor->ndim != plan->ndim) return wt_fail(WT_BAD_ARGUMENT, plan->operands, tensor->ndim, 0);
  for (int d = 0; d < plan->ndim; d++) {
    wt_word size = tensor->size[plan->ndim - 1 - d];
    if (size != plan->size[d]) return wt_fail(WT_BAD_ARGUMENT, plan->operands, size, 0);
  }
  add_operand(plan, tensor, wt_dtype_size(row_dtype));
  wt_operand *operand = &plan->operand[plan->operands - 1];
  operand->move = wt_move_between(row_dtype, (int)tensor->dtype);
  operand->raw = tensor->dtype == row_dtype;
  return operand->move == NULL ? wt_fail(WT_UNSUPPORTED_DTYPE, tensor->dtype, 0, 0) : WT_OK;
}

void wt_plan_splat(wt_plan *plan, const void *splat, size_t element) {
  wt_operand *operand = &plan->operand[plan->operands++];
  *operand = (wt_operand){.data = (char *)splat,
                          .move = wt_move_raw(element),
                          .raw = true,
                          .element = (uint8_t)element};
}

/* ---- dimensions ----------------------------------------------------------------------------- */
static wt_word magnitude(wt_word stride) { return stride < 0 ? -stride : stride; }

/* Whether dimension a is faster than b: by the output's strides, then by the inputs'. */
static bool is_faster(const wt_plan *plan, int a, int b) {
  for (int k = 0; k < plan->operands; k++) {
    wt_word sa = magnitude(plan->operand[k].stride[a]), sb = magnitude(plan->operand[k].stride[b]);
    if (sa != sb && sa != 0 && sb != 0) return sa < sb;
  }
  return false;
}

static void move_dimension(wt_plan *plan, int from, int to) {
  int direction = from < to ? 1 : -1;
  wt_word size = plan->size[from];
  for (int d = from; d != to; d += direction) plan->size[d] = plan->size[d + direction];
  plan->size[to] = size;
  for (int k = 0; k < plan->operands; k++) {
    wt_word *strides = plan->operand[k].stride, stride = strides[from];
    for (int d = from; d != to; d += direction) strides[d] = strides[d + direction];
    strides[to] = stride;
  }
}

/* Whether dimension d + 1 continues d in every operand. */
static bool continues(const wt_plan *plan, int d) {
  for (int k = 0; k < plan->operands; k++) {
    const wt_word *stride = plan->operand[k].stride;
    if (stride[d + 1] != stride[d] * plan->size[d]) return false;
  }
  return true;
}

/* Drops dimensions of size 1, orders the rest from fastest to slowest, joins those that continue
 * one another; at least two remain, of which the second is the fastest one of the first input that
 * runs across the output, if any. */
static void simplify(wt_plan *plan) {
  int ndim = 0;
  for (int d = 0; d < plan->ndim; d++) {
    if (plan->size[d] == 1) continue;
    if (d != ndim) move_dimension(plan, d, ndim);
    ndim++;
  }
  plan->ndim = ndim;
  for (int d = 1; d < ndim; d++) {
    int target = d;
    while (target > 0 && is_faster(plan, d, target - 1)) target--;
    if (target != d) move_dimension(plan, d, target);
  }
  int joined = 0;
  for (int d = 1; d < plan->ndim; d++) {
    if (continues(plan, joined)) {
      plan->size[joined] *= plan->size[joined + 1];
      move_dimension(plan, joined + 1, plan->ndim - 1);
      plan->ndim--;
      d--;
    } else {
      joined++;
    }
  }
  for (int k = 1; k < plan->operands; k++) {
    const wt_word *stride = plan->operand[k].stride;
    int fastest = 0;
    for (int d = 1; d < plan->ndim; d++) {
      if (stride[d] != 0 && magnitude(stride[d]) < magnitude(stride[fastest])) fastest = d;
    }
    if (fastest > 1) move_dimension(plan, fastest, 1);
    if (fastest > 0) break;
  }
  while (plan->ndim < 2) {
    plan->size[plan->ndim] = 1;
    for (int k = 0; k < plan->operands; k++) plan->operand[k].stride[plan->ndim] = 0;
    plan->ndim++;
  }
}

/* ---- blocks --------------------------------------------------------------------------------- */
typedef enum access { IN_PLACE, REPEATED, BUFFERED } access;

typedef struct walk {
  const wt_plan *plan;
  wt_word block0, block1;
  wt_word count[WT_MAX_DIMS]; /* blocks in each dimension */
  wt_word step[WT_MAX_OPERANDS][WT_MAX_DIMS];
  access access[WT_MAX_OPERANDS];
  _Atomic int status;
} walk;

static wt_word smaller(wt_word a, wt_word b) { return a < b ? a : b; }

/* How an operand is reached in blocks of n0 x n1. */
static access access_of(const wt_plan *plan, int k, wt_word n0, wt_word n1) {
  const wt_operand *operand = &plan->operand[k];
  wt_word s0 = operand->stride[0], s1 = operand->stride[1], element = operand->element;
  bool rows_join = n1 == 1 || (n0 == plan->size[0] && s1 == n0 * element);
  if (operand->raw && (s0 == element || n0 == 1) && rows_join) return IN_PLACE;
  /* Unary rows read their operand element by element. */
  bool may_repeat = k > 0 && (plan->operands > 2 || plan->program != NULL);
  if (may_repeat && (s0 == 0 || plan->size[0] == 1) && (n1 == 1 || s1 == 0)) return REPEATED;
  return BUFFERED;
}

static bool is_transposing(const wt_plan *plan) {
  for (int k = 1; k < plan->operands; k++) {
    const wt_word *stride = plan->operand[k].stride;
    if (stride[1] != 0 && magnitude(stride[1]) < magnitude(stride[0])) return true;
  }
  return false;
}

static void choose_blocks(walk *walk) {
  const wt_plan *plan = walk->plan;
  wt_word n0 = plan->size[0], n1 = plan->size[1];
  if (plan->entry.row == NULL) {
    walk->block0 = smaller(n0, is_transposing(plan) ? COPY_SIDE : LONG_ROW);
    walk->block1 =
        smaller(n1, (is_transposing(plan) ? COPY_SIDE * COPY_SIDE : LONG_ROW) / walk->block0);
    return;
  }
  bool buffered = false;
  for (int k = 0; k < plan->operands; k++) buffered |= access_of(plan, k, n0, 1) == BUFFERED;
  wt_word block = plan->program != NULL ? PROGRAM_BLOCK : BLOCK;
  wt_word short_row = plan->program != NULL ? PROGRAM_BLOCK / 2 : SHORT_ROW;
  if (!buffered && (n0 >= short_row || n1 == 1)) {
    walk->block0 = smaller(n0, LONG_ROW);
    walk->block1 = 1;
  } else {
    walk->block0 = smaller(n0, is_transposing(plan) ? BLOCK_SIDE : block);
    walk->block1 = smaller(n1, block / walk->block0);
  }
}

static int run_row_block(const walk *walk, char *const data[], wt_word n0, wt_word n1) {
  _Alignas(16) char buffers[WT_MAX_OPERANDS][BUFFER_BYTES];
  const wt_plan *plan = walk->plan;
  wt_row_call call = {.count = n0 * n1, .p0 = plan->p0, .p1 = plan->p1, .program = plan->program};
  for (int k = 1; k < plan->operands; k++) {
    const wt_operand *operand = &plan->operand[k];
    wt_word element = operand->element;
    call.in[k - 1] = buffers[k];
    call.step[k - 1] = walk->access[k] != REPEATED;
    if (walk->access[k] == IN_PLACE) {
      call.in[k - 1] = data[k];
    } else if (walk->access[k] == REPEATED) {
      operand->move(&(wt_block){buffers[k], data[k], element, element, 0, 0, 1, 1});
      wt_splat(buffers[k], buffers[k], (size_t)element);
    } else {
      operand->move(&(wt_block){buffers[k], data[k], element, n0 * element, operand->stride[0],
                                operand->stride[1], n0, n1});
    }
  }
  const wt_operand *out = &plan->operand[0];
  bool in_place = walk->access[0] == IN_PLACE;
  call.out = in_place ? data[0] : buffers[0];
  int status = plan->entry.row(&call);
  if (!in_place) {
    out->move(&(wt_block){data[0], buffers[0], out->stride[0], out->stride[1], out->element,
                          n0 * out->element, n0, n1});
  }
  return status;
}

static void run_copy_block(const wt_plan *plan, char *const data[], wt_word n0, wt_word n1) {
  const wt_operand *out = &plan->operand[0], *in = &plan->operand[1];
  out->move(&(wt_block){data[0], data[1], out->stride[0], out->stride[1], in->stride[0],
                        in->stride[1], n0, n1});
}

static void run_blocks(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  walk *walk = context;
  const wt_plan *plan = walk->plan;
  wt_word index[WT_MAX_DIMS], rest = begin;
  char *data[WT_MAX_OPERANDS];
  for (int k = 0; k < plan->operands; k++) data[k] = plan->operand[k].data;
  for (int d = 0; d < plan->ndim; d++) {
    index[d] = rest % walk->count[d];
    rest /= walk->count[d];
    for (int k = 0; k < plan->operands; k++) data[k] += index[d] * walk->step[k][d];
  }
  for (wt_word block = begin; block < end; block++) {
    wt_word n0 = smaller(walk->block0, plan->size[0] - index[0] * walk->block0);
    wt_word n1 = smaller(walk->block1, plan->size[1] - index[1] * walk->block1);
    if (plan->entry.row == NULL) {
      run_copy_block(plan, data, n0, n1);
    } else {
      int status = run_row_block(walk, data, n0, n1);
      if (status != WT_OK) atomic_store(&walk->status, status);
    }
    for (int d = 0; d < plan->ndim; d++) {
      bool carries = ++index[d] == walk->count[d];
      wt_word steps = carries ? 1 - walk->count[d] : 1;
      for (int k = 0; k < plan->operands; k++) data[k] += steps * walk->step[k][d];
      if (!carries) break;
      index[d] = 0;
    }
  }
}

int wt_plan_run(wt_plan *plan) {
  for (int d = 0; d < plan->ndim; d++) {
    if (plan->size[d] == 0) return WT_OK;
  }
  simplify(plan);
  walk walk = {.plan = plan};
  choose_blocks(&walk);
  wt_word blocks = 1;
  for (int d = 0; d < plan->ndim; d++) {
    wt_word extent = d == 0 ? walk.block0 : d == 1 ? walk.block1 : 1;
    walk.count[d] = (plan->size[d] - 1) / extent + 1;
    blocks *= walk.count[d];
    for (int k = 0; k < plan->operands; k++) {
      walk.step[k][d] = plan->operand[k].stride[d] * extent;
    }
  }
  for (int k = 0; k < plan->operands; k++) {
    walk.access[k] = access_of(plan, k, walk.block0, walk.block1);
  }
  wt_word grain = plan->entry.grain / (walk.block0 * walk.block1);
  wt_parallel_for(blocks, grain > 1 ? grain : 1, run_blocks, &walk);
  int status = atomic_load(&walk.status);
  return status == WT_OK ? WT_OK : wt_fail(status, 0, 0, 0);
}

/* ---- dense rows ----------------------------------------------------------------------------- */
typedef struct dense_walk {
  const wt_row_call *call;
  wt_row row;
  const uint8_t *elements;
  int inputs;
  _Atomic int status;
} dense_walk;

static void run_dense(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  dense_walk *walk = context;
  wt_row_call call = *walk->call;
  call.out = (char *)call.out + begin * walk->elements[0];
  for (int k = 0; k < walk->inputs; k++) {
    call.in[k] = (const char *)call.in[k] + begin * call.step[k] * walk->elements[k + 1];
  }
  call.count = end - begin;
  int status = walk->row(&call);
  if (status != WT_OK) atomic_store(&walk->status, status);
}

int wt_row_run(wt_row_entry entry, const wt_row_call *call, const uint8_t elements[], int inputs) {
  int status;
  if (call->count <= entry.grain) {
    status = entry.row(call);
  } else {
    dense_walk walk = {call, entry.row, elements, inputs, WT_OK};
    wt_parallel_for(call->count, entry.grain, run_dense, &walk);
    status = atomic_load(&walk.status);
  }
  return status == WT_OK ? WT_OK : wt_fail(status, 0, 0, 0);
}
