/* Tensors from and to Python's own objects: nested lists, numbers, buffers, bytes. */
#include <string.h>

#include "tensor.h"

/* ---- to Python ------------------------------------------------------------------------------ */
static float half_to_float(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31;
  uint32_t mantissa = bits & 0x3ff, word;
  if (exponent == 31) {
    word = sign | 0x7f800000 | mantissa << 13;
  } else if (exponent != 0) {
    word = sign | (exponent + 112) << 23 | mantissa << 13;
  } else {
    float value = (float)mantissa * 0x1p-24f; /* subnormal */
    return sign != 0 ? -value : value;
  }
  float value;
  memcpy(&value, &word, sizeof value);
  return value;
}

static PyObject *element_to_object(const char *element, int dtype) {
  switch (dtype) {
    case WT_BOOL:
      return PyBool_FromLong(*(const uint8_t *)element);
    case WT_UINT8:
      return PyLong_FromLong(*(const uint8_t *)element);
    case WT_INT8:
      return PyLong_FromLong(*(const int8_t *)element);
    case WT_INT16:
      return PyLong_FromLong(*(const int16_t *)element);
    case WT_INT32:
      return PyLong_FromLong(*(const int32_t *)element);
    case WT_INT64:
      return PyLong_FromLongLong(*(const int64_t *)element);
    case WT_FLOAT32:
      return PyFloat_FromDouble(*(const float *)element);
    case WT_FLOAT64:
      return PyFloat_FromDouble(*(const double *)element);
    case WT_FLOAT16:
      return PyFloat_FromDouble(half_to_float(*(const uint16_t *)element));
    default: { /* bfloat16: the upper half of a float32 */
      uint32_t word = (uint32_t)*(const uint16_t *)element << 16;
      float value;
      memcpy(&value, &word, sizeof value);
      return PyFloat_FromDouble(value);
    }
  }
}

PyObject *tensor_item(Tensor *t) {
  if (t->numel != 1) {
    PyErr_Format(PyExc_RuntimeError, "a Tensor with %zd elements cannot be converted to Scalar",
                 (Py_ssize_t)t->numel);
    return NULL;
  }
  int64_t element = 0;
  port.copy_out(&element, tensor_address(t), dtype_size(t->dtype));
  return element_to_object((const char *)&element, t->dtype);
}

/* Dense row-major bytes; the caller frees them with PyMem_Free. */
static char *read_elements(Tensor *t, size_t *bytes) {
  Tensor *dense = tensor_contiguous(t);
  if (dense == NULL) return NULL;
  *bytes = (size_t)t->numel * (size_t)dtype_size(t->dtype);
  char *elements = PyMem_Malloc(*bytes > 0 ? *bytes : 1);
  if (elements == NULL) {
    PyErr_NoMemory();
  } else if (*bytes > 0) {
    port.copy_out(elements, tensor_address(dense), (wt_word)*bytes);
  }
  Py_DECREF(dense);
  return elements;
}

static PyObject *nested_list(const Tensor *t, int dim, const char **next) {
  if (dim == t->ndim) {
    PyObject *value = element_to_object(*next, t->dtype);
    *next += dtype_size(t->dtype);
    return value;
  }
  PyObject *list = PyList_New((Py_ssize_t)t->size[dim]);
  for (wt_word i = 0; list != NULL && i < t->size[dim]; i++) {
    PyObject *item = nested_list(t, dim + 1, next);
    if (item == NULL || PyList_SetItem(list, (Py_ssize_t)i, item) < 0) Py_CLEAR(list);
  }
  return list;
}

PyObject *tensor_tolist(Tensor *t) {
  size_t bytes;
  char *elements = read_elements(t, &bytes);
  if (elements == NULL) return NULL;
  const char *next = elements;
  PyObject *result = nested_list(t, 0, &next);
  PyMem_Free(elements);
  return result;
}

static PyObject *to_bytes(PyObject *module, PyObject *object) {
  (void)module;
  if (!tensor_check(object)) {
    PyErr_SetString(PyExc_TypeError, "to_bytes() expects a tensor");
    return NULL;
  }
  size_t bytes;
  char *elements = read_elements(AS_TENSOR(object), &bytes);
  if (elements == NULL) return NULL;
  PyObject *result = PyBytes_FromStringAndSize(elements, (Py_ssize_t)bytes);
  PyMem_Free(elements);
  return result;
}

