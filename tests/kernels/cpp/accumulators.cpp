// Sums of u8 · s8 products, bit for bit what a loop over all taps gives, on every instruction set: sizes around the
// edges of tiles, extreme zero points, strides, groups and batches drawn at random.
#include <cstdio>
#include <random>

#include "records.h"

namespace {

struct Shape {
    int64_t batch, height, width, inputs, outputs, kernel, stride, pad, groups, vectors, zero_point;
    bool depthwise, extreme;

    int64_t made(int64_t size) const { return (size + 2 * pad - kernel) / stride + 1; }
    int64_t group_inputs() const { return inputs / groups; }
    int64_t taps() const { return group_inputs() * kernel * kernel; }
};

Shape draw(std::mt19937& random) {
    auto one_of = [&](std::initializer_list<int64_t> choices) { return choices.begin()[random() % choices.size()]; };
    Shape s{};
    s.batch = one_of({0, 1, 1, 2, 17});
    s.height = one_of({1, 1, 3, 5});
    s.width = one_of({1, 2, 3, 4, 5, 13, 15, 16, 17, 31, 32, 33, 49, 64, 65});
    s.kernel = one_of({1, 1, 3});
    s.stride = one_of({1, 1, 2, 3});
    s.pad = s.kernel / 2;
    s.depthwise = random() % 4 == 0;
    const int64_t around = one_of({1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65});
    s.groups = s.depthwise ? around : one_of({1, 1, 1, 2});
    s.inputs = s.depthwise ? around : s.groups * one_of({1, 3, 4, 5, 16, 21, 22, 60, 64, 65, 129});
    s.outputs = s.depthwise ? around : s.groups * around;
    s.vectors = one_of({1, 2, 3, 4});
    s.zero_point = one_of({0, 1, 127, 128, 255});
    s.extreme = random() % 3 == 0;
    return s;
}

struct Data {
    std::vector<uint8_t> image;  // [batch][padded rows][padded columns][inputs]
    std::vector<int8_t> weights;  // [outputs][inputs / groups][kernel][kernel]
};

Data fill(const Shape& s, std::mt19937& random) {
    constexpr size_t kSlack = 128;  // kernels read whole groups, and so a little past the last pixel
    const int64_t rows = s.height + 2 * s.pad, columns = s.width + 2 * s.pad;
    Data d;
    d.image.assign(static_cast<size_t>(s.batch * rows * columns * s.inputs) + kSlack, static_cast<uint8_t>(s.zero_point));
    for (int64_t i = 0; i < s.batch * rows * columns; ++i) {
        const int64_t y = i / columns % rows - s.pad, x = i % columns - s.pad;
        if (y < 0 || y >= s.height || x < 0 || x >= s.width) continue;
        for (int64_t c = 0; c < s.inputs; ++c) {
            const auto value = static_cast<uint8_t>(s.extreme ? random() % 2 * 255 : random() % 256);
            d.image[static_cast<size_t>(i * s.inputs + c)] = value;
        }
    }
    d.weights.resize(static_cast<size_t>(s.outputs * s.taps()));
    for (int8_t& w : d.weights) w = static_cast<int8_t>(s.extreme ? random() % 2 * 255 - 128 : random() % 256 - 128);
    return d;
}

std::vector<int32_t> naive(const Shape& s, const Data& d) {
    const int64_t columns = s.width + 2 * s.pad, rows = s.height + 2 * s.pad;
    std::vector<int32_t> sums;
    for (int64_t image = 0; image < s.batch; ++image) {
        for (int64_t y = 0; y < s.made(s.height); ++y) {
            for (int64_t x = 0; x < s.made(s.width); ++x) {
                for (int64_t output = 0; output < s.outputs; ++output) {
                    const int64_t group = output / (s.outputs / s.groups);
                    const int8_t* w = d.weights.data() + output * s.taps();
                    int32_t sum = 0;
                    for (int64_t c = 0; c < s.group_inputs(); ++c) {
                        for (int64_t ky = 0; ky < s.kernel; ++ky) {
                            for (int64_t kx = 0; kx < s.kernel; ++kx) {
                                const int64_t pixel = (image * rows + y * s.stride + ky) * columns + x * s.stride + kx;
                                const int64_t at = pixel * s.inputs + group * s.group_inputs() + c;
                                sum += (d.image[static_cast<size_t>(at)] - static_cast<int32_t>(s.zero_point)) * *w++;
                            }
                        }
                    }
                    sums.push_back(sum);
                }
            }
        }
    }
    return sums;
}

std::vector<int32_t> computed(const KernelTable& kernels, const Shape& s, const Data& d, int threads) {
    const Tensor in = tensor(Place::input, 0, s.height, s.width, s.inputs, Dtype::u8, s.pad, s.zero_point);
    const Tensor out = tensor(Place::output, 0, s.made(s.height), s.made(s.width), s.outputs, Dtype::i32, 0, 0);
    Record record;
    const Kind kind = s.depthwise ? Kind::depthwise : Kind::conv;
    record.integers = {number(kind), 0, 1, -1, s.kernel, s.kernel, s.stride, s.stride, s.pad, s.pad, 1, 1};
    if (!s.depthwise) record.integers.insert(record.integers.end(), {s.groups, s.vectors});
    record.integers.insert(record.integers.end(), {s.zero_point, number(Act::clamp), 0});
    record.floats = {0, 0, 0, 1, 0, 255};
    const std::vector<float> ones(static_cast<size_t>(s.outputs), 1.0f);
    record.arrays = {raw(d.weights), raw(ones), raw(ones)};
    Program program(kernels, {in, out}, {record}, bytes(in), bytes(out), 64);
    std::vector<int32_t> sums(static_cast<size_t>(s.batch * bytes(out) / 4));
    program.run(d.image.data(), reinterpret_cast<uint8_t*>(sums.data()), s.batch, 0, threads);
    return sums;
}

}  // namespace

int main() {
    constexpr int kShapes = 400;
    std::mt19937 random(20);
    for (int i = 0; i < kShapes; ++i) {
        const Shape s = draw(random);
        const Data data = fill(s, random);
        const std::vector<int32_t> wanted = naive(s, data);
        for (const std::string& isa : all_isas()) {
            if (computed(*kernels_for(isa), s, data, 1 + i % 2) == wanted) continue;
            std::printf("%s: %ld images of %ld × %ld, channels %ld to %ld in %ld groups, kernel %ld, stride %ld, "
                        "zero point %ld, %ld vectors%s: other sums\n",
                        isa.c_str(), s.batch, s.height, s.width, s.inputs, s.outputs, s.groups, s.kernel, s.stride,
                        s.zero_point, s.vectors, s.depthwise ? ", depthwise" : "");
            return 1;
        }
    }
    std::printf("%d shapes have exact sums on", kShapes);
    for (const std::string& isa : all_isas()) std::printf(" %s", isa.c_str());
    std::puts("");
}
