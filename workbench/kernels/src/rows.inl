// Kernels over the channels of one pixel at a time: layer norm and softmax. Included inside each instruction
// set's file.

// Four sums at once, so that each addition needn't wait for the one before; lanes past the end are `neutral`.
template <class Value, class Join>
inline Floats over_channels(const float* x, int64_t channels, float neutral, Value value, Join join) {
    Floats sums[4] = {splat(neutral), splat(neutral), splat(neutral), splat(neutral)};
    int64_t c = 0;
    for (; c + 4 * kLanes <= channels; c += 4 * kLanes) {
        for (int i = 0; i < 4; ++i) sums[i] = join(sums[i], value(load_f32(x + c + i * kLanes, kLanes)));
    }
    for (; c < channels; c += kLanes) {
        const int64_t valid = channels - c;
        Floats v = value(load_f32(x + c, valid));
        sums[0] = join(sums[0], valid < kLanes ? select_first(valid, v, splat(neutral)) : v);
    }
    return join(join(sums[0], sums[1]), join(sums[2], sums[3]));
}

inline Floats plus(Floats a, Floats b) { return add(a, b); }
inline Floats larger(Floats a, Floats b) { return maximum(a, b); }
inline Floats itself(Floats a) { return a; }

// What takes the channels of a pixel to mean 0 and variance 1: (x − mean) · gain.
struct Moments {
    float mean, gain;
};

inline Moments moments_of(const float* x, int64_t channels, float epsilon) {
    const auto count = static_cast<float>(channels);
    const float mean = sum_of(over_channels(x, channels, 0.0f, itself, plus)) / count;
    const Floats center = splat(mean);
    auto square = [&](Floats v) { return multiply(subtract(v, center), subtract(v, center)); };
    const float variance = sum_of(over_channels(x, channels, 0.0f, square, plus)) / count;
    return {mean, 1.0f / std::sqrt(variance + epsilon)};
}

// Some pixels' moments first: each is a chain of waits, and those of several overlap.
void layer_norm(const RowArgs& a) {
    constexpr int64_t kTogether = 8;
    const int64_t size = bytes_of(a.epilogue.output_type);
    for (int64_t first = 0; first < a.pixels; first += kTogether) {
        const int64_t pixels = std::min(kTogether, a.pixels - first);
        const uint8_t* input = a.input + first * a.input_stride;
        uint8_t* output = a.output + first * a.output_stride;
        Moments moments[kTogether];
        for (int64_t i = 0; i < pixels; ++i) {
            moments[i] = moments_of(reinterpret_cast<const float*>(input + i * a.input_stride), a.channels, a.epsilon);
        }
        for (int64_t i = 0; i < pixels; ++i, input += a.input_stride, output += a.output_stride) {
            const auto* x = reinterpret_cast<const float*>(input);
            const Floats center = splat(moments[i].mean), gain = splat(moments[i].gain);
            for (int64_t c = 0; c < a.channels; c += kLanes) {
                const int64_t valid = a.channels - c;
                Floats y = multiply(subtract(load_f32(x + c, valid), center), gain);
                y = multiply_add(y, load_f32(a.epilogue.scale + c, valid), load_f32(a.epilogue.bias + c, valid));
                finish(y, output + c * size, valid, a.epilogue);
            }
        }
    }
}

// The sum of value(x) over a group's channels and all pixels.
template <class Value>
inline float over_group(const GroupArgs& a, Value value) {
    Floats all = splat(0.0f);
    for (int64_t c = 0; c < a.channels; c += kLanes) {
        const int64_t valid = a.channels - c;
        Floats sum = splat(0.0f);
        for (int64_t y = 0; y < a.height; ++y) {
            const uint8_t* x = a.input + y * a.input_row + c * 4;
            for (int64_t i = 0; i < a.width; ++i, x += a.input_pixel) sum = add(sum, value(load_f32(x, valid)));
        }
        all = add(all, valid < kLanes ? select_first(valid, sum, splat(0.0f)) : sum);
    }
    return sum_of(all);
}

void group_norm(const GroupArgs& a) {
    const auto count = static_cast<float>(a.height * a.width * a.channels);
    const Floats center = splat(over_group(a, itself) / count);
    auto square = [&](Floats v) { return multiply(subtract(v, center), subtract(v, center)); };
    const Floats gain = splat(1.0f / std::sqrt(over_group(a, square) / count + a.epsilon));
    const int64_t size = bytes_of(a.epilogue.output_type);
    for (int64_t c = 0; c < a.channels; c += kLanes) {
        const int64_t valid = a.channels - c;
        const Floats scale = load_f32(a.epilogue.scale + c, valid), bias = load_f32(a.epilogue.bias + c, valid);
        for (int64_t y = 0; y < a.height; ++y) {
            const uint8_t* x = a.input + y * a.input_row + c * 4;
            uint8_t* to = a.output + y * a.output_row + c * size;
            for (int64_t i = 0; i < a.width; ++i, x += a.input_pixel, to += a.output_pixel) {
                Floats normal = multiply(subtract(load_f32(x, valid), center), gain);
                finish(multiply_add(normal, scale, bias), to, valid, a.epilogue);
            }
        }
    }
}

// exp((x − max) · scale) of `valid` values into `y`, and their sum.
inline float exponentials(const float* x, float* y, int64_t valid, Floats scale) {
    const Floats most = splat(max_of(over_channels(x, valid, -std::numeric_limits<float>::infinity(), itself, larger)));
    Floats sum = splat(0.0f);
    for (int64_t c = 0; c < valid; c += kLanes) {
        const int64_t n = valid - c;
        Floats e = exponential(multiply(subtract(load_f32(x + c, n), most), scale));
        if (n < kLanes) e = select_first(n, e, splat(0.0f));
        sum = add(sum, e);
        store_f32(y + c, e, n);
    }
    return sum_of(sum);
}

void softmax(const RowArgs& a) {
    for (int64_t pixel = 0; pixel < a.pixels; ++pixel) {
        const auto* x = reinterpret_cast<const float*>(a.input + pixel * a.input_stride);
        auto* y = reinterpret_cast<float*>(a.output + pixel * a.output_stride);
        const Floats share = splat(1.0f / exponentials(x, y, a.channels, splat(1.0f)));
        for (int64_t c = 0; c < a.channels; c += kLanes) {
            const int64_t valid = a.channels - c;
            store_f32(y + c, multiply(load_f32(y + c, valid), share), valid);
        }
    }
}
