"""The delivery row as its own outbox (P8): who sends its queue message when.

A row says in `sweep_at` when dispatch sends a message for it. Whoever sends one itself puts that a little off.
"""

OUTBOX_SECONDS = 90  # how long a message that was sent is given before dispatch sends another
# What is due this soon goes to the queue at once, with a delay. Dispatch is cheaper for what is further off: it
# runs once a minute, looks a minute ahead and packs by the hundred.
NEAR_SECONDS = 90
LOOK_AHEAD_SECONDS = 60
