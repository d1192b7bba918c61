// Which instruction sets this build has and this processor (and its system) allows.
#pragma once
#include <string>
#include <vector>

#include "kernel_table.h"

namespace wb {

// Usable ones, best first; "reference" is always the last.
std::vector<std::string> usable_isas();

// For tests alone: kernels of newer instruction sets with the new instructions exchanged for older ones that give
// the same bits. They show that a kernel's logic is right where the processor for it is missing.
std::vector<std::string> stand_ins();

// The table for a name from one of the two lists; null for any other.
const KernelTable* kernels_for(const std::string& isa);

}  // namespace wb
