// NEON as every 64-bit ARM processor has it: 32 registers of 4 lanes. No instruction there multiplies unsigned by
// signed bytes, so activations are taken as x − 128, a signed byte (one exclusive-or); what that leaves out,
// 128 · Σ weights, is known when the weights are packed and goes into the sums' start.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "attention_mask.h"
#include "kernel_table.h"
#include "vector_neon.h"

namespace wb {
namespace {

#include "activation.inl"
#include "dot.inl"

struct WordProduct {
    using Weight = Bytes;
    static Weight load_weight(const uint8_t* p) { return load_bytes(p, kByteLanes); }
    static Bytes open(Bytes bytes) { return less_128(bytes); }
    static Ints dot(Ints sum, Bytes x, Weight w) {
        const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(s8(x)), vget_low_s8(s8(w))));
        const int32x4_t high = vpaddlq_s16(vmull_high_s8(s8(x), s8(w)));
        return vaddq_s32(sum, vpaddq_s32(low, high));
    }
};
using DotU8S8 = ByteDot<WordProduct>;

// M · 2 sums of an attention tile, two columns and a broadcast within 32 registers.
constexpr int kAttentionRows = 12;

// Four rows of sums, the weights, and a broadcast within 32 registers.
constexpr int kWeightVectors = 4;

// Sums of four gates, a factor for each row, and a weight within 32 registers.
constexpr int kRecurrentRows = 6;

#include "common_table.inl"

KernelTable make_table() {
    KernelTable table = common_table();
    table.isa = "neon";
    table.activation_offset = 128;
    table.conv_u8s8.name = "conv_u8s8_neon";
    table.conv_u8s8.lanes = kLanes;
    // Four registers are left for the widened products.
    fill_tiles<DotU8S8, 1, 16>(table.conv_u8s8);
    fill_tiles<DotU8S8, 2, 12>(table.conv_u8s8);
    fill_tiles<DotU8S8, 4, 5>(table.conv_u8s8);
    table.conv_f32 = conv_in_32_registers<DotF32>("conv_f32_neon");
    table.depthwise_u8s8_name = "depthwise_u8s8_neon";
    table.depthwise_f32_name = "depthwise_f32_neon";
    return table;
}

}  // namespace

const KernelTable& kernels_neon() {
    static const KernelTable table = make_table();
    return table;
}

}  // namespace wb
