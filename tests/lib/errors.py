# SPDX-License-Identifier: MIT
"""Outcomes of a test, and the time limit of a wait."""

import os
import time

# Sanitizer builds are several times slower: FERRY_TEST_SLOW=5 multiplies every
# time limit by 5
SLOW = float(os.environ.get("FERRY_TEST_SLOW") or 1)
WAIT = 60 * SLOW


class Failed(AssertionError):
    """The program under test behaved wrongly; the text says how."""


class Skip(Exception):
    """The test cannot run on this machine; the text says why."""


def check(condition, *what):
    """Fail with a text unless a condition holds."""
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


def equal(got, wanted, what):
    """Fail unless two values are equal."""
    check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")


def soon(got, wanted, what):
    """Fail unless got() returns a value within WAIT.

    For events: they travel on another connection than, say, the guest's
    output, and may arrive later than a line that the guest printed after them.
    """
    end = time.monotonic() + WAIT
    while (have := got()) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    equal(have, wanted, what)