/* ---- from nested data ----------------------------------------------------------------------- */
typedef struct Reader {
  int ndim;
  wt_word size[WT_MAX_DIMS];
  int dtype;  /* inferred: -1 while nothing was seen */
  char *next; /* where the next element goes, in the final dtype (half types: as float32) */
} Reader;

static bool is_nested(PyObject *object) { return PyList_Check(object) || PyTuple_Check(object); }

static PyObject *item_at(PyObject *sequence, Py_ssize_t i) {
  return PyList_Check(sequence) ? PyList_GetItem(sequence, i) : PyTuple_GetItem(sequence, i);
}

/* The shape follows the first element of each level. */
static int infer_shape(Reader *reader, PyObject *data) {
  while (is_nested(data)) {
    if (reader->ndim == WT_MAX_DIMS) {
      PyErr_Format(PyExc_ValueError, "too many dimensions: at most %d are supported", WT_MAX_DIMS);
      return -1;
    }
    Py_ssize_t length = PySequence_Size(data);
    reader->size[reader->ndim++] = length;
    if (length == 0) return 0;
    data = item_at(data, 0);
  }
  if (tensor_check(data)) {
    Tensor *t = AS_TENSOR(data);
    for (int d = 0; d < t->ndim; d++) {
      if (reader->ndim == WT_MAX_DIMS) return -1;
      reader->size[reader->ndim++] = t->size[d];
    }
  }
  return 0;
}

static int scalar_dtype(PyObject *object) {
  if (tensor_check(object)) return AS_TENSOR(object)->dtype;
  if (PyBool_Check(object)) return WT_BOOL;
  if (PyLong_Check(object)) return WT_INT64;
  if (PyFloat_Check(object)) return default_dtype;
  if (PyIndex_Check(object)) return WT_INT64;
  PyObject *number = PyNumber_Float(object);
  if (number == NULL || PyUnicode_Check(object) || PyBytes_Check(object)) {
    Py_XDECREF(number);
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
    if (name != NULL) {
      PyErr_Format(
          PyUnicode_Check(object) ? PyExc_TypeError : PyExc_RuntimeError,
          PyUnicode_Check(object) ? "new(): invalid data type '%U'" : "Could not infer dtype of %U",
          name);
      Py_DECREF(name);
    }
    return -1;
  }
  Py_DECREF(number);
  return default_dtype;
}

static int raise_ragged(void) {
  PyErr_SetString(PyExc_TypeError, "only sequences of equal nesting can be converted to a tensor");
  return -1;
}

static int infer_dtype(Reader *reader, PyObject *data, int dim) {
  if (is_nested(data)) {
    if (dim == reader->ndim) return raise_ragged(); /* a list may even contain itself */
    for (Py_ssize_t i = 0; i < PySequence_Size(data); i++) {
      if (infer_dtype(reader, item_at(data, i), dim + 1) < 0) return -1;
    }
    return 0;
  }
  int dtype = scalar_dtype(data);
  if (dtype < 0) return -1;
  reader->dtype = reader->dtype < 0 ? dtype : promote_types(reader->dtype, dtype);
  return 0;
}

static int store_integer(char *at, int dtype, int64_t value) {
  switch (dtype) {
    case WT_UINT8: /* negative values wrap, as in torch */
      *(uint8_t *)at = (uint8_t)value;
      return value < -255 || value > 255 ? -1 : 0;
    case WT_INT8:
      *(int8_t *)at = (int8_t)value;
      return value < -128 || value > 127 ? -1 : 0;
    case WT_INT16:
      *(int16_t *)at = (int16_t)value;
      return value < INT16_MIN || value > INT16_MAX ? -1 : 0;
    case WT_INT32:
      *(int32_t *)at = (int32_t)value;
      return value < INT32_MIN || value > INT32_MAX ? -1 : 0;
    default:
      *(int64_t *)at = value;
      return 0;
  }
}

