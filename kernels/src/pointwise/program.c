/* pointwise_program: steps of pointwise operators over one output, one chunk of it after another.
 *
 * A program is a row made of rows: the plan hands it blocks of its inputs, and each step applies
 * the row of its operator to a chunk of inputs and registers and leaves a register. All registers
 * together fill FILE_BYTES, so that they stay in the first cache; the last step writes to out. What
 * all operands of a step repeat is computed once and repeated in its turn. The results are those of
 * the kernels unary, binary and ternary to the bit, because the rows are.
 */
#include "pointwise/row.h"

#define FILE_BYTES 16384
#define MOST_ELEMENTS 2048
/* Elements at a time of a row that computes in float64. */
#define WIDE 256

enum { UNARY, BINARY, TERNARY, KINDS };
#define IS_NUMBER (-1) /* in place of an operand, and of its dtype */
#define TO_OUT (-1)    /* in place of a register */

typedef struct step {
  _Alignas(16) char number[3][WT_SPLAT_BYTES]; /* where an operand is a number */
  wt_row row;
  /* Between float32 and the row's float64; NULL where the row reads, or writes, the step's own. */
  wt_move widen, narrow;
  double p0, p1;
  int operands;
  int operand[3]; /* an input, a register behind the inputs, or IS_NUMBER */
  wt_word bytes[3];
  int result; /* a register or TO_OUT */
  wt_word result_bytes;
} step;

typedef struct program {
  step steps[WT_PROGRAM_STEPS];
  int count;
  wt_word chunk; /* elements of a register, a multiple of 16 */
  wt_word grain;
} program;

/* ---- running -------------------------------------------------------------------------------- */
/* One chunk of a block. */
typedef struct frame {
  const wt_row_call *block;
  wt_word begin, count, chunk;
  char *file;
  bool repeats[WT_PROGRAM_REGISTERS];
  _Alignas(16) char apart[3][WT_SPLAT_BYTES];
} frame;

static char *register_at(const frame *frame, int number) {
  return frame->file + number * frame->chunk * (wt_word)sizeof(float);
}

static void fetch(frame *frame, const step *step, int k, wt_row_call *call) {
  int operand = step->operand[k];
  if (operand == IS_NUMBER) {
    call->in[k] = step->number[k];
    call->step[k] = 0;
  } else if (operand < WT_PROGRAM_INPUTS) {
    call->step[k] = frame->block->step[operand];
    call->in[k] =
        (const char *)frame->block->in[operand] + frame->begin * call->step[k] * step->bytes[k];
  } else {
    int number = operand - WT_PROGRAM_INPUTS;
    call->in[k] = register_at(frame, number);
    call->step[k] = !frame->repeats[number];
    if (number == step->result && frame->repeats[number]) {
      /* Rows read what repeats again and again, also after the first results are written. */
      call->in[k] = memcpy(frame->apart[k], call->in[k], WT_SPLAT_BYTES);
    }
  }
}

/* A row in float64 on float32 operands. */
static int run_wide(const step *step, const wt_row_call *call) {
  _Alignas(16) char wide[4][WIDE * sizeof(double)];
  wt_row_call part = {.p0 = call->p0, .p1 = call->p1};
  for (wt_word at = 0; at < call->count; at += WIDE) {
    part.count = call->count - at < WIDE ? call->count - at : WIDE;
    for (int k = 0; k < step->operands; k++) {
      wt_word advance = call->step[k];
      const char *source = (const char *)call->in[k] + at * advance * 4;
      step->widen(&(wt_block){wide[k], source, 8, 0, 4, 0, advance ? part.count : 1, 1});
      if (!advance) wt_splat(wide[k], wide[k], 8);
      part.in[k] = wide[k];
      part.step[k] = advance;
    }
    char *out = (char *)call->out + at * step->result_bytes;
    part.out = step->narrow == NULL ? out : wide[3];
    int status = step->row(&part);
    if (status != WT_OK) return status;
    if (step->narrow != NULL) step->narrow(&(wt_block){out, wide[3], 4, 0, 8, 0, part.count, 1});
  }
  return WT_OK;
}

static int run_step(frame *frame, const step *step) {
  /* Of eight inputs, a step reads three at most; a predicate asks whether there is a second. */
  wt_row_call call;
  call.in[1] = NULL;
  call.step[1] = 0;
  call.count = frame->count;
  call.p0 = step->p0;
  call.p1 = step->p1;
  bool repeats = true;
  for (int k = 0; k < step->operands; k++) {
    fetch(frame, step, k, &call);
    repeats &= call.step[k] == 0;
  }
  wt_word bytes = step->result_bytes;
  bool last = step->result == TO_OUT;
  char *out =
      last ? (char *)frame->block->out + frame->begin * bytes : register_at(frame, step->result);
  call.out = out;
  if (repeats) call.count = 1;
  int status = step->widen == NULL ? step->row(&call) : run_wide(step, &call);
  if (!last) frame->repeats[step->result] = repeats;
  if (repeats && !last) wt_splat(out, out, (size_t)bytes);
  if (repeats && last) {
    wt_move_raw((size_t)bytes)(&(wt_block){out, out, bytes, 0, 0, 0, frame->count, 1});
  }
  return status;
}

