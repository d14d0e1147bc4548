"""An alarm calls when what was said last has passed, and at no other time, with one timer at most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from gateway.transport.alarm import NEVER, Alarm

ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(1, 20)),
        st.tuples(st.just("pass"), st.integers(1, 20)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("stop"), st.just(0)),
    ),
    max_size=30,
)


@given(ACTS)
def test_it_calls_when_the_last_time_has_come_and_never_else(acts):
    clock, called, wanted, due = Clock(), [], [], NEVER
    alarm = Alarm(clock, lambda: called.append(clock.seconds()))
    for act, seconds in acts:
        if act == "set":
            alarm.set(seconds)
            due = clock.seconds() + seconds
        elif act == "pass":
            for _ in range(seconds):
                clock.advance(1)
                if clock.seconds() >= due:
                    wanted.append(clock.seconds())
                    due = NEVER
        else:
            getattr(alarm, act)()
            due = NEVER
        assert called == wanted
        assert len(clock.getDelayedCalls()) <= (0 if act == "stop" else 1)
