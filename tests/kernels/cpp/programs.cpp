// Random programs on every instruction set beside the naive reference: for the sanitizers, which see what Python
// can't. Prints the first difference and fails.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <random>
#include <thread>

#include "records.h"

namespace {

struct Shape {
    int64_t size, inputs, outputs, kernel, stride, padding, groups, vectors;
    bool u8;
};

constexpr int64_t kClamp = number(Act::clamp), kZeroPoint = 7;
const float kInfinity = INFINITY;

// Weights of so many outputs and taps, scales and biases.
std::vector<std::vector<uint8_t>> layer(int64_t outputs, int64_t taps, bool u8, std::mt19937& random) {
    std::vector<int8_t> whole(static_cast<size_t>(outputs * taps));
    std::vector<float> real(whole.size());
    for (size_t i = 0; i < whole.size(); ++i) {
        whole[i] = static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
        real[i] = static_cast<float>(whole[i]) / 128;
    }
    const auto channels = static_cast<size_t>(outputs);
    return {u8 ? raw(whole) : raw(real), raw(std::vector<float>(channels, u8 ? 0.003f : 1.0f)),
            raw(std::vector<float>(channels, 0.25f))};
}

// image in → convolution (or depthwise) → max pool → out as floats
std::unique_ptr<Program> make(const KernelTable& kernels, const Shape& s, std::mt19937& random) {
    const Dtype dtype = s.u8 ? Dtype::u8 : Dtype::f32;
    const int64_t made = (s.size + 2 * s.padding - s.kernel) / s.stride + 1, pooled = (made + 1) / 2;
    const int64_t zero_point = s.u8 ? kZeroPoint : 0;
    Tensor image = tensor(Place::arena, 0, s.size, s.size, s.inputs, dtype, s.padding, zero_point);
    Tensor conv = tensor(Place::arena, bytes(image) + 64, made, made, s.outputs, dtype, 0, 0);
    Tensor pool = tensor(Place::arena, conv.offset + bytes(conv) + 64, pooled, pooled, s.outputs, dtype, 0, 0);
    Tensor out = tensor(Place::output, 0, pooled, pooled, s.outputs, Dtype::f32, 0, 0);
    const int64_t arena = pool.offset + bytes(pool) + 64;
    const float low = static_cast<float>(-zero_point), high = 255 + low;
    const std::vector<float> ending{0, -kInfinity, kInfinity, 1, low, high};

    Record in;
    in.integers = {number(Kind::image_in), 0, kClamp, zero_point};
    in.floats = ending;
    in.floats.push_back(s.u8 ? 40.0f : 1.0f);

    Record convolution;
    const bool alone = s.groups == s.inputs && s.groups == s.outputs && s.groups > 1;
    const Kind kind = alone ? Kind::depthwise : Kind::conv;
    convolution.integers = {number(kind), 0, 1, -1, s.kernel, s.kernel, s.stride, s.stride, s.padding, s.padding, 1, 1};
    if (!alone) convolution.integers.insert(convolution.integers.end(), {s.groups, s.vectors});
    convolution.integers.insert(convolution.integers.end(), {zero_point, kClamp, zero_point});
    convolution.floats = ending;
    convolution.arrays = layer(s.outputs, (s.inputs / s.groups) * s.kernel * s.kernel, s.u8, random);

    Record pooling;
    pooling.integers = {number(Kind::pool), 1, 2, 2, 2, 2, 2, 0, 0, 1, 1, 0, 1, zero_point, zero_point};
    pooling.floats = {1};

    Record last;
    last.integers = {number(Kind::elementwise), 2, -1, 3, 0, kClamp, 0};
    last.floats = {0, -kInfinity, kInfinity, 1, 0, 0, 1, 1, 0, 0};
    return std::make_unique<Program>(kernels, std::vector<Tensor>{image, conv, pool, out},
                                     std::vector<Record>{in, convolution, pooling, last},
                                     s.size * s.size * s.inputs * 4, bytes(out), arena);
}

// image in → each pixel twice both ways → a transposed convolution of stride 2 → out as floats
std::unique_ptr<Program> make_upsampled(const KernelTable& kernels, int64_t size, int64_t channels, bool u8,
                                        std::mt19937& random) {
    const Dtype dtype = u8 ? Dtype::u8 : Dtype::f32;
    const int64_t zero_point = u8 ? kZeroPoint : 0, twice = 2 * size;
    const Tensor image = tensor(Place::arena, 0, size, size, channels, dtype, 0, 0);
    const Tensor larger = tensor(Place::arena, bytes(image) + 64, twice, twice, channels, dtype, 0, 0);
    const Tensor largest = tensor(Place::arena, larger.offset + bytes(larger) + 64, 2 * twice, 2 * twice, channels, dtype, 0, 0);
    const Tensor out = tensor(Place::output, 0, 2 * twice, 2 * twice, channels, Dtype::f32, 0, 0);
    std::vector<Tensor> tensors{image, larger, largest, out};
    const float low = static_cast<float>(-zero_point), high = 255 + low;
    const std::vector<float> ending{0, -kInfinity, kInfinity, 1, low, high};

    std::vector<Record> records(2);
    records[0].integers = {number(Kind::image_in), 0, kClamp, zero_point};
    records[0].floats = ending;
    records[0].floats.push_back(u8 ? 40.0f : 1.0f);
    std::vector<int32_t> rows, columns, whole;
    for (int64_t i = 0; i < twice; ++i) rows.push_back(static_cast<int32_t>(i / 2 * size * channels));
    for (int64_t i = 0; i < twice; ++i) columns.push_back(static_cast<int32_t>(i / 2 * channels));
    for (int64_t i = 0; i < channels; ++i) whole.push_back(static_cast<int32_t>(i));
    records[1].integers = {number(Kind::gather), 0, 1};
    records[1].arrays = {raw(rows), raw(columns), raw(whole)};
    for (int64_t y = 0; y < 2; ++y) {
        for (int64_t x = 0; x < 2; ++x) {
            Tensor part = largest;
            part.offset += y * part.row_pitch + x * part.pixel_pitch;
            part.height = part.width = twice;
            part.row_pitch *= 2;
            part.pixel_pitch *= 2;
            Record convolution;
            convolution.integers = {number(Kind::conv), 1, static_cast<int64_t>(tensors.size()), -1, 1, 1, 1, 1, 0, 0, 1, 1, 1,
                                    2, zero_point, kClamp, zero_point};
            convolution.floats = ending;
            convolution.arrays = layer(channels, channels, u8, random);
            tensors.push_back(part);
            records.push_back(convolution);
        }
    }
    Record last;
    last.integers = {number(Kind::elementwise), 2, -1, 3, 0, kClamp, 0};
    last.floats = {0, -kInfinity, kInfinity, 1, 0, 0, 1, 1, 0, 0};
    records.push_back(last);
    return std::make_unique<Program>(kernels, tensors, records, size * size * channels * 4, bytes(out),
                                     largest.offset + bytes(largest) + 64);
}

struct Tolerance {
    float absolute, relative;
};
constexpr Tolerance kSteps{1, 0};         // u8: a sum of float roundings at the edge between two steps
constexpr Tolerance kSums{1e-4f, 1e-4f};  // f32: another order of summation
// bf16: a share at the edge between two of them falls to either side, 2⁻⁸ away, and the norm behind divides by the spread
// of what softmax gave.
constexpr Tolerance kHalves{0.05f, 0.05f};
// A state at the edge between two bytes falls to either side, 1 / 127 away, and is multiplied by weights below 1/8.
constexpr Tolerance kStates{0.01f, 0};

bool close(const std::vector<float>& a, const std::vector<float>& b, Tolerance tolerance) {
    for (size_t i = 0; i < a.size(); ++i) {
        const float allowed = tolerance.absolute + tolerance.relative * std::fabs(a[i]);
        if (!(std::fabs(a[i] - b[i]) <= allowed)) {
            std::printf("element %zu: %g, not %g\n", i, static_cast<double>(b[i]), static_cast<double>(a[i]));
            return false;
        }
    }
    return true;
}

// embedding → layer norm → attention over heads of it → softmax → group norm, out as floats
std::unique_ptr<Program> make_sequence(const KernelTable& kernels, int64_t tokens, int64_t heads, int64_t size,
                                       bool halves, std::mt19937& random) {
    constexpr int64_t kWords = 9;
    const int64_t width = heads * size;
    auto rows = [](Place place, int64_t offset, int64_t count, int64_t channels) {
        return Tensor{place, offset, count, 1, channels, channels * 4, channels * 4, Dtype::f32, 0, 0, 0, 0, 0};
    };
    const int64_t step = tokens * width * 4 + 64;
    Tensor ids = rows(Place::input, 0, 1, tokens);
    std::vector<Tensor> tensors{ids};
    for (int64_t i = 0; i < 4; ++i) tensors.push_back(rows(Place::arena, i * step, tokens, width));
    tensors.push_back(rows(Place::output, 0, tokens, width));
    tensors.push_back(rows(Place::arena, 4 * step, heads, attention_scratch(tokens, size, size)));
    Tensor head = tensors[2];
    head.channels = size;
    tensors.push_back(head);

    const std::vector<float> ending{0, -kInfinity, kInfinity, 1, 0, 0};
    auto with = [&](std::vector<float> more) {
        std::vector<float> floats = ending;
        floats.insert(floats.end(), more.begin(), more.end());
        return floats;
    };
    std::vector<float> table(static_cast<size_t>(kWords * width));
    for (float& v : table) v = static_cast<float>(random() % 2001) / 1000 - 1;
    const std::vector<float> gain(static_cast<size_t>(width), 1.5f), shift(static_cast<size_t>(width), 0.25f);
    Record embedding, layer_norm, attention, softmax, group_norm;
    embedding.integers = {number(Kind::embedding), 0, 1, kClamp, 0};
    embedding.floats = with({1});
    embedding.arrays = {raw(table)};
    layer_norm.integers = {number(Kind::layer_norm), 1, 2, kClamp, 0};
    layer_norm.floats = with({1e-5f});
    layer_norm.arrays = {raw(gain), raw(shift)};
    attention.integers = {number(Kind::attention), 7, 7, 7, 3, 6, size * 4, size * 4, size * 4, heads, tokens % 2, halves,
                          kClamp, 0};
    attention.floats = with({0.3f});
    softmax.integers = {number(Kind::softmax), 3, 4};
    group_norm.integers = {number(Kind::group_norm), 4, 5, heads, kClamp, 0};
    group_norm.floats = with({1e-5f});
    group_norm.arrays = {raw(gain), raw(shift)};
    return std::make_unique<Program>(kernels, tensors,
                                     std::vector<Record>{embedding, layer_norm, attention, softmax, group_norm},
                                     tokens * 4, tokens * width * 4, 4 * step + bytes(tensors[6]) + 64);
}

struct RecurrentLayer {
    int64_t steps, hidden, directions;
    bool lstm;
    int64_t bytes;  // of weights and states: none, weights alone, both

