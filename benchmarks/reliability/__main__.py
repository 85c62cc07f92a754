"""Measurements of what the service does when things go wrong: `python -m benchmarks.reliability NAME`."""

import sys
from importlib import import_module

SCENARIOS = ("overload", "slow_senders", "memory", "departures", "lost_worker", "rolling_restart", "client_faults")


def main() -> int:
    """Run the scenario that the command line names; the exit code says whether its figures were met."""
    if len(sys.argv) != 2 or sys.argv[1] not in SCENARIOS:
        sys.exit(f"usage: python -m benchmarks.reliability {{{','.join(SCENARIOS)}}}")
    code: int = import_module(f"benchmarks.reliability.{sys.argv[1]}").main()
    return code


if __name__ == "__main__":
    sys.exit(main())
