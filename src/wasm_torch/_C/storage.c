/* Blocks of engine memory, counted by the tensors that use them. */
#include "tensor.h"

static wt_word allocate_or_collect(wt_word bytes) {
  wt_word address = port.allocate(bytes);
  if (address == 0) {
    /* Cycles between tensors and their backward graphs may hold memory that nobody uses. */
    PyGC_Collect();
    port.empty_cache();
    address = port.allocate(bytes);
  }
  return address;
}

void raise_out_of_memory(double bytes) {
  PyObject *asked = PyLong_FromDouble(bytes);
  if (asked == NULL) return;
  PyErr_Format(PyExc_MemoryError,
               "could not allocate %S bytes for a tensor; %lld bytes are in use and %lld "
               "reserved. Free tensors that are no longer needed, or use smaller batches",
               asked, (long long)port.memory_stat(0), (long long)port.memory_stat(2));
  Py_DECREF(asked);
}

Storage *storage_new(wt_word bytes) {
  wt_word address = allocate_or_collect(bytes > 0 ? bytes : 1);
  if (address == 0) {
    raise_out_of_memory((double)bytes);
    return NULL;
  }
  Storage *storage = storage_borrow(address, bytes, NULL);
  if (storage == NULL) port.release(address);
  return storage;
}

Storage *storage_borrow(wt_word address, wt_word bytes, PyObject *owner) {
  Storage *storage = PyMem_Malloc(sizeof *storage);
  if (storage == NULL) {
    PyErr_NoMemory();
    return NULL;
  }
  storage->references = 1;
  storage->address = address;
  storage->bytes = bytes;
  storage->version = 0;
  storage->exported = false;
  storage->owner = xnew_ref(owner);
  return storage;
}

void storage_release(Storage *storage) {
  if (storage == NULL || --storage->references > 0) return;
  if (storage->owner != NULL) {
    Py_DECREF(storage->owner);
  } else {
    port.release(storage->address);
  }
  PyMem_Free(storage);
}
