/* Pointwise operations and reductions without history, offered to Python. */
#include "tensor.h"

#include <string.h>

static PyObject *raw_unary(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *dtype_object = Py_None;
  int op;
  double p0 = 0.0, p1 = 0.0;
  if (!PyArg_ParseTuple(args, "O!i|ddO:unary", TensorBase_Type, &t, &op, &p0, &p1, &dtype_object)) {
    return NULL;
  }
  if (op < 0 || op >= WT_UNARY_COUNT) {
    PyErr_Format(PyExc_ValueError, "there is no unary operator %d", op);
    return NULL;
  }
  int out_dtype = dtype_from_object(dtype_object, AS_TENSOR(t)->dtype);
  if (out_dtype < 0) return NULL;
  return (PyObject *)unary_raw(AS_TENSOR(t), (wt_unary_op)op, p0, p1, out_dtype);
}

/* converted(number, dtype): the number as tensor_fill would write it. */
static PyObject *converted(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *value, *dtype_object;
  if (!PyArg_ParseTuple(args, "OO:converted", &value, &dtype_object)) return NULL;
  Operand number;
  if (parse_operand(value, &number) <= 0 || number.tensor != NULL) {
    PyErr_Format(PyExc_TypeError, "converted() needs a number that fits int64, not %R", value);
    return NULL;
  }
  int dtype = dtype_from_object(dtype_object, default_dtype);
  Tensor *t = dtype < 0 ? NULL : tensor_empty(dtype, 0, NULL);
  if (t == NULL) return NULL;
  PyObject *result = tensor_fill(t, &number) < 0 ? NULL : tensor_item(t);
  Py_DECREF(t);
  return result;
}

static PyObject *raw_fill(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *value;
  Operand number;
  if (!PyArg_ParseTuple(args, "O!O:fill", TensorBase_Type, &t, &value)) return NULL;
  if (parse_operand(value, &number) <= 0 || number.tensor != NULL) {
    PyErr_Format(PyExc_TypeError, "fill() needs a number that fits int64, not %R", value);
    return NULL;
  }
  if (tensor_fill(AS_TENSOR(t), &number) < 0) return NULL;
  return new_ref(t);
}

static PyObject *raw_binary(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *a, *b, *compute_object = Py_None, *out_object = Py_None;
  int op;
  double alpha = 1.0;
  if (!PyArg_ParseTuple(args, "OOi|dOO:binary", &a, &b, &op, &alpha, &compute_object,
                        &out_object)) {
    return NULL;
  }
  Operand operands[2];
  if (op < 0 || op >= WT_BINARY_COUNT || parse_operand(a, &operands[0]) <= 0 ||
      parse_operand(b, &operands[1]) <= 0 ||
      (operands[0].tensor == NULL && operands[1].tensor == NULL)) {
    PyErr_SetString(PyExc_TypeError, "binary() needs two tensors, or a tensor and a number");
    return NULL;
  }
  int compute = dtype_from_object(compute_object, result_dtype(operands, 2));
  int out_dtype = compute < 0 ? -1 : dtype_from_object(out_object, compute);
  if (out_dtype < 0) return NULL;
  return (PyObject *)binary_raw(&operands[0], &operands[1], (wt_binary_op)op, alpha, compute,
                                out_dtype);
}

static PyObject *raw_reduce(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object, *dims_object = Py_None, *dtype_object = Py_None;
  int op, keepdim = 0;
  double p0 = 0.0;
  if (!PyArg_ParseTuple(args, "O!i|OpdO:reduce", TensorBase_Type, &object, &op, &dims_object,
                        &keepdim, &p0, &dtype_object)) {
    return NULL;
  }
  Tensor *t = AS_TENSOR(object);
  if (op < 0 || op >= WT_REDUCE_COUNT) {
    PyErr_Format(PyExc_ValueError, "there is no reduction %d", op);
    return NULL;
  }
  bool reduced[WT_MAX_DIMS];
  for (int d = 0; d < WT_MAX_DIMS; d++) reduced[d] = dims_object == Py_None;
  if (dims_object != Py_None) {
    wt_word dims[WT_MAX_DIMS];
    int count = parse_words(dims_object, dims, true, "argument 'dim'");
    if (count < 0) return NULL;
    for (int i = 0; i < count; i++) {
      int d;
      if (wrap_dim_value((long)dims[i], t->ndim, &d) < 0) return NULL;
      if (reduced[d]) {
        PyErr_Format(PyExc_RuntimeError, "dim %d appears multiple times in the list of dims", d);
        return NULL;
      }
      reduced[d] = true;
    }
    if (count == 0) {
      for (int d = 0; d < WT_MAX_DIMS; d++) reduced[d] = true;
    }
  }
  int out_dtype = dtype_from_object(dtype_object, t->dtype);
  if (out_dtype < 0) return NULL;
  return (PyObject *)reduce_raw(t, (wt_reduce_op)op, reduced, keepdim, p0, out_dtype);
}

static PyObject *py_result_type(PyObject *module, PyObject *const *args, Py_ssize_t nargs) {
  (void)module;
  Operand inline_operands[8];
  if (nargs < 1 || nargs > 8) {
    PyErr_SetString(PyExc_TypeError, "result_type() takes 1 to 8 tensors or numbers");
    return NULL;
  }
  for (Py_ssize_t i = 0; i < nargs; i++) {
    if (parse_operand(args[i], &inline_operands[i]) <= 0) {
      PyErr_Format(PyExc_TypeError, "result_type() expects tensors or numbers, not %R",
                   Py_TYPE(args[i]));
      return NULL;
    }
  }
  return dtype_to_object(result_dtype(inline_operands, (int)nargs));
}

static PyObject *py_broadcast_shapes(PyObject *module, PyObject *args) {
  (void)module;
  wt_word size[WT_MAX_DIMS], other[WT_MAX_DIMS], joined[WT_MAX_DIMS];
  int ndim = 0;
  for (Py_ssize_t i = 0; i < PyTuple_Size(args); i++) {
    int count = parse_words(PyTuple_GetItem(args, i), other, true, "shape");
    if (count < 0) return NULL;
    ndim = broadcast_sizes(ndim, size, count, other, joined);
    if (ndim < 0) return NULL;
    memcpy(size, joined, sizeof size);
  }
  return size_to_object(ndim, size);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

static PyMethodDef functions[] = {
    {"converted", converted, METH_VARARGS,
     "converted(number, dtype): as an element. RuntimeError where it does not fit."},
    {"fill", raw_fill, METH_VARARGS, "fill(t, number): writes it everywhere; returns t."},
    {"unary", raw_unary, METH_VARARGS, "unary(t, op, p0=0, p1=0, out_dtype=None)"},
    {"binary", raw_binary, METH_VARARGS,
     "binary(a, b, op, alpha=1, compute_dtype=None, out_dtype=None)"},
    {"reduce", raw_reduce, METH_VARARGS,
     "reduce(t, op, dims=None, keepdim=False, p0=0, out_dtype=None)"},
    {"result_type", FAST(py_result_type), "The dtype of an operation on these operands."},
    {"broadcast_shapes", py_broadcast_shapes, METH_VARARGS, "The common shape."},
    {NULL, NULL, 0, NULL},
};

int raw_module_init(PyObject *module) { return PyModule_AddFunctions(module, functions); }
