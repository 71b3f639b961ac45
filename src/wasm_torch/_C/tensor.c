/* The tensor type: geometry over storage, made, aliased, copied and freed. */
#include "tensor.h"

#include <string.h>

#include "node.h"

PyTypeObject *TensorBase_Type;
PyTypeObject *Tensor_Class;

/* ---- construction -------------------------------------------------------------------------- */
bool tensor_update(Tensor *t) {
  wt_word numel = 1;
  bool dense = true, too_large = false, empty = false;
  for (int d = t->ndim - 1; d >= 0; d--) {
    if (t->size[d] != 1 && t->stride[d] != numel) dense = false;
    if (t->size[d] == 0) {
      empty = true;
    } else {
      too_large |= __builtin_mul_overflow(numel, t->size[d], &numel);
    }
  }
  t->numel = empty ? 0 : numel;
  t->dense = dense || empty;
  return empty || !too_large;
}

static Tensor *tensor_allocate_object(PyTypeObject *type, int dtype, int ndim) {
  if (ndim > WT_MAX_DIMS) {
    PyErr_Format(PyExc_RuntimeError, "tensors of more than %d dimensions are not supported, got %d",
                 WT_MAX_DIMS, ndim);
    return NULL;
  }
  Tensor *t = (Tensor *)PyType_GenericAlloc(type, 0);
  if (t == NULL) return NULL;
  t->dtype = (uint8_t)dtype;
  t->ndim = (uint8_t)ndim;
  t->inference = inference_mode;
  return t;
}

/* The size beyond a word's range, as well as a double holds it. */
static void *raise_too_large(Tensor *t) {
  double bytes = dtype_size(t->dtype);
  for (int d = 0; d < t->ndim; d++) bytes *= (double)t->size[d];
  raise_out_of_memory(bytes);
  Py_DECREF(t);
  return NULL;
}

Tensor *tensor_empty(int dtype, int ndim, const wt_word *size) {
  Tensor *t = tensor_allocate_object(Tensor_Class, dtype, ndim);
  if (t == NULL) return NULL;
  wt_word extent = 1, bytes;
  bool too_large = false, empty = false;
  for (int d = ndim - 1; d >= 0; d--) {
    t->size[d] = size[d];
    t->stride[d] = extent;
    if (size[d] > 1) too_large |= __builtin_mul_overflow(extent, size[d], &extent);
    if (size[d] == 0) empty = true;
  }
  too_large |= __builtin_mul_overflow(extent, dtype_size(dtype), &bytes);
  if (too_large && !empty) return raise_too_large(t);
  t->numel = empty ? 0 : extent;
  t->dense = true;
  t->storage = storage_new(empty ? 0 : bytes);
  if (t->storage == NULL) {
    Py_DECREF(t);
    return NULL;
  }
  return t;
}

Tensor *tensor_empty_strided(int dtype, int ndim, const wt_word *size, const wt_word *stride) {
  Tensor *t = tensor_allocate_object(Tensor_Class, dtype, ndim);
  if (t == NULL) return NULL;
  wt_word last = 0, bytes, reach;
  bool empty = false, too_large = false;
  for (int d = 0; d < ndim; d++) {
    t->size[d] = size[d];
    t->stride[d] = stride[d];
    if (size[d] == 0) {
      empty = true;
      continue;
    }
    too_large |= __builtin_mul_overflow(size[d] - 1, stride[d], &reach);
    too_large |= __builtin_add_overflow(last, reach, &last);
  }
  too_large |= __builtin_add_overflow(last, 1, &last);
  too_large |= __builtin_mul_overflow(last, dtype_size(dtype), &bytes);
  too_large |= !tensor_update(t);
  if (too_large && !empty) return raise_too_large(t);
  t->storage = storage_new(empty ? 0 : bytes);
  if (t->storage == NULL) {
    Py_DECREF(t);
    return NULL;
  }
  return t;
}

