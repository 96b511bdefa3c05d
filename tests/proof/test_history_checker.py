"""The checker is tested itself: it names every kind of bad history, and nothing in a thousand good ones."""

import pytest

from tests.proof.histories import bad, bought, good, refused
from tests.proof.history import Kind, check

BAD = bad()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_named(name: str) -> None:
    kind, history = BAD[name]
    assert {anomaly.kind for anomaly in check(history)} == {kind}


def test_there_is_a_bad_history_of_every_kind() -> None:
    assert {kind for kind, _ in BAD.values()} == set(Kind)


def test_a_thousand_good_histories_are_clean() -> None:
    assert check(bought()) == check(refused()) == []
    ends = set()
    for seed in range(1000):
        history = good(seed)
        assert check(history) == [], f"seed {seed}"
        ends |= {row.status for row in history.rows}
    assert len(ends) == 10, "The good histories do not come through every status."
