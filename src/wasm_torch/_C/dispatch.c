/* Fast paths of the hottest operations, and the number protocol. Whatever is not the plain case
 * goes to the callable that the op table supplied under the same name. */
#include "tensor.h"

#include <string.h>

PyObject *slow_callables[SLOW_COUNT];
OpBase *fast_rows[ROW_COUNT];
PyObject *handler_getitem, *handler_setitem, *handler_move_retained;
static PyObject *handler_from_array;

static const char *const slow_names[SLOW_COUNT] = {
#define X(name) #name,
    SLOW_NAMES(X)
#undef X
};
static const char *const row_names[ROW_COUNT] = {
#define X(name) #name,
    FAST_ROWS(X)
#undef X
};

Tensor *binary_raw_into(Tensor *out, const Operand *b, wt_binary_op op);

/* ---- calling Python ------------------------------------------------------------------------ */
PyObject *call_slow(enum slow_name name, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames) {
  if (slow_callables[name] == NULL) {
    PyErr_Format(PyExc_NotImplementedError, "the op table has no '%s'", slow_names[name]);
    return NULL;
  }
  PyObject *tuple = PyTuple_New(nargs), *kwargs = NULL, *result = NULL;
  if (tuple == NULL) return NULL;
  for (Py_ssize_t i = 0; i < nargs; i++) PyTuple_SetItem(tuple, i, new_ref(args[i]));
  if (kwnames != NULL) {
    kwargs = PyDict_New();
    for (Py_ssize_t i = 0; kwargs != NULL && i < PyTuple_Size(kwnames); i++) {
      if (PyDict_SetItem(kwargs, PyTuple_GetItem(kwnames, i), args[nargs + i]) < 0) {
        Py_CLEAR(kwargs);
      }
    }
    if (kwargs == NULL) goto done;
  }
  result = PyObject_Call(slow_callables[name], tuple, kwargs);
done:
  Py_DECREF(tuple);
  Py_XDECREF(kwargs);
  return result;
}

PyObject *call_slow2(enum slow_name name, PyObject *a, PyObject *b) {
  PyObject *args[2] = {a, b};
  return call_slow(name, args, 2, NULL);
}

/* ---- binary -------------------------------------------------------------------------------- */
enum binary_kind { ARITHMETIC, DIVISION, COMPARISON };

static PyObject *finish(Tensor *out, enum fast_row row, PyObject *const *args, int count) {
  if (out == NULL) return NULL;
  if (grad_mode && record(fast_rows[row], args, count, &out, 1) < 0) Py_CLEAR(out);
  return (PyObject *)out;
}

static bool is_bool(const Operand *operand) {
  return (operand->tensor != NULL ? operand->tensor->dtype : operand->number_dtype) == WT_BOOL;
}

/* The result, or NULL without an exception where the case is not a plain one. */
static Tensor *binary_fast(PyObject *a, PyObject *b, wt_binary_op op, enum binary_kind kind) {
  Operand operands[2];
  if (dispatch_mode != NULL || parse_operand(a, &operands[0]) <= 0 ||
      parse_operand(b, &operands[1]) <= 0) {
    return NULL;
  }
  int dtype = result_dtype(operands, 2);
  if (kind == ARITHMETIC && dtype == WT_BOOL) return NULL;
  if (op == WT_BINARY_sub && (is_bool(&operands[0]) || is_bool(&operands[1]))) return NULL;
  if (kind == DIVISION && !dtype_is_floating(dtype)) dtype = default_dtype;
  return binary_raw(&operands[0], &operands[1], op, 1.0, dtype,
                    kind == COMPARISON ? WT_BOOL : dtype);
}

static PyObject *binary_slot(PyObject *a, PyObject *b, wt_binary_op op, enum binary_kind kind,
                             enum fast_row row, enum slow_name slow) {
  Tensor *out = binary_fast(a, b, op, kind);
  if (out == NULL) return PyErr_Occurred() ? NULL : call_slow2(slow, a, b);
  PyObject *args[3] = {a, b, NULL};
  args[2] = PyLong_FromLong(1);
  PyObject *result = finish(out, row, args, 3);
  Py_DECREF(args[2]);
  return result;
}

