// The range that bytes stand for where it is a row's own: real = (byte − zero point) · step.
#pragma once
#include <algorithm>
#include <cmath>

namespace wb {

struct RowRange {
    float step, zero_point;
};

namespace {

// From the least and the greatest value, zero among them, as PyTorch's choose_qparams takes it. Each file has a copy of
// its own, made for its own instruction set.
inline RowRange range_of(float lowest, float highest) {
    constexpr float kLeastStep = 0x1p-23f;
    const float step = std::max((highest - lowest) / 255.0f, kLeastStep);
    return {step, std::clamp(-std::nearbyint(lowest / step), 0.0f, 255.0f)};
}

}  // namespace
}  // namespace wb
