// Which instruction sets this build has and this processor (and its system) allows.
#pragma once
#include <string>
#include <vector>

#include "kernel_table.h"

namespace wb {

// Usable ones, best first; "reference" is always the last.
std::vector<std::string> usable_isas();

// The table for a name from usable_isas(); null for any other.
const KernelTable* kernels_for(const std::string& isa);

}  // namespace wb
