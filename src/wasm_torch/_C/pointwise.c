/* Pointwise operations: broadcasting, promotion, output strides, and the kernel call. */
#include "tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

int broadcast_sizes(int ndim_a, const wt_word *a, int ndim_b, const wt_word *b, wt_word *out) {
  int ndim = ndim_a > ndim_b ? ndim_a : ndim_b;
  for (int i = 1; i <= ndim; i++) {
    wt_word size_a = i <= ndim_a ? a[ndim_a - i] : 1;
    wt_word size_b = i <= ndim_b ? b[ndim_b - i] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1) {
      PyErr_Format(PyExc_RuntimeError,
                   "The size of tensor a (%zd) must match the size of tensor b (%zd) at "
                   "non-singleton dimension %d",
                   (Py_ssize_t)size_a, (Py_ssize_t)size_b, ndim - i);
      return -1;
    }
    out[ndim - i] = size_a == 1 ? size_b : size_a;
  }
  return ndim;
}

/* The stride of t in dimension d of an output of `ndim` dimensions; 0 where it is broadcast. */
static wt_word broadcast_stride(const Tensor *t, int ndim, const wt_word *size, int d) {
  int own = d - (ndim - t->ndim);
  if (own < 0 || (t->size[own] == 1 && size[d] != 1)) return 0;
  return t->stride[own];
}

/* Orders the dimensions from fastest to slowest as torch's TensorIterator does. */
static int compare_dims(Tensor *const *operands, int count, int ndim, const wt_word *size, int d0,
                        int d1) {
  for (int i = 0; i < count; i++) {
    wt_word s0 = broadcast_stride(operands[i], ndim, size, d0);
    wt_word s1 = broadcast_stride(operands[i], ndim, size, d1);
    if (s0 == 0 || s1 == 0) continue;
    if (s0 < s1) return -1;
    if (s0 > s1) return 1;
    if (size[d0] > size[d1]) return 1;
  }
  return 0;
}

Tensor *pointwise_output(int dtype, int ndim, const wt_word *size, Tensor *const *operands,
                         int count) {
  bool plain = ndim < 2;
  for (int i = 0; i < count && !plain; i++) {
    plain = operands[i]->dense && operands[i]->ndim == ndim &&
            memcmp(operands[i]->size, size, sizeof(wt_word) * (size_t)ndim) == 0;
  }
  /* One dense full-size operand decides unless another full-size one is laid out differently and
   * comes first. */
  if (plain && ndim >= 2 && !operands[0]->dense && operands[0]->ndim == ndim) plain = false;
  if (plain || count == 0) return tensor_empty(dtype, ndim, size);
  int order[WT_MAX_DIMS];
  for (int i = 0; i < ndim; i++) order[i] = ndim - 1 - i;
  for (int i = 1; i < ndim; i++) {
    int moving = i;
    for (int j = i - 1; j >= 0; j--) {
      int comparison = compare_dims(operands, count, ndim, size, order[j], order[moving]);
      if (comparison > 0) {
        int swap = order[j];
        order[j] = order[moving];
        order[moving] = swap;
        moving = j;
      } else if (comparison < 0) {
        break;
      }
    }
  }
  wt_word stride[WT_MAX_DIMS], extent = 1;
  for (int i = 0; i < ndim; i++) {
    stride[order[i]] = extent;
    extent *= size[order[i]] > 1 ? size[order[i]] : 1;
  }
  return tensor_empty_strided(dtype, ndim, size, stride);
}

void describe_expanded(const Tensor *t, int ndim, const wt_word *size, wt_tensor *out) {
  out->data = tensor_address(t);
  out->dtype = t->dtype;
  out->ndim = ndim;
  wt_word numel = 1;
  for (int d = 0; d < ndim; d++) {
    out->size[d] = size[d];
    out->stride[d] = broadcast_stride(t, ndim, size, d);
    numel *= size[d];
  }
  out->numel = numel;
}

