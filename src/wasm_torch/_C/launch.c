/* The engine offered to Python: kernels by name, memory, threads, and the codes of operators. */
#include "tensor.h"

#include <string.h>

/* ---- kernels by field table ----------------------------------------------------------------- */
/* The kinds of a kernel's fields. Their offsets follow from the kinds by the rules of the C ABI. */
#define END_OF_FIELDS 0xff
#define KIND(kind, name) WT_FIELD_##kind,
#define K(kernel, version) \
  static const uint8_t kinds_##kernel[] = {WT_ARGS_##kernel(KIND) END_OF_FIELDS};
WT_KERNELS(K)
#undef K

static const uint8_t *const kernel_kinds[WT_KERNEL_COUNT] = {
#define K(kernel, version) kinds_##kernel,
    WT_KERNELS(K)
#undef K
};
static const size_t kernel_sizes[WT_KERNEL_COUNT] = {
#define K(kernel, version) sizeof(wt_##kernel##_args),
    WT_KERNELS(K)
#undef K
};

/* What a compiler needs to lay out a kernel's struct for another machine: names beside the kinds.
 */
#define FIELD_NAME(kind, name) #name,
#define K(kernel, version) \
  static const char *const names_##kernel[] = {WT_ARGS_##kernel(FIELD_NAME) NULL};
WT_KERNELS(K)
#undef K

static const char *const *const kernel_field_names[WT_KERNEL_COUNT] = {
#define K(kernel, version) names_##kernel,
    WT_KERNELS(K)
#undef K
};
static const char *const kind_names[] = {"tensor", "word", "address", "double", "scalar"};
static const int kernel_versions[WT_KERNEL_COUNT] = {
#define K(kernel, version) version,
    WT_KERNELS(K)
#undef K
};

union any_args {
#define K(kernel, version) wt_##kernel##_args kernel;
  WT_KERNELS(K)
#undef K
  wt_word words[WT_SUBMIT_WORDS];
};

static size_t align_up(size_t offset, size_t alignment) {
  return (offset + alignment - 1) & ~(alignment - 1);
}

static int pack_field(char *base, size_t *offset, int kind, PyObject *value) {
  switch (kind) {
    case WT_FIELD_TENSOR: {
      *offset = align_up(*offset, _Alignof(wt_tensor));
      wt_tensor *out = (wt_tensor *)(base + *offset);
      *offset += sizeof(wt_tensor);
      if (value == Py_None) {
        tensor_describe_absent(out);
      } else if (tensor_check(value)) {
        tensor_describe(AS_TENSOR(value), out);
      } else {
        PyErr_Format(PyExc_TypeError, "a kernel expects a tensor, not %R", Py_TYPE(value));
        return -1;
      }
      return 0;
    }
    case WT_FIELD_ADDRESS: {
      *offset = align_up(*offset, _Alignof(wt_word));
      void *address = PyLong_AsVoidPtr(value);
      if (address == NULL && PyErr_Occurred()) return -1;
      *(wt_word *)(base + *offset) = (wt_word)address;
      *offset += sizeof(wt_word);
      return 0;
    }
    case WT_FIELD_WORD: {
      *offset = align_up(*offset, _Alignof(wt_word));
      Py_ssize_t word = PyNumber_AsSsize_t(value, PyExc_OverflowError);
      if (word == -1 && PyErr_Occurred()) return -1;
      *(wt_word *)(base + *offset) = word;
      *offset += sizeof(wt_word);
      return 0;
    }
    case WT_FIELD_DOUBLE: {
      *offset = align_up(*offset, _Alignof(double));
      double number = PyFloat_AsDouble(value);
      if (number == -1.0 && PyErr_Occurred()) return -1;
      *(double *)(base + *offset) = number;
      *offset += sizeof(double);
      return 0;
    }
    default: {
      *offset = align_up(*offset, _Alignof(wt_scalar));
      Operand operand;
      if (parse_operand(value, &operand) <= 0 || operand.tensor != NULL) {
        PyErr_Format(PyExc_TypeError, "a kernel expects a number that fits int64, not %R", value);
        return -1;
      }
      memcpy(base + *offset, &operand.number, sizeof(wt_scalar));
      *offset += sizeof(wt_scalar);
      return 0;
    }
  }
}

static int kernel_number(PyObject *object) {
  if (PyLong_Check(object)) {
    long number = PyLong_AsLong(object);
    if (number >= 0 && number < WT_KERNEL_COUNT) return (int)number;
  } else if (PyUnicode_Check(object)) {
    for (int i = 0; i < WT_KERNEL_COUNT; i++) {
      if (PyUnicode_CompareWithASCIIString(object, kernel_names[i]) == 0) return i;
    }
  }
  PyErr_Format(PyExc_KeyError, "there is no kernel %R", object);
  return -1;
}

static PyObject *launch(PyObject *module, PyObject *const *args, Py_ssize_t nargs) {
  (void)module;
  int kernel = nargs > 0 ? kernel_number(args[0]) : -1;
  if (kernel < 0) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "launch() needs a kernel");
    return NULL;
  }
  union any_args call;
  size_t offset = sizeof(wt_word);
  Py_ssize_t i = 1;
  const uint8_t *kind = kernel_kinds[kernel];
  for (; *kind != END_OF_FIELDS && i < nargs; kind++, i++) {
    if (pack_field((char *)&call, &offset, *kind, args[i]) < 0) return NULL;
  }
  if (i != nargs || *kind != END_OF_FIELDS) {
    PyErr_Format(PyExc_TypeError, "%s: wrong number of arguments (%zd)", kernel_names[kernel],
                 nargs - 1);
    return NULL;
  }
  if (call_kernel((wt_kernel)kernel, &call, kernel_sizes[kernel]) < 0) return NULL;
  Py_RETURN_NONE;
}

