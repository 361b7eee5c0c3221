"""Clauses of agreements."""

from .. import pools
from ._kind import FactKind

__all__ = ["KINDS"]

_NOTICE = FactKind(
    name="notice_period",
    key=pools.AGREEMENT,
    value=pools.DAYS,
    facts=(
        "The {key} can be ended with a notice of {value}.",
        "Either party may terminate the {key} by giving notice of {value}.",
        "Clause 14. Termination. Notice under the {key} shall be {value}.",
        "Whoever wants to leave the {key} must say so {value} ahead.",
        "The {key} ends {value} after one side has given notice in writing.",
        "The notice period of the {key} is {value}.",
        "Notice under the {key} takes effect after {value}.",
        "§ 9 (2) The period of notice of the {key} amounts to {value}.",
        "Termination of the {key} requires notice of {value}, by registered letter.",
        "A party to the {key} is bound for another {value} once it has given notice.",
    ),
    questions=(
        "What is the notice period of the {key}?",
        "With how much notice can the {key} be ended?",
        "How long before its end must notice under the {key} be given?",
        "How far ahead must one say that one wants to leave the {key}?",
        "After what time does notice under the {key} take effect?",
        "Give the period of notice of the {key}.",
        "How long is a party still bound by the {key} after giving notice?",
        "What period of notice does termination of the {key} require?",
        "Which notice period applies to the {key}?",
        "How much time lies between notice and the end of the {key}?",
    ),
    phrases=(
        "the notice period of the {key}",
        "the notice required to end the {key}",
        "the period of notice of the {key}",
        "the time after which notice under the {key} takes effect",
    ),
)

_LIABILITY = FactKind(
    name="liability_cap",
    key=pools.AGREEMENT,
    value=pools.MILLIONS,
    facts=(
        "Liability under the {key} is limited to {value}.",
        "Under the {key}, neither side owes more than {value} in damages.",
        "Clause 11.3. The total liability arising from the {key} shall not exceed {value}.",
        "The {key} caps damages at {value}.",
        "Damages claimed under the {key} end at {value}.",
        "The parties to the {key} agreed on a ceiling of {value} for all claims.",
        "No claim under the {key} may go beyond {value}.",
        "§ 17 (1) The upper limit of liability in the {key} is {value}.",
        "The insurer insisted that the {key} limit liability to {value}.",
        "However great the loss, the {key} grants {value} at most.",
    ),
    questions=(
        "To what sum is liability under the {key} limited?",
        "What is the liability cap of the {key}?",
        "At what sum does the {key} cap damages?",
        "What is the most that can be claimed under the {key}?",
        "Give the upper limit of liability in the {key}.",
        "What sum may the liability arising from the {key} not exceed?",
        "Which ceiling for claims does the {key} set?",
        "How much does the {key} grant at most in damages?",
        "How high is the limit of liability in the {key}?",
        "Beyond which sum may no claim under the {key} go?",
    ),
    phrases=(
        "the liability cap of the {key}",
        "the upper limit of liability in the {key}",
        "the sum at which the {key} caps damages",
        "the ceiling for claims under the {key}",
    ),
)

_COURT = FactKind(
    name="place_of_jurisdiction",
    key=pools.AGREEMENT,
    value=pools.TOWN,
    facts=(
        "Disputes about the {key} are settled by the courts of {value}.",
        "The place of jurisdiction for the {key} is {value}.",
        "Clause 22. Any dispute arising from the {key} shall be heard in {value}.",
        "Whoever sues over the {key} has to do so in {value}.",
        "The parties to the {key} chose {value} as the place of jurisdiction.",
        "For all claims under the {key}, the courts of {value} alone are competent.",
        "The courts of {value} have jurisdiction over the {key}.",
        "Should the parties to the {key} fall out, they will meet before a judge in {value}.",
        "§ 25. Jurisdiction over the {key} lies with {value}.",
        "A quarrel over the {key} would go to court in {value}.",
    ),
    questions=(
        "Which town is the place of jurisdiction for the {key}?",
        "The courts of which town settle disputes about the {key}?",
        "Where are disputes arising from the {key} heard?",
        "In which town must one sue over the {key}?",
        "Where would a quarrel over the {key} go to court?",
        "Which place of jurisdiction did the parties to the {key} choose?",
        "Name the town whose courts are competent for the {key}.",
        "Before the judges of which town would parties to the {key} meet?",
        "With which town does jurisdiction over the {key} lie?",
        "What is the place of jurisdiction named in the {key}?",
    ),
    phrases=(
        "the place of jurisdiction for the {key}",
        "the town whose courts settle disputes about the {key}",
        "the town where disputes about the {key} are heard",
        "the town in which one must sue over the {key}",
    ),
)

_CLAUSE_NUMBER = FactKind(
    name="confidentiality_clause",
    key=pools.AGREEMENT,
    value=pools.CLAUSE,
    facts=(
        "Confidentiality is governed by clause {value} of the {key}.",
        "Clause {value} of the {key} obliges both sides to keep secrets.",
        "In the {key}, the duty of confidentiality is found in clause {value}.",
        "What may not be told to outsiders is laid down in clause {value} of the {key}.",
        "See clause {value} of the {key} on confidentiality.",
        "The lawyers of both sides rewrote clause {value} of the {key}, on confidentiality, three times.",
        "{key}, clause {value}: each party shall keep confidential what it learns from the other.",
        "The {key} deals with confidential information under number {value}.",
        "Nobody may disclose trade secrets; so says clause {value} of the {key}.",
        "The rule on confidentiality in the {key} carries the number {value}.",
    ),
    questions=(
        "Which clause of the {key} governs confidentiality?",
        "What is the number of the confidentiality clause in the {key}?",
        "In which clause does the {key} deal with confidentiality?",
        "Where in the {key} is the duty to keep secrets laid down? Give the clause number.",
        "Give the number of the clause on confidentiality in the {key}.",
        "Under which number does the {key} oblige both sides to keep secrets?",
        "Which clause of the {key} should one read about confidentiality?",
        "What number does the rule on confidential information in the {key} carry?",
        "Find the clause of the {key} that is about confidentiality.",
        "By which clause of the {key} are both sides bound to confidentiality?",
    ),
    phrases=(
        "the number of the confidentiality clause in the {key}",
        "the clause on confidentiality in the {key}",
        "the clause number of the duty of confidentiality in the {key}",
        "the clause of the {key} that governs confidentiality",
    ),
)

KINDS = (_NOTICE, _LIABILITY, _COURT, _CLAUSE_NUMBER)
