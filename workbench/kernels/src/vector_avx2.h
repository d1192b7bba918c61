// Eight lanes of AVX2 under the names that the shared kernel bodies use. No masks here: a part of a
// vector goes through a copy on the stack.
#pragma once
#include <immintrin.h>

#include "partial.h"

namespace {

constexpr int kLanes = 8;
using Floats = __m256;
using Ints = __m256i;

inline Floats splat(float v) { return _mm256_set1_ps(v); }
inline Ints splat_int(int32_t v) { return _mm256_set1_epi32(v); }
inline Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
inline Floats subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
inline Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Floats minimum(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Floats maximum(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
inline Ints round_to_ints(Floats v) { return _mm256_cvtps_epi32(v); }
inline Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
inline Ints multiply(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
inline Ints shift_left_23(Ints v) { return _mm256_slli_epi32(v, 23); }
inline Floats as_floats(Ints v) { return _mm256_castsi256_ps(v); }
inline Ints as_ints(Floats v) { return _mm256_castps_si256(v); }
inline Floats load_s8(const void* p) {
    return to_floats(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
}
// The weights of kBits bits that begin `first` bits up in bytes. The permutation looks at two bits.
template <int kBits>
inline Floats weights_at(Ints v, int first) {
    const Ints codes = _mm256_srli_epi32(v, first);
    if constexpr (kBits == 4) {
        return to_floats(add(_mm256_and_si256(codes, splat_int(15)), splat_int(-8)));
    } else if constexpr (kBits == 2) {
        return _mm256_permutevar_ps(_mm256_setr_ps(-2, -1, 0, 1, -2, -1, 0, 1), codes);
    } else {
        return _mm256_permutevar_ps(_mm256_setr_ps(-1, 1, -1, 1, -1, 1, -1, 1), codes);
    }
}
// below where v < limit, else above.
inline Floats select_below(Floats v, float limit, Floats below, Floats above) {
    return _mm256_blendv_ps(above, below, _mm256_cmp_ps(v, splat(limit), _CMP_LT_OQ));
}
// The first n lanes of a, the rest of b.
inline Floats select_first(int64_t n, Floats a, Floats b) {
    const Ints lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const Ints kept = _mm256_cmpgt_epi32(splat_int(static_cast<int32_t>(n)), lanes);
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(kept));
}
inline float sum_of(Floats v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
inline float max_of(Floats v) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}
inline Ints zero_ints() { return _mm256_setzero_si256(); }

inline Floats load_f32(const void* p, int64_t n) {
    if (n >= kLanes) return _mm256_loadu_ps(static_cast<const float*>(p));
    alignas(32) float whole[kLanes];
    copy_in<32>(whole, p, n * 4);
    return _mm256_load_ps(whole);
}
inline void store_f32(void* p, Floats v, int64_t n) {
    if (n >= kLanes) return _mm256_storeu_ps(static_cast<float*>(p), v);
    alignas(32) float whole[kLanes];
    _mm256_store_ps(whole, v);
    std::memcpy(p, whole, static_cast<size_t>(n) * 4);
}
inline Ints load_i32(const void* p, int64_t n) { return _mm256_castps_si256(load_f32(p, n)); }
inline void store_i32(void* p, Ints v, int64_t n) { store_f32(p, _mm256_castsi256_ps(v), n); }
inline Ints load_u8(const void* p, int64_t n) {
    uint8_t whole[8];
    if (n >= kLanes) std::memcpy(whole, p, 8);
    else copy_in<8>(whole, p, n);
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(whole)));
}
// Lanes must already be in 0…255.
inline void store_u8(void* p, Ints v, int64_t n) {
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    __m128i bytes = _mm_packus_epi16(words, words);
    if (n >= kLanes) return _mm_storel_epi64(static_cast<__m128i*>(p), bytes);
    uint8_t whole[16];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(whole), bytes);
    std::memcpy(p, whole, static_cast<size_t>(n));
}
inline Floats load_bf16(const void* p, int64_t n) {
    uint16_t whole[8];
    if (n >= kLanes) std::memcpy(whole, p, 16);
    else copy_in<16>(whole, p, n * 2);
    __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(whole));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
// Round to nearest even, as torch does: add 0x7fff and the bit that will be last, then cut.
inline void store_bf16(void* p, Floats v, int64_t n) {
    Ints bits = _mm256_castps_si256(v);
    Ints last = _mm256_and_si256(_mm256_srli_epi32(bits, 16), splat_int(1));
    Ints rounded = _mm256_srli_epi32(add(bits, add(last, splat_int(0x7fff))), 16);
    Ints nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    rounded = _mm256_blendv_epi8(rounded, splat_int(0x7fc0), nan);
    __m128i half = _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    uint16_t whole[8];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(whole), half);
    std::memcpy(p, whole, static_cast<size_t>(n >= kLanes ? 16 : n * 2));
}

