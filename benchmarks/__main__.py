"""`python -m benchmarks [LETTER …] [--json] [--scale …]`: exit status 1 where a bar is missed."""

import argparse
import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from . import (
    answering,
    balance_health,
    balance_sheets,
    charging,
    comparing,
    exporting,
    gas,
    gas_screens,
    healing,
    importing,
    journal,
    listing,
    migrating,
    pacing,
    posting,
    previewing,
    recalculating,
    revenue,
    running,
    saving,
    sealing,
    targeting,
    verifying,
    waiting,
    wallets,
)
from .report import Report, table
from .world import World, new_world

BENCHES: dict[str, tuple[str, Callable[[World, float], Report]]] = {
    "a": ("verifying a large book", verifying.measure),
    "b": ("saving an order", saving.measure),
    "c": ("the live preview", previewing.measure),
    "d": ("the list of orders", listing.measure),
    "e": ("the list as CSV", exporting.measure),
    "f": ("the list of targets", targeting.measure),
    "g": ("importing order lines", importing.measure),
    "h": ("sealing and searching the audit trail", sealing.measure),
    "i": ("verifying and healing", healing.measure),
    "j": ("pages beside a run", pacing.measure),
    "k": ("recalculating customers", recalculating.measure),
    "l": ("posting a payment", posting.measure),
    "m": ("the revenue report", revenue.measure),
    "n": ("the empty signed-in route", answering.measure),
    "o": ("beside django-computedfields", comparing.measure),
    "p": ("figures that run from row to row", running.measure),
    "q": ("charging a wallet", charging.measure),
    "r": ("the wallets of the product", wallets.measure),
    "s": ("the gas of the product", gas.measure),
    "t": ("gas on the screen", gas_screens.measure),
    "v": ("posting entries of the journal", journal.measure),
    "w": ("saving beside a heal", waiting.measure),
    "x": ("the health of the balance sheet", balance_health.measure),
    "y": ("the page of the balance sheet", balance_sheets.measure),
    "z": ("the dry run of the migration", migrating.measure),
}
"""Letter → what is measured, and the function that measures it."""


def main() -> int:
    """Run the chosen benchmarks and print their results; returns 0 if every bar is met, else 1."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, _stop)
    reports: dict[str, Report] = {}
    with new_world() as world:
        settings = world.settings()
        for letter in asked.benches:
            title, measure = BENCHES[letter]
            print(f"({letter}) {title} …", file=sys.stderr)
            reports[letter] = measure(world, asked.scale)
    figures = [figure for report in reports.values() for figure in report.figures]
    if asked.json:
        print(json.dumps(_as_dict(reports, settings, asked.scale), ensure_ascii=False, indent=1))
    else:
        for report in reports.values():
            for title, text in report.texts.items():
                print(f"\n── {title}\n{text}")
        print("\n" + ", ".join(f"{name} {value}" for name, value in settings.items()))
        print(_machine(asked.scale) + "\n\n" + table(figures))
    return 1 if any(figure.missed_by for figure in figures) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "benches", nargs="*", metavar="LETTER", help="which to run (all without any)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="of the full size and repetitions, like 0.01; 5 is five times",
    )
    asked = parser.parse_args()
    if not comparing.is_installed():
        if "o" in asked.benches:
            parser.error("(o) needs django-computedfields; `make bench-compare` installs it.")
        print("(o) is left out: `make bench-compare` measures it.", file=sys.stderr)
    asked.benches = asked.benches or [
        letter for letter in BENCHES if letter != "o" or comparing.is_installed()
    ]
    if unknown := [name for name in asked.benches if name not in BENCHES]:
        parser.error(f"{unknown[0]} is none of {', '.join(BENCHES)}.")
    if not 0 < asked.scale < math.inf:
        parser.error("The scale is a share of the full size: more than 0.")
    return asked


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(143)  # unwinds the context managers, so that the cluster is removed


def _machine(scale: float) -> str:
    size = "full size" if scale == 1 else f"NOT the full size: scale {scale:g}, of no weight"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} processors, load {load}; {size}"


def _as_dict(reports: dict[str, Report], settings: dict[str, str], scale: float) -> dict[str, Any]:
    return {
        "scale": scale,
        "processors": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "settings": settings,
        "figures": [f.as_dict() for report in reports.values() for f in report.figures],
        "numbers": {letter: report.numbers for letter, report in reports.items()},
        "texts": {letter: report.texts for letter, report in reports.items()},
    }


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
