/* Backward nodes: one per recorded operation, with edges to the nodes of its tensor arguments. */
#ifndef WASM_TORCH_NODE_H
#define WASM_TORCH_NODE_H

#include "tensor.h"

/* Geometry and dtype of a tensor that may be gone. */
typedef struct Metadata {
  bool present;
  uint8_t dtype;
  uint8_t ndim;
  wt_word offset;
  wt_word size[WT_MAX_DIMS];
  wt_word stride[WT_MAX_DIMS];
} Metadata;

/* An edge leads to a node or to a leaf, whose accumulator is made only when somebody looks at the
 * graph: making one for every recorded operation would cost more than the operation. */
typedef struct Edge {
  struct Node *node; /* NULL with no leaf: no gradient is wanted */
  PyObject *leaf;
  uint32_t output_nr;
  Metadata metadata;
} Edge;

/* A value the vjp wants. An output is kept without its history, which would be a cycle. */
typedef struct Saved {
  PyObject *value;
  uint32_t version;
  int output_nr; /* -1: an argument */
} Saved;

typedef struct Node {
  PyObject_HEAD
  OpBase *op; /* NULL for accumulators and custom nodes */
  PyObject *name;
  PyObject *variable; /* accumulators: the leaf */
  PyObject *context, *hooks, *pre_hooks;
  PyObject *weakrefs;
  uint64_t sequence_nr;
  int edge_count, saved_count, output_count;
  uint32_t saved_mask, outputs_mask; /* which arguments and outputs are saved */
  bool released;
  Edge *edges;
  Saved *saved;
  Metadata first_output;
  Metadata *more_outputs; /* outputs 1, 2, ... */
} Node;

/* A node without edges or saved values yet, for so many of them. */
Node *node_new(PyObject *name, OpBase *op, int edge_count, int saved_count);
/* Notes what an output looks like. 0, or -1 with an exception. */
int node_set_output(Node *node, int index, const Tensor *t);
int node_module_init(PyObject *module);
void metadata_of(const Tensor *t, Metadata *out);
/* Keeps a value for the backward pass, or an output without its history. 0, or -1 with an
 * exception.
 */
int save_value(Saved *saved, PyObject *value);
int save_output(Saved *saved, Tensor *output, int index);
/* Fills in where the gradient of t goes. 0, or -1 with an exception. */
int edge_to(Tensor *t, Edge *edge);
/* The node that adds to the gradient of a leaf; a new reference, or NULL with an exception. */
Node *accumulator_of(Tensor *t);
/* Regenerates the history of a view whose base was changed in place. 0, or -1 with an exception. */
int refresh_view_history(Tensor *t);
/* The operation's name without "Backward0"; a new reference, or NULL with an exception. */
PyObject *node_stem(const Node *node);
/* Gives up a reference to a node without recursion through long graphs. */
void node_release_chain(Node *node);

#endif