// 32 bytes at a time, for pooling and depthwise convolution.
constexpr int kByteLanes = 32;
using Bytes = __m256i;
inline Bytes load_bytes(const void* p, int64_t n) {
    if (n >= kByteLanes) return _mm256_loadu_si256(static_cast<const __m256i*>(p));
    alignas(32) uint8_t whole[32];
    copy_in<32>(whole, p, n);
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(whole));
}
inline void store_bytes(void* p, Bytes v, int64_t n) {
    if (n >= kByteLanes) return _mm256_storeu_si256(static_cast<__m256i*>(p), v);
    alignas(32) uint8_t whole[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(whole), v);
    std::memcpy(p, whole, static_cast<size_t>(n));
}
inline Bytes max_bytes(Bytes a, Bytes b) { return _mm256_max_epu8(a, b); }
inline Bytes zero_bytes() { return _mm256_setzero_si256(); }
// Four taps side by side for each channel: four vectors of 4-byte groups.
inline void interleave(const Bytes (&taps)[4], Bytes (&groups)[4]) {
    const Bytes low01 = _mm256_unpacklo_epi8(taps[0], taps[1]), high01 = _mm256_unpackhi_epi8(taps[0], taps[1]);
    const Bytes low23 = _mm256_unpacklo_epi8(taps[2], taps[3]), high23 = _mm256_unpackhi_epi8(taps[2], taps[3]);
    groups[0] = _mm256_unpacklo_epi16(low01, low23);
    groups[1] = _mm256_unpackhi_epi16(low01, low23);
    groups[2] = _mm256_unpacklo_epi16(high01, high23);
    groups[3] = _mm256_unpackhi_epi16(high01, high23);
}

inline Bytes splat_word(int16_t v) { return _mm256_set1_epi16(v); }
inline Bytes splat_byte(uint8_t v) { return _mm256_set1_epi8(static_cast<char>(v)); }
struct ByteRange {
    Bytes zero_point;  // words
    Bytes least, most;
};
// Integers in output steps as bytes, back from interleave's order: the zero point added, then into the range.
inline Bytes pack_bytes(const Ints (&q)[4], const ByteRange& range) {
    const Bytes low = _mm256_adds_epi16(_mm256_packs_epi32(q[0], q[1]), range.zero_point);
    const Bytes high = _mm256_adds_epi16(_mm256_packs_epi32(q[2], q[3]), range.zero_point);
    return _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(low, high), range.least), range.most);
}
// From interleave's order, as pack_bytes leaves it, to that of the four vectors one after the other.
inline Bytes in_order(Bytes v) {
    return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
// The first n bytes of one of kParts equal parts.
template <int kParts>
inline void store_part(int part, void* p, Bytes v, int64_t n) {
    constexpr int64_t kSize = kByteLanes / kParts;
    alignas(32) uint8_t whole[kByteLanes];
    if constexpr (kParts == 1) {
        store_bytes(p, v, n);
    } else if (n < kSize) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(whole), v);
        std::memcpy(p, whole + part * kSize, static_cast<size_t>(n));
    } else {
        const __m128i half = part * kSize < 16 ? _mm256_castsi256_si128(v) : _mm256_extracti128_si256(v, 1);
        if constexpr (kParts == 2) _mm_storeu_si128(static_cast<__m128i*>(p), half);
        else _mm_storel_epi64(static_cast<__m128i*>(p), part % 2 ? _mm_unpackhi_epi64(half, half) : half);
    }
}

}  // namespace
