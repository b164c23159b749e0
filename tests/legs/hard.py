"""The sequences that were hardest: those that have found a fault, and those in which most goes on at once.

They are played in every run, and on a real switch (tests/e2e/test_hard_legs.py).
"""

from __future__ import annotations

from tests.legs.stage import Deed

HARD: dict[str, list[Deed]] = {
    # Found: they were told to have been moved while they waited.
    "a whole talk while the link is down, and handed on": [
        ("call", "c1", "sales"),
        ("wait", "1000"),
        ("answer", "1001a"),
        ("wait", "35"),
        ("cut", "9000"),
        ("agent_refers", "1001a", "lab_voicemail"),
        ("wait", "2000"),
    ],
    # Found: they were told to have been transferred, or to have hung up.
    "picked up while an agent answers, and on to another phone": [
        ("call", "c1", "sales"),
        ("wait", "1200"),
        ("answer", "1001a"),
        ("wait", "30"),
        ("pick", "c2", "c1", "1003"),
        ("wait", "1200"),
        ("replace", "c3", "c1"),
    ],
    # Found: who took over a place while no daemon listened heard music for ever.
    "a place is taken over while nobody listens": [
        ("call", "c1", "support"),
        ("wait", "700"),
        ("kill", "12000"),
        ("replace", "c2", "c1"),
        ("wait", "9000"),
    ],
    # Found: a new daemon waited for the first word of a caller whom it knew, and who had been moved by then.
    "moved before the new daemon has heard a word of them": [
        ("call", "c1", "support"),
        ("wait", "3000"),
        ("kill", "5000"),
        ("wait", "1200"),
        ("move", "c1"),
        ("wait", "30000"),
    ],
    # Found: the agent was cut off a second after the caller had gone on at another phone of theirs.
    "the caller of a talk moves to another phone": [
        ("call", "c1", "support"),
        ("wait", "1000"),
        ("answer", "1001b"),
        ("wait", "3000"),
        ("replace", "c2", "c1"),
        ("wait", "4000"),
        ("agent_hangs_up", "1001b"),
    ],
    # Found: who took the place was replaced in turn before anything was heard of them, and waited for nobody.
    "a place is handed on before it is taken": [
        ("call", "c1", "support"),
        ("wait", "1000"),
        ("replace", "c2", "c1"),
        ("wait", "2"),
        ("replace", "c3", "c2"),
        ("wait", "3000"),
        ("answer", "1001a"),
        ("wait", "3000"),
        ("agent_hangs_up", "1001a"),
    ],
    "a caller who is being picked up moves to another phone, twice": [
        ("call", "c2", "support"),
        ("wait", "700"),
        ("pick", "c4", "c2", ""),
        ("wait", "1500"),
        ("replace", "c5", "c2"),
        ("wait", "1200"),
        ("replace", "c6", "c5"),
        ("wait", "3000"),
    ],
    "a fork that was ordered by a daemon that is dead": [
        ("call", "c1", "support"),
        ("wait", "1000"),
        ("kill", "1000"),
        ("wait", "2000"),
        ("answer", "1001b"),
        ("wait", "10000"),
        ("agent_hangs_up", "1001b"),
    ],
    "the second phone answers, and the agent talks for long": [
        ("call", "c1", "support"),
        ("wait", "500"),
        ("answer", "1001b"),
        ("wait", "10000"),
        ("agent_hangs_up", "1001b"),
    ],
    "two answers, and the caller is picked up": [
        ("call", "c2", "support"),
        ("wait", "2000"),
        ("answer", "1001a"),
        ("answer", "1001b"),
        ("wait", "1500"),
        ("pick", "c3", "c2", ""),
        ("wait", "3000"),
    ],
    "an agent hands their caller over to a queue in which others wait": [
        ("call", "c1", "support"),
        ("wait", "1000"),
        ("answer", "1001a"),
        ("wait", "2000"),
        ("agent_consults", "1001a", "c2", "sales"),
        ("wait", "3000"),
        ("agent_hands_over", "1001a", "c2"),
        ("wait", "3000"),
        ("hang_up", "c1"),
    ],
    "parked for long, put back, and taken by an agent who moves": [
        ("call", "c1", "support"),
        ("wait", "1000"),
        ("park", "c1"),
        ("wait", "28000"),
        ("unpark", "c1"),
        ("wait", "2000"),
        ("answer", "1001a"),
        ("wait", "2000"),
        ("agent_moves", "1001a", "c2"),
        ("wait", "3000"),
    ],
    "bridged with one, then with another": [
        ("call", "c1", "support"),
        ("wait", "1000"),
        ("bridge", "c2", "c1"),
        ("wait", "1000"),
        ("bridge", "c3", "c1"),
        ("wait", "3000"),
    ],
    "refused by one, diverted by the other, and answered by the next": [
        ("call", "c1", "support"),
        ("wait", "1000"),
        ("refuse", "1001a", "USER_BUSY"),
        ("wait", "500"),
        ("refuse", "1001b", "REDIRECTION_TO_NEW_DESTINATION"),
        ("wait", "1000"),
        ("refuse", "1002a", "CALL_REJECTED"),
        ("wait", "1000"),
        ("answer", "1002b"),
        ("wait", "3000"),
        ("hang_up", "c1"),
    ],
    "bridged with somebody who goes before the bridge is made": [
        ("call", "c5", "sales"),
        ("wait", "3000"),
        ("bridge", "c6", "c5"),
        ("hang_up", "c6"),
    ],
    "bridged, and sent away before the bridge is made": [
        ("call", "c1", "sales"),
        ("wait", "60"),
        ("bridge", "c4", "c1"),
        ("refer", "c1", "lab_voicemail"),
    ],
    "bridged, and bridged again with somebody who goes before that is made": [
        ("call", "c2", "sales"),
        ("wait", "30"),
        ("bridge", "c3", "c2"),
        ("bridge", "c4", "c2"),
        ("hang_up", "c4"),
        ("wait", "40000"),
    ],
}