static int store_scalar(Reader *reader, PyObject *object) {
  PyObject *number = tensor_check(object) ? tensor_item(AS_TENSOR(object)) : new_ref(object);
  if (number == NULL) return -1;
  int dtype = reader->dtype, status = 0;
  if (dtype == WT_BOOL) {
    int truth = PyObject_IsTrue(number);
    *(uint8_t *)reader->next = truth > 0;
    status = truth < 0 ? -1 : 0;
  } else if (dtype_is_floating(dtype)) {
    double value = PyFloat_AsDouble(number);
    status = value == -1.0 && PyErr_Occurred() ? -1 : 0;
    if (dtype == WT_FLOAT64) {
      *(double *)reader->next = value;
    } else {
      *(float *)reader->next = (float)value;
    }
  } else {
    PyObject *integer = PyNumber_Long(number);
    int overflow = 0;
    int64_t value = integer == NULL ? 0 : PyLong_AsLongLongAndOverflow(integer, &overflow);
    Py_XDECREF(integer);
    if (integer == NULL || PyErr_Occurred()) {
      status = -1;
    } else if (overflow || store_integer(reader->next, dtype, value) < 0) {
      PyErr_Format(PyExc_RuntimeError, "value cannot be converted to type %s without overflow",
                   ((DType *)dtype_objects[dtype])->name);
      status = -1;
    }
  }
  bool half = dtype == WT_FLOAT16 || dtype == WT_BFLOAT16;
  reader->next += half ? (int)sizeof(float) : dtype_size(dtype);
  Py_DECREF(number);
  return status;
}

static int raise_length(Py_ssize_t expected, int dim, Py_ssize_t got) {
  PyErr_Format(PyExc_ValueError, "expected sequence of length %zd at dim %d (got %zd)", expected,
               dim, got);
  return -1;
}

static int store_nested(Reader *reader, PyObject *data, int dim) {
  if (dim == reader->ndim) {
    if (is_nested(data) || (tensor_check(data) && AS_TENSOR(data)->numel != 1)) {
      return raise_ragged();
    }
    return store_scalar(reader, data);
  }
  if (tensor_check(data)) {
    PyObject *list = tensor_tolist(AS_TENSOR(data));
    if (list == NULL) return -1;
    int status = store_nested(reader, list, dim);
    Py_DECREF(list);
    return status;
  }
  if (!is_nested(data)) {
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(data), "__name__");
    if (name != NULL) {
      PyErr_Format(PyExc_TypeError, "expected a sequence at dim %d, not %U", dim, name);
      Py_DECREF(name);
    }
    return -1;
  }
  Py_ssize_t length = PySequence_Size(data);
  if (length != reader->size[dim]) return raise_length(reader->size[dim], dim, length);
  for (Py_ssize_t i = 0; i < length; i++) {
    if (store_nested(reader, item_at(data, i), dim + 1) < 0) return -1;
  }
  return 0;
}

static PyObject *from_data(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *data, *dtype_object = Py_None;
  if (!PyArg_ParseTuple(args, "O|O:from_data", &data, &dtype_object)) return NULL;
  Reader reader = {.dtype = dtype_from_object(dtype_object, -1)};
  if (reader.dtype < 0 && dtype_object != Py_None) return NULL;
  if (infer_shape(&reader, data) < 0) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "too many dimensions");
    return NULL;
  }
  if (reader.dtype < 0 && infer_dtype(&reader, data, 0) < 0) return NULL;
  if (reader.dtype < 0) reader.dtype = default_dtype;
  int dtype = reader.dtype;
  bool half = dtype == WT_FLOAT16 || dtype == WT_BFLOAT16;
  int stored_dtype = half ? WT_FLOAT32 : dtype;
  Tensor *t = tensor_empty(stored_dtype, reader.ndim, reader.size);
  if (t == NULL) return NULL;
  size_t bytes = (size_t)t->numel * (size_t)dtype_size(stored_dtype);
  char *buffer = PyMem_Malloc(bytes > 0 ? bytes : 1);
  if (buffer == NULL) {
    Py_DECREF(t);
    return PyErr_NoMemory();
  }
  reader.next = buffer;
  if (store_nested(&reader, data, 0) < 0) {
    Py_CLEAR(t);
  } else if (bytes > 0) {
    port.copy_in(tensor_address(t), buffer, (wt_word)bytes);
  }
  PyMem_Free(buffer);
  if (t != NULL && half) {
    Tensor *converted = tensor_cast(t, dtype);
    Py_DECREF(t);
    t = converted;
  }
  return (PyObject *)t;
}

