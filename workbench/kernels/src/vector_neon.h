// Four lanes of NEON under the names that the shared kernel bodies use. No masks here: a part of a vector goes
// through a copy on the stack.
#pragma once
#include <arm_neon.h>

#include "partial.h"

namespace {

constexpr int kLanes = 4;
using Floats = float32x4_t;
using Ints = int32x4_t;

inline Floats splat(float v) { return vdupq_n_f32(v); }
inline Ints splat_int(int32_t v) { return vdupq_n_s32(v); }
inline Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
inline Floats subtract(Floats a, Floats b) { return vsubq_f32(a, b); }
inline Floats multiply(Floats a, Floats b) { return vmulq_f32(a, b); }
inline Floats divide(Floats a, Floats b) { return vdivq_f32(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
// The forms that prefer a number to a NaN, as x86's do with a NaN as the first operand.
inline Floats minimum(Floats a, Floats b) { return vminnmq_f32(a, b); }
inline Floats maximum(Floats a, Floats b) { return vmaxnmq_f32(a, b); }
inline Floats to_floats(Ints v) { return vcvtq_f32_s32(v); }
inline Ints round_to_ints(Floats v) { return vcvtnq_s32_f32(v); }
inline Ints add(Ints a, Ints b) { return vaddq_s32(a, b); }
inline Ints multiply(Ints a, Ints b) { return vmulq_s32(a, b); }
inline Floats load_s8(const void* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return to_floats(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}
// The weights of kBits bits that begin `first` bits up in bytes; one bit is a sign.
template <int kBits>
inline Floats weights_at(Ints v, int first) {
    const Ints codes = vandq_s32(vshlq_s32(v, splat_int(-first)), splat_int((1 << kBits) - 1));
    if constexpr (kBits == 1) return to_floats(add(add(codes, codes), splat_int(-1)));
    else return to_floats(add(codes, splat_int(-(1 << (kBits - 1)))));
}
inline Ints shift_left_23(Ints v) { return vshlq_n_s32(v, 23); }
inline Floats as_floats(Ints v) { return vreinterpretq_f32_s32(v); }
inline Ints as_ints(Floats v) { return vreinterpretq_s32_f32(v); }
// below where v < limit, else above.
inline Floats select_below(Floats v, float limit, Floats below, Floats above) {
    return vbslq_f32(vcltq_f32(v, splat(limit)), below, above);
}
// The first n lanes of a, the rest of b.
inline Floats select_first(int64_t n, Floats a, Floats b) {
    const int32_t lanes[kLanes] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_s32(vld1q_s32(lanes), splat_int(static_cast<int32_t>(n))), a, b);
}
inline float sum_of(Floats v) { return vaddvq_f32(v); }
inline float max_of(Floats v) { return vmaxnmvq_f32(v); }
inline Ints zero_ints() { return vdupq_n_s32(0); }

inline Floats load_f32(const void* p, int64_t n) {
    float whole[kLanes];
    if (n >= kLanes) std::memcpy(whole, p, 16);
    else copy_in<16>(whole, p, n * 4);
    return vld1q_f32(whole);
}
inline void store_f32(void* p, Floats v, int64_t n) {
    float whole[kLanes];
    vst1q_f32(whole, v);
    if (n >= kLanes) std::memcpy(p, whole, 16);
    else std::memcpy(p, whole, static_cast<size_t>(n) * 4);
}
inline Ints load_i32(const void* p, int64_t n) { return as_ints(load_f32(p, n)); }
inline void store_i32(void* p, Ints v, int64_t n) { store_f32(p, as_floats(v), n); }
inline Ints load_u8(const void* p, int64_t n) {
    uint32_t four;
    if (n >= kLanes) std::memcpy(&four, p, 4);
    else copy_in<4>(&four, p, n);
    const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)));
}
// Lanes must already be in 0…255.
inline void store_u8(void* p, Ints v, int64_t n) {
    const int16x4_t words = vmovn_s32(v);
    const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
    if (n >= kLanes) std::memcpy(p, &four, 4);
    else std::memcpy(p, &four, static_cast<size_t>(n));
}
inline Floats load_bf16(const void* p, int64_t n) {
    uint16_t whole[kLanes];
    if (n >= kLanes) std::memcpy(whole, p, 8);
    else copy_in<8>(whole, p, n * 2);
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16(whole)), 16));
}
// Round to nearest even, as torch does: add 0x7fff and the bit that will be last, then cut.
inline void store_bf16(void* p, Floats v, int64_t n) {
    const uint32x4_t bits = vreinterpretq_u32_f32(v);
    const uint32x4_t last = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(bits, vaddq_u32(last, vdupq_n_u32(0x7fff))), 16);
    const uint32x4_t number = vceqq_f32(v, v);
    uint16_t whole[kLanes];
    vst1_u16(whole, vmovn_u32(vbslq_u32(number, rounded, vdupq_n_u32(0x7fc0))));
    std::memcpy(p, whole, static_cast<size_t>(n >= kLanes ? 8 : n * 2));
}

