// Weights in the order in which a convolution tile reads them.
#pragma once
#include "buffer.h"
#include "kernel_table.h"
#include "steps.h"

namespace wb {

// How the taps of one output pixel lie in memory: `offsets.size()` runs of `length` elements. Element e of a run
// belongs to kernel column e / pitch and channel e % pitch (zero weight where that is no channel).
struct Runs {
    std::vector<int64_t> offsets;  // bytes from the pixel's origin
    int64_t length;
    int64_t pitch;
    bool whole_rows;  // a run spans a kernel row; else a single tap
};

struct ConvShape {
    Window window;
    int64_t groups, inputs, outputs;  // channels over all groups
    Dtype dtype;
};

Runs plan_runs(const ConvShape& shape, const Tensor& input);

struct PackedConv {
    int64_t vectors;             // NB
    int64_t block_channels;      // NB · lanes
    int64_t blocks_per_group;
    int64_t groups_per_run;      // 4-byte groups, those of padding included
    int64_t block_bytes;
    Buffer weights;
    Buffer start, scale, bias;   // [block][NB · lanes]
};

// weights: [outputs][inputs / groups][kernel height][kernel width], int8 for u8 and float otherwise.
PackedConv pack_conv(const ConvShape& shape, const Runs& runs, int64_t vectors, const ConvKernels& kernels,
                     int64_t zero_point, const uint8_t* weights, const float* scale, const float* bias);

}  // namespace wb
