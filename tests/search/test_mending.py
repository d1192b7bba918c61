"""What is measured next, and what is best of it, where losses and times don't add up."""

from __future__ import annotations

import itertools
import random

import pytest

from workbench.receipt import Interval
from workbench.search.knapsack import Option, Options, fastest
from workbench.search.mending import Measured, best, lifted, lowered, search

BUDGET = 1.0
LAYERS = tuple("abcdefgh")


def exactly(value: float, spread: float = 0.0) -> Interval:
    return Interval(value=value, low=value - spread, high=value + spread)


def measured(name: str, loss: float, speedup: float | None, spread: float = 0.01) -> Measured:
    return Measured({"layer": name}, exactly(loss), None if speedup is None else exactly(speedup, spread))


class Machine:
    """Models of layers that are exact or in one of two schemes: ``together`` times what their losses add up to."""

    def __init__(self, seed: int, together: float) -> None:
        draw = random.Random(seed)
        self.options: Options = {
            layer: {
                "fp32": Option(draw.uniform(2, 4)),
                "int8": Option(draw.uniform(0.8, 1.5), draw.uniform(0, 0.2), draw.uniform(0, 1)),
                "int4": Option(draw.uniform(0.2, 1), draw.uniform(0.1, 0.8), draw.uniform(1, 2)),
            }
            for layer in LAYERS
        }
        self._together = together
        self.asked: list[dict[str, str]] = []

    def figures(self, assignment) -> tuple[float, float]:
        chosen = [self.options[layer][scheme] for layer, scheme in assignment.items()]
        changes = sum(assignment[a] != assignment[b] for a, b in itertools.pairwise(LAYERS))
        return self._together * sum(each.loss for each in chosen), sum(
            each.latency_ms for each in chosen
        ) + 0.1 * changes

    def measure(self, assignment) -> Measured:
        self.asked.append(dict(assignment))
        loss, took_ms = self.figures(assignment)
        plain_ms = self.figures(dict.fromkeys(LAYERS, "int8"))[1]
        return Measured(assignment, exactly(loss), exactly(plain_ms / took_ms, 0.01) if loss <= BUDGET else None)

    def search(self) -> tuple[Measured | None, Measured, list[Measured]]:
        """The best, int8 in all layers, and what was measured on the way."""
        known = [self.measure(dict.fromkeys(LAYERS, scheme)) for scheme in ("fp32", "int8")]
        found = list(search(self.options, BUDGET, BUDGET, known, self.measure))
        return best([*known, *found], BUDGET, known[1]), known[1], found


@pytest.mark.parametrize("together", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(8))
def test_what_it_ends_in_is_within_the_budget_and_no_slower_than_int8_where_that_is(seed, together):
    machine = Machine(seed, together)
    chosen, plain, _ = machine.search()
    assert chosen.loss.value <= BUDGET
    if plain.fits(BUDGET):
        assert chosen.speedup.value >= 1


@pytest.mark.parametrize("seed", range(8))
def test_where_estimates_are_too_kind_the_measured_model_is_mended_until_it_fits(seed):
    machine = Machine(seed, together=2.0)
    chosen, _, found = machine.search()
    assert found[0].assignment == fastest(machine.options, BUDGET)
    assert not found[0].fits(BUDGET)
    assert any(each.fits(BUDGET) for each in found)
    assert chosen.speedup.value >= max(each.speedup.value for each in found if each.fits(BUDGET)) - 0.01


@pytest.mark.parametrize("seed", range(8))
def test_where_estimates_are_too_harsh_what_is_left_is_spent(seed):
    machine = Machine(seed, together=0.4)
    chosen, _, found = machine.search()
    assert found[0].fits(BUDGET)
    assert chosen.speedup.value > found[0].speedup.value


@pytest.mark.parametrize("together", [0.5, 1.0, 3.0])
def test_no_model_is_measured_twice_on_the_way_and_few_are(together):
    machine = Machine(1, together)
    _, _, found = machine.search()
    assert len({frozenset(each.assignment.items()) for each in found}) == len(found)
    assert len(found) < 3 * len(LAYERS)


def test_of_models_that_are_as_fast_the_one_that_loses_least_is_best():
    plain = measured("plain", 0.8, 1.0)
    close, faster = measured("close", 0.2, 1.995), measured("faster", 0.9, 2.0)
    assert best([plain, close, faster], BUDGET, plain) is close
    slower = measured("slower", 0.1, 1.9)
    vague = measured("vague", 0.9, 2.0, spread=1.0)
    assert best([plain, slower, vague], BUDGET, plain) is vague
    assert best([plain, slower, faster], BUDGET, plain) is faster


def test_nothing_slower_than_int8_is_preferred_to_it_however_wide_the_intervals():
    plain = Measured({"layer": "plain"}, exactly(0.8), exactly(1.0))
    vague, faster = measured("vague", 0.0, 0.9), measured("faster", 0.9, 1.01, spread=0.5)
    assert best([plain, vague, faster], BUDGET, plain) is plain
    too_lossy = Measured({"layer": "plain"}, exactly(1.5), exactly(1.0))
    assert best([too_lossy, vague], BUDGET, too_lossy) is vague


def test_what_is_beyond_the_budget_or_failed_is_never_best():
    plain = measured("plain", 1.2, 1.0)
    failed = Measured({"layer": "failed"}, None, None)
    assert best([plain, failed, measured("unknown", 0.1, None)], BUDGET, plain) is None


def test_layers_that_give_most_back_for_their_time_are_lifted_first():
    options = {
        "dear": {"fp32": Option(9.0), "int8": Option(1.0, 0.5)},
        "cheap": {"fp32": Option(2.0), "int8": Option(1.0, 0.5)},
    }
    both = {"dear": "int8", "cheap": "int8"}
    assert lifted(options, both, 0.5) == {"dear": "int8", "cheap": "fp32"}
    assert lifted(options, both, 0.6) == {"dear": "fp32", "cheap": "fp32"}
    assert lifted(options, {"dear": "fp32", "cheap": "fp32"}, 0.5) is None


def test_where_no_loss_is_known_errors_tell_which_layer_to_lift():
    options = {
        "quiet": {"fp32": Option(2.0), "int8": Option(1.0, 0.0, 0.01)},
        "loud": {"fp32": Option(2.0), "int8": Option(1.0, 0.0, 0.5)},
    }
    assert lifted(options, {"quiet": "int8", "loud": "int8"}, 0.5) == {"quiet": "int8", "loud": "fp32"}


def test_a_loss_that_the_examples_leave_in_doubt_is_tried():
    options = {"a": {"fp32": Option(9.0), "int8": Option(1.0, 0.4, least_loss=0.1)}}
    assert lowered(options, {"a": "fp32"}, 0.2) == [{"a": "int8"}]
    assert lowered(options, {"a": "fp32"}, 0.05) == []


def test_layers_are_lowered_one_at_a_time_where_it_saves_enough_and_may_fit():
    options = {
        "much": {"fp32": Option(9.0), "int8": Option(1.0, 0.4)},
        "some": {"fp32": Option(3.0), "int8": Option(1.0, 0.4)},
        "nothing": {"fp32": Option(1.0), "int8": Option(0.99, 0.0)},
        "lossy": {"fp32": Option(9.0), "int8": Option(1.0, 0.6)},
    }
    exact = dict.fromkeys(options, "fp32")
    assert lowered(options, exact, 0.5) == [{**exact, "much": "int8"}, {**exact, "some": "int8"}]
    assert lowered(options, exact, 0.3) == []
    assert lowered(options, {**exact, "much": "int4"}, 0.5) == [{**exact, "much": "int4", "some": "int8"}]
