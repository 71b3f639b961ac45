/* Views: new geometry over the same storage. The bodies are the fast paths of the methods of the
 * same names; what they do not take goes to the op table, which also words the errors. */
#include <string.h>

#include "tensor.h"

static PyObject *finish_view(Tensor *view, enum fast_row row, PyObject *const *args, int count) {
  if (view == NULL) return NULL;
  if (grad_mode && record(fast_rows[row], args, count, &view, 1) < 0) Py_CLEAR(view);
  return (PyObject *)view;
}

/* The same with the geometry as last argument, which is made into an object only when recorded. */
static PyObject *finish_sized_view(Tensor *self, Tensor *view, enum fast_row row,
                                   const wt_word *values, int count) {
  if (view == NULL || !grad_mode || !tensor_tracks_grad(self)) return (PyObject *)view;
  PyObject *tuple = words_to_tuple(count, values);
  if (tuple == NULL) {
    Py_DECREF(view);
    return NULL;
  }
  PyObject *args[3] = {(PyObject *)self, tuple, Py_False};
  PyObject *result = finish_view(view, row, args, row == ROW_expand ? 3 : 2);
  Py_DECREF(tuple);
  return result;
}

/* view(2, 3) and view((2, 3)) differ only in how the sizes arrive. -1: not plain, perhaps with an
 * exception, which the caller clears. */
static int parse_varargs(PyObject *const *args, Py_ssize_t nargs, wt_word *out) {
  if (nargs == 1 && (PyTuple_Check(args[0]) || PyList_Check(args[0]))) {
    Py_ssize_t count = PySequence_Size(args[0]);
    if (count > WT_MAX_DIMS) return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
      PyObject *item =
          PyTuple_Check(args[0]) ? PyTuple_GetItem(args[0], i) : PyList_GetItem(args[0], i);
      if (!PyLong_Check(item)) return -1;
      out[i] = PyLong_AsSsize_t(item);
      if (out[i] == -1 && PyErr_Occurred()) return -1;
    }
    return (int)count;
  }
  if (nargs > WT_MAX_DIMS || nargs == 0) return -1;
  for (Py_ssize_t i = 0; i < nargs; i++) {
    if (!PyLong_Check(args[i])) return -1;
    out[i] = PyLong_AsSsize_t(args[i]);
    if (out[i] == -1 && PyErr_Occurred()) return -1;
  }
  return (int)nargs;
}

/* Replaces a -1; false where the sizes do not fit the elements. */
static bool infer_size(const Tensor *t, int ndim, wt_word *size) {
  wt_word known = 1;
  int unknown = -1;
  for (int d = 0; d < ndim; d++) {
    if (size[d] == -1) {
      if (unknown >= 0) return false;
      unknown = d;
    } else {
      if (size[d] < 0 || __builtin_mul_overflow(known, size[d], &known)) return false;
    }
  }
  if (unknown < 0) return known == t->numel;
  if (known == 0 || t->numel % known != 0) return false;
  size[unknown] = t->numel / known;
  return true;
}

bool view_strides(const Tensor *t, int ndim, const wt_word *size, wt_word *stride) {
  if (t->numel == 0 || t->ndim == 0) {
    wt_word extent = 1;
    for (int d = ndim - 1; d >= 0; d--) {
      stride[d] = extent;
      extent *= size[d] > 1 ? size[d] : 1;
    }
    return true;
  }
  /* Each run of dimensions that lie densely after one another is matched with new dimensions. */
  int new_dim = ndim - 1;
  wt_word run_stride = t->stride[t->ndim - 1], old_run = 1, new_run = 1;
  for (int d = t->ndim - 1; d >= 0; d--) {
    old_run *= t->size[d];
    bool ends = d == 0 || (t->size[d - 1] != 1 && t->stride[d - 1] != old_run * run_stride);
    if (!ends) continue;
    while (new_dim >= 0 && (new_run < old_run || size[new_dim] == 1)) {
      stride[new_dim] = new_run * run_stride;
      new_run *= size[new_dim--];
    }
    if (new_run != old_run) return false;
    if (d > 0) {
      run_stride = t->stride[d - 1];
      old_run = new_run = 1;
    }
  }
  return new_dim < 0;
}

