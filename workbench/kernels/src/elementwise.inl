// One pass over contiguous values: conversions, activations, add and multiply. Included inside each
// instruction set's file.

void elementwise(const ElementwiseArgs& a) {
    const int64_t a_size = bytes_of(a.a_type), b_size = bytes_of(a.b_type), size = bytes_of(a.epilogue.output_type);
    const Floats a_scale = splat(a.a_scale), b_scale = splat(a.b_scale), bias = splat(a.bias), b_bias = splat(a.b_bias);
    for (int64_t i = 0; i < a.count; i += kLanes) {
        const int64_t n = a.count - i;
        Floats y = multiply_add(load_any(a.a + i * a_size, a.a_type, n), a_scale, bias);
        if (a.b_type != Dtype::none) {
            Floats other = load_any(a.b + i * b_size, a.b_type, n);
            y = a.multiply ? multiply(y, multiply_add(other, b_scale, b_bias)) : multiply_add(other, b_scale, y);
        }
        finish(y, a.output + i * size, n, a.epilogue);
    }
}