static PyObject *slot_add(PyObject *a, PyObject *b) {
  /* Addition commutes, so a number on the left is recorded as `other`. */
  if (!tensor_check(a)) return binary_slot(b, a, WT_BINARY_add, ARITHMETIC, ROW_add, SLOW_add);
  return binary_slot(a, b, WT_BINARY_add, ARITHMETIC, ROW_add, SLOW_add);
}

static bool needs_history(PyObject *a, PyObject *b) {
  PyObject *args[2] = {a, b};
  return grad_mode && any_tracks_grad(args, 2);
}

static PyObject *slot_subtract(PyObject *a, PyObject *b) {
  if (tensor_check(a)) return binary_slot(a, b, WT_BINARY_sub, ARITHMETIC, ROW_sub, SLOW_sub);
  Tensor *out = needs_history(a, b) ? NULL : binary_fast(a, b, WT_BINARY_sub, ARITHMETIC);
  if (out != NULL || PyErr_Occurred()) return (PyObject *)out;
  return call_slow2(SLOW_rsub, b, a);
}

static PyObject *mul_slot(PyObject *a, PyObject *b) {
  Tensor *out = binary_fast(a, b, WT_BINARY_mul, ARITHMETIC);
  if (out == NULL) return PyErr_Occurred() ? NULL : call_slow2(SLOW_mul, a, b);
  PyObject *args[2] = {a, b};
  return finish(out, ROW_mul, args, 2);
}

static PyObject *slot_multiply(PyObject *a, PyObject *b) {
  return tensor_check(a) ? mul_slot(a, b) : mul_slot(b, a);
}

static PyObject *slot_divide(PyObject *a, PyObject *b) {
  if (!tensor_check(a)) return call_slow2(SLOW_rdiv, b, a);
  Tensor *out = binary_fast(a, b, WT_BINARY_div, DIVISION);
  if (out == NULL) return PyErr_Occurred() ? NULL : call_slow2(SLOW_div, a, b);
  PyObject *args[2] = {a, b};
  return finish(out, ROW_div, args, 2);
}

/* ---- operands of other types ---------------------------------------------------------------- */
/* A tensor of another package, whose type has the name of ours. */
static bool is_namesake(PyObject *object) {
  if (tensor_check(object)) return false;
  PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
  bool same = name != NULL && PyUnicode_CompareWithASCIIString(name, "Tensor") == 0;
  Py_XDECREF(name);
  PyErr_Clear();
  return same;
}

/* An operator that does not take its operand leaves the operation to the other one, as in torch:
 * an array of numpy's then converts the tensor. */
static PyObject *or_not_implemented(PyObject *result, PyObject *a, PyObject *b) {
  if (result != NULL || !PyErr_ExceptionMatches(PyExc_TypeError)) return result;
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (is_namesake(a) || is_namesake(b)) {
    PyErr_Restore(type, value, traceback);
    return NULL;
  }
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(traceback);
  Py_RETURN_NOTIMPLEMENTED;
}

/* An array of numpy's; its scalars, which torch takes for numbers, cannot be assigned to. */
static bool is_array(PyObject *object) {
  if (tensor_check(object) || PyLong_Check(object) || PyFloat_Check(object)) return false;
  return PyObject_HasAttrString(object, "__array_interface__") &&
         PyObject_HasAttrString(object, "__setitem__");
}

/* torch converts an array on the right of ==, and of no other comparison. */
static PyObject *equal_array(PyObject *a, PyObject *array) {
  PyObject *b = PyObject_CallFunctionObjArgs(handler_from_array, array, NULL);
  if (b == NULL) return or_not_implemented(NULL, a, array);
  PyObject *result = call_slow2(SLOW_eq, a, b);
  Py_DECREF(b);
  return result;
}