static PyObject *view_as_size(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                              enum slow_name slow) {
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  if (nargs >= 1 && kwnames == NULL && dispatch_mode == NULL && tensor_check(args[0])) {
    Tensor *t = AS_TENSOR(args[0]);
    int ndim = parse_varargs(args + 1, nargs - 1, size);
    if (ndim >= 0 && infer_size(t, ndim, size) && view_strides(t, ndim, size, stride)) {
      return finish_sized_view(t, tensor_view(t, ndim, size, stride, t->offset), ROW_view, size,
                               ndim);
    }
    PyErr_Clear();
  }
  return call_slow(slow, args, nargs, kwnames);
}

PyObject *body_view(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  return view_as_size(args, nargs, kwnames, SLOW_view);
}

PyObject *body_reshape(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  return view_as_size(args, nargs, kwnames, SLOW_reshape);
}

bool plain_dim(PyObject *object, int limit, int *out) {
  if (!PyLong_Check(object)) return false;
  int overflow;
  long value = PyLong_AsLongAndOverflow(object, &overflow);
  if (overflow || value < -limit || value >= limit) return false;
  *out = (int)(value < 0 ? value + limit : value);
  return true;
}

static Tensor *swapped(Tensor *t, int a, int b) {
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  memcpy(size, t->size, sizeof size);
  memcpy(stride, t->stride, sizeof stride);
  size[a] = t->size[b];
  size[b] = t->size[a];
  stride[a] = t->stride[b];
  stride[b] = t->stride[a];
  return tensor_view(t, t->ndim, size, stride, t->offset);
}

PyObject *body_transpose(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int a, b;
  if (nargs == 3 && kwnames == NULL && dispatch_mode == NULL && tensor_check(args[0]) &&
      AS_TENSOR(args[0])->ndim > 0 && plain_dim(args[1], AS_TENSOR(args[0])->ndim, &a) &&
      plain_dim(args[2], AS_TENSOR(args[0])->ndim, &b)) {
    return finish_view(swapped(AS_TENSOR(args[0]), a, b), ROW_transpose, args, 3);
  }
  return call_slow(SLOW_transpose, args, nargs, kwnames);
}

PyObject *body_t(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  if (nargs == 1 && kwnames == NULL && dispatch_mode == NULL && tensor_check(args[0]) &&
      AS_TENSOR(args[0])->ndim == 2) {
    return finish_view(swapped(AS_TENSOR(args[0]), 0, 1), ROW_t, args, 1);
  }
  return call_slow(SLOW_t, args, nargs, kwnames);
}

PyObject *body_permute(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  wt_word dims[WT_MAX_DIMS], size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  if (nargs >= 2 && kwnames == NULL && dispatch_mode == NULL && tensor_check(args[0])) {
    Tensor *t = AS_TENSOR(args[0]);
    int count = parse_varargs(args + 1, nargs - 1, dims);
    bool plain = count == t->ndim;
    uint32_t seen = 0;
    for (int d = 0; plain && d < count; d++) {
      wt_word from = dims[d] < 0 ? dims[d] + count : dims[d];
      plain = from >= 0 && from < count && !(seen >> from & 1);
      if (!plain) break;
      seen |= 1u << from;
      size[d] = t->size[from];
      stride[d] = t->stride[from];
    }
    if (plain) {
      return finish_sized_view(t, tensor_view(t, count, size, stride, t->offset), ROW_permute, dims,
                               count);
    }
    PyErr_Clear();
  }
  return call_slow(SLOW_permute, args, nargs, kwnames);
}