/* ---- operands and promotion ---------------------------------------------------------------- */
int parse_operand(PyObject *object, Operand *out) {
  out->tensor = NULL;
  if (tensor_check(object)) {
    out->tensor = AS_TENSOR(object);
    return 1;
  }
  if (PyBool_Check(object)) {
    out->number_dtype = WT_BOOL;
    out->number.i = object == Py_True;
    out->number.f = (double)out->number.i;
    return 1;
  }
  if (PyLong_Check(object)) {
    int overflow;
    out->number_dtype = WT_INT64;
    out->number.i = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow) return 0;
    out->number.f = (double)out->number.i;
    return 1;
  }
  if (PyFloat_Check(object)) {
    out->number_dtype = default_dtype;
    out->number.f = PyFloat_AsDouble(object);
    /* The conversion of what does not fit is undefined in C; 0 stands for it. */
    bool fits = out->number.f > -9.2e18 && out->number.f < 9.2e18;
    out->number.i = fits ? (int64_t)out->number.f : 0;
    return 1;
  }
  return 0;
}

/* torch's result_type: dimensioned tensors outrank 0-dim ones, which outrank numbers, within a
 * category (bool, integer, float). */
static int combine(int higher, int lower) {
  if (higher < 0) return lower;
  if (lower < 0 || dtype_is_floating(higher)) return higher;
  if (higher == WT_BOOL || dtype_is_floating(lower)) return promote_types(higher, lower);
  return higher;
}

int result_dtype(const Operand *operands, int count) {
  int dimensioned = -1, zero_dim = -1, number = -1;
  for (int i = 0; i < count; i++) {
    int *slot = &number, dtype = operands[i].number_dtype;
    if (operands[i].tensor != NULL) {
      dtype = operands[i].tensor->dtype;
      slot = operands[i].tensor->ndim > 0 ? &dimensioned : &zero_dim;
    }
    *slot = *slot < 0 ? dtype : promote_types(*slot, dtype);
  }
  return combine(dimensioned, combine(zero_dim, number));
}

/* ---- fill ---------------------------------------------------------------------------------- */
/* What a number must lie between to be written as a dtype, and torch's name for that type. Integers
 * may also wrap into uint8 from below; infinities and NaN fit every float. */
typedef struct Range {
  double low, high;
  const char *name;
} Range;

static Range range_of(int dtype) {
  switch (dtype) {
    case WT_UINT8:
      return (Range){0, UINT8_MAX, "uint8_t"};
    case WT_INT8:
      return (Range){INT8_MIN, INT8_MAX, "int8_t"};
    case WT_INT16:
      return (Range){INT16_MIN, INT16_MAX, "int16_t"};
    case WT_INT32:
      return (Range){INT32_MIN, INT32_MAX, "int"};
    case WT_INT64:
      return (Range){-0x1p63, 0x1p63 - 1024, "int64_t"};
    case WT_FLOAT16:
      return (Range){-65504.0, 65504.0, "c10::Half"};
    case WT_BFLOAT16:
      return (Range){-0x1.fep127, 0x1.fep127, "c10::BFloat16"};
    default:
      return (Range){-FLT_MAX, FLT_MAX, "float"};
  }
}

static bool number_fits(const Operand *number, int dtype, const Range *range) {
  double value = number->number.f;
  if (dtype == WT_BOOL || dtype == WT_FLOAT64) return true;
  if (dtype_is_floating(dtype) && !isfinite(value)) return true;
  if (number->number_dtype == WT_INT64 && dtype == WT_INT64) return true;
  bool wraps = number->number_dtype == WT_INT64 && dtype == WT_UINT8;
  return value >= (wraps ? -range->high : range->low) && value <= range->high;
}

int tensor_fill(Tensor *out, const Operand *number) {
  Range range = range_of(out->dtype);
  if (!number_fits(number, out->dtype, &range)) {
    PyErr_Format(PyExc_RuntimeError, "value cannot be converted to type %s without overflow",
                 range.name);
    return -1;
  }
  if (out->numel == 0) return 0;
  KERNEL_ARGS(fill) call;
  tensor_describe(out, &call.args.out);
  call.args.value = number->number;
  return call_kernel(WT_KERNEL_fill, &call, sizeof call.args);
}

/* ---- binary -------------------------------------------------------------------------------- */
static bool fits_contiguous(const Tensor *t, const Tensor *out) {
  return t == NULL || (t->dense && tensor_same_size(t, out));
}