PyObject *tensor_richcompare(PyObject *a, PyObject *b, int op) {
  static const wt_binary_op codes[] = {
      [Py_LT] = WT_BINARY_lt, [Py_LE] = WT_BINARY_le, [Py_EQ] = WT_BINARY_eq,
      [Py_NE] = WT_BINARY_ne, [Py_GT] = WT_BINARY_gt, [Py_GE] = WT_BINARY_ge};
  static const enum slow_name slow[] = {[Py_LT] = SLOW_lt, [Py_LE] = SLOW_le, [Py_EQ] = SLOW_eq,
                                        [Py_NE] = SLOW_ne, [Py_GT] = SLOW_gt, [Py_GE] = SLOW_ge};
  Tensor *out = binary_fast(a, b, codes[op], COMPARISON);
  if (out != NULL || PyErr_Occurred()) return (PyObject *)out;
  if (b == Py_None && (op == Py_EQ || op == Py_NE)) return PyBool_FromLong(op == Py_NE);
  if (op == Py_EQ && handler_from_array != NULL && is_array(b)) return equal_array(a, b);
  return or_not_implemented(call_slow2(slow[op], a, b), a, b);
}

/* ---- in place ------------------------------------------------------------------------------ */
static PyObject *inplace_slot(PyObject *a, PyObject *b, wt_binary_op op, enum slow_name slow) {
  Operand operands[2];
  if (dispatch_mode == NULL && !needs_history(a, b) && parse_operand(a, &operands[0]) > 0 &&
      parse_operand(b, &operands[1]) > 0 && operands[0].tensor != NULL) {
    Tensor *self = operands[0].tensor, *other = operands[1].tensor;
    int dtype = result_dtype(operands, 2);
    bool plain = self->dense && !self->inference && dtype == self->dtype && dtype != WT_BOOL;
    /* The general form refuses views whose base could not be told of the change. */
    plain &= !grad_mode || self->base == NULL || !tensor_tracks_grad(AS_TENSOR(self->base));
    if (plain && op == WT_BINARY_div) plain = dtype_is_floating(dtype);
    if (plain && op == WT_BINARY_sub) plain = !is_bool(&operands[1]);
    if (plain && other != NULL) {
      plain = other->storage != self->storage && tensor_same_size(self, other);
    }
    if (plain) {
      Tensor *out = binary_raw_into(self, &operands[1], op);
      if (out != NULL) tensor_bump(self);
      return (PyObject *)out;
    }
  }
  if (PyErr_Occurred()) return NULL;
  return call_slow2(slow, a, b);
}

