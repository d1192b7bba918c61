// What a mask does to the scores of attention before their softmax.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernel_table.h"

namespace {

// Beside any score that is seen its exponential is 0; and finite, so that nothing computed from it is NaN.
constexpr float kHiddenScore = -1e30f;

// Masks the first `seen` scores of a query's row, which are still to be multiplied by the scale, and makes the largest 0,
// so that no rounding of what hides them matters. False where all of them are hidden: their shares are 0.
inline bool mask_scores(const wb::AttentionArgs& a, int64_t row, int64_t seen, float* scores) {
    if (!a.mask) return true;
    const auto* mask = reinterpret_cast<const float*>(a.mask + row * a.mask_stride);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const float unscaled = 1.0f / a.scale;
    float most = kHiddenScore;
    bool any = false;
    for (int64_t key = 0; key < seen; ++key) {
        const bool hidden = mask[key] == (a.mask_shows ? 0.0f : -kInfinity);
        const float added = a.mask_shows ? 0.0f : mask[key] * unscaled;
        scores[key] = hidden ? kHiddenScore : std::max(scores[key] + added, kHiddenScore);
        most = std::max(most, scores[key]);
        any |= !hidden;
    }
    for (int64_t key = 0; key < seen; ++key) scores[key] -= most;
    return any;
}

}  // namespace
