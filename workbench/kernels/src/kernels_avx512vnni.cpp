// AVX512 with VNNI: 32 registers of 16 lanes; vpdpbusd takes four u8·s8 products per lane, exact in int32.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

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

// M · 2 sums of an attention tile, two columns and a broadcast within 32 registers.
constexpr int kAttentionRows = 12;

#include "common_table.inl"

KernelTable make_table() {
    KernelTable table = common_table();
    table.isa = "avx512vnni";
    table.conv_u8s8 = conv_in_32_registers<DotU8S8>("conv_u8s8_avx512vnni");
    table.conv_f32 = conv_in_32_registers<DotF32>("conv_f32_avx512");
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
