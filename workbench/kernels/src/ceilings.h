// The most that this processor does for the kernels: what a layer's time is held against.
#pragma once
#include "kernel_table.h"

namespace wb {

// Multiply-adds a second of the convolution tiles for a type on one thread, their data in the first cache; 0: this
// instruction set has none.
double multiply_adds_per_second(const KernelTable& kernels, Dtype dtype);

// Bytes a second that one thread reads from `bytes` of memory of its own, over and over.
double bytes_per_second(const KernelTable& kernels, int64_t bytes);

}  // namespace wb
