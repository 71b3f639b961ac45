/* Geometry without history, offered to Python: new storage, aliases, views, copies. */
#include "tensor.h"

#include <string.h>

/* For a size of which an element exceeds a word, as 3 GiB does in wasm. */
static PyObject *raise_uncountable(PyObject *size, int dtype) {
  PyErr_Clear();
  PyObject *items = PyLong_Check(size) ? PyTuple_Pack(1, size) : PySequence_Tuple(size);
  double bytes = dtype_size(dtype);
  for (Py_ssize_t i = 0; items != NULL && i < PyTuple_Size(items); i++) {
    PyObject *number = PyNumber_Float(PyTuple_GetItem(items, i));
    if (number == NULL) {
      Py_CLEAR(items);
      break;
    }
    bytes *= PyFloat_AsDouble(number);
    Py_DECREF(number);
  }
  if (items == NULL) return NULL;
  Py_DECREF(items);
  raise_out_of_memory(bytes);
  return NULL;
}

static PyObject *empty(PyObject *module, PyObject *args, PyObject *kwargs) {
  (void)module;
  PyObject *size_object, *dtype_object = Py_None, *stride_object = Py_None;
  static char *names[] = {"size", "dtype", "stride", NULL};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OO", names, &size_object, &dtype_object,
                                   &stride_object)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int dtype = dtype_from_object(dtype_object, default_dtype);
  int ndim = dtype < 0 ? -1 : parse_words(size_object, size, true, "empty(): argument 'size'");
  if (ndim < 0) {
    bool uncountable = dtype >= 0 && PyErr_ExceptionMatches(PyExc_OverflowError);
    return uncountable ? raise_uncountable(size_object, dtype) : NULL;
  }
  for (int d = 0; d < ndim; d++) {
    if (size[d] < 0) {
      PyObject *list = words_to_list(ndim, size);
      if (list != NULL) {
        PyErr_Format(PyExc_RuntimeError, "Trying to create tensor with negative dimension %zd: %R",
                     (Py_ssize_t)size[d], list);
      }
      Py_XDECREF(list);
      return NULL;
    }
  }
  if (stride_object == Py_None) return (PyObject *)tensor_empty(dtype, ndim, size);
  if (parse_words(stride_object, stride, false, "stride") != ndim) {
    if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    }
    return NULL;
  }
  for (int d = 0; d < ndim; d++) {
    if (stride[d] < 0) {
      PyErr_SetString(PyExc_RuntimeError, "negative strides are not supported");
      return NULL;
    }
  }
  return (PyObject *)tensor_empty_strided(dtype, ndim, size, stride);
}

/* Checks that every element lies inside the storage. */
static int check_bounds(const Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                        wt_word offset) {
  int64_t last = offset, reach, needed;
  bool is_empty = false, too_large = false;
  for (int d = 0; d < ndim; d++) {
    if (size[d] == 0) is_empty = true;
    if (size[d] < 0 || stride[d] < 0) {
      PyErr_SetString(PyExc_RuntimeError,
                      "as_strided: Negative strides are not supported at the moment");
      return -1;
    }
    too_large |= __builtin_mul_overflow((int64_t)size[d] - 1, (int64_t)stride[d], &reach);
    too_large |= __builtin_add_overflow(last, reach, &last);
  }
  too_large |= __builtin_add_overflow(last, 1, &last);
  too_large |= __builtin_mul_overflow(last, (int64_t)dtype_size(t->dtype), &needed);
  if (too_large && !is_empty) {
    PyErr_SetString(PyExc_RuntimeError, "Storage size calculation overflowed");
    return -1;
  }
  if (offset < 0 || (!is_empty && needed > t->storage->bytes)) {
    PyErr_Format(PyExc_RuntimeError,
                 "setStorage: the sizes, strides and storage offset %zd require a storage size of "
                 "%lld, which is out of bounds for storage of size %zd",
                 (Py_ssize_t)offset, (long long)needed, (Py_ssize_t)t->storage->bytes);
    return -1;
  }
  return 0;
}

