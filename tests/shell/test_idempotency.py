"""One effect per form, whatever is repeated, replayed or sent twice at once. FAULTS.md, lines 23 and 24."""

import threading

import pytest
from sqlalchemy import func, select
from werkzeug.datastructures import MultiDict

from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.people.models import IdempotencyKey
from backoffice.web.idempotency import (
    IdempotencyMismatch,
    UnusableIdempotencyKey,
    digest,
    new_key,
    once,
    remember,
)
from tests.signing_in import someone


@pytest.fixture
def user_id(app):
    """The user who sends the form."""
    return someone(app, "finance")


def send(user_id, key, body, *, action="customers.create", fail=False):
    """The pattern of every view that has an effect: claim, work, remember."""
    names = {"user_id": user_id, "action": action, "key": key}
    earlier = once(db.session, **names, body=body)
    if earlier is not None:
        return earlier
    customer = Customer(code=body["code"], name=body["code"])
    db.session.add(customer)
    db.session.flush()
    if fail:
        raise RuntimeError("half way")
    answer = {"location": f"/customers/{customer.id}"}
    remember(db.session, **names, response=answer)
    return answer


def customers(session):
    session.rollback()
    return session.scalar(select(func.count()).select_from(Customer))


def test_a_repeated_form_gets_the_first_answer_and_acts_once(session, user_id):
    key = new_key()
    first = send(user_id, key, {"code": "A"})
    session.commit()
    assert send(user_id, key, {"code": "A"}) == first == {"location": "/customers/1"}
    session.commit()
    assert customers(session) == 1


def test_another_body_under_the_same_key_is_refused(session, user_id):
    key = new_key()
    send(user_id, key, {"code": "A"})
    session.commit()
    with pytest.raises(IdempotencyMismatch):
        send(user_id, key, {"code": "B"})
    assert customers(session) == 1
    assert IdempotencyMismatch.status == 422


def test_keys_of_other_users_and_other_forms_are_other_keys(app, session, user_id):
    key, colleague = new_key(), someone(app, "finance")
    send(user_id, key, {"code": "A"})
    send(colleague, key, {"code": "B"})
    send(user_id, key, {"code": "C"}, action="customers.copy")
    session.commit()
    assert customers(session) == 3


def test_a_form_that_failed_may_be_sent_again(session, user_id):
    key = new_key()
    with pytest.raises(RuntimeError):
        send(user_id, key, {"code": "A"}, fail=True)
    session.rollback()
    send(user_id, key, {"code": "A"})
    session.commit()
    assert customers(session) == 1


@pytest.mark.parametrize("first_one_fails", [False, True])
def test_a_concurrent_twin_waits_for_the_first_one(app, session, user_id, first_one_fails):
    key, answers, inside, go = new_key(), [], threading.Event(), threading.Event()

    def first():
        with app.app_context():
            answers.append(send(user_id, key, {"code": "A"}))
            inside.set()
            go.wait(10)
            db.session.rollback() if first_one_fails else db.session.commit()

    def twin():
        with app.app_context():
            answers.append(send(user_id, key, {"code": "A"}))
            db.session.commit()

    threads = [threading.Thread(target=first), threading.Thread(target=twin)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    threads[1].join(0.5)
    assert threads[1].is_alive()  # waiting, not working
    go.set()
    for thread in threads:
        thread.join(10)
    assert customers(session) == 1
    assert len(answers) == 2
    assert (answers[0] == answers[1]) is not first_one_fails


def test_thirty_two_twins_at_once_have_one_effect(app, session, user_id):
    key, answers, together = new_key(), [], threading.Barrier(8)

    def twin():
        with app.app_context():
            together.wait()
            for _ in range(4):
                answers.append(send(user_id, key, {"code": "A"})["location"])
                db.session.commit()

    threads = [threading.Thread(target=twin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 32
    assert len(set(answers)) == 1
    assert customers(session) == 1


@pytest.mark.parametrize("key", ["", "x" * 101])
def test_a_form_without_a_usable_key_is_refused(session, user_id, key):
    with pytest.raises(UnusableIdempotencyKey):
        once(session, user_id=user_id, action="a", key=key, body={})
    assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0


def test_the_digest_sees_contents_and_not_tokens_or_order():
    form = MultiDict([("a", "1"), ("b", "2"), ("b", "3"), ("csrf_token", "x")])
    same = MultiDict([("b", "2"), ("b", "3"), ("a", "1"), ("idempotency_key", "y")])
    swapped = MultiDict([("a", "1"), ("b", "3"), ("b", "2")])
    assert digest(form) == digest(same)
    assert digest(form) != digest(swapped)
    assert digest({"a": "1"}) != digest({"a": "1", "b": ""})
    assert digest({"ab": "c"}) != digest({"a": "bc"})
