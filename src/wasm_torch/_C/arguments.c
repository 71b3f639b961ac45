/* Sizes, strides and dims as arguments from Python, and as objects for it. */
#include "tensor.h"

PyObject *words_to_tuple(int count, const wt_word *values) {
  PyObject *tuple = PyTuple_New(count);
  for (int i = 0; tuple != NULL && i < count; i++) {
    PyObject *item = PyLong_FromSsize_t((Py_ssize_t)values[i]);
    if (item == NULL || PyTuple_SetItem(tuple, i, item) < 0) Py_CLEAR(tuple);
  }
  return tuple;
}

PyObject *words_to_list(int count, const wt_word *values) {
  PyObject *tuple = words_to_tuple(count, values);
  PyObject *list = tuple == NULL ? NULL : PySequence_List(tuple);
  Py_XDECREF(tuple);
  return list;
}

static int parse_word(PyObject *item, wt_word *out) {
  if (tensor_check(item)) {
    PyObject *number = tensor_item(AS_TENSOR(item));
    if (number == NULL) return -1;
    int status = parse_word(number, out);
    Py_DECREF(number);
    return status;
  }
  Py_ssize_t value = PyNumber_AsSsize_t(item, PyExc_OverflowError);
  if (value == -1 && PyErr_Occurred()) return -1;
  *out = value;
  return 0;
}

int parse_words(PyObject *object, wt_word *out, bool allow_scalar, const char *what) {
  if (allow_scalar && PyLong_Check(object)) return parse_word(object, out) < 0 ? -1 : 1;
  if (!PyTuple_Check(object) && !PyList_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s must be tuple of ints, not %R", what, Py_TYPE(object));
    return -1;
  }
  Py_ssize_t count = PySequence_Size(object);
  if (count > WT_MAX_DIMS) {
    PyErr_Format(PyExc_RuntimeError,
                 "tensors of more than %d dimensions are not supported, got %zd", WT_MAX_DIMS,
                 count);
    return -1;
  }
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *item = PyTuple_Check(object) ? PyTuple_GetItem(object, i) : PyList_GetItem(object, i);
    if (item == NULL || parse_word(item, &out[i]) < 0) return -1;
  }
  return (int)count;
}

int wrap_dim_value(long dim, int ndim, int *out) {
  long limit = ndim > 0 ? ndim : 1;
  if (dim < -limit || dim >= limit) {
    PyErr_Format(PyExc_IndexError,
                 "Dimension out of range (expected to be in range of [%ld, %ld], but got %ld)",
                 -limit, limit - 1, dim);
    return -1;
  }
  *out = (int)(dim < 0 ? dim + limit : dim);
  return 0;
}

int wrap_dim(PyObject *dim_object, int ndim, int *dim) {
  long value = PyLong_AsLong(dim_object);
  if (value == -1 && PyErr_Occurred()) return -1;
  return wrap_dim_value(value, ndim, dim);
}
