// Reads memory from end to end and does nothing with it but a sum, which keeps the reading from being left out.
// Included inside each instruction set's file.

int32_t read(const uint8_t* memory, int64_t bytes) {
    constexpr int64_t kVector = kLanes * 4, kTogether = 8;
    Ints sums[kTogether];
    for (Ints& sum : sums) sum = splat_int(0);
    for (int64_t at = 0; at + kTogether * kVector <= bytes; at += kTogether * kVector) {
#pragma GCC unroll 8
        for (int64_t i = 0; i < kTogether; ++i) sums[i] = add(sums[i], load_i32(memory + at + i * kVector, kLanes));
    }
    for (int64_t i = 1; i < kTogether; ++i) sums[0] = add(sums[0], sums[i]);
    int32_t lanes[kLanes];
    store_i32(lanes, sums[0], kLanes);
    return lanes[0];
}
