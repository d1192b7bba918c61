// What the checks build programs from.
#pragma once
#include <algorithm>

#include "isa.h"
#include "steps.h"

namespace {

using namespace wb;

// A square or one-row tensor with a border of `pad` pixels around it.
inline Tensor tensor(Place place, int64_t offset, int64_t height, int64_t width, int64_t channels, Dtype dtype,
                     int64_t pad, int64_t border) {
    Tensor t{};
    t.place = place;
    t.height = height;
    t.width = width;
    t.channels = channels;
    t.dtype = dtype;
    t.pixel_pitch = channels * bytes_of(dtype);
    t.row_pitch = (width + 2 * pad) * t.pixel_pitch;
    t.offset = offset + pad * (t.row_pitch + t.pixel_pitch);
    t.pad_top = t.pad_left = t.pad_bottom = t.pad_right = pad;
    t.border = border;
    return t;
}

// A kind or activation as records have it.
template <class Enumeration>
constexpr int64_t number(Enumeration name) {
    return static_cast<int64_t>(name);
}

inline int64_t bytes(const Tensor& t) { return (t.pad_top + t.height + t.pad_bottom) * t.row_pitch; }

template <class T>
std::vector<uint8_t> raw(const std::vector<T>& values) {
    const auto* first = reinterpret_cast<const uint8_t*>(values.data());
    return {first, first + values.size() * sizeof(T)};
}

// All that can run here, the slowest and simplest first.
inline std::vector<std::string> all_isas() {
    std::vector<std::string> names = stand_ins();
    for (const std::string& name : usable_isas()) names.push_back(name);
    std::reverse(names.begin(), names.end());
    return names;
}

}  // namespace
