from proxy.judge.claims import (
    NONE,
    Answer,
    BreakerRule,
    Claim,
    Hold,
    Mode,
    Permit,
    Scope,
    Settle,
    Signal,
    Tail,
    Take,
    Undo,
    again,
    named,
    owner_of,
    taken_back,
)

RULE = BreakerRule()
HOUR_US = 3_600_000_000


def take(key: int, scope: Scope, *, reserve: bool) -> Take:
    return Take(key, scope, 7, NONE, NONE, Mode.ENFORCE, reserve, HOUR_US)


def test_an_owner_who_was_allowed_on_has_another_name_and_can_be_told():
    owner = owner_of("t", "run-0123456789abcdef")
    for number in (0, 1, 2**64 - 1):
        assert again(owner, number) != owner
        assert named(again(owner, number)) == (owner, number)
    assert again("", 7) == ""
    assert named(owner) == (owner, None)
    assert named("") == ("", None)


def test_owners_contain_the_tenant_and_nobody_is_nobody():
    assert owner_of("t", "run") == "t\0run"
    assert owner_of("t", "") == ""


def test_what_an_admission_took_is_taken_back_once_each():
    claims: list[Claim] = [
        take(1, Scope.RUN, reserve=False),
        take(2, Scope.SESSION, reserve=False),  # the call is in no session
        take(3, Scope.OWN, reserve=False),
        take(4, Scope.ROOT, reserve=True),
        Permit(5, Mode.ENFORCE, RULE),
        Tail(6, Scope.RUN, (1,), 5, HOUR_US),
    ]
    holds = (Hold(4, "t\0root", 7, 0, 3), Hold(5, "", 0, 9, 4))
    answer = Answer(True, (), holds, owners=("", "t\0run", "t\0root", ""))
    assert taken_back(claims, answer) == [
        Undo(1, "t\0run", 7),
        Undo(3, "", 7),
        Settle(4, "t\0root", 7, 0, HOUR_US),
        Signal(5, 0, 9, RULE, 0),
    ]