static Tensor *with_new_dim(Tensor *t, int dim) {
  if (t->ndim == WT_MAX_DIMS) {
    PyErr_Format(PyExc_RuntimeError, "tensors of more than %d dimensions are not supported",
                 WT_MAX_DIMS);
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  for (int d = 0; d < t->ndim + 1; d++) {
    int from = d > dim ? d - 1 : d;
    size[d] = d == dim ? 1 : t->size[from];
    stride[d] = d == dim ? 1 : t->stride[from];
  }
  if (dim < t->ndim) stride[dim] = t->size[dim] * t->stride[dim];
  return tensor_view(t, t->ndim + 1, size, stride, t->offset);
}

PyObject *body_unsqueeze(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int dim;
  if (nargs == 2 && kwnames == NULL && dispatch_mode == NULL && tensor_check(args[0]) &&
      plain_dim(args[1], AS_TENSOR(args[0])->ndim + 1, &dim)) {
    return finish_view(with_new_dim(AS_TENSOR(args[0]), dim), ROW_unsqueeze, args, 2);
  }
  return call_slow(SLOW_unsqueeze, args, nargs, kwnames);
}

PyObject *body_expand(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  if (nargs >= 2 && kwnames == NULL && dispatch_mode == NULL && tensor_check(args[0])) {
    Tensor *t = AS_TENSOR(args[0]);
    int ndim = parse_varargs(args + 1, nargs - 1, size);
    bool plain = ndim >= t->ndim;
    for (int d = 0; plain && d < ndim; d++) {
      int own = d - (ndim - t->ndim);
      wt_word have = own >= 0 ? t->size[own] : 1;
      if (size[d] == -1 && own >= 0) size[d] = have;
      plain = size[d] >= 0 && (have == size[d] || have == 1);
      stride[d] = own >= 0 && have == size[d] ? t->stride[own] : 0;
    }
    if (plain) {
      return finish_sized_view(t, tensor_view(t, ndim, size, stride, t->offset), ROW_expand, size,
                               ndim);
    }
    PyErr_Clear();
  }
  return call_slow(SLOW_expand, args, nargs, kwnames);
}

static Tensor *selected(Tensor *t, int dim, wt_word index) {
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  int kept = 0;
  for (int d = 0; d < t->ndim; d++) {
    if (d == dim) continue;
    size[kept] = t->size[d];
    stride[kept++] = t->stride[d];
  }
  return tensor_view(t, kept, size, stride, t->offset + index * t->stride[dim]);
}

PyObject *body_select(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames) {
  int dim, index;
  if (nargs == 3 && kwnames == NULL && dispatch_mode == NULL && tensor_check(args[0]) &&
      AS_TENSOR(args[0])->ndim > 0 && plain_dim(args[1], AS_TENSOR(args[0])->ndim, &dim) &&
      plain_dim(args[2], (int)AS_TENSOR(args[0])->size[dim], &index)) {
    return finish_view(selected(AS_TENSOR(args[0]), dim, index), ROW_select, args, 3);
  }
  return call_slow(SLOW_select, args, nargs, kwnames);
}

/* ---- indexing with ints, slices, None and Ellipsis ------------------------------------------- */
static bool is_basic(PyObject *item) {
  return (PyLong_Check(item) && !PyBool_Check(item)) || PySlice_Check(item) || item == Py_None ||
         item == Py_Ellipsis;
}

/* A slice whose ends are not plain ints (0-dim tensors, say) is the handler's. */
static bool is_plain_slice(PyObject *item) {
  static const char *const fields[] = {"start", "stop", "step"};
  for (int i = 0; i < 3; i++) {
    PyObject *value = PyObject_GetAttrString(item, fields[i]);
    if (value == NULL) {
      PyErr_Clear();
      return false;
    }
    bool plain = value == Py_None || PyLong_Check(value);
    Py_DECREF(value);
    if (!plain) return false;
  }
  return true;
}

/* Consumes `current` and returns the next view, recorded as the row of its kind. */
static Tensor *apply_select(Tensor *current, int dim, wt_word index) {
  Tensor *view = selected(current, dim, index);
  if (view != NULL && grad_mode && tensor_tracks_grad(current)) {
    PyObject *dim_object = PyLong_FromLong(dim), *at = PyLong_FromSsize_t((Py_ssize_t)index);
    PyObject *args[3] = {(PyObject *)current, dim_object, at};
    view =
        dim_object == NULL || at == NULL ? NULL : (Tensor *)finish_view(view, ROW_select, args, 3);
    Py_XDECREF(dim_object);
    Py_XDECREF(at);
  }
  Py_DECREF(current);
  return view;
}

static Tensor *apply_slice(Tensor *current, int dim, Py_ssize_t start, Py_ssize_t stop,
                           Py_ssize_t step, Py_ssize_t length) {
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS];
  memcpy(size, current->size, sizeof size);
  memcpy(stride, current->stride, sizeof stride);
  size[dim] = length;
  stride[dim] *= step;
  wt_word offset = current->offset + (length > 0 ? start : 0) * current->stride[dim];
  Tensor *view = tensor_view(current, current->ndim, size, stride, offset);
  if (view != NULL && grad_mode && tensor_tracks_grad(current)) {
    PyObject *numbers = Py_BuildValue("innn", dim, start, stop, step);
    if (numbers == NULL) {
      Py_CLEAR(view);
    } else {
      PyObject *args[5] = {(PyObject *)current};
      for (int i = 0; i < 4; i++) args[i + 1] = PyTuple_GetItem(numbers, i);
      view = (Tensor *)finish_view(view, ROW_slice, args, 5);
      Py_DECREF(numbers);
    }
  }
  Py_DECREF(current);
  return view;
}