Tensor *tensor_as_strided(const Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                          wt_word offset) {
  Tensor *alias = tensor_allocate_object(Tensor_Class, t->dtype, ndim);
  if (alias == NULL) return NULL;
  memcpy(alias->size, size, sizeof *size * (size_t)ndim);
  memcpy(alias->stride, stride, sizeof *stride * (size_t)ndim);
  alias->offset = offset;
  alias->inference = t->inference;
  alias->storage = storage_retain(t->storage);
  if (!tensor_update(alias)) {
    PyErr_SetString(PyExc_RuntimeError, "numel: integer multiplication overflow");
    Py_DECREF(alias);
    return NULL;
  }
  return alias;
}

Tensor *tensor_alias(const Tensor *t) {
  return tensor_as_strided(t, t->ndim, t->size, t->stride, t->offset);
}

Tensor *tensor_view(Tensor *t, int ndim, const wt_word *size, const wt_word *stride,
                    wt_word offset) {
  Tensor *view = tensor_as_strided(t, ndim, size, stride, offset);
  if (view == NULL) return NULL;
  view->base = new_ref(t->base != NULL ? t->base : (PyObject *)t);
  view->view_version = t->storage->version;
  view->untracked = t->untracked;
  return view;
}

void tensor_describe(const Tensor *t, wt_tensor *out) {
  out->data = tensor_address(t);
  out->dtype = t->dtype;
  out->ndim = t->ndim;
  out->numel = t->numel;
  memcpy(out->size, t->size, sizeof(wt_word) * t->ndim);
  memcpy(out->stride, t->stride, sizeof(wt_word) * t->ndim);
}

void tensor_describe_absent(wt_tensor *out) {
  out->data = 0;
  out->dtype = 0;
  out->ndim = -1;
  out->numel = 0;
}

void tensor_bump(Tensor *t) {
  if (!t->untracked) t->storage->version++;
}

bool tensor_same_size(const Tensor *a, const Tensor *b) {
  return a->ndim == b->ndim && memcmp(a->size, b->size, sizeof(wt_word) * a->ndim) == 0;
}

int tensor_copy_into(Tensor *out, Tensor *self) {
  KERNEL_ARGS(copy) call;
  tensor_describe(out, &call.args.out);
  describe_expanded(self, out->ndim, out->size, &call.args.self);
  if (out->numel == 0) return 0;
  return call_kernel(WT_KERNEL_copy, &call, sizeof call.args);
}

Tensor *tensor_contiguous(Tensor *t) {
  if (t->dense) return (Tensor *)new_ref(t);
  Tensor *out = tensor_empty(t->dtype, t->ndim, t->size);
  if (out != NULL && tensor_copy_into(out, t) < 0) Py_CLEAR(out);
  return out;
}

Tensor *tensor_cast(Tensor *t, int dtype) {
  if (t->dtype == dtype) return (Tensor *)new_ref(t);
  Tensor *operands[1] = {t};
  Tensor *out = pointwise_output(dtype, t->ndim, t->size, operands, 1);
  if (out != NULL && tensor_copy_into(out, t) < 0) Py_CLEAR(out);
  return out;
}

/* ---- lifetime ------------------------------------------------------------------------------ */
static int tensor_traverse(PyObject *self, visitproc visit, void *arg) {
  Tensor *t = AS_TENSOR(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(t->grad_fn);
  Py_VISIT(t->grad);
  Py_VISIT(t->base);
  Py_VISIT(t->hooks);
  return 0;
}

static int tensor_clear(PyObject *self) {
  Tensor *t = AS_TENSOR(self);
  Py_CLEAR(t->grad_fn);
  Py_CLEAR(t->grad);
  Py_CLEAR(t->base);
  Py_CLEAR(t->hooks);
  return 0;
}

static void tensor_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  Tensor *t = AS_TENSOR(self);
  PyObject_GC_UnTrack(self);
  if (t->weakrefs != NULL) PyObject_ClearWeakRefs(self);
  if (t->accumulator != NULL) node_forget_variable(t->accumulator);
  /* A long chain of backward nodes must not recurse through the deallocators. */
  if (t->grad_fn != NULL) {
    node_release_chain(t->grad_fn);
    t->grad_fn = NULL;
  }
  tensor_clear(self);
  storage_release(t->storage);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

/* TensorBase(other): a new object on the storage of `other`, of the class that is called. Used by
 * subclasses such as Parameter. */
static PyObject *tensor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  (void)kwargs;
  PyObject *source = NULL;
  if (PyTuple_Size(args) > 0) source = PyTuple_GetItem(args, 0);
  if (source == NULL || !tensor_check(source)) {
    PyErr_Format(PyExc_TypeError, "%R needs a tensor to alias; use tensor() to make one from data",
                 type);
    return NULL;
  }
  Tensor *other = AS_TENSOR(source);
  Tensor *t = tensor_allocate_object(type, other->dtype, other->ndim);
  if (t == NULL) return NULL;
  memcpy(t->size, other->size, sizeof t->size);
  memcpy(t->stride, other->stride, sizeof t->stride);
  t->offset = other->offset;
  t->numel = other->numel;
  t->dense = other->dense;
  t->inference = other->inference;
  t->storage = storage_retain(other->storage);
  return (PyObject *)t;
}

