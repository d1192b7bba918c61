// The tile every convolution and linear layer is made of. Included inside each instruction set's file,
// which brings a Dot: the arithmetic on one 4-byte group (four u8·s8, two bf16 or one float), and in kNarrow the
// type that its layers hand on.
//
// M pixels × NB vectors of channels stay in registers over all taps. A step loads NB weight vectors and
// M broadcasts for M · NB products, so the loads stay below the products for every shape but NB = 1.
// The taps of a kernel row lie side by side in NHWC (kernel width × channels), so a row is one run and
// no im2col copy is made; borders are really there in memory.

template <class Dot>
constexpr bool kFloatSums = std::is_same_v<typename Dot::Accumulator, Floats>;

// Into f32 or bf16.
template <class Dot, int M, int NB, Dtype kType, Dtype kResidual>
inline void conv_clamped_floats(const ConvArgs& a, typename Dot::Accumulator (&sums)[M][NB], uint8_t* output,
                                const uint8_t* residual) {
    const Epilogue& e = a.epilogue;
    const Floats low = splat(e.minimum), high = splat(e.maximum), gain = splat(e.residual_scale);
#pragma GCC unroll 4
    for (int n = 0; n < NB; ++n) {
        const int64_t c = n * kLanes, valid = a.channels - c;
        if (valid <= 0) break;
        const Floats scale = load_f32(e.scale + c, kLanes), bias = load_f32(e.bias + c, kLanes);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
            Floats y = multiply_add(Dot::floats(sums[m][n]), scale, bias);
            if constexpr (kResidual != Dtype::none) {
                const uint8_t* other = residual + m * a.residual_stride + c * bytes_of(kResidual);
                y = multiply_add(load_any(other, kResidual, valid), gain, y);
            }
            y = minimum(maximum(y, low), high);
            uint8_t* to = output + m * a.output_stride + c * bytes_of(kType);
            if constexpr (kType == Dtype::bf16) store_bf16(to, y, valid);
            else store_f32(to, y, valid);
        }
    }
}

// Four vectors become one of bytes, of one pixel or, where a pixel has fewer, of several. The packs saturate, so where
// no value leaves int32 the clamp costs an instruction or two for all four.
template <class Dot, int M, int NB, Dtype kResidual, bool kWhole>
inline void conv_clamped_u8(const ConvArgs& a, typename Dot::Accumulator (&sums)[M][NB], uint8_t* output,
                            const uint8_t* residual) {
    constexpr int kTogether = NB > 2 ? 1 : 4 / NB;  // pixels
    const Epilogue& e = a.epilogue;
    const Floats high = splat(e.high), gain = splat(e.residual_scale);
    const ByteRange range = byte_range(e);
    // Copies: bytes are stored below, which the compiler must take for a change of anything in memory.
    const int64_t channels = a.channels, output_stride = a.output_stride, residual_stride = a.residual_stride;
    Floats scale[NB], bias[NB];
#pragma GCC unroll 4
    for (int n = 0; n < NB; ++n) {
        scale[n] = load_f32(e.scale + n * kLanes, kLanes);
        bias[n] = load_f32(e.bias + n * kLanes, kLanes);
    }
    const auto steps = [&](int m, int n) {
        Floats y = multiply_add(Dot::floats(sums[m][n]), scale[n], bias[n]);
        if constexpr (kResidual != Dtype::none) {
            const int64_t c = n * kLanes, valid = kWhole ? kLanes : std::max<int64_t>(channels - c, 0);
            y = multiply_add(to_floats(load_u8(residual + m * residual_stride + c, valid)), gain, y);
        }
        if constexpr (kFloatSums<Dot>) y = minimum(high, y);
        return round_to_ints(y);
    };
#pragma GCC unroll 16
    for (int first = 0; first < M; first += kTogether) {
        Ints q[4];
#pragma GCC unroll 4
        for (int i = 0; i < kTogether * NB; ++i) q[i] = steps(std::min(first + i / NB, M - 1), i % NB);
        if constexpr (NB == 3) q[3] = q[2];
        const Bytes bytes = in_order(pack_bytes(q, range));
        if (kWhole && kTogether > 1 && first + kTogether <= M && output_stride == NB * kLanes) {
            store_bytes(output + first * NB * kLanes, bytes, kByteLanes);
        } else if constexpr (NB == 3) {
            uint8_t* to = output + first * output_stride;
            store_part<2>(0, to, bytes, kWhole ? 3 * kLanes : channels);
            if (kWhole || channels > 2 * kLanes) {
                store_part<4>(2, to + 2 * kLanes, bytes, kWhole ? kLanes : channels - 2 * kLanes);
            }
        } else {
#pragma GCC unroll 4
            for (int i = 0; i < kTogether; ++i) {
                if (first + i >= M) break;
                store_part<kTogether>(i, output + (first + i) * output_stride, bytes, kWhole ? NB * kLanes : channels);
            }
        }
    }
}

