// What every instruction set's Dot shares. Included inside each one's file.

// Four bytes of activations, the same in every lane.
inline Ints repeat_group(const uint8_t* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return splat_int(four);
}

// One float per group.
struct DotF32 {
    static constexpr Dtype kNarrow = Dtype::u8;  // for the int8 layers behind it
    using Accumulator = Floats;
    using Weight = Floats;
    static Floats start(const int32_t*, int) { return splat(0.0f); }
    static Weight load_weight(const uint8_t* p) { return load_f32(p, kLanes); }
    static Floats broadcast(const uint8_t* p) {
        float value;
        std::memcpy(&value, p, 4);
        return splat(value);
    }
    static Floats dot(Floats sum, Floats x, Weight w) { return multiply_add(x, w, sum); }
    static Floats floats(Floats sum) { return sum; }
    static Ints bits(Floats sum) { return as_ints(sum); }
};

// Four u8·s8 products per group. `Product` has the weights as they are multiplied (Weight, load_weight), the
// activations likewise (open) and dot(sum, activations, weights), exact in int32.
template <class Product>
struct ByteDot : Product {
    static constexpr Dtype kNarrow = Dtype::u8;
    using Accumulator = Ints;
    static Ints start(const int32_t* start, int n) { return load_i32(start + n * kLanes, kLanes); }
    static auto broadcast(const uint8_t* p) { return Product::open(repeat_group(p)); }
    static Floats floats(Ints sum) { return to_floats(sum); }
    static Ints bits(Ints sum) { return sum; }
};
