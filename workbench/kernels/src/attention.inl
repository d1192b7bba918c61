// Scaled dot-product attention of one head. Included inside each instruction set's file, after rows.inl.
//
// A tile of query rows meets all keys, its scores become probabilities where they lie, and these meet the values:
// only kAttentionRows rows of scores are ever in memory. Keys are turned once, into panels [size][kPanel keys], so
// that both products read vectors on one side and broadcast on the other, as a convolution tile does.

constexpr int kAttentionVectors = 2;
constexpr int kPanel = kAttentionVectors * kLanes;

// sums[m][n] = Σ a[m][i] · b[i][n]; strides in floats. `valid` counts the columns of b that are there.
template <int M, bool kWhole>
inline void product(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t depth, int64_t valid,
                    Floats (&sums)[M][kAttentionVectors]) {
    for (auto& row : sums) {
        for (Floats& sum : row) sum = splat(0.0f);
    }
    for (int64_t i = 0; i < depth; ++i, b += b_stride) {
        Floats column[kAttentionVectors];
#pragma GCC unroll 2
        for (int n = 0; n < kAttentionVectors; ++n) {
            column[n] = kWhole             ? load_f32(b + n * kLanes, kLanes)
                        : valid > n * kLanes ? load_f32(b + n * kLanes, valid - n * kLanes)
                                             : splat(0.0f);
        }
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
            const Floats x = splat(a[m * a_stride + i]);
#pragma GCC unroll 2
            for (int n = 0; n < kAttentionVectors; ++n) sums[m][n] = multiply_add(x, column[n], sums[m][n]);
        }
    }
}

template <int M>
void attend(const AttentionArgs& a, int64_t row, const float* panels, float* scores) {
    const int64_t padded = whole_panels(a.keys), query_stride = a.query_stride / 4, value_stride = a.value_stride / 4;
    Floats sums[M][kAttentionVectors];
    const auto* query = reinterpret_cast<const float*>(a.query + row * a.query_stride);
    for (int64_t key = 0; key < a.keys; key += kPanel) {
        product<M, true>(query, query_stride, panels + key * a.size, kPanel, a.size, kPanel, sums);
        for (int m = 0; m < M; ++m) {
            for (int n = 0; n < kAttentionVectors; ++n) store_f32(scores + m * padded + key + n * kLanes, sums[m][n], kLanes);
        }
    }
    float shares[M];
    for (int m = 0; m < M; ++m) {
        float* own = scores + m * padded;
        const int64_t seen = a.causal ? std::min(row + m + 1, a.keys) : a.keys;
        const float step = mask_scores(a, row + m, seen, own) ? a.epilogue.inverse_step : 0.0f;
        shares[m] = step / exponentials(own, own, seen, splat(a.scale));
        std::fill(own + seen, own + a.keys, 0.0f);
    }
    const auto* value = reinterpret_cast<const float*>(a.value);
    const int64_t bytes = bytes_of(a.epilogue.output_type);
    for (int64_t c = 0; c < a.value_size; c += kPanel) {
        const int64_t valid = a.value_size - c;
        if (valid >= kPanel) product<M, true>(scores, padded, value + c, value_stride, a.keys, kPanel, sums);
        else product<M, false>(scores, padded, value + c, value_stride, a.keys, valid, sums);
        for (int m = 0; m < M; ++m) {
            for (int n = 0; n < kAttentionVectors && n * kLanes < valid; ++n) {
                uint8_t* to = a.output + (row + m) * a.output_stride + (c + n * kLanes) * bytes;
                finish(multiply(sums[m][n], splat(shares[m])), to, valid - n * kLanes, a.epilogue);
            }
        }
    }
}

template <int... M>
void attend_rows(int64_t rows, const AttentionArgs& a, int64_t row, const float* panels, float* scores,
                 std::integer_sequence<int, M...>) {
    ((rows == M + 1 ? attend<M + 1>(a, row, panels, scores) : void()), ...);
}

void attention(const AttentionArgs& a) {
    static_assert(kAttentionRows <= max_attention_rows && kPanel <= attention_panel);
    float* panels = a.scratch;
    float* scores = a.scratch + whole_panels(a.keys) * a.size;
    for (int64_t first = 0; first < a.keys; first += kPanel) {
        float* panel = panels + first * a.size;
        for (int64_t within = 0; within < kPanel; ++within) {
            const auto* key = reinterpret_cast<const float*>(a.key + (first + within) * a.key_stride);
            const bool there = first + within < a.keys;
            for (int64_t i = 0; i < a.size; ++i) panel[i * kPanel + within] = there ? key[i] : 0.0f;
        }
    }
    const int64_t tiles = (a.queries + kAttentionRows - 1) / kAttentionRows;
    for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t row = a.queries * tile / tiles, end = a.queries * (tile + 1) / tiles;
        attend_rows(end - row, a, row, panels, scores, std::make_integer_sequence<int, kAttentionRows>{});
    }
}