// Sums [pixels][vectors] in memory, to any type through any activation; they are overwritten. Not inlined: every tile
// would carry a copy.
template <class Dot>
[[gnu::noinline]] void conv_ended(const ConvArgs& a, uint8_t* sums, int64_t pixels, int64_t vectors, uint8_t* output,
                                  const uint8_t* residual) {
    const Epilogue& e = a.epilogue;
    const int64_t size = bytes_of(e.output_type), residual_size = bytes_of(e.residual_type);
    const auto each = [&](auto f) {
        for (int64_t m = 0; m < pixels; ++m) {
            for (int64_t n = 0; n < vectors && n * kLanes < a.channels; ++n) {
                const int64_t c = n * kLanes;
                f(m, c, sums + (m * vectors * kLanes + c) * 4, output + m * a.output_stride + c * size);
            }
        }
    };
    if (e.output_type == Dtype::i32) {
        return each([&](int64_t, int64_t c, const uint8_t* sum, uint8_t* to) {
            store_i32(to, load_i32(sum, kLanes), a.channels - c);
        });
    }
    each([&](int64_t m, int64_t c, uint8_t* sum, uint8_t*) {
        typename Dot::Accumulator accumulator;
        std::memcpy(&accumulator, sum, sizeof(accumulator));
        Floats y = multiply_add(Dot::floats(accumulator), load_f32(e.scale + c, kLanes), load_f32(e.bias + c, kLanes));
        if (e.residual_type != Dtype::none) {
            const uint8_t* other = residual + m * a.residual_stride + c * residual_size;
            y = multiply_add(load_any(other, e.residual_type, a.channels - c), splat(e.residual_scale), y);
        }
        store_f32(sum, y, kLanes);
    });
    activate(reinterpret_cast<float*>(sums), pixels * vectors, e);
    each([&](int64_t, int64_t c, const uint8_t* y, uint8_t* to) { put(load_f32(y, kLanes), to, a.channels - c, e); });
}

// Clamps into floats or the Dot's narrow type, the way of nearly every layer, stay in registers; the rest goes through
// a loop over a copy.
template <class Dot, int M, int NB>
inline void conv_epilogue(const ConvArgs& a, typename Dot::Accumulator (&sums)[M][NB], uint8_t* output,
                          const uint8_t* residual) {
    const Epilogue& e = a.epilogue;
    const bool clamp = e.act == Act::clamp, plain = e.residual_type == Dtype::none;
    if constexpr (Dot::kNarrow == Dtype::bf16) {
        const bool halves = clamp && e.output_type == Dtype::bf16;
        if (halves && plain) return conv_clamped_floats<Dot, M, NB, Dtype::bf16, Dtype::none>(a, sums, output, residual);
        if (halves && e.residual_type == Dtype::bf16) {
            return conv_clamped_floats<Dot, M, NB, Dtype::bf16, Dtype::bf16>(a, sums, output, residual);
        }
    } else {
        const bool bytes = clamp && e.output_type == Dtype::u8 && (kFloatSums<Dot> || e.within_int32);
        const bool whole = a.channels >= NB * kLanes;
        if (bytes && plain) {
            if (whole) return conv_clamped_u8<Dot, M, NB, Dtype::none, true>(a, sums, output, residual);
            return conv_clamped_u8<Dot, M, NB, Dtype::none, false>(a, sums, output, residual);
        }
        if (bytes && e.residual_type == Dtype::u8) {
            if (whole) return conv_clamped_u8<Dot, M, NB, Dtype::u8, true>(a, sums, output, residual);
            return conv_clamped_u8<Dot, M, NB, Dtype::u8, false>(a, sums, output, residual);
        }
    }
    const bool floats = clamp && e.output_type == Dtype::f32;
    if (floats && plain) return conv_clamped_floats<Dot, M, NB, Dtype::f32, Dtype::none>(a, sums, output, residual);
    if (floats && e.residual_type == Dtype::f32) {
        return conv_clamped_floats<Dot, M, NB, Dtype::f32, Dtype::f32>(a, sums, output, residual);
    }
    alignas(64) uint8_t copy[M][NB][kLanes * 4];
    std::memcpy(copy, sums, sizeof(copy));
    conv_ended<Dot>(a, copy[0][0], M, NB, output, residual);
}

template <class Dot, int M, int NB>
inline void conv_line(const ConvArgs& a, const uint8_t* input, uint8_t* output, const uint8_t* residual) {
    using Accumulator = typename Dot::Accumulator;
    const int64_t stride = a.pixel_stride;
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

template <class Dot, int M, int NB>
void conv_tile(const ConvArgs& a) {
    for (int64_t line = 0; line < a.lines; ++line) {
        conv_line<Dot, M, NB>(a, a.input + line * a.input_line, a.output + line * a.output_line,
                              a.residual + line * a.residual_line);
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
