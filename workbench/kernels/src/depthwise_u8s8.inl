// Depthwise convolution of bytes: channels are the vector. Included inside each instruction set's file.
//
// Four taps of a channel are brought side by side by byte and word unpacking, then one dot product takes them. Unpacking
// works within 128-bit lanes and so leaves channels in the order kept by `depthwise_position`; the packs at the end undo
// it. Weights: [channel block][tap group][4 vectors][lane][4 taps].

constexpr int kUnpacked = 4;  // vectors of int32 sums that one vector of bytes opens into

inline int depthwise_position(int channel) {
    const int lane = channel / 16, within = channel % 16;
    return (within / 4) * kLanes + lane * 4 + within % 4;
}

// A clamp into bytes, the way of nearly every layer: what it needs beside the sums.
struct DepthwiseEnd {
    const float *scale, *bias;
    ByteRange range;
};

inline void depthwise_clamped_u8(const Ints (&sums)[kUnpacked], const DepthwiseEnd& end, uint8_t* output,
                                 int64_t valid) {
    Ints q[kUnpacked];
    for (int i = 0; i < kUnpacked; ++i) {
        const Floats scale = load_f32(end.scale + i * kLanes, kLanes), bias = load_f32(end.bias + i * kLanes, kLanes);
        q[i] = round_to_ints(multiply_add(to_floats(sums[i]), scale, bias));
    }
    store_bytes(output, pack_bytes(q, end.range), valid);
}

// Any type through any activation: the sums are put into channel order on the stack, then finished vector by vector.
[[gnu::noinline]] void depthwise_ended(const int32_t (&unpacked)[kUnpacked][kLanes], const DepthwiseArgs& a,
                                       const float* scale, const float* bias, uint8_t* output, const uint8_t* residual,
                                       int64_t valid) {
    const Epilogue& e = a.epilogue;
    alignas(64) int32_t ordered[kByteLanes];
    alignas(64) float scales[kByteLanes], biases[kByteLanes];
    for (int c = 0; c < kByteLanes; ++c) {
        const int position = depthwise_position(c);
        ordered[c] = unpacked[position / kLanes][position % kLanes];
        scales[c] = scale[position];
        biases[c] = bias[position];
    }
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    for (int64_t c = 0; c < kByteLanes && c < valid; c += kLanes) {
        if (e.output_type == Dtype::i32) {
            store_i32(output + c * size, load_i32(ordered + c, kLanes), valid - c);
            continue;
        }
        Floats y = multiply_add(to_floats(load_i32(ordered + c, kLanes)), load_f32(scales + c, kLanes),
                                load_f32(biases + c, kLanes));
        if (e.residual_type != Dtype::none) {
            Floats other = load_any(residual + c * residual_size, e.residual_type, valid - c);
            y = multiply_add(other, splat(e.residual_scale), y);
        }
        finish(y, output + c * size, valid - c, e);
    }
}

// Calls each(row, x, sums) for every pixel of a block of channels.
template <class Each>
inline void depthwise_taps(const DepthwiseArgs& a, const uint8_t* input, const uint8_t* block, const int32_t* start,
                           int64_t valid, Each each) {
    for (int64_t pixel = 0; pixel < a.rows * a.pixels; ++pixel) {
        const int64_t row = pixel / a.pixels, x = pixel % a.pixels;
        const uint8_t* origin = input + row * a.input_row + x * a.pixel_stride;
        const uint8_t* weights = block;
        Ints sums[kUnpacked];
        for (int i = 0; i < kUnpacked; ++i) sums[i] = load_i32(start + i * kLanes, kLanes);
        for (int64_t tap = 0; tap < a.taps; tap += 4) {
            Bytes taps[4];
            for (int t = 0; t < 4; ++t) {
                taps[t] = tap + t < a.taps ? load_bytes(origin + a.tap_offsets[tap + t], valid) : zero_bytes();
            }
            Bytes groups[kUnpacked];
            interleave(taps, groups);
            for (int i = 0; i < kUnpacked; ++i, weights += kByteLanes) {
                sums[i] = DotU8S8::dot(sums[i], DotU8S8::open(groups[i]), DotU8S8::load_weight(weights));
            }
        }
        each(row, x, sums);
    }
}

