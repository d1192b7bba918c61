// Rows of floats as bytes in each row's own range, and back from sums of such bytes. Included inside each instruction
// set's file, after rows.inl.

inline Floats negated(Floats a) { return subtract(splat(0.0f), a); }

void quantize_rows(const QuantizeRowsArgs& a) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        const auto* x = reinterpret_cast<const float*>(a.input + pixel * a.input_stride);
        uint8_t* to = a.output + pixel * a.output_stride;
        const float highest = max_of(over_channels(x, a.channels, 0.0f, itself, larger));
        const float lowest = -max_of(over_channels(x, a.channels, 0.0f, negated, larger));
        const RowRange range = range_of(lowest, highest);
        a.ranges[pixel] = range;
        Epilogue e{};
        e.zero_point = static_cast<int32_t>(range.zero_point);
        e.low = -range.zero_point;
        e.high = 255.0f - range.zero_point;
        const Floats inverse = splat(1.0f / range.step);
        for (int64_t c = 0; c < a.channels; c += kLanes) {
            const int64_t valid = a.channels - c;
            store_u8(to + c, requantized(multiply(load_f32(x + c, valid), inverse), e), valid);
        }
    }
}

void rescale_rows(const RescaleRowsArgs& a) {
    const Epilogue& e = a.epilogue;
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        const auto* sums = reinterpret_cast<const int32_t*>(a.input + pixel * a.input_stride);
        const Ints shift = splat_int(-static_cast<int32_t>(a.ranges[pixel].zero_point));
        const Floats step = splat(a.ranges[pixel].step);
        for (int64_t c = 0; c < a.channels; c += kLanes) {
            const int64_t valid = a.channels - c;
            const Ints centred = add(load_i32(sums + c, valid), multiply(shift, load_i32(a.weight_sums + c, valid)));
            Floats y = multiply_add(to_floats(centred), multiply(step, load_f32(e.scale + c, valid)),
                                    load_f32(e.bias + c, valid));
            if (e.residual_type != Dtype::none) {
                const uint8_t* other = a.residual + pixel * a.residual_stride + c * residual_size;
                y = multiply_add(load_any(other, e.residual_type, valid), splat(e.residual_scale), y);
            }
            finish(y, a.output + pixel * a.output_stride + c * size, valid, e);
        }
    }
}
