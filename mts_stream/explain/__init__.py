"""One result, or one refusal, taken apart down to the raw messages that it was computed from.

logs.py       the raw log: a capture, or a partition of mts.raw from a time on
following.py  an engine that is told the log and remembers what each book rests on
finding.py    at which record a signal was sent, or a direction last evaluated
answering.py  the log read again up to there, and the engine looked into
sent.py       what was sent: signals.jsonl beside a capture, or mts.signals
verdict.py    the outcome in one sentence; view.py: everything for a terminal
command.py    `mts-stream explain`
"""
