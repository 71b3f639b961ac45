/* The port: how the extension calls the engine. On the desktop the functions are linked; in Pyodide
 * the host passes their indexes in the function table, which are function pointers there. */
#include "tensor.h"

#include <string.h>

const char *const kernel_names[WT_KERNEL_COUNT] = {
#define K(kernel, version) #kernel,
    WT_KERNELS(K)
#undef K
};

#if defined(__EMSCRIPTEN__)
Port port;
#define CONNECTED (port.run != NULL)
#else
static void native_copy_in(wt_word engine_address, const void *source, wt_word bytes) {
  memcpy((void *)engine_address, source, (size_t)bytes);
}

static void native_copy_out(void *destination, wt_word engine_address, wt_word bytes) {
  memcpy(destination, (const void *)engine_address, (size_t)bytes);
}

Port port = {
    .submit = wt_submit,
    .run = wt_run,
    .allocate = wt_allocate,
    .release = wt_release,
    .argument_slot = wt_argument_slot,
    .error_detail = wt_error_detail,
    .memory_stat = wt_memory_stat,
    .reset_peak_memory = wt_reset_peak_memory,
    .empty_cache = wt_empty_cache,
    .set_num_threads = wt_set_num_threads,
    .get_num_threads = wt_get_num_threads,
    .copy_in = native_copy_in,
    .copy_out = native_copy_out,
};
#define CONNECTED true
#endif

/* Takes the table indexes in the order of the struct Port. */
PyObject *port_connect(PyObject *module, PyObject *args) {
  (void)module;
#if defined(__EMSCRIPTEN__)
  int f[13];
  if (!PyArg_ParseTuple(args, "iiiiiiiiiiiii", &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6],
                        &f[7], &f[8], &f[9], &f[10], &f[11], &f[12])) {
    return NULL;
  }
  _Static_assert(sizeof port == sizeof f, "one index for each function of the port");
  memcpy(&port, f, sizeof port);
  Py_RETURN_NONE;
#else
  (void)args;
  PyErr_SetString(PyExc_RuntimeError, "the native engine is linked and needs no connection");
  return NULL;
#endif
}

const char *scalar_name(int64_t code) {
  switch (code) {
    case WT_UINT8:
      return "Byte";
    case WT_INT8:
      return "Char";
    case WT_INT16:
      return "Short";
    case WT_INT32:
      return "Int";
    case WT_INT64:
      return "Long";
    case WT_FLOAT16:
      return "Half";
    case WT_FLOAT32:
      return "Float";
    case WT_FLOAT64:
      return "Double";
    case WT_BOOL:
      return "Bool";
    case WT_BFLOAT16:
      return "BFloat16";
    default:
      return "Undefined";
  }
}

/* torch words an index out of range by the operation that met it. */
static void raise_index(const char *kernel_name, const int64_t detail[3]) {
  bool by_gather = strcmp(kernel_name, "gather") == 0 || strcmp(kernel_name, "scatter") == 0;
  PyObject *type = by_gather ? PyExc_RuntimeError : PyExc_IndexError;
  if (strcmp(kernel_name, "index_select") == 0) {
    PyErr_SetString(type, "index out of range in self");
  } else if (detail[1] >= 0) {
    PyErr_Format(type, "index %lld is out of bounds for dimension %lld with size %lld",
                 (long long)detail[0], (long long)detail[1], (long long)detail[2]);
  } else {
    PyErr_Format(type, "index %lld is out of bounds for size %lld", (long long)detail[0],
                 (long long)detail[2]);
  }
}

int raise_status(int status, const char *kernel_name) {
  int64_t detail[3] = {0, 0, 0};
  port.copy_out(detail, port.error_detail(), sizeof detail);
  switch (status) {
    case WT_OUT_OF_MEMORY:
      PyErr_Format(PyExc_MemoryError,
                   "%s: could not allocate %lld bytes; %lld bytes are in use and %lld reserved",
                   kernel_name, (long long)detail[0], (long long)port.memory_stat(0),
                   (long long)port.memory_stat(2));
      break;
    case WT_INDEX_OUT_OF_RANGE:
      raise_index(kernel_name, detail);
      break;
    case WT_UNSUPPORTED_DTYPE:
      PyErr_Format(PyExc_NotImplementedError, "\"%s\" not implemented for '%s'", kernel_name,
                   scalar_name(detail[0]));
      break;
    case WT_SINGULAR:
      PyErr_Format(PyExc_RuntimeError,
                   "%s: (Batch element %lld): the matrix is singular (zero pivot %lld)",
                   kernel_name, (long long)detail[0], (long long)detail[1]);
      break;
    case WT_NOT_CONVERGED:
      PyErr_Format(PyExc_RuntimeError, "%s: (Batch element %lld): the algorithm failed to converge",
                   kernel_name, (long long)detail[0]);
      break;
    case WT_DIVISION_BY_ZERO:
      PyErr_SetString(PyExc_RuntimeError, "ZeroDivisionError");
      break;
    case WT_TRAP:
      PyErr_Format(PyExc_RuntimeError,
                   "%s: the engine trapped while running this kernel; its result is undefined",
                   kernel_name);
      break;
    default:
      PyErr_Format(PyExc_RuntimeError, "%s: invalid argument (status %d, field %lld, value %lld)",
                   kernel_name, status, (long long)detail[0], (long long)detail[1]);
  }
  return -1;
}

int call_kernel(wt_kernel kernel, void *arguments, size_t bytes) {
  if (!CONNECTED) {
    PyErr_SetString(PyExc_RuntimeError, "the engine is not connected");
    return -1;
  }
  wt_word *w = arguments;
  w[0] = (wt_word)bytes;
#if defined(__EMSCRIPTEN__)
  int status;
  if (bytes <= WT_SUBMIT_WORDS * sizeof(wt_word)) {
    status = port.submit(kernel, w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10],
                         w[11], w[12], w[13], w[14], w[15]);
  } else {
    wt_word slot = port.argument_slot();
    port.copy_in(slot, arguments, (wt_word)bytes);
    status = port.run(kernel, slot);
  }
#else
  int status = port.run(kernel, (wt_word)w);
#endif
  return status == WT_OK ? 0 : raise_status(status, kernel_names[kernel]);
}
