"""Makes a story that ends badly shorter, as long as it ends badly in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.legs.stage import Deed, Stage


def kinds_of(deeds: Sequence[Deed], make: Callable[[], Stage] = Stage) -> frozenset[str]:
    """Play it to its end: what kinds of faults there were."""
    stage = make()
    try:
        for deed in deeds:
            stage.do(deed)
            if stage.judge.faults:
                return stage.judge.kinds
        stage.finish()
        return stage.judge.kinds
    finally:
        stage.close()


def shortest(deeds: Sequence[Deed], kinds: frozenset[str], make: Callable[[], Stage] = Stage) -> list[Deed]:
    """Leave out what can be left out: halves first, then single deeds. Waits that are left are one each."""
    story = _joined([deed for deed in deeds if deed != ("wait", "0")])
    if not kinds & kinds_of(story, make):
        story = list(deeds)
    size = max(1, len(story) // 2)
    while size >= 1:
        at = 0
        while at < len(story):
            shorter = story[:at] + story[at + size :]
            if kinds & kinds_of(shorter, make):
                story = shorter
            else:
                at += size
        size //= 2
    return _joined(story)


def _joined(deeds: Sequence[Deed]) -> list[Deed]:
    story: list[Deed] = []
    for deed in deeds:
        if deed[0] == "wait" and story and story[-1][0] == "wait":
            story[-1] = ("wait", str(int(story[-1][1]) + int(deed[1])))
        else:
            story.append(deed)
    return story
