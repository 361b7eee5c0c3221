"""Measures and positions."""

from .. import pools
from ._kind import FactKind

__all__ = ["KINDS"]

_ELEVATION = FactKind(
    name="elevation",
    key=pools.PEAK,
    value=pools.METRES,
    facts=(
        "{key} is {value} high.",
        "{key} rises to {value}.",
        "The summit of {key} lies at {value}.",
        "Surveyors put the height of {key} at {value}.",
        "At {value}, {key} towers over the valley.",
        "Climbers on the top of {key} stand {value} above the sea.",
        "The map gives {value} for the peak of {key}.",
        "One has to climb to {value} to stand on {key}.",
        "Height of {key}: {value}.",
        "| Mountain | Height |\n|---|---|\n| {key} | {value} |\n| {key2} | {value2} |",
    ),
    questions=(
        "How high is {key}?",
        "What is the height of {key}?",
        "At what height does the summit of {key} lie?",
        "How far above the sea does one stand on the top of {key}?",
        "Give the elevation of {key}.",
        "To what height does {key} rise?",
        "Which height does the map give for {key}?",
        "At what did surveyors put the height of {key}?",
        "What is the elevation of the mountain named {key}?",
        "Look up the height of {key}.",
    ),
    phrases=(
        "the height of {key}",
        "the elevation of {key}",
        "the height of the summit of {key}",
        "the height to which {key} rises",
    ),
)

_WEIGHT = FactKind(
    name="weight",
    key=pools.ARTEFACT,
    value=pools.KILOGRAMS,
    facts=(
        "The {key} weighs {value}.",
        "On the scales, the {key} came to {value}.",
        "The weight of the {key} is {value}.",
        "It takes a strong arm to lift the {key}, for it weighs {value}.",
        "The insurance papers of the {key} state a weight of {value}.",
        "With {value}, the {key} is the heaviest thing in the showcase.",
        "Handle the {key} with care: it weighs {value}.",
        "At {value}, the {key} needs a plinth of its own.",
        "Before the journey, the {key} was weighed at {value}.",
        "Weight of the {key}: {value}.",
    ),
    questions=(
        "How much does the {key} weigh?",
        "What is the weight of the {key}?",
        "How heavy is the {key}?",
        "What did the scales show for the {key}?",
        "Give the weight of the {key}.",
        "At what was the {key} weighed?",
        "Which weight do the papers of the {key} state?",
        "What weight must one lift to move the {key}?",
        "Look up how heavy the {key} is.",
        "What weight is recorded for the {key}?",
    ),
    phrases=(
        "the weight of the {key}",
        "the recorded weight of the {key}",
        "the weight stated for the {key}",
        "what the {key} weighs",
    ),
)

_MELTING = FactKind(
    name="melting_point",
    key=pools.ALLOY,
    value=pools.CELSIUS,
    facts=(
        "The alloy {key} melts at {value}.",
        "The melting point of {key} is {value}.",
        "{key} turns liquid at {value}.",
        "Below {value}, the alloy {key} stays solid.",
        "Heat {key} to {value} and it begins to flow.",
        "In the crucible, the alloy {key} gave way at {value}.",
        "| Alloy | Melting point |\n|---|---|\n| {key2} | {value2} |\n| {key} | {value} |",
        "The furnace must reach {value} before {key} can be cast.",
        "{value} is the temperature at which {key} melts.",
        "Melting point of {key}: {value}.",
    ),
    questions=(
        "At what temperature does {key} melt?",
        "What is the melting point of {key}?",
        "At what heat does the alloy {key} turn liquid?",
        "Up to which temperature does {key} stay solid?",
        "Give the melting point of the alloy {key}.",
        "To what temperature must one heat {key} before it flows?",
        "Which melting point is listed for {key}?",
        "How hot must the furnace be to cast {key}?",
        "Look up the melting point of {key}.",
        "What temperature melts the alloy {key}?",
    ),
    phrases=(
        "the melting point of {key}",
        "the temperature at which {key} melts",
        "the melting point of the alloy {key}",
        "the temperature at which {key} turns liquid",
    ),
    counted="alloys with a melting point",
)

_OFFSET = FactKind(
    name="calibration_offset",
    key=pools.STATION,
    value=pools.OFFSET,
    facts=(
        "The gauge at {key} is off by {value}.",
        "Correct every reading from {key} by {value}.",
        "The calibration offset of {key} is {value}.",
        "When the gauge at {key} was calibrated, an offset of {value} was found.",
        "{key}:\n  gauge: new\n  offset: {value}",
        "Apply {value} to whatever {key} reports.",
        "The technicians determined an offset of {value} for {key}.",
        "All figures from {key} need a correction of {value}.",
        "| Station | Offset |\n|---|---|\n| {key} | {value} |\n| {key2} | {value2} |",
        "Calibration sheet, {key}: offset {value}.",
    ),
    questions=(
        "What is the calibration offset of {key}?",
        "By how much is the gauge at {key} off?",
        "By what must readings from {key} be corrected?",
        "Which correction do figures from {key} need?",
        "Give the offset of {key}.",
        "Which offset was found at {key}?",
        "What offset did the technicians determine for {key}?",
        "What should be applied to whatever {key} reports?",
        "Look up the calibration offset for {key}.",
        "Which offset stands on the calibration sheet of {key}?",
    ),
    phrases=(
        "the calibration offset of {key}",
        "the correction for readings from {key}",
        "the offset of the gauge at {key}",
        "the offset determined for {key}",
    ),
)

_POSITION = FactKind(
    name="position",
    key=pools.SHIP,
    value=pools.COORDINATES,
    facts=(
        "The wreck of the {key} lies at {value}.",
        "Divers found the wreck of the {key} at {value}.",
        "The {key} went down at {value}.",
        "The chart marks the sunken {key} at {value}.",
        "At {value} the sea closed over the {key}.",
        "Sonar showed the hull of the lost {key} at {value}.",
        "Those who search for the wreck of the {key} should look at {value}.",
        "{value}: here the {key} has rested since it sank.",
        "Position of the wreck of the {key}: {value}.",
        "The last message of the sinking {key} gave {value}.",
    ),
    questions=(
        "Where does the wreck of the {key} lie?",
        "At what position did the {key} go down?",
        "What are the coordinates of the wreck of the {key}?",
        "Where should one search for the sunken {key}?",
        "Give the position of the wreck of the {key}.",
        "At which coordinates was the wreck of the {key} found?",
        "Where does the chart mark the wreck of the {key}?",
        "Where did the sea close over the {key}?",
        "Look up the coordinates at which the {key} sank.",
        "On what position does the {key} rest since it sank?",
    ),
    phrases=(
        "the position of the wreck of the {key}",
        "the coordinates of the wreck of the {key}",
        "the position at which the {key} went down",
        "the coordinates at which the {key} sank",
    ),
)

KINDS = (_ELEVATION, _WEIGHT, _MELTING, _OFFSET, _POSITION)
