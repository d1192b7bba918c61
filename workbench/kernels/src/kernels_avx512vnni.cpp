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

struct DotU8S8 {
    using Accumulator = Ints;
    using Weight = __m512i;
    static Ints start(const int32_t* start, int n) { return load_i32(start + n * kLanes, kLanes); }
    static Weight load_weight(const uint8_t* p) { return _mm512_loadu_si512(p); }
    static __m512i broadcast(const uint8_t* p) {
        int32_t four;
        std::memcpy(&four, p, 4);
        return _mm512_set1_epi32(four);
    }
    static Ints dot(Ints sum, __m512i x, Weight w) { return _mm512_dpbusd_epi32(sum, x, w); }
    static Floats floats(Ints sum) { return to_floats(sum); }
    static Ints bits(Ints sum) { return sum; }
};

struct DotF32 {
    using Accumulator = Floats;
    using Weight = __m512;
    static Floats start(const int32_t*, int) { return splat(0.0f); }
    static Weight load_weight(const uint8_t* p) { return _mm512_loadu_ps(p); }
    static __m512 broadcast(const uint8_t* p) { return _mm512_set1_ps(*reinterpret_cast<const float*>(p)); }
    static Floats dot(Floats sum, __m512 x, Weight w) { return multiply_add(x, w, sum); }
    static Floats floats(Floats sum) { return sum; }
    static Ints bits(Floats sum) { return _mm512_castps_si512(sum); }
};

inline int depthwise_position(int channel) {
    const int lane = channel / 16, within = channel % 16;
    return (within / 4) * kLanes + lane * 4 + within % 4;
}
inline void dot_four_taps(Ints (&sums)[4], const Bytes (&taps)[4], const uint8_t* weights) {
    const Bytes low01 = _mm512_unpacklo_epi8(taps[0], taps[1]), high01 = _mm512_unpackhi_epi8(taps[0], taps[1]);
    const Bytes low23 = _mm512_unpacklo_epi8(taps[2], taps[3]), high23 = _mm512_unpackhi_epi8(taps[2], taps[3]);
    const Bytes opened[4] = {_mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
                             _mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)};
    for (int i = 0; i < 4; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], opened[i], _mm512_loadu_si512(weights + i * 64));
}
inline Bytes pack_bytes(const Ints (&q)[4]) {
    return _mm512_packus_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
}

#include "conv_tile.inl"
#include "depthwise.inl"
#include "elementwise.inl"
#include "pooling.inl"
#include "rows.inl"

// M · 2 sums, two columns and a broadcast within 32 registers.
constexpr int kAttentionRows = 12;
#include "attention.inl"

// M · NB sums, NB weights and a broadcast within 32 registers.
template <class Dot>
ConvKernels conv_kernels(const char* name) {
    ConvKernels kernels;
    kernels.name = name;
    kernels.lanes = kLanes;
    fill_tiles<Dot, 1, 16>(kernels);
    fill_tiles<Dot, 2, 14>(kernels);
    fill_tiles<Dot, 3, 9>(kernels);
    fill_tiles<Dot, 4, 6>(kernels);
    return kernels;
}

KernelTable make_table() {
    KernelTable table{};
    table.isa = "avx512vnni";
    table.conv_u8s8 = conv_kernels<DotU8S8>("conv_u8s8_avx512vnni");
    table.conv_f32 = conv_kernels<DotF32>("conv_f32_avx512");
    table.depthwise_u8s8_name = "depthwise_u8s8_avx512vnni";
    table.depthwise_f32_name = "depthwise_f32_avx512";
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

const KernelTable& kernels_avx512vnni() {
    static const KernelTable table = make_table();
    return table;
}

}  // namespace wb
