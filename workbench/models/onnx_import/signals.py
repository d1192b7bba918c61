"""Fourier transforms."""

from __future__ import annotations

import torch
from torch import fx

from workbench.models.onnx_import.scope import Scope, operator


@operator("DFT")
def _fourier(scope: Scope) -> fx.Node:
    axis = scope.numbers(2) if scope.has(2) else scope.attribute("axis", -2 if scope.build.opset >= 20 else 1)
    inverse, onesided = bool(scope.attribute("inverse", 0)), bool(scope.attribute("onesided", 0))
    return scope.call(_fourier_of, scope.tensor(0), scope.numbers(1), axis, inverse, onesided)


def _fourier_of(data, length, axis, inverse, onesided):
    """On [batch, …, 1 or 2], the last dimension real and imaginary parts."""
    length, axis = (each[0] if isinstance(each, list) else each for each in (length, axis))
    axis = axis % data.ndim
    if inverse and onesided:  # half of a spectrum in, real values out
        return torch.fft.irfft(torch.view_as_complex(data.contiguous()), length, axis).unsqueeze(-1)
    values = torch.view_as_complex(data.double().contiguous()) if data.shape[-1] == 2 else data.double().squeeze(-1)
    spectrum = (torch.fft.ifft if inverse else torch.fft.fft)(values, length, axis)
    if onesided:
        spectrum = spectrum.narrow(axis, 0, spectrum.shape[axis] // 2 + 1)
    return torch.view_as_real(spectrum).to(data.dtype)


@operator("STFT")
def _short_fourier(scope: Scope) -> fx.Node:
    onesided = bool(scope.attribute("onesided", 1))
    return scope.call(_short_fourier_of, scope.tensor(0), scope.numbers(1), scope.tensor(2), scope.numbers(3), onesided)


def _short_fourier_of(signal, step, window, length, onesided):
    values = torch.view_as_complex(signal.contiguous()) if signal.shape[-1] == 2 else signal.squeeze(-1)
    frames = values.unfold(1, len(window) if length is None else length, step)
    frames = frames if window is None else frames * window
    spectrum = torch.fft.fft(frames)
    if onesided:
        spectrum = spectrum[..., : frames.shape[-1] // 2 + 1]
    return torch.view_as_real(spectrum)
