"""``make bench-engines``: is int8 on the page, for every embedded workload, faster than whatever else the page offers?

Every engine runs every workload in float32 and in int8, on a real page, and the page's own figures are compared: how
much faster than the strongest plain model each is, with its 95 % interval. The native engine in int8 should be faster
than that plain model and than each of the others.
"""

from __future__ import annotations

from playwright.sync_api import Page

from benchmarks._browser import WORKING, Served, milliseconds_until, opened, served, shown_speedup, wait_for_phase
from benchmarks._report import Row, table, write
from workbench.receipt import Interval

WORKLOADS = ("fashion-cnn", "fashion-mlp", "fashion-resnet8", "fashion-student")
PEERS = ("eager", "compiled", "onnxruntime", "openvino")


def measure() -> list[Row]:
    """One row for each embedded workload."""
    with served() as app, opened(app.address) as (page, _, _):
        wait_for_phase(page, "finished")
        return [_row(name, _speedups(app, page, name)) for name in WORKLOADS]


def _speedups(app: Served, page: Page, workload: str) -> dict[str, Interval]:
    """Against the workload's strongest plain model, by engine and precision."""
    choice = page.get_by_label("Workload", exact=True)
    if choice.input_value() != workload:
        _run(page, lambda: choice.select_option(workload))
    app.wait_until_idle()
    wait_for_phase(page, "finished")  # a stronger baseline may have become ready, and then it is measured again
    found = {}
    for precision, engines in (("fp32", (*PEERS, "native")), ("int8", ("native", *PEERS))):
        if precision == "int8":
            _run(page, page.get_by_role("switch", name="Quantize").click)
        for engine in engines:
            radio = page.get_by_role("radiogroup", name="Engine").get_by_role("radio", name=engine, exact=True)
            if radio.get_attribute("aria-checked") == "false":
                _run(page, radio.click)
            found[f"{engine} {precision}"] = shown_speedup(page)
    _run(page, page.get_by_role("button", name="Start over").click)
    return found


def _run(page: Page, act) -> None:
    """Do something that starts a run, and wait for its end."""
    milliseconds_until(page, WORKING, act)
    wait_for_phase(page, "finished")


def _row(workload: str, speedups: dict[str, Interval]) -> Row:
    ours = speedups["native int8"]
    peers = {key: interval for key, interval in speedups.items() if not key.startswith("native")}
    best = max(peers, key=lambda key: peers[key].value)
    return Row(
        f"{workload}: int8 on native against the strongest plain model; against the fastest peer",
        "> 1×; > 1×",
        f"{ours.value:.1f}× ({ours.low:.1f} – {ours.high:.1f}); {ours.value / peers[best].value:.1f}× ({best})",
        ours.low > max(1.0, peers[best].high),
        {key: interval.model_dump() for key, interval in speedups.items()},
    )


def main() -> None:
    """Measure, print and keep the rows."""
    rows = measure()
    print(table(rows))
    print(f"\nwritten to {write('page-engines', rows)}")


if __name__ == "__main__":
    main()