/* ---- type ---------------------------------------------------------------------------------- */
static Py_ssize_t tensor_length(PyObject *self) {
  Tensor *t = AS_TENSOR(self);
  if (t->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "len() of a 0-d tensor");
    return -1;
  }
  return (Py_ssize_t)t->size[0];
}

static PyMemberDef tensor_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Tensor, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static Py_hash_t tensor_hash(PyObject *self) { return (Py_hash_t)((uintptr_t)self >> 4); }

static PyType_Slot tensor_fixed_slots[] = {
    {Py_tp_new, tensor_new},
    {Py_tp_dealloc, tensor_dealloc},
    {Py_tp_traverse, tensor_traverse},
    {Py_tp_clear, tensor_clear},
    {Py_tp_getset, tensor_getset},
    {Py_tp_members, tensor_members},
    {Py_tp_hash, tensor_hash},
    {Py_tp_richcompare, tensor_richcompare},
    {Py_mp_length, tensor_length},
    {Py_mp_subscript, tensor_getitem},
    {Py_mp_ass_subscript, tensor_setitem},
#if !defined(__EMSCRIPTEN__)
    {Py_bf_getbuffer, tensor_getbuffer},
    {Py_bf_releasebuffer, tensor_releasebuffer},
#endif
    {Py_tp_doc, "A strided array in engine memory."},
    {0, NULL},
};

PyMethodDef *tensor_type_methods;

static int count_slots(const PyType_Slot *slots) {
  int count = 0;
  while (slots[count].slot != 0) count++;
  return count;
}

static int count_methods(const PyMethodDef *methods) {
  int count = 0;
  while (methods[count].ml_name != NULL) count++;
  return count;
}

int tensor_module_init(PyObject *module) {
  /* The type keeps the method table, so it is allocated once and never freed. */
  int own = count_methods(tensor_methods), fast = count_methods(fast_methods);
  PyMethodDef *methods = PyMem_Calloc((size_t)(own + fast + 1), sizeof *methods);
  tensor_type_methods = methods;
  int fixed = count_slots(tensor_fixed_slots), numbers = count_slots(number_slots);
  PyType_Slot *slots = PyMem_Calloc((size_t)(fixed + numbers + 2), sizeof *slots);
  if (methods == NULL || slots == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  memcpy(methods, tensor_methods, (size_t)own * sizeof *methods);
  memcpy(methods + own, fast_methods, (size_t)fast * sizeof *methods);
  memcpy(slots, tensor_fixed_slots, (size_t)fixed * sizeof *slots);
  memcpy(slots + fixed, number_slots, (size_t)numbers * sizeof *slots);
  slots[fixed + numbers] = (PyType_Slot){Py_tp_methods, methods};
  PyType_Spec spec = {
      .name = "wasm_torch._C.TensorBase",
      .basicsize = sizeof(Tensor),
      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
      .slots = slots,
  };
  TensorBase_Type = (PyTypeObject *)PyType_FromSpec(&spec);
  PyMem_Free(slots);
  if (TensorBase_Type == NULL) return -1;
  Tensor_Class = (PyTypeObject *)new_ref(TensorBase_Type);
  return PyModule_AddObjectRef(module, "TensorBase", (PyObject *)TensorBase_Type);
}
