# SPDX-License-Identifier: MIT
"""What can come out of a test, and how long a wait may take."""

import os
import time

# Sanitizer builds are several times slower: FERRY_TEST_SLOW=5 stretches waits
SLOW = float(os.environ.get("FERRY_TEST_SLOW") or 1)
WAIT = 60 * SLOW


class Failed(AssertionError):
    """The program under test did not do what it should."""


class Skip(Exception):
    """This can't be tested here; the text says why."""


def check(condition, *what):
    """Fail with a text unless something holds."""
    if not condition:
        raise Failed(" ".join(str(w) for w in what))


def equal(got, wanted, what):
    """Fail unless two things are the same."""
    check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")


def soon(got, wanted, what):
    """Fail unless got() gives something, now or in a while: events, say, which
    come on a way of their own, later than what another way has told."""
    end = time.monotonic() + WAIT
    while (have := got()) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    equal(have, wanted, what)