static int run_binary(Tensor *out, Tensor *a, Tensor *b, const wt_scalar *scalar, int mode,
                      wt_binary_op op, double alpha, int dtype) {
  if (out->numel == 0) return 0;
  if (out->dense && fits_contiguous(a, out) && fits_contiguous(b, out)) {
    KERNEL_ARGS(binary_contiguous) call;
    call.args.op = op;
    call.args.dtype = dtype;
    call.args.mode = mode;
    call.args.out = tensor_address(out);
    call.args.self = a != NULL ? tensor_address(a) : 0;
    call.args.other = b != NULL ? tensor_address(b) : 0;
    call.args.count = out->numel;
    call.args.scalar = *scalar;
    call.args.alpha = alpha;
    return call_kernel(WT_KERNEL_binary_contiguous, &call, sizeof call.args);
  }
  KERNEL_ARGS(binary) call;
  tensor_describe(out, &call.args.out);
  if (a != NULL) {
    describe_expanded(a, out->ndim, out->size, &call.args.self);
  } else {
    tensor_describe_absent(&call.args.self);
  }
  if (b != NULL) {
    describe_expanded(b, out->ndim, out->size, &call.args.other);
  } else {
    tensor_describe_absent(&call.args.other);
  }
  call.args.op = op;
  call.args.mode = mode;
  call.args.scalar = *scalar;
  call.args.alpha = alpha;
  return call_kernel(WT_KERNEL_binary, &call, sizeof call.args);
}

/* Writes into `out` where it is given. */
static Tensor *binary_into(Tensor *out, const Operand *a, const Operand *b, wt_binary_op op,
                           double alpha, int compute_dtype, int out_dtype) {
  static const wt_scalar zero;
  Tensor *left = NULL, *right = NULL, *result = NULL;
  int mode = 0;
  const wt_scalar *scalar = &zero;
  if (a->tensor == NULL) {
    mode = 2;
    scalar = &a->number;
  } else if ((left = tensor_cast(a->tensor, compute_dtype)) == NULL) {
    return NULL;
  }
  if (b->tensor == NULL) {
    mode = 1;
    scalar = &b->number;
  } else if ((right = tensor_cast(b->tensor, compute_dtype)) == NULL) {
    goto done;
  }
  if (out != NULL) {
    result = (Tensor *)new_ref(out);
  } else if (mode != 0) {
    Tensor *only[1] = {mode == 1 ? left : right};
    result = pointwise_output(out_dtype, only[0]->ndim, only[0]->size, only, 1);
  } else {
    Tensor *both[2] = {left, right};
    wt_word size[WT_MAX_DIMS];
    int ndim = broadcast_sizes(left->ndim, left->size, right->ndim, right->size, size);
    if (ndim >= 0) result = pointwise_output(out_dtype, ndim, size, both, 2);
  }
  if (result != NULL &&
      run_binary(result, left, right, scalar, mode, op, alpha, compute_dtype) < 0) {
    Py_CLEAR(result);
  }
done:
  Py_XDECREF((PyObject *)left);
  Py_XDECREF((PyObject *)right);
  return result;
}

Tensor *binary_raw(const Operand *a, const Operand *b, wt_binary_op op, double alpha,
                   int compute_dtype, int out_dtype) {
  return binary_into(NULL, a, b, op, alpha, compute_dtype, out_dtype);
}

Tensor *binary_raw_into(Tensor *out, const Operand *b, wt_binary_op op) {
  Operand a = {.tensor = out};
  return binary_into(out, &a, b, op, 1.0, out->dtype, out->dtype);
}

/* ---- unary --------------------------------------------------------------------------------- */
Tensor *unary_raw(Tensor *self, wt_unary_op op, double p0, double p1, int out_dtype) {
  Tensor *operands[1] = {self};
  Tensor *out = pointwise_output(out_dtype, self->ndim, self->size, operands, 1);
  if (out == NULL || out->numel == 0) return out;
  int status;
  if (self->dense && out->dense) {
    KERNEL_ARGS(unary_contiguous) call;
    call.args.op = op;
    call.args.dtype = self->dtype;
    call.args.out_dtype = out_dtype;
    call.args.out = tensor_address(out);
    call.args.self = tensor_address(self);
    call.args.count = out->numel;
    call.args.p0 = p0;
    call.args.p1 = p1;
    status = call_kernel(WT_KERNEL_unary_contiguous, &call, sizeof call.args);
  } else {
    KERNEL_ARGS(unary) call;
    tensor_describe(out, &call.args.out);
    tensor_describe(self, &call.args.self);
    call.args.op = op;
    call.args.p0 = p0;
    call.args.p1 = p1;
    status = call_kernel(WT_KERNEL_unary, &call, sizeof call.args);
  }
  if (status < 0) Py_CLEAR(out);
  return out;
}
