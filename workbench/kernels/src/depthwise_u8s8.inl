// Depthwise convolution: channels are the vector, so each tap is one multiply-add. Included inside each
// instruction set's file.
//
// u8·s8: four taps of a channel are brought side by side by byte and word unpacking, then one dot product
// takes them. Unpacking works within 128-bit lanes and so leaves channels in the order kept by
// `depthwise_position`; the packs at the end undo it. Weights: [channel block][tap group][4 vectors][lane][4 taps].

constexpr int kUnpacked = 4;  // vectors of int32 sums that one vector of bytes opens into

inline int depthwise_position(int channel) {
    const int lane = channel / 16, within = channel % 16;
    return (within / 4) * kLanes + lane * 4 + within % 4;
}

inline void depthwise_finish_u8(Ints (&sums)[kUnpacked], const DepthwiseArgs& a, const float* scale, const float* bias,
                                uint8_t* output, const uint8_t* residual, int64_t valid) {
    const Epilogue& e = a.epilogue;
    if (e.output_type == Dtype::u8 && e.act == Act::clamp && e.residual_type == Dtype::none && e.within_int32) {
        Ints q[kUnpacked];
        for (int i = 0; i < kUnpacked; ++i) {
            Floats y = multiply_add(to_floats(sums[i]), load_f32(scale + i * kLanes, kLanes),
                                    load_f32(bias + i * kLanes, kLanes));
            q[i] = round_to_ints(y);
        }
        store_bytes(output, pack_bytes(q, byte_range(e)), valid);
        return;
    }
    // Rarely taken: put the sums into channel order on the stack, then finish them vector by vector.
    alignas(64) int32_t unpacked[kUnpacked][kLanes], ordered[kByteLanes];
    alignas(64) float scales[kByteLanes], biases[kByteLanes];
    std::memcpy(unpacked, sums, sizeof(unpacked));
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

inline void depthwise_u8s8(const DepthwiseArgs& a) {
    const int64_t tap_groups = (a.taps + 3) / 4;
    const int64_t size = bytes_of(a.epilogue.output_type), residual_size = bytes_of(a.epilogue.residual_type);
    for (int64_t c = 0; c < a.channels; c += kByteLanes) {
        const int64_t valid = a.channels - c;
        const uint8_t* block = a.weights + (c / kByteLanes) * tap_groups * kByteLanes * 4;
        for (int64_t x = 0; x < a.pixels; ++x) {
            const uint8_t* pixel = a.input + x * a.pixel_stride + c;
            const uint8_t* weights = block;
            Ints sums[kUnpacked];
            for (int i = 0; i < kUnpacked; ++i) sums[i] = load_i32(a.start + c + i * kLanes, kLanes);
            for (int64_t tap = 0; tap < a.taps; tap += 4) {
                Bytes taps[4];
                for (int t = 0; t < 4; ++t) {
                    taps[t] = tap + t < a.taps ? load_bytes(pixel + a.tap_offsets[tap + t], valid) : zero_bytes();
                }
                Bytes groups[kUnpacked];
                interleave(taps, groups);
                for (int i = 0; i < kUnpacked; ++i, weights += kByteLanes) {
                    sums[i] = DotU8S8::dot(sums[i], DotU8S8::open(groups[i]), DotU8S8::load_weight(weights));
                }
            }
            depthwise_finish_u8(sums, a, a.epilogue.scale + c, a.epilogue.bias + c,
                                a.output + x * a.output_stride + c * size,
                                a.residual + x * a.residual_stride + c * residual_size, valid);
        }
    }
}

inline void depthwise_f32(const DepthwiseArgs& a) {
    constexpr int kTogether = 4;  // independent sums hide the latency of the multiply-add
    const float* weights = reinterpret_cast<const float*>(a.weights);
    const Epilogue& e = a.epilogue;
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    for (int64_t c = 0; c < a.channels; c += kLanes, weights += a.taps * kLanes) {
        const int64_t valid = a.channels - c;
        for (int64_t x = 0; x < a.pixels; x += kTogether) {
            const int64_t together = a.pixels - x < kTogether ? a.pixels - x : kTogether;
            Floats sums[kTogether] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
            for (int64_t tap = 0; tap < a.taps; ++tap) {
                const Floats w = load_f32(weights + tap * kLanes, kLanes);
                const uint8_t* p = a.input + x * a.pixel_stride + c * 4 + a.tap_offsets[tap];
                for (int64_t i = 0; i < together; ++i) {
                    sums[i] = multiply_add(load_f32(p + i * a.pixel_stride, valid), w, sums[i]);
                }
            }
            for (int64_t i = 0; i < together; ++i) {
                Floats y = multiply_add(sums[i], load_f32(e.scale + c, kLanes), load_f32(e.bias + c, kLanes));
                if (e.residual_type != Dtype::none) {
                    const uint8_t* other = a.residual + (x + i) * a.residual_stride + c * residual_size;
                    y = multiply_add(load_any(other, e.residual_type, valid), splat(e.residual_scale), y);
                }
                finish(y, a.output + (x + i) * a.output_stride + c * size, valid, e);
            }
        }
    }
}
