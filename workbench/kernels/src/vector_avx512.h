// Sixteen lanes of AVX512 under the names that the shared kernel bodies use.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace {

constexpr int kLanes = 16;
using Floats = __m512;
using Ints = __m512i;

inline __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline Floats splat(float v) { return _mm512_set1_ps(v); }
inline Ints splat_int(int32_t v) { return _mm512_set1_epi32(v); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats minimum(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats maximum(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
inline Ints round_to_ints(Floats v) { return _mm512_cvtps_epi32(v); }
inline Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints multiply(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
inline Ints shift_left_23(Ints v) { return _mm512_slli_epi32(v, 23); }
inline Floats as_floats(Ints v) { return _mm512_castsi512_ps(v); }
inline Ints as_ints(Floats v) { return _mm512_castps_si512(v); }
inline Floats load_s8(const void* p) {
    return to_floats(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
}
// The weights of kBits bits that begin `first` bits up in bytes. The permutation looks at four bits, so that tables of
// shorter weights repeat.
template <int kBits>
inline Floats weights_at(Ints v, int first) {
    const Ints codes = _mm512_srli_epi32(v, static_cast<unsigned>(first));
    if constexpr (kBits == 4) {
        return _mm512_permutexvar_ps(codes, _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7));
    } else if constexpr (kBits == 2) {
        return _mm512_permutexvar_ps(codes, _mm512_setr_ps(-2, -1, 0, 1, -2, -1, 0, 1, -2, -1, 0, 1, -2, -1, 0, 1));
    } else {
        return _mm512_permutexvar_ps(codes, _mm512_setr_ps(-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1));
    }
}
// The lower or upper bf16 of each pair, as floats.
inline Floats lower_halves(Ints v) { return _mm512_castsi512_ps(_mm512_slli_epi32(v, 16)); }
inline Floats upper_halves(Ints v) { return _mm512_castsi512_ps(_mm512_and_si512(v, splat_int(~0xffff))); }
// below where v < limit, else above.
inline Floats select_below(Floats v, float limit, Floats below, Floats above) {
    return _mm512_mask_mov_ps(above, _mm512_cmp_ps_mask(v, splat(limit), _CMP_LT_OQ), below);
}
// The first n lanes of a, the rest of b.
inline Floats select_first(int64_t n, Floats a, Floats b) { return _mm512_mask_mov_ps(b, first(n), a); }
inline float sum_of(Floats v) { return _mm512_reduce_add_ps(v); }
inline float max_of(Floats v) { return _mm512_reduce_max_ps(v); }
inline Ints zero_ints() { return _mm512_setzero_si512(); }

inline Floats load_f32(const void* p, int64_t n) {
    return n >= kLanes ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first(n), p);
}
inline void store_f32(void* p, Floats v, int64_t n) {
    if (n >= kLanes) _mm512_storeu_ps(p, v);
    else _mm512_mask_storeu_ps(p, first(n), v);
}
inline Ints load_i32(const void* p, int64_t n) {
    return n >= kLanes ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi32(first(n), p);
}
inline void store_i32(void* p, Ints v, int64_t n) {
    if (n >= kLanes) _mm512_storeu_si512(p, v);
    else _mm512_mask_storeu_epi32(p, first(n), v);
}
inline Ints load_u8(const void* p, int64_t n) {
    __m128i bytes = n >= kLanes ? _mm_loadu_si128(static_cast<const __m128i*>(p)) : _mm_maskz_loadu_epi8(first(n), p);
    return _mm512_cvtepu8_epi32(bytes);
}
// Lanes must already be in 0…255.
inline void store_u8(void* p, Ints v, int64_t n) {
    __m128i bytes = _mm512_cvtepi32_epi8(v);
    if (n >= kLanes) _mm_storeu_si128(static_cast<__m128i*>(p), bytes);
    else _mm_mask_storeu_epi8(p, first(n), bytes);
}
inline Floats load_bf16(const void* p, int64_t n) {
    __m256i half = n >= kLanes ? _mm256_loadu_si256(static_cast<const __m256i*>(p))
                               : _mm256_maskz_loadu_epi16(first(n), p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
inline void store_bf16(void* p, Floats v, int64_t n) {
#ifdef __AVX512BF16__
    const __m256i half = (__m256i)_mm512_cvtneps_pbh(v);
#else
    // Round to nearest even, as torch does: add 0x7fff and the bit that will be last, then cut.
    Ints bits = _mm512_castps_si512(v);
    Ints last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), splat_int(1));
    Ints rounded = _mm512_srli_epi32(add(bits, add(last, splat_int(0x7fff))), 16);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    rounded = _mm512_mask_mov_epi32(rounded, nan, splat_int(0x7fc0));
    const __m256i half = _mm512_cvtepi32_epi16(rounded);
#endif
    if (n >= kLanes) _mm256_storeu_si256(static_cast<__m256i*>(p), half);
    else _mm256_mask_storeu_epi16(p, first(n), half);
}

// 64 bytes at a time, for pooling and depthwise convolution.
constexpr int kByteLanes = 64;
using Bytes = __m512i;
inline Bytes load_bytes(const void* p, int64_t n) {
    return n >= kByteLanes ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi8((1ull << n) - 1, p);
}
inline void store_bytes(void* p, Bytes v, int64_t n) {
    if (n >= kByteLanes) _mm512_storeu_si512(p, v);
    else _mm512_mask_storeu_epi8(p, (1ull << n) - 1, v);
}
inline Bytes max_bytes(Bytes a, Bytes b) { return _mm512_max_epu8(a, b); }
inline Bytes zero_bytes() { return _mm512_setzero_si512(); }
// Four taps side by side for each channel: four vectors of 4-byte groups.
inline void interleave(const Bytes (&taps)[4], Bytes (&groups)[4]) {
    const Bytes low01 = _mm512_unpacklo_epi8(taps[0], taps[1]), high01 = _mm512_unpackhi_epi8(taps[0], taps[1]);
    const Bytes low23 = _mm512_unpacklo_epi8(taps[2], taps[3]), high23 = _mm512_unpackhi_epi8(taps[2], taps[3]);
    groups[0] = _mm512_unpacklo_epi16(low01, low23);
    groups[1] = _mm512_unpackhi_epi16(low01, low23);
    groups[2] = _mm512_unpacklo_epi16(high01, high23);
    groups[3] = _mm512_unpackhi_epi16(high01, high23);
}

inline Bytes splat_word(int16_t v) { return _mm512_set1_epi16(v); }
inline Bytes splat_byte(uint8_t v) { return _mm512_set1_epi8(static_cast<char>(v)); }
struct ByteRange {
    Bytes zero_point;  // words
    Bytes least, most;
};
// Integers in output steps as bytes, back from interleave's order: the zero point added, then into the range.
inline Bytes pack_bytes(const Ints (&q)[4], const ByteRange& range) {
    const Bytes low = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), range.zero_point);
    const Bytes high = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), range.zero_point);
    return _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(low, high), range.least), range.most);
}
// From interleave's order, as pack_bytes leaves it, to that of the four vectors one after the other.
inline Bytes in_order(Bytes v) {
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}
// The first n bytes of one of kParts equal parts.
template <int kParts>
inline void store_part(int part, void* p, Bytes v, int64_t n) {
    if constexpr (kParts == 1) {
        store_bytes(p, v, n);
    } else if constexpr (kParts == 2) {
        const __m256i half = part ? _mm512_extracti64x4_epi64(v, 1) : _mm512_castsi512_si256(v);
        if (n >= 32) _mm256_storeu_si256(static_cast<__m256i*>(p), half);
        else _mm256_mask_storeu_epi8(p, (1u << n) - 1, half);
    } else {
        const __m128i quarter = part == 0   ? _mm512_castsi512_si128(v)
                                : part == 1 ? _mm512_extracti32x4_epi32(v, 1)
                                : part == 2 ? _mm512_extracti32x4_epi32(v, 2)
                                            : _mm512_extracti32x4_epi32(v, 3);
        if (n >= 16) _mm_storeu_si128(static_cast<__m128i*>(p), quarter);
        else _mm_mask_storeu_epi8(p, static_cast<__mmask16>((1u << n) - 1), quarter);
    }
}

}  // namespace