/* ---- from buffers --------------------------------------------------------------------------- */
/* from_buffer(object, dtype, size, offset=0, share=False): dense elements of a bytes-like object.
 * Sharing is for the desktop, where the engine sees the process' memory. */
static PyObject *from_buffer(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *object, *dtype_object, *size_object;
  Py_ssize_t offset = 0;
  int share = 0;
  if (!PyArg_ParseTuple(args, "OOO|np:from_buffer", &object, &dtype_object, &size_object, &offset,
                        &share)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS];
  int dtype = dtype_from_object(dtype_object, default_dtype);
  int ndim = dtype < 0 ? -1 : parse_words(size_object, size, true, "size");
  if (ndim < 0) return NULL;
  PyObject *view_object = PyMemoryView_FromObject(object);
  if (view_object == NULL) return NULL;
  Py_buffer view;
  if (PyObject_GetBuffer(view_object, &view, PyBUF_C_CONTIGUOUS) < 0) {
    Py_DECREF(view_object);
    return NULL;
  }
  Tensor *t = NULL;
  wt_word bytes = dtype_size(dtype);
  for (int d = 0; d < ndim; d++) {
    if (size[d] < 0 || __builtin_mul_overflow(bytes, size[d], &bytes)) {
      PyErr_SetString(PyExc_ValueError, "the size is negative or exceeds the address space");
      goto done;
    }
  }
  if (offset < 0 || offset > view.len || bytes > view.len - offset) {
    PyErr_Format(PyExc_ValueError,
                 "the buffer holds %zd bytes after the offset, but %zd are needed",
                 view.len - offset, (Py_ssize_t)bytes);
    goto done;
  }
#if defined(__EMSCRIPTEN__)
  if (share) {
    PyErr_SetString(PyExc_ValueError, "memory cannot be shared with the engine here; copy it");
    goto done;
  }
#endif
  if (share) {
    wt_word none[1] = {0};
    t = tensor_empty(dtype, 1, none);
    if (t == NULL) goto done;
    Storage *storage = storage_borrow((wt_word)view.buf + offset, bytes, view_object);
    if (storage == NULL) {
      Py_CLEAR(t);
      goto done;
    }
    storage_release(t->storage);
    t->storage = storage;
    t->ndim = (uint8_t)ndim;
    wt_word extent = 1;
    for (int d = ndim - 1; d >= 0; d--) {
      t->size[d] = size[d];
      t->stride[d] = extent;
      extent *= size[d] > 1 ? size[d] : 1;
    }
    tensor_update(t);
  } else {
    t = tensor_empty(dtype, ndim, size);
    if (t != NULL && bytes > 0) {
      port.copy_in(tensor_address(t), (const char *)view.buf + offset, bytes);
    }
  }
done:
  PyBuffer_Release(&view);
  Py_DECREF(view_object);
  return (PyObject *)t;
}

#if !defined(__EMSCRIPTEN__)
/* from_address(address, bytes, owner, dtype, size, stride): memory that `owner` keeps alive. */
static PyObject *from_address(PyObject *module, PyObject *args) {
  (void)module;
  Py_ssize_t address, bytes;
  PyObject *owner, *dtype_object, *size_object, *stride_object;
  if (!PyArg_ParseTuple(args, "nnOOOO:from_address", &address, &bytes, &owner, &dtype_object,
                        &size_object, &stride_object)) {
    return NULL;
  }
  wt_word size[WT_MAX_DIMS], stride[WT_MAX_DIMS], none[1] = {0};
  int dtype = dtype_from_object(dtype_object, default_dtype);
  int ndim = dtype < 0 ? -1 : parse_words(size_object, size, false, "size");
  int count = ndim < 0 ? -1 : parse_words(stride_object, stride, false, "stride");
  if (count < 0) return NULL;
  if (count != ndim) {
    PyErr_SetString(PyExc_ValueError, "mismatch in length of strides and shape");
    return NULL;
  }
  Tensor *t = tensor_empty(dtype, 1, none);
  if (t == NULL) return NULL;
  Storage *storage = storage_borrow(address, bytes, owner);
  if (storage == NULL) {
    Py_DECREF(t);
    return NULL;
  }
  storage_release(t->storage);
  t->storage = storage;
  t->ndim = (uint8_t)ndim;
  memcpy(t->size, size, sizeof size);
  memcpy(t->stride, stride, sizeof stride);
  tensor_update(t);
  return (PyObject *)t;
}

