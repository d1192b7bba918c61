// Scaled dot-product attention of one head whose products are of bf16, two per lane, summed in float. Included inside
// each file that has a DotBF16.
//
// What goes into a product is rounded once: queries by the tile, the shares of a tile's keys as they are made, keys and
// values as they are packed, once for each head. Packed is [panel of kPanel columns][pair][column][2], a pair being two
// features of a key or two keys of a value, so that both products are the same loop: vectors on one side, broadcasts on
// the other. A tile's scores and shares stay in the first cache.

constexpr int kAttentionRows = 12;  // M · 2 sums, two columns and a broadcast within 32 registers
constexpr int kPanelVectors = 2;
constexpr int kPanel = kPanelVectors * kLanes;
static_assert(kPanel == attention_panel && kAttentionRows <= max_attention_rows);

// The bf16 of `first` and `second` in turn.
inline Ints paired(Floats first, Floats second) {
    const Ints halves = (Ints)_mm512_cvtne2ps_pbh(second, first);
    const Ints low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(halves));
    return _mm512_or_si512(low, _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(halves, 1)), 16));
}

// Rows of 16 become columns.
inline void transpose(Ints (&rows)[kLanes]) {
    Ints twos[kLanes], fours[kLanes];
    for (int i = 0; i < kLanes; i += 2) {
        twos[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        twos[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < kLanes; i += 4) {  // fours[i + j]: of four rows, columns j, j + 4, j + 8 and j + 12
        for (int j = 0; j < 2; ++j) {
            fours[i + 2 * j] = _mm512_unpacklo_epi64(twos[i + j], twos[i + 2 + j]);
            fours[i + 2 * j + 1] = _mm512_unpackhi_epi64(twos[i + j], twos[i + 2 + j]);
        }
    }
    for (int j = 0; j < 4; ++j) {
        const Ints even[2] = {_mm512_shuffle_i32x4(fours[j], fours[4 + j], 0x88),
                              _mm512_shuffle_i32x4(fours[8 + j], fours[12 + j], 0x88)};
        const Ints odd[2] = {_mm512_shuffle_i32x4(fours[j], fours[4 + j], 0xdd),
                             _mm512_shuffle_i32x4(fours[8 + j], fours[12 + j], 0xdd)};
        rows[j] = _mm512_shuffle_i32x4(even[0], even[1], 0x88);
        rows[4 + j] = _mm512_shuffle_i32x4(odd[0], odd[1], 0x88);
        rows[8 + j] = _mm512_shuffle_i32x4(even[0], even[1], 0xdd);
        rows[12 + j] = _mm512_shuffle_i32x4(odd[0], odd[1], 0xdd);
    }
}

// n floats, at most two vectors of them, as bf16 one after the other; zeros behind them.
inline Ints halves_of(const float* x, int64_t n) {
    const Floats second = n > kLanes ? load_f32(x + kLanes, n - kLanes) : splat(0.0f);
    return (Ints)_mm512_cvtne2ps_pbh(second, load_f32(x, n));
}

inline const float* floats_at(const uint8_t* rows, int64_t row, int64_t stride) {
    return reinterpret_cast<const float*>(rows + row * stride);
}

void pack_keys(const AttentionArgs& a, uint8_t* panels) {
    const int64_t pairs = (a.size + 1) / 2, panel_bytes = pairs * kPanel * 4;
    for (int64_t first = 0; first < whole_panels(a.keys); first += kLanes) {
        uint8_t* to = panels + first / kPanel * panel_bytes + first % kPanel * 4;
        for (int64_t i = 0; i < pairs; i += kLanes) {
            Ints block[kLanes];
            for (int64_t key = 0; key < kLanes; ++key) {
                const bool there = first + key < a.keys;
                block[key] = there ? halves_of(floats_at(a.key, first + key, a.key_stride) + 2 * i, a.size - 2 * i)
                                   : zero_ints();
            }
            transpose(block);
            for (int64_t pair = i; pair < std::min(pairs, i + kLanes); ++pair) {
                store_i32(to + pair * kPanel * 4, block[pair - i], kLanes);
            }
        }
    }
}

void pack_values(const AttentionArgs& a, uint8_t* panels) {
    for (int64_t first = 0; first < a.value_size; first += kPanel) {
        for (int64_t key = 0; key < a.keys; key += 2, panels += kPanel * 4) {
            const float* value = floats_at(a.value, key, a.value_stride);
            const float* next = floats_at(a.value, key + 1, a.value_stride);
            for (int64_t n = 0; n < kPanelVectors; ++n) {
                const int64_t c = first + n * kLanes, valid = std::max<int64_t>(a.value_size - c, 0);
                const Floats second = key + 1 < a.keys ? load_f32(next + c, valid) : splat(0.0f);
                store_i32(panels + n * kLanes * 4, paired(load_f32(value + c, valid), second), kLanes);
            }
        }
    }
}

// sums[m][n]: row m of bf16 times a panel's columns.
template <int M>
inline void half_product(const uint8_t* rows, int64_t stride, const uint8_t* panel, int64_t pairs,
                         Floats (&sums)[M][kPanelVectors]) {
    for (auto& row : sums) {
        for (Floats& sum : row) sum = splat(0.0f);
    }
    const uint8_t* thirds[(M + 2) / 3];  // as a convolution tile reads its pixels
    for (int p = 0; p < (M + 2) / 3; ++p) thirds[p] = rows + 3 * p * stride;
    for (int64_t pair = 0; pair < pairs; ++pair, panel += kPanel * 4) {
        DotBF16::Weight columns[kPanelVectors];
#pragma GCC unroll 2
        for (int n = 0; n < kPanelVectors; ++n) columns[n] = DotBF16::load_weight(panel + n * kLanes * 4);
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
            const auto x = DotBF16::broadcast(thirds[m / 3] + m % 3 * stride);
#pragma GCC unroll 2
            for (int n = 0; n < kPanelVectors; ++n) sums[m][n] = DotBF16::dot(sums[m][n], x, columns[n]);
        }
#pragma GCC unroll 6
        for (const uint8_t*& third : thirds) third += 4;
    }
}

// 2ˣ = 2ⁿ · 2ʳ, with a polynomial for 2ʳ on |r| ≤ 1/2, fitted for the least largest error: below 2⁻¹³, of
// which the rounding to bf16 that comes next makes 32 times as much.
inline Floats power_of_two(Floats x) {
    const Floats whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Floats r = subtract(x, whole);
    Floats y = multiply_add(r, splat(0.0550089308f), splat(0.242210959f));
    y = multiply_add(y, r, splat(0.693282927f));
    y = multiply_add(y, r, splat(1.0f));
    return _mm512_scalef_ps(y, whole);
}

// The first `seen` scores, in their own place, to bf16 of exp((score − most) · scale), and zeros up to the end of the
// last panel; returns the sum of the exponentials.
inline float shares_of(float* scores, int64_t seen, int64_t padded, float scale) {
    constexpr float kLog2E = 1.44269504f;
    Floats most = splat(-std::numeric_limits<float>::infinity()), sum = splat(0.0f);
    const Floats none = most;
    for (int64_t c = 0; c < seen; c += kLanes) {
        const Floats x = load_f32(scores + c, kLanes);
        most = maximum(most, seen - c < kLanes ? select_first(seen - c, x, none) : x);
    }
    const float factor = scale * kLog2E;
    const Floats by = splat(factor), less = splat(-max_of(most) * factor);
    auto* halves = reinterpret_cast<uint8_t*>(scores);
    for (int64_t c = 0; c < padded; c += kPanel) {
        Floats shares[kPanelVectors];
        for (int64_t n = 0; n < kPanelVectors; ++n) {
            const int64_t valid = seen - c - n * kLanes;
            shares[n] = power_of_two(multiply_add(load_f32(scores + c + n * kLanes, kLanes), by, less));
            if (valid < kLanes) shares[n] = select_first(std::max<int64_t>(valid, 0), shares[n], splat(0.0f));
            sum = add(sum, shares[n]);
        }
        store_i32(halves + c * 2, (Ints)_mm512_cvtne2ps_pbh(shares[1], shares[0]), kLanes);
    }
    return sum_of(sum);
}

// The scratch memory of a head.
struct Packed {
    int64_t query_bytes, score_bytes;  // of a row
    uint8_t *keys, *values, *queries, *scores;
};

template <int M>
void attend_halves(const AttentionArgs& a, int64_t row, const Packed& packed) {
    const int64_t padded = whole_panels(a.keys), pairs = (a.size + 1) / 2, key_pairs = (a.keys + 1) / 2;
    for (int64_t m = 0; m < M; ++m) {
        const float* query = floats_at(a.query, row + m, a.query_stride);
        for (int64_t i = 0; i < a.size; i += kPanel) {
            store_i32(packed.queries + m * packed.query_bytes + i * 2, halves_of(query + i, a.size - i), kLanes);
        }
    }
    Floats sums[M][kPanelVectors];
    for (int64_t key = 0; key < a.keys; key += kPanel) {
        half_product(packed.queries, packed.query_bytes, packed.keys + key * pairs * 4, pairs, sums);
        for (int m = 0; m < M; ++m) {
            for (int n = 0; n < kPanelVectors; ++n) {
                store_f32(packed.scores + m * packed.score_bytes + (key + n * kLanes) * 4, sums[m][n], kLanes);
            }
        }
    }
    float gains[M];
    for (int m = 0; m < M; ++m) {
        auto* scores = reinterpret_cast<float*>(packed.scores + m * packed.score_bytes);
        const int64_t seen = a.causal ? std::min(row + m + 1, a.keys) : a.keys;
        const float step = mask_scores(a, row + m, seen, scores) ? a.epilogue.inverse_step : 0.0f;
        gains[m] = step / shares_of(scores, seen, padded, a.scale);
    }
    const int64_t bytes = bytes_of(a.epilogue.output_type);
    for (int64_t c = 0; c < a.value_size; c += kPanel) {
        half_product(packed.scores, packed.score_bytes, packed.values + c * key_pairs * 4, key_pairs, sums);
        for (int m = 0; m < M; ++m) {
            for (int n = 0; n < kPanelVectors && c + n * kLanes < a.value_size; ++n) {
                uint8_t* to = a.output + (row + m) * a.output_stride + (c + n * kLanes) * bytes;
                finish(multiply(sums[m][n], splat(gains[m])), to, a.value_size - c - n * kLanes, a.epilogue);
            }
        }
    }
}

template <int... M>
void attend_halves_of(int64_t rows, const AttentionArgs& a, int64_t row, const Packed& packed,
                      std::integer_sequence<int, M...>) {
    ((rows == M + 1 ? attend_halves<M + 1>(a, row, packed) : void()), ...);
}

void attention_bf16(const AttentionArgs& a) {
    const int64_t padded = whole_panels(a.keys), size = whole_panels(a.size), value_size = whole_panels(a.value_size);
    uint8_t* keys = reinterpret_cast<uint8_t*>(a.scratch);
    uint8_t* values = keys + padded * size * 2;
    uint8_t* queries = values + padded * value_size * 2;
    const Packed packed{size * 2, padded * 4, keys, values, queries, queries + kAttentionRows * size * 2};
    pack_keys(a, packed.keys);
    pack_values(a, packed.values);
    const int64_t tiles = (a.queries + kAttentionRows - 1) / kAttentionRows;
    for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t row = a.queries * tile / tiles, end = a.queries * (tile + 1) / tiles;
        attend_halves_of(end - row, a, row, packed, std::make_integer_sequence<int, kAttentionRows>{});
    }
}
