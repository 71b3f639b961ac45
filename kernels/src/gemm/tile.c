/* The register tiles of every element type. */
#define WT_ELEMENT f32
#include "gemm/element.h"
#include "gemm/tile_template.h"
#include "gemm/element_end.h"

#define WT_ELEMENT f64
#include "gemm/element.h"
#include "gemm/tile_template.h"
#include "gemm/element_end.h"

#define WT_ELEMENT u32
#include "gemm/element.h"
#include "gemm/tile_template.h"
#include "gemm/element_end.h"

#define WT_ELEMENT u64
#include "gemm/element.h"
#include "gemm/tile_template.h"
#include "gemm/element_end.h"