static int run_program(const wt_row_call *block) {
  _Alignas(64) char file[FILE_BYTES];
  const program *program = block->program;
  frame frame = {.block = block, .chunk = program->chunk, .file = file};
  for (wt_word left = block->count; left > 0; left -= frame.count) {
    frame.count = left < program->chunk ? left : program->chunk;
    for (int i = 0; i < program->count; i++) {
      int status = run_step(&frame, &program->steps[i]);
      if (status != WT_OK) return status;
    }
    frame.begin += frame.count;
  }
  return WT_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */
/* Positions of fields, for the details of failures. */
enum { OUT, FIRST_INPUT, PROGRAM = FIRST_INPUT + WT_PROGRAM_INPUTS, PARAMETERS };

typedef struct reader {
  const wt_tensor *parameters;
  /* Of inputs and, behind them, registers: 0 where there is none (uint8 is no type of a step). */
  int dtypes[WT_PROGRAM_INPUTS + WT_PROGRAM_REGISTERS];
  int registers;
} reader;

static bool is_step_type(wt_word dtype) { return dtype == WT_FLOAT32 || dtype == WT_BOOL; }

static bool read_parameter(const reader *reader, wt_word position, double *value) {
  if (position < 0 || position >= reader->parameters->numel) return false;
  *value = ((const double *)reader->parameters->data)[position];
  return true;
}

static bool read_operand(const reader *reader, int32_t code, step *step, int k, int *dtype) {
  step->operand[k] = code;
  if (code < 0) {
    double value;
    if (!read_parameter(reader, -1 - (wt_word)code, &value)) return false;
    float number = (float)value;
    wt_splat(step->number[k], &number, sizeof number);
    step->operand[k] = *dtype = IS_NUMBER;
    step->bytes[k] = sizeof number;
    return true;
  }
  if (code >= WT_PROGRAM_INPUTS + WT_PROGRAM_REGISTERS || !is_step_type(reader->dtypes[code])) {
    return false;
  }
  *dtype = reader->dtypes[code];
  step->bytes[k] = (wt_word)wt_dtype_size(*dtype);
  return true;
}

/* Whether an operand of `dtype` may stand where a step expects another. */
static bool fits(int dtype, int expected) {
  return dtype == expected || (dtype == IS_NUMBER && expected == WT_FLOAT32);
}

/* The row for operands of these dtypes; none where the operator does not exist for them. */
static wt_row_choice choose_row(int32_t kind, int32_t op, const int dtypes[3]) {
  wt_row_choice none = {{NULL, 0}, 0, 0};
  if (kind == UNARY) return wt_choose_unary(op, dtypes[0] == IS_NUMBER ? WT_FLOAT32 : dtypes[0]);
  if (kind == BINARY) {
    int dtype = dtypes[0] == IS_NUMBER ? dtypes[1] : dtypes[0];
    if (dtype == IS_NUMBER) dtype = WT_FLOAT32;
    if (!fits(dtypes[0], dtype) || !fits(dtypes[1], dtype)) return none;
    return wt_choose_binary(op, dtype);
  }
  int first = op == WT_TERNARY_where ? WT_BOOL : WT_FLOAT32;
  if (!fits(dtypes[0], first) || !fits(dtypes[1], WT_FLOAT32) || !fits(dtypes[2], WT_FLOAT32)) {
    return none;
  }
  return wt_choose_ternary(op, WT_FLOAT32);
}

/* The dtype that a step gives, or -1 where it is none of ours. */
static int read_step(const reader *reader, const int32_t *code, step *step, double *cost) {
  int dtypes[3] = {IS_NUMBER, IS_NUMBER, IS_NUMBER};
  if (code[0] < 0 || code[0] >= KINDS) return -1;
  step->operands = code[0] + 1;
  for (int k = 0; k < step->operands; k++) {
    if (!read_operand(reader, code[3 + k], step, k, &dtypes[k])) return -1;
  }
  if (!read_parameter(reader, code[6], &step->p0)) return -1;
  if (!read_parameter(reader, code[7], &step->p1)) return -1;
  wt_row_choice choice = choose_row(code[0], code[1], dtypes);
  /* In integers computes what torch does not define on bool, or casts. */
  if (choice.entry.row == NULL || choice.compute == WT_INT64) return -1;
  bool wide = choice.compute == WT_FLOAT64;
  int result = choice.result == WT_BOOL ? WT_BOOL : WT_FLOAT32;
  step->row = choice.entry.row;
  step->widen = wide ? wt_move_between(WT_FLOAT64, WT_FLOAT32) : NULL;
  step->narrow = wide && result == WT_FLOAT32 ? wt_move_between(WT_FLOAT32, WT_FLOAT64) : NULL;
  step->result_bytes = (wt_word)wt_dtype_size(result);
  *cost += 1.0 / (double)choice.entry.grain;
  return result;
}

/* Whether the step's result has a place: a register, or out for the last one alone. */
static bool read_result(reader *reader, int32_t code, bool last, int dtype, int out_dtype,
                        step *step) {
  step->result = code;
  if (last) return code == TO_OUT && dtype == out_dtype;
  if (code < 0 || code >= WT_PROGRAM_REGISTERS) return false;
  reader->dtypes[WT_PROGRAM_INPUTS + code] = dtype;
  if (code >= reader->registers) reader->registers = code + 1;
  return true;
}

static bool is_table(const wt_tensor *tensor, wt_word dtype, wt_word ndim) {
  return tensor->dtype == dtype && tensor->ndim == ndim && wt_is_contiguous(tensor);
}

static int read_program(const wt_pointwise_program_args *args, program *program) {
  const wt_tensor *table = &args->program, *inputs = &args->in0;
  bool sized = is_table(table, WT_INT32, 2) && table->size[1] == WT_STEP_WORDS &&
               table->size[0] >= 1 && table->size[0] <= WT_PROGRAM_STEPS;
  if (!sized) return wt_fail(WT_BAD_ARGUMENT, PROGRAM, -1, 0);
  if (!is_table(&args->parameters, WT_FLOAT64, 1)) {
    return wt_fail(WT_BAD_ARGUMENT, PARAMETERS, args->parameters.dtype, 0);
  }
  reader reader = {.parameters = &args->parameters};
  for (int k = 0; k < WT_PROGRAM_INPUTS && wt_is_present(&inputs[k]); k++) {
    if (!is_step_type(inputs[k].dtype)) {
      return wt_fail(WT_UNSUPPORTED_DTYPE, inputs[k].dtype, 0, 0);
    }
    reader.dtypes[k] = (int)inputs[k].dtype;
  }
  double cost = 0;
  program->count = (int)table->size[0];
  for (int i = 0; i < program->count; i++) {
    const int32_t *code = (const int32_t *)table->data + i * WT_STEP_WORDS;
    step *step = &program->steps[i];
    int dtype = read_step(&reader, code, step, &cost);
    bool last = i == program->count - 1;
    if (dtype < 0 || !read_result(&reader, code[2], last, dtype, (int)args->out.dtype, step)) {
      return wt_fail(WT_BAD_ARGUMENT, PROGRAM, i, 0);
    }
  }
  program->grain = (wt_word)(1.0 / cost);
  wt_word registers = reader.registers > 0 ? reader.registers : 1;
  wt_word room = FILE_BYTES / (wt_word)sizeof(float) / registers;
  program->chunk = room < MOST_ELEMENTS ? room & -16 : MOST_ELEMENTS;
  return WT_OK;
}

/* Whether all inputs lie densely like out, as those of most programs do: then no plan is wanted. */
static bool is_dense(const wt_pointwise_program_args *args) {
  const wt_tensor *tensors = &args->out;
  for (int k = 0; k < FIRST_INPUT + WT_PROGRAM_INPUTS && wt_is_present(&tensors[k]); k++) {
    if (!wt_is_contiguous(&tensors[k]) || tensors[k].ndim != args->out.ndim) return false;
    for (wt_word d = 0; d < args->out.ndim; d++) {
      if (tensors[k].size[d] != args->out.size[d]) return false;
    }
  }
  return true;
}

static int run_dense(const wt_pointwise_program_args *args, const program *program) {
  wt_row_call call = {.out = (void *)args->out.data, .count = args->out.numel, .program = program};
  uint8_t elements[1 + WT_PROGRAM_INPUTS] = {(uint8_t)wt_dtype_size(args->out.dtype)};
  const wt_tensor *inputs = &args->in0;
  int count = 0;
  for (; count < WT_PROGRAM_INPUTS && wt_is_present(&inputs[count]); count++) {
    call.in[count] = (const void *)inputs[count].data;
    call.step[count] = 1;
    elements[count + 1] = (uint8_t)wt_dtype_size(inputs[count].dtype);
  }
  return wt_row_run((wt_row_entry){run_program, program->grain}, &call, elements, count);
}

static int run_strided(const wt_pointwise_program_args *args, const program *program) {
  const wt_tensor *inputs = &args->in0;
  wt_plan plan;
  int status = wt_plan_begin(&plan, &args->out, (int)args->out.dtype);
  for (int k = 0; k < WT_PROGRAM_INPUTS && wt_is_present(&inputs[k]) && status == WT_OK; k++) {
    status = wt_plan_input(&plan, &inputs[k], (int)inputs[k].dtype);
  }
  if (status != WT_OK) return status;
  plan.entry = (wt_row_entry){run_program, program->grain};
  plan.program = program;
  return wt_plan_run(&plan);
}

WT_KERNEL(pointwise_program, 1) {
  const wt_pointwise_program_args *args = arguments;
  program program;
  int status = read_program(args, &program);
  if (status != WT_OK) return status;
  return is_dense(args) ? run_dense(args, &program) : run_strided(args, &program);
}