// The same for a 3 × 3 window, a tap group being a column of it. kStep: columns from one pixel to the next. Where that
// is less than three they share columns, so each is loaded and interleaved once and goes into the sums of all its pixels.
template <int kStep, class Each>
inline void depthwise_columns(const DepthwiseArgs& a, const uint8_t* input, const uint8_t* weights,
                              const int32_t* start, int64_t valid, Each each) {
    using Opened = decltype(DotU8S8::open(zero_bytes()));
    typename DotU8S8::Weight w[3][kUnpacked];
    Ints first[kUnpacked];
    for (int i = 0; i < kUnpacked; ++i) {
        first[i] = load_i32(start + i * kLanes, kLanes);
        for (int column = 0; column < 3; ++column) {
            w[column][i] = DotU8S8::load_weight(weights + (column * kUnpacked + i) * kByteLanes);
        }
    }
    const int64_t rows[3] = {a.tap_offsets[0], a.tap_offsets[3], a.tap_offsets[6]}, stride = a.column_stride;
    const auto load = [&](const uint8_t* pixel, int64_t column, Opened (&groups)[kUnpacked]) {
        const uint8_t* p = pixel + column * stride;
        const Bytes taps[4] = {load_bytes(p + rows[0], valid), load_bytes(p + rows[1], valid),
                               load_bytes(p + rows[2], valid), zero_bytes()};
        Bytes bytes[kUnpacked];
        interleave(taps, bytes);
        for (int i = 0; i < kUnpacked; ++i) groups[i] = DotU8S8::open(bytes[i]);
    };
    const auto add = [](const Ints (&from)[kUnpacked], const Opened (&groups)[kUnpacked],
                        const typename DotU8S8::Weight (&weight)[kUnpacked], Ints (&to)[kUnpacked]) {
        for (int i = 0; i < kUnpacked; ++i) to[i] = DotU8S8::dot(from[i], groups[i], weight[i]);
    };
    for (int64_t row = 0; row < a.rows; ++row) {
        const uint8_t* pixel = input + row * a.input_row;
        Opened groups[kUnpacked];
        Ints sums[kUnpacked], next[kUnpacked], after[kUnpacked];
        if constexpr (kStep < 3) {
            load(pixel, 0, groups);
            add(first, groups, w[0], sums);
        }
        if constexpr (kStep == 1) {
            load(pixel, 1, groups);
            add(sums, groups, w[1], sums);
            add(first, groups, w[0], next);
        }
        for (int64_t x = 0; x < a.pixels; ++x, pixel += kStep < 3 ? kStep * stride : a.pixel_stride) {
            if constexpr (kStep == 3) {
                load(pixel, 0, groups);
                add(first, groups, w[0], sums);
            }
            if constexpr (kStep > 1) {
                load(pixel, 1, groups);
                add(sums, groups, w[1], sums);
            }
            load(pixel, 2, groups);
            add(sums, groups, w[2], sums);
            if constexpr (kStep == 1) {
                add(next, groups, w[1], after);
                add(first, groups, w[0], next);
            } else if constexpr (kStep == 2) {
                add(first, groups, w[0], after);
            }
            each(row, x, sums);
            if constexpr (kStep < 3) std::copy_n(after, kUnpacked, sums);
        }
    }
}

template <class Each>
inline void depthwise_window(const DepthwiseArgs& a, const uint8_t* input, const uint8_t* weights,
                             const int32_t* start, int64_t valid, Each each) {
    if (a.column_stride == 0) depthwise_taps(a, input, weights, start, valid, each);
    else if (a.pixel_stride == a.column_stride) depthwise_columns<1>(a, input, weights, start, valid, each);
    else if (a.pixel_stride == 2 * a.column_stride) depthwise_columns<2>(a, input, weights, start, valid, each);
    else depthwise_columns<3>(a, input, weights, start, valid, each);
}

inline void depthwise_u8s8(const DepthwiseArgs& a) {
    const Epilogue& e = a.epilogue;
    const int64_t tap_groups = a.column_stride ? 3 : (a.taps + 3) / 4;
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    const bool clamped =
        e.output_type == Dtype::u8 && e.act == Act::clamp && e.residual_type == Dtype::none && e.within_int32;
    for (int64_t c = 0; c < a.channels; c += kByteLanes) {
        const int64_t valid = a.channels - c;
        const uint8_t* weights = a.weights + c * tap_groups * 4;
        uint8_t* output = a.output + c * size;
        if (clamped) {
            const DepthwiseEnd end{e.scale + c, e.bias + c, byte_range(e)};
            const int64_t stride = a.output_stride, row_stride = a.output_row;
            const auto store = [&](int64_t row, int64_t x, const Ints (&sums)[kUnpacked]) {
                depthwise_clamped_u8(sums, end, output + row * row_stride + x * stride, valid);
            };
            depthwise_window(a, a.input + c, weights, a.start + c, valid, store);
        } else {
            const auto store = [&](int64_t row, int64_t x, const Ints (&sums)[kUnpacked]) {
                alignas(64) int32_t unpacked[kUnpacked][kLanes];
                std::memcpy(unpacked, sums, sizeof(unpacked));
                const uint8_t* residual = a.residual + row * a.residual_row + x * a.residual_stride + c * residual_size;
                depthwise_ended(unpacked, a, e.scale + c, e.bias + c, output + row * a.output_row + x * a.output_stride,
                                residual, valid);
            };
            depthwise_window(a, a.input + c, weights, a.start + c, valid, store);
        }
    }
}
