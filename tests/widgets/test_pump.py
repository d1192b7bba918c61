from __future__ import annotations

import asyncio
import threading
import time

import pytest
import traitlets as t

from workbench.widgets.page.pump import FLUSHES_PER_SECOND, Pump, Urgency


class Thing(t.HasTraits):
    value = t.Int()


@pytest.fixture
def thing():
    thing = Thing()
    thing.seen = []
    thing.times = []
    thing.threads = set()

    def note(change):
        thing.seen.append(change["new"])
        thing.times.append(time.monotonic())
        thing.threads.add(threading.current_thread())

    thing.observe(note, "value")
    return thing


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_of_many_values_given_at_once_only_the_last_is_set(thing):
    pump = Pump()
    with pump._flushing:  # nothing is written before all were given
        for value in range(1, 101):
            pump.put(thing, value=value)
    pump.flush()
    assert thing.seen[-1] == 100
    assert len(thing.seen) <= 2


def test_a_flood_from_many_threads_ends_with_the_last_value_on_the_loop_s_thread(thing):
    async def flood():
        pump = Pump()
        threads = [
            threading.Thread(target=lambda: [pump.put(thing, value=n) or time.sleep(0.002) for n in range(1, 200)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        await until(lambda: not any(thread.is_alive() for thread in threads))
        pump.put(thing, value=1_000)
        await until(lambda: thing.seen and thing.seen[-1] == 1_000)
        return threading.current_thread()

    assert thing.threads == {asyncio.run(flood())}


def test_it_never_writes_more_often_than_it_promises(thing):
    async def flood():
        pump = Pump()
        for number in range(1, 400):
            pump.put(thing, (Urgency.LIVE, Urgency.FIRST_FIGURES, Urgency.ANSWER)[number % 3], value=number)
            await asyncio.sleep(0.005)
        await until(lambda: thing.seen[-1] == 399)

    asyncio.run(flood())
    for first, later in zip(thing.times, thing.times[FLUSHES_PER_SECOND:], strict=False):
        # a flush notes its time just before it writes: the writes may be closer by how long setting a trait takes
        assert later - first >= 0.95


def test_the_answer_to_a_click_does_not_wait_for_the_live_figures(thing):
    async def click():
        pump = Pump()
        pump.put(thing, value=1)
        await until(lambda: thing.seen == [1])
        pump.put(thing, value=2)
        waiting = list(thing.seen)
        pump.put(thing, Urgency.ANSWER, value=3)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return waiting

    assert asyncio.run(click()) == [1]
    assert thing.seen == [1, 3]


def test_first_figures_leave_flushes_for_answers_to_clicks(thing):
    async def crowd():
        pump = Pump()
        for number in range(1, Urgency.FIRST_FIGURES + 2):
            pump.put(thing, Urgency.FIRST_FIGURES, value=number)
            await asyncio.sleep(0.01)
        waiting = list(thing.seen)
        pump.put(thing, Urgency.ANSWER, value=99)
        await asyncio.sleep(0.01)
        return waiting

    waiting = asyncio.run(crowd())
    assert waiting == list(range(1, Urgency.FIRST_FIGURES + 1))
    assert thing.seen == [*waiting, 99]


def test_it_works_in_a_process_without_a_running_loop(thing):
    written = threading.Event()
    thing.observe(lambda _: written.set(), "value")
    Pump().put(thing, value=7)
    assert written.wait(10)
    assert thing.seen == [7]


def test_one_task_that_fails_does_not_keep_the_others_from_running(thing):
    pump = Pump()
    tasks = {"bad": lambda: 1 / 0, "good": lambda: setattr(thing, "value", 5)}
    pump._tasks = {name: (Urgency.LIVE, task) for name, task in tasks.items()}
    with pytest.raises(ZeroDivisionError):
        pump.flush()
    assert thing.seen == [5]


def test_in_one_flush_the_more_urgent_comes_first_whenever_it_was_asked_for():
    pump, ran = Pump(), []
    urgencies = {"behind": Urgency.LIVE, "also": Urgency.LIVE, "answer": Urgency.ANSWER}
    pump._tasks = {name: (urgency, lambda name=name: ran.append(name)) for name, urgency in urgencies.items()}
    pump.flush()
    assert ran == ["answer", "behind", "also"]
