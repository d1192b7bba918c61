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

// erf by Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7.
inline Floats error_function(Floats x) {
    Floats size = maximum(x, subtract(splat(0.0f), x));
    Floats t = divide(splat(1.0f), multiply_add(size, splat(0.3275911f), splat(1.0f)));
    Floats y = splat(1.061405429f);
    y = multiply_add(y, t, splat(-1.453152027f));
    y = multiply_add(y, t, splat(1.421413741f));
    y = multiply_add(y, t, splat(-0.284496736f));
    y = multiply_add(y, t, splat(0.254829592f));
    Floats tail = multiply(multiply(y, t), exponential(subtract(splat(0.0f), multiply(size, size))));
    Floats positive = subtract(splat(1.0f), tail);
    return select_below(x, 0.0f, subtract(splat(0.0f), positive), positive);
}

// All but the clamp. Not inlined: every kernel would carry a copy.
[[gnu::noinline]] Floats curved(Floats x, const Epilogue& e) {
    switch (e.act) {
        case Act::clamp: break;
        case Act::hardswish:
        case Act::hardsigmoid: {
            Floats gate = minimum(maximum(add(x, splat(3.0f)), splat(0.0f)), splat(6.0f));
            return multiply(e.act == Act::hardswish ? multiply(x, gate) : gate, splat(1.0f / 6));
        }
        case Act::silu: return multiply(x, sigmoid(x));
        case Act::sigmoid: return sigmoid(x);
        case Act::tanh: return hyperbolic_tangent(x);
        case Act::gelu: {
            Floats half = multiply(x, splat(0.5f));
            return multiply_add(half, error_function(multiply(x, splat(0.70710678f))), half);
        }
        case Act::gelu_tanh: {
            Floats cube = multiply(multiply(x, x), x);
            Floats inner = multiply(multiply_add(cube, splat(0.044715f), x), splat(0.79788456f));
            Floats half = multiply(x, splat(0.5f));
            return multiply_add(half, hyperbolic_tangent(inner), half);
        }
    }
    return x;
}

inline Floats activate(Floats x, const Epilogue& e) {
    if (e.act == Act::clamp) return minimum(maximum(x, splat(e.minimum)), splat(e.maximum));
    return curved(x, e);
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

// y, without its activation, to memory.
inline void finish(Floats y, uint8_t* output, int64_t n, const Epilogue& e) {
    if (e.output_type == Dtype::u8) {
        if (e.act != Act::clamp) y = multiply(activate(y, e), splat(e.inverse_step));
        store_u8(output, requantized(y, e), n);
    } else if (e.output_type == Dtype::bf16) {
        store_bf16(output, activate(y, e), n);
    } else {
        store_f32(output, activate(y, e), n);
    }
}
