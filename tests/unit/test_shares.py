"""What became of a batch, divided among the pieces that its spans came from."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from collector.pipeline.shares import apportion
from exporters.base import Delivery
from exporters.tally import owner_of, workspace_of

owners = st.builds(owner_of, st.sampled_from(["red", "blue"]), st.sampled_from(["", "cart", "ship"]))
fates = st.tuples(st.sampled_from([None, "rule", "dead_letter"]), st.sampled_from([None, "cart", "mail"]))
"""Why a span was dropped, if it was, and the name of its service behind the processors, if that is another."""
spans = st.lists(st.tuples(st.integers(0, 4), owners, fates), max_size=60)


@given(spans)
def test_each_piece_has_what_became_of_its_own_spans_and_all_together_what_became_of_all(
    spans: list[tuple[int, str, tuple[str | None, str | None]]],
) -> None:
    pieces: dict[int, Counter[str]] = {}
    delivery = Delivery()
    for piece, owner, (reason, service) in spans:
        pieces.setdefault(piece, Counter())[owner] += 1
        now = owner if service is None else owner_of(workspace_of(owner), service)
        if reason is None:
            delivery.store({now: 1})
        else:
            delivery.drop(reason, {now: 1})
        if now != owner:
            delivery.rename({owner: 1}, {now: 1})

    shares = apportion(pieces, delivery)

    together = Delivery()
    for piece, share in shares.items():
        assert +share.came() == pieces[piece]
        together.add(share)
        of_workspaces: Counter[str] = Counter()
        for owner, count in share.renamed.items():
            of_workspaces[workspace_of(owner)] += count
        assert not any(of_workspaces.values()), "spans of one workspace stand for those of another"
    assert +together.stored == +delivery.stored
    assert {reason: +owners for reason, owners in together.dropped.items()} == delivery.dropped
    assert {owner: count for owner, count in together.renamed.items() if count} == {
        owner: count for owner, count in delivery.renamed.items() if count
    }
