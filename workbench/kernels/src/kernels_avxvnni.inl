// AVX-VNNI: vpdpbusd in 256 bits, for processors that have it without AVX512; the rest is AVX2's. Included by
// the files that make a table of it: one for the instruction's VEX encoding, one for AVX512's. The flags decide.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernel_table.h"
#include "vector_avx2.h"

namespace wb {

const KernelTable& kernels_avx2();

namespace {

#include "activation.inl"
#include "dot.inl"

struct VnniProduct {
    using Weight = Ints;
    static Weight load_weight(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static Ints open(Ints bytes) { return bytes; }
    static Ints dot(Ints sum, Ints x, Weight w) { return _mm256_dpbusd_epi32(sum, x, w); }
};
using DotU8S8 = ByteDot<VnniProduct>;

#include "conv_tile.inl"
#include "depthwise_u8s8.inl"

// Sums of four gates, a factor for each row, and a weight within 16 registers.
constexpr int kRecurrentRows = 3;

#include "recurrent.inl"

KernelTable make_table(const char* isa) {
    KernelTable table = kernels_avx2();
    table.isa = isa;
    table.conv_u8s8 = {};
    table.conv_u8s8.name = "conv_u8s8_avxvnni";
    table.conv_u8s8.lanes = kLanes;
    // M · NB sums, NB weights and a broadcast within 16 registers.
    fill_tiles<DotU8S8, 1, 12>(table.conv_u8s8);
    fill_tiles<DotU8S8, 2, 6>(table.conv_u8s8);
    fill_tiles<DotU8S8, 3, 4>(table.conv_u8s8);
    table.depthwise_u8s8_name = "depthwise_u8s8_avxvnni";
    table.depthwise_u8s8 = depthwise_u8s8;
    table.gru_u8s8 = recurrent<Gru, Factors::u8s8>;
    table.lstm_u8s8 = recurrent<Lstm, Factors::u8s8>;
    return table;
}

}  // namespace
}  // namespace wb
