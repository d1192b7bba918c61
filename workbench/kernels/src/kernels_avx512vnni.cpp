// AVX512 with VNNI: 32 registers of 16 lanes; vpdpbusd takes four u8·s8 products per lane, exact in int32.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "attention_mask.h"
#include "kernel_table.h"
#include "vector_avx512.h"

namespace wb {
namespace {

#include "activation.inl"
#include "dot.inl"

struct VnniProduct {
    using Weight = Ints;
    static Weight load_weight(const uint8_t* p) { return _mm512_loadu_si512(p); }
    static Ints open(Ints bytes) { return bytes; }
    static Ints dot(Ints sum, Ints x, Weight w) { return _mm512_dpbusd_epi32(sum, x, w); }
};
using DotU8S8 = ByteDot<VnniProduct>;

// Two bf16 per group, widened to floats: no faster than floats, but half the bytes, which is what a linear layer at
// a small batch takes. AVX2's sixteen registers don't hold enough of them to gain by it.
struct WidenedBF16 {
    static constexpr Dtype kNarrow = Dtype::bf16;
    using Accumulator = Floats;
    struct Pair {
        Floats lower, upper;
    };
    using Weight = Pair;
    static Floats start(const int32_t*, int) { return splat(0.0f); }
    static Pair open(Ints pairs) { return {lower_halves(pairs), upper_halves(pairs)}; }
    static Pair load_weight(const uint8_t* p) { return open(load_i32(p, kLanes)); }
    static Pair broadcast(const uint8_t* p) { return open(repeat_group(p)); }
    static Floats dot(Floats sum, const Pair& x, const Pair& w) {
        return multiply_add(x.upper, w.upper, multiply_add(x.lower, w.lower, sum));
    }
    static Floats floats(Floats sum) { return sum; }
    static Ints bits(Floats sum) { return as_ints(sum); }
};

// M · 2 sums of an attention tile, two columns and a broadcast within 32 registers.
constexpr int kAttentionRows = 12;

// Four rows of sums, the weights, and a broadcast within 32 registers.
constexpr int kWeightVectors = 4;

// Sums of four gates, a factor for each row, and a weight within 32 registers.
constexpr int kRecurrentRows = 6;

#include "common_table.inl"

KernelTable make_table() {
    KernelTable table = common_table();
    table.isa = "avx512vnni";
    table.conv_u8s8 = conv_in_32_registers<DotU8S8>("conv_u8s8_avx512vnni");
    table.conv_f32 = conv_in_32_registers<DotF32>("conv_f32_avx512");
    table.conv_bf16.name = "conv_bf16_avx512";
    table.conv_bf16.lanes = kLanes;
    // A pair is two registers, so fewer sums fit than for floats.
    fill_tiles<WidenedBF16, 1, 16>(table.conv_bf16);
    fill_tiles<WidenedBF16, 2, 12>(table.conv_bf16);
    fill_tiles<WidenedBF16, 3, 7>(table.conv_bf16);
    fill_tiles<WidenedBF16, 4, 5>(table.conv_bf16);
    table.depthwise_u8s8_name = "depthwise_u8s8_avx512vnni";
    table.depthwise_f32_name = "depthwise_f32_avx512";
    return table;
}

}  // namespace

const KernelTable& kernels_avx512vnni() {
    static const KernelTable table = make_table();
    return table;
}

}  // namespace wb
