// One time step of a GRU or LSTM for a block of its units: the state before times the recurrent weights of all gates
// together, then the gates. Included inside each instruction set's file, which gives kRecurrentRows before: the rows
// whose sums of four gates fit its registers beside a factor for each row and a weight, and DotU8S8.
//
// Weights: [unit of the state before][gate][units of the block], floats or bytes; for a state in bytes [group of four
// units before][gate][units of the block][4 bytes].

enum class Factors { f32, f32s8, u8s8 };  // the state's and the weights'

constexpr int kRecurrentVectors = 2;  // with four gates, enough sums side by side to hide a multiplication's latency
constexpr int64_t kRecurrentUnits = kRecurrentVectors * kLanes;

// Sums of one row for V vectors of units from the given one on, and M rows so.
template <int kGates, Factors kFactors, int M, int V>
void multiply_floats(const RecurrentArgs& a, int64_t row, int64_t vector, float (*sums)[kGates][kRecurrentUnits]) {
    constexpr bool kBytes = kFactors == Factors::f32s8;
    constexpr int64_t kSize = kBytes ? 1 : 4, kLine = kGates * kRecurrentUnits * kSize;
    Floats sum[M][kGates][V];
    const float* state[M];
    for (int m = 0; m < M; ++m) {
        state[m] = reinterpret_cast<const float*>(a.state + (row + m) * a.state_stride);
        for (auto& gate : sum[m]) {
            for (Floats& each : gate) each = splat(0.0f);
        }
    }
    const uint8_t* weights = a.weights + vector * kLanes * kSize;
    for (int64_t i = 0; i < a.inputs; ++i, weights += kLine) {
        Floats x[M];
        for (int m = 0; m < M; ++m) x[m] = splat(state[m][i]);
        for (int gate = 0; gate < kGates; ++gate) {
            for (int v = 0; v < V; ++v) {
                const uint8_t* at = weights + (gate * kRecurrentUnits + v * kLanes) * kSize;
                const Floats w = kBytes ? load_s8(at) : load_f32(at, kLanes);
                for (int m = 0; m < M; ++m) sum[m][gate][v] = multiply_add(x[m], w, sum[m][gate][v]);
            }
        }
    }
    for (int m = 0; m < M; ++m) {
        for (int gate = 0; gate < kGates; ++gate) {
            for (int v = 0; v < V; ++v) store_f32(sums[m][gate] + (vector + v) * kLanes, sum[m][gate][v], kLanes);
        }
    }
}

template <int kGates, int M, int V>
void multiply_bytes(const RecurrentArgs& a, int64_t row, int64_t vector, float (*sums)[kGates][kRecurrentUnits]) {
    constexpr int64_t kLine = kGates * kRecurrentUnits * 4;
    Ints sum[M][kGates][V];
    const uint8_t* state[M];
    for (int m = 0; m < M; ++m) {
        state[m] = a.state_bytes + (row + m) * a.bytes_stride;
        for (int gate = 0; gate < kGates; ++gate) {
            for (int v = 0; v < V; ++v) {
                const int32_t* start = a.start + gate * kRecurrentUnits + (vector + v) * kLanes;
                sum[m][gate][v] = a.inputs ? load_i32(start, kLanes) : zero_ints();
            }
        }
    }
    const uint8_t* weights = a.weights + vector * kLanes * 4;
    for (int64_t i = 0; i < a.inputs; i += 4, weights += kLine) {
        decltype(DotU8S8::broadcast(state[0])) x[M];
        for (int m = 0; m < M; ++m) x[m] = DotU8S8::broadcast(state[m] + i);
        for (int gate = 0; gate < kGates; ++gate) {
            for (int v = 0; v < V; ++v) {
                const auto w = DotU8S8::load_weight(weights + (gate * kRecurrentUnits + v * kLanes) * 4);
                for (int m = 0; m < M; ++m) sum[m][gate][v] = DotU8S8::dot(sum[m][gate][v], x[m], w);
            }
        }
    }
    for (int m = 0; m < M; ++m) {
        for (int gate = 0; gate < kGates; ++gate) {
            for (int v = 0; v < V; ++v) {
                store_f32(sums[m][gate] + (vector + v) * kLanes, to_floats(sum[m][gate][v]), kLanes);
            }
        }
    }
}

template <int kGates, Factors kFactors, int M, int V>
void multiply_state(const RecurrentArgs& a, int64_t row, int64_t vector, float (*sums)[kGates][kRecurrentUnits]) {
    if constexpr (kFactors == Factors::u8s8) multiply_bytes<kGates, M, V>(a, row, vector, sums);
    else multiply_floats<kGates, kFactors, M, V>(a, row, vector, sums);
}

