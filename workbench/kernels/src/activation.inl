// Activations on one vector of floats, from an exponential of our own. Included inside each instruction set's file.

// eˣ = 2ⁿ · eʳ with n = round(x / ln 2) and r = x − n ln 2 (ln 2 in two parts, Cody and Waite); a degree-6
// polynomial for eʳ on |r| ≤ ln 2 / 2 leaves a relative error below 2⁻²².
inline Floats exponential(Floats x) {
    x = minimum(maximum(x, splat(-87.0f)), splat(88.0f));
    Ints n = round_to_ints(multiply(x, splat(1.44269504f)));
    Floats whole = to_floats(n);
    Floats r = multiply_add(whole, splat(-0.693145752f), x);
    r = multiply_add(whole, splat(-1.42860677e-6f), r);
    Floats y = splat(1.0f / 720);
    y = multiply_add(y, r, splat(1.0f / 120));
    y = multiply_add(y, r, splat(1.0f / 24));
    y = multiply_add(y, r, splat(1.0f / 6));
    y = multiply_add(y, r, splat(0.5f));
    y = multiply_add(y, r, splat(1.0f));
    y = multiply_add(y, r, splat(1.0f));
    return multiply(y, as_floats(shift_left_23(add(n, splat_int(127)))));
}

inline Floats sigmoid(Floats x) {
    return divide(splat(1.0f), add(splat(1.0f), exponential(subtract(splat(0.0f), x))));
}

// tanh x = 1 − 2 / (e²ˣ + 1); near zero that cancels, so there its odd Taylor polynomial (|x| < 0.15: error < 1e-9).
inline Floats hyperbolic_tangent(Floats x) {
    Floats far = subtract(splat(1.0f), divide(splat(2.0f), add(exponential(add(x, x)), splat(1.0f))));
    Floats square = multiply(x, x);
    Floats near = multiply_add(square, splat(-17.0f / 315), splat(2.0f / 15));
    near = multiply_add(near, square, splat(-1.0f / 3));
    near = multiply_add(multiply(near, square), x, x);
    return select_below(square, 0.0225f, near, far);
}

// A clamp in real units; in output steps it is part of the requantization.
inline Floats clamped(Floats x, const Epilogue& e) {
    if (e.output_type == Dtype::u8) return x;
    return minimum(maximum(x, splat(e.minimum)), splat(e.maximum));
}

// x · (1 + erf(x / √2)) / 2, where erf z = z · P(z²) / Q(z²) on |z| ≤ 4, fitted for the least largest error, and 1 with the
// sign of z beyond. Error of erf in float32 below 3.1e-7; in the coefficients, the halves and √2 are multiplied in.
inline Floats gelu(Floats x) {
    const Floats inside = minimum(maximum(x, splat(-5.65685415f)), splat(5.65685415f));
    const Floats square = multiply(inside, inside);
    Floats above = multiply_add(square, splat(2.18189067e-8f), splat(6.3648918e-6f));
    above = multiply_add(above, square, splat(1.76939426e-4f));
    above = multiply_add(above, square, splat(4.72591197e-3f));
    above = multiply_add(above, square, splat(3.46923987e-2f));
    above = multiply_add(above, square, splat(0.398942218f));
    Floats below = multiply_add(square, splat(1.17127547e-6f), splat(7.60230325e-5f));
    below = multiply_add(below, square, splat(1.93056185e-3f));
    below = multiply_add(below, square, splat(2.91191955e-2f));
    below = multiply_add(below, square, splat(0.253626525f));
    below = multiply_add(below, square, splat(1.0f));
    return multiply(x, add(divide(multiply(inside, above), below), splat(0.5f)));
}

// The activation of whole vectors of floats in memory. Not inlined: every kernel would carry a copy.
[[gnu::noinline]] void activate(float* values, int64_t vectors, const Epilogue& e) {
    const auto each = [&](auto function) {
        for (float* x = values; x < values + vectors * kLanes; x += kLanes) {
            store_f32(x, function(load_f32(x, kLanes)), kLanes);
        }
    };
    const auto gate = [](Floats x) { return minimum(maximum(add(x, splat(3.0f)), splat(0.0f)), splat(6.0f)); };
    switch (e.act) {
        case Act::clamp: return each([&](Floats x) { return clamped(x, e); });
        case Act::hardswish: return each([&](Floats x) { return multiply(multiply(x, gate(x)), splat(1.0f / 6)); });
        case Act::hardsigmoid: return each([&](Floats x) { return multiply(gate(x), splat(1.0f / 6)); });
        case Act::silu: return each([](Floats x) { return multiply(x, sigmoid(x)); });
        case Act::sigmoid: return each([](Floats x) { return sigmoid(x); });
        case Act::tanh: return each([](Floats x) { return hyperbolic_tangent(x); });
        case Act::gelu: return each([](Floats x) { return gelu(x); });
        case Act::gelu_tanh:
            return each([](Floats x) {
                const Floats cube = multiply(multiply(x, x), x), half = multiply(x, splat(0.5f));
                const Floats inner = multiply(multiply_add(cube, splat(0.044715f), x), splat(0.79788456f));
                return multiply_add(half, hyperbolic_tangent(inner), half);
            });
    }
}

inline Floats load_any(const uint8_t* p, Dtype type, int64_t n) {
    if (type == Dtype::u8) return to_floats(load_u8(p, n));
    if (type == Dtype::bf16) return load_bf16(p, n);
    return load_f32(p, n);
}

inline Ints requantized(Floats steps, const Epilogue& e) {
    // Clamped before the conversion: a float beyond int32 would come out as INT_MIN.
    Floats inside = minimum(maximum(steps, splat(e.low)), splat(e.high));
    return add(round_to_ints(inside), splat_int(e.zero_point));
}

// What a clamp in output steps leaves, in bytes.
inline ByteRange byte_range(const Epilogue& e) {
    const auto byte = [&](float steps) {
        return splat_byte(static_cast<uint8_t>(static_cast<int32_t>(std::nearbyint(steps)) + e.zero_point));
    };
    return {splat_word(static_cast<int16_t>(e.zero_point)), byte(std::min(e.low, e.high)), byte(e.high)};
}

// y, its activation done, to memory.
inline void put(Floats y, uint8_t* output, int64_t n, const Epilogue& e) {
    if (e.output_type == Dtype::u8) {
        if (e.act != Act::clamp) y = multiply(y, splat(e.inverse_step));
        store_u8(output, requantized(y, e), n);
    } else if (e.output_type == Dtype::bf16) {
        store_bf16(output, y, n);
    } else {
        store_f32(output, y, n);
    }
}

// y, without its activation, to memory.
inline void finish(Floats y, uint8_t* output, int64_t n, const Epilogue& e) {
    if (e.act == Act::clamp) return put(clamped(y, e), output, n, e);
    alignas(64) float value[kLanes];
    store_f32(value, y, kLanes);
    activate(value, 1, e);
    put(load_f32(value, kLanes), output, n, e);
}