static Tensor *apply_new_dim(Tensor *current, int dim) {
  Tensor *view = with_new_dim(current, dim);
  if (view != NULL && grad_mode && tensor_tracks_grad(current)) {
    PyObject *dim_object = PyLong_FromLong(dim);
    PyObject *args[2] = {(PyObject *)current, dim_object};
    view = dim_object == NULL ? NULL : (Tensor *)finish_view(view, ROW_unsqueeze, args, 2);
    Py_XDECREF(dim_object);
  }
  Py_DECREF(current);
  return view;
}

static int raise_too_many(int ndim) {
  PyErr_Format(PyExc_IndexError, "too many indices for tensor of dimension %d", ndim);
  return -1;
}

/* Applies one index item at output dimension *dim of *current; -1 with an exception. */
static int apply_item(Tensor **current, PyObject *item, int *dim, int selected_before,
                      int original_ndim) {
  Tensor *t = *current;
  if (item == Py_None) {
    int checked; /* a second Ellipsis may lead beyond the end */
    if (wrap_dim_value(*dim, t->ndim + 1, &checked) < 0) return -1;
    *current = apply_new_dim(t, (*dim)++);
    return *current == NULL ? -1 : 0;
  }
  if (*dim >= t->ndim) return raise_too_many(original_ndim);
  wt_word size = t->size[*dim];
  if (PySlice_Check(item)) {
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(item, &start, &stop, &step) < 0) return -1;
    if (step <= 0) {
      PyErr_SetString(PyExc_ValueError, "step must be greater than zero");
      return -1;
    }
    Py_ssize_t length = PySlice_AdjustIndices((Py_ssize_t)size, &start, &stop, step);
    if (length == size && step == 1) {
      (*dim)++;
      return 0;
    }
    *current = apply_slice(t, (*dim)++, start, stop, step, length);
    return *current == NULL ? -1 : 0;
  }
  Py_ssize_t index = PyLong_AsSsize_t(item);
  if (index == -1 && PyErr_Occurred()) return -1;
  if (index < -size || index >= size) {
    PyErr_Format(PyExc_IndexError, "index %zd is out of bounds for dimension %d with size %zd",
                 index, *dim + selected_before, (Py_ssize_t)size);
    return -1;
  }
  *current = apply_select(t, *dim, index < 0 ? index + size : index);
  return *current == NULL ? -1 : 0;
}