/* ---- the buffer protocol -------------------------------------------------------------------- */
static const char *buffer_format(int dtype) {
  switch (dtype) {
    case WT_BOOL:
      return "?";
    case WT_UINT8:
      return "B";
    case WT_INT8:
      return "b";
    case WT_INT16:
      return "h";
    case WT_INT32:
      return "i";
    case WT_INT64:
      return "q";
    case WT_FLOAT16:
      return "e";
    case WT_FLOAT32:
      return "f";
    case WT_FLOAT64:
      return "d";
    default:
      return NULL;
  }
}

/* What a buffer needs for as long as it lives. The tensor itself may move to another storage. */
typedef struct Exported {
  Storage *storage;
  Py_ssize_t geometry[]; /* shape, then strides in bytes */
} Exported;

int tensor_getbuffer(PyObject *self, Py_buffer *view, int flags) {
  Tensor *t = AS_TENSOR(self);
  if (tensor_tracks_grad(t)) { /* numpy then asks __array__, which says what to do */
    PyErr_SetString(PyExc_BufferError, "a tensor that requires grad has no buffer");
    return -1;
  }
  const char *format = buffer_format(t->dtype);
  if (format == NULL) {
    PyErr_SetString(PyExc_BufferError, "bfloat16 has no buffer format");
    return -1;
  }
  if (!t->dense && (flags & PyBUF_STRIDES) != PyBUF_STRIDES) {
    PyErr_SetString(PyExc_BufferError, "the tensor is not contiguous");
    return -1;
  }
  bool row_major = (flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS ||
                   (flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS;
  bool column_major = (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS;
  if ((row_major && !t->dense) || (column_major && !(t->dense && t->ndim < 2))) {
    PyErr_SetString(PyExc_BufferError, "the tensor does not lie in memory in the order asked for");
    return -1;
  }
  Exported *exported = PyMem_Malloc(sizeof *exported + sizeof(Py_ssize_t) * 2 * (size_t)t->ndim);
  if (exported == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  exported->storage = storage_retain(t->storage);
  Py_ssize_t *geometry = exported->geometry;
  int itemsize = dtype_size(t->dtype);
  for (int d = 0; d < t->ndim; d++) {
    geometry[d] = t->size[d];
    geometry[t->ndim + d] = t->stride[d] * itemsize;
  }
  view->buf = (void *)tensor_address(t);
  view->obj = new_ref(self);
  view->len = (Py_ssize_t)t->numel * itemsize;
  view->itemsize = itemsize;
  view->readonly = 0;
  view->ndim = t->ndim;
  view->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? (char *)format : NULL;
  view->shape = (flags & PyBUF_ND) == PyBUF_ND ? geometry : NULL;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? geometry + t->ndim : NULL;
  view->suboffsets = NULL;
  view->internal = exported;
  t->storage->exported = true;
  return 0;
}

void tensor_releasebuffer(PyObject *self, Py_buffer *view) {
  (void)self;
  Exported *exported = view->internal;
  storage_release(exported->storage);
  PyMem_Free(exported);
}
#endif

static PyMethodDef functions[] = {
    {"from_data", from_data, METH_VARARGS, "from_data(nested, dtype=None): a tensor of numbers."},
    {"from_buffer", from_buffer, METH_VARARGS,
     "from_buffer(object, dtype, size, offset=0, share=False)"},
#if !defined(__EMSCRIPTEN__)
    {"from_address", from_address, METH_VARARGS,
     "from_address(address, bytes, owner, dtype, size, stride): shares foreign memory."},
#endif
    {"to_bytes", to_bytes, METH_O, "The elements as dense row-major bytes."},
    {NULL, NULL, 0, NULL},
};

int convert_module_init(PyObject *module) { return PyModule_AddFunctions(module, functions); }
