"""When Python looks for garbage: rarely, for a worker makes no cycles, and never among what stays for its life."""

import gc

YOUNG_MAX = 50_000  # objects made and not freed until the young ones are looked through: a fetched batch is fewer
MIDDLE_EVERY, OLD_EVERY = 20, 50


def look_seldom() -> None:
    """Leave out what stands now (modules, classes, settings), and look through the rest less often.

    Python's own 700 objects are less than a batch of records: each batch is then looked through while it is handled,
    which was a twentieth of a worker's time (docs/performance.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_EVERY, OLD_EVERY)
