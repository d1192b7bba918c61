// AVX2 with FMA: 16 registers of 8 lanes. Bytes are multiplied as 16-bit words (vpmaddwd), two products at
// a time: vpmaddubsw would be shorter but saturates at 16 bits, and sums here are exact.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "attention_mask.h"
#include "kernel_table.h"
#include "vector_avx2.h"

namespace wb {
namespace {

#include "activation.inl"
#include "dot.inl"

struct EvenOdd {  // bytes 0 and 2, and bytes 1 and 3, of each group, widened to words
    __m256i even, odd;
};

struct WordProduct {
    using Weight = EvenOdd;
    static Weight load_weight(const uint8_t* p) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
    }
    static EvenOdd open(Ints bytes) {
        return {_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(bytes, 8)};
    }
    static Ints dot(Ints sum, const EvenOdd& x, const Weight& w) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x.even, w.even));
        return _mm256_add_epi32(sum, _mm256_madd_epi16(x.odd, w.odd));
    }
};
using DotU8S8 = ByteDot<WordProduct>;

// M · 2 sums of an attention tile, two columns and a broadcast within 16 registers.
constexpr int kAttentionRows = 4;

// Four rows of sums, the weights, and a broadcast within 16 registers.
constexpr int kWeightVectors = 2;

// Sums of four gates, a factor for each row, and a weight within 16 registers.
constexpr int kRecurrentRows = 3;

#include "common_table.inl"

KernelTable make_table() {
    KernelTable table = common_table();
    table.isa = "avx2";
    table.conv_u8s8.name = "conv_u8s8_avx2";
    table.conv_u8s8.lanes = kLanes;
    // A u8 weight vector opens into two registers, so fewer sums fit than for floats.
    fill_tiles<DotU8S8, 1, 8>(table.conv_u8s8);
    fill_tiles<DotU8S8, 2, 4>(table.conv_u8s8);
    table.conv_f32.name = "conv_f32_avx2";
    table.conv_f32.lanes = kLanes;
    fill_tiles<DotF32, 1, 12>(table.conv_f32);
    fill_tiles<DotF32, 2, 6>(table.conv_f32);
    fill_tiles<DotF32, 3, 4>(table.conv_f32);
    table.depthwise_u8s8_name = "depthwise_u8s8_avx2";
    table.depthwise_f32_name = "depthwise_f32_avx2";
    return table;
}

}  // namespace

const KernelTable& kernels_avx2() {
    static const KernelTable table = make_table();
    return table;
}

}  // namespace wb
