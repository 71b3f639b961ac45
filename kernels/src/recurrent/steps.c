/* The recurrence of an LSTM or GRU layer over all steps (S. Hochreiter and J. Schmidhuber, "Long
 * short-term memory", 1997; K. Cho et al., "Learning phrase representations using RNN
 * encoder-decoder", 2014, with the reset gate after the product).
 *
 * A step is the product of the state with the recurrent matrix, which is packed once for all steps,
 * and the gates. Sequences do not depend on each other: the threads share them out; where there are
 * too few, they share the product of each step.
 */
#include "recurrent/sequence.h"

#include "gemm/gemm.h"
#include "pointwise/vector_math.h"

#define WT_ELEMENT f32
#include "gemm/element.h"
#include "gemm/tile.h"
enum { PANEL = COLUMNS };
#include "gemm/element_end.h"

typedef struct job {
  const wt_sequence *sequence;
  wt_word steps, rows, width;
  wt_word state_width;   /* width up to whole vectors: rows of hidden and cell lie that far apart */
  wt_word product_width; /* gates * width up to whole panels, and a vector more */
  float *hidden, *cell;  /* the state */
  float *product;        /* state @ weight^T of each row */
  float *given;          /* rows of the inputs' part of the gates where they are not dense */
  float *bias;
  float *panels; /* of weight^T; NULL: one row, for which weight is read where it lies */
  wt_word chunk; /* rows that one thread takes through all steps */
} job;

/* ---- the product of a step --------------------------------------------------------------------
 */
static void pack_panels(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const job *job = context;
  const wt_tensor *weight = &job->sequence->weight;
  for (wt_word p = begin; p < end; p++) {
    const wt_word line = p * PANEL, left = weight->size[0] - line;
    wt_pack_panel_f32(job->panels + line * job->width,
                      (const float *)weight->data + line * weight->stride[0], job->width,
                      left < PANEL ? left : PANEL, weight->stride[1], weight->stride[0]);
  }
}

typedef struct step_product {
  const job *job;
  wt_word first, rows;
} step_product;

static void multiply_panels(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const step_product *step = context;
  const job *job = step->job;
  wt_tile_target_f32 target = {.row_stride = job->product_width, .alpha = 1};
  for (wt_word p = begin; p < end; p++)
    for (wt_word r = 0; r < step->rows; r += WT_TILE_ROWS) {
      const wt_word row = step->first + r, left = step->rows - r;
      target.out = job->product + row * job->product_width + p * PANEL;
      wt_tile_f32(left < WT_TILE_ROWS ? left : WT_TILE_ROWS, job->width,
                  job->hidden + row * job->state_width, job->state_width,
                  job->panels + p * PANEL * job->width, &target);
    }
}

static void multiply(const job *job, wt_word first, wt_word rows) {
  const wt_tensor *weight = &job->sequence->weight;
  if (!job->panels) {
    const wt_gemm_problem problem = {
        .batch = 1,
        .rows = 1,
        .columns = weight->size[0],
        .depth = job->width,
        .out = {job->product, 0, 1, 1},
        .a = {job->hidden, 0, 1, 1},
        .b = {(float *)weight->data, 0, weight->stride[1], weight->stride[0]},
        .alpha = 1};
    wt_gemm_f32(&problem);
    return;
  }
  step_product step = {job, first, rows};
  const int64_t cost = (int64_t)rows * job->width * PANEL; /* of a panel */
  wt_parallel_for((weight->size[0] + PANEL - 1) / PANEL, 1 + (wt_word)(65536 / cost),
                  multiply_panels, &step);
}

/* ---- the gates of a step ------------------------------------------------------------------------
 */
/* Up to four of `count` elements; what lies behind them does not matter. */
WT_INLINE wt_f32x4 load_up_to(const float *from, wt_word count) {
  return count >= 4 ? wt_f32x4_load(from) : wt_f32x4_load_part(from, (int)count);
}

/* Both parts of a gate and its bias at column c. */
#define GATE_SUM(gate)                                 \
  (load_up_to(given + (gate) * width + c, width - c) + \
   (wt_f32x4_load(product + (gate) * width + c) + wt_f32x4_load(bias + (gate) * width + c)))

static void lstm_gates(float *hidden, float *cell, const float *given, const float *product,
                       const float *bias, wt_word width) {
  for (wt_word c = 0; c < width; c += 4) {
    const wt_f32x4 in = wt_f32x4_sigmoid(GATE_SUM(0)), keep = wt_f32x4_sigmoid(GATE_SUM(1));
    const wt_f32x4 fresh = wt_f32x4_tanh(GATE_SUM(2)), show = wt_f32x4_sigmoid(GATE_SUM(3));
    const wt_f32x4 next = keep * wt_f32x4_load(cell + c) + in * fresh;
    wt_f32x4_store(cell + c, next);
    wt_f32x4_store(hidden + c, show * wt_f32x4_tanh(next));
  }
}

static void gru_gates(float *hidden, const float *given, const float *product, const float *bias,
                      wt_word width) {
  for (wt_word c = 0; c < width; c += 4) {
    const wt_f32x4 reset = wt_f32x4_sigmoid(GATE_SUM(0)), update = wt_f32x4_sigmoid(GATE_SUM(1));
    const wt_f32x4 recurrent =
        wt_f32x4_load(product + 2 * width + c) + wt_f32x4_load(bias + 2 * width + c);
    const wt_f32x4 fresh =
        wt_f32x4_tanh(load_up_to(given + 2 * width + c, width - c) + reset * recurrent);
    wt_f32x4_store(hidden + c, fresh + update * (wt_f32x4_load(hidden + c) - fresh));
  }
}

