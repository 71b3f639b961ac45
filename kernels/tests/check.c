/* The test harness of check.h, and the test program's main: runs all cases, or those whose name
 * contains the first argument. A second argument, whatever it is, names each case before it runs:
 * for finding one that crashes. */
#include "check.h"

enum { REPORTS_PER_CASE = 8 };

static check_case *cases;
static check_case **last_case = &cases;
static int64_t checks;
static int64_t failures_of_case;

void check_register(check_case *entry) {
  *last_case = entry;
  last_case = &entry->next;
}

/* Counts a check; true if its failure is to be printed. */
static bool record(bool passed) {
  checks++;
  if (passed) return false;
  return ++failures_of_case <= REPORTS_PER_CASE;
}

void check_count(bool passed, const char *file, int line, const char *text) {
  if (record(passed)) printf("  %s:%d: %s\n", file, line, text);
}

bool check_close(double got, double expected, double tolerance) {
  if (isnan(expected)) return isnan(got);
  if (isinf(expected)) return got == expected;
  return fabs(got - expected) <= tolerance * fmax(1.0, fabs(expected));
}

void check_close_report(double got, double expected, double tolerance, const char *file, int line) {
  if (record(check_close(got, expected, tolerance))) {
    printf("  %s:%d: got %.17g, expected %.17g, tolerance %g\n", file, line, got, expected,
           tolerance);
  }
}

wt_tensor check_tensor(const void *data, int dtype, int ndim, const wt_word *size) {
  wt_tensor tensor = {.data = (wt_word)data, .dtype = dtype, .ndim = ndim, .numel = 1};
  for (int d = ndim - 1; d >= 0; d--) {
    tensor.size[d] = size[d];
    tensor.stride[d] = tensor.numel;
    tensor.numel *= size[d];
  }
  return tensor;
}

wt_tensor check_absent(void) { return (wt_tensor){.ndim = -1}; }

wt_tensor check_transposed(wt_tensor tensor, int a, int b) {
  wt_word size = tensor.size[a], stride = tensor.stride[a];
  tensor.size[a] = tensor.size[b];
  tensor.stride[a] = tensor.stride[b];
  tensor.size[b] = size;
  tensor.stride[b] = stride;
  return tensor;
}

static void *element(const wt_tensor *tensor, int64_t p) {
  int64_t offset = 0;
  for (wt_word d = tensor->ndim - 1; d >= 0; d--) {
    offset += p % tensor->size[d] * tensor->stride[d];
    p /= tensor->size[d];
  }
  return (char *)tensor->data + offset * (int64_t)wt_dtype_size(tensor->dtype);
}

double check_get(const wt_tensor *tensor, int64_t p) {
  const void *address = element(tensor, p);
  switch (tensor->dtype) {
    case WT_FLOAT16:
      return (double)wt_half_to_float(*(const uint16_t *)address);
    case WT_BFLOAT16:
      return (double)wt_bfloat16_to_float(*(const uint16_t *)address);
    case WT_BOOL:
      return *(const uint8_t *)address != 0;
#define READ(NAME, ctype) \
  case NAME:              \
    return (double)*(const ctype *)address
      READ(WT_UINT8, uint8_t);
      READ(WT_INT8, int8_t);
      READ(WT_INT16, int16_t);
      READ(WT_INT32, int32_t);
      READ(WT_INT64, int64_t);
      READ(WT_FLOAT32, float);
      READ(WT_FLOAT64, double);
#undef READ
  }
  return NAN;
}

void check_set(const wt_tensor *tensor, int64_t p, double value) {
  void *address = element(tensor, p);
  switch (tensor->dtype) {
    case WT_FLOAT16:
      *(uint16_t *)address = wt_float_to_half((float)value);
      break;
    case WT_BFLOAT16:
      *(uint16_t *)address = wt_float_to_bfloat16((float)value);
      break;
    case WT_BOOL:
      *(uint8_t *)address = value != 0;
      break;
#define WRITE(NAME, ctype)              \
  case NAME:                            \
    *(ctype *)address = (ctype)(value); \
    break
      WRITE(WT_UINT8, uint8_t);
      WRITE(WT_INT8, int8_t);
      WRITE(WT_INT16, int16_t);
      WRITE(WT_INT32, int32_t);
      WRITE(WT_INT64, int64_t);
      WRITE(WT_FLOAT32, float);
      WRITE(WT_FLOAT64, double);
#undef WRITE
  }
}

void check_fill(const wt_tensor *tensor, check_random *random, double low, double high) {
  bool floating = tensor->dtype == WT_FLOAT16 || tensor->dtype == WT_BFLOAT16 ||
                  tensor->dtype == WT_FLOAT32 || tensor->dtype == WT_FLOAT64;
  for (int64_t p = 0; p < tensor->numel; p++) {
    double value = check_uniform(random, low, high);
    if (tensor->dtype == WT_BOOL) {
      value = check_next(random) & 1;
    } else if (!floating) {
      value = round(value);
    }
    check_set(tensor, p, value);
  }
}

int main(int count, char **arguments) {
  int passed = 0, failed = 0;
  for (check_case *entry = cases; entry; entry = entry->next) {
    if (count > 1 && !strstr(entry->name, arguments[1])) continue;
    if (count > 2) {
      printf("%s\n", entry->name);
      fflush(stdout);
    }
    failures_of_case = 0;
    entry->run();
    if (failures_of_case == 0) {
      passed++;
      continue;
    }
    failed++;
    printf("FAILED %s: %lld checks failed\n", entry->name, (long long)failures_of_case);
  }
  printf("%lld checks\n%d passed, %d failed\n", (long long)checks, passed, failed);
  return failed != 0 || passed == 0;
}
