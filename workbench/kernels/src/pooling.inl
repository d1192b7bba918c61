// Pooling over NHWC: channels are the vector, the window is the loop. Included inside each instruction set's file.

// Sixteen channels of a small image fill the smallest vector exactly; more use whole vectors with a masked end.
// kSide: that of a square window whose loops are unrolled; 0: as many pixels as the arguments say.
using Sixteen [[gnu::vector_size(16)]] = uint8_t;
template <int kSide>
inline void max_pool_sixteen(const PoolArgs& a, const uint8_t* input, uint8_t* output) {
    const int64_t height = kSide ? kSide : a.height, width = kSide ? kSide : a.width;
    const int64_t pixels = a.pixels, row_stride = a.row_stride, pixel_stride = a.pixel_stride;
    const int64_t window_stride = a.window_stride, output_stride = a.output_stride;
    for (int64_t i = 0; i < pixels; ++i, input += window_stride, output += output_stride) {
        Sixteen most = {}, next;
        for (int64_t y = 0; y < height; ++y) {
            const uint8_t* p = input + y * row_stride;
            for (int64_t x = 0; x < width; ++x, p += pixel_stride) {
                std::memcpy(&next, p, 16);
                most = next > most ? next : most;
            }
        }
        std::memcpy(output, &most, 16);
    }
}

template <int kSide>
inline void max_pool_bytes(const PoolArgs& a, const uint8_t* input, uint8_t* output, int64_t valid) {
    const int64_t height = kSide ? kSide : a.height, width = kSide ? kSide : a.width;
    const int64_t pixels = a.pixels, row_stride = a.row_stride, pixel_stride = a.pixel_stride;
    const int64_t window_stride = a.window_stride, output_stride = a.output_stride;
    for (int64_t i = 0; i < pixels; ++i, input += window_stride, output += output_stride) {
        Bytes most = zero_bytes();
        for (int64_t y = 0; y < height; ++y) {
            const uint8_t* p = input + y * row_stride;
            for (int64_t x = 0; x < width; ++x, p += pixel_stride) most = max_bytes(most, load_bytes(p, valid));
        }
        store_bytes(output, most, valid);
    }
}

template <int kSide>
inline void max_pool_square(const PoolArgs& a) {
    for (int64_t c = 0; c < a.channels;) {
        const int64_t valid = a.channels - c;
        const bool sixteens = valid == 16 || (valid < kByteLanes && valid % 16 == 0);
        if (sixteens) max_pool_sixteen<kSide>(a, a.input + c, a.output + c);
        else max_pool_bytes<kSide>(a, a.input + c, a.output + c, valid);
        c += sixteens ? 16 : kByteLanes;
    }
}

void max_pool_u8(const PoolArgs& a) {
    if (a.height == 2 && a.width == 2) max_pool_square<2>(a);
    else if (a.height == 3 && a.width == 3) max_pool_square<3>(a);
    else max_pool_square<0>(a);
}

template <Dtype kType>
inline void store_any(void* p, Floats v, int64_t n) {
    if constexpr (kType == Dtype::bf16) store_bf16(p, v, n);
    else store_f32(p, v, n);
}

// f32 or bf16
template <Dtype kType>
void max_pool_floats(const PoolArgs& a) {
    constexpr int64_t kSize = bytes_of(kType);
    for (int64_t c = 0; c < a.channels; c += kLanes) {
        const int64_t valid = a.channels - c;
        for (int64_t i = 0; i < a.pixels; ++i) {
            Floats most = splat(-std::numeric_limits<float>::infinity());
            for (int64_t y = 0; y < a.height; ++y) {
                const uint8_t* p = a.input + i * a.window_stride + y * a.row_stride + c * kSize;
                for (int64_t x = 0; x < a.width; ++x, p += a.pixel_stride) most = maximum(most, load_any(p, kType, valid));
            }
            store_any<kType>(a.output + i * a.output_stride + c * kSize, most, valid);
        }
    }
}

void average_pool_u8(const PoolArgs& a) {
    const Floats low = splat(static_cast<float>(-a.zero_point)), high = splat(static_cast<float>(255 - a.zero_point));
    for (int64_t c = 0; c < a.channels; c += kLanes) {
        const int64_t valid = a.channels - c;
        for (int64_t i = 0; i < a.pixels; ++i) {
            Ints sum = zero_ints();
            for (int64_t y = 0; y < a.height; ++y) {
                const uint8_t* p = a.input + i * a.window_stride + y * a.row_stride + c;
                for (int64_t x = 0; x < a.width; ++x, p += a.pixel_stride) sum = add(sum, load_u8(p, valid));
            }
            Floats steps = multiply_add(to_floats(sum), splat(a.scale), splat(a.bias));
            Ints q = round_to_ints(minimum(maximum(steps, low), high));
            store_u8(a.output + i * a.output_stride + c, add(q, splat_int(a.zero_point)), valid);
        }
    }
}

template <Dtype kType>
void average_pool_floats(const PoolArgs& a) {
    constexpr int64_t kSize = bytes_of(kType);
    for (int64_t c = 0; c < a.channels; c += kLanes) {
        const int64_t valid = a.channels - c;
        for (int64_t i = 0; i < a.pixels; ++i) {
            Floats sum = splat(0.0f);
            for (int64_t y = 0; y < a.height; ++y) {
                const uint8_t* p = a.input + i * a.window_stride + y * a.row_stride + c * kSize;
                for (int64_t x = 0; x < a.width; ++x, p += a.pixel_stride) sum = add(sum, load_any(p, kType, valid));
            }
            store_any<kType>(a.output + i * a.output_stride + c * kSize, multiply(sum, splat(a.scale)), valid);
        }
    }
}
