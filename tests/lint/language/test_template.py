from firewall.lint.language.carrier import REQUEST_LINE, STATUS_LINE, header_carrier, places
from firewall.lint.language.search import Bound, Question
from firewall.lint.language.template import DIALOG_HELD, Template
from firewall.ruleset.expression import Comparison, Field
from tests.lint.language.messages import ANSWER, TEMPLATE


def test_a_request_has_no_status_line_and_an_answer_no_request_line() -> None:
    request, answer = Template(TEMPLATE, ()), Template(ANSWER, ())
    assert (request.is_fixed(REQUEST_LINE), request.is_fixed(STATUS_LINE)) == (False, True)
    assert (answer.is_fixed(REQUEST_LINE), answer.is_fixed(STATUS_LINE)) == (True, False)


def test_held_carriers_are_named_in_any_spelling() -> None:
    template = Template(TEMPLATE, {"User-Agent", "f", "body"})
    assert all(template.is_fixed(header_carrier(name)) for name in ("user-agent", "From", "Content-Length"))
    assert not template.is_fixed(header_carrier("To"))


def test_what_identifies_the_dialog_is_asked_for_with_every_question() -> None:
    template = Template(TEMPLATE, DIALOG_HELD)
    some, _ = template.held_at(header_carrier("From"))
    assert {bound.atom for bound in some} == {Comparison(Field("sip.from.tag"), "==", "f1")}
    some, none = template.held_at(header_carrier("To"))
    assert (len(some), len(none)) == (0, 1)


def test_near_is_what_no_condition_speaks_of() -> None:
    place = places(Field("sip.from.user"))[0]
    bound = Bound(Comparison(Field("sip.from.user"), "==", "911"), place.groups)
    near = Template(TEMPLATE, ()).near(Question(place.carrier, frozenset((bound,)), frozenset()))
    assert near is not None
    assert dict(near.kept) == {"host": b"192.0.2.10", "tag": b"f1"}
