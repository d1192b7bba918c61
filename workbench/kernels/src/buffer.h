// Memory on cache-line boundaries, zeroed, with room behind it for a kernel's last whole vector.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace wb {

class Buffer {
public:
    static constexpr int64_t kSlack = 256;

    Buffer() = default;
    explicit Buffer(int64_t bytes) {
        const size_t whole = static_cast<size_t>((bytes + kSlack + 63) / 64 * 64);
        data_.reset(static_cast<uint8_t*>(std::aligned_alloc(64, whole)));
        if (!data_) throw std::bad_alloc();
        std::memset(data_.get(), 0, whole);
    }
    uint8_t* data() const { return data_.get(); }
    template <class T>
    T* as() const {
        return reinterpret_cast<T*>(data_.get());
    }

private:
    struct Free {
        void operator()(uint8_t* p) const { std::free(p); }
    };
    std::unique_ptr<uint8_t, Free> data_;
};

}  // namespace wb