static PyObject *strided(PyObject *args, bool tracked) {
  PyObject *t, *size_object, *stride_object;
  Py_ssize_t offset;
  if (!PyArg_ParseTuple(args, "O!OOn", TensorBase_Type, &t, &size_object, &stride_object,
                        &offset)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int ndim = parse_words(size_object, size, false, "size");
  int count = ndim < 0 ? -1 : parse_words(stride_object, stride, false, "stride");
  if (count < 0) return NULL;
  if (count != ndim) {
    PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    return NULL;
  }
  if (check_bounds(AS_TENSOR(t), ndim, size, stride, offset) < 0) return NULL;
  return (PyObject *)(tracked ? tensor_view(AS_TENSOR(t), ndim, size, stride, offset)
                              : tensor_as_strided(AS_TENSOR(t), ndim, size, stride, offset));
}

static PyObject *as_strided(PyObject *module, PyObject *args) {
  (void)module;
  return strided(args, false);
}

static PyObject *view_of(PyObject *module, PyObject *args) {
  (void)module;
  return strided(args, true);
}

/* Changes the tensor object itself, or leaves it as it is and raises. */
static int set_checked_geometry(Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                                wt_word offset) {
  if (check_bounds(t, ndim, size, stride, offset) < 0) return -1;
  Tensor *checked = tensor_as_strided(t, ndim, size, stride, offset);
  if (checked == NULL) return -1;
  t->ndim = checked->ndim;
  t->offset = checked->offset;
  t->numel = checked->numel;
  t->dense = checked->dense;
  memcpy(t->size, checked->size, sizeof t->size);
  memcpy(t->stride, checked->stride, sizeof t->stride);
  Py_DECREF(checked);
  return 0;
}

/* reinterpret(t, dtype, size, stride, offset): a tracked view of the same bytes as another dtype.
 */
static PyObject *reinterpret(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *dtype_object, *size_object, *stride_object;
  Py_ssize_t offset;
  if (!PyArg_ParseTuple(args, "O!OOOn:reinterpret", TensorBase_Type, &t, &dtype_object,
                        &size_object, &stride_object, &offset)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int dtype = dtype_from_object(dtype_object, -1);
  int ndim = dtype < 0 ? -1 : parse_words(size_object, size, false, "size");
  int count = ndim < 0 ? -1 : parse_words(stride_object, stride, false, "stride");
  if (count < 0) return NULL;
  if (count != ndim) {
    PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    return NULL;
  }
  Tensor *view = tensor_view(AS_TENSOR(t), 0, size, stride, 0);
  if (view == NULL) return NULL;
  view->dtype = (uint8_t)dtype;
  if (set_checked_geometry(view, ndim, size, stride, offset) < 0) Py_CLEAR(view);
  return (PyObject *)view;
}

/* set_geometry(t, size, stride, offset): the same tensor object over its storage in a new shape. */
static PyObject *set_geometry(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object, *size_object, *stride_object;
  Py_ssize_t offset;
  if (!PyArg_ParseTuple(args, "O!OOn:set_geometry", TensorBase_Type, &object, &size_object,
                        &stride_object, &offset)) {
    return NULL;
  }
  Tensor *t = AS_TENSOR(object);
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int ndim = parse_words(size_object, size, false, "size");
  int count = ndim < 0 ? -1 : parse_words(stride_object, stride, false, "stride");
  if (count < 0) return NULL;
  if (count != ndim) {
    PyErr_SetString(PyExc_RuntimeError, "mismatch in length of strides and shape");
    return NULL;
  }
  if (set_checked_geometry(t, ndim, size, stride, offset) < 0) return NULL;
  Py_RETURN_NONE;
}

/* resize_storage(t, bytes): grows the storage, keeping its contents; never shrinks it. */
static PyObject *resize_storage(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object;
  Py_ssize_t bytes;
  if (!PyArg_ParseTuple(args, "O!n:resize_storage", TensorBase_Type, &object, &bytes)) return NULL;
  Storage *storage = AS_TENSOR(object)->storage;
  if (bytes <= storage->bytes) Py_RETURN_NONE;
  if (storage->owner != NULL || storage->exported) {
    PyErr_SetString(PyExc_RuntimeError, "Trying to resize storage that is not resizable");
    return NULL;
  }
  Storage *larger = storage_new(bytes);
  if (larger == NULL) return NULL;
  if (storage->bytes > 0) {
    wt_word size[1] = {storage->bytes};
    wt_word stride[1] = {1};
    Tensor *from = tensor_as_strided(AS_TENSOR(object), 1, size, stride, 0);
    Tensor *to = from == NULL ? NULL : tensor_as_strided(AS_TENSOR(object), 1, size, stride, 0);
    int status = -1;
    if (to != NULL) {
      from->dtype = to->dtype = WT_UINT8;
      storage_release(to->storage);
      to->storage = storage_retain(larger);
      status = tensor_copy_into(to, from);
    }
    Py_XDECREF((PyObject *)from);
    Py_XDECREF((PyObject *)to);
    if (status < 0) {
      storage_release(larger);
      return NULL;
    }
  }
  /* All views follow: they hold the Storage, whose block is exchanged. */
  wt_word old = storage->address;
  storage->address = larger->address;
  storage->bytes = larger->bytes;
  larger->address = old;
  storage_release(larger);
  Py_RETURN_NONE;
}

static Tensor *tensor_argument(PyObject *object, const char *function) {
  if (tensor_check(object)) return AS_TENSOR(object);
  PyErr_Format(PyExc_TypeError, "%s() expects a tensor, not %R", function, Py_TYPE(object));
  return NULL;
}

static PyObject *alias(PyObject *module, PyObject *object) {
  (void)module;
  Tensor *t = tensor_argument(object, "alias");
  return t == NULL ? NULL : (PyObject *)tensor_alias(t);
}

static PyObject *contiguous(PyObject *module, PyObject *object) {
  (void)module;
  Tensor *t = tensor_argument(object, "contiguous");
  return t == NULL ? NULL : (PyObject *)tensor_contiguous(t);
}

static PyObject *cast(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *t, *dtype_object;
  if (!PyArg_ParseTuple(args, "O!O:cast", TensorBase_Type, &t, &dtype_object)) return NULL;
  int dtype = dtype_from_object(dtype_object, -1);
  if (dtype < 0) return NULL;
  return (PyObject *)tensor_cast(AS_TENSOR(t), dtype);
}

static PyObject *copy_into(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *out, *self;
  if (!PyArg_ParseTuple(args, "O!O!:copy_into", TensorBase_Type, &out, TensorBase_Type, &self)) {
    return NULL;
  }
  Tensor *to = AS_TENSOR(out), *from = AS_TENSOR(self);
  wt_word size[WT_MAX_DIMS];
  int ndim = broadcast_sizes(to->ndim, to->size, from->ndim, from->size, size);
  if (ndim < 0) return NULL;
  if (ndim != to->ndim || memcmp(size, to->size, sizeof(wt_word) * (size_t)ndim) != 0) {
    PyObject *have = words_to_list(ndim, size), *want = words_to_list(to->ndim, to->size);
    PyErr_Format(PyExc_RuntimeError, "output with shape %R doesn't match the broadcast shape %R",
                 want, have);
    Py_XDECREF(have);
    Py_XDECREF(want);
    return NULL;
  }
  /* Overlapping memory: read everything before anything is written. */
  bool same_place = from->offset == to->offset && tensor_same_size(from, to) &&
                    memcmp(from->stride, to->stride, sizeof(wt_word) * to->ndim) == 0;
  Tensor *source = (Tensor *)new_ref(from);
  if (from->storage == to->storage && !same_place) {
    XSETREF(source, tensor_empty(from->dtype, from->ndim, from->size));
    if (source == NULL) return NULL;
    if (tensor_copy_into(source, from) < 0) {
      Py_DECREF(source);
      return NULL;
    }
  }
  int status = tensor_copy_into(to, source);
  Py_DECREF(source);
  if (status < 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *flip(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object, *dims_object;
  if (!PyArg_ParseTuple(args, "O!O:flip", TensorBase_Type, &object, &dims_object)) return NULL;
  Tensor *t = AS_TENSOR(object);
  wt_word dims[WT_MAX_DIMS];
  int count = parse_words(dims_object, dims, true, "flip(): argument 'dims'");
  if (count < 0) return NULL;
  Tensor *operands[1] = {t};
  Tensor *out = pointwise_output(t->dtype, t->ndim, t->size, operands, 1);
  if (out == NULL || out->numel == 0) return (PyObject *)out;
  KERNEL_ARGS(copy) call;
  tensor_describe(out, &call.args.out);
  tensor_describe(t, &call.args.self);
  for (int i = 0; i < count; i++) {
    int d;
    if (wrap_dim_value((long)dims[i], t->ndim, &d) < 0) {
      Py_DECREF(out);
      return NULL;
    }
    if (t->ndim == 0) continue;
    call.args.self.data += (t->size[d] - 1) * t->stride[d] * dtype_size(t->dtype);
    call.args.self.stride[d] = -t->stride[d];
  }
  if (call_kernel(WT_KERNEL_copy, &call, sizeof call.args) < 0) Py_CLEAR(out);
  return (PyObject *)out;
}

#define KEYWORDS(function) (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

static PyMethodDef functions[] = {
    {"empty", KEYWORDS(empty), "empty(size, dtype=None, stride=None): uninitialised storage."},
    {"as_strided", as_strided, METH_VARARGS, "as_strided(t, size, stride, offset): an alias."},
    {"view_of", view_of, METH_VARARGS, "view_of(t, size, stride, offset): a tracked view."},
    {"reinterpret", reinterpret, METH_VARARGS,
     "reinterpret(t, dtype, size, stride, offset): a view of the bytes as another dtype."},
    {"set_geometry", set_geometry, METH_VARARGS,
     "set_geometry(t, size, stride, offset): changes the tensor object itself."},
    {"resize_storage", resize_storage, METH_VARARGS,
     "resize_storage(t, bytes): grows the storage of a tensor and its views."},
    {"alias", alias, METH_O, "The same storage without history."},
    {"contiguous", contiguous, METH_O, "The tensor itself, or a row-major copy."},
    {"cast", cast, METH_VARARGS, "cast(t, dtype): the tensor itself, or a converted copy."},
    {"copy_into", copy_into, METH_VARARGS, "copy_into(out, source): broadcasts and converts."},
    {"flip", flip, METH_VARARGS, "flip(t, dims): a reversed copy."},
    {NULL, NULL, 0, NULL},
};

int geometry_module_init(PyObject *module) { return PyModule_AddFunctions(module, functions); }
