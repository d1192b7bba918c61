// Depthwise convolution of floats: channels are the vector, so each tap is one multiply-add. Included inside each
// instruction set's file. Weights: [channel block][tap][lane].

// P pixels at once: each weight is loaded once for all of them, and their sums hide the latency of the multiply-add.
template <int P, bool kWhole>
inline void depthwise_pixels_f32(const DepthwiseArgs& a, int64_t row, int64_t x, int64_t c, const float* weights) {
    const Epilogue& e = a.epilogue;
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    const int64_t valid = kWhole ? kLanes : a.channels - c, stride = a.pixel_stride, output_stride = a.output_stride;
    const uint8_t* input = a.input + row * a.input_row + x * stride + c * 4;
    uint8_t* output = a.output + row * a.output_row + x * output_stride + c * size;
    Floats sums[P];
    for (Floats& sum : sums) sum = splat(0.0f);
    for (int64_t tap = 0; tap < a.taps; ++tap) {
        const Floats w = load_f32(weights + tap * kLanes, kLanes);
        const uint8_t* p = input + a.tap_offsets[tap];
#pragma GCC unroll 8
        for (int i = 0; i < P; ++i) sums[i] = multiply_add(load_f32(p + i * stride, valid), w, sums[i]);
    }
    const Floats scale = load_f32(e.scale + c, kLanes), bias = load_f32(e.bias + c, kLanes);
    if (e.output_type == Dtype::f32 && e.act == Act::clamp && e.residual_type == Dtype::none) {
        const Floats low = splat(e.minimum), high = splat(e.maximum);
#pragma GCC unroll 8
        for (int i = 0; i < P; ++i) {
            const Floats y = multiply_add(sums[i], scale, bias);
            store_f32(output + i * output_stride, minimum(maximum(y, low), high), valid);
        }
        return;
    }
    alignas(64) float rest[P][kLanes];
    std::memcpy(rest, sums, sizeof(rest));
    for (int i = 0; i < P; ++i) {
        Floats y = multiply_add(load_f32(rest[i], kLanes), scale, bias);
        if (e.residual_type != Dtype::none) {
            const int64_t at = row * a.residual_row + (x + i) * a.residual_stride + c * residual_size;
            const uint8_t* other = a.residual + at;
            y = multiply_add(load_any(other, e.residual_type, valid), splat(e.residual_scale), y);
        }
        finish(y, output + i * output_stride, valid, e);
    }
}

template <bool kWhole, int... P>
inline void depthwise_rest_f32(int64_t rest, const DepthwiseArgs& a, int64_t row, int64_t x, int64_t c,
                               const float* weights, std::integer_sequence<int, P...>) {
    ((rest == P + 1 ? depthwise_pixels_f32<P + 1, kWhole>(a, row, x, c, weights) : void()), ...);
}

template <bool kWhole>
inline void depthwise_block_f32(const DepthwiseArgs& a, int64_t c, const float* weights) {
    constexpr int kTogether = 8;
    for (int64_t row = 0; row < a.rows; ++row) {
        int64_t x = 0;
        for (; x + kTogether <= a.pixels; x += kTogether) {
            depthwise_pixels_f32<kTogether, kWhole>(a, row, x, c, weights);
        }
        constexpr std::make_integer_sequence<int, kTogether - 1> fewer{};
        depthwise_rest_f32<kWhole>(a.pixels - x, a, row, x, c, weights, fewer);
    }
}

inline void depthwise_f32(const DepthwiseArgs& a) {
    const float* weights = reinterpret_cast<const float*>(a.weights);
    for (int64_t c = 0; c < a.channels; c += kLanes, weights += a.taps * kLanes) {
        if (a.channels - c >= kLanes) depthwise_block_f32<true>(a, c, weights);
        else depthwise_block_f32<false>(a, c, weights);
    }
}