    int64_t width() const { return hidden * directions; }
    int64_t gates() const { return lstm ? 4 : 3; }
    int64_t state_bytes() const { return (hidden + 3) / 4 * 4 * directions; }
};

std::unique_ptr<Program> make_recurrent(const KernelTable& kernels, const RecurrentLayer& s, std::mt19937& random) {
    auto rows = [](Place place, int64_t count, int64_t channels) {
        Tensor t = tensor(place, 0, count, 1, channels, Dtype::f32, 0, 0);
        t.row_pitch = t.pixel_pitch;
        return t;
    };
    const std::vector<Tensor> tensors{rows(Place::input, s.steps, s.gates() * s.width()),
                                      rows(Place::output, s.steps, s.width()), rows(Place::arena, 1, s.width()),
                                      tensor(Place::arena, s.width() * 4, 2, 1, s.state_bytes(), Dtype::u8, 0, 0)};
    const auto outputs = static_cast<size_t>(s.gates() * s.width());
    std::vector<int8_t> whole(outputs * static_cast<size_t>(s.hidden));
    std::vector<float> real(whole.size());
    for (size_t i = 0; i < whole.size(); ++i) {
        whole[i] = static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
        real[i] = static_cast<float>(whole[i]) / 1024;
    }
    Record record;
    record.integers = {number(Kind::recurrent), 0, 1, s.lstm ? 2 : -1, s.bytes == 2 ? 3 : -1,
                       number(s.lstm ? Cell::lstm : Cell::gru), s.directions, s.bytes ? 8 : 32};
    const float step = (s.bytes ? 1.0f / 1024 : 1.0f) / (s.bytes == 2 ? state_steps : 1.0f);
    record.arrays = {s.bytes ? raw(whole) : raw(real), raw(std::vector<float>(outputs, step)),
                     raw(std::vector<float>(outputs, 0.25f))};
    return std::make_unique<Program>(kernels, tensors, std::vector<Record>{record}, bytes(tensors[0]), bytes(tensors[1]),
                                     bytes(tensors[2]) + bytes(tensors[3]) + 64);
}

// Each instruction set, alone and with threads, gives what the first gives, which is the reference.
template <class Make>
bool agree(const std::vector<std::string>& isas, const std::vector<float>& input, int64_t batch, int64_t outputs,
           Tolerance tolerance, Make make) {
    std::vector<float> wanted;
    for (const std::string& name : isas) {
        auto program = make(*kernels_for(name));
        for (auto [chunk, threads] : {std::pair{0, 1}, {0, 3}, {2, 2}}) {
            std::vector<float> output(static_cast<size_t>(batch * outputs));
            program->run(reinterpret_cast<const uint8_t*>(input.data()), reinterpret_cast<uint8_t*>(output.data()),
                         batch, chunk, threads);
            if (wanted.empty()) wanted = output;
            if (!close(wanted, output, tolerance)) {
                std::printf("on %s\n", name.c_str());
                return false;
            }
        }
    }
    return true;
}

bool check(const Shape& s, unsigned seed) {
    constexpr int64_t kBatch = 5;
    const int64_t made = (s.size + 2 * s.padding - s.kernel) / s.stride + 1, pooled = (made + 1) / 2;
    std::mt19937 random(seed);
    std::vector<float> input(static_cast<size_t>(kBatch * s.size * s.size * s.inputs));
    for (float& v : input) v = static_cast<float>(random() % 2001) / 1000 - 1;
    const auto made_for = [&](const KernelTable& kernels) {
        std::mt19937 again(seed + 1);
        return make(kernels, s, again);
    };
    const int64_t outputs = pooled * pooled * s.outputs;
    const bool same = agree(all_isas(), input, kBatch, outputs, s.u8 ? kSteps : kSums, made_for);
    if (!same) std::printf("size %ld, channels %ld to %ld, kernel %ld\n", s.size, s.inputs, s.outputs, s.kernel);
    return same;
}

bool check_upsampled(int64_t size, int64_t channels, bool u8, unsigned seed) {
    constexpr int64_t kBatch = 3;
    std::mt19937 random(seed);
    std::vector<float> input(static_cast<size_t>(kBatch * size * size * channels));
    for (float& v : input) v = static_cast<float>(random() % 2001) / 1000 - 1;
    const auto made_for = [&](const KernelTable& kernels) {
        std::mt19937 again(seed + 1);
        return make_upsampled(kernels, size, channels, u8, again);
    };
    const bool same = agree(all_isas(), input, kBatch, 16 * size * size * channels, u8 ? kSteps : kSums, made_for);
    if (!same) std::printf("upsampled, size %ld, %ld channels\n", size, channels);
    return same;
}

// `halves`: with attention in bf16, on the instruction sets that have it.
bool check_sequence(int64_t tokens, int64_t heads, int64_t size, bool halves, unsigned seed) {
    constexpr int64_t kBatch = 3;
    std::vector<std::string> isas = all_isas();
    if (halves) std::erase_if(isas, [](const std::string& name) { return !kernels_for(name)->attention_bf16; });
    std::mt19937 random(seed);
    std::vector<float> ids(static_cast<size_t>(kBatch * tokens));
    for (float& id : ids) id = static_cast<float>(random() % 12) - 1;  // some outside the table: never read there
    const auto made_for = [&](const KernelTable& kernels) {
        std::mt19937 again(seed + 1);
        return make_sequence(kernels, tokens, heads, size, halves, again);
    };
    const bool same = agree(isas, ids, kBatch, tokens * heads * size, halves ? kHalves : kSums, made_for);
    if (!same) std::printf("%ld tokens, %ld heads of %ld, %s\n", tokens, heads, size, halves ? "bf16" : "f32");
    return same;
}

bool check_recurrent(const RecurrentLayer& s, unsigned seed) {
    constexpr int64_t kBatch = 8;
    std::mt19937 random(seed);
    std::vector<float> input(static_cast<size_t>(kBatch * s.steps * s.gates() * s.width()));
    for (float& v : input) v = static_cast<float>(random() % 2001) / 1000 - 1;
    const auto made_for = [&](const KernelTable& kernels) {
        std::mt19937 again(seed + 1);
        return make_recurrent(kernels, s, again);
    };
    const bool same = agree(all_isas(), input, kBatch, s.steps * s.width(), s.bytes == 2 ? kStates : kSums, made_for);
    if (!same) std::printf("%s of %ld, %ld steps, %ld directions\n", s.lstm ? "lstm" : "gru", s.hidden, s.steps, s.directions);
    return same;
}

// One program from several threads at once must give what it gives alone.
bool check_threads() {
    const Shape s{12, 3, 20, 3, 1, 1, 1, 2, true};
    std::mt19937 random(1);
    auto program = make(*kernels_for(usable_isas().front()), s, random);
    const std::vector<float> input(3 * 12 * 12 * 3, 0.5f);
    auto run = [&] {
        std::vector<float> output(3 * 6 * 6 * 20);
        program->run(reinterpret_cast<const uint8_t*>(input.data()), reinterpret_cast<uint8_t*>(output.data()), 3, 1, 2);
        return output;
    };
    const std::vector<float> alone = run();
    std::atomic<bool> same{true};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) same = same && run() == alone;
        });
    }
    for (std::thread& thread : threads) thread.join();
    return same;
}

}  // namespace

