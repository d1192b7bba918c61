// One pass over contiguous values: conversions, activations, add and multiply. Included inside each
// instruction set's file.

// n floats, at most four vectors of them, to bytes in interleave's order.
struct Quantizer {
    Floats scale, bias, high;
    ByteRange range;
    Bytes operator()(const uint8_t* p, int64_t n) const {
        Ints q[4];
        for (int i = 0; i < 4; ++i) {
            const int64_t valid = n - i * kLanes;
            const Floats x = valid > 0 ? load_f32(p + i * kLanes * 4, valid) : splat(0.0f);
            q[i] = round_to_ints(minimum(high, multiply_add(x, scale, bias)));  // above, x might leave int32
        }
        return pack_bytes(q, range);
    }
};

void planes_to_bytes(const PlanesArgs& a) {
    const Quantizer quantizer{splat(a.scale), splat(0.0f), splat(a.epilogue.high), byte_range(a.epilogue)};
    for (int64_t row = 0; row < a.rows; ++row) {
        const uint8_t* input = a.input + row * a.input_row;
        uint8_t* output = a.output + row * a.output_row;
        for (int64_t x = 0; x < a.pixels; x += kByteLanes) {
            const int64_t n = a.pixels - x;
            if (a.channels == 1) {
                store_bytes(output + x, in_order(quantizer(input + x * 4, n)), n);
                continue;
            }
            Bytes planes[4], pixels[4];
            for (int64_t c = 0; c < 4; ++c) {
                planes[c] = c < a.channels ? quantizer(input + c * a.plane_stride + x * 4, n) : zero_bytes();
            }
            interleave(planes, pixels);
            for (int i = 0; i < 4 && n > i * kLanes; ++i) {
                store_bytes(output + (x + i * kLanes) * 4, pixels[i], (n - i * kLanes) * 4);
            }
        }
    }
}

void elementwise(const ElementwiseArgs& a) {
    const Epilogue& e = a.epilogue;
    if (a.a_type == Dtype::f32 && a.b_type == Dtype::none && e.output_type == Dtype::u8 && e.act == Act::clamp) {
        const Quantizer quantizer{splat(a.a_scale), splat(a.bias), splat(e.high), byte_range(e)};
        for (int64_t i = 0; i < a.count; i += kByteLanes) {
            store_bytes(a.output + i, in_order(quantizer(a.a + i * 4, a.count - i)), a.count - i);
        }
        return;
    }
    const int64_t a_size = bytes_of(a.a_type), b_size = bytes_of(a.b_type), size = bytes_of(e.output_type);
    const Floats a_scale = splat(a.a_scale), b_scale = splat(a.b_scale), bias = splat(a.bias), b_bias = splat(a.b_bias);
    const auto joined = [&](int64_t i) {
        const int64_t n = a.count - i;
        const Floats y = multiply_add(load_any(a.a + i * a_size, a.a_type, n), a_scale, bias);
        if (a.b_type == Dtype::none) return y;
        const Floats other = load_any(a.b + i * b_size, a.b_type, n);
        return a.multiply ? multiply(y, multiply_add(other, b_scale, b_bias)) : multiply_add(other, b_scale, y);
    };
    if (e.act == Act::clamp) {
        for (int64_t i = 0; i < a.count; i += kLanes) finish(joined(i), a.output + i * size, a.count - i, e);
        return;
    }
    constexpr int64_t kTogether = 16 * kLanes;
    alignas(64) float values[kTogether];
    for (int64_t first = 0; first < a.count; first += kTogether) {
        const int64_t count = std::min(a.count - first, kTogether), vectors = (count + kLanes - 1) / kLanes;
        for (int64_t i = 0; i < count; i += kLanes) store_f32(values + i, joined(first + i), kLanes);
        activate(values, vectors, e);
        for (int64_t i = 0; i < count; i += kLanes) {
            put(load_f32(values + i, kLanes), a.output + (first + i) * size, count - i, e);
        }
    }
}
