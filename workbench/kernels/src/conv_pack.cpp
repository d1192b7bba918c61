#include "conv_pack.h"

namespace wb {
namespace {

uint16_t to_bf16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// The least number from `groups` on that divides into equal steps of at most `most`.
int64_t whole_steps(int64_t groups, int64_t most) {
    const int64_t steps = (groups + most - 1) / most;
    return (groups + steps - 1) / steps * steps;
}

}  // namespace

Runs plan_runs(const ConvShape& shape, const Tensor& input) {
    const Window& w = shape.window;
    const int64_t size = bytes_of(shape.dtype);
    Runs runs;
    runs.whole_rows = w.dilation_x == 1 && shape.groups == 1;
    runs.pitch = runs.whole_rows ? input.pixel_pitch / size : shape.inputs / shape.groups;
    // The last pixel of a row ends with its channels, not with its pitch.
    runs.length = runs.whole_rows ? (w.width - 1) * runs.pitch + shape.inputs : runs.pitch;
    for (int64_t y = 0; y < w.height; ++y) {
        const int64_t row = y * w.dilation_y * input.row_pitch;
        if (runs.whole_rows) {
            runs.offsets.push_back(row);
            continue;
        }
        for (int64_t x = 0; x < w.width; ++x) runs.offsets.push_back(row + x * w.dilation_x * input.pixel_pitch);
    }
    return runs;
}

PackedConv pack_conv(const ConvShape& shape, const Runs& runs, int64_t vectors, const ConvKernels& kernels,
                     int64_t zero_point, const uint8_t* weights, const float* scale, const float* bias) {
    const int64_t size = bytes_of(shape.dtype), in_group = 4 / size;
    const int64_t outputs = shape.outputs / shape.groups, inputs = shape.inputs / shape.groups;
    const int64_t taps = shape.window.height * shape.window.width;
    PackedConv p;
    p.vectors = vectors;
    p.block_channels = vectors * kernels.lanes;
    p.blocks_per_group = (outputs + p.block_channels - 1) / p.block_channels;
    p.groups_per_run = whole_steps((runs.length + in_group - 1) / in_group, kernels.most_groups);
    const auto run_count = static_cast<int64_t>(runs.offsets.size());
    p.block_bytes = run_count * p.groups_per_run * p.block_channels * 4;
    const int64_t blocks = shape.groups * p.blocks_per_group;
    p.weights = Buffer(blocks * p.block_bytes);
    p.start = Buffer(blocks * p.block_channels * 4);
    p.scale = Buffer(blocks * p.block_channels * 4);
    p.bias = Buffer(blocks * p.block_channels * 4);
    for (int64_t output = 0; output < shape.outputs; ++output) {
        const int64_t within = output % outputs;
        const int64_t block = output / outputs * p.blocks_per_group + within / p.block_channels;
        const int64_t lane = within % p.block_channels, at = block * p.block_channels + lane;
        p.scale.as<float>()[at] = scale[output];
        p.bias.as<float>()[at] = bias[output];
        int64_t sum = 0;
        for (int64_t run = 0; run < run_count; ++run) {
            for (int64_t e = 0; e < runs.length; ++e) {
                const int64_t channel = e % runs.pitch, column = e / runs.pitch;
                if (channel >= inputs) continue;
                const int64_t tap = runs.whole_rows ? run * shape.window.width + column : run;
                const int64_t from = (output * inputs + channel) * taps + tap;
                const int64_t to = block * p.block_bytes +
                                   ((run * p.groups_per_run + e / in_group) * p.block_channels + lane) * 4 +
                                   e % in_group * size;
                if (shape.dtype == Dtype::u8) {
                    p.weights.data()[to] = weights[from];
                    sum += static_cast<int8_t>(weights[from]);
                } else {
                    float value;
                    std::memcpy(&value, weights + from * 4, 4);
                    const uint16_t half = to_bf16(value);
                    if (shape.dtype == Dtype::bf16) std::memcpy(p.weights.data() + to, &half, 2);
                    else std::memcpy(p.weights.data() + to, &value, 4);
                }
            }
        }
        p.start.as<int32_t>()[at] = static_cast<int32_t>(-zero_point * sum);
    }
    return p;
}

}  // namespace wb
