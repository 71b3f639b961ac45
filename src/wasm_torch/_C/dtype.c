/* Element types as Python objects, and torch's promotion rules. */
#include <string.h>

#include "tensor.h"

PyTypeObject *DType_Type;
PyObject *dtype_objects[WT_DTYPE_COUNT];
int default_dtype = WT_FLOAT32;

int dtype_size(int code) {
  switch (code) {
#define X(NAME, name, code, ctype, bytes) \
  case code:                              \
    return bytes;
    WT_DTYPES(X)
#undef X
    default:
      return 0;
  }
}

PyObject *dtype_to_object(int code) { return new_ref(dtype_objects[code]); }

int dtype_from_object(PyObject *object, int fallback) {
  if (object == NULL || object == Py_None) return fallback;
  if (Py_TYPE(object) != DType_Type) {
    PyErr_Format(PyExc_TypeError, "dtype must be a torch.dtype, not %R", Py_TYPE(object));
    return -1;
  }
  return ((DType *)object)->code;
}

/* Integers in order of size, bool below them; see "Type promotion" in torch's tensor attributes. */
int promote_types(int a, int b) {
  if (a == b) return a;
  bool float_a = dtype_is_floating(a), float_b = dtype_is_floating(b);
  if (float_a && float_b) {
    if (a == WT_FLOAT64 || b == WT_FLOAT64) return WT_FLOAT64;
    return WT_FLOAT32; /* float32 with a half type, or float16 with bfloat16 */
  }
  if (float_a) return a;
  if (float_b) return b;
  if (a == WT_BOOL) return b;
  if (b == WT_BOOL) return a;
  if (a == WT_UINT8 || b == WT_UINT8) {
    int other = a == WT_UINT8 ? b : a;
    return other == WT_INT8 ? WT_INT16 : other;
  }
  return a > b ? a : b;
}

static PyObject *dtype_repr(PyObject *self) {
  return PyUnicode_FromFormat("torch.%s", ((DType *)self)->name);
}

static PyObject *dtype_reduce(PyObject *self, PyObject *unused) {
  (void)unused;
  PyObject *module = PyImport_ImportModule("wasm_torch._C");
  if (module == NULL) return NULL;
  PyObject *lookup = PyObject_GetAttrString(module, "dtype_by_name");
  Py_DECREF(module);
  if (lookup == NULL) return NULL;
  return Py_BuildValue("N(s)", lookup, ((DType *)self)->name);
}

static PyObject *dtype_get_flag(PyObject *self, void *closure) {
  int code = ((DType *)self)->code;
  const char *what = closure;
  bool flag = false;
  if (strcmp(what, "floating") == 0) flag = dtype_is_floating(code);
  if (strcmp(what, "signed") == 0) flag = code != WT_UINT8 && code != WT_BOOL;
  return PyBool_FromLong(flag);
}

static PyMemberDef dtype_members[] = {
    {"name", T_STRING, offsetof(DType, name), READONLY, "name, such as 'float32'"},
    {"code", T_INT, offsetof(DType, code), READONLY, "number of torch's ScalarType"},
    {"itemsize", T_INT, offsetof(DType, itemsize), READONLY, "bytes of one element"},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef dtype_getset[] = {
    {"is_floating_point", dtype_get_flag, NULL, NULL, "floating"},
    {"is_complex", dtype_get_flag, NULL, NULL, "complex"},
    {"is_signed", dtype_get_flag, NULL, NULL, "signed"},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef dtype_methods[] = {
    {"__reduce__", dtype_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot dtype_slots[] = {
    {Py_tp_repr, dtype_repr},
    {Py_tp_members, dtype_members},
    {Py_tp_getset, dtype_getset},
    {Py_tp_methods, dtype_methods},
    {Py_tp_doc, "The type of a tensor's elements."},
    {0, NULL},
};

static PyType_Spec dtype_spec = {
    .name = "wasm_torch.dtype",
    .basicsize = sizeof(DType),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = dtype_slots,
};

static PyObject *get_default_dtype(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return dtype_to_object(default_dtype);
}

static PyObject *set_default_dtype(PyObject *module, PyObject *object) {
  (void)module;
  int code = dtype_from_object(object, -1);
  if (code < 0) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "invalid dtype object");
    return NULL;
  }
  if (!dtype_is_floating(code)) {
    PyErr_SetString(PyExc_TypeError, "only floating-point types are supported as the default type");
    return NULL;
  }
  default_dtype = code;
  Py_RETURN_NONE;
}

static PyObject *dtype_by_name(PyObject *module, PyObject *name) {
  (void)module;
  for (int code = 0; code < WT_DTYPE_COUNT; code++) {
    DType *dtype = (DType *)dtype_objects[code];
    if (dtype != NULL && PyUnicode_CompareWithASCIIString(name, dtype->name) == 0) {
      return dtype_to_object(code);
    }
  }
  PyErr_Format(PyExc_ValueError, "there is no dtype %R", name);
  return NULL;
}

static PyObject *promote(PyObject *module, PyObject *args) {
  (void)module;
  PyObject *a, *b;
  if (!PyArg_ParseTuple(args, "OO:promote_types", &a, &b)) return NULL;
  int code_a = dtype_from_object(a, WT_FLOAT32), code_b = dtype_from_object(b, WT_FLOAT32);
  if (code_a < 0 || code_b < 0) return NULL;
  return dtype_to_object(promote_types(code_a, code_b));
}

static PyMethodDef functions[] = {
    {"get_default_dtype", get_default_dtype, METH_NOARGS, "The dtype of new float tensors."},
    {"set_default_dtype", set_default_dtype, METH_O, "Sets the dtype of new float tensors."},
    {"dtype_by_name", dtype_by_name, METH_O, "The dtype of this name."},
    {"promote_types", promote, METH_VARARGS, "The smallest dtype that both convert to."},
    {NULL, NULL, 0, NULL},
};

int dtype_module_init(PyObject *module) {
  DType_Type = (PyTypeObject *)PyType_FromSpec(&dtype_spec);
  if (DType_Type == NULL) return -1;
  if (PyModule_AddObjectRef(module, "dtype", (PyObject *)DType_Type) < 0) return -1;
  PyObject *all = PyDict_New();
  if (all == NULL) return -1;
#define X(NAME, text, number, ctype, bytes)                                     \
  {                                                                             \
    DType *dtype = (DType *)PyType_GenericAlloc(DType_Type, 0);                 \
    if (dtype == NULL) return -1;                                               \
    dtype->name = #text;                                                        \
    dtype->code = number;                                                       \
    dtype->itemsize = bytes;                                                    \
    dtype_objects[number] = (PyObject *)dtype;                                  \
    if (PyModule_AddObjectRef(module, #text, (PyObject *)dtype) < 0) return -1; \
    if (PyDict_SetItemString(all, #text, (PyObject *)dtype) < 0) return -1;     \
  }
  WT_DTYPES(X)
#undef X
  if (PyModule_AddObjectRef(module, "dtypes", all) < 0) return -1;
  Py_DECREF(all);
  return PyModule_AddFunctions(module, functions);
}
