// Linear layers over floats whose weights are stored in eight, four, two or one bits: made floats in registers on their
// way from memory, which is what such a layer waits for at a small batch. Included inside each instruction set's file,
// which gives kWeightVectors before: the vectors of channels side by side.
//
// Weights: [input][channels of a block] bytes, or [inputs that share a byte][channels] with the first in the lowest bits.

constexpr int kWeightRows = 4;  // rows that share a weight once it is a float

template <int M, int kBits>
void weight_only_tile(const WeightOnlyArgs& a, int64_t row) {
    constexpr int64_t kLine = kWeightVectors * kLanes;
    alignas(64) float totals[M][kWeightVectors][kLanes] = {};
    const float* rows[M];
    for (int m = 0; m < M; ++m) rows[m] = reinterpret_cast<const float*>(a.input + (row + m) * a.input_stride);
    const uint8_t* weights = a.weights;
    const float* scales = a.group_scales;
    for (int64_t first = 0; first < a.inputs; first += a.group, scales += kLine) {
        const int64_t end = a.inputs - first < a.group ? a.inputs : first + a.group;
        Floats sums[M][kWeightVectors];
        for (auto& vectors : sums) {
            for (Floats& sum : vectors) sum = splat(0.0f);
        }
        auto multiply_in = [&](int64_t input, const Floats (&w)[kWeightVectors]) {
            for (int m = 0; m < M; ++m) {
                const Floats x = splat(rows[m][a.order[input]]);
                for (int n = 0; n < kWeightVectors; ++n) sums[m][n] = multiply_add(x, w[n], sums[m][n]);
            }
        };
        for (int64_t input = first; input < end; weights += kLine) {
            Floats w[kWeightVectors];
            if constexpr (kBits == 8) {
                for (int n = 0; n < kWeightVectors; ++n) w[n] = load_s8(weights + n * kLanes);
                multiply_in(input++, w);
            } else {
                Ints bytes[kWeightVectors];
                for (int n = 0; n < kWeightVectors; ++n) bytes[n] = load_u8(weights + n * kLanes, kLanes);
#pragma GCC unroll 8
                for (int bit = 0; bit < 8; bit += kBits) {
                    for (int n = 0; n < kWeightVectors; ++n) w[n] = weights_at<kBits>(bytes[n], bit);
                    multiply_in(input++, w);
                    if (input == end) break;
                }
            }
        }
        for (int m = 0; m < M; ++m) {
            for (int n = 0; n < kWeightVectors; ++n) {
                const Floats total = load_f32(totals[m][n], kLanes);
                store_f32(totals[m][n], multiply_add(sums[m][n], load_f32(scales + n * kLanes, kLanes), total), kLanes);
            }
        }
    }
    const Epilogue& e = a.epilogue;
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    for (int m = 0; m < M; ++m) {
        for (int64_t n = 0; n * kLanes < a.channels; ++n) {
            const int64_t c = n * kLanes, valid = a.channels - c;
            Floats y = multiply_add(load_f32(totals[m][n], kLanes), load_f32(e.scale + c, kLanes),
                                    load_f32(e.bias + c, kLanes));
            if (e.residual_type != Dtype::none) {
                const uint8_t* other = a.residual + (row + m) * a.residual_stride + c * residual_size;
                y = multiply_add(load_any(other, e.residual_type, valid), splat(e.residual_scale), y);
            }
            finish(y, a.output + (row + m) * a.output_stride + c * size, valid, e);
        }
    }
}

template <int kBits>
void weight_only(const WeightOnlyArgs& a) {
    int64_t row = 0;
    for (; row + kWeightRows <= a.rows; row += kWeightRows) weight_only_tile<kWeightRows, kBits>(a, row);
    if (a.rows - row == 3) weight_only_tile<3, kBits>(a, row);
    if (a.rows - row == 2) weight_only_tile<2, kBits>(a, row);
    if (a.rows - row == 1) weight_only_tile<1, kBits>(a, row);
}
