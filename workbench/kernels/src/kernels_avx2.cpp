// AVX2 with FMA: 16 registers of 8 lanes. Bytes are multiplied as 16-bit words (vpmaddwd), two products at
// a time: vpmaddubsw would be shorter but saturates at 16 bits, and sums here are exact.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernel_table.h"
#include "vector_avx2.h"

namespace wb {
namespace {

#include "activation.inl"

struct EvenOdd {  // bytes 0 and 2, and bytes 1 and 3, of each group, widened to words
    __m256i even, odd;
};
inline EvenOdd open_unsigned(__m256i bytes) {
    return {_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(bytes, 8)};
}
inline EvenOdd open_signed(__m256i bytes) {
    return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
}
inline Ints dot_words(Ints sum, const EvenOdd& x, const EvenOdd& w) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x.even, w.even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x.odd, w.odd));
}

struct DotU8S8 {
    using Accumulator = Ints;
    using Weight = EvenOdd;
    static Ints start(const int32_t* start, int n) { return load_i32(start + n * kLanes, kLanes); }
    static Weight load_weight(const uint8_t* p) {
        return open_signed(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static EvenOdd broadcast(const uint8_t* p) {
        int32_t four;
        std::memcpy(&four, p, 4);
        return open_unsigned(_mm256_set1_epi32(four));
    }
    static Ints dot(Ints sum, const EvenOdd& x, const Weight& w) { return dot_words(sum, x, w); }
    static Floats floats(Ints sum) { return to_floats(sum); }
    static Ints bits(Ints sum) { return sum; }
};

struct DotF32 {
    using Accumulator = Floats;
    using Weight = __m256;
    static Floats start(const int32_t*, int) { return splat(0.0f); }
    static Weight load_weight(const uint8_t* p) { return _mm256_loadu_ps(reinterpret_cast<const float*>(p)); }
    static __m256 broadcast(const uint8_t* p) { return _mm256_broadcast_ss(reinterpret_cast<const float*>(p)); }
    static Floats dot(Floats sum, __m256 x, Weight w) { return multiply_add(x, w, sum); }
    static Floats floats(Floats sum) { return sum; }
    static Ints bits(Floats sum) { return _mm256_castps_si256(sum); }
};

inline int depthwise_position(int channel) {
    const int lane = channel / 16, within = channel % 16;
    return (within / 4) * kLanes + lane * 4 + within % 4;
}
inline void dot_four_taps(Ints (&sums)[4], const Bytes (&taps)[4], const uint8_t* weights) {
    const Bytes low01 = _mm256_unpacklo_epi8(taps[0], taps[1]), high01 = _mm256_unpackhi_epi8(taps[0], taps[1]);
    const Bytes low23 = _mm256_unpacklo_epi8(taps[2], taps[3]), high23 = _mm256_unpackhi_epi8(taps[2], taps[3]);
    const Bytes opened[4] = {_mm256_unpacklo_epi16(low01, low23), _mm256_unpackhi_epi16(low01, low23),
                             _mm256_unpacklo_epi16(high01, high23), _mm256_unpackhi_epi16(high01, high23)};
    for (int i = 0; i < 4; ++i) {
        sums[i] = dot_words(sums[i], open_unsigned(opened[i]), DotU8S8::load_weight(weights + i * 32));
    }
}
inline Bytes pack_bytes(const Ints (&q)[4]) {
    return _mm256_packus_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
}

#include "conv_tile.inl"
#include "depthwise.inl"
#include "elementwise.inl"
#include "pooling.inl"
#include "rows.inl"

// M · 2 sums, two columns and a broadcast within 16 registers.
constexpr int kAttentionRows = 4;
#include "attention.inl"

KernelTable make_table() {
    KernelTable table{};
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
    table.depthwise_u8s8_block = kByteLanes;
    table.depthwise_f32_block = kLanes;
    table.depthwise_position = depthwise_position;
    table.depthwise_u8s8 = depthwise_u8s8;
    table.depthwise_f32 = depthwise_f32;
    table.max_pool_u8 = max_pool_u8;
    table.max_pool_f32 = max_pool_f32;
    table.average_pool_u8 = average_pool_u8;
    table.average_pool_f32 = average_pool_f32;
    table.elementwise = elementwise;
    table.layer_norm = layer_norm;
    table.softmax = softmax;
    table.group_norm = group_norm;
    table.attention = attention;
    return table;
}

}  // namespace

const KernelTable& kernels_avx2() {
    static const KernelTable table = make_table();
    return table;
}

}  // namespace wb