/* ---- memory and threads --------------------------------------------------------------------- */
static PyObject *memory_stat(PyObject *module, PyObject *which) {
  (void)module;
  long number = PyLong_AsLong(which);
  if (number == -1 && PyErr_Occurred()) return NULL;
  return PyLong_FromDouble(port.memory_stat((wt_word)number));
}

static PyObject *reset_peak_memory(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  port.reset_peak_memory();
  Py_RETURN_NONE;
}

static PyObject *empty_cache(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyLong_FromDouble(port.empty_cache());
}

static PyObject *set_num_threads(PyObject *module, PyObject *count) {
  (void)module;
  if (!PyLong_Check(count) || PyBool_Check(count)) {
    PyObject *name = PyType_GetName(Py_TYPE(count));
    if (name != NULL) {
      PyErr_Format(PyExc_RuntimeError, "set_num_threads expects an int, but got %U", name);
      Py_DECREF(name);
    }
    return NULL;
  }
  Py_ssize_t number = PyLong_AsSsize_t(count);
  if (number < 1) {
    PyErr_SetString(PyExc_RuntimeError, "set_num_threads expects a positive integer");
    return NULL;
  }
  return PyLong_FromSsize_t((Py_ssize_t)port.set_num_threads(number));
}

static PyObject *get_num_threads(PyObject *module, PyObject *unused) {
  (void)module, (void)unused;
  return PyLong_FromSsize_t((Py_ssize_t)port.get_num_threads());
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

static PyMethodDef functions[] = {
    {"launch", FAST(launch), "launch(kernel, *fields): runs a kernel on fields in abi.h's order."},
    {"memory_stat", memory_stat, METH_O, "0 current, 1 peak, 2 reserved, 3 limit, in bytes."},
    {"reset_peak_memory", reset_peak_memory, METH_NOARGS, "The peak becomes the current use."},
    {"empty_cache", empty_cache, METH_NOARGS, "Merges cached blocks; bytes made reusable."},
    {"set_num_threads", set_num_threads, METH_O, "Returns the number in force."},
    {"get_num_threads", get_num_threads, METH_NOARGS, "Threads that take part in a job."},
    {"connect", port_connect, METH_VARARGS, "Connects the engine's functions (Pyodide)."},
    {NULL, NULL, 0, NULL},
};

static int add_codes(PyObject *module, const char *attribute, const char *const *names, int count) {
  PyObject *codes = PyDict_New();
  for (int i = 0; codes != NULL && i < count; i++) {
    PyObject *number = PyLong_FromLong(i);
    if (number == NULL || PyDict_SetItemString(codes, names[i], number) < 0) Py_CLEAR(codes);
    Py_XDECREF(number);
  }
  if (codes == NULL) return -1;
  int status = PyModule_AddObjectRef(module, attribute, codes);
  Py_DECREF(codes);
  return status;
}

/* KERNEL_FIELDS: name -> ((field, kind), ...) in the order of abi.h; KERNEL_VERSIONS: name -> int.
 */
static PyObject *kernel_fields(int kernel) {
  Py_ssize_t count = 0;
  while (kernel_field_names[kernel][count] != NULL) count++;
  PyObject *fields = PyTuple_New(count);
  for (Py_ssize_t i = 0; fields != NULL && i < count; i++) {
    const char *kind = kind_names[kernel_kinds[kernel][i]];
    PyObject *field = Py_BuildValue("(ss)", kernel_field_names[kernel][i], kind);
    if (field == NULL || PyTuple_SetItem(fields, i, field) < 0) Py_CLEAR(fields);
  }
  return fields;
}

static int add_kernel_layouts(PyObject *module) {
  PyObject *fields = PyDict_New(), *versions = PyDict_New();
  int status = fields == NULL || versions == NULL ? -1 : 0;
  for (int i = 0; status == 0 && i < WT_KERNEL_COUNT; i++) {
    PyObject *row = kernel_fields(i), *version = PyLong_FromLong(kernel_versions[i]);
    if (row == NULL || version == NULL || PyDict_SetItemString(fields, kernel_names[i], row) < 0 ||
        PyDict_SetItemString(versions, kernel_names[i], version) < 0) {
      status = -1;
    }
    Py_XDECREF(row);
    Py_XDECREF(version);
  }
  if (status == 0) status = PyModule_AddObjectRef(module, "KERNEL_FIELDS", fields);
  if (status == 0) status = PyModule_AddObjectRef(module, "KERNEL_VERSIONS", versions);
  Py_XDECREF(fields);
  Py_XDECREF(versions);
  return status;
}

#define NAME(name) #name,
#define CODES(attribute, list, count)                              \
  {                                                                \
    static const char *const names[] = {list(NAME)};               \
    if (add_codes(module, attribute, names, count) < 0) return -1; \
  }

int launch_module_init(PyObject *module) {
  if (add_codes(module, "KERNELS", kernel_names, WT_KERNEL_COUNT) < 0) return -1;
  if (add_kernel_layouts(module) < 0) return -1;
  CODES("UNARY", WT_UNARY_OPS, WT_UNARY_COUNT)
  CODES("BINARY", WT_BINARY_OPS, WT_BINARY_COUNT)
  CODES("TERNARY", WT_TERNARY_OPS, WT_TERNARY_COUNT)
  CODES("REDUCE", WT_REDUCE_OPS, WT_REDUCE_COUNT)
  CODES("SCAN", WT_SCAN_OPS, WT_SCAN_COUNT)
  CODES("SCATTER", WT_SCATTER_MODES, WT_SCATTER_COUNT)
  CODES("RANDOM", WT_RANDOM_OPS, WT_RANDOM_COUNT)
  return PyModule_AddFunctions(module, functions);
}
