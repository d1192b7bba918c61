// The tile every convolution and linear layer is made of. Included inside each instruction set's file,
// which brings a Dot: the arithmetic on one 4-byte group (four u8·s8, two bf16 or one float), and in kNarrow the
// type that its layers hand on.
//
// M pixels × NB vectors of channels stay in registers over all taps. A step loads NB weight vectors and
// M broadcasts for M · NB products, so the loads stay below the products for every shape but NB = 1.
// The taps of a kernel row lie side by side in NHWC (kernel width × channels), so a row is one run and
// no im2col copy is made; borders are really there in memory.

template <class Dot, int M, int NB, Dtype kOutput, Dtype kResidual>
inline void conv_clamped(const ConvArgs& a, typename Dot::Accumulator (&sums)[M][NB], uint8_t* output,
                         const uint8_t* residual) {
    constexpr bool kBytes = kOutput == Dtype::u8;
    constexpr int64_t kSize = bytes_of(kOutput), kResidualSize = bytes_of(kResidual);
    const Epilogue& e = a.epilogue;
    const Floats low = splat(kBytes ? e.low : e.minimum), high = splat(kBytes ? e.high : e.maximum);
    const Floats gain = splat(e.residual_scale);
    const Ints zero_point = splat_int(e.zero_point);
#pragma GCC unroll 4
    for (int n = 0; n < NB; ++n) {
        const int64_t c = n * kLanes, valid = a.channels - c;
        if (valid <= 0) break;
        const Floats scale = load_f32(e.scale + c, kLanes), bias = load_f32(e.bias + c, kLanes);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
            Floats y = multiply_add(Dot::floats(sums[m][n]), scale, bias);
            if constexpr (kResidual != Dtype::none) {
                y = multiply_add(load_any(residual + m * a.residual_stride + c * kResidualSize, kResidual, valid), gain, y);
            }
            y = minimum(maximum(y, low), high);
            uint8_t* to = output + m * a.output_stride + c * kSize;
            if constexpr (kBytes) store_u8(to, add(round_to_ints(y), zero_point), valid);
            else if constexpr (kOutput == Dtype::bf16) store_bf16(to, y, valid);
            else store_f32(to, y, valid);
        }
    }
}

// Clamps into floats or the Dot's narrow type, the way of nearly every layer, stay in registers; the rest goes through
// a loop over a copy.
template <class Dot, int M, int NB>
inline void conv_epilogue(const ConvArgs& a, typename Dot::Accumulator (&sums)[M][NB], uint8_t* output,
                          const uint8_t* residual) {
    const Epilogue& e = a.epilogue;
    constexpr Dtype kNarrow = Dot::kNarrow;
    const bool plain = e.residual_type == Dtype::none;
    if (e.act == Act::clamp && e.output_type == kNarrow && plain) {
        return conv_clamped<Dot, M, NB, kNarrow, Dtype::none>(a, sums, output, residual);
    }
    if (e.act == Act::clamp && e.output_type == kNarrow && e.residual_type == kNarrow) {
        return conv_clamped<Dot, M, NB, kNarrow, kNarrow>(a, sums, output, residual);
    }
    if (e.act == Act::clamp && e.output_type == Dtype::f32 && plain) {
        return conv_clamped<Dot, M, NB, Dtype::f32, Dtype::none>(a, sums, output, residual);
    }
    if (e.act == Act::clamp && e.output_type == Dtype::f32 && e.residual_type == Dtype::f32) {
        return conv_clamped<Dot, M, NB, Dtype::f32, Dtype::f32>(a, sums, output, residual);
    }
    alignas(64) uint8_t copy[M][NB][kLanes * 4];
    std::memcpy(copy, sums, sizeof(copy));
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    for (int m = 0; m < M; ++m) {
        for (int64_t n = 0; n * kLanes < a.channels; ++n) {
            const int64_t c = n * kLanes, valid = a.channels - c;
            uint8_t* out = output + m * a.output_stride + c * size;
            typename Dot::Accumulator sum;
            std::memcpy(&sum, copy[m][n], sizeof(sum));
            if (e.output_type == Dtype::i32) {
                store_i32(out, Dot::bits(sum), valid);
                continue;
            }
            Floats y = multiply_add(Dot::floats(sum), load_f32(e.scale + c, kLanes), load_f32(e.bias + c, kLanes));
            if (e.residual_type != Dtype::none) {
                const uint8_t* other = residual + m * a.residual_stride + c * residual_size;
                y = multiply_add(load_any(other, e.residual_type, valid), splat(e.residual_scale), y);
            }
            finish(y, out, valid, e);
        }
    }
}

template <class Dot, int M, int NB>
void conv_tile(const ConvArgs& a) {
    using Accumulator = typename Dot::Accumulator;
    const int64_t stride = a.pixel_stride;
    const uint8_t* input = a.input;
    uint8_t* output = a.output;
    const uint8_t* residual = a.residual;
    for (int64_t tile = 0; tile < a.tiles; ++tile) {
        Accumulator sums[M][NB];
#pragma GCC unroll 4
        for (int n = 0; n < NB; ++n) {
            Accumulator start = Dot::start(a.start, n);
#pragma GCC unroll 16
            for (int m = 0; m < M; ++m) sums[m][n] = start;
        }
        const uint8_t* weights = a.weights;
        for (int64_t run = 0; run < a.runs; ++run) {
            // One pointer for three pixels: the other two are reached by the address form base + stride · {1, 2},
            // which keeps sixteen pixels within the general registers.
            const uint8_t* pixels[(M + 2) / 3];
#pragma GCC unroll 6
            for (int p = 0; p < (M + 2) / 3; ++p) pixels[p] = input + a.run_offsets[run] + 3 * p * stride;
            for (int64_t group = 0; group < a.groups; ++group) {
                typename Dot::Weight w[NB];
#pragma GCC unroll 4
                for (int n = 0; n < NB; ++n) w[n] = Dot::load_weight(weights + n * kLanes * 4);
#pragma GCC unroll 16
                for (int m = 0; m < M; ++m) {
                    auto x = Dot::broadcast(pixels[m / 3] + (m % 3) * stride);
#pragma GCC unroll 4
                    for (int n = 0; n < NB; ++n) sums[m][n] = Dot::dot(sums[m][n], x, w[n]);
                }
#pragma GCC unroll 6
                for (int p = 0; p < (M + 2) / 3; ++p) pixels[p] += 4;
                weights += NB * kLanes * 4;
            }
        }
        conv_epilogue<Dot, M, NB>(a, sums, output, residual);
        input += M * stride;
        output += M * a.output_stride;
        residual += M * a.residual_stride;
    }
}

template <class Dot, int NB, int... M>
constexpr void fill_tiles(ConvKernels& kernels, std::integer_sequence<int, M...>) {
    ((kernels.tile[NB - 1][M] = conv_tile<Dot, M + 1, NB>), ...);
}
template <class Dot, int NB, int kMost>
constexpr void fill_tiles(ConvKernels& kernels) {
    fill_tiles<Dot, NB>(kernels, std::make_integer_sequence<int, kMost>{});
}

// M · NB sums, NB weights and a broadcast within 32 registers.
template <class Dot>
ConvKernels conv_in_32_registers(const char* name) {
    ConvKernels kernels;
    kernels.name = name;
    kernels.lanes = kLanes;
    fill_tiles<Dot, 1, 16>(kernels);
    fill_tiles<Dot, 2, 14>(kernels);
    fill_tiles<Dot, 3, 9>(kernels);
    fill_tiles<Dot, 4, 6>(kernels);
    return kernels;
}
