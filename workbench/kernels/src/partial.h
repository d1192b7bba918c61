// For vectors without masks: the part that is there, and zeros for the rest.
#pragma once
#include <cstdint>
#include <cstring>

namespace {

template <int64_t kSize>
inline void copy_in(void* whole, const void* p, int64_t size) {
    std::memset(whole, 0, kSize);
    std::memcpy(whole, p, static_cast<size_t>(size));
}

}  // namespace