int main() {
    unsigned seed = 0;
    for (int64_t size : {1, 7, 16, 33}) {
        for (int64_t kernel : {1, 3}) {
            for (int64_t outputs : {1, 15, 33, 64}) {
                for (bool u8 : {true, false}) {
                    const int64_t stride = 1 + seed % 2, padding = kernel / 2, vectors = 1 + seed % 4;
                    ++seed;
                    if (!check({size, 3, outputs, kernel, stride, padding, 1, vectors, u8}, seed)) return 1;
                    if (outputs > 1 && !check({size, outputs, outputs, kernel, stride, padding, outputs, 1, u8}, seed)) return 1;
                }
            }
        }
    }
    for (int64_t size : {1, 3, 6}) {
        for (int64_t channels : {1, 15, 33}) {
            for (bool u8 : {false, true}) {
                ++seed;
                if (!check_upsampled(size, channels, u8, seed)) return 1;
            }
        }
    }
    for (int64_t tokens : {1, 5, 16, 33}) {
        for (int64_t size : {1, 8, 17, 40}) {
            for (bool halves : {false, true}) {
                ++seed;
                if (!check_sequence(tokens, 1 + seed % 3, size, halves, seed)) return 1;
            }
        }
    }
    for (int64_t hidden : {1, 5, 16, 33, 70}) {
        for (bool lstm : {false, true}) {
            for (int64_t bytes : {0, 1, 2}) {
                ++seed;
                if (!check_recurrent({1 + seed % 7, hidden, 1 + seed % 2, lstm, bytes}, seed)) return 1;
            }
        }
    }
    if (!check_threads()) return std::puts("threads disturb each other"), 1;
    std::printf("%u programs agree on every instruction set\n", seed);
}
