// AVX512 with BF16: the VNNI kernels and, beside them, bf16 products of two per lane summed in float.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "attention_mask.h"
#include "kernel_table.h"
#include "vector_avx512.h"

namespace wb {

const KernelTable& kernels_avx512vnni();

namespace {

#include "activation.inl"

struct DotBF16 {
    static constexpr Dtype kNarrow = Dtype::bf16;
    using Accumulator = Floats;
    using Weight = __m512bh;
    static Floats start(const int32_t*, int) { return splat(0.0f); }
    static Weight load_weight(const uint8_t* p) { return (__m512bh)_mm512_loadu_si512(p); }
    static __m512bh broadcast(const uint8_t* p) {
        int32_t two;
        std::memcpy(&two, p, 4);
        return (__m512bh)_mm512_set1_epi32(two);
    }
    static Floats dot(Floats sum, __m512bh x, Weight w) { return _mm512_dpbf16_ps(sum, x, w); }
    static Floats floats(Floats sum) { return sum; }
    static Ints bits(Floats sum) { return _mm512_castps_si512(sum); }
};

#include "attention_bf16.inl"
#include "conv_tile.inl"

KernelTable make_table() {
    KernelTable table = kernels_avx512vnni();
    table.isa = "avx512bf16";
    table.attention_bf16 = attention_bf16;
    table.conv_bf16 = conv_in_32_registers<DotBF16>("conv_bf16_avx512bf16");
    return table;
}

}  // namespace

const KernelTable& kernels_avx512bf16() {
    static const KernelTable table = make_table();
    return table;
}

}  // namespace wb