// 16 bytes at a time, for pooling and depthwise convolution.
constexpr int kByteLanes = 16;
using Bytes = Ints;
inline uint8x16_t u8(Bytes v) { return vreinterpretq_u8_s32(v); }
inline int8x16_t s8(Bytes v) { return vreinterpretq_s8_s32(v); }
// Unsigned bytes less 128, as signed ones.
inline Bytes less_128(Bytes v) { return veorq_s32(v, splat_int(static_cast<int32_t>(0x80808080))); }
inline Bytes load_bytes(const void* p, int64_t n) {
    uint8_t whole[16];
    if (n >= kByteLanes) std::memcpy(whole, p, 16);
    else copy_in<16>(whole, p, n);
    return vreinterpretq_s32_u8(vld1q_u8(whole));
}
inline void store_bytes(void* p, Bytes v, int64_t n) {
    uint8_t whole[16];
    vst1q_u8(whole, u8(v));
    if (n >= kByteLanes) std::memcpy(p, whole, 16);
    else std::memcpy(p, whole, static_cast<size_t>(n));
}
inline Bytes max_bytes(Bytes a, Bytes b) { return vreinterpretq_s32_u8(vmaxq_u8(u8(a), u8(b))); }
inline Bytes zero_bytes() { return zero_ints(); }
// Four taps side by side for each channel: four vectors of 4-byte groups.
inline void interleave(const Bytes (&taps)[4], Bytes (&groups)[4]) {
    const uint8x16x2_t first = vzipq_u8(u8(taps[0]), u8(taps[1])), second = vzipq_u8(u8(taps[2]), u8(taps[3]));
    for (int half = 0; half < 2; ++half) {
        const uint16x8x2_t both = vzipq_u16(vreinterpretq_u16_u8(first.val[half]), vreinterpretq_u16_u8(second.val[half]));
        groups[2 * half] = vreinterpretq_s32_u16(both.val[0]);
        groups[2 * half + 1] = vreinterpretq_s32_u16(both.val[1]);
    }
}

inline Bytes splat_word(int16_t v) { return vreinterpretq_s32_s16(vdupq_n_s16(v)); }
inline Bytes splat_byte(uint8_t v) { return vreinterpretq_s32_u8(vdupq_n_u8(v)); }
struct ByteRange {
    Bytes zero_point;  // words
    Bytes least, most;
};
// Integers in output steps as bytes, back from interleave's order: the zero point added, then into the range.
inline Bytes pack_bytes(const Ints (&q)[4], const ByteRange& range) {
    const int16x8_t zero_point = vreinterpretq_s16_s32(range.zero_point);
    const int16x8_t low = vqaddq_s16(vcombine_s16(vqmovn_s32(q[0]), vqmovn_s32(q[1])), zero_point);
    const int16x8_t high = vqaddq_s16(vcombine_s16(vqmovn_s32(q[2]), vqmovn_s32(q[3])), zero_point);
    const uint8x16_t bytes = vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
    return vreinterpretq_s32_u8(vminq_u8(vmaxq_u8(bytes, u8(range.least)), u8(range.most)));
}
// Interleave's order is that of the four vectors here.
inline Bytes in_order(Bytes v) { return v; }
// The first n bytes of one of kParts equal parts.
template <int kParts>
inline void store_part(int part, void* p, Bytes v, int64_t n) {
    constexpr int64_t kSize = kByteLanes / kParts;
    uint8_t whole[kByteLanes];
    vst1q_u8(whole, u8(v));
    std::memcpy(p, whole + part * kSize, static_cast<size_t>(n < kSize ? n : kSize));
}

}  // namespace
