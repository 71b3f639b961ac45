/* Convolution for every computing type. */
#include "conv/conv.h"
#include "gemm/convert.h"

#define WT_ELEMENT f32
#include "gemm/element.h"
#include "conv/conv_template.h"
#include "gemm/element_end.h"

#define WT_ELEMENT f64
#include "gemm/element.h"
#include "conv/conv_template.h"
#include "gemm/element_end.h"

#define WT_ELEMENT u32
#include "gemm/element.h"
#include "conv/conv_template.h"
#include "gemm/element_end.h"

#define WT_ELEMENT u64
#include "gemm/element.h"
#include "conv/conv_template.h"
#include "gemm/element_end.h"