/* The inputs' part of a row's gates, densely. */
static const float *given_at(const job *job, wt_word step, wt_word row) {
  const wt_tensor *projected = &job->sequence->projected;
  const wt_word *stride = projected->stride;
  const float *from = (const float *)projected->data + step * stride[0] + row * stride[1];
  if (!job->given) return from;
  float *to = job->given + row * job->product_width;
  for (wt_word i = 0; i < projected->size[2]; i++) to[i] = from[i * stride[2]];
  return to;
}

static void advance_row(const job *job, wt_word step, wt_word row) {
  const wt_tensor *out = &job->sequence->out;
  float *hidden = job->hidden + row * job->state_width;
  const float *given = given_at(job, step, row), *product = job->product + row * job->product_width;
  if (job->sequence->gates == 4)
    lstm_gates(hidden, job->cell + row * job->state_width, given, product, job->bias, job->width);
  else
    gru_gates(hidden, given, product, job->bias, job->width);
  float *to = (float *)out->data + step * out->stride[0] + row * out->stride[1];
  for (wt_word c = 0; c < job->width; c++) to[c * out->stride[2]] = hidden[c];
}

static void advance_chunks(void *context, wt_word begin, wt_word end, int thread) {
  (void)thread;
  const job *job = context;
  for (wt_word item = begin; item < end; item++) {
    const wt_word first = item * job->chunk, left = job->rows - first;
    const wt_word rows = left < job->chunk ? left : job->chunk;
    for (wt_word t = 0; t < job->steps; t++) {
      const wt_word step = job->sequence->reverse ? job->steps - 1 - t : t;
      multiply(job, first, rows);
      for (wt_word r = first; r < first + rows; r++) advance_row(job, step, r);
    }
  }
}

/* ---- the state ----------------------------------------------------------------------------------
 */
static void load_state(const job *job, float *state, const wt_tensor *from) {
  for (wt_word r = 0; r < job->rows; r++)
    for (wt_word c = 0; c < job->state_width; c++)
      state[r * job->state_width + c] =
          c < job->width ? ((const float *)from->data)[r * from->stride[0] + c * from->stride[1]]
                         : 0;
}

static void store_state(const job *job, const wt_tensor *to, const float *state) {
  for (wt_word r = 0; r < job->rows; r++)
    for (wt_word c = 0; c < job->width; c++)
      ((float *)to->data)[r * to->stride[0] + c * to->stride[1]] = state[r * job->state_width + c];
}

/* ---- all steps ----------------------------------------------------------------------------------
 */
/* Takes all memory in one block; false where it does not suffice. */
static bool prepare(job *job) {
  const wt_sequence *s = job->sequence;
  const wt_word lines = s->weight.size[0], panels = (lines + PANEL - 1) / PANEL;
  const bool in_place = job->rows == 1 && s->weight.stride[1] == 1;
  job->state_width = (job->width + 3) / 4 * 4;
  job->product_width = panels * PANEL + 4;
  const uint64_t state = (uint64_t)job->rows * (uint64_t)job->state_width;
  const uint64_t product = (uint64_t)job->rows * (uint64_t)job->product_width;
  const bool dense = s->projected.stride[2] == 1;
  const uint64_t packed = in_place ? 0 : (uint64_t)(panels * PANEL) * (uint64_t)job->width;
  job->hidden = wt_alloc_many(
      2 * state + product * (dense ? 1 : 2) + (uint64_t)job->product_width + packed, sizeof(float));
  if (!job->hidden) return false;
  job->cell = job->hidden + state;
  job->product = job->cell + state;
  job->bias = job->product + product;
  float *next = job->bias + job->product_width;
  job->given = dense ? NULL : next;
  if (!dense) next += product;
  job->panels = in_place ? NULL : next;
  /* The gates are loaded by whole vectors, of which the last one may begin in front of this. */
  for (uint64_t i = 0; i < product; i++) job->product[i] = 0;
  for (wt_word i = 0; i < job->product_width; i++)
    job->bias[i] = wt_is_present(&s->bias) && i < lines
                       ? ((const float *)s->bias.data)[i * s->bias.stride[0]]
                       : 0;
  return true;
}

int wt_sequence_steps(const wt_sequence *s) {
  job job = {
      .sequence = s, .steps = s->out.size[0], .rows = s->out.size[1], .width = s->out.size[2]};
  if (!prepare(&job)) return WT_OUT_OF_MEMORY;
  load_state(&job, job.hidden, &s->hidden);
  if (s->gates == 4) load_state(&job, job.cell, &s->cell);
  if (job.panels)
    wt_parallel_for((s->weight.size[0] + PANEL - 1) / PANEL, 1 + 65536 / (job.width * PANEL),
                    pack_panels, &job);
  const wt_word threads = wt_thread_limit(), share = (job.rows + threads - 1) / threads;
  job.chunk = (share + WT_TILE_ROWS - 1) / WT_TILE_ROWS * WT_TILE_ROWS;
  wt_parallel_for((job.rows + job.chunk - 1) / job.chunk, 1, advance_chunks, &job);
  store_state(&job, &s->last_hidden, job.hidden);
  if (s->gates == 4) store_state(&job, &s->last_cell, job.cell);
  wt_free(job.hidden);
  return WT_OK;
}
