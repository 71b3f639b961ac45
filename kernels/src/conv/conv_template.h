/* Template (see gemm/element.h): all of convolution for one computing type. */
#include "gemm/tile.h"
#include "gemm/transpose_template.h"

#include "conv/plane_template.h"

#include "conv/depthwise_template.h"

#include "conv/correlate_template.h"

#include "conv/weight_gradient_template.h"
