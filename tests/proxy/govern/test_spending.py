"""Accounts of budgets that calls came for: those whose period runs, the newest of them."""

from proxy.govern.spending import Spending
from proxy.judge.budgets import Account


def account(key: int, until_us: int = 100, limit: int = 10) -> Account:
    return Account("acme", "", "team", key, limit, until_us)


def test_an_account_is_known_until_its_period_is_over():
    spending = Spending()
    spending.note([account(1), account(2, until_us=200)])
    assert spending.running(99) == [account(1), account(2, until_us=200)]
    assert spending.running(100) == [account(2, until_us=200)]
    assert spending.running(99) == [account(2, until_us=200)]


def test_a_new_limit_takes_the_place_of_the_old_one():
    spending = Spending()
    spending.note([account(1)])
    spending.note([account(1, limit=20)])
    assert spending.running(0) == [account(1, limit=20)]
    spending.forget()
    assert spending.running(0) == []


def test_beyond_the_bound_the_one_goes_that_was_heard_of_least_recently():
    spending = Spending(2)
    spending.note([account(1), account(2)])
    spending.note([account(1), account(3)])
    assert [each.key for each in spending.running(0)] == [1, 3]