// Vectors of one row on its way through the gates.
struct GateRow {
    const RecurrentArgs& a;
    int64_t row;

    Floats entering(int gate, int64_t unit) const {
        const auto* x = reinterpret_cast<const float*>(a.input + row * a.input_stride);
        return load_f32(x + gate * a.hidden + unit, a.units - unit);
    }
    Floats recurrent(const float* sums, int gate, int64_t unit) const {
        const int64_t at = gate * kRecurrentUnits + unit;
        return multiply_add(load_f32(sums + at, kLanes), load_f32(a.scale + at, kLanes), load_f32(a.bias + at, kLanes));
    }
    Floats before(int64_t unit) const {
        if (a.inputs == 0) return splat(0.0f);
        return load_f32(reinterpret_cast<const float*>(a.state + row * a.state_stride) + a.first + unit, a.units - unit);
    }
    void give(Floats state, int64_t unit) const {
        store_f32(reinterpret_cast<float*>(a.output + row * a.output_stride) + unit, state, a.units - unit);
        if (a.output_bytes == nullptr) return;
        const Ints steps = round_to_ints(multiply(state, splat(state_steps)));
        store_u8(a.output_bytes + row * a.bytes_stride + unit, add(steps, splat_int(state_zero_point)), a.units - unit);
    }
};

// The formulas are in kernel_table.h. Not inlined: every size of tile would carry a copy.
struct Gru {
    static constexpr int kGates = 3;
    [[gnu::noinline]] static void finish_row(const RecurrentArgs& a, int64_t row, const float* sums) {
        const GateRow of{a, row};
        for (int64_t unit = 0; unit < a.units; unit += kLanes) {
            const Floats reset = sigmoid(add(of.entering(0, unit), of.recurrent(sums, 0, unit)));
            const Floats update = sigmoid(add(of.entering(1, unit), of.recurrent(sums, 1, unit)));
            const Floats made = multiply_add(reset, of.recurrent(sums, 2, unit), of.entering(2, unit));
            const Floats candidate = hyperbolic_tangent(made);
            of.give(multiply_add(update, subtract(of.before(unit), candidate), candidate), unit);
        }
    }
};

struct Lstm {
    static constexpr int kGates = 4;
    [[gnu::noinline]] static void finish_row(const RecurrentArgs& a, int64_t row, const float* sums) {
        const GateRow of{a, row};
        auto* memory = reinterpret_cast<float*>(a.memory + row * a.memory_stride);
        for (int64_t unit = 0; unit < a.units; unit += kLanes) {
            const auto gate = [&](int number) { return add(of.entering(number, unit), of.recurrent(sums, number, unit)); };
            const int64_t valid = a.units - unit;
            const Floats kept = a.inputs == 0 ? splat(0.0f) : multiply(sigmoid(gate(1)), load_f32(memory + unit, valid));
            const Floats remembered = multiply_add(sigmoid(gate(0)), hyperbolic_tangent(gate(2)), kept);
            store_f32(memory + unit, remembered, valid);
            of.give(multiply(sigmoid(gate(3)), hyperbolic_tangent(remembered)), unit);
        }
    }
};

template <class Cell, Factors kFactors, int... M>
void recurrent_rows(const RecurrentArgs& a, std::integer_sequence<int, M...>) {
    using Tile = void (*)(const RecurrentArgs&, int64_t, int64_t, float (*)[Cell::kGates][kRecurrentUnits]);
    constexpr Tile kTiles[] = {multiply_state<Cell::kGates, kFactors, M + 1, 1>...};
    constexpr int64_t kMost = sizeof...(M);
    float sums[kMost][Cell::kGates][kRecurrentUnits];
    for (int64_t row = 0, count = 0; row < a.rows; row += count) {
        const int64_t left = a.rows - row, tiles = (left + kMost - 1) / kMost;
        count = (left + tiles - 1) / tiles;  // sizes that differ by at most one
        if (count == 1 && a.units > kLanes) {
            multiply_state<Cell::kGates, kFactors, 1, kRecurrentVectors>(a, row, 0, sums);
        } else {
            for (int64_t vector = 0; vector * kLanes < a.units; ++vector) kTiles[count - 1](a, row, vector, sums);
        }
        for (int64_t m = 0; m < count; ++m) Cell::finish_row(a, row + m, sums[m][0]);
    }
}

template <class Cell, Factors kFactors>
void recurrent(const RecurrentArgs& a) {
    recurrent_rows<Cell, kFactors>(a, std::make_integer_sequence<int, kRecurrentRows>{});
}
