#!/bin/sh
# Install the pinned torch: the CUDA build where there is an NVIDIA GPU, the much smaller CPU build elsewhere.
set -eu
pip=$1
version=$(sed -n 's/^torch==//p' constraints.txt)
install="$pip install --quiet --disable-pip-version-check"

if $pip show --quiet torch 2>/dev/null; then
    exit 0
elif [ "$(uname -s)" != Linux ] || command -v nvidia-smi >/dev/null 2>&1; then
    $install "torch==$version"
else
    # The CPU build carries a local version; only PyTorch's own index has it unless one is configured.
    $install "torch==$version+cpu" 2>/dev/null ||
        $install "torch==$version+cpu" --extra-index-url https://download.pytorch.org/whl/cpu ||
        $install "torch==$version"
fi