/* 1: *out is the view; 0: the handler must do it; -1: error. */
static int basic_index(Tensor *self, PyObject *index, Tensor **out) {
  if (dispatch_mode != NULL) return 0;
  bool is_tuple = PyTuple_Check(index);
  Py_ssize_t count = is_tuple ? PyTuple_Size(index) : 1;
  int consumed = 0;
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *item = is_tuple ? PyTuple_GetItem(index, i) : index;
    if (!is_basic(item) || (PySlice_Check(item) && !is_plain_slice(item))) return 0;
    if (item != Py_None && item != Py_Ellipsis) consumed++;
  }
  if (self->ndim == 0 && consumed > 0) {
    PyErr_SetString(PyExc_IndexError,
                    PySlice_Check(index)
                        ? "slice() cannot be applied to a 0-dim tensor."
                        : "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
                          "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number");
    return -1;
  }
  if (consumed > self->ndim) return raise_too_many(self->ndim);
  Tensor *current = (Tensor *)new_ref(self);
  int dim = 0, selected_before = 0; /* errors count the dimensions that ints took away, too */
  for (Py_ssize_t i = 0; i < count; i++) {
    PyObject *item = is_tuple ? PyTuple_GetItem(index, i) : index;
    if (item == Py_Ellipsis) {
      dim += self->ndim - consumed;
      continue;
    }
    Tensor *before = current;
    if (apply_item(&current, item, &dim, selected_before, self->ndim) < 0) {
      if (current == before) Py_DECREF(before);
      return -1;
    }
    if (PyLong_Check(item)) selected_before++;
  }
  if (current == self) { /* a[...] and a[:] are new views, as in torch */
    Tensor *alias = tensor_view(self, self->ndim, self->size, self->stride, self->offset);
    PyObject *args[1] = {(PyObject *)self};
    current = (Tensor *)finish_view(alias, ROW_alias, args, 1);
    Py_DECREF(self);
    if (current == NULL) return -1;
  }
  *out = current;
  return 1;
}

PyObject *tensor_getitem(PyObject *self, PyObject *index) {
  Tensor *view;
  int status = basic_index(AS_TENSOR(self), index, &view);
  if (status != 0) return status > 0 ? (PyObject *)view : NULL;
  if (handler_getitem == NULL) {
    PyErr_SetString(PyExc_NotImplementedError, "the op table has no getitem");
    return NULL;
  }
  return PyObject_CallFunctionObjArgs(handler_getitem, self, index, NULL);
}

/* Fills or copies into a plain view where no history is involved; the handler does the rest. */
int tensor_setitem(PyObject *self, PyObject *index, PyObject *value) {
  if (value == NULL) {
    PyErr_SetString(PyExc_TypeError, "Tensor does not support deleting items");
    return -1;
  }
  Tensor *t = AS_TENSOR(self);
  PyObject *involved[2] = {self, value};
  Operand operand;
  bool plain =
      !(grad_mode && any_tracks_grad(involved, 2)) && t->base == NULL && t->dense && !t->inference;
  if (plain && parse_operand(value, &operand) > 0 && operand.tensor == NULL) {
    Tensor *view;
    int status = basic_index(t, index, &view);
    if (status < 0) return -1;
    if (status > 0) {
      status = tensor_fill(view, &operand);
      if (status == 0) tensor_bump(t);
      Py_DECREF(view);
      return status;
    }
  }
  if (handler_setitem == NULL) {
    PyErr_SetString(PyExc_NotImplementedError, "the op table has no setitem");
    return -1;
  }
  PyObject *result = PyObject_CallFunctionObjArgs(handler_setitem, self, index, value, NULL);
  Py_XDECREF(result);
  return result == NULL ? -1 : 0;
}
