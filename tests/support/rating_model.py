"""What must be valid of one trace's ratings, whatever came in which order: a plain model, without a store.

Each rating knows which others' place it took. It is valid as long as nobody who is there took its place, and nobody
ended it. When one goes, the place that it took goes back: to whoever took its own, else to the newest of those it took.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Rated:
    """One rating. `rater` is (source_type, source_id); `overrides` is shown to clients, `took` is not."""

    id: str
    rater: tuple[str, str]
    name: str
    time: int
    overrides: Rated | None = None
    took: set[Rated] = field(default_factory=set)
    ended: bool = False  # retracted, or history for good

    @property
    def place(self) -> tuple[tuple[str, str], str]:
        return self.rater, self.name

    @property
    def order(self) -> tuple[int, str]:
        return self.time, self.id

    @property
    def person(self) -> bool:
        return self.rater[0] == "HUMAN"


class Model:
    """The ratings of one trace. `beside` has the (rater, name) of which MLflow's client logged more than one."""

    def __init__(self) -> None:
        self.ratings: list[Rated] = []
        self.beside: set[tuple[tuple[str, str], str]] = set()

    def valid(self) -> set[str]:
        return {one.id for one in self.ratings if self._is_valid(one)}

    def of(self, rater: tuple[str, str], name: str) -> list[Rated]:
        return [one for one in self.ratings if one.place == (rater, name)]

    # what may happen

    def rate(self, new: Rated) -> None:
        """By /feedback: it takes the place of all of that rater and name, and names the newest of them."""
        self._take_all(new)
        first = {one for one in new.took if not any(one in each.took for each in self.ratings)}
        last = first - {one.overrides for one in first}
        new.overrides = max(last, key=lambda one: one.order, default=None)
        self.ratings.append(new)

    def log(self, new: Rated) -> None:
        """By MLflow's client: it overrides what it names, and what that rater has overridden it by before."""
        others = [one for one in self.of(*new.place) if not one.ended]
        if new.overrides is not None and new.person:
            later = self._later(new.overrides)
            if new.overrides.ended:
                self._take_all(new)
            new.took |= {one for one in later if one.place == new.place and self._is_valid(one)}
        if any(one is not new.overrides and one not in new.took for one in others):
            self.beside.add(new.place)
        self.ratings.append(new)

    def retract(self, rater: tuple[str, str], name: str) -> int:
        """By /feedback: the whole history ends. Return how many were valid."""
        ended = self.of(rater, name)
        count = sum(self._is_valid(one) for one in ended)
        for one in ended:
            one.ended = True
        return count

    def delete(self, gone: Rated) -> None:
        """By MLflow's client: what it overrode comes back, unless a later one overrides that from then on."""
        was_valid = self._is_valid(gone)
        self.ratings.remove(gone)
        after = self._after(gone)
        for one in self.ratings:
            if one.overrides is gone:
                one.overrides = gone.overrides
        self._hand_over(gone, after, None, back=was_valid)
        for one in self.ratings:
            one.took.discard(gone)

    def rename(self, one: Rated, name: str) -> None:
        """By MLflow's client: it leaves the place under its old name, and takes that under the new one."""
        if name == one.name or not one.person:
            one.name = name
            return
        if not one.ended:
            was_valid = self._is_valid(one)
            kept = one.overrides if one.overrides in one.took else None
            self._hand_over(one, self._after(one), kept, back=was_valid)
            for other in self.ratings:
                other.took.discard(one)
            if was_valid:
                self._take_all(one, name)
            else:
                there = [each for each in self.of(one.rater, name) if self._is_valid(each)]
                if there:
                    max(there, key=lambda each: each.order).took.add(one)
                elif not any(each.overrides is one for each in self.ratings):
                    one.ended = True
        one.name = name
        if one.place in {(each.rater, each.name) for each in self.ratings if each is not one and not each.ended}:
            self.beside |= {one.place} if not self._is_valid(one) else set()

    # how

    def _is_valid(self, one: Rated) -> bool:
        return not one.ended and not any(each.overrides is one or one in each.took for each in self.ratings)

    def _take_all(self, new: Rated, name: str | None = None) -> None:
        others = self.of(new.rater, name or new.name)
        new.took |= {one for one in others if not one.ended and one is not new}

    def _after(self, gone: Rated) -> Rated | None:
        """Who took its place: of the same rater and name."""
        took = [one for one in self.ratings if gone in one.took]
        named = [one for one in self.ratings if one.overrides is gone and one.place == gone.place]
        return max(took or named, key=lambda one: one.order, default=None)

    def _hand_over(self, gone: Rated, after: Rated | None, kept: Rated | None, *, back: bool) -> None:
        left = {one for one in gone.took if not one.ended}
        gone.took = set()
        # those that stay behind somebody else anyway
        first = {one for one in left if not any(one in each.took for each in self.ratings if each is not gone)}
        if not first:
            return
        if after is None and kept in first:
            after = kept
        elif after is None:
            named = {each.overrides for each in self.ratings}
            free = {one for one in first if one not in named}
            after = max(free or first, key=lambda one: one.order)
            if not back and after not in named:
                after.ended = True
        assert after is not None
        after.took |= first - {after}

    def _later(self, one: Rated) -> set[Rated]:
        found: set[Rated] = set()
        queue = [one]
        while queue:
            last = queue.pop()
            for each in self.ratings:
                if each not in found and (each.overrides is last or last in each.took):
                    found.add(each)
                    queue.append(each)
        return found
