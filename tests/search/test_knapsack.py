"""The fastest assignment by figures that add up."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.search.knapsack import UNITS, Option, Options, fastest

BUDGET = 1.0


@st.composite
def tables(draw) -> Options:
    """A few layers, each exact and in up to three schemes."""
    some = st.builds(Option, st.floats(0.1, 10.0), st.floats(0.0, 2 * BUDGET))
    layers = draw(st.integers(1, 5))
    exact = [{"fp32": Option(draw(st.floats(0.1, 10.0)))} for _ in range(layers)]
    return {
        str(number): each | {f"s{row}": draw(some) for row in range(draw(st.integers(0, 3)))}
        for number, each in enumerate(exact)
    }


def totals(options: Options, assignment) -> tuple[float, float]:
    chosen = [options[layer][scheme] for layer, scheme in assignment.items()]
    return sum(each.latency_ms for each in chosen), sum(each.loss for each in chosen)


@settings(max_examples=50, deadline=None)
@given(tables())
def test_nothing_within_the_budget_is_faster_but_for_what_losses_are_rounded_up_by(options):
    took_ms, lost = totals(options, fastest(options, BUDGET))
    assert lost <= BUDGET * (1 + 1e-9)
    rounding = len(options) * BUDGET / UNITS  # each layer's loss is rounded up to the next unit
    every = (dict(zip(options, schemes, strict=True)) for schemes in itertools.product(*options.values()))
    all_totals = [totals(options, each) for each in every]
    assert took_ms <= min(ms for ms, loss in all_totals if loss <= BUDGET - rounding) + 1e-9


def test_each_layer_has_one_of_its_schemes():
    options = {
        "a": {"fp32": Option(2.0), "int8": Option(1.0, 0.4)},
        "b": {"fp32": Option(3.0), "int4": Option(1.0, 0.5)},
    }
    assert fastest(options, 1.0) == {"a": "int8", "b": "int4"}
    assert fastest(options, 0.6) == {"a": "fp32", "b": "int4"}
    assert fastest(options, 0.1) == {"a": "fp32", "b": "fp32"}


@pytest.mark.parametrize("budget", [0.0, 1e-12])
def test_of_nothing_to_spare_only_what_costs_nothing_is_taken(budget):
    options = {
        "a": {"fp32": Option(2.0), "int8": Option(1.0, 0.4)},
        "b": {"fp32": Option(2.0), "int8": Option(1.0, 0.0)},
    }
    assert fastest(options, budget) == {"a": "fp32", "b": "int8"}


def test_a_model_without_layers_has_the_empty_assignment():
    assert fastest({}, 1.0) == {}