#define INPLACE_SLOT(function, op, slow)                    \
  static PyObject *function(PyObject *a, PyObject *b) {     \
    return inplace_slot(a, b, WT_BINARY_##op, SLOW_##slow); \
  }
INPLACE_SLOT(slot_inplace_add, add, add_)
INPLACE_SLOT(slot_inplace_subtract, sub, sub_)
INPLACE_SLOT(slot_inplace_multiply, mul, mul_)
INPLACE_SLOT(slot_inplace_divide, div, div_)

/* ---- number slots that always go to Python -------------------------------------------------- */
#define SLOW_BINARY_SLOT(function, forward, reflected)           \
  static PyObject *function(PyObject *a, PyObject *b) {          \
    return tensor_check(a) ? call_slow2(SLOW_##forward, a, b)    \
                           : call_slow2(SLOW_##reflected, b, a); \
  }
SLOW_BINARY_SLOT(slot_floor_divide, floor_divide, rfloordiv)
SLOW_BINARY_SLOT(slot_remainder, remainder, rmod)
SLOW_BINARY_SLOT(slot_and, bitwise_and, bitwise_and)
SLOW_BINARY_SLOT(slot_or, bitwise_or, bitwise_or)
SLOW_BINARY_SLOT(slot_xor, bitwise_xor, bitwise_xor)
SLOW_BINARY_SLOT(slot_lshift, bitwise_left_shift, rlshift)
SLOW_BINARY_SLOT(slot_rshift, bitwise_right_shift, rrshift)

#define SLOW_INPLACE_SLOT(function, name) \
  static PyObject *function(PyObject *a, PyObject *b) { return call_slow2(SLOW_##name, a, b); }
SLOW_INPLACE_SLOT(slot_inplace_floor_divide, floor_divide_)
SLOW_INPLACE_SLOT(slot_inplace_remainder, remainder_)
SLOW_INPLACE_SLOT(slot_inplace_and, bitwise_and_)
SLOW_INPLACE_SLOT(slot_inplace_or, bitwise_or_)
SLOW_INPLACE_SLOT(slot_inplace_xor, bitwise_xor_)
SLOW_INPLACE_SLOT(slot_inplace_lshift, bitwise_left_shift_)
SLOW_INPLACE_SLOT(slot_inplace_rshift, bitwise_right_shift_)

static PyObject *slot_power(PyObject *a, PyObject *b, PyObject *modulus) {
  if (modulus != Py_None) {
    PyErr_SetString(PyExc_TypeError, "pow() with a modulus is not defined for tensors");
    return NULL;
  }
  return tensor_check(a) ? call_slow2(SLOW_pow, a, b) : call_slow2(SLOW_rpow, b, a);
}

static PyObject *slot_inplace_power(PyObject *a, PyObject *b, PyObject *modulus) {
  (void)modulus;
  return call_slow2(SLOW_pow_, a, b);
}

static PyObject *slot_invert(PyObject *a) {
  if (dtype_is_floating(AS_TENSOR(a)->dtype)) {
    PyErr_SetString(PyExc_TypeError,
                    "~ (operator.invert) is only implemented on integer and Boolean-type tensors");
    return NULL;
  }
  return call_slow(SLOW_bitwise_not, &a, 1, NULL);
}

static PyObject *slot_positive(PyObject *a) { return new_ref(a); }

/* ---- unary --------------------------------------------------------------------------------- */
static PyObject *unary_fast(PyObject *self, wt_unary_op op, enum fast_row row,
                            enum slow_name slow) {
  Tensor *t = AS_TENSOR(self);
  bool signed_integer = dtype_is_integral(t->dtype) && t->dtype != WT_UINT8;
  bool plain =
      dtype_is_floating(t->dtype) || ((op == WT_UNARY_neg || op == WT_UNARY_abs) && signed_integer);
  if (!plain || dispatch_mode != NULL) return call_slow(slow, &self, 1, NULL);
  return finish(unary_raw(t, op, 0.0, 0.0, t->dtype), row, &self, 1);
}

static PyObject *slot_negative(PyObject *a) {
  return unary_fast(a, WT_UNARY_neg, ROW_neg, SLOW_neg);
}
static PyObject *slot_absolute(PyObject *a) {
  return unary_fast(a, WT_UNARY_abs, ROW_abs, SLOW_abs);
}

/* ---- conversions to Python numbers ---------------------------------------------------------- */
static PyObject *slot_bool_object(PyObject *self) {
  Tensor *t = AS_TENSOR(self);
  if (t->numel != 1) {
    PyErr_SetString(PyExc_RuntimeError,
                    t->numel == 0
                        ? "Boolean value of Tensor with no values is ambiguous"
                        : "Boolean value of Tensor with more than one value is ambiguous");
    return NULL;
  }
  return tensor_item(t);
}

static int slot_bool(PyObject *self) {
  PyObject *item = slot_bool_object(self);
  if (item == NULL) return -1;
  int truth = PyObject_IsTrue(item);
  Py_DECREF(item);
  return truth;
}

/* The only element, for int() and float(). */
static PyObject *only_element(PyObject *self) {
  if (AS_TENSOR(self)->numel == 1) return tensor_item(AS_TENSOR(self));
  PyErr_SetString(PyExc_ValueError, "only one element tensors can be converted to Python scalars");
  return NULL;
}

static PyObject *slot_int(PyObject *self) {
  PyObject *item = only_element(self);
  if (item == NULL) return NULL;
  PyObject *result = PyNumber_Long(item);
  Py_DECREF(item);
  return result;
}

static PyObject *slot_float(PyObject *self) {
  PyObject *item = only_element(self);
  if (item == NULL) return NULL;
  PyObject *result = PyNumber_Float(item);
  Py_DECREF(item);
  return result;
}

static PyObject *slot_index(PyObject *self) {
  Tensor *t = AS_TENSOR(self);
  if (dtype_is_floating(t->dtype) || t->numel != 1) {
    PyErr_SetString(PyExc_TypeError,
                    "only integer tensors of a single element can be converted to an index");
    return NULL;
  }
  return slot_int(self);
}

/* ---- reductions ----------------------------------------------------------------------------- */
/* Reads dim (an int or a tuple of ints) into `reduced`; false where the case is not plain. */
static bool parse_dims(PyObject *dims, int ndim, bool *reduced) {
  for (int d = 0; d < WT_MAX_DIMS; d++) reduced[d] = false;
  if (PyLong_Check(dims)) {
    int dim;
    if (!plain_dim(dims, ndim > 0 ? ndim : 1, &dim)) return false;
    reduced[dim] = true;
    return true;
  }
  if (!PyTuple_Check(dims) || PyTuple_Size(dims) == 0) return false;
  for (Py_ssize_t i = 0; i < PyTuple_Size(dims); i++) {
    int dim;
    if (!plain_dim(PyTuple_GetItem(dims, i), ndim, &dim) || reduced[dim]) return false;
    reduced[dim] = true;
  }
  return true;
}

static PyObject *reduce_fast(enum slow_name slow, wt_reduce_op op, enum fast_row whole,
                             enum fast_row by_dim, PyObject *const *args, Py_ssize_t nargs,
                             PyObject *kwnames) {
  PyObject *dim = nargs > 1 ? args[1] : NULL, *keep = nargs > 2 ? args[2] : Py_False;
  bool plain = dispatch_mode == NULL && nargs >= 1 && nargs <= 3 && tensor_check(args[0]);
  for (Py_ssize_t i = 0; plain && kwnames != NULL && i < PyTuple_Size(kwnames); i++) {
    PyObject *name = PyTuple_GetItem(kwnames, i);
    if (PyUnicode_CompareWithASCIIString(name, "dim") == 0 && dim == NULL) {
      dim = args[nargs + i];
    } else if (PyUnicode_CompareWithASCIIString(name, "keepdim") == 0 && nargs < 3) {
      keep = args[nargs + i];
    } else {
      plain = false;
    }
  }
  plain = plain && (keep == Py_False || keep == Py_True) && (dim != NULL || keep == Py_False);
  bool reduced[WT_MAX_DIMS];
  if (plain) {
    Tensor *t = AS_TENSOR(args[0]);
    if (dim == NULL) {
      for (int d = 0; d < WT_MAX_DIMS; d++) reduced[d] = true;
    } else {
      plain = parse_dims(dim, t->ndim, reduced);
    }
    int out_dtype = t->dtype;
    if (op == WT_REDUCE_sum && !dtype_is_floating(out_dtype)) out_dtype = WT_INT64;
    if (op == WT_REDUCE_mean && !dtype_is_floating(out_dtype)) plain = false;
    if (plain) {
      Tensor *out = reduce_raw(t, op, reduced, keep == Py_True, 0.0, out_dtype);
      if (dim == NULL) {
        PyObject *values[2] = {args[0], Py_None};
        return finish(out, whole, values, 2);
      }
      PyObject *dims = PyTuple_Check(dim) ? new_ref(dim) : PyTuple_Pack(1, dim);
      if (dims == NULL) {
        Py_XDECREF((PyObject *)out);
        return NULL;
      }
      PyObject *values[4] = {args[0], dims, keep, Py_None};
      PyObject *result = finish(out, by_dim, values, 4);
      Py_DECREF(dims);
      return result;
    }
  }
  return call_slow(slow, args, nargs, kwnames);
}

/* ---- matrix products ------------------------------------------------------------------------ */
static PyObject *matmul_fast(enum slow_name slow, PyObject *a, PyObject *b) {
  if (dispatch_mode == NULL && tensor_check(a) && tensor_check(b)) {
    Tensor *left = AS_TENSOR(a), *right = AS_TENSOR(b);
    if (left->ndim == 2 && right->ndim == 2 && left->dtype == right->dtype &&
        left->size[1] == right->size[0] && left->size[1] > 0 &&
        (left->dtype == WT_FLOAT32 || left->dtype == WT_FLOAT64)) {
      PyObject *args[2] = {a, b};
      return finish(matmul_raw(left, right), ROW_mm, args, 2);
    }
  }
  return call_slow2(slow, a, b);
}

static PyObject *slot_matmul(PyObject *a, PyObject *b) {
  return tensor_check(a) ? matmul_fast(SLOW_matmul, a, b) : call_slow2(SLOW_rmatmul, b, a);
}

/* ---- functions and methods ------------------------------------------------------------------ */
/* Each fast operation has one body over (args, nargs, kwnames), self first. A method passes its
 * self in front. */
typedef PyObject *(*Body)(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);

static PyObject *call_as_method(Body body, PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames) {
  PyObject *inline_args[8];
  Py_ssize_t total = nargs + 1 + (kwnames == NULL ? 0 : PyTuple_Size(kwnames));
  PyObject **all = inline_args;
  if (total > 8 && (all = PyMem_Malloc(sizeof *all * (size_t)total)) == NULL) {
    return PyErr_NoMemory();
  }
  all[0] = self;
  if (total > 1) memcpy(all + 1, args, sizeof *all * (size_t)(total - 1));
  PyObject *result = body(all, nargs + 1, kwnames);
  if (all != inline_args) PyMem_Free(all);
  return result;
}

#define BINARY_BODY(name, slot)                                                                \
  static PyObject *body_##name(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {   \
    if (nargs == 2 && kwnames == NULL && tensor_check(args[0])) return slot(args[0], args[1]); \
    return call_slow(SLOW_##name, args, nargs, kwnames);                                       \
  }
BINARY_BODY(add, slot_add)
BINARY_BODY(sub, slot_subtract)
BINARY_BODY(mul, slot_multiply)
BINARY_BODY(div, slot_divide)

#define COMPARISON_BODY(name)                                                                \
  static PyObject *body_##name(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) { \
    if (nargs == 2 && kwnames == NULL && tensor_check(args[0])) {                            \
      Tensor *out = binary_fast(args[0], args[1], WT_BINARY_##name, COMPARISON);             \
      if (out != NULL || PyErr_Occurred()) return (PyObject *)out;                           \
    }                                                                                        \
    return call_slow(SLOW_##name, args, nargs, kwnames);                                     \
  }
COMPARISON_BODY(eq)
COMPARISON_BODY(ne)
COMPARISON_BODY(lt)
COMPARISON_BODY(le)
COMPARISON_BODY(gt)
COMPARISON_BODY(ge)

#define EXTREMUM_BODY(name)                                                                  \
  static PyObject *body_##name(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) { \
    if (nargs == 2 && kwnames == NULL && tensor_check(args[0]) && tensor_check(args[1])) {   \
      Tensor *out = binary_fast(args[0], args[1], WT_BINARY_##name, ARITHMETIC);             \
      if (out != NULL) return finish(out, ROW_##name, args, 2);                              \
      if (PyErr_Occurred()) return NULL;                                                     \
    }                                                                                        \
    return call_slow(SLOW_##name, args, nargs, kwnames);                                     \
  }
EXTREMUM_BODY(maximum)
EXTREMUM_BODY(minimum)

/* clang-format off */
#define UNARY_BODIES(X)                                                                           \
  X(neg) X(abs) X(exp) X(log) X(sqrt) X(rsqrt) X(reciprocal) X(square) X(sin) X(cos) X(tanh)      \
  X(sigmoid) X(relu)
/* clang-format on */
#define X(name)                                                                              \
  static PyObject *body_##name(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) { \
    if (nargs == 1 && kwnames == NULL && tensor_check(args[0])) {                            \
      return unary_fast(args[0], WT_UNARY_##name, ROW_##name, SLOW_##name);                  \
    }                                                                                        \
    return call_slow(SLOW_##name, args, nargs, kwnames);                                     \
  }
UNARY_BODIES(X)
#undef X

static PyObject *body_sum(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  return reduce_fast(SLOW_sum, WT_REDUCE_sum, ROW_sum, ROW_sum_dim, args, nargs, kwnames);
}
static PyObject *body_mean(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  return reduce_fast(SLOW_mean, WT_REDUCE_mean, ROW_mean, ROW_mean_dim, args, nargs, kwnames);
}

#define MATMUL_BODY(name)                                                                    \
  static PyObject *body_##name(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) { \
    if (nargs == 2 && kwnames == NULL) return matmul_fast(SLOW_##name, args[0], args[1]);    \
    return call_slow(SLOW_##name, args, nargs, kwnames);                                     \
  }
MATMUL_BODY(matmul)
MATMUL_BODY(mm)

#define VIEW_BODIES(X) \
  X(view) X(reshape) X(transpose) X(t) X(permute) X(unsqueeze) X(expand) X(select)
#define X(name) PyObject *body_##name(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
VIEW_BODIES(X)
#undef X

/* clang-format off */
#define ALL_BODIES(X)                                                                             \
  X(add) X(sub) X(mul) X(div) X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(maximum) X(minimum)           \
  UNARY_BODIES(X) X(sum) X(mean) X(matmul) X(mm) VIEW_BODIES(X)
/* clang-format on */

#define X(name)                                                                               \
  static PyObject *method_##name(PyObject *self, PyObject *const *args, Py_ssize_t nargs,     \
                                 PyObject *kwnames) {                                         \
    return call_as_method(body_##name, self, args, nargs, kwnames);                           \
  }                                                                                           \
  static PyObject *function_##name(PyObject *module, PyObject *const *args, Py_ssize_t nargs, \
                                   PyObject *kwnames) {                                       \
    (void)module;                                                                             \
    return body_##name(args, nargs, kwnames);                                                 \
  }
ALL_BODIES(X)
#undef X

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS
PyMethodDef fast_methods[] = {
#define X(name) {#name, FAST(method_##name), NULL},
    ALL_BODIES(X)
#undef X
        {NULL, NULL, 0, NULL},
};
PyMethodDef fast_functions[] = {
#define X(name) {#name, FAST(function_##name), NULL},
    ALL_BODIES(X)
#undef X
        {NULL, NULL, 0, NULL},
};

/* ---- the number protocol -------------------------------------------------------------------- */
/* clang-format off */
#define BINARY_SLOTS(X)                                                                           \
  X(add) X(subtract) X(multiply) X(divide) X(floor_divide) X(remainder) X(matmul)                 \
  X(and) X(or) X(xor) X(lshift) X(rshift)                                                         \
  X(inplace_add) X(inplace_subtract) X(inplace_multiply) X(inplace_divide)                        \
  X(inplace_floor_divide) X(inplace_remainder)                                                    \
  X(inplace_and) X(inplace_or) X(inplace_xor) X(inplace_lshift) X(inplace_rshift)
/* clang-format on */
#define X(name)                                              \
  static PyObject *number_##name(PyObject *a, PyObject *b) { \
    return or_not_implemented(slot_##name(a, b), a, b);      \
  }
BINARY_SLOTS(X)
#undef X

static PyObject *number_power(PyObject *a, PyObject *b, PyObject *modulus) {
  return or_not_implemented(slot_power(a, b, modulus), a, b);
}
static PyObject *number_inplace_power(PyObject *a, PyObject *b, PyObject *modulus) {
  return or_not_implemented(slot_inplace_power(a, b, modulus), a, b);
}

PyType_Slot number_slots[] = {
    {Py_nb_add, number_add},
    {Py_nb_subtract, number_subtract},
    {Py_nb_multiply, number_multiply},
    {Py_nb_true_divide, number_divide},
    {Py_nb_floor_divide, number_floor_divide},
    {Py_nb_remainder, number_remainder},
    {Py_nb_power, number_power},
    {Py_nb_matrix_multiply, number_matmul},
    {Py_nb_and, number_and},
    {Py_nb_or, number_or},
    {Py_nb_xor, number_xor},
    {Py_nb_lshift, number_lshift},
    {Py_nb_rshift, number_rshift},
    {Py_nb_inplace_add, number_inplace_add},
    {Py_nb_inplace_subtract, number_inplace_subtract},
    {Py_nb_inplace_multiply, number_inplace_multiply},
    {Py_nb_inplace_true_divide, number_inplace_divide},
    {Py_nb_inplace_floor_divide, number_inplace_floor_divide},
    {Py_nb_inplace_remainder, number_inplace_remainder},
    {Py_nb_inplace_power, number_inplace_power},
    {Py_nb_inplace_and, number_inplace_and},
    {Py_nb_inplace_or, number_inplace_or},
    {Py_nb_inplace_xor, number_inplace_xor},
    {Py_nb_inplace_lshift, number_inplace_lshift},
    {Py_nb_inplace_rshift, number_inplace_rshift},
    {Py_nb_negative, slot_negative},
    {Py_nb_absolute, slot_absolute},
    {Py_nb_positive, slot_positive},
    {Py_nb_invert, slot_invert},
    {Py_nb_bool, slot_bool},
    {Py_nb_int, slot_int},
    {Py_nb_float, slot_float},
    {Py_nb_index, slot_index},
    {0, NULL},
};

/* ---- registration --------------------------------------------------------------------------- */
static int find_name(const char *const *names, int count, PyObject *name) {
  for (int i = 0; i < count; i++) {
    if (PyUnicode_CompareWithASCIIString(name, names[i]) == 0) return i;
  }
  PyErr_Format(PyExc_KeyError, "no fast path is called %R", name);
  return -1;
}

static PyObject *set_slow(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *name, *callable;
  if (!PyArg_ParseTuple(args, "UO:set_slow", &name, &callable)) return NULL;
  int index = find_name(slow_names, SLOW_COUNT, name);
  if (index < 0) return NULL;
  XSETREF(slow_callables[index], new_ref(callable));
  Py_RETURN_NONE;
}

static PyObject *set_fast_op(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *name, *op;
  if (!PyArg_ParseTuple(args, "UO!:set_fast_op", &name, OpBase_Type, &op)) return NULL;
  int index = find_name(row_names, ROW_COUNT, name);
  if (index < 0) return NULL;
  XSETREF(fast_rows[index], (OpBase *)new_ref(op));
  Py_RETURN_NONE;
}

static PyObject *set_handlers(PyObject *module, PyObject *args, PyObject *kwargs) {
  (void)module;
  PyObject *getitem = NULL, *setitem = NULL, *move_retained = NULL, *from_array = NULL;
  static char *names[] = {"getitem", "setitem", "move_retained", "from_array", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOO", names, &getitem, &setitem, &move_retained,
                                   &from_array)) {
    return NULL;
  }
  if (getitem != NULL) XSETREF(handler_getitem, new_ref(getitem));
  if (setitem != NULL) XSETREF(handler_setitem, new_ref(setitem));
  if (move_retained != NULL) XSETREF(handler_move_retained, new_ref(move_retained));
  if (from_array != NULL) XSETREF(handler_from_array, new_ref(from_array));
  Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_slow", set_slow, METH_VARARGS, "Supplies the general form of a fast operation."},
    {"set_fast_op", set_fast_op, METH_VARARGS, "Supplies the row that a fast path records."},
    {"set_handlers", (PyCFunction)(void (*)(void))set_handlers, METH_VARARGS | METH_KEYWORDS,
     "Supplies getitem and setitem for indexes other than ints, slices, None and Ellipsis, "
     "move_retained(tensor, node, output_nr), called when a tensor leaves a node, and from_array, "
     "which makes a tensor of an array of numpy's."},
    {NULL, NULL, 0, NULL},
};

static int add_names(PyObject *module, const char *attribute, const char *const *names, int count) {
  PyObject *tuple = PyTuple_New(count);
  for (int i = 0; tuple != NULL && i < count; i++) {
    PyTuple_SetItem(tuple, i, PyUnicode_FromString(names[i]));
  }
  if (tuple == NULL) return -1;
  int status = PyModule_AddObjectRef(module, attribute, tuple);
  Py_DECREF(tuple);
  return status;
}

int dispatch_module_init(PyObject *module) {
  if (add_names(module, "FAST", slow_names, SLOW_COUNT) < 0) return -1;
  if (add_names(module, "FAST_OPS", row_names, ROW_COUNT) < 0) return -1;
  if (PyModule_AddFunctions(module, fast_functions) < 0) return -1;
  return PyModule_AddFunctions(module, functions);
}
